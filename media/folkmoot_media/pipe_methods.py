"""The control methods of pipes: one model and one function each; a refused request changes nothing."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from folkmoot_media.errors import MediaError
from folkmoot_media.forwarding import codecs, pipe_pictures, pipe_voices
from folkmoot_media.forwarding.model import CodecChoice, EncodingSpec, Producer, ProducerSpec
from folkmoot_media.pipes import PipeEnd
from folkmoot_media.rooms import Rooms
from folkmoot_media.rtp_parameters import (
    MAXIMUM_ENCODINGS,
    VIDEO_PAYLOAD_TYPES,
    WIDE_ID,
    FingerprintModel,
    Id,
    Kind,
    Source,
    Ssrc,
    Strict,
)
from folkmoot_media.transport.aiortc_adapter import SUPPORTED_DIGESTS, Fingerprint
from folkmoot_media.transport.dialling import LinkState

AUDIO_CODEC = "audio/opus"
IcePart = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{4,256}$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Distance = Annotated[int, Field(ge=1, le=7)]


class PipeCreate(Strict):
    """pipe.create; `patience` is in seconds, `redundancy` in packets back (null: by the losses)."""

    router_id: Id
    side: Literal["offer", "answer"]
    pipe_id: Id | None = None
    patience: Annotated[int, Field(ge=3, le=120)] = 30
    redundancy: Annotated[list[Distance], Field(max_length=3)] | None = None


class PipeIce(Strict):
    """The answering side's ICE credentials."""

    usernameFragment: IcePart  # noqa: N815 - the wire's spelling
    password: IcePart
    iceLite: Literal[True]  # noqa: N815


class PipeCandidate(Strict):
    """An address of the answering side."""

    ip: Annotated[str, Field(max_length=45)]
    port: Port
    protocol: Literal["udp"]


class PipeDtls(Strict):
    """The other side's certificate."""

    fingerprints: Annotated[list[FingerprintModel], Field(min_length=1, max_length=8)]


class PipeConnect(Strict):
    """pipe.connect; the offering side needs ICE credentials and candidates, the answering side takes none."""

    pipe_id: Id
    dtlsParameters: PipeDtls  # noqa: N815
    iceParameters: PipeIce | None = None  # noqa: N815
    iceCandidates: Annotated[list[PipeCandidate], Field(max_length=8)] = []  # noqa: N815


class PipeRef(Strict):
    """pipe.close, pipe.stats."""

    pipe_id: Id


class PipeProducerRef(Strict):
    """pipe.consume, pipe.withdraw."""

    pipe_id: Id
    producer_id: Id


class PipedEncoding(Strict):
    """One stream of an announced producer."""

    ssrc: Ssrc
    rtx_ssrc: Ssrc | None = None


class Announcement(Strict):
    """A producer of one router as the other one will mirror it."""

    producer_id: Id
    owner: Id
    kind: Kind
    source: Source
    paused: bool
    codec: Annotated[str, Field(max_length=32)]
    encodings: Annotated[list[PipedEncoding], Field(min_length=1, max_length=MAXIMUM_ENCODINGS)]


class PipeProduce(Strict):
    """pipe.produce."""

    pipe_id: Id
    producer: Announcement


