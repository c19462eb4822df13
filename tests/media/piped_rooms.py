"""Two workers without sockets, joined by a pipe over virtual links, in virtual time."""

from collections.abc import Callable
from typing import Any

from tests.media.support import (
    IDENTITY,
    LEVEL_ID,
    MID_ID,
    RID_ID,
    Client,
    Network,
    Wire,
    rtp,
    vp8,
)
from tests.media.virtual_link import Clock, VirtualLink

from folkmoot_media.fan.python_backend import PythonFan
from folkmoot_media.forwarding import rtcp
from folkmoot_media.forwarding.codecs import parse_vp8
from folkmoot_media.forwarding.packets import RtpPacket, parse_rtp
from folkmoot_media.forwarding.transport_wide import ArrivalLog
from folkmoot_media.methods import Methods
from folkmoot_media.rooms import Rooms
from folkmoot_media.transport.dialling import Arrived
from folkmoot_media.transport.endpoint import Address

IP_UDP = 28
VOICE, FOLDED, VP8, RTX = 100, 99, 101, 102
CONTROL = range(192, 224)


class Outlet:
    """The dialled socket of one pipe."""

    def __init__(self, site: "Site", port: int, take: Callable[[list[Arrived], float], None]) -> None:
        self.world, self.site, self.take = site.world, site, take
        self.address: Address = ("203.0.113.9", port)
        self.closed = False

    def send(self, data: bytes) -> None:
        self.world.up(self, data)

    def renew(self) -> None:
        self.world.renewed += 1
        del self.world.outlets[self.address]
        self.address = (self.address[0], self.address[1] + 1000)
        self.world.outlets[self.address] = self

    def move(self) -> None:
        """An address translator has forgotten it: it comes from another port, and nothing gets to the old one."""
        del self.world.outlets[self.address]
        self.address = (self.address[0], self.address[1] + 1)
        self.world.outlets[self.address] = self

    def close(self) -> None:
        self.closed = True


class Site(Network):
    """One worker."""

    def __init__(self, world: "World", name: str) -> None:
        super().__init__(name)
        self.world = world
        self.number = "" if len(world.networks) < 2 else str(len(world.networks))
        world.networks.append(self)
        world.clock.every(5.0, self._consent)
        self.fan = PythonFan(Wire(self._from_server))
        self.rooms = Rooms(
            IDENTITY,
            self._from_server,
            self.fan,
            lambda router, event, data: self.events.append((router, event, data)),
            self.dice.bytes,
            1_700_000_000.0,
            lambda addresses, take: world.dial(self, addresses, take),
        )
        self.methods = Methods(self.rooms, [{"ip": "192.0.2.1", "port": 40000, "protocol": "udp"}])
        self.call("router.create", router_id="r", floor_mode="open")

    def _consent(self) -> None:
        for client in self.clients.values():
            client.active.check()
        self.world.settle()

    def _from_server(self, data: bytes, address: Address) -> None:
        outlet = self.world.outlets.get(address)
        if outlet is not None:
            self.world.down(outlet, data)
        else:
            super()._from_server(data, address)

    def named(self, name: str) -> list[dict[str, Any]]:
        """The data of all events of this name."""
        return [data for _, event, data in self.events if event == name]

    @property
    def router(self) -> Any:
        return self.rooms.routers["r"]


