"""What a broken or hostile end of a pipe may send: mutated voices, pictures, messages and announcements."""

from __future__ import annotations

from typing import Any

from tests.media.piped_rooms import VOICE, Film, Listener, Microphone, World
from tests.media.support import Dice, mutate, rtp

from folkmoot_media import control
from folkmoot_media.errors import MediaError
from folkmoot_media.forwarding import codecs, pipe_messages, pipe_pictures, rtcp
from folkmoot_media.forwarding.demux import Count
from folkmoot_media.forwarding.pipe_messages import Give, Gives, Pull, Pulls

WORLD_LIFETIME = 50_000
RUN_EVERY = 500
REFUSING = (Count.MALFORMED, Count.UNKNOWN_STREAM, Count.OVERSIZE, Count.DUPLICATE, Count.SEQUENCE_JUMP)


class Pipes:
    """A hub and a site that send each other rubbish; what the hub's members send must come through afterwards."""

    def __init__(self, dice: Dice) -> None:
        self.dice = dice
        self._fed = 0
        self._open()

    def _open(self) -> None:
        self.world = World()
        self.world.open()
        self.voice = Microphone(self.world, self.world.hub, "anna", 6000)
        film = Film(self.world, self.world.hub, "anna", 6001)
        flat = Film(self.world, self.world.hub, "bela", 6002, (100_000,))
        for producer in (self.voice.producer_id, film.producer_id, flat.producer_id):
            self.world.mirror(self.world.hub, producer)
        self.listener = Listener(self.world, self.world.site, "lan", 7000)
        self.listener.hear()
        self.listener.watch(film.producer_id)
        self._seeds = self._record()
        # Once known, a wrong number is one that is really looked at.
        self._number = 1_000

    def _record(self) -> list[tuple[bool, bytes]]:
        """Return packets as the hub sends them, RTCP (true) and RTP."""
        found: list[tuple[bool, bytes]] = []
        rooms = self.world.site.rooms
        take = rooms._take_dialled

        def recording(pipe_id: str, data: bytes, is_control: bool, now: float, arrived: float) -> None:
            found.append((is_control, data))
            take(pipe_id, data, is_control, now, arrived)

        # A name of the instance goes before that of the class, until it is taken away again.
        vars(rooms)["_take_dialled"] = recording
        self.world.run(3.0)
        del vars(rooms)["_take_dialled"]
        return found[-200:]

    def _message(self) -> bytes:
        """Return a new message of either end about the film, with masks of all kinds."""
        self._number += 1
        known = [offered.streams[0].ssrc for offered in self.world.hub.router.pipes["p"].videos.values()]
        ssrc = [*known, self.dice.below(1 << 32)][self.dice.below(len(known) + 1)]
        masks = (self.dice.below(256), self.dice.below(256))
        message: Pulls | Gives = Gives(self._number, (Give(ssrc, *masks, (100, 300, 900)),))
        if self.dice.below(2):
            message = Pulls(self._number, bool(self.dice.below(2)), (Pull(ssrc, *masks),))
        application = rtcp.build_application(1, pipe_messages.build(message))
        return rtcp.build_receiver_report(1, ()) + application

    def make(self) -> tuple[str, bytes]:
        """Return `rtp`, `rtcp`, `told` (a message to both ends) or `request`, and bytes, mostly mutated."""
        if self.dice.below(8) == 0:
            message = self._message()
            return "told", mutate(message, self.dice) if self.dice.below(2) else message
        if self.dice.below(4) == 0:
            told: dict[str, Any] = {"producer_id": f"x{self._fed}", "owner": f"o{self._fed}", "kind": "video"}
            told |= {"source": "camera", "paused": False, "codec": "video/vp8"}
            told["encodings"] = [{"ssrc": 3 + self._fed, "rtx_ssrc": 0x40000000 + self._fed}]
            request = control.Request(
                id=1, epoch="0" * 32, method="pipe.produce", data={"pipe_id": "p", "producer": told}
            )
            return "request", mutate(control.encode(request)[control.LENGTH_SIZE :], self.dice)
        wanted = bool(self.dice.below(2))
        seeds = [data for is_control, data in self._seeds if is_control is wanted]
        data = seeds[self.dice.below(len(seeds))]
        if wanted:
            return "rtcp", mutate(data, self.dice)
        # A number of its own, so that not all are taken for repetitions.
        number = int.from_bytes(data[2:4], "big") + 1 + self._fed // 40
        return "rtp", mutate(data[:2] + (number & 0xFFFF).to_bytes(2, "big") + data[4:], self.dice)

    def take(self, made: tuple[str, bytes]) -> str:
        """Feed an input to the site's worker."""
        kind, data = made
        outcome = self._request(data) if kind == "request" else self._packet(data, kind != "rtp")
        if kind == "told":
            hub = self.world.hub.rooms
            hub.on_rtcp(hub.mux.endpoints["p"], data, self.world.clock.now)
            hub.poll(self.world.clock.now)
        self._fed += 1
        if self._fed % RUN_EVERY == 0:
            self.world.run(0.05)
            self.listener.packets.clear()
            self.world.crossed.clear()
        if self._fed % WORLD_LIFETIME == 0:
            self.check()
            self._open()
        return outcome

    def _packet(self, data: bytes, is_control: bool) -> str:
        site = self.world.site
        counters, now = site.router.counters, self.world.clock.now
        before = sum(counters[kind] for kind in REFUSING)
        site.rooms._take_dialled("p", data, is_control, now, now)
        return "refused" if sum(counters[kind] for kind in REFUSING) > before else "taken"

    def _request(self, data: bytes) -> str:
        site = self.world.site
        try:
            request = control.decode(data)
            if not isinstance(request, control.Request):
                return "refused"
            answer = site.methods.call(request.method, request.data, self.world.clock.now)
        except MediaError:
            return "refused"
        site.call("producer.close", router_id="r", producer_id=answer["id"])
        return "taken"

    def check(self) -> None:
        """See that a voice of the hub still arrives at the site.

        Raises:
            AssertionError: it does not.
        """
        # Made-up messages had numbers ahead of the true ones, which the ends take again only when they begin anew.
        for network in (self.world.hub, self.world.site):
            pipe = network.router.pipes["p"]
            pipe._pulls_taken = pipe._gives_taken = None
        self.world.run(6.0)
        start = self.world.clock.now
        self.world.run(1.0)
        heard = set(self.listener.payloads(VOICE, start))
        assert len(heard & set(self.voice.sent)) > 30, "the voice is gone"


