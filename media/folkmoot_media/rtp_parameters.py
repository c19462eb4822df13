"""ORTC-style RTP parameters as `mediasoup-client` speaks them, checked and turned into what the core needs."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from folkmoot_media.errors import MediaError
from folkmoot_media.forwarding import marked
from folkmoot_media.forwarding.codecs import AV1
from folkmoot_media.forwarding.model import CodecChoice, EncodingSpec, ProducerSpec

MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID_URI = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID_URI = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
SEND_TIME_URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
LEVEL_URI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
WIDE_URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
DESCRIPTOR_URI = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
WIDE_ID = 5
DESCRIPTOR_ID = marked.EXTENSION_ID
MAXIMUM_ENCODINGS = 3

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
Kind = Literal["audio", "video"]
Source = Literal["microphone", "camera", "screen"]
Ssrc = Annotated[int, Field(ge=1, le=0xFFFFFFFF)]
PayloadType = Annotated[int, Field(ge=35, le=127)]
ShortText = Annotated[str, Field(max_length=255)]
Rid = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,32}$")]
Mid = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,32}$")]
CodecParameters = Annotated[dict[ShortText, str | int | float | None], Field(max_length=32)]


class Strict(BaseModel):
    """A message part in which unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Message = TypeVar("Message", bound=Strict)


def checked(model: type[Message], data: object) -> Message:
    """Return a request's data as its model.

    Raises:
        MediaError: media.bad-request, naming the place and never repeating the value.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise MediaError("media.bad-request", f"{place[:200]}: {first['msg'][:200]}") from error


class FingerprintModel(Strict):
    """A certificate digest."""

    algorithm: Annotated[str, Field(max_length=16)]
    value: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){19,63}$")]


class DtlsParameters(Strict):
    """The client's side of DTLS."""

    role: Literal["auto", "client", "server"] = "auto"
    fingerprints: Annotated[list[FingerprintModel], Field(min_length=1, max_length=8)]


class RtcpFeedback(Strict):
    """One `a=rtcp-fb` value."""

    type: ShortText
    parameter: ShortText = ""


class Codec(Strict):
    """A codec in use."""

    mimeType: ShortText  # noqa: N815 - the wire's spelling
    payloadType: PayloadType  # noqa: N815
    clockRate: Annotated[int, Field(ge=1, le=1_000_000)]  # noqa: N815
    channels: Annotated[int, Field(ge=1, le=8)] | None = None
    parameters: CodecParameters = {}
    rtcpFeedback: Annotated[list[RtcpFeedback], Field(max_length=32)] = []  # noqa: N815


class HeaderExtension(Strict):
    """A header extension in use."""

    uri: ShortText
    id: Annotated[int, Field(ge=1, le=255)]
    encrypt: bool = False
    parameters: CodecParameters = {}


class RtxEncoding(Strict):
    """The retransmission stream of an encoding."""

    ssrc: Ssrc


class Encoding(Strict):
    """One encoding of a producer."""

    active: bool | None = None
    ssrc: Ssrc | None = None
    rid: Rid | None = None
    codecPayloadType: PayloadType | None = None  # noqa: N815
    rtx: RtxEncoding | None = None
    dtx: bool | None = None
    scalabilityMode: ShortText | None = None  # noqa: N815
    scaleResolutionDownBy: float | None = None  # noqa: N815
    maxBitrate: int | None = None  # noqa: N815
    maxFramerate: float | None = None  # noqa: N815
    adaptivePtime: bool | None = None  # noqa: N815
    priority: ShortText | None = None
    networkPriority: ShortText | None = None  # noqa: N815


class Rtcp(Strict):
    """RTCP settings."""

    cname: ShortText | None = None
    reducedSize: bool = True  # noqa: N815
    mux: bool = True


