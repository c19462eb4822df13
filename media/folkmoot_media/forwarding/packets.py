"""RTP packets as plain values (RFC 3550 section 5.1, header extensions RFC 8285)."""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

RTP_HEADER = Struct("!BBHLL")
RTP_HEADER_LENGTH = 12
ONE_BYTE_PROFILE = 0xBEDE
TWO_BYTE_PROFILE = 0x1000
SEQUENCE_MODULUS = 1 << 16
# Of a copy's second byte: above it stand the words of header extension that its payload begins with.
WORDS_AT = 9
WITH_WORDS = 1 << WORDS_AT
# Elements in so many words have one byte before them, those in more have two.
SHORT_WORDS = 4
TIMESTAMP_MASK = 0xFFFFFFFF
_EXTENSION_HEADER = Struct("!HH")
_STAMP = Struct("!HHBHB")
_LONG_STAMP = Struct("!HHBBH")


class RtpPacket(NamedTuple):
    """One parsed packet; `payload` has neither header extension nor padding."""

    marker: int
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    extension_profile: int
    extensions: bytes


def parse_rtp(data: bytes) -> RtpPacket | None:
    """Split an RTP packet, or return None when it is malformed (RFC 3550 appendix A.1)."""
    length = len(data)
    if length < RTP_HEADER_LENGTH:
        return None
    first, second, sequence, timestamp, ssrc = RTP_HEADER.unpack_from(data)
    if first >> 6 != 2:
        return None
    start = RTP_HEADER_LENGTH + 4 * (first & 0x0F)
    profile, extensions = 0, b""
    if first & 0x10:
        if start + 4 > length:
            return None
        profile, words = _EXTENSION_HEADER.unpack_from(data, start)
        end = start + 4 + 4 * words
        extensions = data[start + 4 : end]
        start = end
    if start > length:
        return None
    if first & 0x20:
        padding = data[-1]
        if padding == 0 or length - padding < start:
            return None
        length -= padding
    return RtpPacket(second & 0x80, second & 0x7F, sequence, timestamp, ssrc, data[start:length], profile, extensions)


def read_extensions(profile: int, data: bytes) -> dict[int, bytes]:
    """Return header extension values by id; what follows a malformed element is ignored (RFC 8285)."""
    if profile == ONE_BYTE_PROFILE:
        return _read_one_byte(data)
    if profile & 0xFFF0 == TWO_BYTE_PROFILE:
        return _read_two_byte(data)
    return {}


def _read_one_byte(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    position, end = 0, len(data)
    while position < end:
        head = data[position]
        if head == 0:
            position += 1
            continue
        identifier = head >> 4
        if identifier == 15:
            break
        stop = position + 2 + (head & 0x0F)
        if stop > end:
            break
        found[identifier] = data[position + 1 : stop]
        position = stop
    return found


def _read_two_byte(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    position, end = 0, len(data)
    while position < end:
        if data[position] == 0:
            position += 1
            continue
        if position + 2 > end:
            break
        stop = position + 2 + data[position + 1]
        if stop > end:
            break
        found[data[position]] = data[position + 2 : stop]
        position = stop
    return found


def stamp_block(stamp: int) -> bytes:
    """Return the eight-byte header extension that carries `stamp`, id << 16 | number (RFC 8285 section 4.2)."""
    return _STAMP.pack(ONE_BYTE_PROFILE, 1, stamp >> 16 << 4 | 1, stamp & 0xFFFF, 0)


def words_block(words: int, stamp: int) -> bytes:
    """Return the start of a header extension that goes on with so many words, and carries `stamp` where it is not 0.

    The elements in those words have one byte before them, or two where they are more than `SHORT_WORDS`.
    """
    long = words > SHORT_WORDS
    if not stamp:
        return _EXTENSION_HEADER.pack(TWO_BYTE_PROFILE if long else ONE_BYTE_PROFILE, words)
    if long:
        return _LONG_STAMP.pack(TWO_BYTE_PROFILE, words + 1, stamp >> 16, 2, stamp & 0xFFFF)
    return _STAMP.pack(ONE_BYTE_PROFILE, words + 1, stamp >> 16 << 4 | 1, stamp & 0xFFFF, 0)


def extend(number: int, reference: int, modulus: int = SEQUENCE_MODULUS) -> int:
    """Return the integer nearest to `reference` that equals `number` modulo `modulus`."""
    half = modulus // 2
    return reference + (number - reference + half) % modulus - half
