"""The send-side estimate on a seeded link in virtual time, and the link held against its own settings first."""

import itertools
import statistics

import pytest
from tests.media.virtual_link import Saturating, VirtualLink

from folkmoot_media.forwarding.estimation import Losses, Reward, SendEstimator
from folkmoot_media.forwarding.trend import DelayTrend, Use


class LossRule(SendEstimator):
    """The control: what a sender that takes every loss for congestion would do."""

    def _decide(self, round_trip: float, now: float) -> None:
        super()._decide(round_trip, now)
        if self.delivered.share_lost > 0.02:
            self.bitrate = max(20_000.0, self.bitrate * (1 - self.delivered.share_lost / 2))


class NoTrend(SendEstimator):
    """The control: an estimator that does not look at delay."""

    def _decide(self, round_trip: float, now: float) -> None:
        self.trend = DelayTrend()
        super()._decide(round_trip, now)


class NoLossTest(SendEstimator):
    """The control: an estimator that never takes losses for congestion."""

    def _decide(self, round_trip: float, now: float) -> None:
        self.losses, self.reward = Losses(), Reward()
        super()._decide(round_trip, now)


def saturate(
    link: VirtualLink,
    seconds: float,
    kind: type[SendEstimator] = SendEstimator,
    step: tuple[float, float] | None = None,
    start: float = 300_000.0,
) -> Saturating:
    sender = Saturating(kind(start), link, VirtualLink(10e6, link.delay, loss=link.loss, seed=9))
    if step is not None:
        sender.clock.at(step[0], lambda: link.set_rate(step[1], sender.clock.now))
    sender.clock.run(seconds)
    return sender


# -- the link itself --------------------------------------------------------------------------------------------


def test_the_link_carries_its_rate_and_no_more() -> None:
    link = VirtualLink(1e6, 0.05, queue=0.2)
    arrivals = [arrival for number in range(4000) if (arrival := link.send(1000, number * 0.005)) is not None]
    rate = (len(arrivals) - 1) * 8000 / (arrivals[-1] - arrivals[0])
    assert rate == pytest.approx(1e6, rel=0.01)
    assert link.dropped_by_queue == 4000 - len(arrivals) > 1000


def test_the_link_delays_by_its_delay_and_its_queue() -> None:
    link = VirtualLink(1e6, 0.3, queue=1.0)
    assert link.send(1000, 10.0) == pytest.approx(10.308)
    assert link.send(1000, 10.0) == pytest.approx(10.316)
    link.set_rate(1e5, 10.0)
    assert link.send(1000, 10.0) == pytest.approx(10.0 + 0.3 + 3 * 0.08)
    assert link.send(1000, 20.0) == pytest.approx(20.38)


@pytest.mark.parametrize("burst", [1.0, 3.0])
def test_the_link_loses_the_share_and_the_runs_it_was_told_to(burst: float) -> None:
    link = VirtualLink(1e9, 0.0, loss=0.1, burst=burst)
    lost = [link.send(100, number * 0.001) is None for number in range(100_000)]
    runs = sum(1 for before, after in itertools.pairwise(lost) if after and not before)
    assert sum(lost) / len(lost) == pytest.approx(0.1, abs=0.01)
    assert sum(lost) / runs == pytest.approx(1 / 0.9 if burst == 1 else burst, rel=0.05)


# -- random loss ------------------------------------------------------------------------------------------------

LINKS = [(1e6, 0.02), (512e3, 0.3), (2.5e6, 0.05)]


@pytest.mark.parametrize(("rate", "delay"), LINKS)
@pytest.mark.parametrize(("loss", "burst"), [(0.0, 1.0), (0.05, 1.0), (0.1, 1.0), (0.1, 3.0)])
def test_random_loss_does_not_starve_the_estimate(rate: float, delay: float, loss: float, burst: float) -> None:
    sender = saturate(VirtualLink(rate, delay, loss=loss, burst=burst), 60)
    for start in (40, 50):
        estimates = sender.between(start, start + 10)
        assert statistics.mean(estimates) >= 0.85 * rate
        assert min(estimates) >= (0.75 if burst == 1 else 0.65) * rate
        assert max(estimates) <= 1.25 * rate
    assert max(waiting for when, _, waiting in sender.trace if when > 30) < 0.2


def test_a_rule_that_follows_loss_does_starve_on_the_same_link() -> None:
    sender = saturate(VirtualLink(1e6, 0.02, loss=0.1), 60, LossRule)
    assert max(sender.between(40, 60)) < 0.2 * 1e6


# -- congestion -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after", "delay", "within"), [(2e6, 5e5, 0.03, 2.5), (512e3, 128e3, 0.3, 3.0)])
def test_a_link_that_becomes_narrow_is_found_and_its_queue_drained(
    before: float, after: float, delay: float, within: float
) -> None:
    sender = saturate(VirtualLink(before, delay), 60, step=(30, after))
    late = [waiting for when, _, waiting in sender.trace if 30 + within <= when < 40]
    assert max(late) < 0.5
    assert max(sender.between(30 + within, 60)) < 1.25 * after
    assert statistics.mean(sender.between(45, 60)) > 0.85 * after


def test_without_the_trend_the_same_queue_stays_full() -> None:
    sender = saturate(VirtualLink(2e6, 0.03, queue=2.0), 60, NoTrend, step=(30, 5e5))
    assert statistics.mean(waiting for when, _, waiting in sender.trace if 32.5 <= when < 40) > 0.5


