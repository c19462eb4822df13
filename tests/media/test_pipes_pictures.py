"""AV1's dependency descriptor crosses pipes, and is all that the far worker needs to follow a sealed picture."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from tests.media.piped_rooms import Listener, Site, World, joined
from tests.media.support import CAPABILITIES, MID_ID, RID_ID, Client, Dice, mutate, rtp, video_parameters
from tests.media.test_codecs import described, structure

from folkmoot_media.forwarding import codecs, pipe_pictures, rtcp
from folkmoot_media.forwarding.demux import LARGEST_PAYLOAD, Count
from folkmoot_media.forwarding.model import Layer
from folkmoot_media.forwarding.packets import RtpPacket, parse_rtp, read_extensions
from folkmoot_media.rtp_parameters import DESCRIPTOR_ID as WRITTEN
from folkmoot_media.rtp_parameters import DESCRIPTOR_URI, VIDEO_PAYLOAD_TYPES

AV1 = VIDEO_PAYLOAD_TYPES["video/av1"]
DESCRIPTOR_ID = 12
AV1_CAPABILITIES = {
    "codecs": [
        *CAPABILITIES["codecs"],
        {"kind": "video", "mimeType": "video/AV1", "clockRate": 90000},
    ],
    "headerExtensions": [
        {"kind": "video", "uri": DESCRIPTOR_URI, "preferredId": WRITTEN, "direction": "recvonly"},
    ],
}


# Of an unknown link, everybody gets the smallest layer first.
RUNS = [[(0, True), (1, True), (0, True)], [(0, True), (1, True)]]


def av1_parameters(rids: tuple[str, ...], with_descriptor: bool) -> dict[str, Any]:
    parameters = video_parameters(rids)
    parameters["codecs"][0]["mimeType"] = "video/AV1"
    if with_descriptor:
        parameters["headerExtensions"].append({"uri": DESCRIPTOR_URI, "id": DESCRIPTOR_ID})
    return parameters


class SealedFilm:
    """A publisher of two layers of AV1 whose payloads say nothing: `key` holds those that a receiver can begin at."""

    def __init__(self, world: World, network: Site, owner: str, port: int, *, with_descriptor: bool = True) -> None:
        self.world = world
        self.with_descriptor = with_descriptor
        self.client: Client = network.join("r", owner, "send", port)
        rids = ("r0", "r1")
        self.producer_id = str(
            network.call(
                "transport.produce",
                transport_id=self.client.id,
                kind="video",
                source="camera",
                rtpParameters=av1_parameters(rids, with_descriptor),
            )["id"]
        )
        self.frame = 0
        self.sequence = [100, 9000]
        self.keys = [True, True]
        self.marks: dict[bytes, bytes] = {}
        self.key: set[bytes] = set()
        self.client.active.on_rtcp = self._take_control
        world.clock.every(1 / 30, self._capture)

    def _take_control(self, compound: bytes) -> None:
        for part in rtcp.parse_compound(compound):
            if isinstance(part, rtcp.KeyFrameRequest):
                self.keys[part.media_ssrc - 0x1000] = True

    def _capture(self) -> None:
        self.world.tell_time()
        self.frame += 1
        for layer in range(2):
            key, self.keys[layer] = self.keys[layer], False
            marks = structure(number=self.frame) if key else described(1 + self.frame % 2, self.frame)
            # With a descriptor N is set where no key frame is, and not where one is: who looks at it goes wrong.
            head = b"\x18" if key != self.with_descriptor else b"\x10"
            payload = head + f"layer {layer} {self.frame} ".encode().ljust(300 * (1 + layer), b".")
            self.marks[payload] = marks
            if key:
                self.key.add(payload)
            self.sequence[layer] += 1
            extensions = {MID_ID: b"1", RID_ID: f"r{layer}".encode()}
            if self.with_descriptor:
                extensions[DESCRIPTOR_ID] = marks
            packet = rtp(
                ssrc=0x1000 + layer,
                sequence=self.sequence[layer],
                timestamp=self.frame * 3000,
                payload_type=96,
                marker=True,
                payload=payload,
                extensions=extensions,
            )
            self.client.active.send_rtp(packet)
        self.world.settle()


class Watcher(Listener):
    """A subscriber of AV1."""

    def watch(self, producer_id: str, layer: int = 7) -> None:
        answer = self.network.call(
            "transport.consume",
            transport_id=self.client.id,
            producer_id=producer_id,
            rtpCapabilities=AV1_CAPABILITIES,
            paused=False,
        )
        self.consumers[producer_id] = answer["id"]
        self.prefer(producer_id, layer)


def kept(network: Site, producer_id: str, layer: int) -> dict[bytes, bytes | None]:
    """The packets of a layer that a worker remembers, with their descriptors."""
    found: Layer = network.router.producers[producer_id].layers[layer]
    last = found.reception.last_position
    stored = [found.history.find(position) for position in range(max(0, last - 511), last + 1)]
    return {one.payload: one.marks for one in stored if one is not None}


def follow(*, with_descriptor: bool = True, loss: float = 0.0) -> tuple[World, SealedFilm, list[Watcher]]:
    """Show a film that comes from the site to the hub and by another pipe to a third worker, and change layers."""
    world = joined()
    other = Site(world, "other")
    world.open("q", other)
    film = SealedFilm(world, world.site, "anna", 6001, with_descriptor=with_descriptor)
    world.mirror(world.site, film.producer_id)
    world.mirror(world.hub, film.producer_id, "q", other)
    world.to_hub.loss = world.to_site.loss = loss
    near, far = Watcher(world, world.hub, "mai", 7000), Watcher(world, other, "lan", 7001)
    for watcher, layer in ((near, 1), (far, 0)):
        watcher.watch(film.producer_id, layer)
    world.run(6.0)
    for watcher, layer in ((near, 0), (far, 1)):
        watcher.prefer(film.producer_id, layer)
    world.run(6.0)
    return world, film, [near, far]


def begins(film: SealedFilm, watcher: Watcher) -> list[tuple[int, bool]]:
    """Each run of packets of one layer that a watcher got: which layer, and whether a key frame comes first."""
    found: list[tuple[int, bool]] = []
    for payload in watcher.payloads(AV1):
        layer = int(payload.split()[1])
        if not found or found[-1][0] != layer:
            found.append((layer, payload in film.key))
    return found


def brought(watcher: Watcher) -> list[tuple[bytes, bytes | None]]:
    """What a watcher got, with the descriptors that came with it."""
    packets = [packet for _, packet in watcher.packets if packet.payload_type == AV1]
    values = [read_extensions(packet.extension_profile, packet.extensions) for packet in packets]
    return [(packet.payload, value.get(WRITTEN)) for packet, value in zip(packets, values, strict=True)]


def check_brought(film: SealedFilm, watcher: Watcher) -> None:
    """Every packet has its descriptor, with frame numbers that go on within a layer and across layers."""
    found = brought(watcher)
    for payload, marks in found:
        assert marks is not None
        assert marks[:1] + marks[3:] == film.marks[payload][:1] + film.marks[payload][3:]
    numbers = [int.from_bytes((marks or b"")[1:3], "big") for _, marks in found]
    assert {(after - before) & 0xFFFF for before, after in itertools.pairwise(numbers)} == {1}


def check(world: World, film: SealedFilm, watchers: list[Watcher]) -> None:
    near, far = watchers
    for watcher in watchers:
        check_brought(film, watcher)
    assert begins(film, near) == RUNS[0]
    assert begins(film, far) == RUNS[1]
    for network, watcher in ((world.hub, near), (world.networks[2], far)):
        assert len(set(watcher.payloads(AV1))) > 250
        remembered = {
            payload: marks for layer in (0, 1) for payload, marks in kept(network, film.producer_id, layer).items()
        }
        assert len(remembered) > 250
        assert remembered.items() <= film.marks.items()


def test_descriptors_cross_two_pipes_byte_for_byte_and_layers_change_by_them() -> None:
    check(*follow())


def without_marks(fold: Callable[[bytes | None, bytes], bytes]) -> Callable[[bytes | None, bytes], bytes]:
    return lambda _, payload: fold(None, payload)


def test_control_without_the_descriptor_the_far_workers_begin_where_nobody_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipe_pictures, "fold", without_marks(pipe_pictures.fold))
    world, film, watchers = follow()
    assert not any(key for _, key in begins(film, watchers[0]) + begins(film, watchers[1]))
    with pytest.raises(AssertionError):
        check(world, film, watchers)


def test_a_publisher_without_the_extension_crosses_as_before() -> None:
    world, film, watchers = follow(with_descriptor=False)
    assert [begins(film, watcher) for watcher in watchers] == RUNS
    assert {AV1} <= {kind for kind, _ in world.media("up")} <= {AV1, AV1 + 1, 98}
    assert set(kept(world.hub, film.producer_id, 0).values()) == {None}
    for watcher in watchers:
        assert {marks for _, marks in brought(watcher)} == {None}
        # Control: what the other test asks for is not there.
        with pytest.raises(AssertionError):
            check_brought(film, watcher)


def lost_and_found() -> tuple[set[bytes | None], int]:
    """Lose packets between two workers; what descriptors came with those that were sent again, and how many."""
    world, film, _ = follow(loss=0.05)
    again = [kind for kind, _ in world.media("up") if kind == pipe_pictures.DESCRIBED_AGAIN]
    remembered = kept(world.hub, film.producer_id, 0)
    assert len(remembered) > 100
    return {marks for payload, marks in remembered.items() if marks != film.marks[payload]}, len(again)


def test_what_is_sent_again_has_its_descriptor_too(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong, again = lost_and_found()
    assert again > 5
    assert wrong == set()
    # Control: kept without the descriptor, they come without it.
    monkeypatch.setattr("folkmoot_media.forwarding.repair.pipe_pictures", Forgetful)
    assert lost_and_found()[0] == {None}


class Forgetful:
    """Puts no descriptor before what is sent again."""

    is_described = staticmethod(pipe_pictures.is_described)
    fold = staticmethod(without_marks(pipe_pictures.fold))


# -- the bytes --------------------------------------------------------------------------------------------------


def layer_of(world: World, producer_id: str) -> Layer:
    found: Layer = world.hub.router.producers[producer_id].layers[0]
    return found


@pytest.fixture(scope="module")
def mirrored() -> Layer:
    world = joined()
    film = SealedFilm(world, world.site, "anna", 6001)
    world.mirror(world.site, film.producer_id)
    return layer_of(world, film.producer_id)


def crossing(payload: bytes, kind: int = pipe_pictures.DESCRIBED) -> RtpPacket:
    packet = parse_rtp(rtp(ssrc=9, sequence=4, payload_type=kind, payload=payload))
    assert packet is not None
    return packet


@pytest.mark.parametrize("marks", [None, b"\x80\x00\x01", structure(), bytes(255)])
@pytest.mark.parametrize(
    ("kind", "plain", "before"),
    [(pipe_pictures.DESCRIBED, AV1, b""), (pipe_pictures.DESCRIBED_AGAIN, AV1 + 1, b"\x12\x34")],
)
def test_unfolding_undoes_folding(mirrored: Layer, marks: bytes | None, kind: int, plain: int, before: bytes) -> None:
    folded = before + pipe_pictures.fold(marks, b"payload")
    found = pipe_pictures.unfold(mirrored, crossing(folded, kind))
    expected = {pipe_pictures.DESCRIPTOR_ID: marks} if marks else {}
    assert found == (crossing(before + b"payload", plain), expected)


@pytest.mark.parametrize("cut", [b"", b"\x00", b"\x03\x80\x00\x01", b"\x03\x80\x00", b"\xff" + bytes(255)])
def test_cut_descriptors_and_those_without_a_payload_are_refused(mirrored: Layer, cut: bytes) -> None:
    assert pipe_pictures.unfold(mirrored, crossing(cut)) is None
    assert pipe_pictures.unfold(mirrored, crossing(b"\x12\x34" + cut, pipe_pictures.DESCRIBED_AGAIN)) is None
    assert pipe_pictures.unfold(mirrored, crossing(cut + b"\x00" * 255 + b"p")) is not None


def test_what_would_be_too_large_crosses_without_its_descriptor() -> None:
    marks = structure()
    assert pipe_pictures.fold(marks, bytes(LARGEST_PAYLOAD - len(marks)))[0] == len(marks)
    for size in (LARGEST_PAYLOAD - len(marks) + 1, LARGEST_PAYLOAD):
        assert pipe_pictures.fold(marks, bytes(size)) == bytes(1 + size)
    assert 2 + len(pipe_pictures.fold(marks, bytes(LARGEST_PAYLOAD))) == pipe_pictures.LARGEST_CROSSING


def test_mutated_packets_raise_nothing_and_are_counted() -> None:
    world, film, _ = follow()
    pipe = world.hub.router.pipes["p"]
    layer = layer_of(world, film.producer_id)
    counters, dice, number = world.hub.router.counters, Dice("described"), layer.reception.last_position
    before = counters[Count.MALFORMED]
    for _ in range(2000):
        number += 1
        payload = pipe_pictures.fold(structure(number=number & 0xFFFF), b"\x10 sealed")
        again = dice.below(4) == 0
        packet = rtp(
            ssrc=layer.rtx_ssrc if again else layer.ssrc,
            sequence=number,
            payload_type=pipe_pictures.DESCRIBED_AGAIN if again else pipe_pictures.DESCRIBED,
            payload=mutate((bytes(2) if again else b"") + payload, dice),
        )
        world.hub.router.receive_rtp(pipe.leg, packet, world.clock.now)
    assert counters[Count.MALFORMED] > before + 20


def test_to_a_picture_of_another_codec_these_types_mean_nothing() -> None:
    world = joined()
    client = world.site.join("r", "anna", "send", 6001)
    producer_id = client.produce("camera", ("r0",))
    world.mirror(world.site, producer_id)
    layer = layer_of(world, producer_id)
    assert layer.read is codecs.parse_vp8
    assert pipe_pictures.unfold(layer, crossing(b"\x00payload")) is None