class PipedPictures:
    """AV1 with its dependency descriptor in front, as the other end of a pipe sends it; mutated behind the header."""

    def __init__(self, dice: Dice, descriptor: bytes) -> None:
        self.dice = dice
        self._descriptor = descriptor
        self._number = 0
        self.world = World()
        self.world.open()
        told = {"producer_id": "film", "owner": "anna", "kind": "video", "source": "camera", "paused": False}
        told |= {"codec": codecs.AV1, "encodings": [{"ssrc": 7, "rtx_ssrc": 8}]}
        self.world.site.call("pipe.produce", pipe_id="p", producer=told)

    def make(self) -> bytes:
        """Return a packet or a retransmission whose payload is mutated, now and then of any length it claims."""
        again = self.dice.below(4) == 0
        self._number += 1
        number = (self._number & 0xFFFF).to_bytes(2, "big")
        payload = mutate(pipe_pictures.fold(self._descriptor, b"\x10 sealed"), self.dice)
        if self.dice.below(4) == 0:
            payload = self.dice.bytes(1 + self.dice.below(300))
        return self._packet(number + payload if again else payload, again)

    def _packet(self, payload: bytes, again: bool) -> bytes:
        kind = pipe_pictures.DESCRIBED_AGAIN if again else pipe_pictures.DESCRIBED
        return rtp(ssrc=8 if again else 7, sequence=self._number, payload_type=kind, payload=payload)

    def take(self, made: bytes) -> str:
        """Feed it to the site's worker."""
        site, now = self.world.site, self.world.clock.now
        counters = site.router.counters
        before = counters[Count.MALFORMED]
        site.rooms._take_dialled("p", made, False, now, now)
        if self._number % RUN_EVERY == 0:
            self.world.run(0.05)
            self.world.crossed.clear()
        return "refused" if counters[Count.MALFORMED] > before else "taken"

    def check(self) -> None:
        """See that a key frame which its descriptor alone tells is still known as one.

        Raises:
            AssertionError: it is not.
        """
        self.world.run(0.05)
        self._number += 1
        self.take(self._packet(pipe_pictures.fold(self._descriptor, b"\x10 sealed"), False))
        layer = self.world.site.router.producers["film"].layers[0]
        assert layer.key_heard == self.world.clock.now, "the key frame is not known"
