"""Seeded mutations of what strangers and members may send, at every parser of the media worker.

    python loadtests/fuzz.py --parser rtp --count 1000000 [--seed fuzz] [--json FILE]
    python loadtests/fuzz.py --parser all --count 10000

A parser may take an input or refuse it with its own error; anything else is a finding, is printed with its input and
makes the command fail. RTP, RTCP and parameters go through a whole room, in which another member's picture must still
arrive afterwards. The mutators are those of the tests.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from loadtests.fuzz_pipes import PipedPictures, Pipes
from loadtests.fuzz_streams import Framing
from tests.media.support import (
    CAPABILITIES,
    Client,
    Dice,
    Network,
    audio_parameters,
    mutate,
    rtp,
    video_parameters,
    vp8,
)

from folkmoot_media import control
from folkmoot_media.errors import MediaError
from folkmoot_media.forwarding import codecs, dependency_descriptor, marked, rtcp, transport_wide
from folkmoot_media.forwarding.packets import (
    ONE_BYTE_PROFILE,
    SHORT_WORDS,
    TWO_BYTE_PROFILE,
    parse_rtp,
    read_extensions,
)
from folkmoot_media.transport import stun_lite

ROOM_LIFETIME = 10_000
POLL_EVERY = 100
MOST_FINDINGS = 20
PASSWORD = "a password that the attacker has as well"  # noqa: S105 - the hostile member knows it
SOURCE = ("192.0.2.66", 6666)
STEP = 0.001


class Target:
    """One parser: `make` returns the next input, `take` feeds it and says what became of it."""

    def __init__(self, dice: Dice) -> None:
        self.dice = dice

    def make(self) -> Any:
        """Return a mutated input."""
        raise NotImplementedError

    def take(self, made: Any) -> str:
        """Feed an input; return `taken` or `refused`."""
        raise NotImplementedError


class Stun(Target):
    """Connectivity checks; every second one is signed after the mutation, as by a member gone bad."""

    def __init__(self, dice: Dice) -> None:
        super().__init__(dice)
        network = Network("stun")
        network.call("router.create", router_id="r", floor_mode="open")
        client = network.open("r", "anna", "send", 1)
        client.active.set_remote("fragment", PASSWORD)
        self._seed = client.active.binding_request()

    def make(self) -> bytes:
        """Return a check with faults before or behind its signature."""
        if self.dice.below(2):
            return mutate(self._seed, self.dice)
        # MESSAGE-INTEGRITY is 24 bytes, FINGERPRINT 8.
        body = mutate(self._seed[20:-32], self.dice)[:1000]
        unsigned = self._seed[:2] + len(body).to_bytes(2, "big") + self._seed[4:20] + body
        return sign(unsigned)

    def take(self, made: bytes) -> str:
        """Look for the fragment and verify the check, as the mux does."""
        stun_lite.local_fragment(made)
        return "refused" if stun_lite.check_request(made, PASSWORD, SOURCE) is None else "taken"


def sign(unsigned: bytes) -> bytes:
    """Return a STUN message with MESSAGE-INTEGRITY and FINGERPRINT, whatever its attributes are (RFC 8489 14.5)."""
    from aioice.stun import message_fingerprint, message_integrity

    body = len(unsigned) - 20
    data = unsigned[:2] + (body + 24).to_bytes(2, "big") + unsigned[4:]
    data += b"\x00\x08\x00\x14" + message_integrity(unsigned, PASSWORD.encode())
    data = data[:2] + (body + 32).to_bytes(2, "big") + data[4:]
    return data + b"\x80\x28\x00\x04" + message_fingerprint(data).to_bytes(4, "big")


class Room:
    """A room in which anna, who sends, and cleo, who receives, attack, while bela's picture goes to dora."""

    def __init__(self, seed: str) -> None:
        self.network = Network(seed)
        self.network.call("router.create", router_id="r", floor_mode="open")
        self.anna = self.network.join("r", "anna", "send", 1)
        self.bela = self.network.join("r", "bela", "send", 2)
        self.cleo = self.network.join("r", "cleo", "recv", 3)
        self.dora = self.network.join("r", "dora", "recv", 4)
        self.spoilt = [self.anna.produce(rids=("r0",)), self.anna.produce("microphone")]
        self.consumed = self.cleo.consume(self.spoilt[0])
        for slot in self.network.call("router.slots", router_id="r")["slots"]:
            self.cleo.consume(slot["producer_id"])
        watched = self.bela.produce(rids=("r0",))
        self.cleo.consume(watched)
        self.picture = self.dora.consume(watched)["rtpParameters"]["encodings"][0]["ssrc"]
        self._frames = 0
        self.check()

    def feed(self, client: Client, data: bytes, control_packet: bool) -> None:
        """Hand a decrypted packet of a member to the room."""
        network = self.network
        network.now += STEP
        endpoint = network.rooms.transports[client.id].endpoint
        take = network.rooms.on_rtcp if control_packet else network.rooms.on_rtp
        take(endpoint, data, network.now)

    def tick(self) -> None:
        """Let the timers run and throw away what has been sent."""
        self.network.rooms.poll(self.network.now)
        self.network.sent.clear()
        self.network._to_clients.clear()
        self.dora.rtp.clear()
        self.network.events.clear()

    def check(self) -> None:
        """See that bela's picture still arrives at dora.

        Raises:
            AssertionError: it does not.
        """
        self.tick()
        self.network.now += 5
        self._frames += 1
        for client in (self.anna, self.bela, self.cleo, self.dora):
            client.active.check()
        self.network.run()
        payload = vp8(key=True, picture=self._frames)
        extensions = {1: b"1", 2: b"r0"}
        packet = rtp(ssrc=99, sequence=self._frames, payload_type=96, payload=payload, extensions=extensions)
        self.feed(self.bela, packet, False)
        self.network.pass_time(0.2)
        arrived = [parse_rtp(plain) for plain in self.dora.rtp]
        assert any(found is not None and found.ssrc == self.picture for found in arrived), "the picture stands still"
        for client in (self.cleo, self.dora):
            client.rtp.clear()
            client.rtcp.clear()


