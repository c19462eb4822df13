"""Ten thousand seeded mutations each of STUN, DTLS, RTP and RTCP: nothing raises, nothing passes the guard."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.media.support import Client, Dice, Network, mutate, rtp, vp8

from folkmoot_media.forwarding import rtcp
from folkmoot_media.transport.endpoint import Address, Endpoint, Path

COUNT = 10_000
STRANGER = ("203.0.113.66", 6666)


class Guarded:
    """A room with video and voice under way, and a count of what reaches DTLS and SRTP."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.network = Network("hostile")
        self.network.call("router.create", router_id="r", floor_mode="open")
        self.anna = self.network.join("r", "anna", "send", 1)
        self.cleo = self.network.join("r", "cleo", "recv", 2)
        producer = self.anna.produce(rids=("r0",))
        self.anna.produce("microphone")
        self.consumer = self.cleo.consume(producer)
        self.send_frame(1)
        assert len(self.cleo.rtp) == 1
        self.reached = 0
        for name in ("receive_dtls", "unprotect"):
            monkeypatch.setattr(Endpoint, name, self._counting(getattr(Endpoint, name)))

    def _counting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            self.reached += 1
            return original(*arguments)

        return call

    def frame(self, number: int) -> bytes:
        payload = vp8(key=True, picture=number)
        extensions = {1: b"1", 2: b"r0"}
        return rtp(
            ssrc=7, sequence=number, timestamp=3000 * number, payload_type=96, payload=payload, extensions=extensions
        )

    def send_frame(self, number: int) -> None:
        self.anna.active.send_rtp(self.frame(number))
        self.network.run()

    def feed(self, data: bytes, source: Address) -> None:
        """Hand one datagram straight to the mux; any exception fails the test."""
        self.network.rooms.mux.datagram(data, source, self.network.now)

    def still_works(self) -> None:
        self.network.now += 5
        self.anna.active.check()
        self.cleo.active.check()
        self.network.run()
        # Mutations may have left the numbers anywhere: the second of two in a row counts as a new beginning.
        self.send_frame(29_999)
        before = len(self.cleo.rtp)
        self.send_frame(30_000)
        assert len(self.cleo.rtp) == before + 1


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Guarded:
    return Guarded(monkeypatch)


def seeds(guarded: Guarded) -> dict[str, bytes]:
    """Return one good datagram of each kind, as it would come from a connected client."""
    waiting = guarded.network.open("r", "bela", "send", 77)
    caught: list[bytes] = []
    waiting.active._send = caught.append
    hello = waiting.active._dtls.start()[0]
    session = guarded.anna.active.srtp
    assert session is not None
    compound = rtcp.build_receiver_report(1, ()) + rtcp.build_pli(1, 7)
    return {
        "stun": waiting.active.binding_request(),
        "dtls": hello,
        "rtp": guarded.anna.active.protect(guarded.frame(2)),
        "rtcp": session.send.protect_rtcp(compound),
    }


def keep_kind(data: bytes, kind: str) -> bytes:
    """Make a mutated datagram look like its kind to the demultiplexer (RFC 7983), so that it is really parsed."""
    if not data:
        return data
    first = {"stun": data[0] & 3, "dtls": 20 + data[0] % 44}.get(kind, 0x80 | data[0] & 0x3F)
    return bytes((first,)) + data[1:]


def forget_good_check(guarded: Guarded, seed: bytes, data: bytes, source: Address) -> None:
    """A fault behind MESSAGE-INTEGRITY leaves the check good: then, and only then, the address counts as checked."""
    mux = guarded.network.rooms.mux
    held = mux._by_address.pop(source, None)
    if held is not None:
        assert data[20:-8].startswith(seed[20:-8])
        held[0].paths.clear()
        held[0].selected = None


@pytest.mark.parametrize("kind", ["stun", "dtls", "rtp", "rtcp"])
def test_mutations_from_an_unchecked_address_reach_nothing(guarded: Guarded, kind: str) -> None:
    dice = Dice(f"unchecked {kind}")
    seed = seeds(guarded)[kind]
    guarded.reached = 0
    for number in range(COUNT):
        data = mutate(seed, dice)
        # Slowly, and each from an address of its own: the limits must not be what protects the parsers here.
        guarded.network.now += 0.05
        source = (f"10.9.{number >> 8}.{number & 255}", 6666)
        guarded.feed(keep_kind(data, kind) if number % 2 else data, source)
        if kind == "stun":
            forget_good_check(guarded, seed, data, source)
    assert guarded.reached == 0
    counters = guarded.network.rooms.mux.counters
    assert sum(counters.values()) > COUNT * 0.9
    assert counters["stun_limited"] == 0
    guarded.still_works()


