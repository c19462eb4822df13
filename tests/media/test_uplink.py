"""What a seat hears of its own sending: nothing of a healthy link, and of a bad one what others do not get."""

import asyncio
from collections import Counter
from functools import partial
from typing import Any

import pytest
from tests.media.forwarding_room import VP8
from tests.media.linked_room import LinkedRoom, SteadyVoice
from tests.media.support import MID_ID, rtp, vp8
from tests.media.virtual_link import VirtualLink

from folkmoot_media.forwarding import rtcp
from folkmoot_media.forwarding.ladder import Alarm
from folkmoot_media.forwarding.model import EncodingSpec, Leg, ProducerSpec
from folkmoot_server.realtime.media_links import LinkDesk, Links
from folkmoot_server.realtime.media_rooms import Room


class Speaker:
    """Bela, whose voice comes over a link of its own; `told` is (seconds since the beginning, data)."""

    def __init__(self, link: VirtualLink) -> None:
        self.room = LinkedRoom()
        self.link = link
        self.voice = SteadyVoice(self.room, "bela", link=link)
        self.told: list[tuple[float, dict[str, Any]]] = []
        self._heard = 0
        self.room.clock.every(0.05, self._look)

    def _look(self) -> None:
        for name, data in self.room.events[self._heard :]:
            if name == "uplink":
                self.told.append((self.room.clock.now - 100, data))
        self._heard = len(self.room.events)

    def lose(self, when: float, share: float) -> None:
        self.room.clock.at(100 + when, lambda: setattr(self.link, "loss", share))

    def at_every(self, period: float, held: float) -> None:
        """Hold everything up for a while, again and again."""

        def hold() -> None:
            self.link.hold(held)

        self.room.clock.every(period, hold)

    def leg(self) -> Leg:
        return next(leg for leg in self.room.router.legs.values() if leg.owner == "bela")

    def run(self, seconds: float) -> "Speaker":
        self.room.run(seconds)
        return self


@pytest.mark.parametrize("loss", [0.0, 0.03])
def test_nothing_is_said_of_a_voice_that_arrives(loss: float) -> None:
    assert Speaker(VirtualLink(100e3, 0.3, loss=loss)).run(120).told == []


def test_a_voice_of_which_a_fifth_is_lost_is_said_and_so_is_its_end() -> None:
    speaker = Speaker(VirtualLink(100e3, 0.3))
    speaker.lose(20, 0.2)
    speaker.lose(60, 0.0)
    speaker.run(90)
    first, *_, last = speaker.told
    assert 21.5 <= first[0] <= 27
    assert (first[1]["owner"], first[1]["source"]) == ("bela", "microphone")
    during = [data for when, data in speaker.told if when < 61]
    assert {data["source"] for data in during} == {"microphone"}
    assert sum(data["loss"] for data in during[1:]) / len(during[1:]) == pytest.approx(0.2, abs=0.05)
    assert 65 <= last[0] <= 72
    assert (last[1]["source"], last[1]["loss"]) == (None, 0.0)


def test_a_voice_that_comes_unevenly_is_said() -> None:
    speaker = Speaker(VirtualLink(400e3, 0.3))
    speaker.at_every(0.6, 0.45)
    speaker.run(30)
    assert {data["source"] for _, data in speaker.told} == {"microphone"}
    assert 200 < speaker.told[-1][1]["late_ms"] < 500
    assert speaker.told[-1][1]["loss"] == 0


def test_a_voice_that_is_held_up_now_and_then_is_not_said() -> None:
    speaker = Speaker(VirtualLink(400e3, 0.3))
    speaker.at_every(4.0, 0.45)
    assert speaker.run(60).told == []


def test_a_way_that_became_longer_in_a_silence_is_not_said_to_be_late() -> None:
    speaker = Speaker(VirtualLink(400e3, 0.3))
    speaker.run(20)
    speaker.voice.quiet = True
    speaker.run(30)
    speaker.link.delay += 0.5
    speaker.run(30)
    speaker.voice.quiet = False
    assert speaker.run(30).told == []


def test_who_stops_sending_is_in_trouble_no_more() -> None:
    speaker = Speaker(VirtualLink(100e3, 0.3, loss=0.3)).run(20)
    assert speaker.told[-1][1]["source"] == "microphone"
    leg = speaker.leg()
    speaker.room.router.set_producer_paused(next(iter(leg.producers.values())), True, speaker.room.clock.now)
    speaker.run(15)
    assert speaker.told[-1][1]["source"] is None


def test_an_alarm_waits_both_ways() -> None:
    alarm = Alarm(0.1, 0.05)
    turns = []
    for number in range(400):
        now = number * 0.1
        before = alarm.on
        alarm.see(0.2 if 5 <= now < 10 or 20 <= now < 21 else 0.07 if now < 20 else 0.0, now)
        if alarm.on is not before:
            turns.append(round(now, 1))
    assert turns == [6.5, 26.0]


