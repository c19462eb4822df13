"""Shared by the media tests: seeded dice, packet builders, and clients on a network without sockets."""

import hashlib
import struct
from collections.abc import Callable
from typing import Any

from folkmoot_media.fan.python_backend import PythonFan
from folkmoot_media.forwarding.packets import RTP_HEADER
from folkmoot_media.methods import Methods
from folkmoot_media.rooms import Rooms
from folkmoot_media.transport.active import ActiveTransport
from folkmoot_media.transport.aiortc_adapter import DtlsIdentity, Fingerprint
from folkmoot_media.transport.endpoint import Address

SERVER = ("192.0.2.1", 40000)
MID_ID, RID_ID, REPAIRED_ID, LEVEL_ID = 1, 2, 3, 10
IDENTITY = DtlsIdentity()


class Dice:
    """Seeded bytes and numbers."""

    def __init__(self, seed: str) -> None:
        self._seed = seed.encode()
        self._count = 0

    def bytes(self, size: int) -> bytes:
        self._count += 1
        return hashlib.shake_128(self._seed + self._count.to_bytes(8, "big")).digest(size)

    def below(self, limit: int) -> int:
        return int.from_bytes(self.bytes(6), "big") % limit


def mutate(data: bytes, dice: Dice) -> bytes:
    """Return `data` with one to four random faults: flipped, cut, doubled, grown, or a wrong length field."""
    changed = bytearray(data)
    for _ in range(1 + dice.below(4)):
        kind = dice.below(6)
        if not changed or kind == 0:
            changed += dice.bytes(1 + dice.below(40))
        elif kind == 1:
            changed[dice.below(len(changed))] = dice.below(256)
        elif kind == 2:
            changed[dice.below(len(changed))] ^= 1 << dice.below(8)
        elif kind == 3:
            del changed[dice.below(len(changed)) :]
        elif kind == 4:
            at = dice.below(len(changed))
            changed[at:at] = changed[at : at + dice.below(64)]
        else:
            at = dice.below(len(changed))
            changed[at : at + 2] = (b"\xff\xff", b"\0\0", b"\x7f\xff", b"\x80\0")[dice.below(4)]
    return bytes(changed)