@pytest.mark.parametrize("kind", ["dtls", "rtp", "rtcp"])
def test_the_same_mutations_do_get_through_when_the_guard_is_removed(guarded: Guarded, kind: str) -> None:
    class Open(dict[Address, tuple[Endpoint, Path]]):
        """An address table that knows everybody: the guard taken out."""

        def get(self, address: Address, default: Any = None) -> Any:
            return super().get(address, default) or next(iter(self.values()))

    mux = guarded.network.rooms.mux
    mux._by_address = Open(mux._by_address)
    dice = Dice(f"unchecked {kind}")
    seed = seeds(guarded)[kind]
    guarded.reached = 0
    for number in range(100):
        data = mutate(seed, dice)
        guarded.feed(keep_kind(data, kind) if number % 2 else data, STRANGER)
    assert guarded.reached > 40


@pytest.mark.parametrize("kind", ["stun", "rtp", "rtcp"])
def test_mutations_from_a_connected_clients_address_raise_nothing(guarded: Guarded, kind: str) -> None:
    dice = Dice(f"checked {kind}")
    seed = seeds(guarded)[kind]
    guarded.reached = 0
    for number in range(COUNT):
        data = mutate(seed, dice)
        guarded.network.now += 0.001
        guarded.feed(keep_kind(data, kind) if number % 2 else data, guarded.anna.address)
    if kind != "stun":
        assert guarded.reached > COUNT * 0.4
    guarded.still_works()


def test_mutated_handshakes_from_checked_addresses_raise_nothing(guarded: Guarded) -> None:
    dice = Dice("checked dtls")
    seed = seeds(guarded)["dtls"]
    guarded.reached = 0
    endpoint_alive: Client | None = None
    for number in range(COUNT):
        if endpoint_alive is None or endpoint_alive.id not in guarded.network.rooms.mux.endpoints:
            if endpoint_alive is not None:
                del guarded.network.clients[endpoint_alive.address]
            endpoint_alive = guarded.network.open("r", f"seat-{number}", "send", 1000 + number % 60_000)
            guarded.feed(endpoint_alive.active.binding_request(), endpoint_alive.address)
        guarded.feed(keep_kind(mutate(seed, dice), "dtls"), endpoint_alive.address)
        guarded.network.now += 0.001
    assert guarded.reached > COUNT * 0.9
    guarded.still_works()


@pytest.mark.parametrize("kind", ["rtp", "rtcp"])
def test_mutated_plain_packets_of_a_member_raise_nothing(guarded: Guarded, kind: str) -> None:
    """A member has keys: what reaches the parsers behind SRTP is hostile as well."""
    dice = Dice(f"plain {kind}")
    compound = rtcp.build_receiver_report(1, (rtcp.ReportBlock(7, 0, 0, 5, 6, 7, 8),))
    compound += rtcp.build_pli(1, 7) + rtcp.build_nack(1, 7, [1, 2, 3])
    attached = guarded.network.rooms.transports[guarded.anna.id]
    handler = guarded.network.rooms
    for number in range(COUNT):
        guarded.network.now += 0.001
        if kind == "rtp":
            handler.on_rtp(attached.endpoint, mutate(guarded.frame(number + 2), dice), guarded.network.now)
        else:
            handler.on_rtcp(attached.endpoint, mutate(compound, dice), guarded.network.now)
        if number % 100 == 0:
            handler.poll(guarded.network.now)
    assert guarded.network.rooms.routers["r"].counters["malformed"] > 500


def test_mutated_feedback_of_a_receiver_raises_nothing(guarded: Guarded) -> None:
    dice = Dice("feedback")
    ssrc = guarded.consumer["rtpParameters"]["encodings"][0]["ssrc"]
    compound = rtcp.build_receiver_report(1, (rtcp.ReportBlock(ssrc, 0, 0, 5, 6, 7, 8),))
    compound += rtcp.build_pli(1, ssrc) + rtcp.build_nack(1, ssrc, list(range(0, 60_000, 500)))
    attached = guarded.network.rooms.transports[guarded.cleo.id]
    for number in range(COUNT):
        guarded.network.now += 0.001
        guarded.network.rooms.on_rtcp(attached.endpoint, mutate(compound, dice), guarded.network.now)
        if number % 100 == 0:
            guarded.network.rooms.poll(guarded.network.now)
