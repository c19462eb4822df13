"""Two worlds on loopback sockets in which every fan-out back end is given the same things, with fixed keys.

`TableRig` feeds random batches straight to a back end; `RoomRig` runs a whole room behind one. Both return what
arrived at each socket, so that back ends can be compared byte by byte.
"""

import socket
from collections.abc import Callable, Iterable
from typing import Any

from pylibsrtp import Error as SrtpError
from pylibsrtp import Policy, Session
from tests.media.support import IDENTITY, Dice, Wire, rtp, vp8

from folkmoot_media.fan.choice import choose
from folkmoot_media.fan.interface import Fan
from folkmoot_media.forwarding import rtcp
from folkmoot_media.forwarding.floor import FloorMode
from folkmoot_media.forwarding.model import Batch, Copy, Leg, SlotConsumer, VideoConsumer
from folkmoot_media.forwarding.packets import WORDS_AT
from folkmoot_media.methods import Methods
from folkmoot_media.rooms import Rooms
from folkmoot_media.transport.active import ActiveTransport
from folkmoot_media.transport.aiortc_adapter import REPLAY_WINDOW, Fingerprint, SrtpPair
from folkmoot_media.transport.dtls import DtlsState
from folkmoot_media.transport.endpoint import Address, Credentials, Endpoint, Path
from folkmoot_media.worker import open_udp

PROFILES = {
    Policy.SRTP_PROFILE_AEAD_AES_128_GCM: 28,
    Policy.SRTP_PROFILE_AEAD_AES_256_GCM: 44,
    Policy.SRTP_PROFILE_AES128_CM_SHA1_80: 30,
}
LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
BACKENDS = ("compiled", "cffi", "python")

MakeFan = Callable[[Any, bool], Fan]


def made(name: str) -> MakeFan:
    """Return how to make the back end of this name."""
    return lambda wire, ipv6: choose(name, wire, ipv6, Dice(name).bytes).fan


def open_socket(family: socket.AddressFamily) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_DGRAM)
    opened.bind((LOOPBACK[family], 0))
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    opened.setblocking(False)
    return opened


def drain(opened: socket.socket) -> list[bytes]:
    found = []
    while True:
        try:
            found.append(opened.recv(2048))
        except BlockingIOError:
            return found


def session(profile: int, key: bytes, direction: int) -> Session:
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=profile)
    policy.window_size, policy.allow_repeat_tx = REPLAY_WINDOW, direction == Policy.SSRC_ANY_OUTBOUND
    return Session(policy)


def pairs(dice: Dice) -> tuple[SrtpPair, SrtpPair]:
    """Return the keys of a server and of its client, of a random profile."""
    profile, size = list(PROFILES.items())[dice.below(len(PROFILES))]
    up, down = dice.bytes(size), dice.bytes(size)
    inbound, outbound = Policy.SSRC_ANY_INBOUND, Policy.SSRC_ANY_OUTBOUND
    server = SrtpPair(session(profile, up, inbound), session(profile, down, outbound), str(profile))
    client = SrtpPair(session(profile, down, inbound), session(profile, up, outbound), str(profile))
    return server, client


def connect(endpoint: Endpoint, address: Address, keys: SrtpPair, *, proven: bool, now: float) -> Path:
    """Put an endpoint where a finished handshake would have put it."""
    path, _ = endpoint.add_path(address, 100, now)
    path.proven = proven
    endpoint.dtls.state = DtlsState.CONNECTED
    endpoint.keys, endpoint.protect, endpoint.route = keys, keys.send.protect, None
    endpoint.select(path, now)
    return path


