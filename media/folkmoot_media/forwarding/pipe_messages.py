"""What the two ends of a pipe tell each other in RTCP: what is wanted, and what there is (RFC 3550 section 6.7).

Each message is complete and numbered; a lost one is made good by the next.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from folkmoot_media.forwarding.rtcp import Application

NAME = b"FMpp"
PULL, GIVE = 1, 2
MOST_ENTRIES = 64
MOST_LAYERS = 3
LAYER_MASK = (1 << MOST_LAYERS) - 1
LARGEST_RATE = 0xFFFF
VOICES = 1
_HEAD = Struct("!HBB")
_PULL = Struct("!LBBH")
_GIVE = Struct("!LBBHHH")


class Pull(NamedTuple):
    """What is wanted of a video producer, known by the SSRC of its smallest layer; masks of layers.

    `wish` is what consumers would take if the pipe had room for it, `flow` what they take or wait for.
    """

    ssrc: int
    wish: int
    flow: int


class Pulls(NamedTuple):
    """All that one end wants; `voices` when anybody listens there."""

    number: int
    voices: bool
    entries: tuple[Pull, ...]


class Give(NamedTuple):
    """What there is of a video producer: layers that are being sent, layers that the pipe has room for, kbit/s."""

    ssrc: int
    exists: int
    fits: int
    rates: tuple[int, ...]


class Gives(NamedTuple):
    """All video that one end could send."""

    number: int
    entries: tuple[Give, ...]


def build(message: Pulls | Gives) -> Application:
    """Write a message; entries beyond the first 64 are left out."""
    count = min(MOST_ENTRIES, len(message.entries))
    if isinstance(message, Pulls):
        head = _HEAD.pack(message.number & 0xFFFF, VOICES if message.voices else 0, count)
        body = b"".join(_PULL.pack(one.ssrc, one.wish, one.flow, 0) for one in message.entries[:count])
        return Application(PULL, NAME, head + body)
    head = _HEAD.pack(message.number & 0xFFFF, 0, count)
    body = b""
    for one in message.entries[:count]:
        rates = [min(LARGEST_RATE, rate) for rate in (*one.rates, 0, 0, 0)[:MOST_LAYERS]]
        body += _GIVE.pack(one.ssrc, one.exists, one.fits, *rates)
    return Application(GIVE, NAME, head + body)


def parse(application: Application) -> Pulls | Gives | None:
    """Read a message, or return None when it is none of a pipe's or malformed."""
    kind, name, data = application.kind, application.name, application.data
    if name != NAME or len(data) < _HEAD.size:
        return None
    number, flags, count = _HEAD.unpack_from(data)
    form = {PULL: _PULL, GIVE: _GIVE}.get(kind)
    if form is None or count > MOST_ENTRIES or len(data) != _HEAD.size + count * form.size:
        return None
    rows = [form.unpack_from(data, _HEAD.size + row * form.size) for row in range(count)]
    if len({row[0] for row in rows}) < count:
        return None
    if kind == PULL:
        pulls = tuple(Pull(ssrc, wish & LAYER_MASK, flow & LAYER_MASK) for ssrc, wish, flow, _ in rows)
        return Pulls(number, bool(flags & VOICES), pulls)
    gives = tuple(
        Give(ssrc, exists & LAYER_MASK, fits & LAYER_MASK, tuple(rates)) for ssrc, exists, fits, *rates in rows
    )
    return Gives(number, gives)


def is_newer(number: int, known: int | None) -> bool:
    """Say whether a message comes after the last one that was taken (16-bit numbers)."""
    return known is None or 0 < (number - known & 0xFFFF) < 1 << 15
