"""Encodings of section 1: base64url, length prefixes, tagged hashes and canonical JSON (RFC 8785)."""

from __future__ import annotations

import binascii
import hashlib
import json
import re
import unicodedata
from typing import Any, Final, NoReturn

from .errors import EncodingError

MAX_MESSAGE = 256 * 1024
MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 16
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

JsonObject = dict[str, Any]

_STANDARD: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_URL_SAFE: Final = _STANDARD[:-2] + b"-_"
_TO_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
# Characters of any other alphabet, padding too, become one that no decoder takes.
_FROM_URL_SAFE: Final = bytes(
    _STANDARD[_URL_SAFE.index(code)] if code in _URL_SAFE else ord("!") for code in range(256)
)
# By length mod 4: what completes the last group (one character alone is none), and those whose unused bits are zero.
_PADDING: Final = (b"", b"!", b"==", b"=")
_LAST: Final = (_URL_SAFE, b"", _URL_SAFE[::16], _URL_SAFE[::4])

# What the quick way of `strict_json` leaves to the slow one, beside null: long numbers, or text that looks like them.
_LONG_NUMBER: Final = re.compile(r"[:,\[]-?[0-9]{16}")
# UTF-16 orders characters beyond the basic plane before some of those in it (RFC 8785 section 3.2.3).
_BEYOND_BASIC: Final = re.compile("[\U00010000-\U0010ffff]")


def b64u(data: bytes) -> str:
    """Encode as base64url without padding (RFC 4648 section 5)."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL_SAFE).rstrip(b"=").decode("ascii")


def unb64u(text: str) -> bytes:
    """Decode strict base64url.

    Raises:
        EncodingError: on padding, another alphabet or non-zero trailing bits.
    """
    return unb64u_bytes(text.encode("ascii", "replace"))  # a question mark is of no alphabet


def unb64u_bytes(raw: bytes) -> bytes:
    """Decode strict base64url that stands in bytes, as `unb64u` does."""
    over = len(raw) % 4
    try:
        data = binascii.a2b_base64(raw.translate(_FROM_URL_SAFE) + _PADDING[over], strict_mode=True)
    except binascii.Error as error:
        raise EncodingError("not base64url without padding") from error
    if over and raw[-1] not in _LAST[over]:
        raise EncodingError("base64url with non-zero trailing bits")
    return data


def u32(number: int) -> bytes:
    """Return 4 bytes, big-endian."""
    return number.to_bytes(4, "big")


def u64(number: int) -> bytes:
    """Return 8 bytes, big-endian."""
    return number.to_bytes(8, "big")


def lp(data: bytes | str) -> bytes:
    """Prefix with the 4-byte big-endian length; text is UTF-8."""
    raw = data.encode("utf-8") if isinstance(data, str) else data
    return u32(len(raw)) + raw


def h(tag: str, *fields: bytes | str) -> bytes:
    """Return the 32-byte tagged SHA-256 of section 1."""
    return hashlib.sha256(_prefixed(tag, *fields)).digest()


def h512(tag: str, *fields: bytes | str) -> bytes:
    """Return the 64-byte tagged SHA-512 of section 1."""
    return hashlib.sha512(_prefixed(tag, *fields)).digest()


def _prefixed(*fields: bytes | str) -> bytes:
    raws = [one.encode() if isinstance(one, str) else one for one in fields]
    return b"".join([part for raw in raws for part in (len(raw).to_bytes(4, "big"), raw)])


def crockford(data: bytes, bits: int) -> str:
    """Return the first `bits` bits (a multiple of 5) as Crockford base32."""
    number = int.from_bytes(data, "big") >> (len(data) * 8 - bits)
    return "".join(CROCKFORD[(number >> shift) & 31] for shift in range(bits - 5, -1, -5))


def jcs(value: Any) -> bytes:
    """Return RFC 8785 bytes of a value of section 1.

    Raises:
        EncodingError: for floats, null, integers beyond 2^53 - 1, text not in NFC, nesting beyond 16.
    """
    _check_value(value, 0)
    return respell(value)


def strict_json(data: bytes, limit: int = MAX_MESSAGE) -> Any:
    """Parse bytes that must be exactly the RFC 8785 form of what they say.

    Raises:
        EncodingError: too long, not JSON, duplicate keys, or not canonical.
    """
    if len(data) > limit:
        raise EncodingError(f"longer than {limit} bytes")
    try:
        text = data.decode("utf-8")
        # What is left then cannot break a rule of section 1 and come out again as the same bytes: a field that is
        # named twice or a lone surrogate does not, and parts of text in NFC are in NFC.
        if data.count(b"[") + data.count(b"{") <= MAX_DEPTH and not _is_doubtful(text) and _is_nfc(text):
            value = _QUICK.decode(text)
            if respell(value) == data:
                return value
        value = _SLOW.decode(text)
    except EncodingError:
        raise
    except (ValueError, RecursionError) as error:
        raise EncodingError("not JSON") from error
    if jcs(value) != data:
        raise EncodingError("not canonical JSON (RFC 8785)")
    return value


def _is_doubtful(text: str) -> bool:
    return "null" in text or text[:1] not in "[{" or _LONG_NUMBER.search(text) is not None


def respell(value: Any) -> bytes:
    """Return the RFC 8785 bytes of a value that is known to hold what section 1 allows, as from `strict_json`."""
    text = _CANONICAL.encode(value)
    if not text.isascii() and _BEYOND_BASIC.search(text):
        import rfc8785  # wanted only for characters outside the basic plane; the verifier starts faster without it

        return bytes(rfc8785.dumps(value))
    return text.encode("utf-8")


def _check_value(value: Any, depth: int) -> None:
    if depth >= MAX_DEPTH and isinstance(value, dict | list):
        raise EncodingError("nested too deeply")
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise EncodingError("object key is not text")
            _check_text(key)
            _check_value(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_value(item, depth + 1)
    elif isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise EncodingError("integer beyond 2^53 - 1")
    else:
        raise EncodingError("only objects, lists, text, integers and booleans are allowed")


def _check_text(text: str) -> None:
    if not text.isascii():
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise EncodingError("text holds a lone surrogate")
        if not _is_nfc(text):
            raise EncodingError("text is not in NFC")


def _is_nfc(text: str) -> bool:
    return text.isascii() or unicodedata.is_normalized("NFC", text)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> JsonObject:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise EncodingError("duplicate key")
    return result


def _refuse_number(_text: str) -> NoReturn:
    raise EncodingError("numbers are integers")


def _bounded_int(text: str) -> int:
    if len(text) > 17:
        raise EncodingError("integer beyond 2^53 - 1")
    return int(text)


# For the values of section 1 this is RFC 8785, but for the order of names with characters beyond the basic plane.
_CANONICAL: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, sort_keys=True, separators=(",", ":")
)
_QUICK: Final = json.JSONDecoder(parse_float=_refuse_number, parse_constant=_refuse_number)
_SLOW: Final = json.JSONDecoder(
    object_pairs_hook=_no_duplicates,
    parse_float=_refuse_number,
    parse_constant=_refuse_number,
    parse_int=_bounded_int,
)
