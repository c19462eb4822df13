"""RTCP packets that the worker reads and writes (RFC 3550 section 6, RFC 4585, RFC 5104, REMB and transport-cc)."""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct

from folkmoot_media.forwarding import transport_wide

SENDER_REPORT = 200
RECEIVER_REPORT = 201
SOURCE_DESCRIPTION = 202
TRANSPORT_FEEDBACK = 205
PAYLOAD_FEEDBACK = 206
APPLICATION = 204
FEEDBACK_NACK = 1
FEEDBACK_PLI = 1
FEEDBACK_FIR = 4
FEEDBACK_APPLICATION = 15
FEEDBACK_TRANSPORT_WIDE = 15
MAXIMUM_REPORT_BLOCKS = 31
MAXIMUM_NACKS = 256

_HEADER = Struct("!BBH")
_BLOCK = Struct("!LLLLLL")
_SENDER_INFO = Struct("!LLLLL")
_PAIR = Struct("!LL")
_NACK = Struct("!HH")
_LONG = Struct("!L")


class MalformedRtcpError(ValueError):
    """A compound packet whose lengths do not add up; nothing in it may be used."""


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """Reception statistics about one source (RFC 3550 section 6.4.1); delays in units of 1/65536 s."""

    ssrc: int
    fraction_lost: int
    packets_lost: int
    highest_sequence: int
    jitter: int
    last_sender_report: int
    delay_since_last: int


