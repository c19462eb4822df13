"""What the compiled back end forwards by rules, without Python, leaves as the same bytes and leaves the same traces.

The controls change the C source, or keep rules that should have been dropped, and the same comparison must fail.
"""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.media.fan_rig import Guest, RoomRig, Visitor, drain, made, picture, plays_differ
from tests.media.support import audio_parameters, rtp, video_parameters, vp8
from tests.media.test_fan_equality import CAPABILITIES, NUMBERED, complain
from tests.media.test_native_fan import TARGET, altered
from tools import native_build

from folkmoot_media.fan import compiled_backend
from folkmoot_media.fan.compiled_backend import CompiledFan
from folkmoot_media.fan.interface import MEDIA_WAITS, MOST_RECEIVED, OTHER_WAITS
from folkmoot_media.fan.rules import RuleTable
from folkmoot_media.forwarding import express, rtcp
from folkmoot_media.forwarding.model import VideoConsumer

ROUNDS = 220
SEEDS = range(4)
WAIT = 60.0
LAYER_TRACES = ("forwarded_packets", "forwarded_octets", "octets", "last_picture", "last_tl0", "frame_timestamp")
STREAM_TRACES = ("received", "octets", "highest", "last_position", "jitter", "heard")
ASKING_TRACES = ("rtx_sequence", "repair_octets", "resent")
SLOT_TRACES = ("packets", "octets", "owner", "last_position", "last_timestamp", "last_heard")