class TableRig:
    """Endpoints with fixed keys; everything random comes from the seed and is the same for every back end."""

    def __init__(self, make: MakeFan, seed: str, family: socket.AddressFamily, count: int = 9) -> None:
        self.dice = Dice(seed)
        self.now = 1000.0
        self.server = open_socket(family)
        self.sockets = [open_socket(family) for _ in range(2 * count)]
        self.fan = make(self.server, family == socket.AF_INET6)
        self.legs: list[Leg] = []
        self.endpoints: list[Endpoint] = []
        self.closed: list[Endpoint] = []
        self.arrived: list[list[bytes]] = [[] for _ in self.sockets]
        for number in range(count):
            self._add(number)

    def _add(self, number: int) -> None:
        nobody: Callable[[bytes, Address], None] = lambda *_: None  # noqa: E731 - the rig sends nothing by itself
        endpoint = Endpoint(str(number), Credentials("f", "p"), IDENTITY, nobody, self.dice.bytes, self.now)
        kind = self.dice.below(5)
        if kind:
            keys, _ = pairs(self.dice)
            connect(endpoint, self.sockets[number].getsockname(), keys, proven=kind > 1, now=self.now)
        self.endpoints.append(endpoint)
        self.legs.append(Leg(str(number), "owner", "recv", endpoint))

    def close(self) -> None:
        for opened in (self.server, *self.sockets):
            opened.close()

    def batch(self) -> Batch:
        """Return a random batch: too long, patched beyond its end, stamped, with words, or to no path at all."""
        dice = self.dice
        size = dice.below(40) if dice.below(3) else dice.below(1400)
        payload = dice.bytes(size) if dice.below(8) else dice.bytes(1300 + dice.below(60))
        copies: list[Copy] = []
        stamped = dice.below(2)
        for _ in range(dice.below(30)):
            head = dice.bytes(dice.below(8) if dice.below(10) else dice.below(60)) if dice.below(3) == 0 else b""
            stamp = (1 + dice.below(14)) << 16 | dice.below(1 << 16) if stamped else 0
            words = dice.below(min(70, size // 4 + 2)) if dice.below(4) == 0 else 0
            copies.append(
                (
                    self.legs[dice.below(len(self.legs))],
                    dice.below(256) | words << WORDS_AT,
                    dice.below(1 << 16),
                    dice.below(1 << 32),
                    dice.below(1 << 32),
                    head,
                    stamp,
                )
            )
        return Batch(payload, dice.below(2) == 0, copies)

    def compound(self) -> bytes:
        """Return a random RTCP compound, now and then one that cannot be sent."""
        dice = self.dice
        kind = dice.below(6)
        if kind == 0:
            return dice.bytes(dice.below(8))
        if kind == 1:
            return rtcp.build_receiver_report(dice.below(1 << 32), ()) + dice.bytes(1300 + dice.below(80))
        if kind < 4:
            return rtcp.build_sender_report(rtcp.SenderReport(dice.below(1 << 32), dice.below(1 << 60), 7, 8, 9))
        return rtcp.build_pli(1, dice.below(1 << 32)) * (1 + dice.below(5))

    def step(self) -> None:
        """Do one random thing."""
        dice = self.dice
        kind = dice.below(40)
        number = dice.below(len(self.endpoints))
        endpoint = self.endpoints[number]
        self.now += 0.001 * dice.below(50)
        if kind < 20:
            self.fan.send(self.batch())
        elif kind < 26:
            self.fan.send_control(endpoint, self.compound())
        elif kind < 36:
            self.flush()
        elif kind == 36 and endpoint.keys is not None:
            # Each endpoint has two addresses of its own, as the mux sees to it.
            opened = self.sockets[number + len(self.endpoints) * dice.below(2)]
            path, _ = endpoint.add_path(opened.getsockname(), 100, self.now)
            endpoint.select(path, self.now)
        elif kind == 37 and endpoint.selected is not None:
            endpoint.prove(endpoint.selected.challenges)
        elif kind == 38 and endpoint.selected is not None:
            endpoint.lose_path(endpoint.selected.address)
        elif kind == 39 and dice.below(3) == 0:
            endpoint.keys = endpoint.protect = endpoint.route = None
            self.fan.closed(endpoint)

    def flush(self) -> None:
        self.fan.flush(self.now)
        for arrived, opened in zip(self.arrived, self.sockets, strict=True):
            arrived.extend(drain(opened))

    def run(self, steps: int) -> "TableRig":
        for _ in range(steps):
            self.step()
        self.flush()
        return self

    def outcome(self) -> tuple[object, ...]:
        counters = [dict(endpoint.counters) for endpoint in self.endpoints]
        return self.arrived, self.fan.sent, self.fan.dropped, counters


class Guest:
    """One client of a `RoomRig`."""

    def __init__(self, rig: "RoomRig", owner: str, direction: str) -> None:
        self.rig = rig
        self.socket = open_socket(rig.family)
        self.address: Address = self.socket.getsockname()
        server, self.keys = pairs(rig.dice)
        router = rig.rooms.router("r")
        self.attached = rig.rooms.create_transport(router, owner, direction, rig.now)
        self.id = self.attached.leg.id
        endpoint, mux = self.attached.endpoint, rig.rooms.mux
        rig.fan.entered(self.address, endpoint)
        path = connect(endpoint, self.address, server, proven=True, now=rig.now)
        mux._by_address[self.address] = (endpoint, path)
        rig.fan.opened(endpoint)
        rig.rooms.on_ready(endpoint, rig.now)
        self.arrived: list[bytes] = []
        self.plain: list[bytes] = []

    def send(self, data: bytes, control: bool = False) -> None:
        protect = self.keys.send.protect_rtcp if control else self.keys.send.protect
        self.socket.sendto(protect(data), self.rig.reach)

    def drain(self) -> None:
        for wire in drain(self.socket):
            self.arrived.append(wire)
            if wire[0] < 128:
                continue
            keys = self.keys.receive
            self.plain.append(keys.unprotect_rtcp(wire) if 192 <= wire[1] <= 223 else keys.unprotect(wire))


class RoomRig:
    """A room with publishers and subscribers on loopback sockets, virtual time and fixed keys."""

    def __init__(self, make: MakeFan, seed: str, family: socket.AddressFamily, dual: bool = False) -> None:
        """Open the server's socket; `dual`: an IPv6 one that serves IPv4 too, for clients of `family`."""
        self.dice = Dice(seed)
        self.now = 1000.0
        self.family = family
        self.server = open_udp("::", 0) if dual else open_socket(family)
        self.reach = (LOOPBACK[family], self.server.getsockname()[1])
        self.fan = make(self.server, dual or family == socket.AF_INET6)
        self.events: list[tuple[str, str, dict[str, object]]] = []
        self.rooms = Rooms(
            IDENTITY,
            Wire(self.server.sendto).sendto,
            self.fan,
            lambda *event: self.events.append(event),
            self.dice.bytes,
            wall_offset=1_700_000_000.0,
        )
        self.methods = Methods(self.rooms, [])
        self.rooms.create_router("r", FloorMode.OPEN)
        self.guests: list[Guest] = []
        self.visitors: list[Visitor] = []

    def close(self) -> None:
        for opened in (self.server, *(guest.socket for guest in self.guests)):
            opened.close()
        for visitor in self.visitors:
            for opened in visitor.sockets:
                opened.close()

    # -- what the back end tells (Intake) ---------------------------------------------------------------------

    def take_datagram(self, data: bytes, source: Address, now: float) -> None:
        self.rooms.mux.datagram(data, source, now)

    def take_packet(self, endpoint: Endpoint, data: bytes, control: bool, now: float) -> None:
        self.rooms.mux.plain(endpoint, data, control, now)

    def take_forwarded(self, endpoint: Endpoint, data: bytes, now: float) -> None:
        self.rooms.note_forwarded(endpoint, data, now)

    def take_answered(self, endpoint: Endpoint, data: bytes, now: float) -> None:
        self.rooms.note_answered(endpoint, data, now)

    # -- the play ---------------------------------------------------------------------------------------------

    def join(self, owner: str, direction: str) -> Guest:
        guest = Guest(self, owner, direction)
        self.guests.append(guest)
        return guest

    def visit(self, owner: str, direction: str) -> "Visitor":
        """Let a client join by ICE and DTLS."""
        return Visitor(self, owner, direction).connect()

    def settle(self) -> None:
        """Deliver until nothing is under way."""
        while True:
            taken = self.rooms.receive(self, self.now)
            heard = sum(visitor.hear() for visitor in self.visitors)
            if not taken and not heard:
                return

    def wait(self, seconds: float, step: float = 0.05) -> None:
        """Let time pass in steps, with the worker's timers."""
        end = self.now + seconds
        while self.now < end - 1e-9:
            self.now = min(end, self.now + step)
            self.rooms.poll(self.now)
            self.settle()

    def receive(self) -> None:
        while self.rooms.receive(self, self.now):
            pass
        self.drain()

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.rooms.poll(self.now)
        self.drain()

    def drain(self) -> None:
        for guest in self.guests:
            guest.drain()

    def consumers(self, guest: Guest) -> list[VideoConsumer | SlotConsumer]:
        return list(guest.attached.leg.consumers.values())


def picture(number: int, *, key: bool, body: bytes, ssrc: int = 7, marker: bool = True) -> bytes:
    """Return one VP8 packet that carries a whole picture."""
    return rtp(
        ssrc=ssrc,
        sequence=number,
        timestamp=3000 * number,
        payload_type=96,
        marker=marker,
        extensions={1: b"1", 2: b"r0"},
        payload=vp8(key=key, picture=number & 0x7FFF, tl0=number, body=body),
    )


class Visitor:
    """A client of a `RoomRig` that goes through ICE, DTLS and SRTP like a browser, from a socket of its own."""

    def __init__(self, rig: RoomRig, owner: str, direction: str) -> None:
        self.rig = rig
        self.sockets = [open_socket(rig.family)]
        self.rtp: list[bytes] = []
        self.rtcp: list[bytes] = []
        self.active = ActiveTransport(IDENTITY, self._send, rig.dice.bytes, self.rtp.append, self.rtcp.append)
        data = {"router_id": "r", "owner": owner, "direction": direction}
        info: Any = rig.methods.call("router.create_transport", data, rig.now)
        self.id = str(info["id"])
        ice, dtls = info["iceParameters"], info["dtlsParameters"]
        prints = [Fingerprint(item["algorithm"], item["value"]) for item in dtls["fingerprints"]]
        self.active.set_remote(ice["usernameFragment"], ice["password"], prints)
        own = [{"algorithm": item.algorithm, "value": item.value} for item in self.active.fingerprints]
        connect_data = {"transport_id": self.id, "dtlsParameters": {"role": "client", "fingerprints": own}}
        rig.methods.call("transport.connect", connect_data, rig.now)
        rig.visitors.append(self)

    @property
    def endpoint(self) -> Endpoint:
        return self.rig.rooms.mux.endpoints[self.id]

    def _send(self, data: bytes) -> None:
        self.sockets[-1].sendto(data, self.rig.reach)

    def connect(self) -> "Visitor":
        self.active.check()
        self.rig.settle()
        assert self.active.connected
        return self

    def move(self) -> None:
        """Send from another address from now on, and say so."""
        self.sockets.append(open_socket(self.rig.family))
        self.active.check()
        self.rig.settle()

    def hear(self) -> int:
        """Take what has arrived; return how many datagrams it was."""
        arrived = [data for opened in self.sockets for data in drain(opened)]
        for data in arrived:
            self.active.receive(data)
        return len(arrived)


def plays_differ(played: Callable[[str, str], Any], seeds: Iterable[str]) -> bool:
    """Say whether the compiled back end's outcome is another one than Python's in some play."""
    for seed in seeds:
        reference, _ = played("python", seed)
        try:
            outcome, _ = played("compiled", seed)
        except SrtpError:
            # A number that was used twice.
            return True
        if outcome != reference:
            return True
    return False
