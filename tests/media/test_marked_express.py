"""AV1 with its dependency descriptors by rules: the same bytes and traces as from the core, repairs included.

The controls change the C source, and the same comparison must fail.
"""

import socket
from pathlib import Path
from typing import Any

import pytest
from tests.media.fan_rig import Guest, RoomRig, made, plays_differ
from tests.media.support import audio_parameters, rtp
from tests.media.test_codecs import described, structure
from tests.media.test_fan_again import Asking
from tests.media.test_fan_equality import CAPABILITIES, NUMBERED
from tests.media.test_fan_express import Play, compiled
from tests.media.test_marked_fan import CODECS, DESCRIPTOR
from tests.media.test_native_fan import altered
from tests.media.test_pipes_pictures import DESCRIPTOR_ID, av1_parameters

from folkmoot_media.fan import compiled_backend
from folkmoot_media.forwarding import express, marked

SEEDS = range(4)
SOUGHT = range(8)  # in some later plays a packet comes so late that the receivers' SRTP refuses it
BOTH_CODECS = [CAPABILITIES["codecs"][0], *CODECS]


class Film(Play):
    """The room of `Play` with a picture in AV1; some of its receivers want descriptors, some have none."""

    frame = 65_400

    def produce(self, guest: Guest, kind: str) -> str:
        parameters = av1_parameters(("r0",), True) if kind == "video" else audio_parameters()
        source = "camera" if kind == "video" else "microphone"
        data = {"transport_id": guest.id, "kind": kind, "source": source, "rtpParameters": parameters}
        return str(self.rig.methods.call("transport.produce", data, self.rig.now)["id"])

    def listen(self, guest: Guest) -> None:
        turn = self.rig.guests.index(guest)
        if turn % 2 == 0:
            # Nobody estimates this link: nothing to it is held back.
            guest.attached.leg.downlink = None
        extensions = NUMBERED["headerExtensions"] if turn % 2 == 0 else []
        wish = {"codecs": BOTH_CODECS, "headerExtensions": [*extensions, *([DESCRIPTOR] if turn % 3 else [])]}
        for producer in (self.camera, *(slot.producer_id for slot in self.rig.rooms.router("r").slots)):
            self.call(
                "transport.consume", transport_id=guest.id, producer_id=producer, rtpCapabilities=wish, paused=False
            )

    def marks(self, number: int) -> bytes | None:
        """A descriptor: mostly plain, now and then longer, with a structure, running back, cut or none."""
        dice, kind = self.dice, self.dice.below(40)
        self.frame += dice.below(3)
        frame = self.frame & 0xFFFF
        if number % 40 == 1 or kind == 0:
            if kind % 4 == 1:
                self.frame -= 700
            return structure(number=self.frame & 0xFFFF) + bytes(dice.below(2))
        if kind == 1:
            return None
        if kind == 2:
            return dice.bytes(1 + dice.below(2))
        plain = described(1 + number % 2, frame)
        return plain if kind < 20 else plain + bytes((dice.below(256) & 0x7F,)) + dice.bytes(dice.below(13))

    def show(self) -> None:
        """Send a picture: mostly plain, now and then lost, late, padded, too long, or of another section."""
        dice, kind = self.dice, self.dice.below(60)
        self.sequence += 1
        number, marks = self.sequence, self.marks(self.sequence)
        size = 1310 + dice.below(14) if kind == 4 else dice.below(1100)
        if kind == 4:
            # For some of these there is no room.
            marks = described(1, self.frame & 0xFFFF) + bytes(11)
        section = {1: b"2" if kind == 6 else b"1", 2: b"r0"} if kind != 4 else {}
        found = {DESCRIPTOR_ID: marks} if marks else {}
        wire = rtp(
            ssrc=7,
            sequence=number,
            timestamp=3000 * number,
            payload_type=96,
            marker=dice.below(2) == 0,
            payload=b"\xff" + dice.bytes(size) if kind != 2 else b"",
            padding=4 if kind in (2, 3) else 0,
            extensions={**section, **found} if dice.below(2) else {**found, **section},
        )
        if kind == 0:
            return
        if kind == 1:
            self.late.append(wire)
            return
        self.anna.send(wire)
        if self.late and dice.below(3) == 0:
            self.anna.send(self.late.pop())


