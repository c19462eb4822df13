"""Long lists in canonical JSON (section 1), one item at a time: a file of any length in the memory of one item.

A file is either a list, or an object some of whose values are long lists. The frame around the items is held to the
same rules as everything else: canonical, no field twice, no space, nothing after the end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from folkmoot_voting.encoding import strict_json
from folkmoot_voting.errors import EncodingError

MAX_ITEM: Final = 256 * 1024

# What matters for finding the end of a value: strings as a whole, and brackets.
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_TEXT = re.compile(_STRING, re.DOTALL)
_FLAT = re.compile(rb'(?:[^"\[\]{}]++|%b)*+' % _STRING, re.DOTALL)
_ATOM = re.compile(rb'[^\[\]{}",:]+')
_OPENING, _CLOSING = b"[{", b"]}"


class _Bytes:
    """A look-ahead over chunks."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._held = b""
        self._at = 0
        self._before = 0

    @property
    def place(self) -> int:
        """How many bytes were taken."""
        return self._before + self._at

    def peek(self) -> bytes:
        """Return the next byte, empty at the end."""
        return self._held[self._at : self._at + 1] if self._fill(1) else b""

    def take(self, expected: bytes) -> None:
        """Skip exactly these bytes; raises EncodingError when others come."""
        self._fill(len(expected))
        if self._held[self._at : self._at + len(expected)] != expected:
            raise EncodingError("not canonical JSON (RFC 8785)")
        self._at += len(expected)

    def value(self, limit: int) -> bytes:
        """Return the bytes of the value that begins here; raises EncodingError when it is longer than the limit."""
        wanted = 4096
        while True:
            whole = self._fill(wanted)
            end = _end_of_value(self._held, self._at, self._at + limit)
            if end is not None and (end < len(self._held) or not whole):
                found = self._held[self._at : end]
                self._at = end
                return found
            if not whole or wanted > limit:
                raise EncodingError(f"an item is not complete within {limit} bytes")
            wanted *= 4

    def _fill(self, wanted: int) -> bool:
        """Hold so many bytes if there are; say whether there are."""
        if len(self._held) - self._at >= wanted:
            return True
        parts = [self._held[self._at :]]
        self._before += self._at
        have = len(parts[0])
        for chunk in self._chunks:
            parts.append(chunk)
            have += len(chunk)
            if have >= wanted:
                break
        self._held, self._at = b"".join(parts), 0
        return have >= wanted


def _end_of_value(data: bytes, start: int, stop: int) -> int | None:
    """Return where the value ends, None when it is not complete; the value may be nonsense of the right shape."""
    if data[start : start + 1] not in (b"[", b"{"):
        match = (_TEXT if data[start : start + 1] == b'"' else _ATOM).match(data, start)
        return match.end() if match else None
    depth = 0
    at = start
    while at < len(data) and at < stop:
        if data[at] in _OPENING:
            depth += 1
        elif data[at] in _CLOSING:
            depth -= 1
        else:
            return None
        at += 1
        if depth == 0:
            return at
        flat = _FLAT.match(data, at)
        at = flat.end() if flat else at
    return None


def read_list(chunks: Iterable[bytes], shape: Callable[[Any], Any], most: int) -> Iterator[Any]:
    """Yield the items of a file that is one list, each as it stands in the file, after its shape was checked.

    Raises:
        EncodingError: not canonical, another shape, or more than `most` items.
    """
    source = _Bytes(chunks)
    yield from _items(source, shape, most)
    _end(source)


def read_object(
    chunks: Iterable[bytes],
    fields: dict[str, Callable[[Any], Any]],
    lists: dict[str, tuple[Callable[[Any], Any], int]],
    places: dict[str, int] | None = None,
) -> Iterator[tuple[str, Any]]:
    """Yield (field, value) of a file that is one object, and (field, item) for each item of its long lists.

    Args:
        chunks: the file.
        fields: shapes of the short fields, at most 256 KiB each.
        lists: for each long list, the shape of an item and the greatest number of items.
        places: receives where in the file each long list begins that is not empty, for `read_again`.

    Raises:
        EncodingError: not canonical, not exactly these fields, or a wrong shape.
    """
    source = _Bytes(chunks)
    names = sorted({*fields, *lists})
    for number, name in enumerate(names):
        opening = b"{" if number == 0 else b","
        _named(source, opening, name)
        if name in lists:
            place = source.place
            for item in _items(source, *lists[name]):
                if places is not None:
                    places[name] = place
                yield name, item
        else:
            value = strict_json(source.value(MAX_ITEM))
            _shaped(fields[name], value, name)
            yield name, value
    source.take(b"}")
    _end(source)


def read_again(chunks: Iterable[bytes]) -> Iterator[Any]:
    """Yield the items of a list that `read_object` has read to its end.

    Args:
        chunks: the file from where the list begins.

    Raises:
        EncodingError: it is another file now.
    """
    source = _Bytes(chunks)
    opening = b"["
    while opening == b"[" or source.peek() != b"]":
        source.take(opening)
        opening = b","
        try:
            yield json.loads(source.value(MAX_ITEM))
        except ValueError as error:
            raise EncodingError("not JSON") from error


def _named(source: _Bytes, opening: bytes, name: str) -> None:
    try:
        source.take(opening + b'"' + name.encode() + b'":')
    except EncodingError as error:
        raise EncodingError(f"unknown or missing field: {name}") from error


def _items(source: _Bytes, shape: Callable[[Any], Any], most: int) -> Iterator[Any]:
    source.take(b"[")
    number = 0
    while source.peek() != b"]":
        if number:
            source.take(b",")
        number += 1
        if number > most:
            raise EncodingError(f"a list of at most {most} items is expected")
        # Two brackets around it: an item is nested no deeper than section 1 allows where it stands.
        value = strict_json(b"[[%b]]" % source.value(MAX_ITEM), MAX_ITEM + 4)[0][0]
        _shaped(shape, value, f"item {number}")
        yield value
    source.take(b"]")


def _shaped(shape: Callable[[Any], Any], value: Any, place: str) -> None:
    try:
        shape(value)
    except EncodingError as error:
        raise EncodingError(f"{place}: {error.detail}") from error


def _end(source: _Bytes) -> None:
    if source.peek():
        raise EncodingError("not canonical JSON (RFC 8785)")
