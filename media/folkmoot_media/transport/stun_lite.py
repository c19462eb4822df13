"""STUN binding requests as an ICE-lite agent sees them (RFC 8445 sections 2.5 and 7.3, RFC 8489)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from aioice import stun

BINDING_REQUEST = b"\x00\x01"
MAGIC_COOKIE = b"\x21\x12\xa4\x42"
HEADER_LENGTH = 20
LARGEST_REQUEST = 548
USERNAME = 6
ROLE_CONFLICT = (487, "Role Conflict")
# What aioice.stun.parse_message has been seen to raise on malformed attributes.
PARSE_ERRORS = (ValueError, struct.error, IndexError, KeyError)

IpPort = tuple[str, int]


class Check(NamedTuple):
    """A connectivity check with a good password."""

    nominated: bool
    role_conflict: bool
    response: bytes


def local_fragment(data: bytes) -> str | None:
    """Return the first half of the USERNAME of a binding request, cheaply and without trusting anything."""
    length = len(data)
    if not HEADER_LENGTH < length <= LARGEST_REQUEST:
        return None
    if data[:2] != BINDING_REQUEST or data[4:8] != MAGIC_COOKIE:
        return None
    position = HEADER_LENGTH
    while position + 4 <= length:
        kind = data[position] << 8 | data[position + 1]
        size = data[position + 2] << 8 | data[position + 3]
        position += 4
        if kind == USERNAME:
            fragment, colon, _ = data[position : position + size].partition(b":")
            return fragment.decode("latin-1") if colon else None
        position += size + (-size % 4)
    return None


def check_request(data: bytes, password: str, source: IpPort) -> Check | None:
    """Verify a binding request against `password` and build the answer; None when it proves nothing."""
    try:
        request = stun.parse_message(data)
    except PARSE_ERRORS:
        return None
    if request.message_class is not stun.Class.REQUEST or request.message_method is not stun.Method.BINDING:
        return None
    key = password.encode()
    if not request.check_message_integrity(key):
        return None
    conflict = "ICE-CONTROLLED" in request.attributes
    response = stun.Message(
        stun.Method.BINDING,
        stun.Class.ERROR if conflict else stun.Class.RESPONSE,
        request.transaction_id,
    )
    if conflict:
        response.attributes["ERROR-CODE"] = ROLE_CONFLICT
    else:
        response.attributes["XOR-MAPPED-ADDRESS"] = source
    response.add_message_integrity(key)
    return Check("USE-CANDIDATE" in request.attributes, conflict, bytes(response))
