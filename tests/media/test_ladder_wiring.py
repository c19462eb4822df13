"""The ladder at work in a router: what a link that changes gets, what is told of it, and the member's switch."""

import itertools
from typing import Any

import pytest
from tests.media.forwarding_room import listen
from tests.media.linked_room import BigCamera, LinkedRoom, SteadyVoice, watch_all
from tests.media.support import Network
from tests.media.virtual_link import VirtualLink

from folkmoot_media.errors import MediaError
from folkmoot_media.forwarding import ladder, link_level
from folkmoot_media.forwarding.ladder import Level, Sample
from folkmoot_media.forwarding.link_level import LinkLevel
from folkmoot_media.forwarding.model import VideoConsumer

WIDE, THIN = 3e6, 60e3


class Seat:
    """Cleo, who hears Bela and watches Anna and Dora through a link; times are seconds since the beginning."""

    def __init__(
        self,
        link: VirtualLink,
        cameras: tuple[str, ...] = ("anna",),
        numbered: bool = True,
        first: Sample | None = None,
    ) -> None:
        self.room = LinkedRoom()
        self.link = link
        self.leg = self.room.connect("cleo", link, numbered)
        if first is not None:
            assert self.leg.downlink is not None
            self.leg.downlink.begin(first, self.room.clock.now, self.room.router.outbox)
        SteadyVoice(self.room, "bela")
        self.voices = listen(self.room, "cleo")
        self.pictures: dict[str, VideoConsumer] = {}
        for name in cameras:
            self.pictures[name] = watch_all(self.room, BigCamera(self.room, name), "cleo")
        self.levels: list[tuple[float, Level]] = []
        self.room.clock.every(0.05, self._look)
        self.told: list[tuple[float, dict[str, Any]]] = []
        self._heard = 0

    def _look(self) -> None:
        for name, data in self.room.events[self._heard :]:
            if name == "link_level":
                self.told.append((self.room.clock.now - 100, data))
        self._heard = len(self.room.events)
        assert self.leg.downlink is not None
        self.levels.append((self.room.clock.now - 100, self.leg.downlink.place.level))

    def at(self, when: float, rate: float) -> None:
        self.room.clock.at(100 + when, lambda: self.link.set_rate(rate, self.room.clock.now))

    def run(self, seconds: float) -> "Seat":
        self.room.run(seconds)
        return self

    def switch(self, ceiling: Level) -> None:
        self.room.router.set_ceiling(self.leg, ceiling, self.room.clock.now)

    def shown(self, name: str) -> int | None:
        layer = self.pictures[name].layer
        return None if layer is None else layer.index

    def picture_rate(self, start: float, end: float) -> float:
        """Bit/s of all pictures that arrived, trials of the link left out."""
        received = self.room.received["cleo"]
        return sum(received.rate(one.ssrc, 100 + start, 100 + end) for one in self.pictures.values())

    def any_video(self, start: float, end: float) -> int:
        """How many packets of pictures arrived, trials and repairs included."""
        streams = {ssrc for one in self.pictures.values() for ssrc in (one.ssrc, one.rtx_ssrc)}
        packets = self.room.received["cleo"].packets
        return sum(1 for when, packet in packets if packet.ssrc in streams and start <= when - 100 < end)

    def voice_gap(self, start: float, end: float) -> float:
        received = self.room.received["cleo"]
        heard = [slot.ssrc for slot in self.voices if received.of(slot.ssrc)]
        return min((received.longest_gap(ssrc, 100 + start, 100 + end) for ssrc in heard), default=end - start)

    def first_below(self, level: Level, start: float) -> float:
        return next(when for when, data in self.told if when >= start and data["level"] < level)

    def changes(self, start: float) -> int:
        seen = [level for when, level in self.levels if when >= start]
        return sum(1 for before, after in itertools.pairwise(seen) if before != after)