class InRoom(Target):
    """Inputs that go through a room, which is renewed now and then and checked before that."""

    def __init__(self, dice: Dice) -> None:
        super().__init__(dice)
        self.room = Room("room 0")
        self._fed = 0

    def malformed(self) -> int:
        """Return how many packets the room has refused."""
        return self.room.network.rooms.routers["r"].counters["malformed"]

    def fed(self) -> None:
        """Count an input."""
        self._fed += 1
        if self._fed % POLL_EVERY == 0:
            self.room.tick()
        if self._fed % ROOM_LIFETIME == 0:
            self.room.check()
            self.room = Room(f"room {self._fed}")


class Rtp(InRoom):
    """RTP of a member: header, extensions, VP8, Opus with level; the payload also as VP9, H.264 and AV1."""

    def make(self) -> bytes:
        """Return a mutated packet of the attacker's camera or microphone."""
        number = self._fed & 0xFFFF
        if self.dice.below(3):
            payload = vp8(key=not self.dice.below(4), picture=number)
            extensions = {1: b"1", 2: b"r0"}
            seed = rtp(
                ssrc=7,
                sequence=number,
                timestamp=3000 * self._fed,
                payload_type=96,
                payload=payload,
                extensions=extensions,
                padding=4 * self.dice.below(2),
            )
        else:
            seed = rtp(ssrc=5000, sequence=number, timestamp=960 * self._fed, extensions={1: b"0", 10: b"\x85"})
        return mutate(seed, self.dice)

    def take(self, made: bytes) -> str:
        """Feed it to the room and its payload to every codec's reader."""
        before = self.malformed()
        self.room.feed(self.room.anna, made, False)
        refused = self.malformed() > before
        packet = parse_rtp(made)
        if packet is not None:
            read_extensions(packet.extension_profile, packet.extensions)
            for read in (codecs.parse_vp8, codecs.parse_vp9, codecs.parse_h264, codecs.parse_av1):
                descriptor = read(packet.payload)
                if descriptor is not None and descriptor.length:
                    codecs.patch(packet.payload, descriptor, 5, 7)
            codecs.is_h264_key_frame(packet.payload)
        self.fed()
        return "refused" if refused else "taken"


class Rtcp(InRoom):
    """RTCP of a publisher and of a receiver: reports, NACK, PLI, FIR, REMB, transport-wide feedback."""

    def make(self) -> tuple[bool, bytes]:
        """Return who sends it (True: the receiver) and a mutated compound."""
        receiver = bool(self.dice.below(2))
        ssrc = self.room.consumed["rtpParameters"]["encodings"][0]["ssrc"] if receiver else 7
        block = rtcp.ReportBlock(ssrc, 12, 30, 5, 6, 7, 8)
        compound = rtcp.build_receiver_report(1, (block,)) + rtcp.build_pli(1, ssrc)
        if not receiver:
            compound = rtcp.build_sender_report(rtcp.SenderReport(7, 1 << 40, 99, 3, 400, (block,)))
        compound += rtcp.build_nack(1, ssrc, list(range(0, 60_000, 1 + self.dice.below(5000))))
        compound += rtcp.build_remb(1, 10**6, [ssrc])
        if self.dice.below(2):
            compound += wide_feedback(self.dice)
        return receiver, mutate(compound, self.dice)

    def take(self, made: tuple[bool, bytes]) -> str:
        """Feed it to the room."""
        receiver, compound = made
        before = self.malformed()
        self.room.feed(self.room.cleo if receiver else self.room.anna, compound, True)
        refused = self.malformed() > before
        self.fed()
        return "refused" if refused else "taken"


