"""Every fan-out back end sends the same bytes to the same addresses as the one in plain Python."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.media.fan_rig import BACKENDS, Guest, MakeFan, RoomRig, TableRig, made, picture
from tests.media.support import audio_parameters, rtp, video_parameters

from folkmoot_media.fan.cffi_backend import CffiFan
from folkmoot_media.fan.compiled_backend import CompiledFan
from folkmoot_media.fan.interface import Fan
from folkmoot_media.fan.python_backend import PythonFan
from folkmoot_media.forwarding import rtcp
from folkmoot_media.forwarding.model import Batch, VideoConsumer
from folkmoot_media.forwarding.packets import WITH_WORDS
from folkmoot_media.rtp_parameters import WIDE_ID, WIDE_URI

FAMILIES = (socket.AF_INET, socket.AF_INET6)
CAPABILITIES: dict[str, Any] = {
    "codecs": [
        {"kind": "audio", "mimeType": "audio/opus", "clockRate": 48000, "channels": 2},
        {"kind": "video", "mimeType": "video/VP8", "clockRate": 90000},
        {"kind": "video", "mimeType": "video/rtx", "clockRate": 90000, "parameters": {"apt": 101}},
    ]
}
NUMBERED = {
    "codecs": [{**codec, "rtcpFeedback": [{"type": "transport-cc"}]} for codec in CAPABILITIES["codecs"]],
    "headerExtensions": [
        {"kind": kind, "uri": WIDE_URI, "preferredId": WIDE_ID, "direction": "sendrecv"}
        for kind in ("audio", "video")
    ],
}
SEEDS = range(12)
STEPS = 120


@contextmanager
def tables(make: MakeFan, seed: str, family: socket.AddressFamily) -> Iterator[TableRig]:
    rig = TableRig(make, seed, family)
    try:
        yield rig
    finally:
        rig.close()


def table_outcome(make: MakeFan, seed: str, family: socket.AddressFamily) -> tuple[object, ...]:
    with tables(make, seed, family) as rig:
        return rig.run(STEPS).outcome()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", SEEDS)
def test_random_tables_leave_as_the_same_bytes(seed: int, family: socket.AddressFamily) -> None:
    reference = table_outcome(made("python"), f"table-{seed}", family)
    arrived = reference[0]
    assert isinstance(arrived, list)
    assert sum(len(datagrams) for datagrams in arrived) > 100
    for name in BACKENDS:
        assert table_outcome(made(name), f"table-{seed}", family) == reference


def test_the_reference_back_end_drops_as_well_as_sends() -> None:
    with tables(made("python"), "table-0", socket.AF_INET) as rig:
        rig.run(STEPS)
        assert rig.fan.sent > 100
        assert rig.fan.dropped > 100
        assert any(endpoint.counters["withheld"] for endpoint in rig.endpoints)


def test_without_the_kernels_help_the_compiled_back_end_sends_the_same() -> None:
    def plain(wire: Any, ipv6: bool) -> Fan:
        return CompiledFan(wire, ipv6, bytes, segments=False)

    for family in FAMILIES:
        assert table_outcome(plain, "plain", family) == table_outcome(made("python"), "plain", family)


PLANTED: dict[str, Any] = {
    "sequence": lambda copy: (*copy[:2], copy[2] ^ 1, *copy[3:]),
    "marker": lambda copy: (copy[0], copy[1] ^ 0x80, *copy[2:]),
    "timestamp": lambda copy: (*copy[:3], copy[3] ^ 0x80000000, *copy[4:]),
    "ssrc": lambda copy: (*copy[:4], copy[4] ^ 1, *copy[5:]),
    "head": lambda copy: (*copy[:5], b"", copy[6]),
    "stamp": lambda copy: (*copy[:6], 0),
    "words": lambda copy: (copy[0], copy[1] ^ WITH_WORDS, *copy[2:]),
}


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_difference_in_one_copy_in_fifty_is_seen(
    name: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = table_outcome(made("python"), "planted", socket.AF_INET)
    backend = {"compiled": CompiledFan, "cffi": CffiFan, "python": PythonFan}[name]
    honest, count = backend.send, 0

    def send(fan: Any, batch: Batch) -> None:
        nonlocal count
        copies = []
        for copy in batch.copies:
            count += 1
            copies.append(PLANTED[fault](copy) if count % 50 == 0 else copy)
        honest(fan, batch._replace(copies=copies))

    monkeypatch.setattr(backend, "send", send)
    assert table_outcome(made(name), "planted", socket.AF_INET) != reference


@pytest.mark.parametrize("name", BACKENDS)
def test_a_planted_loss_of_one_rtcp_compound_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = table_outcome(made("python"), "control", socket.AF_INET)
    backend = {"compiled": CompiledFan, "cffi": CffiFan, "python": PythonFan}[name]
    honest, count = backend.send_control, 0

    def send_control(fan: Any, endpoint: Any, compound: bytes) -> None:
        nonlocal count
        count += 1
        if count != 7:
            honest(fan, endpoint, compound)

    monkeypatch.setattr(backend, "send_control", send_control)
    assert table_outcome(made(name), "control", socket.AF_INET) != reference


# -- whole rooms ----------------------------------------------------------------------------------------------


def consume(rig: RoomRig, guest: Guest, producer: str) -> None:
    data = {"transport_id": guest.id, "producer_id": producer, "rtpCapabilities": CAPABILITIES, "paused": False}
    rig.methods.call("transport.consume", data, rig.now)


def play(rig: RoomRig) -> list[tuple[list[bytes], list[bytes]]]:
    """A camera, a microphone, listeners who lose packets, report, leave; the same for every back end."""
    dice = rig.dice
    anna = rig.join("anna", "send")
    produced: list[str] = []
    for kind, source, parameters in (
        ("video", "camera", video_parameters(("r0",))),
        ("audio", "microphone", audio_parameters()),
    ):
        data = {"transport_id": anna.id, "kind": kind, "source": source, "rtpParameters": parameters, "paused": False}
        produced.append(str(rig.methods.call("transport.produce", data, rig.now)["id"]))
    listeners = [rig.join(f"seat-{number}", "recv") for number in range(6)]
    slots = [slot.producer_id for slot in rig.rooms.router("r").slots]
    for guest in listeners:
        consume(rig, guest, produced[0])
        for slot in slots:
            consume(rig, guest, slot)
    for number in range(1, 160):
        if number == 70:
            rig.rooms.close_transport(listeners[2].attached, "closed")
        if number == 90:
            data = {"transport_id": listeners[3].id, "consumer_id": rig.consumers(listeners[3])[0].id}
            rig.methods.call("consumer.close", data, rig.now)
        for _ in range(1 + dice.below(3)):
            anna.send(picture(number, key=number % 50 == 1, body=dice.bytes(dice.below(1200))))
        level = bytes((0x80 | dice.below(60),))
        voice = dice.bytes(60)
        anna.send(rtp(ssrc=5000, sequence=number, timestamp=960 * number, payload=voice, extensions={10: level}))
        if dice.below(4) == 0:
            complain(rig, listeners[dice.below(len(listeners))])
        if dice.below(3) == 0:
            rig.receive()
            rig.pass_time(0.02 * dice.below(5))
    rig.receive()
    return [(guest.arrived, guest.plain) for guest in rig.guests]


def complain(rig: RoomRig, guest: Guest) -> None:
    """Report, and ask again for some of the last video packets."""
    for consumer in rig.consumers(guest):
        if isinstance(consumer, VideoConsumer):
            newest = consumer.last_sequence if consumer.layer is None else consumer.layer.reception.last_position
            missing = [(newest + consumer.sequence_shift - back) & 0xFFFF for back in range(1, 6, 2)]
            block = rtcp.ReportBlock(consumer.ssrc, 9, 3, 100, 5, 0, 0)
            compound = rtcp.build_receiver_report(1, (block,)) + rtcp.build_nack(1, consumer.ssrc, missing)
            guest.send(compound, control=True)


def room_outcome(make: MakeFan, seed: str, family: socket.AddressFamily) -> tuple[Any, RoomRig]:
    rig = RoomRig(make, seed, family)
    try:
        return (play(rig), rig.fan.sent, rig.fan.dropped, rig.events, rig.rooms.router("r").counters), rig
    finally:
        rig.close()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", range(3))
def test_whole_rooms_with_history_and_leaving_members_sound_the_same(seed: int, family: socket.AddressFamily) -> None:
    reference, rig = room_outcome(made("python"), f"room-{seed}", family)
    assert rig.rooms.router("r").counters["resent"] > 10
    sizes = [len(arrived) for arrived, _ in reference[0]]
    assert all(size > 100 for size in sizes[1:])
    assert sizes[3] < sizes[2]
    kinds = {192 <= wire[1] <= 223 for arrived, _ in reference[0] for wire in arrived}
    assert kinds == {True, False}
    for name in ("cffi", "compiled"):
        assert room_outcome(made(name), f"room-{seed}", family)[0] == reference


def test_in_a_room_the_compiled_back_end_decrypts_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    from folkmoot_media.transport.mux import Mux

    monkeypatch.setattr(Mux, "datagram", lambda *_: pytest.fail("Python was asked to decrypt"))
    outcome, rig = room_outcome(made("compiled"), "room-0", socket.AF_INET)
    assert rig.rooms.router("r").counters["received"] > 200
    assert outcome[1] > 1000


@pytest.mark.parametrize("fault", ["address", "keys"])
def test_a_planted_fault_in_the_receiving_tables_is_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reference, _ = room_outcome(made("python"), "room-1", socket.AF_INET)
    if fault == "address":
        honest = CompiledFan.entered

        def entered(fan: Any, address: Any, endpoint: Any) -> None:
            honest(fan, (address[0], address[1] ^ 1, *address[2:]), endpoint)

        monkeypatch.setattr(CompiledFan, "entered", entered)
    else:
        monkeypatch.setattr(CompiledFan, "opened", lambda *_: None)
    assert room_outcome(made("compiled"), "room-1", socket.AF_INET)[0] != reference