class RtpParameters(Strict):
    """What a producer sends."""

    mid: Mid
    codecs: Annotated[list[Codec], Field(min_length=1, max_length=16)]
    headerExtensions: Annotated[list[HeaderExtension], Field(max_length=32)] = []  # noqa: N815
    encodings: Annotated[list[Encoding], Field(min_length=1, max_length=MAXIMUM_ENCODINGS)]
    rtcp: Rtcp = Rtcp()
    msid: ShortText | None = None


class CodecCapability(Strict):
    """A codec that a client can receive."""

    kind: Kind
    mimeType: ShortText  # noqa: N815
    preferredPayloadType: PayloadType | None = None  # noqa: N815
    clockRate: Annotated[int, Field(ge=1, le=1_000_000)]  # noqa: N815
    channels: Annotated[int, Field(ge=1, le=8)] | None = None
    parameters: CodecParameters = {}
    rtcpFeedback: Annotated[list[RtcpFeedback], Field(max_length=32)] = []  # noqa: N815


class ExtensionCapability(Strict):
    """A header extension that a client knows."""

    kind: Kind
    uri: ShortText
    preferredId: Annotated[int, Field(ge=1, le=255)]  # noqa: N815
    preferredEncrypt: bool = False  # noqa: N815
    direction: Literal["sendrecv", "sendonly", "recvonly", "inactive"] = "sendrecv"


class RtpCapabilities(Strict):
    """What a client can receive."""

    codecs: Annotated[list[CodecCapability], Field(max_length=64)]
    headerExtensions: Annotated[list[ExtensionCapability], Field(max_length=64)] = []  # noqa: N815


_VIDEO_FEEDBACK: list[dict[str, str]] = [
    {"type": "nack", "parameter": ""},
    {"type": "nack", "parameter": "pli"},
    {"type": "ccm", "parameter": "fir"},
    {"type": "goog-remb", "parameter": ""},
    {"type": "transport-cc", "parameter": ""},
]
_AUDIO_FEEDBACK: list[dict[str, str]] = [{"type": "transport-cc", "parameter": ""}]
_H264_PARAMETERS: dict[str, object] = {
    "packetization-mode": 1,
    "level-asymmetry-allowed": 1,
    "profile-level-id": "42e01f",
}


def _video_codec(mime: str, payload_type: int, parameters: dict[str, object]) -> list[dict[str, object]]:
    rtx = payload_type + 1
    return [
        {
            "kind": "video",
            "mimeType": mime,
            "preferredPayloadType": payload_type,
            "clockRate": 90000,
            "parameters": parameters,
            "rtcpFeedback": _VIDEO_FEEDBACK,
        },
        {
            "kind": "video",
            "mimeType": "video/rtx",
            "preferredPayloadType": rtx,
            "clockRate": 90000,
            "parameters": {"apt": payload_type},
            "rtcpFeedback": [],
        },
    ]


ROUTER_CODECS: list[dict[str, object]] = [
    {
        "kind": "audio",
        "mimeType": "audio/opus",
        "preferredPayloadType": 100,
        "clockRate": 48000,
        "channels": 2,
        "parameters": {"minptime": 10, "useinbandfec": 1},
        "rtcpFeedback": _AUDIO_FEEDBACK,
    },
    *_video_codec("video/VP8", 101, {}),
    *_video_codec("video/H264", 103, _H264_PARAMETERS),
    *_video_codec("video/VP9", 105, {"profile-id": 0}),
    *_video_codec("video/AV1", 107, {}),
]
AUDIO_PAYLOAD_TYPE = 100
VIDEO_PAYLOAD_TYPES = {"video/vp8": 101, "video/h264": 103, "video/vp9": 105, "video/av1": 107}


def _extension(kind: str, uri: str, identifier: int, direction: str = "recvonly") -> dict[str, object]:
    # recvonly: the router reads these from publishers and writes none of them to consumers.
    return {
        "kind": kind,
        "uri": uri,
        "preferredId": identifier,
        "preferredEncrypt": False,
        "direction": direction,
    }


