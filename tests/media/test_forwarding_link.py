"""A whole router with a subscriber behind a virtual link: which layers it gets, and that voices stay whole."""

import itertools

import pytest
from tests.media import linked_room
from tests.media.forwarding_room import NACK, assert_unbroken, listen
from tests.media.linked_room import RATES, BigCamera, LinkedRoom, SteadyVoice, watch_all
from tests.media.virtual_link import VirtualLink

from folkmoot_media.forwarding import downlink, rtcp
from folkmoot_media.forwarding.codecs import parse_vp8
from folkmoot_media.forwarding.estimation import START
from folkmoot_media.forwarding.model import SlotConsumer, VideoConsumer
from folkmoot_media.forwarding.pacing import Pacer
from folkmoot_media.forwarding.packets import RtpPacket
from folkmoot_media.forwarding.temporal import EVERYTHING


class Seat:
    """Cleo, who watches Anna and hears Bela through a link."""

    def __init__(self, link: VirtualLink, numbered: bool = True, preferred: int = 7) -> None:
        self.room = LinkedRoom()
        self.link = link
        self.camera = BigCamera(self.room)
        SteadyVoice(self.room, "bela")
        self.leg = self.room.connect("cleo", link, numbered)
        self.slots: list[SlotConsumer] = listen(self.room, "cleo")
        self.consumer: VideoConsumer = watch_all(self.room, self.camera, "cleo", preferred)
        self.waited: list[tuple[float, float]] = []
        self.highest_estimate = 0.0
        self.room.clock.every(0.05, self._look)

    def _look(self) -> None:
        now = self.room.clock.now
        if self.leg.downlink is not None:
            self.highest_estimate = max(self.highest_estimate, self.leg.downlink.estimator.bitrate)
        self.waited.append((now, self.link.waiting(now)))

    def run(self, seconds: float) -> "Seat":
        self.room.run(seconds)
        return self

    @property
    def layer(self) -> int | None:
        return None if self.consumer.layer is None else self.consumer.layer.index

    @property
    def whole(self) -> bool:
        """True when no temporal layer is left out."""
        return self.consumer.view is None

    def longest_wait(self, start: float, end: float) -> float:
        return max(waiting for when, waiting in self.waited if 100 + start <= when <= 100 + end)

    def voice_gap(self, start: float, end: float) -> float:
        received = self.room.received["cleo"]
        (heard,) = (slot.ssrc for slot in self.slots if received.of(slot.ssrc))
        return received.longest_gap(heard, 100 + start, 100 + end)

    def video_rate(self, start: float, end: float) -> float:
        return self.room.received["cleo"].rate(self.consumer.ssrc, 100 + start, 100 + end)

    def sent_video(self) -> list[RtpPacket]:
        return [packet for packet in self.room.sent["cleo"] if packet.ssrc == self.consumer.ssrc]


def assert_whole_frames(packets: list[RtpPacket]) -> None:
    for _, frame in itertools.groupby(packets, key=lambda packet: packet.timestamp):
        held = list(frame)
        first = parse_vp8(held[0].payload)
        assert first is not None
        assert first.start
        assert [bool(packet.marker) for packet in held] == [False] * (len(held) - 1) + [True]


def test_a_wide_link_gets_the_largest_layer_within_seconds() -> None:
    seat = Seat(VirtualLink(5e6, 0.03)).run(3)
    assert (seat.layer, seat.whole) == (2, True)
    seat.run(7)
    assert (seat.layer, seat.whole) == (2, True)
    assert seat.video_rate(5, 10) == pytest.approx(RATES[2], rel=0.15)
    assert seat.longest_wait(1, 10) < 0.15
    assert_unbroken(seat.sent_video())
    assert_whole_frames(seat.sent_video())


def test_a_link_that_has_long_been_open_is_found_out_as_fast_once_video_is_watched() -> None:
    seat = Seat(VirtualLink(5e6, 0.03))
    seat.room.router.set_consumer_paused(seat.consumer, True, seat.room.now)
    seat.run(30)
    seat.room.router.set_consumer_paused(seat.consumer, False, seat.room.now)
    seat.run(4)
    assert (seat.layer, seat.whole) == (2, True)


def test_the_page_wishes_less_than_the_link_carries() -> None:
    seat = Seat(VirtualLink(5e6, 0.03), preferred=1).run(10)
    assert (seat.layer, seat.whole) == (1, True)