class World:
    """A hub that answers and a site that dials, with a link of two directions between them."""

    def __init__(self, rate: float = 100e6, delay: float = 0.01) -> None:
        self.clock = Clock()
        self.clock.now = 1000.0
        self.outlets: dict[Address, Outlet] = {}
        self.renewed = 0
        self.to_hub = VirtualLink(rate, delay, seed=3)
        self.to_site = VirtualLink(rate, delay, seed=4)
        self.cut = False
        self.octets: dict[str, int] = {}
        self.crossed: list[tuple[str, bytes]] = []
        self.networks: list[Site] = []
        self.hub, self.site = Site(self, "hub"), Site(self, "site")
        self.clock.every(0.05, self._poll)

    # -- the network ------------------------------------------------------------------------------------------

    def dial(
        self, site: Site, addresses: list[tuple[str, int]], take: Callable[[list[Arrived], float], None]
    ) -> Outlet:
        assert addresses == [("192.0.2.1", 40000)]
        outlet = Outlet(site, 50_000 + len(self.outlets), take)
        self.outlets[outlet.address] = outlet
        return outlet

    def up(self, outlet: Outlet, data: bytes) -> None:
        source = outlet.address
        self._carry(self.to_hub, f"up{outlet.site.number}", data, lambda: self._at_hub(source, data))

    def down(self, outlet: Outlet, data: bytes) -> None:
        self._carry(self.to_site, f"down{outlet.site.number}", data, lambda: self._at_site(outlet, data))

    def _carry(self, link: VirtualLink, way: str, data: bytes, deliver: Callable[[], None]) -> None:
        if self.cut:
            return
        self.crossed.append((way, data))
        self.octets[way] = self.octets.get(way, 0) + len(data) + IP_UDP
        arrival = link.send(len(data) + IP_UDP, self.clock.now)
        if arrival is not None:
            self.clock.at(arrival, deliver)

    def _at_hub(self, source: Address, data: bytes) -> None:
        self.tell_time()
        self.hub.to_server(data, source)
        self.settle()

    def _at_site(self, outlet: Outlet, data: bytes) -> None:
        self.tell_time()
        if not outlet.closed:
            outlet.take([(data, self.clock.now)], self.clock.now)
        self.settle()

    def tell_time(self) -> None:
        for network in self.networks:
            network.now = self.clock.now

    def settle(self) -> None:
        for network in self.networks:
            network.run()

    def _poll(self) -> None:
        self.tell_time()
        for network in self.networks:
            network.rooms.poll(self.clock.now)
        self.settle()

    def run(self, seconds: float) -> None:
        self.clock.run(self.clock.now + seconds)
        self.tell_time()

    # -- the pipe ---------------------------------------------------------------------------------------------

    def open(self, pipe_id: str = "p", site: Site | None = None, **options: Any) -> None:
        """Join the routers of the hub and a site by a pipe."""
        dialling = site or self.site
        answer = self.hub.call("pipe.create", router_id="r", side="answer", pipe_id=pipe_id, **options)
        offer = dialling.call("pipe.create", router_id="r", side="offer", pipe_id=pipe_id, **options)
        self.hub.call("pipe.connect", pipe_id=pipe_id, dtlsParameters=offer["dtlsParameters"])
        dialling.call(
            "pipe.connect",
            pipe_id=pipe_id,
            dtlsParameters=answer["dtlsParameters"],
            iceParameters=answer["iceParameters"],
            iceCandidates=answer["iceCandidates"],
        )
        self.run(1.0)

    def mirror(self, source: Site, producer_id: str, pipe_id: str = "p", target: Site | None = None) -> None:
        """Let the other worker have a producer of this one."""
        far = target or (self.site if source is self.hub else self.hub)
        told = source.call("pipe.consume", pipe_id=pipe_id, producer_id=producer_id)["producer"]
        assert far.call("pipe.produce", pipe_id=pipe_id, producer=told) == {"id": producer_id}

    def media(self, way: str, since: int = 0) -> list[tuple[int, int]]:
        """Payload type and SSRC of the RTP packets that were sent into the pipe."""
        found = []
        for direction, data in self.crossed[since:]:
            if direction == way and 127 < data[0] < 192 and data[1] not in CONTROL:
                found.append((data[1] & 0x7F, int.from_bytes(data[8:12], "big")))
        return found


class Microphone:
    """A publisher of voice: packets of `ptime` ms, all of different bytes, at a level."""

    def __init__(
        self, world: World, network: Site, owner: str, port: int, level: int = 30, size: int = 60, ptime: int = 20
    ) -> None:
        self.world, self.level, self.size, self.network = world, level, size, network
        self.step = 48 * ptime
        self.client: Client = network.join("r", owner, "send", port)
        self.producer_id = self.client.produce("microphone")
        self.owner, self.ssrc = owner, 5000
        self.sequence = 100
        self.sent: list[bytes] = []
        self.talking = True
        world.clock.every(ptime / 1000, self._send)

    def _send(self) -> None:
        if not self.talking:
            return
        self.world.tell_time()
        self.sequence += 1
        payload = f"{self.owner} {self.sequence} ".encode().ljust(self.size, b".")
        self.sent.append(payload)
        packet = rtp(
            ssrc=self.ssrc,
            sequence=self.sequence,
            timestamp=self.sequence * self.step,
            payload=payload,
            extensions={MID_ID: b"0", LEVEL_ID: bytes((self.level,))},
        )
        self.client.active.send_rtp(packet)
        self.world.settle()