def test_a_link_that_becomes_wide_again_is_used_again() -> None:
    link = VirtualLink(2e6, 0.03)
    sender = Saturating(SendEstimator(), link, VirtualLink(10e6, 0.03))
    sender.clock.at(30, lambda: link.set_rate(5e5, sender.clock.now))
    sender.clock.at(40, lambda: link.set_rate(2e6, sender.clock.now))
    sender.clock.run(70)
    assert max(sender.between(35, 40)) < 1.25 * 5e5
    assert statistics.mean(sender.between(60, 70)) > 0.85 * 2e6


@pytest.mark.parametrize(("before", "after"), [(0.03, 0.25), (0.03, 0.1), (0.25, 0.03)])
def test_a_path_that_becomes_longer_is_not_taken_for_a_queue_for_long(before: float, after: float) -> None:
    link = VirtualLink(1e6, before)
    sender = Saturating(SendEstimator(), link, VirtualLink(10e6, before))

    def handed_over() -> None:
        link.delay = after

    sender.clock.at(30, handed_over)
    sender.clock.run(60)
    assert min(sender.between(30, 60)) > 0.3 * 1e6
    assert statistics.mean(sender.between(46, 60)) > 0.85 * 1e6


def test_without_noticing_it_the_estimate_starves_on_the_longer_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DelayTrend, "rebase", lambda _: None)
    link = VirtualLink(1e6, 0.03)
    sender = Saturating(SendEstimator(), link, VirtualLink(10e6, 0.03))

    def handed_over() -> None:
        link.delay = 0.25

    sender.clock.at(30, handed_over)
    sender.clock.run(45)
    assert sender.estimator.bitrate < 0.2 * 1e6


def test_a_link_that_drops_without_a_queue_is_found_by_its_losses() -> None:
    sender = saturate(VirtualLink(1e6, 0.03, queue=0.004), 60, step=(30, 3e5))
    assert statistics.mean(sender.between(34, 60)) == pytest.approx(3e5, rel=0.15)
    control = saturate(VirtualLink(1e6, 0.03, queue=0.004), 60, NoLossTest, step=(30, 3e5))
    assert control.link.dropped_by_queue > 5 * sender.link.dropped_by_queue
    assert min(control.between(50, 60)) > 2 * 3e5


def test_a_start_far_above_the_link_comes_down_at_once() -> None:
    sender = saturate(VirtualLink(64e3, 0.3), 10)
    assert max(sender.between(3, 10)) < 1.5 * 64e3


# -- what the sender does not use, and silence ------------------------------------------------------------------


def test_what_is_not_tried_is_not_believed() -> None:
    sender = Saturating(SendEstimator(), VirtualLink(20e6, 0.03), VirtualLink(20e6, 0.03), demand=400e3)
    sender.clock.run(60)
    assert max(sender.between(0, 60)) < 1.6 * 400e3


def test_a_probe_proves_what_the_media_does_not_use() -> None:
    sender = Saturating(SendEstimator(), VirtualLink(20e6, 0.03), VirtualLink(20e6, 0.03), demand=250e3)

    def probe() -> None:
        if sender.estimator.bitrate < 3e6 and sender.estimator.may_probe(sender.clock.now):
            sender.estimator.begin_probe(6, sender.clock.now)
            for _ in range(6):
                sender.send(1000, probe=True)

    sender.clock.every(0.5, probe)
    sender.clock.run(8)
    assert sender.estimator.bitrate >= 3e6


def test_a_probe_does_not_prove_more_than_the_link_has() -> None:
    sender = Saturating(SendEstimator(), VirtualLink(500e3, 0.03), VirtualLink(20e6, 0.03), demand=250e3)

    def probe() -> None:
        if sender.estimator.may_probe(sender.clock.now):
            sender.estimator.begin_probe(6, sender.clock.now)
            for _ in range(6):
                sender.send(1000, probe=True)

    sender.clock.every(1.0, probe)
    sender.clock.run(30)
    assert max(sender.between(5, 30)) < 1.1 * 500e3
    assert max(waiting for _, _, waiting in sender.trace) < 0.25


def test_silence_while_sending_lowers_the_estimate_and_quiet_does_not() -> None:
    estimator = SendEstimator()
    estimator.limit(1_000_000, 10.0)
    estimator.poll(10.0, 0.1, 30.0)
    assert estimator.bitrate == 1_000_000
    for tick in range(100):
        estimator.poll(30.0 + tick * 0.1, 0.1, 30.0 + tick * 0.1)
    assert estimator.bitrate < 100_000


def test_without_transport_wide_feedback_the_receivers_own_estimate_counts() -> None:
    estimator = SendEstimator()
    assert not estimator.informed
    estimator.limit(123_456, 1.0)
    assert (estimator.bitrate, estimator.informed) == (123_456, True)


def test_with_receiver_reports_alone_only_a_rise_of_losses_brakes() -> None:
    estimator = SendEstimator(1_000_000)
    for second in range(20):
        estimator.report(100, 10, 800_000, float(second))
    assert estimator.bitrate == 1_000_000
    for second in range(20, 24):
        estimator.report(100, 40, 800_000, float(second))
    assert estimator.bitrate <= 600_000


# -- the trend alone --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("growth", "use"), [(0.0, Use.NORMAL), (0.003, Use.OVER), (-0.003, Use.UNDER)])
def test_the_trend_of_the_delay_is_told(growth: float, use: Use) -> None:
    trend = DelayTrend()
    delay = 0.3
    for number in range(60):
        delay += growth if number >= 25 else 0.0
        trend.feed([(number * 0.02, 500 + number * 0.02 + delay)])
    assert trend.use is use


def test_a_receivers_clock_that_runs_fast_looks_like_no_queue() -> None:
    trend = DelayTrend()
    for number in range(2000):
        skew = number * 0.02 * 0.0001
        trend.feed([(number * 0.02, 900 + number * 0.02 + skew)])
    assert trend.use is Use.NORMAL
    assert trend.queue < 0.01
