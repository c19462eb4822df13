"""AV1's dependency descriptors on the wire: every back end sends the same, and what clients asked for."""

import socket
from typing import Any

import pytest
from tests.media.fan_rig import BACKENDS, Guest, RoomRig, made
from tests.media.support import rtp
from tests.media.test_codecs import described, structure
from tests.media.test_fan_equality import CAPABILITIES, NUMBERED
from tests.media.test_pipes_pictures import DESCRIPTOR_ID, av1_parameters

from folkmoot_media.forwarding import rtcp
from folkmoot_media.forwarding.model import VideoConsumer
from folkmoot_media.forwarding.packets import RtpPacket, parse_rtp, read_extensions
from folkmoot_media.rtp_parameters import DESCRIPTOR_ID as WRITTEN
from folkmoot_media.rtp_parameters import DESCRIPTOR_URI, WIDE_ID

AV1, AGAIN = 107, 108
DESCRIPTOR = {"kind": "video", "uri": DESCRIPTOR_URI, "preferredId": WRITTEN, "direction": "recvonly"}
CODECS = [
    {"kind": "video", "mimeType": "video/AV1", "clockRate": 90000, "rtcpFeedback": [{"type": "transport-cc"}]},
    CAPABILITIES["codecs"][2],
]
PLAIN: dict[str, Any] = {"codecs": CODECS}
CLIENTS: dict[str, dict[str, Any]] = {
    "both": {"codecs": CODECS, "headerExtensions": [*NUMBERED["headerExtensions"], DESCRIPTOR]},
    "described": {"codecs": CODECS, "headerExtensions": [DESCRIPTOR]},
    "numbered": {"codecs": CODECS, "headerExtensions": NUMBERED["headerExtensions"]},
    "plain": PLAIN,
    "unheard": {"codecs": CODECS, "headerExtensions": [{**DESCRIPTOR, "direction": "sendonly"}]},
}


class Film:
    """A publisher of one layer of AV1; `marks` are the descriptors of payloads."""

    def __init__(self, rig: RoomRig) -> None:
        self.guest = rig.join("anna", "send")
        parameters = av1_parameters(("r0",), True)
        data = {"transport_id": self.guest.id, "kind": "video", "source": "camera", "rtpParameters": parameters}
        self.id = str(rig.methods.call("transport.produce", data, rig.now)["id"])
        self.marks: dict[bytes, bytes | None] = {}

    def send(self, number: int, body: bytes, *, key: bool, with_marks: bool = True) -> None:
        # Large enough for the longer form of a header extension.
        marks = structure(number=number & 0xFFFF) + b"\0" if key else described(1 + number % 2, number & 0xFFFF)
        payload = b"\xff" + number.to_bytes(4, "big") + body
        self.marks[payload] = marks if with_marks else None
        extensions = {1: b"1", 2: b"r0", **({DESCRIPTOR_ID: marks} if with_marks else {})}
        numbers = {"ssrc": 7, "sequence": number, "timestamp": 3000 * number, "payload_type": 96, "marker": True}
        self.guest.send(rtp(**numbers, extensions=extensions, payload=payload))


def consume(rig: RoomRig, guest: Guest, film: Film, wish: dict[str, Any]) -> set[str]:
    """Watch; return the header extensions that were agreed on."""
    data = {"transport_id": guest.id, "producer_id": film.id, "rtpCapabilities": wish, "paused": False}
    answer: Any = rig.methods.call("transport.consume", data, rig.now)
    return {item["uri"] for item in answer["rtpParameters"]["headerExtensions"]}


