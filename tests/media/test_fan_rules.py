"""Whatever the back end: who may be sent what, and whose packets come in. Real ICE, DTLS and SRTP over loopback.

The controls take a guard away and see the same test fail.
"""

import socket
from collections.abc import Callable, Iterator

import pytest
from tests.media.fan_rig import BACKENDS, RoomRig, TableRig, Visitor, drain, made, picture
from tests.media.support import audio_parameters, rtp, video_parameters

from folkmoot_media.fan.compiled_backend import CompiledFan, Numbers
from folkmoot_media.fan.interface import MOST_RECEIVED, QueueingFan
from folkmoot_media.forwarding import rtcp
from folkmoot_media.forwarding.model import Batch
from folkmoot_media.transport.endpoint import PACKETS_PER_SECOND, Endpoint

CAPABILITIES = {
    "codecs": [
        {"kind": "audio", "mimeType": "audio/opus", "clockRate": 48000, "channels": 2},
        {"kind": "video", "mimeType": "video/VP8", "clockRate": 90000},
    ]
}
MakeRig = Callable[[], RoomRig]


WAYS = {"ipv4": (socket.AF_INET, False), "ipv6": (socket.AF_INET6, False), "ipv4-on-ipv6": (socket.AF_INET, True)}


@pytest.fixture(params=[(name, way) for name in BACKENDS for way in WAYS], ids="-".join)
def rig(request: pytest.FixtureRequest) -> Iterator[RoomRig]:
    name, way = request.param
    fresh = RoomRig(made(name), "rules", *WAYS[way])
    yield fresh
    fresh.close()


def produce(visitor: Visitor, kind: str) -> str:
    parameters = video_parameters(("r0",)) if kind == "video" else audio_parameters()
    source = "camera" if kind == "video" else "microphone"
    data = {"transport_id": visitor.id, "kind": kind, "source": source, "rtpParameters": parameters, "paused": False}
    return str(visitor.rig.methods.call("transport.produce", data, visitor.rig.now)["id"])


def consume(visitor: Visitor, producer: str) -> None:
    data = {
        "transport_id": visitor.id,
        "producer_id": producer,
        "rtpCapabilities": CAPABILITIES,
        "paused": False,
    }
    visitor.rig.methods.call("transport.consume", data, visitor.rig.now)


def show(rig: RoomRig, anna: Visitor, first: int, count: int = 1) -> None:
    """Send pictures and let them through."""
    for number in range(first, first + count):
        anna.active.send_rtp(picture(number, key=True, body=bytes(600)))
    rig.settle()


def camera_room(rig: RoomRig) -> tuple[Visitor, Visitor]:
    anna, cleo = rig.visit("anna", "send"), rig.visit("cleo", "recv")
    producer = produce(anna, "video")
    show(rig, anna, 1)
    consume(cleo, producer)
    show(rig, anna, 2, 2)
    assert len(cleo.rtp) == 2
    cleo.rtp.clear()
    return anna, cleo


