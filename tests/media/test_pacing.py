"""The pacer: what leaves when, and that video is left out by whole frames only."""

import itertools

import pytest
from tests.media.forwarding_room import NTP, PLI, Camera, Room, assert_unbroken, watch

from folkmoot_media.forwarding import downlink
from folkmoot_media.forwarding.allocation import NOTHING, Demand, Option, allocate
from folkmoot_media.forwarding.model import VideoConsumer
from folkmoot_media.forwarding.pacing import HEADROOM, QUEUE_LIMIT, Pacer, Queued


def queued(consumer: VideoConsumer, frame: int, number: int, size: int = 1000, since: float = 0.0) -> Queued:
    copy = (consumer.leg, 101, number, frame, 7, b"", 0)
    return Queued(consumer, copy, bytes(size), size, frame, frame, since)


@pytest.fixture
def consumer() -> VideoConsumer:
    room = Room()
    return watch(room, Camera(room), "cleo")


def test_no_more_leaves_than_the_rate_allows(consumer: VideoConsumer) -> None:
    pacer = Pacer(800_000, 0.0)
    for number in range(400):
        pacer.push(queued(consumer, number // 4, number))
    left = [len(pacer.release(tick * 0.01)) for tick in range(1, 301)]
    assert sum(left) * 8000 / 3 == pytest.approx(800_000 * HEADROOM, rel=0.03)
    assert max(left[5:]) <= 3
    assert pacer.octets == (400 - sum(left)) * 1000


def test_packets_leave_in_order_and_none_is_lost(consumer: VideoConsumer) -> None:
    pacer = Pacer(500_000, 0.0)
    left: list[int] = []
    for number in range(100):
        pacer.push(queued(consumer, number, number))
        left += [packet.copy[2] for packet in pacer.release(number * 0.01)]
    left += [packet.copy[2] for tick in range(300) for packet in pacer.release(1.0 + tick * 0.02)]
    assert left == list(range(100))
    assert len(pacer) == 0
    assert pacer.octets == 0


def test_voices_and_reports_never_wait_and_video_makes_room(consumer: VideoConsumer) -> None:
    sent = {}
    for voices in (0, 100):
        pacer = Pacer(100_000, 0.0)
        for number in range(600):
            pacer.push(queued(consumer, number, number, size=500))
        left = 0
        for tick in range(1, 501):
            # 100 bytes every 20 ms: 40 kbit/s of voices, which the pacer is told of but does not hold.
            pacer.spend(voices)
            left += len(pacer.release(tick * 0.02))
        sent[voices] = left * 500 * 8 / 10
    assert sent[0] == pytest.approx(115_000, rel=0.05)
    assert sent[100] == pytest.approx(75_000, rel=0.05)


def test_a_long_debt_is_forgiven(consumer: VideoConsumer) -> None:
    pacer = Pacer(100_000, 0.0)
    pacer.spend(10_000_000)
    pacer.push(queued(consumer, 1, 1))
    assert pacer.release(0.4) == []
    assert len(pacer.release(0.8)) == 1


def test_the_queue_is_overdue_when_it_takes_too_long(consumer: VideoConsumer) -> None:
    pacer = Pacer(400_000, 0.0)
    number = 0
    while not pacer.overdue:
        pacer.push(queued(consumer, number, number))
        number += 1
    assert number * 8000 / (400_000 * HEADROOM) == pytest.approx(QUEUE_LIMIT, abs=0.02)
    pacer.set_bitrate(4_000_000)
    assert not pacer.overdue


def test_only_frames_that_have_not_begun_are_taken_back(consumer: VideoConsumer) -> None:
    pacer = Pacer(200_000, 0.0)
    for number in range(12):
        pacer.push(queued(consumer, number // 4, number))
    begun = pacer.release(0.01)
    assert 0 < len(begun) < 4
    taken = pacer.take_back(consumer)
    assert [packet.copy[2] for packet in taken] == list(range(4, 12))
    left = [packet.copy[2] for tick in range(100) for packet in pacer.release(0.1 + tick * 0.02)]
    assert [packet.copy[2] for packet in begun] + left == [0, 1, 2, 3]


# -- in a room --------------------------------------------------------------------------------------------------


def throttled(bitrate: float) -> tuple[Room, Camera, VideoConsumer]:
    room = Room(stamping=True)
    camera = Camera(room, ("r0",))
    camera.frame()
    leg = room.leg("cleo")
    room.router.number_packets(leg, 5)
    consumer = watch(room, camera, "cleo")
    leg.pacer = Pacer(bitrate, room.now)
    room.router._paced = [leg]
    return room, camera, consumer


def test_a_frame_that_would_wait_too_long_is_left_out_whole_and_so_are_all_until_a_key_frame() -> None:
    room, camera, consumer = throttled(40_000)
    asked = room.requests(PLI)
    for number in range(120):
        room.now += 1 / 30
        camera.send(0, key=number % 40 == 0, packets=5)
    room.now += 3
    camera.send(0, packets=1)
    packets = room.sent["cleo"]
    assert room.router.counters["held_back"] == consumer.held_back >= 2
    assert room.requests(PLI) > asked
    assert len(packets) < 300
    assert_unbroken(packets)
    for _, frame in itertools.groupby(packets, key=lambda packet: packet.timestamp):
        held = list(frame)
        assert len(held) in (1, 5)
        assert held[-1].marker


def test_when_the_link_breaks_down_what_waits_is_taken_back_and_its_numbers_are_used_again() -> None:
    room, camera, consumer = throttled(2_000_000)
    pacer = consumer.leg.pacer
    assert pacer is not None
    camera.send(0, key=True, packets=20)
    pacer.set_bitrate(60_000)
    while consumer.held_back == 0:
        room.now += 1 / 30
        camera.send(0, packets=8)
    assert 0 < len(pacer) < 8, "only the frame that has begun still waits"
    room.now += 2
    camera.send(0, key=True, packets=2)
    room.now += 1
    camera.send(0, packets=2)
    assert_unbroken(room.sent["cleo"])
    sizes = [len(list(frame)) for _, frame in itertools.groupby(room.sent["cleo"], key=lambda sent: sent.timestamp)]
    assert set(sizes) == {20, 8, 2}


def test_without_the_limit_everything_is_sent_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("folkmoot_media.forwarding.pacing.QUEUE_LIMIT", 1e9)
    room, camera, consumer = throttled(40_000)
    for number in range(120):
        room.now += 1 / 30
        camera.send(0, key=number % 40 == 0, packets=5)
    assert consumer.held_back == 0
    assert consumer.leg.pacer is not None
    assert consumer.leg.pacer.waiting > 2


def test_sender_reports_count_only_what_was_sent() -> None:
    room, camera, consumer = throttled(40_000)
    for number in range(120):
        room.now += 1 / 30
        camera.send(0, key=number % 40 == 0, packets=5)
    room.now += 5
    camera.send(0, key=True, packets=1)
    room.router.poll(room.now, NTP)
    room.take()
    report = [data for leg, data in room.reports if leg == "cleo" and data[1] == 200][-1]
    # Without what was sent again to try the link.
    media = [packet for packet in room.sent["cleo"] if packet.ssrc == consumer.ssrc]
    assert int.from_bytes(report[20:24], "big") == len(media)


def test_every_packet_gets_its_number_when_it_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    room, camera, consumer = throttled(60_000)
    stamps: list[int] = []
    monkeypatch.setattr(room, "on_copy", lambda *sent: stamps.append(sent[2]))
    for number in range(60):
        room.now += 1 / 30
        camera.send(0, key=number == 0, packets=3)
    assert len(stamps) > 50
    assert stamps == [5 << 16 | number for number in range(len(stamps))]
    assert consumer.leg.wide is not None


def test_a_closed_consumer_leaves_nothing_behind() -> None:
    room, camera, consumer = throttled(30_000)
    camera.send(0, key=True, packets=60)
    pacer = consumer.leg.pacer
    assert pacer is not None
    assert len(pacer) > 0
    room.router.close_consumer(consumer)
    assert (len(pacer), pacer.octets) == (0, 0)
    downlink.release(consumer.leg, room.now + 5, room.router.outbox)
    assert room.router.outbox.batches == []


# -- sharing out ------------------------------------------------------------------------------------------------

STEPS = (Option(0, 0, 75e3), Option(0, 7, 150e3), Option(1, 7, 500e3), Option(2, 7, 1500e3))


@pytest.mark.parametrize(
    ("budget", "given"),
    [
        (50e3, [-1, -1]),
        (90e3, [0, -1]),
        (180e3, [0, 0]),
        (320e3, [1, 1]),
        (800e3, [2, 1]),
        (1200e3, [2, 2]),
        (2300e3, [3, 2]),
        (9000e3, [3, 3]),
    ],
)
def test_everybody_gets_the_least_before_anyone_gets_more(budget: float, given: list[int]) -> None:
    assert allocate([Demand(STEPS, NOTHING, True)] * 2, budget) == given


def test_more_budget_never_takes_anything_from_the_most_important() -> None:
    before = NOTHING
    for budget in range(0, 5_000_000, 7_000):
        (first, *_) = allocate([Demand(STEPS, NOTHING, True)] * 3, budget)
        assert first >= before
        before = first


def test_what_is_there_stays_at_its_own_price_and_rising_costs_more() -> None:
    assert allocate([Demand(STEPS, 2, True)], 501e3) == [2]
    assert allocate([Demand(STEPS, 1, True)], 501e3) == [1]
    assert allocate([Demand(STEPS, 2, True)], 499e3) == [1]


def test_after_a_fall_nothing_rises_for_a_while() -> None:
    assert allocate([Demand(STEPS, 1, False)], 9e6) == [1]
    assert allocate([Demand(STEPS, NOTHING, False)], 9e6) == [NOTHING]
    assert allocate([Demand((), NOTHING, True)], 9e6) == [NOTHING]