def play(rig: RoomRig) -> tuple[Film, dict[str, Guest]]:
    """A film with every kind of client, some of which ask for packets again; the same for every back end."""
    film, guests, dice = Film(rig), {}, rig.dice
    for name, wish in CLIENTS.items():
        guests[name] = rig.join(name, "recv")
        agreed = consume(rig, guests[name], film, wish)
        assert (DESCRIPTOR_URI in agreed) == (name in ("both", "described"))
    for number in range(65_500, 65_700):
        if number % 50 == 25:
            # Whoever pauses and resumes begins anew at the next key frame.
            for action in ("pause", "resume"):
                (consumer,) = rig.consumers(guests["both"])
                data = {"transport_id": guests["both"].id, "consumer_id": consumer.id}
                rig.methods.call(f"consumer.{action}", data, rig.now)
        film.send(number, dice.bytes(dice.below(200)), key=number % 10 == 0, with_marks=number % 17 != 0)
        rig.receive()
        rig.pass_time(0.01)
        if number % 4 == 0:
            ask(rig, list(guests.values())[dice.below(len(guests))])
    return film, guests


def ask(rig: RoomRig, guest: Guest) -> None:
    """Ask again for some of the last packets."""
    (consumer,) = rig.consumers(guest)
    assert isinstance(consumer, VideoConsumer)
    if consumer.layer is not None:
        newest = consumer.layer.reception.last_position + consumer.sequence_shift
        nack = rtcp.build_nack(1, consumer.ssrc, [(newest - back) & 0xFFFF for back in (0, 2)])
        guest.send(rtcp.build_receiver_report(1, ()) + nack, control=True)


def outcome(name: str) -> tuple[Any, ...]:
    rig = RoomRig(made(name), "marked", socket.AF_INET)
    try:
        film, guests = play(rig)
        told = {name: (guest.arrived, guest.plain) for name, guest in guests.items()}
        return told, rig.fan.sent, rig.fan.dropped, rig.rooms.router("r").counters, film.marks
    finally:
        rig.close()


@pytest.fixture(scope="module")
def reference() -> tuple[Any, ...]:
    return outcome("python")


@pytest.mark.parametrize("name", BACKENDS)
def test_every_back_end_sends_the_same(name: str, reference: tuple[Any, ...]) -> None:
    assert outcome(name) == reference
    assert reference[3]["resent"] > 20


def packets(plain: list[bytes], kind: int) -> list[tuple[RtpPacket, dict[int, bytes]]]:
    found = [packet for packet in map(parse_rtp, plain) if packet is not None and packet.payload_type == kind]
    return [(packet, read_extensions(packet.extension_profile, packet.extensions)) for packet in found]


def differences(told: list[bytes], marks: dict[bytes, bytes | None], kind: int) -> tuple[set[int], int]:
    """What was added to frame numbers, and how many packets came; all else in descriptors is the publisher's."""
    shifts = set()
    found = packets(told, kind)
    for packet, values in found:
        original, came = marks[packet.payload[2 * (kind == AGAIN) :]], values.get(WRITTEN)
        assert (came is None) == (original is None)
        if came is not None and original is not None:
            assert came[:1] + came[3:] == original[:1] + original[3:]
            shifts.add((int.from_bytes(came[1:3], "big") - int.from_bytes(original[1:3], "big")) & 0xFFFF)
    return shifts, len(found)


def test_each_client_gets_what_it_asked_for(reference: tuple[Any, ...]) -> None:
    told, marks = reference[0], reference[4]
    for kind, least in ((AV1, 100), (AGAIN, 5)):
        for name in ("numbered", "plain", "unheard"):
            assert all(WRITTEN not in values for _, values in packets(told[name][1], kind))
        for name in ("both", "described"):
            shifts, count = differences(told[name][1], marks, kind)
            assert count > least
            assert (len(shifts) > 2) == (name == "both")
        for name in CLIENTS:
            numbered = [WIDE_ID in values for _, values in packets(told[name][1], kind)]
            assert set(numbered) == {name in ("both", "numbered")}
    profiles = {packet.extension_profile for packet, _ in packets(told["both"][1], AV1)}
    assert profiles == {0xBEDE, 0x1000}
    # Control: the check of one client does not pass for another.
    with pytest.raises(AssertionError):
        differences(told["plain"][1], marks, AV1)