class PipeMethods:
    """Carries out what concerns pipes; `table` says which model and function belong to a method."""

    def __init__(self, rooms: Rooms, candidates: list[dict[str, object]]) -> None:
        self._rooms = rooms
        self._candidates = candidates
        self.table: dict[str, tuple[type[Strict], Callable[[Any, float], dict[str, object]]]] = {
            "pipe.create": (PipeCreate, self._create),
            "pipe.connect": (PipeConnect, self._connect),
            "pipe.consume": (PipeProducerRef, self._consume),
            "pipe.withdraw": (PipeProducerRef, self._withdraw),
            "pipe.produce": (PipeProduce, self._produce),
            "pipe.stats": (PipeRef, self._stats),
            "pipe.close": (PipeRef, self._close),
        }

    def _create(self, data: PipeCreate, now: float) -> dict[str, object]:
        router = self._rooms.router(data.router_id)
        pipe_id = data.pipe_id or self._rooms.rng(16).hex()
        redundancy = None if data.redundancy is None else tuple(data.redundancy)
        end = self._rooms.create_pipe(router, pipe_id, data.side, float(data.patience), redundancy, now)
        prints = self._rooms.mux.identity.fingerprints
        answer: dict[str, object] = {
            "pipe_id": pipe_id,
            "dtlsParameters": {
                "fingerprints": [{"algorithm": one.algorithm, "value": one.value} for one in prints],
            },
        }
        if end.endpoint is not None:
            credentials = end.endpoint.credentials[-1]
            answer["iceParameters"] = {
                "usernameFragment": credentials.fragment,
                "password": credentials.password,
                "iceLite": True,
            }
            answer["iceCandidates"] = [
                {"ip": one["ip"], "port": one["port"], "protocol": "udp"} for one in self._candidates
            ]
        return answer

    def _connect(self, data: PipeConnect, now: float) -> dict[str, object]:
        end = self._rooms.pipe_end(data.pipe_id)
        prints = [Fingerprint(item.algorithm, item.value) for item in data.dtlsParameters.fingerprints]
        if not any(item.algorithm.lower() in SUPPORTED_DIGESTS for item in prints):
            raise MediaError("media.bad-fingerprint", "No fingerprint algorithm is supported.")
        if end.told is not LinkState.NEW:
            raise MediaError("media.already-connected", "This pipe has been connected already.")
        dials = end.link is not None
        if dials != (data.iceParameters is not None and bool(data.iceCandidates)):
            raise MediaError("media.bad-pipe-side", "ICE parameters go to the offering side, and only to it.")
        if end.endpoint is not None:
            end.endpoint.dtls.expect(prints)
            self._rooms.tell_connecting(end)
        elif data.iceParameters is not None:
            ice = data.iceParameters
            addresses = [_address(item) for item in data.iceCandidates]
            self._rooms.dial_pipe(end, (ice.usernameFragment, ice.password), prints, addresses, now)
        return {}

    def _producer(self, end: PipeEnd, producer_id: str) -> Producer:
        producer = end.router.producers.get(producer_id)
        if producer is None:
            raise MediaError("media.no-such-producer", "There is no such producer.")
        return producer

    def _consume(self, data: PipeProducerRef, now: float) -> dict[str, object]:
        end = self._rooms.pipe_end(data.pipe_id)
        producer = self._producer(end, data.producer_id)
        spec = producer.spec
        encodings: list[dict[str, object]]
        if spec.kind == "audio":
            encodings = [{"ssrc": end.pipe.offer_voice(producer).ssrc, "rtx_ssrc": None}]
        else:
            payload_type = VIDEO_PAYLOAD_TYPES[spec.codec.mime]
            streams = end.pipe.offer_video(producer, (payload_type, payload_type + 1)).streams
            encodings = [{"ssrc": one.ssrc, "rtx_ssrc": one.rtx_ssrc} for one in streams]
        self._rooms.flush(end.router, now)
        return {
            "producer": {
                "producer_id": producer.id,
                "owner": producer.owner,
                "kind": spec.kind,
                "source": spec.source,
                "paused": producer.paused,
                "codec": spec.codec.mime,
                "encodings": encodings,
            }
        }

    def _withdraw(self, data: PipeProducerRef, now: float) -> dict[str, object]:
        end = self._rooms.pipe_end(data.pipe_id)
        end.pipe.forget(self._producer(end, data.producer_id))
        self._rooms.flush(end.router, now)
        return {}

    def _produce(self, data: PipeProduce, now: float) -> dict[str, object]:
        end, told = self._rooms.pipe_end(data.pipe_id), data.producer
        spec = to_mirrored_spec(told)
        if told.producer_id in end.router.producers:
            raise MediaError("media.pipe-loop", "This producer is in this room already.")
        end.router.add_producer(told.producer_id, end.leg, spec, told.paused, told.owner)
        self._rooms.flush(end.router, now)
        return {"id": told.producer_id}

    def _stats(self, data: PipeRef, _now: float) -> dict[str, object]:
        return self._rooms.pipe_end(data.pipe_id).figures()

    def _close(self, data: PipeRef, now: float) -> dict[str, object]:
        end = self._rooms.pipe_end(data.pipe_id)
        self._rooms.close_pipe(end, "closed")
        self._rooms.flush(end.router, now)
        return {}


def _address(candidate: PipeCandidate) -> tuple[str, int]:
    try:
        return str(ipaddress.ip_address(candidate.ip)), candidate.port
    except ValueError as error:
        raise MediaError("media.bad-request", "iceCandidates: an address must be written in numbers") from error


def to_mirrored_spec(told: Announcement) -> ProducerSpec:
    """Check what will come over a pipe and keep what the core needs.

    Raises:
        MediaError: media.unsupported-source, media.unsupported-codec, media.bad-encodings.
    """
    if (told.kind == "audio") != (told.source == "microphone"):
        raise MediaError("media.unsupported-source", f"A {told.source} cannot be sent as {told.kind}.")
    known = (AUDIO_CODEC,) if told.kind == "audio" else tuple(VIDEO_PAYLOAD_TYPES)
    if told.codec not in known:
        raise MediaError("media.unsupported-codec", f"{told.codec} is not forwarded here.")
    repaired = [item.rtx_ssrc is not None for item in told.encodings]
    if told.kind == "audio" and (len(repaired) > 1 or repaired[0]):
        raise MediaError("media.bad-encodings", "Audio has exactly one encoding, without retransmission.")
    if told.kind == "video" and not all(repaired):
        raise MediaError("media.bad-encodings", "Over a pipe every video encoding has a retransmission stream.")
    encodings = tuple(EncodingSpec(item.ssrc, None, item.rtx_ssrc) for item in told.encodings)
    if told.kind == "audio":
        codec = CodecChoice(AUDIO_CODEC, pipe_voices.REDUNDANT, -1, pipe_voices.CLOCK)
        level_id = pipe_voices.LEVEL_ID
    else:
        payload_type = VIDEO_PAYLOAD_TYPES[told.codec]
        codec = CodecChoice(told.codec, payload_type, payload_type + 1, 90000)
        level_id = 0
    descriptor_id = pipe_pictures.DESCRIPTOR_ID if codec.mime == codecs.AV1 else 0
    return ProducerSpec(
        told.kind, told.source, told.producer_id, codec, encodings, 0, 0, 0, level_id, WIDE_ID, descriptor_id
    )