def test_the_chair_sees_once_who_is_in_trouble_both_ways() -> None:
    links = Links()
    weak = {"level": 1, "reason": "link", "trouble": True}
    assert links.note("anna", weak, 10.0)
    assert links.note_sending("anna", "microphone", 12.0)
    assert links.note_sending("bela", "camera", 5.0)
    assert not links.note_sending("bela", "camera", 6.0)
    assert links.listing(20.0) == {
        "members": [
            {"owner": "bela", "level": 4, "reason": None, "sends_badly": "camera", "for_s": 15},
            {"owner": "anna", "level": 1, "reason": "link", "sends_badly": "microphone", "for_s": 10},
        ],
        "more": 0,
    }
    assert links.note_sending("bela", None, 21.0)
    assert links.drop_way("anna", "recv")
    assert [(one["owner"], one["level"], one["reason"]) for one in links.listing(22.0)["members"]] == [
        ("anna", 4, None)
    ]
    assert links.drop("anna")
    assert links.listing(23.0)["members"] == []


async def test_a_seat_hears_of_its_own_sending_and_the_chair_of_everybodys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("folkmoot_server.realtime.media_links.TELL_PERIOD_S", 0.0)
    told: list[tuple[Any, str, dict[str, Any]]] = []
    desk = LinkDesk(lambda _room, whom, event, data: told.append((whom, event, data)))
    room = Room("hall", hall=False)
    room.members |= {"anna", "bela"}
    room.chairs = ["anna"]
    desk.on_sending(room, {"owner": "bela", "source": "microphone", "loss": 0.2, "late_ms": 9})
    desk.on_sending(room, {"owner": "gone", "source": "microphone", "loss": 0.2, "late_ms": 9})
    async with asyncio.timeout(20):
        while len(told) < 2:  # noqa: ASYNC110 - the desk tells a callback of ours
            await asyncio.sleep(0.01)
    assert told[0] == ("bela", "uplink", {"source": "microphone", "loss": 0.2, "late_ms": 9})
    assert [(whom, event, data["members"][0]["owner"]) for whom, event, data in told[1:]] == [
        ("anna", "links", "bela")
    ]


class RepairingCamera:
    """Anna's camera on a lossy link: 50 packets a second, each sent again as often as the worker asks for it."""

    def __init__(self, loss: float, delay: float, answers: bool = True) -> None:
        self.room, self.answers = LinkedRoom(), answers
        self.up = VirtualLink(2e6, delay, loss=loss, seed=3)
        self.down = VirtualLink(2e6, delay, loss=loss, seed=4)
        self.leg = self.room.leg("anna-send", "send", "anna")
        self.leg.round_trip = 2 * delay
        spec = ProducerSpec("video", "camera", "1", VP8, (EncodingSpec(7, None, None),), MID_ID, 0, 0, 0)
        self.producer = self.room.router.add_producer("anna-camera", self.leg, spec, False)
        self.sent, self.again, self.lost = 0, 0, set[int]()
        self.asked: Counter[int] = Counter()
        self._told = 0
        self.room.clock.every(0.02, lambda: self._send(self.sent + 1))
        self.room.clock.every(0.01, self._listen)

    def _send(self, number: int) -> None:
        first = number > self.sent
        self.sent, self.again = (number, self.again) if first else (self.sent, self.again + 1)
        payload = vp8(key=number == 1, picture=number & 0x7FFF, body=bytes(900))
        packet = rtp(ssrc=7, sequence=number, timestamp=number * 1800, payload_type=96, payload=payload, marker=True)
        arrival = self.up.send(1000, self.room.clock.now)
        if arrival is not None:
            self.room.clock.at(arrival, lambda: self._arrive(packet))
        elif first:
            self.lost.add(number)

    def _arrive(self, packet: bytes) -> None:
        self.room.now = self.room.clock.now
        self.room.receive(self.leg, packet)

    def _listen(self) -> None:
        told, self._told = self.room.reports[self._told :], len(self.room.reports)
        for part in (one for name, data in told if name == self.leg.id for one in rtcp.parse_compound(data)):
            if not isinstance(part, rtcp.Nack):
                continue
            self.asked.update(part.sequences)
            arrival = self.down.send(80, self.room.clock.now)
            for number in part.sequences if arrival is not None and self.answers else ():
                self.room.clock.at(arrival or 0.0, partial(self._send, number))

    @property
    def never_came(self) -> int:
        reception = self.producer.layers[0].reception
        return reception.highest - reception.first + 1 - reception.received


def test_on_a_short_link_nearly_every_lost_packet_is_repaired() -> None:
    camera = RepairingCamera(0.02, 0.02)
    camera.room.run(300)
    assert len(camera.lost) > 200
    assert camera.never_came <= 0.03 * len(camera.lost)


def test_control_what_nobody_sends_again_stays_lost() -> None:
    camera = RepairingCamera(0.02, 0.02, answers=False)
    camera.room.run(60)
    assert camera.never_came >= len(camera.lost) - 1 > 20


def test_on_a_long_link_that_loses_a_fifth_requests_and_repairs_stay_bounded() -> None:
    camera = RepairingCamera(0.2, 0.3)
    camera.room.run(200)
    assert len(camera.lost) > 1500
    assert max(camera.asked.values()) <= 3
    assert camera.again <= 0.25 * camera.sent
    assert camera.never_came <= 0.2 * len(camera.lost)