ROUTER_CAPABILITIES: dict[str, object] = {
    "codecs": ROUTER_CODECS,
    "headerExtensions": [
        _extension("audio", MID_URI, 1),
        _extension("video", MID_URI, 1),
        _extension("video", RID_URI, 2),
        _extension("video", REPAIRED_RID_URI, 3),
        _extension("video", SEND_TIME_URI, 4),
        _extension("audio", WIDE_URI, WIDE_ID, "sendrecv"),
        _extension("video", WIDE_URI, WIDE_ID, "sendrecv"),
        _extension("video", DESCRIPTOR_URI, DESCRIPTOR_ID, "sendrecv"),
        _extension("audio", LEVEL_URI, 10),
    ],
}


def to_producer_spec(kind: Kind, source: Source, parameters: RtpParameters) -> ProducerSpec:
    """Check what a producer will send and keep what the core needs.

    Raises:
        MediaError: media.unsupported-source, media.unsupported-codec, media.bad-encodings, media.bad-extensions.
    """
    if (kind == "audio") != (source == "microphone"):
        raise MediaError("media.unsupported-source", f"A {source} cannot be sent as {kind}.")
    codec = _choose_codec(kind, parameters)
    identifiers = [extension.id for extension in parameters.headerExtensions]
    if len(set(identifiers)) < len(identifiers) or any(item.encrypt for item in parameters.headerExtensions):
        raise MediaError("media.bad-extensions", "Header extension ids repeat or ask for encryption.")
    ids = {extension.uri: extension.id for extension in parameters.headerExtensions}
    encodings = tuple(
        EncodingSpec(item.ssrc, item.rid, item.rtx.ssrc if item.rtx else None) for item in parameters.encodings
    )
    rids = [item.rid for item in encodings if item.rid is not None]
    if len(set(rids)) < len(rids) or (len(encodings) > 1 and len(rids) < len(encodings)):
        raise MediaError("media.bad-encodings", "Every simulcast encoding needs a rid of its own.")
    if len(encodings) > 1 and kind == "audio":
        raise MediaError("media.bad-encodings", "Audio has exactly one encoding.")
    if any(item.ssrc is None for item in encodings) and MID_URI not in ids:
        raise MediaError("media.bad-encodings", "An encoding without SSRC needs the MID header extension.")
    if rids and RID_URI not in ids:
        raise MediaError("media.bad-encodings", "Encodings with rid need the rid header extension.")
    return ProducerSpec(
        kind,
        source,
        parameters.mid,
        codec,
        encodings,
        ids.get(MID_URI, 0),
        ids.get(RID_URI, 0),
        ids.get(REPAIRED_RID_URI, 0),
        ids.get(LEVEL_URI, 0),
        ids.get(WIDE_URI, 0),
        # Other codecs say in their payload what is read from it, and more: picture numbers and temporal layers.
        ids.get(DESCRIPTOR_URI, 0) if codec.mime == AV1 else 0,
    )


def _choose_codec(kind: Kind, parameters: RtpParameters) -> CodecChoice:
    first = parameters.codecs[0]
    mime = first.mimeType.lower()
    if kind == "audio":
        supported = mime == "audio/opus" and first.clockRate == 48000
    else:
        supported = mime in VIDEO_PAYLOAD_TYPES and first.clockRate == 90000 and _has_common_profile(mime, first)
    if not supported:
        raise MediaError("media.unsupported-codec", f"{first.mimeType} is not forwarded here.")
    rtx = next(
        (
            codec.payloadType
            for codec in parameters.codecs[1:]
            if codec.mimeType.lower() == "video/rtx" and codec.parameters.get("apt") == first.payloadType
        ),
        -1,
    )
    return CodecChoice(mime, first.payloadType, rtx, first.clockRate)