@pytest.mark.parametrize("delay", [0.03, 0.3])
def test_a_link_that_becomes_thin_keeps_voices_says_so_within_five_seconds_and_comes_back(delay: float) -> None:
    seat = Seat(VirtualLink(WIDE, delay))
    seat.at(20, THIN)
    seat.at(60, WIDE)
    seat.run(120)
    early = [data for when, data in seat.told if when < 20]
    assert {data["level"] for data in early} == {4}
    assert early[-1]["profile"] == (512 if delay > 0.2 else 0)
    assert seat.first_below(Level.THUMBNAIL, 20) <= 25
    thin = [data for when, data in seat.told if 25 <= when < 60]
    assert {(data["owner"], data["reason"], data["trouble"]) for data in thin} == {("cleo", "link", True)}
    assert {data["level"] for data in thin} <= {1, 2}
    assert all(20 <= data["estimate_kbps"] <= 90 for data in thin)
    assert seat.picture_rate(27, 60) == 0, "what the link had queued before has left it by then"
    assert seat.voice_gap(26, 60) < 0.75, "five packets of a kilobyte try the link every 15 s"
    assert seat.told[-1][1] == {**seat.told[-1][1], "level": 4, "trouble": False}
    assert seat.shown("anna") == 2


THIN_AT_FIRST = Sample(64, 0.0, 0.6)


def test_a_link_measured_before_joining_begins_where_it_stands_and_says_so_before_a_packet_is_sent() -> None:
    seat = Seat(VirtualLink(64e3, 0.3), first=THIN_AT_FIRST).run(30)
    when, data = seat.told[0]
    assert when < 0.1
    assert (data["level"], data["reason"], data["trouble"]) == (2, "link", True)
    assert (data["profile"], data["estimate_kbps"], data["rtt_ms"]) == (64, 64, 600)
    assert seat.picture_rate(1, 30) == 0
    assert {level for _, level in seat.levels} <= {Level.VOICE, Level.DOCUMENTS}
    assert seat.voice_gap(1, 30) < 0.75


def test_control_without_a_measurement_the_same_link_begins_with_pictures() -> None:
    seat = Seat(VirtualLink(64e3, 0.3)).run(30)
    assert seat.told[0][1]["level"] == 4
    assert seat.picture_rate(1, 30) > 0


def test_a_link_that_was_measured_too_thin_is_found_to_be_wide() -> None:
    seat = Seat(VirtualLink(WIDE, 0.03), first=THIN_AT_FIRST).run(60)
    assert seat.told[0][1]["level"] == 2
    assert seat.told[-1][1] == {**seat.told[-1][1], "level": 4, "trouble": False, "profile": 0}
    assert seat.shown("anna") == 2


def levels_told(network: Network, owner: str, **measured: object) -> list[tuple[int, int]]:
    """What the owner is told when both transports have been made: level and profile."""
    for direction in ("recv", "send"):
        network.call("router.create_transport", router_id="r", owner=owner, direction=direction, **measured)
    told = [data for _, name, data in network.events if name == "link_level" and data["owner"] == owner]
    return [(data["level"], data["profile"]) for data in told]


def test_what_a_page_has_measured_comes_with_the_request_that_makes_its_transport() -> None:
    network = Network()
    network.call("router.create", router_id="r", floor_mode="open")
    assert levels_told(network, "thin", link={"kbps": 64, "rtt_ms": 600}) == [(2, 64)]
    assert levels_told(network, "middling", link={"kbps": 260, "rtt_ms": 600}) == [(3, 256)]
    assert levels_told(network, "wide", link={"kbps": 5000, "rtt_ms": 600}) == [(4, 512)]
    assert levels_told(network, "chosen", link={"kbps": 5000, "rtt_ms": 600}, ceiling=1) == [(1, 64)]
    assert levels_told(network, "unmeasured") == []


@pytest.mark.parametrize(
    "link", [{"kbps": 0, "rtt_ms": 0}, {"kbps": 64}, {"kbps": 64, "rtt_ms": -1}, {"kbps": "x"}, 64]
)
def test_a_measurement_that_cannot_be_is_refused(link: object) -> None:
    network = Network()
    network.call("router.create", router_id="r", floor_mode="open")
    with pytest.raises(MediaError, match="link"):
        levels_told(network, "anna", link=link)