class AskedFilm(Film, Asking):
    """The same with few losses, whose receivers ask for much again."""

    def show(self) -> None:
        if self.dice.below(200) == 0:
            self.sequence += 1
        self.sequence += 1
        number = self.sequence
        marks = structure(number=number & 0xFFFF) if number % 200 == 1 else self.marks(2)
        self.anna.send(
            rtp(
                ssrc=7,
                sequence=number,
                timestamp=3000 * number,
                payload_type=96,
                marker=self.dice.below(2) == 0,
                payload=b"\xff" + self.dice.bytes(self.dice.below(500 if number % 3 else 60)),
                extensions={1: b"1", 2: b"r0", **({DESCRIPTOR_ID: marks} if marks else {})},
            )
        )


def outcome(play: type[Play], name: str, seed: str, patient: bool, figure: str) -> Any:
    rig = RoomRig(made(name), seed, socket.AF_INET)
    try:
        return play(rig, patient).run().outcome(), int(str(rig.fan.figures().get(figure, 0)))
    finally:
        rig.close()


def filmed(name: str, seed: str, *, patient: bool = False) -> Any:
    """Return the outcome of a play, and how many copies rules made in it."""
    return outcome(Film, name, seed, patient, "fan_express")


def asked(name: str, seed: str, *, patient: bool = False) -> Any:
    """Return the outcome of a play, and how many packets rules sent again in it."""
    return outcome(AskedFilm, name, seed, patient, "fan_again")


@pytest.mark.parametrize("patient", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_what_rules_forward_is_what_the_core_would_have_sent(seed: int, patient: bool) -> None:
    reference, _ = filmed("python", f"film-{seed}")
    told, copies = filmed("compiled", f"film-{seed}", patient=patient)
    assert told == reference
    assert copies > 400


@pytest.mark.parametrize("patient", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_what_rules_send_again_is_what_the_core_would_have_sent(seed: int, patient: bool) -> None:
    reference, _ = asked("python", f"asked-{seed}")
    told, again = asked("compiled", f"asked-{seed}", patient=patient)
    assert told == reference
    assert told[-1][2]["resent"] > again > 50


MISTAKES = {
    "number": ("express.c", "get16(mark->data + 1) + row->picture", "get16(mark->data + 1)"),
    "filling": ("express.c", "memset(head, 0, 4 * words)", "(void)0"),
    "identifier": ("express.c", "row->mark << 4 | (mark->length - 1)", "7 << 4 | (mark->length - 1)"),
    "length": ("express.c", "row->mark << 4 | (mark->length - 1)", "row->mark << 4 | 2"),
    "another-row": ("express.c", "last->words != 0 && last->picture == row->picture", "last->words != 0"),
    "who-wants-none": ("express.c", "if (row->mark && found->mark.length)", "if (found->mark.length)"),
    "words": ("express.c", "copy->word |= marked.words << FAN_WORDS_AT", "(void)0"),
    "structure": ("express.c", "data[FAN_LEAST_MARK] & 0x80", "0"),
    "too-long": ("express.c", "length > FAN_MARK || ", ""),
    "cut": ("express.c", "length < FAN_LEAST_MARK ? 0 : length", "length"),
    "room": ("express.c", "found.length + FAN_HEAD > FAN_LARGEST_MARKED", "0"),
}
MISTAKES_AGAIN = {
    "mark": ("again.c", "kept->mark = *mark;", "kept->mark.length = 0;"),
    "words": ("again.c", ".word = words << FAN_WORDS_AT |", ".word ="),
    "length": ("again.c", "4 * words + start + kept->length", "start + kept->length"),
    "who-wants-none": ("again.c", "if (row->mark && kept->mark.length)", "if (kept->mark.length)"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_forwarding_is_seen(mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled(altered(tmp_path, *MISTAKES[mistake]), tmp_path / "fan.so")
    monkeypatch.setattr(compiled_backend, "LIBRARY", tmp_path / "fan.so")
    assert plays_differ(filmed, (f"film-{seed}" for seed in SOUGHT))


@pytest.mark.parametrize("mistake", MISTAKES_AGAIN)
def test_a_mistake_in_sending_again_is_seen(mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled(altered(tmp_path, *MISTAKES_AGAIN[mistake]), tmp_path / "fan.so")
    monkeypatch.setattr(compiled_backend, "LIBRARY", tmp_path / "fan.so")
    assert plays_differ(asked, (f"asked-{seed}" for seed in SOUGHT))


def test_the_numbers_that_the_library_knows_are_those_of_the_core() -> None:
    header = (Path(compiled_backend.LIBRARY).parent / "fan.h").read_text()
    for name, value in (
        ("FAN_MARK", marked.LONGEST_SHORT),
        ("FAN_LARGEST_MARKED", marked.ROOM),
        ("FAN_SHORT_WORDS", marked.SHORT_WORDS),
    ):
        assert f" {name} = {value}," in header
    assert express.MARK == marked.EXTENSION_ID