def wide_feedback(dice: Dice) -> bytes:
    """Return transport-wide feedback on some packets that did and did not arrive; now and then of random bytes."""
    arrivals = [5, *(dice.below(30_000) if dice.below(4) else -1 for _ in range(dice.below(20)))]
    body = transport_wide.build_feedback(dice.below(1 << 16), arrivals, dice.below(256))
    if dice.below(4) == 0:
        body = body[:8] + dice.bytes(len(body))
    return rtcp.build_transport_feedback(1, 7, body)


class Descriptor(Target):
    """AV1 dependency descriptors, with the structure of a good one known or not."""

    def __init__(self, dice: Dice) -> None:
        super().__init__(dice)
        self._seed = descriptor_seed()
        frame = dependency_descriptor.parse(self._seed, None)
        assert frame is not None
        self._known = frame.structure

    def make(self) -> bytes:
        """Return a mutated descriptor, with the structure in it or without."""
        return mutate(self._seed if self.dice.below(3) else self._seed[:3] + self.dice.bytes(2), self.dice)

    def take(self, made: bytes) -> str:
        """Parse it both ways."""
        found = dependency_descriptor.parse(made, self._known)
        dependency_descriptor.parse(made, None)
        element = marked.extension(made, self.dice.below(1400))
        profile = TWO_BYTE_PROFILE if len(element) > 4 * SHORT_WORDS else ONE_BYTE_PROFILE
        # What goes out must be found again by whoever reads it.
        if element and read_extensions(profile, element) != {marked.EXTENSION_ID: made}:
            raise AssertionError("the header extension does not hold the descriptor")
        return "refused" if found is None else "taken"


def descriptor_seed() -> bytes:
    """Return a key frame's descriptor with a structure of one target, two templates, one chain and one size."""
    bits = "11" + f"{0:06b}" + f"{1:016b}" + "10000" + f"{0:06b}" + f"{0:05b}" + "0011"
    bits += "1010" + "0" + "100000" + "1" + "00000001" + "1" + f"{639:016b}" + f"{359:016b}"
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


STRANGE: tuple[Any, ...] = (
    *(None, True, -1, 0, 1 << 31, 1 << 70, 1.5, float("nan"), "", "x" * 300, "\ud800", b"\xff", [], {}, [[]]),
    *({"": {}}, [None] * 40, {"type": "nack"}),
)


def mutate_value(value: Any, dice: Dice) -> Any:
    """Return a copy of a JSON-like value with one place in it changed, removed, doubled or renamed."""
    if isinstance(value, dict) and value and dice.below(8):
        name = list(value)[dice.below(len(value))]
        changed = dict(value)
        kind = dice.below(8)
        if kind == 0:
            del changed[name]
        elif kind == 1:
            changed[mutate(name.encode(errors="replace"), dice).decode("latin-1")] = changed.pop(name)
        elif kind == 2:
            changed["extra"] = value[name]
        else:
            changed[name] = mutate_value(value[name], dice)
        return changed
    if isinstance(value, list) and value and dice.below(8):
        place = dice.below(len(value))
        kind = dice.below(6)
        if kind == 0:
            return value[:place] + value[place + 1 :]
        if kind == 1:
            return value + value[place:] * (1 + dice.below(30))
        return [*value[:place], mutate_value(value[place], dice), *value[place + 1 :]]
    if isinstance(value, str) and dice.below(3):
        return mutate(value.encode(errors="replace"), dice).decode("latin-1")
    if isinstance(value, int) and not isinstance(value, bool) and dice.below(3):
        return value + (-1, 1, 1 << 16, -(1 << 16))[dice.below(4)]
    return STRANGE[dice.below(len(STRANGE))]


