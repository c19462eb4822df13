"""The little that forwarding must know of video payloads: key frames, picture numbers, temporal layers.

Sources: RFC 7741 section 4.2 (VP8), RFC 9628 section 4.2 (VP9), RFC 6184 section 5 (H.264), the RTP payload format
for AV1 section 4.4. Nothing is decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

AV1 = "video/av1"
_H264_KEY_TYPES = frozenset({5, 7})
_STAP_A = 24
_FU_A = 28


class Descriptor(NamedTuple):
    """Where the numbers stand in a payload's descriptor; offsets and `temporal` are -1 where a field is absent.

    `length` counts the bytes that may have to be rewritten, `start` is true in the first packet of a frame, `sync` in
    frames at which a receiver may begin to take this temporal layer.
    """

    length: int
    key_frame_start: bool
    picture_at: int
    picture_wide: bool
    picture: int
    tl0_at: int
    tl0: int
    start: bool = True
    temporal: int = -1
    sync: bool = False


PLAIN_KEY = Descriptor(0, True, -1, False, 0, -1, 0)
PLAIN_DELTA = Descriptor(0, False, -1, False, 0, -1, 0)
Reader = Callable[[bytes], Descriptor | None]


def parse_vp8(payload: bytes) -> Descriptor | None:
    """Read the VP8 payload descriptor, or return None when it is cut (RFC 7741 section 4.2)."""
    size = len(payload)
    if size < 2:
        return None
    first = payload[0]
    position = 1
    picture_at, wide, picture, tl0_at, tl0, temporal, sync = -1, False, 0, -1, 0, -1, False
    if first & 0x80:
        flags = payload[1]
        position = 2
        if flags & 0x80:
            if position >= size:
                return None
            picture_at, picture = position, payload[position]
            wide = bool(picture & 0x80)
            if wide:
                if position + 1 >= size:
                    return None
                picture = (picture & 0x7F) << 8 | payload[position + 1]
                position += 1
            position += 1
        if flags & 0x40:
            if position >= size:
                return None
            tl0_at, tl0 = position, payload[position]
            position += 1
        if flags & 0x30:
            if position < size and flags & 0x20:
                temporal, sync = payload[position] >> 6, bool(payload[position] & 0x20)
            position += 1
    if position >= size:
        return None
    start = bool(first & 0x10) and not first & 0x07
    key = start and not payload[position] & 0x01
    return Descriptor(position, key, picture_at, wide, picture, tl0_at, tl0, start, temporal, sync)


def parse_vp9(payload: bytes) -> Descriptor | None:
    """Read the numbers of a VP9 payload descriptor, or return None when it is cut (RFC 9628 section 4.2).

    Temporal layers are not told: VP9 is passed through whole.
    """
    size = len(payload)
    if size < 2:
        return None
    first = payload[0]
    position = 1
    picture_at, wide, picture, tl0_at, tl0, spatial = -1, False, 0, -1, 0, 0
    if first & 0x80:
        picture_at, picture = position, payload[position]
        wide = bool(picture & 0x80)
        if wide:
            if position + 1 >= size:
                return None
            picture = (picture & 0x7F) << 8 | payload[position + 1]
            position += 1
        position += 1
    if first & 0x20:
        if position >= size:
            return None
        spatial = payload[position] >> 1 & 7
        position += 1
        if not first & 0x10:
            if position >= size:
                return None
            tl0_at, tl0 = position, payload[position]
            position += 1
    if position >= size:
        return None
    start = bool(first & 0x08) and spatial == 0
    return Descriptor(position, start and not first & 0x40, picture_at, wide, picture, tl0_at, tl0, start)


def patch(payload: bytes, descriptor: Descriptor, picture_shift: int, tl0_shift: int) -> bytes:
    """Return the descriptor's bytes with both numbers shifted; same length as before."""
    head = bytearray(payload[: descriptor.length])
    if descriptor.picture_at >= 0:
        if descriptor.picture_wide:
            picture = (descriptor.picture + picture_shift) & 0x7FFF
            head[descriptor.picture_at] = 0x80 | picture >> 8
            head[descriptor.picture_at + 1] = picture & 0xFF
        else:
            head[descriptor.picture_at] = (descriptor.picture + picture_shift) & 0x7F
    if descriptor.tl0_at >= 0:
        head[descriptor.tl0_at] = (descriptor.tl0 + tl0_shift) & 0xFF
    return bytes(head)


def is_h264_key_frame(payload: bytes) -> bool:
    """Say whether the packet starts a decodable picture: SPS or IDR slice (RFC 6184 sections 5.2 to 5.8)."""
    if len(payload) < 2:
        return False
    kind = payload[0] & 0x1F
    if kind == _FU_A:
        return bool(payload[1] & 0x80) and payload[1] & 0x1F in _H264_KEY_TYPES
    if kind != _STAP_A:
        return kind in _H264_KEY_TYPES
    position = 1
    while position + 2 < len(payload):
        if payload[position + 2] & 0x1F in _H264_KEY_TYPES:
            return True
        position += 2 + (payload[position] << 8 | payload[position + 1])
    return False


def parse_h264(payload: bytes) -> Descriptor | None:
    """Say of an H.264 payload whether a key frame starts in it; nothing in it is numbered."""
    return PLAIN_KEY if is_h264_key_frame(payload) else PLAIN_DELTA


def parse_av1(payload: bytes) -> Descriptor | None:
    """Say of an AV1 payload whether a coded video sequence starts in it: N set, Z not (section 4.4)."""
    if not payload:
        return None
    return PLAIN_KEY if payload[0] & 0x88 == 0x08 else PLAIN_DELTA


READERS: dict[str, Reader] = {
    "video/vp8": parse_vp8,
    "video/vp9": parse_vp9,
    "video/h264": parse_h264,
    AV1: parse_av1,
}