def test_the_link_carries_less_than_the_page_wishes() -> None:
    seat = Seat(VirtualLink(800e3, 0.03)).run(30)
    assert seat.layer == 1
    assert seat.video_rate(10, 30) > 0.8 * RATES[1]
    assert seat.longest_wait(2, 30) < 0.2
    assert seat.voice_gap(2, 29) < 0.15
    assert seat.link.dropped_by_queue == 0
    assert seat.highest_estimate < 1.05 * 800e3, "what tries have shown bounds what is believed"
    assert_unbroken(seat.sent_video())


def test_without_the_estimate_the_same_link_is_drowned() -> None:
    seat = Seat(VirtualLink(800e3, 0.03), numbered=False).run(10)
    assert seat.layer == 2
    assert seat.longest_wait(5, 10) > 0.9
    assert seat.link.dropped_by_queue > 500


def test_random_loss_takes_no_layer_away() -> None:
    seat = Seat(VirtualLink(3e6, 0.05, loss=0.1)).run(40)
    assert (seat.layer, seat.whole) == (2, True)
    changes = [data["layer"] for name, data in seat.room.events if name == "layers_changed"]
    assert changes == [0, 1, 2]


def test_a_link_for_a_voice_only_gets_the_voice_only() -> None:
    seat = Seat(VirtualLink(60e3, 0.3)).run(40)
    assert seat.layer is None
    changes = [data for name, data in seat.room.events if name == "layers_changed"]
    assert changes[-1] == {"consumer_id": seat.consumer.id, "layer": None}
    assert seat.video_rate(10, 40) == 0
    assert seat.voice_gap(8, 39) < 0.35
    assert seat.longest_wait(8, 39) < 0.35


def test_a_link_that_becomes_narrow_loses_layers_and_no_voice() -> None:
    seat = Seat(VirtualLink(2e6, 0.03))
    seat.room.clock.at(110, lambda: seat.link.set_rate(300e3, seat.room.clock.now))
    seat.run(30)
    assert seat.layer == 0
    assert seat.longest_wait(13, 30) < 0.5
    assert seat.voice_gap(9, 29) < 0.3
    assert_unbroken(seat.sent_video())
    assert_whole_frames(seat.sent_video())


def test_a_link_that_becomes_wide_gains_layers() -> None:
    seat = Seat(VirtualLink(300e3, 0.03))
    seat.room.clock.at(110, lambda: seat.link.set_rate(3e6, seat.room.clock.now))
    seat.run(30)
    assert (seat.layer, seat.whole) == (2, True)


def test_a_starved_link_that_recovers_gets_video_again() -> None:
    seat = Seat(VirtualLink(3e6, 0.03))
    seat.room.clock.at(105, lambda: seat.link.set_rate(50e3, seat.room.clock.now))
    seat.run(15)
    assert seat.layer is None
    seat.link.set_rate(3e6, seat.room.clock.now)
    seat.run(40)
    assert seat.layer == 2


def test_a_receiver_that_tells_remb_only_is_limited_by_it() -> None:
    seat = Seat(VirtualLink(5e6, 0.03), numbered=False)
    for _ in range(20):
        seat.run(0.5)
        seat.room.receive_rtcp(seat.leg, rtcp.build_remb(9, 700_000, [seat.consumer.ssrc]))
    assert seat.layer == 1
    for _ in range(20):
        seat.run(0.5)
        seat.room.receive_rtcp(seat.leg, rtcp.build_remb(9, 4_000_000, [seat.consumer.ssrc]))
    assert seat.layer == 2


def test_what_has_fallen_does_not_rise_for_five_seconds() -> None:
    seat = Seat(VirtualLink(9e6, 0.03), numbered=False)

    def tell(bitrate: int, seconds: float) -> int | None:
        for _ in range(round(seconds * 2)):
            seat.room.receive_rtcp(seat.leg, rtcp.build_remb(9, bitrate, [seat.consumer.ssrc]))
            seat.run(0.5)
        return seat.layer

    assert [tell(4_000_000, 8), tell(700_000, 1), tell(4_000_000, 3.5), tell(4_000_000, 3)] == [2, 1, 1, 2]


def test_who_joins_while_the_link_is_unknown_does_not_wait_for_having_fallen() -> None:
    seat = Seat(VirtualLink(9e6, 0.03))
    others = [watch_all(seat.room, BigCamera(seat.room, name), "cleo") for name in ("dora", "emil")]
    seat.run(4)
    assert [other.layer.index if other.layer else None for other in others] == [2, 2]