class Play:
    """A room in which nearly everything happens that may change how packets are copied."""

    def __init__(self, rig: RoomRig, patient: bool = False) -> None:
        """Let two members publish and six listen; `patient`: rules work while the back end waits."""
        self.rig, self.dice, self.patient = rig, rig.dice, patient
        self.anna, self.bela = rig.join("anna", "send"), rig.join("bela", "send")
        self.camera = self.produce(self.anna, "video")
        self.voices = [self.produce(guest, "audio") for guest in (self.anna, self.bela)]
        self.listeners = [rig.join(f"seat-{number}", "recv") for number in range(5)]
        for guest in self.listeners:
            self.listen(guest)
        self.sequence = self.held = 0
        self.late: list[bytes] = []

    def produce(self, guest: Guest, kind: str) -> str:
        parameters = video_parameters(("r0",)) if kind == "video" else audio_parameters()
        source = "camera" if kind == "video" else "microphone"
        data = {
            "transport_id": guest.id,
            "kind": kind,
            "source": source,
            "rtpParameters": parameters,
            "paused": False,
        }
        return str(self.rig.methods.call("transport.produce", data, self.rig.now)["id"])

    def listen(self, guest: Guest) -> None:
        numbered = len(self.rig.guests) % 2 == 0
        if numbered:
            # Nobody estimates this link: nothing to it is held back.
            guest.attached.leg.downlink = None
        for producer in (self.camera, *(slot.producer_id for slot in self.rig.rooms.router("r").slots)):
            data = {
                "transport_id": guest.id,
                "producer_id": producer,
                "rtpCapabilities": NUMBERED if numbered else CAPABILITIES,
                "paused": False,
            }
            self.rig.methods.call("transport.consume", data, self.rig.now)

    def call(self, method: str, **data: Any) -> None:
        self.rig.methods.call(method, data, self.rig.now)

    def show(self) -> None:
        """Send a picture: mostly plain, now and then lost, late, padded, too long, cut, or of another section."""
        dice, kind = self.dice, self.dice.below(60)
        self.sequence += 1
        number = self.sequence
        body = dice.bytes(dice.below(1100))
        wire = picture(number, key=number % 40 == 1, body=body, marker=dice.below(2) == 0)
        plain = {"ssrc": 7, "sequence": number, "timestamp": 3000 * number, "payload_type": 96}
        payload = vp8(key=False, picture=number & 0x7FFF, tl0=number, body=body)
        if kind == 0:
            return
        if kind == 1:
            self.late.append(wire)
            return
        if kind == 2:
            wire = rtp(**plain, payload=b"", padding=20)
        elif kind == 3:
            wire = rtp(**plain, payload=payload, padding=4)
        elif kind == 4:
            wire = rtp(**plain, payload=bytes(1340))
        elif kind == 5:
            wire = rtp(**plain, payload=payload[: dice.below(8)])
        elif kind == 6:
            wire = rtp(**plain, payload=payload, extensions={1: b"2"})
        elif kind < 20:
            # Without a header extension, and with a short picture number.
            wire = rtp(**plain, payload=bytes((0x90, 0xC0, number & 0x7F, number & 0xFF)) + b"\x01" + body)
        self.anna.send(wire)
        if self.late and dice.below(3) == 0:
            self.anna.send(self.late.pop())

    def speak(self, number: int) -> None:
        for turn, guest in enumerate((self.anna, self.bela)):
            loud = number // 60 % 2 == turn
            level = bytes((0x80 | (10 if loud else 100) + self.dice.below(9),))
            voice = rtp(
                ssrc=5000,
                sequence=number,
                timestamp=960 * number,
                payload=self.dice.bytes(60),
                extensions={10: level},
                marker=number % 25 == 0,
            )
            if self.dice.below(40):
                guest.send(voice)

    def change(self, number: int) -> None:
        """Do what is due in this round to the room."""
        rig, seats = self.rig, self.listeners
        videos = {seat.id: rig.consumers(seat)[0].id for seat in seats if rig.consumers(seat)}
        if number == 40:
            self.listeners.append(rig.join("late", "recv"))
            self.listen(self.listeners[-1])
        elif number in (60, 75):
            method = "consumer.pause" if number == 60 else "consumer.resume"
            self.call(method, transport_id=seats[1].id, consumer_id=videos[seats[1].id])
        elif number in (90, 100):
            method = "producer.pause" if number == 90 else "producer.resume"
            self.call(method, router_id="r", producer_id=self.camera)
        elif number in (110, 120):
            self.call("router.mute_owner", router_id="r", owner="anna", muted=number == 110)
        elif number == 130:
            rig.rooms.close_transport(seats[2].attached, "closed")
        elif number == 140:
            self.call("consumer.close", transport_id=seats[3].id, consumer_id=videos[seats[3].id])
        elif number == 150:
            # The publisher begins anew.
            self.sequence += 20_000
        elif number == 170:
            self.call("router.set_floor", router_id="r", mode="chaired", chairs=["bela"], granted=[])

    def take(self) -> None:
        if self.patient and isinstance(self.rig.fan, CompiledFan):
            # With a signal that nothing else waits: what came is forwarded while waiting, and noted afterwards.
            left, right = socket.socketpair()
            with left, right:
                left.send(b"x")
                assert waits(self.rig, right.fileno(), WAIT) & OTHER_WAITS
                # The clock of this world stands still.
                for place in range(MOST_RECEIVED):
                    self.rig.fan._times[place] = self.rig.now
        self.rig.receive()

    def run(self) -> "Play":
        for number in range(1, ROUNDS):
            self.change(number)
            for _ in range(1 + self.dice.below(4)):
                self.show()
            self.speak(number)
            if self.dice.below(6) == 0:
                complain(self.rig, self.listeners[self.dice.below(len(self.listeners))])
            if self.dice.below(3) == 0:
                self.take()
            if self.dice.below(8) == 0:
                self.rig.receive()
            if self.dice.below(4) == 0:
                self.take()
                self.rig.pass_time(0.02 * self.dice.below(6))
        self.take()
        return self

    def outcome(self) -> tuple[object, ...]:
        """Return what arrived (media and RTCP apart, whose order is nobody's promise), and what is remembered."""
        rig = self.rig
        router = rig.rooms.router("r")
        heard = [
            [[wire for wire in guest.arrived if (192 <= wire[1] <= 223) is control] for control in (False, True)]
            for guest in rig.guests
        ]
        logs = [guest.attached.leg.wide for guest in rig.guests]
        numbers = [(log.next, log._ring) for log in logs if log is not None]
        asking = [
            (*traces(consumer, ASKING_TRACES), consumer.retransmissions.sent)
            for guest in rig.guests
            for consumer in rig.consumers(guest)
            if isinstance(consumer, VideoConsumer)
        ]
        streams = [
            traces(layer, LAYER_TRACES) + traces(layer.reception, STREAM_TRACES)
            for producer in router.producers.values()
            for layer in producer.layers
        ]
        slots = [traces(slot, SLOT_TRACES) for slot in router.slots]
        endpoints = [(guest.attached.endpoint.packets_in, guest.attached.endpoint.octets_in) for guest in rig.guests]
        sums = rig.fan.sent, rig.fan.dropped, router.counters
        return heard, numbers, asking, streams, slots, endpoints, rig.events, sums