def test_media_from_an_unchecked_address_reaches_nobody(rig: RoomRig) -> None:
    anna, cleo = camera_room(rig)
    anna.sockets.append(anna.sockets[0].dup())
    wire = anna.active.protect(picture(4, key=True, body=bytes(600)))
    with socket.socket(rig.family, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(wire, rig.reach)
    rig.settle()
    assert cleo.rtp == []
    assert unchecked(rig) == 1
    # The control: from the checked address the same bytes do come through.
    anna._send(wire)
    rig.settle()
    assert len(cleo.rtp) == 1


def unchecked(rig: RoomRig) -> int:
    return rig.rooms.mux.counters["unchecked_source"]


def forged_and_replayed(rig: RoomRig) -> tuple[int, int]:
    """Send three pictures, one forged, one twice; return what was refused and what arrived."""
    anna, cleo = camera_room(rig)
    wires = [anna.active.protect(picture(number, key=True, body=bytes(600))) for number in (4, 5, 6)]
    for wire in (wires[0], wires[0], wires[1][:-1] + bytes((wires[1][-1] ^ 1,)), wires[2], wires[2][:20]):
        anna._send(wire)
    rig.settle()
    return anna.endpoint.counters["unprotect_failed"], len(cleo.rtp)


def test_forged_replayed_and_cut_packets_are_refused_and_counted(rig: RoomRig) -> None:
    assert forged_and_replayed(rig) == (3, 2)


def move_and_prove(rig: RoomRig) -> list[int]:
    """Return how many pictures arrive: after a move, after a stale echo, after the right one."""
    anna, cleo = camera_room(rig)
    rig.wait(1.2)
    stale = report_in(cleo)
    cleo.move()
    arrived = []
    cleo.rtp.clear()
    cleo.rtcp.clear()
    show(rig, anna, 4, 3)
    arrived.append(len(cleo.rtp))
    rig.wait(0.2)
    challenge = report_in(cleo)
    for number, heard in ((7, stale), (8, challenge)):
        cleo.rtp.clear()
        block = rtcp.ReportBlock(challenge.ssrc, 0, 0, 0, 0, heard.ntp >> 16 & 0xFFFFFFFF, 0)
        cleo.active.send_rtcp(rtcp.build_receiver_report(3, (block,)))
        rig.settle()
        show(rig, anna, number)
        arrived.append(len(cleo.rtp))
    return arrived


def report_in(visitor: Visitor) -> rtcp.SenderReport:
    return next(part for part in rtcp.parse_compound(visitor.rtcp[-1]) if isinstance(part, rtcp.SenderReport))


def test_a_moved_transport_gets_video_only_when_a_report_proves_the_path(rig: RoomRig) -> None:
    assert move_and_prove(rig) == [0, 0, 1]


@pytest.mark.parametrize("name", BACKENDS)
def test_without_the_guard_a_moved_transport_would_get_video(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def route(fan: QueueingFan, endpoint: Endpoint, size: int, audio: bool, now: float) -> object:
        return fan._make_route(endpoint)

    monkeypatch.setattr(QueueingFan, "_route", route)
    rig = RoomRig(made(name), "rules", socket.AF_INET)
    assert move_and_prove(rig)[0] == 3
    rig.close()


@pytest.mark.parametrize("name", BACKENDS)
def test_a_route_that_outlived_a_move_would_be_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = RoomRig(made(name), "rules", socket.AF_INET)
    honest = Endpoint.select

    def select(endpoint: Endpoint, path: object, now: float) -> bool:
        kept = endpoint.route
        moved = honest(endpoint, path, now)  # type: ignore[arg-type]
        endpoint.route = kept
        return moved

    monkeypatch.setattr(Endpoint, "select", select)
    # Pictures go on to the old address, which the visitor still listens to.
    assert move_and_prove(rig)[0] == 3
    rig.close()


def test_a_moved_transport_gets_audio_at_64_kbit_s_for_ten_seconds(rig: RoomRig) -> None:
    anna, cleo = rig.visit("anna", "send"), rig.visit("cleo", "recv")
    produce(anna, "audio")
    for slot in rig.rooms.router("r").slots:
        consume(cleo, slot.producer_id)
    cleo.move()
    heard_in = []
    for second in range(14):
        cleo.rtp.clear()
        for tick in range(50):
            number = second * 50 + tick + 1
            voice = rtp(
                ssrc=5000, sequence=number, timestamp=960 * number, payload=bytes(400), extensions={10: b"\x10"}
            )
            anna.active.send_rtp(voice)
            rig.wait(0.02, 0.02)
        if second % 5 == 0:
            cleo.active.check()
            anna.active.check()
        heard_in.append(sum(len(packet) for packet in cleo.rtp))
    assert all(4000 < octets <= 8000 + 4000 for octets in heard_in[:9])
    assert heard_in[12:] == [0, 0]


def test_what_was_queued_before_a_move_obeys_the_rules_after_it(rig: RoomRig) -> None:
    _, cleo = camera_room(rig)
    leg = rig.rooms.transports[cleo.id].leg
    consumer = next(iter(leg.consumers.values()))
    rig.fan.send(Batch(bytes(700), False, [(leg, 96, 5, 6, consumer.ssrc, b"", 0)]))
    old = cleo.sockets[0]
    cleo.move()
    assert cleo.endpoint.restricted
    rig.fan.flush(rig.now)
    assert drain(old) == []
    assert drain(cleo.sockets[-1]) == []
    assert cleo.endpoint.counters["withheld"] >= 1


def test_an_address_taken_over_by_another_transport_is_no_longer_sent_the_first_ones_media(rig: RoomRig) -> None:
    anna, cleo = camera_room(rig)
    for _ in range(3):
        rig.wait(5)
        anna.active.check()
        rig.settle()
    dora = Visitor(rig, "dora", "recv")
    dora.sockets, cleo.sockets = cleo.sockets, [dora.sockets[0]]
    dora.connect()
    assert cleo.endpoint.address is None
    dora.rtp.clear()
    show(rig, anna, 4, 3)
    assert dora.rtp == []
    assert drain(dora.sockets[0]) == []
    # What comes from there is now decrypted with the new transport's keys.
    refused = dora.endpoint.counters["unprotect_failed"]
    dora._send(cleo.active.protect(rtp(ssrc=1, sequence=1)))
    rig.settle()
    assert dora.endpoint.counters["unprotect_failed"] == refused + 1


def test_after_consent_has_expired_nothing_is_sent_and_nothing_comes_in(rig: RoomRig) -> None:
    anna, cleo = camera_room(rig)
    for _ in range(16):
        rig.wait(5)
        anna.active.check()
        rig.settle()
    assert [data["reason"] for _, name, data in rig.events if name == "transport_closed"] == ["consent-expired"]
    drain(cleo.sockets[0])
    show(rig, anna, 4, 3)
    assert drain(cleo.sockets[0]) == []
    before = unchecked(rig)
    cleo._send(cleo.active.protect(rtp(ssrc=1, sequence=1)))
    rig.settle()
    assert unchecked(rig) == before + 1


def test_packets_over_the_budget_are_dropped_before_decryption(rig: RoomRig) -> None:
    anna, _ = camera_room(rig)
    for number in range(PACKETS_PER_SECOND + 1000):
        anna.active.send_rtp(rtp(ssrc=7, sequence=number, payload_type=96, payload=b"\x10"))
        if number % 32 == 0:
            rig.settle()
    rig.settle()
    over = anna.endpoint.counters["over_budget"]
    assert 1000 <= over <= 1010
    rig.now += 0.1
    anna.active.send_rtp(rtp(ssrc=7, sequence=9000, payload_type=96, payload=b"\x10"))
    rig.settle()
    assert anna.endpoint.counters["over_budget"] == over


def test_media_behind_the_check_that_lets_it_in_is_taken_in_the_same_batch(rig: RoomRig) -> None:
    anna, cleo = camera_room(rig)
    anna.sockets.append(socket.socket(rig.family, socket.SOCK_DGRAM))
    anna.sockets[-1].setblocking(False)
    with socket.socket(rig.family, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"\x80" + bytes(40), rig.reach)
    anna.active.check()
    for number in (4, 5):
        anna.active.send_rtp(picture(number, key=True, body=bytes(600)))
    assert rig.rooms.receive(rig, rig.now) == 4
    assert drain(anna.sockets[-1]) != []
    cleo.hear()
    assert len(cleo.rtp) == 2


def test_a_transport_closed_amid_a_batch_is_given_none_of_its_packets(rig: RoomRig) -> None:
    anna, _ = camera_room(rig)
    received = rig.rooms.router("r").counters["received"]
    for number in (4, 5, 6):
        anna.active.send_rtp(picture(number, key=True, body=bytes(600)))
    honest = rig.rooms.on_rtp

    def close_at_the_first(endpoint: Endpoint, data: bytes, now: float) -> None:
        honest(endpoint, data, now)
        rig.rooms.close_transport(rig.rooms.transports[anna.id], "closed")
        # The next to come gets numbers of its own, whatever has become free.
        Visitor(rig, "dora", "send").active.check()
        rig.rooms.on_rtp = honest  # type: ignore[method-assign]

    rig.rooms.on_rtp = close_at_the_first  # type: ignore[method-assign]
    rig.settle()
    assert rig.rooms.router("r").counters["received"] == received + 1


def test_a_number_given_back_is_not_used_again_in_the_batch_in_hand() -> None:
    numbers = Numbers()
    rig = TableRig(made("python"), "numbers", socket.AF_INET)
    first, second, third = rig.endpoints[:3]
    assert (numbers.give(first), numbers.give(second)) == (0, 1)
    assert numbers.take_back(first) == 0
    assert numbers.holders == [None, second]
    assert numbers.give(third) == 2
    assert numbers.take_back(first) is None
    numbers.recycle()
    assert numbers.give(first) == 0
    rig.close()


@pytest.mark.parametrize("name", BACKENDS)
def test_one_wake_up_takes_a_bounded_number_of_datagrams(name: str) -> None:
    rig = RoomRig(made(name), "bound", socket.AF_INET)
    with socket.socket(rig.family, socket.SOCK_DGRAM) as stranger:
        for _ in range(3 * MOST_RECEIVED):
            stranger.sendto(b"\x80" + bytes(40), rig.reach)
        assert rig.rooms.receive(rig, rig.now) == MOST_RECEIVED
    rig.settle()
    assert unchecked(rig) == 3 * MOST_RECEIVED
    rig.close()


def test_the_compiled_back_end_lets_go_of_the_keys_of_closed_transports() -> None:
    rig = RoomRig(made("compiled"), "keys", socket.AF_INET)
    fan = rig.fan
    assert isinstance(fan, CompiledFan)
    anna, cleo = camera_room(rig)
    assert (len(fan._lane_sessions), len(fan._receiver_sessions)) == (2, 2)
    for visitor in (anna, cleo):
        rig.rooms.close_transport(rig.rooms.transports[visitor.id], "closed")
    assert (fan._lane_sessions, fan._receiver_sessions) == ({}, {})
    rig.close()