def one_byte_extensions(values: dict[int, bytes]) -> bytes:
    """Return an RFC 8285 one-byte header extension block with its header."""
    body = b"".join(bytes((key << 4 | len(value) - 1,)) + value for key, value in values.items())
    body += bytes(-len(body) % 4)
    return struct.pack("!HH", 0xBEDE, len(body) // 4) + body


def rtp(
    *,
    ssrc: int,
    sequence: int,
    timestamp: int = 0,
    payload: bytes = b"payload",
    payload_type: int = 111,
    marker: bool = False,
    extensions: dict[int, bytes] | None = None,
    padding: int = 0,
) -> bytes:
    """Return an RTP packet."""
    first = 0x80 | (0x10 if extensions else 0) | (0x20 if padding else 0)
    header = RTP_HEADER.pack(
        first, (0x80 if marker else 0) | payload_type, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc
    )
    tail = bytes(padding - 1) + bytes((padding,)) if padding else b""
    return header + (one_byte_extensions(extensions) if extensions else b"") + payload + tail


def vp8(
    *,
    key: bool,
    picture: int,
    tl0: int = 0,
    start: bool = True,
    body: bytes = b"frame",
    temporal: int = 0,
    sync: bool = False,
) -> bytes:
    """Return a VP8 payload with a 15-bit picture id, TL0PICIDX and TID."""
    first = 0x80 | (0x10 if start else 0)
    layer = temporal << 6 | (0x20 if sync else 0)
    descriptor = bytes((first, 0xE0, 0x80 | picture >> 8 & 0x7F, picture & 0xFF, tl0 & 0xFF, layer))
    return descriptor + bytes((0x00 if key else 0x01,)) + body


class Wire:
    """A socket that hands what is sent to a function and never receives anything by itself."""

    def __init__(self, deliver: Callable[[bytes, Address], None]) -> None:
        self.sendto = deliver

    def fileno(self) -> int:
        return -1

    def recvfrom(self, size: int) -> tuple[bytes, Address]:
        raise BlockingIOError(f"nothing of at most {size} bytes")


class Network:
    """A server and clients joined by queues; nothing moves but by `run`, time by `now`."""

    def __init__(self, seed: str = "network") -> None:
        self.dice = Dice(seed)
        self.now = 1000.0
        self.sent: list[tuple[bytes, Address]] = []
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.clients: dict[Address, Client] = {}
        self.fan = PythonFan(Wire(self._from_server))
        self.rooms = Rooms(
            IDENTITY,
            self._from_server,
            self.fan,
            lambda router, name, data: self.events.append((router, name, data)),
            self.dice.bytes,
            wall_offset=1_700_000_000.0,
        )
        self.methods = Methods(self.rooms, [])
        self._to_server: list[tuple[bytes, Address]] = []
        self._to_clients: list[tuple[bytes, Address]] = []

    def call(self, method: str, **data: Any) -> Any:
        return self.methods.call(method, data, self.now)

    def _from_server(self, data: bytes, address: Address) -> None:
        self.sent.append((data, address))
        self._to_clients.append((data, address))

    def to_server(self, data: bytes, source: Address) -> None:
        self._to_server.append((data, source))

    def run(self) -> None:
        """Deliver until nothing is under way."""
        while self._to_server or self._to_clients:
            arriving, self._to_server = self._to_server, []
            for data, source in arriving:
                self.rooms.mux.datagram(data, source, self.now)
            arriving, self._to_clients = self._to_clients, []
            for data, address in arriving:
                if address in self.clients:
                    self.clients[address].active.receive(data)

    def pass_time(self, seconds: float, step: float = 0.05) -> None:
        """Let time pass in steps, with the worker's timers."""
        end = self.now + seconds
        while self.now < end - 1e-9:
            self.now = min(end, self.now + step)
            self.rooms.poll(self.now)
            self.run()

    def join(self, router_id: str, owner: str, direction: str, port: int) -> "Client":
        """Create a transport and connect it."""
        client = self.open(router_id, owner, direction, port)
        client.active.check()
        self.run()
        assert client.active.connected
        return client

    def open(self, router_id: str, owner: str, direction: str, port: int) -> "Client":
        """Create a transport whose client has sent nothing yet."""
        info = self.call("router.create_transport", router_id=router_id, owner=owner, direction=direction)
        client = Client(self, info["id"], owner, ("198.51.100.7", port))
        ice = info["iceParameters"]
        prints = [Fingerprint(item["algorithm"], item["value"]) for item in info["dtlsParameters"]["fingerprints"]]
        client.active.set_remote(ice["usernameFragment"], ice["password"], prints)
        own = [{"algorithm": item.algorithm, "value": item.value} for item in client.active.fingerprints]
        dtls = {"role": "client", "fingerprints": own}
        self.call("transport.connect", transport_id=client.id, dtlsParameters=dtls)
        return client


class Client:
    """One client transport in the network."""

    def __init__(self, network: Network, transport_id: str, owner: str, address: Address) -> None:
        self.network = network
        self.id = transport_id
        self.owner = owner
        self.address = address
        self.rtp: list[bytes] = []
        self.rtcp: list[bytes] = []
        self.active = ActiveTransport(IDENTITY, self._send, network.dice.bytes, self.rtp.append, self.rtcp.append)
        network.clients[address] = self

    def _send(self, data: bytes) -> None:
        self.network.to_server(data, self.address)

    def move(self, address: Address) -> None:
        """Send from another address from now on."""
        self.network.clients[address] = self
        self.address = address

    def produce(self, source: str = "camera", rids: tuple[str, ...] = ("r0", "r1"), **extra: Any) -> str:
        kind = "audio" if source == "microphone" else "video"
        found = self.network.call(
            "transport.produce",
            transport_id=self.id,
            kind=kind,
            source=source,
            rtpParameters=audio_parameters() if kind == "audio" else video_parameters(rids),
            **extra,
        )
        return str(found["id"])

    def consume(self, producer_id: str, paused: bool = False) -> dict[str, Any]:
        answer: dict[str, Any] = self.network.call(
            "transport.consume",
            transport_id=self.id,
            producer_id=producer_id,
            rtpCapabilities=CAPABILITIES,
            paused=paused,
        )
        return answer


CAPABILITIES: dict[str, Any] = {
    "codecs": [
        {"kind": "audio", "mimeType": "audio/opus", "clockRate": 48000, "channels": 2},
        {"kind": "video", "mimeType": "video/VP8", "clockRate": 90000},
        {"kind": "video", "mimeType": "video/rtx", "clockRate": 90000, "parameters": {"apt": 101}},
    ]
}


def audio_parameters(mid: str = "0") -> dict[str, Any]:
    return {
        "mid": mid,
        "codecs": [{"mimeType": "audio/opus", "payloadType": 111, "clockRate": 48000, "channels": 2}],
        "headerExtensions": [
            {"uri": "urn:ietf:params:rtp-hdrext:sdes:mid", "id": MID_ID},
            {"uri": "urn:ietf:params:rtp-hdrext:ssrc-audio-level", "id": LEVEL_ID},
        ],
        "encodings": [{"ssrc": 5000}],
    }


def video_parameters(rids: tuple[str, ...] = ("r0", "r1"), mid: str = "1") -> dict[str, Any]:
    return {
        "mid": mid,
        "codecs": [
            {"mimeType": "video/VP8", "payloadType": 96, "clockRate": 90000},
            {"mimeType": "video/rtx", "payloadType": 97, "clockRate": 90000, "parameters": {"apt": 96}},
        ],
        "headerExtensions": [
            {"uri": "urn:ietf:params:rtp-hdrext:sdes:mid", "id": MID_ID},
            {"uri": "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id", "id": RID_ID},
            {"uri": "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id", "id": REPAIRED_ID},
        ],
        "encodings": [{"rid": rid} for rid in rids],
    }
