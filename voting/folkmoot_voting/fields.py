"""Table-driven checks of decoded JSON: a shape takes a value and returns it with byte strings decoded."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .encoding import MAX_INTEGER, unb64u
from .errors import EncodingError

Shape = Callable[[Any], Any]

_IDENT = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_BUT_LINE_FEED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def record(**shapes: Shape) -> Shape:
    """An object with exactly these fields (a trailing underscore in a name is dropped)."""
    table = {name.rstrip("_"): shape for name, shape in shapes.items()}

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise EncodingError("an object is expected")
        if value.keys() != table.keys():
            odd = sorted(str(name) for name in value.keys() ^ table.keys())
            raise EncodingError(f"unknown or missing field: {odd[0][:40]}")
        result = {}
        for name, shape in table.items():
            try:
                result[name] = shape(value[name])
            except EncodingError as error:
                raise EncodingError(f"{name}: {error.detail}") from error
        return result

    return check


def items(shape: Shape, low: int = 0, high: int = 100_000) -> Shape:
    """A list of `low` to `high` items of one shape."""

    def check(value: Any) -> list[Any]:
        if not isinstance(value, list) or not low <= len(value) <= high:
            raise EncodingError(f"a list of {low} to {high} items is expected")
        return [shape(item) for item in value]

    return check


def integer(low: int = 0, high: int = MAX_INTEGER) -> Shape:
    """An integer from low to high; booleans are refused."""

    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise EncodingError(f"an integer from {low} to {high} is expected")
        return value

    return check


def boolean(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise EncodingError("true or false is expected")
    return value


def ident(value: Any) -> str:
    """An id of section 1."""
    if not isinstance(value, str) or not _IDENT.match(value):
        raise EncodingError("an id is expected")
    return value


def text(limit: int = 200, *, low: int = 1, line_feed: bool = False) -> Shape:
    """Text of section 1, `low` to `limit` UTF-8 bytes, without control characters."""
    control = _CONTROL_BUT_LINE_FEED if line_feed else _CONTROL

    def check(value: Any) -> str:
        if not isinstance(value, str) or not low <= len(value.encode("utf-8", "replace")) <= limit:
            raise EncodingError(f"text of {low} to {limit} bytes is expected")
        if control.search(value):
            raise EncodingError("text holds a control character")
        return value

    return check


def raw_text(limit: int) -> Shape:
    """Text of at most `limit` UTF-8 bytes, line feeds and all (checkpoints)."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or len(value.encode("utf-8", "replace")) > limit:
            raise EncodingError(f"text of at most {limit} bytes is expected")
        return value

    return check


def binary(low: int, high: int | None = None) -> Shape:
    """A b64u string of low to high bytes (exactly `low` when high is not given)."""
    top = low if high is None else high

    def check(value: Any) -> bytes:
        if not isinstance(value, str) or len(value) > top * 4 // 3 + 3:
            raise EncodingError("a base64url string is expected")
        data = unb64u(value)
        if not low <= len(data) <= top:
            raise EncodingError(f"{low} to {top} bytes are expected")
        return data

    return check


def const(expected: Any) -> Shape:
    """Exactly this value, of exactly this type."""

    def check(value: Any) -> Any:
        if type(value) is not type(expected) or value != expected:
            raise EncodingError(f"must be {expected!r}")
        return value

    return check


def one_of(*allowed: str) -> Shape:
    """One of these words."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise EncodingError("must be one of " + ", ".join(allowed))
        return value

    return check


def empty_or(shape: Shape) -> Shape:
    """The empty string, or the shape."""

    def check(value: Any) -> Any:
        return value if value == "" and isinstance(value, str) else shape(value)

    return check


hash32 = binary(32)
signature = binary(64)
key32 = binary(32)
index = integer(1, 9)
moment = integer(0, MAX_INTEGER)
