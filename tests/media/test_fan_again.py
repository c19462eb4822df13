"""Requests for lost packets that the compiled back end answers without Python: same bytes, same traces.

The controls change the C source, or keep from the library what it must be told, and the same comparison must fail.
"""

import socket
from pathlib import Path
from typing import Any

import pytest
from tests.media.fan_rig import Guest, RoomRig, made, picture, plays_differ
from tests.media.support import Dice, rtp, vp8
from tests.media.test_fan_express import Play, compiled
from tests.media.test_native_fan import altered

from folkmoot_media.fan import compiled_backend
from folkmoot_media.fan.rules import RuleTable
from folkmoot_media.forwarding import express, repair, rtcp
from folkmoot_media.forwarding.model import VideoConsumer

ROUNDS = 260
SEEDS = range(4)
SOUGHT = range(40)  # plays until a planted mistake shows; some show in one of ten
MANY = 90


class Asking(Play):
    """A room in which a camera is sent with few losses, and its receivers ask for much again."""

    had = 0

    def show(self) -> None:
        """Send a picture: nearly always plain; now and then it is lost, late or unreadable, or others are skipped."""
        dice, kind = self.dice, self.dice.below(400)
        self.sequence += 1
        if kind == 0:
            self.sequence += 1 + dice.below(3)
        number = self.sequence
        body = dice.bytes(dice.below(500 if self.sequence % 3 else 60))
        wire = picture(number, key=number % 200 == 1, body=body, marker=dice.below(2) == 0)
        if kind == 1 and not self.late:
            self.late.append(wire)
            return
        if kind == 2:
            payload = vp8(key=False, picture=number & 0x7FFF, tl0=number, body=body)
            wire = rtp(
                ssrc=7, sequence=number, timestamp=3000 * number, payload_type=96, payload=payload[: dice.below(8)]
            )
        elif kind == 3:
            wire = rtp(ssrc=7, sequence=number, timestamp=3000 * number, payload_type=96, payload=b"", padding=20)
        self.anna.send(wire)
        if self.late and dice.below(4) == 0:
            self.anna.send(self.late.pop())

    def ask(self, guest: Guest) -> None:
        """Ask for packets again as receivers do, for the first time or not, and now and then as only a foe would."""
        dice = self.dice
        for consumer in self.rig.consumers(guest):
            layer = consumer.layer if isinstance(consumer, VideoConsumer) else None
            if layer is None or not isinstance(consumer, VideoConsumer):
                continue
            newest = layer.reception.last_position + consumer.sequence_shift
            if guest is self.listeners[0]:
                # Who asks for everything has soon had all that may be sent again.
                numbers, self.had = list(range(max(self.had, newest - 60), newest + 1)), newest + 1
            else:
                reach = 15 if dice.below(15) else 700
                numbers = sorted({newest + 2 - dice.below(reach) for _ in range(1 + dice.below(3))})
            if numbers and dice.below(6) == 0:
                numbers.append(numbers[-1])
            if dice.below(80) == 0:
                numbers = list(range(newest - MANY, newest))
            nack = rtcp.build_nack(1, consumer.ssrc, [number & 0xFFFF for number in numbers])
            guest.send(asked(dice, nack, consumer.ssrc, newest & 0xFFFF), control=True)

    def change(self, number: int) -> None:
        if number in (40, 60, 75, 90, 100, 130):
            super().change(number)

    def run(self) -> "Asking":
        for number in range(1, ROUNDS):
            self.change(number)
            for _ in range(1 + self.dice.below(12)):
                self.show()
            self.take()
            for _ in range(self.dice.below(3)):
                self.ask(self.listeners[self.dice.below(len(self.listeners))])
                if self.dice.below(2):
                    self.take()
            if self.dice.below(6) == 0:
                self.show()
                self.ask(self.listeners[0])
                self.anna.send(rtcp.build_pli(1, 7), control=True)
                self.ask(self.listeners[1])
                self.take()
            if self.dice.below(4) == 0:
                self.rig.pass_time(0.02 * self.dice.below(6))
            if number % 70 == 0:
                self.probe()
        self.take()
        return self

    def probe(self) -> None:
        """Try a link with packets that nobody asked for."""
        router = self.rig.rooms.router("r")
        for guest in self.listeners[:3]:
            for consumer in self.rig.consumers(guest):
                if isinstance(consumer, VideoConsumer) and consumer.layer is not None:
                    repair.send_probe(consumer, repair.find_probe(consumer, 4, 300), self.rig.now, router.outbox)
        self.rig.rooms.flush(router, self.rig.now)
        self.rig.drain()