class Film:
    """A publisher of a simulcast camera that obeys key-frame requests; `rates` are bit/s of its layers."""

    def __init__(
        self, world: World, network: Site, owner: str, port: int, rates: tuple[int, ...] = (100_000, 300_000, 900_000)
    ) -> None:
        self.world, self.rates = world, rates
        rids = tuple(f"r{index}" for index in range(len(rates)))
        self.client = network.join("r", owner, "send", port)
        self.producer_id = self.client.produce("camera", rids)
        self.frame = 0
        self.sequence = [100] * len(rates)
        self.keys = [True] * len(rates)
        self.sent: list[set[bytes]] = [set() for _ in rates]
        self.asked = 0
        self.client.active.on_rtcp = self._take_control
        world.clock.every(1 / 30, self._capture)

    def _take_control(self, compound: bytes) -> None:
        for part in rtcp.parse_compound(compound):
            if isinstance(part, rtcp.KeyFrameRequest):
                self.asked += 1
                self.keys[part.media_ssrc - 0x1000] = True

    def _capture(self) -> None:
        self.world.tell_time()
        self.frame += 1
        for layer, rate in enumerate(self.rates):
            key, self.keys[layer] = self.keys[layer], False
            left = int(rate / 8 / 30) * (3 if key else 1)
            start = True
            while left > 0:
                size = min(1000, left)
                left -= size
                self.sequence[layer] += 1
                payload = vp8(
                    key=key,
                    picture=self.frame & 0x7FFF,
                    tl0=self.frame & 0xFF,
                    start=start,
                    body=f"layer {layer} {self.sequence[layer]} ".encode().ljust(max(1, size - 64), b"."),
                )
                self.sent[layer].add(payload)
                packet = rtp(
                    ssrc=0x1000 + layer,
                    sequence=self.sequence[layer],
                    timestamp=self.frame * 3000,
                    payload_type=96,
                    marker=left <= 0,
                    payload=payload,
                    extensions={MID_ID: b"1", RID_ID: f"r{layer}".encode()},
                )
                start = False
                self.client.active.send_rtp(packet)
        self.world.settle()


class Listener:
    """A subscriber of every slot and of chosen pictures; answers with transport-wide feedback if `numbered`."""

    def __init__(self, world: World, network: Site, owner: str, port: int) -> None:
        self.world, self.network = world, network
        self.client = network.join("r", owner, "recv", port)
        self.packets: list[tuple[float, RtpPacket]] = []
        self.client.active.on_rtp = self._take
        self.consumers: dict[str, str] = {}
        self.log = ArrivalLog()

    def _take(self, data: bytes) -> None:
        packet = parse_rtp(data)
        assert packet is not None
        self.packets.append((self.world.clock.now, packet))

    def hear(self) -> None:
        for slot in self.network.call("router.slots", router_id="r")["slots"]:
            self.client.consume(slot["producer_id"])
        self.world.settle()

    def watch(self, producer_id: str, layer: int = 7) -> None:
        consumer = self.client.consume(producer_id)
        self.consumers[producer_id] = consumer["id"]
        self.prefer(producer_id, layer)

    def prefer(self, producer_id: str, layer: int) -> None:
        self.network.call(
            "consumer.set_preferred_layers",
            transport_id=self.client.id,
            consumer_id=self.consumers[producer_id],
            layer=layer,
        )
        self.world.settle()

    def stop(self, producer_id: str) -> None:
        self.network.call("consumer.pause", transport_id=self.client.id, consumer_id=self.consumers[producer_id])
        self.world.settle()

    def payloads(self, payload_type: int, since: float = 0.0) -> list[bytes]:
        return [
            packet.payload for when, packet in self.packets if packet.payload_type == payload_type and when >= since
        ]


def states(network: Site) -> list[tuple[str, Any]]:
    return [(event["state"], event["reason"]) for event in network.named("pipe_state")]


def body(payload: bytes) -> bytes:
    """A VP8 payload without its descriptor, whose numbers every hop may shift."""
    descriptor = parse_vp8(payload)
    assert descriptor is not None
    return payload[descriptor.length :]


def joined(rate: float = 100e6, delay: float = 0.01, **options: Any) -> World:
    world = World(rate, delay)
    world.open(**options)
    world.run(10 * delay)
    assert states(world.hub) == states(world.site) == [("connecting", None), ("connected", None)]
    return world


def with_film(world: World, rates: tuple[int, ...] = (100_000, 300_000, 900_000)) -> Film:
    film = Film(world, world.hub, "anna", 6001, rates)
    world.mirror(world.hub, film.producer_id)
    return film


def missing_share(world: World, voice: Microphone, listener: Listener, seconds: float) -> float:
    start, told = len(voice.sent), world.clock.now
    world.run(seconds)
    sent = set(voice.sent[start:-50])
    return 1 - len(sent & set(listener.payloads(VOICE, told))) / len(sent)