def test_key_frames_on_a_thin_link_are_spread_so_that_voices_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = {}
    for paced in (True, False):
        seat = Seat(VirtualLink(350e3, 0.03))
        if not paced:
            # The control: the same room without its pacer.
            monkeypatch.setattr(seat.leg.downlink, "_pace", lambda *_: None)
        seat.run(5)
        for _ in range(20):
            seat.room.router.request_key_frame(seat.consumer, seat.room.now)
            seat.run(1)
        waits[paced] = seat.longest_wait(6, 25)
    assert waits[True] < 0.7 * waits[False]


def test_who_watches_little_over_a_wide_link_is_soon_paced_no_more() -> None:
    seat = Seat(VirtualLink(5e6, 0.03), preferred=0).run(8)
    assert (seat.layer, seat.whole) == (0, True)
    assert seat.leg.pacer is None
    assert seat.highest_estimate > 1.2e6
    hearing = seat.room.connect("dora", VirtualLink(5e6, 0.03))
    listen(seat.room, "dora")
    seat.run(3)
    assert hearing.pacer is None
    assert seat.room.received["dora"].packets


def test_a_link_can_be_described() -> None:
    seat = Seat(VirtualLink(3e6, 0.05, loss=0.1))
    assert seat.leg.downlink is not None
    assert seat.leg.downlink.sample is None
    seat.run(20)
    sample = seat.leg.downlink.sample
    assert sample is not None
    assert 1500 < sample.estimate < 3200
    assert sample.loss == pytest.approx(0.1, abs=0.06)
    assert sample.round_trip == pytest.approx(0.1)


def test_two_pictures_share_what_there_is() -> None:
    seat = Seat(VirtualLink(1.3e6, 0.03), preferred=2)
    second = BigCamera(seat.room, "dora")
    other = watch_all(seat.room, second, "cleo", preferred=1)
    seat.run(20)
    assert seat.consumer.layer is not None
    assert other.layer is not None
    assert (seat.consumer.layer.index, other.layer.index) == (1, 1)
    assert seat.longest_wait(5, 20) < 0.25


class Asking(Seat):
    """Cleo's page asks every 50 ms for everything of the last seconds that it misses."""

    def __init__(self, link: VirtualLink) -> None:
        super().__init__(link)
        self.asked: dict[int, int] = {}
        self.run(5)
        self.room.clock.every(0.05, self._ask)
        self.run(20)

    def repaired(self) -> set[int]:
        again = self.room.received["cleo"].of(self.consumer.rtx_ssrc)
        return {int.from_bytes(packet.payload[:2], "big") for packet in again}

    def _ask(self) -> None:
        there = {packet.sequence for packet in self.room.received["cleo"].of(self.consumer.ssrc)} | self.repaired()
        sent = [packet.sequence for packet in self.sent_video()][-400:-5]
        missing = [sequence for sequence in sent if sequence not in there][-60:]
        for sequence in missing:
            self.asked[sequence] = self.asked.get(sequence, 0) + 1
        if missing:
            self.room.receive_rtcp(self.leg, rtcp.build_nack(9, self.consumer.ssrc, missing))


def test_a_page_that_asks_too_often_over_a_satellite_gets_no_more_than_its_share() -> None:
    seat = Asking(VirtualLink(6e6, 0.3, loss=0.2))
    assert max(seat.asked.values()) > 10
    answered = seat.room.router.counters["resent"]
    assert answered <= 3 * len(seat.asked)
    again = [packet for packet in seat.room.sent["cleo"] if packet.ssrc == seat.consumer.rtx_ssrc]
    media = sum(len(packet.payload) for packet in seat.sent_video())
    assert seat.consumer.repair_octets <= 0.25 * media + 14_000
    # Beside what is repaired there are the link's trials.
    assert sum(len(packet.payload) for packet in again) <= 0.29 * media + 12_000


def test_on_a_short_link_nearly_everything_is_repaired() -> None:
    seat = Asking(VirtualLink(6e6, 0.02, loss=0.02))
    assert len(seat.asked) > 50
    assert len(seat.repaired() & set(seat.asked)) >= 0.97 * len(seat.asked)


