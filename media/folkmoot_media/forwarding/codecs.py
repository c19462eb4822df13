"""The little that forwarding must know of video payloads: key frames and VP8 picture numbers.

Sources: RFC 7741 section 4.2 (VP8 payload descriptor), RFC 6184 section 5 (H.264 payloads).
"""

from __future__ import annotations

from typing import NamedTuple

_H264_KEY_TYPES = frozenset({5, 7})
_STAP_A = 24
_FU_A = 28


class Vp8Descriptor(NamedTuple):
    """Where the numbers stand in a VP8 payload; offsets are -1 where a field is absent."""

    length: int
    key_frame_start: bool
    picture_at: int
    picture_wide: bool
    picture: int
    tl0_at: int
    tl0: int


def parse_vp8(payload: bytes) -> Vp8Descriptor | None:
    """Read the VP8 payload descriptor, or return None when it is cut (RFC 7741 section 4.2)."""
    size = len(payload)
    if size < 2:
        return None
    first = payload[0]
    position = 1
    picture_at, wide, picture, tl0_at, tl0 = -1, False, 0, -1, 0
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
            position += 1
    if position >= size:
        return None
    start = bool(first & 0x10) and not first & 0x07
    return Vp8Descriptor(position, start and not payload[position] & 0x01, picture_at, wide, picture, tl0_at, tl0)


def patch_vp8(payload: bytes, descriptor: Vp8Descriptor, picture_shift: int, tl0_shift: int) -> bytes:
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