def _has_common_profile(mime: str, codec: Codec) -> bool:
    """Say whether every browser that knows the codec can play this profile of it."""
    if mime == "video/h264":
        # Constrained baseline is profile 42 with the constraint bit of profile 4D or both (RFC 6184 section 8.1).
        profile = str(codec.parameters.get("profile-level-id", "")).lower()
        return profile[:3] in ("42e", "42c") and codec.parameters.get("packetization-mode") == 1
    if mime == "video/vp9":
        return codec.parameters.get("profile-id", 0) in (0, "0")
    return mime != "video/av1" or codec.parameters.get("profile", 0) in (0, "0")


def takes_packet_numbers(capabilities: RtpCapabilities) -> bool:
    """Say whether a client answers transport-wide numbers with feedback."""
    return any(extension.uri == WIDE_URI for extension in capabilities.headerExtensions) and any(
        item.type == "transport-cc" for codec in capabilities.codecs for item in codec.rtcpFeedback
    )


def takes_descriptors(capabilities: RtpCapabilities) -> bool:
    """Say whether a client wants the AV1 dependency descriptor with each packet."""
    return any(
        item.uri == DESCRIPTOR_URI and item.kind == "video" and item.direction in ("sendrecv", "recvonly")
        for item in capabilities.headerExtensions
    )


def consumer_payload_types(mime: str, capabilities: RtpCapabilities) -> tuple[int, int]:
    """Return media and retransmission payload type (-1: none) for a client that will receive `mime`.

    Raises:
        MediaError: media.cannot-consume when the client does not know the codec.
    """
    payload_type = AUDIO_PAYLOAD_TYPE if mime == "audio/opus" else VIDEO_PAYLOAD_TYPES[mime]
    known = [codec.mimeType.lower() for codec in capabilities.codecs]
    if mime not in known:
        raise MediaError("media.cannot-consume", f"This client cannot receive {mime}.")
    if mime == "audio/opus" or "video/rtx" not in known:
        return payload_type, -1
    return payload_type, payload_type + 1


def consumer_parameters(
    mid: str,
    payload_types: tuple[int, int],
    ssrcs: tuple[int, int],
    cname: str,
    numbered: bool,
    described: bool = False,
) -> dict[str, object]:
    """Return the rtpParameters of a consumer for `mediasoup-client`.

    When its packets are `numbered` it answers with transport-wide feedback, and otherwise with REMB. They are
    `described` when dependency descriptors come with them.
    """
    extensions = [(WIDE_URI, WIDE_ID)] if numbered else []
    extensions += [(DESCRIPTOR_URI, DESCRIPTOR_ID)] if described else []
    unused = "goog-remb" if numbered else "transport-cc"
    codecs = []
    for codec in ROUTER_CODECS:
        if codec["preferredPayloadType"] in payload_types:
            entry: dict[str, object] = {
                "mimeType": codec["mimeType"],
                "payloadType": codec["preferredPayloadType"],
                "clockRate": codec["clockRate"],
                "parameters": codec["parameters"],
                "rtcpFeedback": [item for item in _feedback_of(codec) if item["type"] != unused],
            }
            if "channels" in codec:
                entry["channels"] = codec["channels"]
            codecs.append(entry)
    encoding: dict[str, object] = {"ssrc": ssrcs[0]}
    if payload_types[1] >= 0:
        encoding["rtx"] = {"ssrc": ssrcs[1]}
    return {
        "mid": mid,
        "codecs": codecs,
        "headerExtensions": [
            {"uri": uri, "id": identifier, "encrypt": False, "parameters": {}} for uri, identifier in extensions
        ],
        "encodings": [encoding],
        "rtcp": {"cname": cname, "reducedSize": True, "mux": True},
    }


def _feedback_of(codec: dict[str, object]) -> list[dict[str, str]]:
    if codec["kind"] == "audio":
        return _AUDIO_FEEDBACK
    return _VIDEO_FEEDBACK if codec["rtcpFeedback"] else []