def test_a_publisher_is_never_asked_for_what_a_subscriber_lost() -> None:
    seat = Seat(VirtualLink(3e6, 0.03, loss=0.1)).run(5)
    seat.room.receive_rtcp(seat.leg, rtcp.build_nack(9, seat.consumer.ssrc, [seat.sent_video()[-3].sequence]))
    assert seat.room.requests(NACK) == 0
    assert seat.consumer.temporal == EVERYTHING


class LateCamera(BigCamera):
    """One size only; a single small frame, then nothing for six seconds, then 1.9 Mbit/s."""

    def _capture(self) -> None:
        elapsed = self.room.clock.now - 100
        if elapsed > 6 or not self._frames[0]:
            self.rates = (1_900_000,) if elapsed > 6 else (200_000,)
            super()._capture()


def test_a_picture_that_was_still_while_the_link_was_new_is_seen_when_it_moves() -> None:
    room = LinkedRoom()
    camera = LateCamera(room, rates=(1_900_000,))
    room.connect("cleo", VirtualLink(50e6, 0.005))
    consumer = watch_all(room, camera, "cleo")
    room.run(40)
    # The link is tried as fast as a new one, although its first seconds are long over.
    assert room.received["cleo"].rate(consumer.ssrc, 110, 120) > 1_700_000
    assert room.received["cleo"].rate(consumer.ssrc, 130, 140) > 1_700_000


def test_when_frames_are_left_out_what_has_left_is_kept_to_try_the_link_with(monkeypatch: pytest.MonkeyPatch) -> None:
    # A frame every 5 ms: the queue is too long before the rate of the picture has been measured.
    monkeypatch.setattr(linked_room, "FRAME_RATE", 200)
    room = LinkedRoom()
    camera = BigCamera(room, rates=(1_900_000,))
    leg = room.connect("cleo", VirtualLink(50e6, 0.005))
    consumer = watch_all(room, camera, "cleo")
    downlink = leg.downlink
    assert downlink is not None
    leg.pacer = Pacer(START, room.now)
    room.router._paced = [leg]
    for _ in range(100):
        if consumer.held_back:
            break
        camera._capture()
        room.now += 0.002
    assert (consumer.held_back, consumer.layer) == (1, None)
    assert downlink._spare is not None
    kept, packets = downlink._spare
    # Nothing of what was taken back: its numbers are given to other packets. What has begun to leave is sent whole.
    on_its_way = {packet.sequence for packet in room.sent["cleo"]} | {queued.copy[2] for queued in leg.pacer._queue}
    assert kept is consumer
    assert {again.sequence for again in packets} <= on_its_way


def wait_for_a_picture_after_a_cut(seconds: float) -> tuple[Seat, VideoConsumer]:
    """Three seconds of cut in which Cleo closes the picture, and another picture opened when the line is back."""
    link = VirtualLink(5e6, 0.03)
    seat = Seat(link).run(20)
    assert seat.layer == 2
    link.loss = 1.0
    seat.run(1)
    seat.room.router.close_consumer(seat.consumer)
    seat.run(2)
    link.loss = 0.0
    seat.run(10)
    assert seat.leg.downlink is not None
    assert seat.leg.downlink.estimator.bitrate < 100_000
    other = watch_all(seat.room, BigCamera(seat.room, "dora"), "cleo")
    seat.run(seconds)
    return seat, other


def test_a_picture_opened_after_a_cut_comes_although_nothing_was_wanted_meanwhile() -> None:
    seat, other = wait_for_a_picture_after_a_cut(20)
    assert other.layer is not None
    assert other.layer.index == 2
    # What the link was tried with at first was shorter than a retransmission's number: receivers drop it.
    again = [len(packet.payload) for packet in seat.room.sent["cleo"] if packet.ssrc == other.rtx_ssrc]
    assert again[: downlink.FEWEST_PROBES] == [1] * downlink.FEWEST_PROBES


def test_control_without_padding_the_picture_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downlink.Downlink, "_probe_with_padding", lambda *_: False)
    _, other = wait_for_a_picture_after_a_cut(60)
    assert other.layer is None


def test_trials_of_a_link_for_one_voice_leave_room_for_the_voice() -> None:
    seat = Seat(VirtualLink(64e3, 0.03)).run(90)
    again = [len(packet.payload) for packet in seat.room.sent["cleo"] if packet.ssrc == seat.consumer.rtx_ssrc]
    assert 1 in again
    assert seat.voice_gap(10, 90) < 0.25