def traces(thing: object, names: tuple[str, ...]) -> list[object]:
    return [getattr(thing, name) for name in names]


def played(name: str, seed: str, *, patient: bool = False, family: socket.AddressFamily = socket.AF_INET) -> Any:
    """Return the outcome of a play, and how many copies rules made in it."""
    rig = RoomRig(made(name), seed, family)
    try:
        outcome = Play(rig, patient).run().outcome()
        return outcome, int(str(rig.fan.figures().get("fan_express", 0)))
    finally:
        rig.close()


def differs() -> bool:
    """Say whether the compiled back end sends anything else than the one in Python in some play."""
    return plays_differ(played, (f"express-{seed}" for seed in SEEDS))


@pytest.mark.parametrize("patient", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_what_rules_forward_is_what_the_core_would_have_sent(seed: int, patient: bool) -> None:
    reference, _ = played("python", f"express-{seed}")
    assert sum(len(media) for media, _ in reference[0]) > 1500
    outcome, express_copies = played("compiled", f"express-{seed}", patient=patient)
    assert outcome == reference
    assert express_copies > 400


def test_over_ipv6_too() -> None:
    reference, _ = played("python", "express-6", family=socket.AF_INET6)
    outcome, express_copies = played("compiled", "express-6", patient=True, family=socket.AF_INET6)
    assert outcome == reference
    assert express_copies > 400


MISTAKES = {
    "sequence": ("(rule->position + row->sequence) & 0xFFFF", "rule->position & 0xFFFF"),
    "position": ("rule->position = position;", "rule->position = expected;"),
    "timestamp": (".timestamp = timestamp + row->timestamp", ".timestamp = timestamp"),
    "picture": ("& 0x7FFF) + picture_shift)", "& 0x7FFF))"),
    "short-picture": ("(head[numbers->picture_at] + picture_shift) & 0x7F", "head[numbers->picture_at] & 0x7F"),
    "tl0": ("(uint8_t)(head[numbers->tl0_at] + tl0_shift)", "head[numbers->tl0_at]"),
    "marker": ("((uint32_t)packet[1] & 0x80) << 16", "0"),
    "stamp": ("lane->stamp++", "lane->stamp"),
    "order": ("get16(packet + 2) != rule->expected", "0"),
    "epoch": ("rule->epoch != fan->epoch ||", ""),
    "section": ("(size != rule->mid_length || memcmp(data + at + 1, rule->mid, size) != 0)", "0"),
    "padding": ("(data[0] & 0xEF) != 0x80", "(data[0] & 0xCF) != 0x80"),
    "too-long": ("|| length - start > FAN_LARGEST_EXPRESS", ""),
    "cut": ("return at < size ? 0 : -1", "return 0"),
}


def compiled(sources: list[str], library: Path) -> None:
    compiler = native_build.find_compiler()
    assert compiler is not None
    flags = [*native_build.FLAGS, "-O1", "-w", "-fPIC", "-shared"]
    assert native_build.compile_to(library, [compiler, *flags, *sources], TARGET.libraries) == ""


@pytest.mark.parametrize("mistake", [name for name in MISTAKES if name != "epoch"])
def test_a_mistake_in_the_library_is_seen(mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled(altered(tmp_path, "express.c", *MISTAKES[mistake]), tmp_path / "fan.so")
    monkeypatch.setattr(compiled_backend, "LIBRARY", tmp_path / "fan.so")
    assert differs()


def test_a_rule_behind_what_python_must_judge_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled(altered(tmp_path, "receive.c", "fan->halted || !fan_forward", "!fan_forward"), tmp_path / "fan.so")
    monkeypatch.setattr(compiled_backend, "LIBRARY", tmp_path / "fan.so")
    assert differs()


def test_a_rule_that_outlived_a_change_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(express, "drop", lambda _: None)
    assert differs()


def test_a_packet_that_nobody_took_note_of_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    honest, count = RoomRig.take_forwarded, 0

    def forget(rig: RoomRig, *arguments: Any) -> None:
        nonlocal count
        count += 1
        if count != 50:
            honest(rig, *arguments)

    monkeypatch.setattr(RoomRig, "take_forwarded", forget)
    assert differs()


# -- a path that changes ----------------------------------------------------------------------------------------


def camera_room(rig: RoomRig) -> tuple[Visitor, Visitor]:
    """Return a publisher and a subscriber between whom a rule stands."""
    anna, cleo = rig.visit("anna", "send"), rig.visit("cleo", "recv")
    data = {"transport_id": anna.id, "kind": "video", "source": "camera", "rtpParameters": video_parameters(("r0",))}
    producer = str(rig.methods.call("transport.produce", {**data, "paused": False}, rig.now)["id"])
    take = {"transport_id": cleo.id, "producer_id": producer, "rtpCapabilities": CAPABILITIES, "paused": False}
    show(rig, anna, 1)
    rig.methods.call("transport.consume", take, rig.now)
    rig.wait(0.1)
    show(rig, anna, 2, 4)
    assert len(cleo.rtp) == 4
    assert made_by_rules(rig) == 3
    cleo.rtp.clear()
    return anna, cleo


def show(rig: RoomRig, anna: Visitor, first: int, count: int = 1) -> None:
    for number in range(first, first + count):
        anna.active.send_rtp(picture(number, key=number < 3, body=bytes(600)))
        rig.settle()


def made_by_rules(rig: RoomRig) -> int:
    return int(str(rig.fan.figures()["fan_express"]))


@pytest.fixture
def rig() -> Iterator[RoomRig]:
    fresh = RoomRig(made("compiled"), "express", socket.AF_INET)
    yield fresh
    fresh.close()


def pictures_after_a_move(rig: RoomRig) -> int:
    anna, cleo = camera_room(rig)
    cleo.move()
    cleo.rtp.clear()
    show(rig, anna, 6, 3)
    return len(cleo.rtp) + sum(len(drain(opened)) for opened in cleo.sockets)


def test_a_rule_sends_nothing_to_a_path_that_is_not_proven_nor_to_the_old_one(rig: RoomRig) -> None:
    assert pictures_after_a_move(rig) == 0


def test_a_rule_that_outlived_a_move_would_be_seen(rig: RoomRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RuleTable, "new_epoch", lambda _: None)
    assert pictures_after_a_move(rig) > 0


def test_a_library_that_ignored_the_epoch_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled(altered(tmp_path, "express.c", *MISTAKES["epoch"]), tmp_path / "fan.so")
    monkeypatch.setattr(compiled_backend, "LIBRARY", tmp_path / "fan.so")
    broken = RoomRig(made("compiled"), "express", socket.AF_INET)
    assert pictures_after_a_move(broken) > 0
    broken.close()


def test_when_its_publisher_leaves_the_rule_is_gone(rig: RoomRig) -> None:
    anna, cleo = camera_room(rig)
    fan = rig.fan
    assert isinstance(fan, CompiledFan)
    assert len(fan._rules._epochs) == 1
    rig.rooms.close_transport(rig.rooms.transports[anna.id], "closed")
    assert fan._rules._epochs == {}
    show(rig, anna, 6)
    assert cleo.rtp == []


def test_who_has_gone_silent_ends_no_rule_and_is_in_it_again_when_back(rig: RoomRig) -> None:
    anna, cleo = camera_room(rig)
    dora = rig.visit("dora", "recv")
    producer = next(iter(rig.rooms.router("r").producers))
    take = {"transport_id": dora.id, "producer_id": producer, "rtpCapabilities": CAPABILITIES, "paused": False}
    rig.methods.call("transport.consume", take, rig.now)
    rig.wait(0.1)
    show(rig, anna, 6, 1)
    anna.active.send_rtp(picture(7, key=True, body=bytes(600)))
    rig.settle()
    show(rig, anna, 8, 2)
    dora.endpoint.fall_silent()
    dora.rtp.clear()
    cleo.rtp.clear()
    before = made_by_rules(rig)
    show(rig, anna, 10, 4)
    assert len(cleo.rtp) == 4
    assert dora.rtp == []
    assert made_by_rules(rig) >= before + 3
    dora.active.check()
    rig.settle()
    before = made_by_rules(rig)
    show(rig, anna, 14, 4)
    assert len(dora.rtp) == 4
    assert made_by_rules(rig) >= before + 6


HOLDS: dict[str, tuple[Callable[[Any], object], Callable[[Any], object]]] = {
    "pipe": (lambda router: router.pipes.update(p=object()), lambda router: router.pipes.clear()),
    "paced": (lambda router: router._paced.append(object()), lambda router: router._paced.clear()),
}


@pytest.mark.parametrize("hold", HOLDS)
def test_a_paced_link_or_a_pipe_ends_all_rules_of_the_room(hold: str, rig: RoomRig) -> None:
    _, cleo = camera_room(rig)
    anna, router = rig.visitors[0], rig.rooms.router("r")
    layer = next(iter(router.producers.values())).layers[0]
    begin, end = HOLDS[hold]
    assert layer.rule is not None
    begin(router)
    router.choose_rules()
    assert layer.rule is None
    end(router)
    before = made_by_rules(rig)
    show(rig, anna, 6, 3)
    assert made_by_rules(rig) == before
    router.choose_rules()
    show(rig, anna, 9, 3)
    assert made_by_rules(rig) == before + 2
    assert len(cleo.rtp) == 6


# -- waiting ----------------------------------------------------------------------------------------------------


@pytest.fixture
def quiet() -> Iterator[int]:
    """A descriptor that is never readable."""
    reading, writing = os.pipe()
    yield reading
    os.close(reading)
    os.close(writing)


def waits(rig: RoomRig, other: int, seconds: float) -> int:
    assert rig.fan.waiter is not None
    return rig.fan.waiter(other, seconds)


def test_while_it_waits_it_forwards_and_python_is_told_when_time_is_up(rig: RoomRig, quiet: int) -> None:
    anna, cleo = camera_room(rig)
    received = rig.rooms.router("r").counters["received"]
    for number in range(6, 10):
        anna.active.send_rtp(picture(number, key=False, body=bytes(600)))
    assert waits(rig, quiet, 0.05) == MEDIA_WAITS
    cleo.hear()
    assert len(cleo.rtp) == 4
    assert rig.rooms.router("r").counters["received"] == received
    assert rig.rooms.receive(rig, rig.now) == 4
    assert rig.rooms.router("r").counters["received"] == received + 4
    assert waits(rig, quiet, 0.0) == 0


Upset = Callable[[Visitor, Visitor], None]
UPSETS: dict[str, Upset] = {
    "gap": lambda anna, _: anna.active.send_rtp(picture(8, key=False, body=b"after a gap")),
    "check": lambda anna, _: anna.active.check(),
    "nack": lambda _, cleo: cleo.active.send_rtcp(rtcp.build_nack(1, 2, [3])),
    "key-frame-request": lambda _, cleo: cleo.active.send_rtcp(rtcp.build_pli(1, 2)),
}


@pytest.mark.parametrize("upset", UPSETS)
def test_what_python_must_judge_ends_the_waiting_at_once(upset: str, rig: RoomRig, quiet: int) -> None:
    anna, cleo = camera_room(rig)
    UPSETS[upset](anna, cleo)
    # Much longer than the test may take.
    assert waits(rig, quiet, 3600.0) == MEDIA_WAITS


def test_reports_and_estimates_wait_a_little(rig: RoomRig, quiet: int) -> None:
    _, cleo = camera_room(rig)
    cleo.active.send_rtcp(rtcp.build_receiver_report(1, ()) + rtcp.build_remb(1, 500_000, [2]))
    left, right = socket.socketpair()
    with left, right:
        left.send(b"x")
        assert waits(rig, right.fileno(), 3600.0) == MEDIA_WAITS | OTHER_WAITS
    assert rig.rooms.receive(rig, rig.now) == 1


def test_another_descriptor_ends_the_waiting(rig: RoomRig) -> None:
    left, right = socket.socketpair()
    with left, right:
        left.send(b"x")
        assert waits(rig, right.fileno(), 3600.0) == OTHER_WAITS


def test_before_there_is_no_room_for_more_the_waiting_ends(rig: RoomRig, quiet: int) -> None:
    anna, cleo = camera_room(rig)
    for number in range(6, 6 + 3 * MOST_RECEIVED):
        anna.active.send_rtp(picture(number, key=False, body=bytes(100)))
    taken = 0
    while waits(rig, quiet, 0.05) & MEDIA_WAITS:
        found = rig.rooms.receive(rig, rig.now)
        assert found <= MOST_RECEIVED
        taken += found
    assert taken == 3 * MOST_RECEIVED
    cleo.hear()
    assert len(cleo.rtp) == 3 * MOST_RECEIVED