def asked(dice: Dice, nack: bytes, ssrc: int, newest: int) -> bytes:
    """Return a request in one of many kinds of compounds."""
    kind = dice.below(24)
    nothing = rtcp.build_receiver_report(1, ())
    if kind == 0:
        return (
            rtcp.build_sender_report(rtcp.SenderReport(9, 1 << 40, 2, 3, 4))
            + nack
            + rtcp.build_nack(1, ssrc, [newest])
        )
    if kind == 1:
        return nack + rtcp.build_nack(1, ssrc ^ 1, [5])
    if kind == 2:
        return nothing + rtcp.build_source_description(1, "guest") + nack + rtcp.build_remb(1, 9_000_000, [ssrc])
    if kind == 3:
        # The length of what follows is beyond the end.
        return nack + b"\x80\xc9\x00\x02" + bytes(4)
    if kind == 4:
        # Four bytes of padding, of which the last pair of numbers consists.
        return bytes((nack[0] | 0x20,)) + nack[1:-1] + b"\x04"
    if kind == 5:
        return nack + rtcp.build_pli(1, ssrc)
    if kind == 6:
        return nack + b"\x82\xc9\x00\x01" + bytes(4)
    if kind == 7:
        block = rtcp.ReportBlock(ssrc, 9, 3, 100, 5, 0, 0)
        return rtcp.build_receiver_report(1, (block,)) + nack
    return nothing + nack if dice.below(2) else nack


def played(name: str, seed: str, *, patient: bool = False) -> Any:
    """Return the outcome of a play, and how many packets the back end has sent again by itself."""
    rig = RoomRig(made(name), seed, socket.AF_INET)
    try:
        outcome = Asking(rig, patient).run().outcome()
        return outcome, int(str(rig.fan.figures().get("fan_again", 0)))
    finally:
        rig.close()


def differs() -> bool:
    """Say whether the compiled back end sends or remembers anything else than the one in Python in some play."""
    return plays_differ(played, (f"again-{seed}" for seed in SOUGHT))


@pytest.mark.parametrize("patient", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_sent_again_without_python_is_what_the_core_would_have_sent(seed: int, patient: bool) -> None:
    reference, _ = played("python", f"again-{seed}")
    outcome, again = played("compiled", f"again-{seed}", patient=patient)
    assert outcome == reference
    assert outcome[-1][2]["resent"] > again > 50


MISTAKES = {
    "number": ("made[1] = (uint8_t)sequence", "made[1] = 0"),
    "retransmission-number": ("(asker->sequence + 1) & 0xFFFF", "asker->sequence"),
    "retransmission-type": ("payload_type = asker->payload_type & 0x7F", "payload_type = row->payload_type"),
    "timestamp": ("kept->timestamp + row->timestamp", "kept->timestamp"),
    "marker": ("kept->marker | payload_type", "payload_type"),
    "stamp": ("lane->stamp++ : 0", "lane->stamp : 0"),
    "picture": ("if (kept->numbers.length)", "if (0)"),
    "position": ("kept->position == position", "1"),
    "asked-before": ("if (kept == NULL || was_asked(rule, position, request->row))", "if (kept == NULL)"),
    "asked-twice-at-once": ("kept == NULL || was_asked(request.rule, position, request.row)", "kept == NULL"),
    "asked-of-python": ("if (find_kept(rule, position) != NULL)", "if (0)"),
    "allowance": ("return 4 * octets <= rule->askers[request->row].spare + rule->octets", "return 1"),
    "two-requests": ("if (found || size < 8", "if (size < 8"),
    "cut": ("if (size > length - at - 4)", "if (0)"),
    "report-cut": ("if (size < (type == 200 ? 24 : 4) + 24 * format)", "if (0)"),
    "padding": ("(data[at] & 0xE0) != 0x80", "(data[at] & 0xC0) != 0x80"),
}


def plant(mistake: tuple[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled(altered(folder, "again.c", *mistake), folder / "fan.so")
    monkeypatch.setattr(compiled_backend, "LIBRARY", folder / "fan.so")


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_sending_again_is_seen(mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(MISTAKES[mistake], tmp_path, monkeypatch)
    assert differs()


def test_a_request_behind_what_python_must_judge_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled(altered(tmp_path, "receive.c", "fan->halted || !fan_answer", "!fan_answer"), tmp_path / "fan.so")
    monkeypatch.setattr(compiled_backend, "LIBRARY", tmp_path / "fan.so")
    assert differs()


@pytest.mark.parametrize("deaf", [(express, "tell_again"), (RuleTable, "_tell_again")])
def test_a_library_that_is_not_told_is_seen(deaf: tuple[Any, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*deaf, lambda *_: None)
    assert differs()


def test_an_answer_that_nobody_took_note_of_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RoomRig, "take_answered", lambda *_: None)
    assert differs()
