"""AV1 to its receivers: which of them get a packet with its dependency descriptor, and in which form.

Clients that name the header extension get the descriptor in it, on every packet that came with one, as the publisher
sent it but for its frame number, which goes on without a break when the consumer's source changes (RTP payload format
for AV1, appendix A.8.1: the second and third byte). Pipes carry it in the payload (`pipe_pictures`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from folkmoot_media.forwarding import codecs, express, pipe_pictures
from folkmoot_media.forwarding.codecs import Descriptor
from folkmoot_media.forwarding.dependency_descriptor import FRAME_NUMBERS, HAS_STRUCTURE, MANDATORY_BYTES
from folkmoot_media.forwarding.model import Layer, VideoConsumer
from folkmoot_media.forwarding.packets import SHORT_WORDS, WORDS_AT, RtpPacket
from folkmoot_media.forwarding.reception import StoredPacket

EXTENSION_ID = express.MARK
NUMBER_AT = 1
# A descriptor of so many bytes goes with one byte before it, a longer one with two (RFC 8285 sections 4.2 and 4.3).
LONGEST_SHORT = 4 * SHORT_WORDS - 1
# What back ends send at most, less the RTP header, the extension's own header with a packet number, and the number
# that a retransmission begins with.
ROOM = 1356 - 12 - 8 - 2

Patch = Callable[[bytes, Descriptor, int, int], bytes]


class Form(NamedTuple):
    """A packet as some of a layer's consumers get it; `patch` writes their numbers, which `descriptor` finds."""

    consumers: list[VideoConsumer]
    packet: RtpPacket
    descriptor: Descriptor
    patch: Patch


def extension(marks: bytes, size: int) -> bytes:
    """Return the descriptor as an element of a header extension, filled up to whole words.

    It is empty where there is no descriptor, or no room for it before a payload of `size` bytes.
    """
    length = len(marks)
    if length < MANDATORY_BYTES:
        return b""
    head = bytes((EXTENSION_ID << 4 | length - 1,)) if length <= LONGEST_SHORT else bytes((EXTENSION_ID, length))
    element = head + marks + bytes(-(len(head) + length) % 4)
    return element if len(element) + size <= ROOM else b""


def mark(marks: bytes, packet: RtpPacket, descriptor: Descriptor) -> tuple[RtpPacket, Descriptor] | None:
    """Return a packet that begins with its extension, and where the frame number stands; None without one."""
    element = extension(marks, len(packet.payload))
    if not element:
        return None
    words = len(element) // 4
    number_at = NUMBER_AT + (1 if words <= SHORT_WORDS else 2)
    marked = packet._replace(marker=packet.marker | words << WORDS_AT, payload=element + packet.payload)
    return marked, Descriptor(len(element), descriptor.key_frame_start, number_at, True, descriptor.picture, -1, 0)


def renumber(payload: bytes, descriptor: Descriptor, shift: int, _: int) -> bytes:
    """Return the extension's bytes with the frame number shifted; same length as before."""
    at = descriptor.picture_at
    number = (descriptor.picture + shift) % FRAME_NUMBERS
    return payload[:at] + number.to_bytes(2, "big") + payload[at + 2 : descriptor.length]


def part(
    layer: Layer, packet: RtpPacket, marks: bytes, descriptor: Descriptor
) -> tuple[list[VideoConsumer], list[Form]]:
    """Return the layer's consumers that get a packet as it is, and the forms in which the others get it."""
    plain: list[VideoConsumer] = []
    marked: list[VideoConsumer] = []
    crossing: list[VideoConsumer] = []
    form = mark(marks, packet, descriptor)
    for consumer in layer.active:
        if consumer.marked and form is not None:
            marked.append(consumer)
        elif pipe_pictures.is_described(consumer):
            crossing.append(consumer)
        else:
            plain.append(consumer)
    forms: list[Form] = []
    if marked and form is not None:
        forms.append(Form(marked, *form, renumber))
    if crossing:
        folded = packet._replace(payload=pipe_pictures.fold(marks, packet.payload))
        forms.append(Form(crossing, folded, descriptor, codecs.patch))
    return plain, forms


def again(consumer: VideoConsumer, stored: StoredPacket, shift: int) -> tuple[int, bytes]:
    """Return what stands before a packet that is sent to a consumer again: its words and their bytes."""
    element = extension(stored.marks or b"", len(stored.payload)) if consumer.marked else b""
    if not element:
        return 0, b""
    number_at = NUMBER_AT + (1 if len(element) <= 4 * SHORT_WORDS else 2)
    found = Descriptor(len(element), False, number_at, True, stored.descriptor.picture, -1, 0)
    return len(element) // 4, renumber(element, found, shift, 0)


def keep_ahead(layer: Layer, marks: bytes, descriptor: Descriptor, position: int) -> None:
    """At a key frame: where the publisher's frame numbers run back, those of who gets the layer already go on.

    Only a descriptor with a structure is looked at: those without are forwarded by rules too.
    """
    back = layer.last_picture + 1 - descriptor.picture
    if len(marks) <= MANDATORY_BYTES or not marks[MANDATORY_BYTES] & HAS_STRUCTURE:
        return
    if -back % FRAME_NUMBERS < FRAME_NUMBERS // 2 - 1:
        return
    express.drop(layer)
    for consumer in layer.active:
        if consumer.marked:
            consumer.picture_shift += back
            consumer.base = position