def test_events_keep_their_distance() -> None:
    seat = Seat(VirtualLink(WIDE, 0.03))
    for number in range(10):
        seat.at(10 + 6 * number, THIN if number % 2 == 0 else WIDE)
    seat.run(80)
    gaps = [after - before for (before, _), (after, _) in itertools.pairwise(seat.told)]
    assert len(gaps) > 3
    assert min(gaps) >= link_level.TELL_GAP - 0.05


def test_a_middling_link_shows_the_one_speaker_small() -> None:
    seat = Seat(VirtualLink(300e3, 0.03), ("anna", "dora"))
    seat.room.router.set_preferred_layer(seat.pictures["anna"], 0, seat.room.now)
    seat.room.router.set_preferred_layer(seat.pictures["dora"], 2, seat.room.now)
    seat.run(30)
    assert seat.told[-1][1]["level"] == 3
    assert (seat.shown("anna"), seat.shown("dora")) == (None, 0)
    seat.room.router.set_preferred_layer(seat.pictures["anna"], 2, seat.room.now)
    seat.room.router.set_preferred_layer(seat.pictures["dora"], 0, seat.room.now)
    seat.run(5)
    assert (seat.shown("anna"), seat.shown("dora")) == (0, None)


def test_a_wide_link_without_pictures_is_not_taken_for_a_thin_one() -> None:
    seat = Seat(VirtualLink(WIDE, 0.03), ()).run(60)
    assert [(data["level"], data["estimate_kbps"]) for _, data in seat.told] == [(4, None)]


def test_trouble_of_before_is_forgotten_when_nothing_more_is_wanted() -> None:
    seat = Seat(VirtualLink(WIDE, 0.03), ())
    seat.at(10, 30e3)
    seat.at(20, WIDE)
    seat.run(70)
    assert any(data["trouble"] for _, data in seat.told)
    assert seat.told[-1][1]["level"] == 4
    assert not seat.told[-1][1]["trouble"]


@pytest.mark.parametrize("numbered", [True, False])
def test_the_members_switch_takes_pictures_away_and_brings_them_back(numbered: bool) -> None:
    seat = Seat(VirtualLink(WIDE, 0.03), numbered=numbered).run(10)
    assert seat.picture_rate(8, 10) > 1e6
    seat.switch(Level.VOICE)
    seat.run(10)
    assert seat.any_video(10.5, 20) == 0
    assert seat.voice_gap(10, 20) < 0.15
    seat.switch(Level.FULL)
    seat.run(10)
    assert seat.picture_rate(25, 30) > 1e6


def test_what_the_member_chose_is_no_trouble_and_tries_nothing() -> None:
    seat = Seat(VirtualLink(WIDE, 0.03)).run(5)
    seat.switch(Level.DOCUMENTS)
    seat.run(20)
    said = seat.told[-1][1]
    assert (said["level"], said["reason"], said["trouble"]) == (2, "choice", False)
    assert seat.any_video(6, 25) == 0


def test_at_the_lowest_step_nothing_is_sent_at_all() -> None:
    seat = Seat(VirtualLink(WIDE, 0.03)).run(5)
    seat.switch(Level.TEXT)
    seat.run(5)
    assert [packet for when, packet in seat.room.received["cleo"].packets if when > 105.5] == []
    seat.switch(Level.VOICE)
    seat.run(5)
    assert seat.voice_gap(10.5, 15) < 0.15


def test_a_thin_link_hears_one_voice_at_a_time_and_a_wide_one_all() -> None:
    seat = Seat(VirtualLink(WIDE, 0.03))
    for number, name in enumerate(("emil", "fritz")):
        SteadyVoice(seat.room, name, 0x80 + number)
    seat.at(10, 70e3)
    seat.run(40)
    received = seat.room.received["cleo"]
    rates = [
        [received.rate(one.ssrc, start, end) > 1000 for one in seat.voices] for start, end in ((105, 110), (125, 140))
    ]
    assert [sum(heard) for heard in rates] == [3, 1]
    assert seat.told[-1][1]["trouble"]


def wobble() -> Seat:
    seat = Seat(VirtualLink(130e3, 0.03))
    for number in range(30):
        seat.at(15 + number * 3, 110e3 if number % 2 else 150e3)
    return seat.run(105)


def test_a_wobbling_link_does_not_make_the_level_flap() -> None:
    assert wobble().changes(15) <= 4


