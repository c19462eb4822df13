"""A name server such as routers have: it knows the names of one run, and says of every other name that there is none.

Browsers ask for addresses of both families, and for those of a TURN server with nobody's hosts file: where nobody
answers, a relay over TLS is there only when they have given up asking.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Final

from loadtests.router import within

PORT: Final = 53
HEADER: Final = struct.Struct("!HHHHHH")
ADDRESS, INTERNET, NO_SUCH_NAME = 1, 1, 3
ANSWER, TTL_S = 0x8580, 60


def answer(request: bytes, names: Mapping[str, str]) -> bytes | None:
    """Return the answer (RFC 1035) to a request with one question; None when it is none."""
    try:
        number, flags, questions, *_ = HEADER.unpack_from(request)
        labels, position = [], HEADER.size
        while size := request[position]:
            labels.append(request[position + 1 : position + 1 + size].decode("ascii").lower())
            position += 1 + size
        kind, group = struct.unpack_from("!HH", request, position + 1)
    except (IndexError, struct.error, UnicodeDecodeError):
        return None
    if flags & 0x8000 or questions != 1:
        return None
    question = request[HEADER.size : position + 5]
    address = names.get(".".join(labels))
    if address is None:
        return HEADER.pack(number, ANSWER | NO_SUCH_NAME, 1, 0, 0, 0) + question
    if (kind, group) != (ADDRESS, INTERNET):
        return HEADER.pack(number, ANSWER, 1, 0, 0, 0) + question
    record = struct.pack("!HHHIH", 0xC000 | HEADER.size, ADDRESS, INTERNET, TTL_S, 4) + socket.inet_aton(address)
    return HEADER.pack(number, ANSWER, 1, 1, 0, 0) + question + record


class _Server(asyncio.DatagramProtocol):
    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """Keep what answers go out by."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Answer a question."""
        found = answer(data, self._names)
        if found is not None:
            self._transport.sendto(found, addr)


async def start(stack: AsyncExitStack, namespace: str, address: str, names: Mapping[str, str]) -> None:
    """Answer at an address of a namespace until the stack is closed."""
    with within(namespace):
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    own.bind((address, PORT))
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Server(names), sock=own)
    stack.callback(transport.close)