@dataclass(frozen=True, slots=True)
class SenderReport:
    """What a sender says about its clock: `ntp` is 32.32 fixed point, `rtp` the same instant in media units."""

    ssrc: int
    ntp: int
    rtp: int
    packets: int
    octets: int
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """Reception statistics of a receiver that sends nothing."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class Nack:
    """Sequence numbers that a receiver misses (RFC 4585 section 6.2.1)."""

    media_ssrc: int
    sequences: tuple[int, ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class KeyFrameRequest:
    """Picture loss indication or full intra request for one stream."""

    media_ssrc: int


@dataclass(frozen=True, slots=True)
class BitrateLimit:
    """What a receiver believes its link carries, in bit/s (REMB)."""

    bitrate: int


@dataclass(frozen=True, slots=True)
class TransportFeedback:
    """When packets arrived, by transport-wide number from `base` on; see `transport_wide.parse_feedback`.

    `arrivals` has one entry per number: ticks of 250 us on the receiver's clock, or -1 when it has not arrived.
    """

    base: int
    arrivals: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Application:
    """An application-defined packet: its kind (5 bits), its name of four bytes and what follows (RFC 3550 6.7)."""

    kind: int
    name: bytes
    data: bytes


Feedback = SenderReport | ReceiverReport | Nack | KeyFrameRequest | BitrateLimit | TransportFeedback | Application


def parse_compound(data: bytes) -> list[Feedback]:
    """Return the known parts of a compound packet; unknown types are skipped.

    Raises:
        MalformedRtcpError: when a length is impossible.
    """
    found: list[Feedback] = []
    position = statuses = 0
    while position < len(data):
        if position + 4 > len(data):
            raise MalformedRtcpError("RTCP header is cut")
        first, kind, words = _HEADER.unpack_from(data, position)
        end = position + 4 + 4 * words
        if first >> 6 != 2 or end > len(data):
            raise MalformedRtcpError("RTCP length is impossible")
        body = data[position + 4 : end]
        if first & 0x20:
            if not body or body[-1] == 0 or body[-1] > len(body):
                raise MalformedRtcpError("RTCP padding is impossible")
            body = body[: -body[-1]]
        parts = _parse_one(kind, first & 0x1F, body)
        # Few bytes can tell of many packets: what one datagram may cost is limited over all its parts.
        statuses += sum(len(part.arrivals) for part in parts if isinstance(part, TransportFeedback))
        if statuses > transport_wide.MAXIMUM_STATUSES:
            raise MalformedRtcpError("feedback tells of too many packets")
        found.extend(parts)
        position = end
    return found


def _parse_one(kind: int, count: int, body: bytes) -> list[Feedback]:
    if kind == SENDER_REPORT:
        if len(body) < 24:
            raise MalformedRtcpError("sender report is too short")
        (ssrc,) = _LONG.unpack_from(body)
        high, low, rtp, packets, octets = _SENDER_INFO.unpack_from(body, 4)
        blocks = _parse_blocks(body[24:], count)
        return [SenderReport(ssrc, high << 32 | low, rtp, packets, octets, blocks)]
    if kind == RECEIVER_REPORT:
        if len(body) < 4:
            raise MalformedRtcpError("receiver report is too short")
        return [ReceiverReport(_LONG.unpack_from(body)[0], _parse_blocks(body[4:], count))]
    if kind in (TRANSPORT_FEEDBACK, PAYLOAD_FEEDBACK):
        if len(body) < 8:
            raise MalformedRtcpError("feedback is too short")
        return _parse_feedback(kind, count, body)
    if kind == APPLICATION and len(body) >= 8:
        return [Application(count, body[4:8], body[8:])]
    return []


def _parse_blocks(data: bytes, count: int) -> tuple[ReportBlock, ...]:
    if len(data) < 24 * count:
        raise MalformedRtcpError("report blocks are cut")
    blocks = []
    for index in range(count):
        ssrc, lost, highest, jitter, last, delay = _BLOCK.unpack_from(data, 24 * index)
        cumulative = lost & 0xFFFFFF
        if cumulative & 0x800000:
            cumulative -= 1 << 24
        blocks.append(ReportBlock(ssrc, lost >> 24, cumulative, highest, jitter, last, delay))
    return tuple(blocks)


def _parse_feedback(kind: int, form: int, body: bytes) -> list[Feedback]:
    _, media_ssrc = _PAIR.unpack_from(body)
    control = body[8:]
    if kind == TRANSPORT_FEEDBACK and form == FEEDBACK_NACK:
        return [Nack(media_ssrc, _parse_nacks(control))]
    if kind == TRANSPORT_FEEDBACK and form == FEEDBACK_TRANSPORT_WIDE:
        arrived = transport_wide.parse_feedback(control)
        if arrived is None:
            raise MalformedRtcpError("transport-wide feedback is cut")
        return [TransportFeedback(*arrived)]
    if kind == PAYLOAD_FEEDBACK and form == FEEDBACK_APPLICATION:
        return [BitrateLimit(bitrate) for bitrate in _parse_remb(control)]
    if kind == PAYLOAD_FEEDBACK and form == FEEDBACK_PLI:
        return [KeyFrameRequest(media_ssrc)]
    if kind == PAYLOAD_FEEDBACK and form == FEEDBACK_FIR:
        return [KeyFrameRequest(_LONG.unpack_from(control, at)[0]) for at in range(0, len(control) - 7, 8)]
    return []


def _parse_remb(control: bytes) -> list[int]:
    if len(control) < 8 or control[:4] != b"REMB":
        return []
    (word,) = _LONG.unpack_from(control, 4)
    return [(word & 0x3FFFF) << (word >> 18 & 0x3F)]


def _parse_nacks(control: bytes) -> tuple[int, ...]:
    sequences: list[int] = []
    for at in range(0, len(control) - 3, 4):
        first, mask = _NACK.unpack_from(control, at)
        sequences.append(first)
        sequences.extend((first + bit + 1) & 0xFFFF for bit in range(16) if mask >> bit & 1)
        if len(sequences) >= MAXIMUM_NACKS:
            break
    return tuple(sequences[:MAXIMUM_NACKS])


def _pack(kind: int, count: int, body: bytes) -> bytes:
    return _HEADER.pack(0x80 | count, kind, len(body) // 4) + body


def _pack_blocks(blocks: tuple[ReportBlock, ...]) -> bytes:
    return b"".join(
        _BLOCK.pack(
            block.ssrc,
            block.fraction_lost << 24 | block.packets_lost & 0xFFFFFF,
            block.highest_sequence,
            block.jitter,
            block.last_sender_report,
            block.delay_since_last,
        )
        for block in blocks
    )


def build_receiver_report(ssrc: int, blocks: tuple[ReportBlock, ...]) -> bytes:
    """Build one receiver report; at most 31 blocks (RFC 3550 section 6.4.2)."""
    kept = blocks[:MAXIMUM_REPORT_BLOCKS]
    return _pack(RECEIVER_REPORT, len(kept), _LONG.pack(ssrc) + _pack_blocks(kept))


def build_sender_report(report: SenderReport) -> bytes:
    """Build one sender report (RFC 3550 section 6.4.1)."""
    info = _SENDER_INFO.pack(
        report.ntp >> 32 & 0xFFFFFFFF,
        report.ntp & 0xFFFFFFFF,
        report.rtp & 0xFFFFFFFF,
        report.packets & 0xFFFFFFFF,
        report.octets & 0xFFFFFFFF,
    )
    body = _LONG.pack(report.ssrc) + info + _pack_blocks(report.blocks)
    return _pack(SENDER_REPORT, len(report.blocks), body)


def build_source_description(ssrc: int, cname: str) -> bytes:
    """Build the CNAME chunk that every compound packet carries (RFC 3550 section 6.5)."""
    name = cname.encode()[:255]
    item = _LONG.pack(ssrc) + bytes((1, len(name))) + name + b"\0"
    return _pack(SOURCE_DESCRIPTION, 1, item + bytes(-len(item) % 4))


def build_application(ssrc: int, application: Application) -> bytes:
    """Build an application-defined packet; its data are whole words (RFC 3550 section 6.7)."""
    return _pack(APPLICATION, application.kind, _LONG.pack(ssrc) + application.name + application.data)


def build_pli(sender_ssrc: int, media_ssrc: int) -> bytes:
    """Build a picture loss indication (RFC 4585 section 6.3.1)."""
    return _pack(PAYLOAD_FEEDBACK, FEEDBACK_PLI, _PAIR.pack(sender_ssrc, media_ssrc))


def build_nack(sender_ssrc: int, media_ssrc: int, sequences: list[int]) -> bytes:
    """Build a generic NACK for sequence numbers given in rising order (RFC 4585 section 6.2.1)."""
    pairs: list[list[int]] = []
    for sequence in sequences:
        distance = (sequence - pairs[-1][0]) & 0xFFFF if pairs else 0
        if pairs and 1 <= distance <= 16:
            pairs[-1][1] |= 1 << (distance - 1)
        else:
            pairs.append([sequence, 0])
    body = _PAIR.pack(sender_ssrc, media_ssrc) + b"".join(_NACK.pack(*pair) for pair in pairs)
    return _pack(TRANSPORT_FEEDBACK, FEEDBACK_NACK, body)


def build_transport_feedback(sender_ssrc: int, media_ssrc: int, body: bytes) -> bytes:
    """Build transport-wide feedback from `transport_wide.build_feedback`, padded to whole words."""
    padding = -len(body) % 4
    whole = _PAIR.pack(sender_ssrc, media_ssrc) + body
    if padding:
        whole += bytes(padding - 1) + bytes((padding,))
    packed = _pack(TRANSPORT_FEEDBACK, FEEDBACK_TRANSPORT_WIDE, whole)
    return bytes((packed[0] | 0x20,)) + packed[1:] if padding else packed


def build_remb(sender_ssrc: int, bitrate: int, ssrcs: list[int]) -> bytes:
    """Build a receiver estimated maximum bitrate in bit/s (draft-alvestrand-rmcat-remb-03 section 2.2)."""
    exponent = max(0, bitrate.bit_length() - 18)
    mantissa = bitrate >> exponent
    count = min(len(ssrcs), 255)
    control = b"REMB" + _LONG.pack(count << 24 | exponent << 18 | mantissa)
    control += b"".join(_LONG.pack(ssrc) for ssrc in ssrcs[:count])
    return _pack(PAYLOAD_FEEDBACK, FEEDBACK_APPLICATION, _PAIR.pack(sender_ssrc, 0) + control)