class Parameters(InRoom):
    """Requests on the control channel: their bytes, and their parameters, which come from a page."""

    def make(self) -> tuple[str, Any]:
        """Return a method with mutated parameters, or `bytes` with a mutated message."""
        room = self.room
        ids = {"transport_id": room.anna.id}
        requests: list[tuple[str, dict[str, Any]]] = [
            (
                "transport.produce",
                {**ids, "kind": "video", "source": "screen", "rtpParameters": video_parameters(), "paused": False},
            ),
            (
                "transport.produce",
                {**ids, "kind": "audio", "source": "microphone", "rtpParameters": audio_parameters()},
            ),
            (
                "transport.consume",
                {
                    "transport_id": room.cleo.id,
                    "producer_id": room.spoilt[0],
                    "rtpCapabilities": CAPABILITIES,
                    "paused": True,
                },
            ),
            ("transport.connect", {**ids, "dtlsParameters": {"role": "client", "fingerprints": prints()}}),
            ("router.set_floor", {"router_id": "r", "mode": "chaired", "chairs": ["anna"], "granted": ["bela"]}),
            (
                "consumer.set_preferred_layers",
                {"transport_id": room.cleo.id, "consumer_id": room.consumed["id"], "layer": 1},
            ),
        ]
        method, data = requests[self.dice.below(len(requests))]
        if self.dice.below(4) == 0:
            message = control.encode(control.Request(id=1, epoch="0" * 32, method=method, data=data))
            return "bytes", mutate(message[control.LENGTH_SIZE :], self.dice)
        for _ in range(1 + self.dice.below(3)):
            data = mutate_value(data, self.dice)
        return method, data

    def take(self, made: tuple[str, Any]) -> str:
        """Decode the bytes or carry out the request; what was made is closed again."""
        outcome = self._carry_out(*made)
        self.fed()
        return outcome

    def _carry_out(self, method: str, data: Any) -> str:
        network = self.room.network
        network.now += STEP
        try:
            if method == "bytes":
                control.decode(data)
                return "taken"
            answer = network.methods.call(method, data, network.now)
        except MediaError:
            return "refused"
        if method == "transport.produce":
            network.call("producer.close", router_id="r", producer_id=answer["id"])
        elif method == "transport.consume":
            network.call("consumer.close", transport_id=self.room.cleo.id, consumer_id=answer["id"])
        return "taken"


def prints() -> list[dict[str, str]]:
    """Return a fingerprint as a page sends it."""
    return [{"algorithm": "sha-256", "value": ":".join(["AB"] * 32)}]


Parser = Target | Pipes | PipedPictures | Framing
PARSERS: dict[str, Callable[[Dice], Parser]] = {
    "stun": Stun,
    "rtp": Rtp,
    "rtcp": Rtcp,
    "dependency-descriptor": Descriptor,
    "parameters": Parameters,
    "pipe": Pipes,
    "piped-pictures": lambda dice: PipedPictures(dice, descriptor_seed()),
    "framing": Framing,
}


def run(name: str, count: int, seed: str) -> dict[str, Any]:
    """Feed `count` inputs to a parser and return what became of them."""
    target = PARSERS[name](Dice(f"{seed} {name}"))
    outcomes: Counter[str] = Counter()
    findings: list[dict[str, str]] = []
    began = time.process_time()
    for number in range(count):
        made: Any = target.make()
        try:
            outcomes[target.take(made)] += 1
        except Exception as error:  # whatever it is, it is a finding
            outcomes["raised"] += 1
            if len(findings) < MOST_FINDINGS:
                shown = made.hex() if isinstance(made, bytes) else repr(made)
                findings.append({"number": str(number), "error": repr(error), "input": shown[:4000]})
    if isinstance(target, InRoom):
        target.room.check()
    elif isinstance(target, Pipes | PipedPictures):
        target.check()
    seconds = round(time.process_time() - began, 1)
    return {
        "parser": name,
        "seed": seed,
        "count": count,
        **{kind: outcomes[kind] for kind in ("taken", "refused", "raised")},
        "cpu_seconds": seconds,
        "findings": findings,
    }


def main() -> int:
    """Fuzz, print a line for each parser, and fail when one raised."""
    parser = argparse.ArgumentParser(description="Seeded mutations at the media worker's parsers")
    parser.add_argument("--parser", choices=("all", *PARSERS), default="all")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", default="fuzz")
    parser.add_argument("--json", type=Path, help="write the results here")
    options = parser.parse_args()
    names = list(PARSERS) if options.parser == "all" else [options.parser]
    results = []
    for name in names:
        found = run(name, options.count, options.seed)
        results.append(found)
        print(
            f"{name}: {found['count']} inputs, {found['taken']} taken, {found['refused']} refused, "
            f"{found['raised']} raised; {found['cpu_seconds']} s CPU",
            flush=True,
        )
        for finding in found["findings"]:
            print(f"  input {finding['number']}: {finding['error']}\n    {finding['input']}", file=sys.stderr)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return 1 if any(found["raised"] for found in results) else 0


if __name__ == "__main__":
    sys.exit(main())