def test_control_without_hysteresis_the_same_link_flaps(monkeypatch: pytest.MonkeyPatch) -> None:
    tight = tuple(rung._replace(goes_off=rung.comes_on) for rung in ladder.RUNGS)
    monkeypatch.setattr(ladder, "RUNGS", tight)
    monkeypatch.setattr(ladder, "RISE_AFTER", 0.0)
    monkeypatch.setattr(ladder, "FALL_AFTER", 0.0)
    monkeypatch.setattr(link_level, "SOON", 0.0)
    assert wobble().changes(15) > 12


# -- the place itself ---------------------------------------------------------------------------------------------


def test_voices_are_held_back_on_a_hopeless_link_and_tried_again() -> None:
    place = LinkLevel()
    held = []
    for number in range(300):
        place.see(Sample(20, 0.45, 0.6), True, False, number * 0.2)
        held.append(place.voices_held)
    assert held[0] is False
    turns = [number * 0.2 for number in range(1, 300) if held[number] != held[number - 1]]
    pauses = [after - before for before, after in zip(turns[0::2], turns[1::2], strict=False)]
    assert pauses
    assert pauses == pytest.approx([link_level.VOICES_HELD_FOR] * len(pauses), abs=0.3)


def test_heavy_losses_are_trouble_and_calm_down_late() -> None:
    place = LinkLevel()
    said: list[tuple[float, bool]] = []

    def feed(loss: float, start: float, end: float) -> None:
        for number in range(int((end - start) * 5)):
            now = start + number * 0.2
            place.see(Sample(2000, loss, 0.1), False, False, now)
            told = place.tell(now)
            if told is not None:
                said.append((now, told.trouble))

    feed(0.0, 0, 5)
    feed(0.15, 5, 15)
    feed(0.07, 15, 25)
    feed(0.0, 25, 40)
    turns = [after[0] for before, after in itertools.pairwise(said) if before[1] != after[1]]
    assert turns == pytest.approx([6.5, 30.0], abs=0.5)


def test_what_was_measured_before_joining_holds_for_a_while_where_nothing_else_is_learnt() -> None:
    """Voices alone try no link: the measurement is remembered as long as a fall is."""
    seat = Seat(VirtualLink(64e3, 0.3), cameras=(), first=Sample(64, 0.0, 0.6)).run(40)
    first = seat.levels[0][1]
    assert first < Level.FULL
    assert {level for when, level in seat.levels if when < 20} == {first}
    assert seat.levels[-1][1] > first


def test_a_better_profile_is_told_although_the_level_stays() -> None:
    place = LinkLevel()
    place.begin(Sample(150, 0.0, 0.6), 0.0)
    told = []
    for number in range(150):
        place.see(Sample(150 if number < 50 else 300, 0.0, 0.6), True, False, number * 0.2)
        told.append(place.tell(number * 0.2))
    said = [(number * 0.2, one.level, one.profile) for number, one in enumerate(told) if one is not None]
    assert [(level, profile) for _, level, profile in said] == [(Level.THUMBNAIL, 128), (Level.THUMBNAIL, 256)]
    assert said[1][0] == pytest.approx(10 + ladder.RISE_AFTER, abs=0.3)


def test_a_lossy_link_is_told_as_one_until_it_has_calmed_down() -> None:
    place = LinkLevel()
    told = []
    for number in range(200):
        loss = 0.15 if 25 <= number < 75 else 0.0
        place.see(Sample(150, loss, 0.6), True, False, number * 0.2)
        told.append(place.tell(number * 0.2))
    said = [(round(number * 0.2), one.lossy, one.profile) for number, one in enumerate(told) if one is not None]
    lossy = [when for when, is_lossy, _ in said if is_lossy]
    assert 5 < lossy[0] <= 8
    assert {profile for when, _, profile in said if when in lossy} == {128}
    assert 19 <= next(when for when, is_lossy, _ in said if when > lossy[-1] and not is_lossy) <= 22


def test_nothing_is_told_of_a_link_that_nothing_is_known_of() -> None:
    place = LinkLevel(Level.VOICE)
    place.see(None, False, False, 0.0)
    assert place.tell(100.0) is None
    assert place.level == Level.VOICE
