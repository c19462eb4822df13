"""Connections to the hub that end at once: what a request that was given up had still to send is never sent.

A line that is too slow to answer has no room for what nobody waits for. And a request that the relay has taken over
must not come to the hub behind what it sends later: the system would go on sending it for minutes.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

import aiohttp
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

AT_ONCE: Final = struct.pack("ii", 1, 0)
_used: ContextVar[list[asyncio.Transport] | None] = ContextVar("_used", default=None)


class _Connector(aiohttp.TCPConnector):
    """Tells `ending_at_once` over what a request goes."""

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  of the method that this one replaces
    ) -> Connection:
        made = await super().connect(req, traces, timeout)
        used = _used.get()
        if used is not None and made.transport is not None:
            used.append(made.transport)
        return made


def connector(connections: int, trust: ssl.SSLContext | bool, kept_s: float) -> aiohttp.TCPConnector:
    """Return a pool of so many connections, each kept so long while nothing uses it."""
    return _Connector(limit=connections, ssl=trust, keepalive_timeout=kept_s, socket_factory=_socket)


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)  # closed is reset: nothing is sent any more
    return made


@contextmanager
def ending_at_once() -> Iterator[None]:
    """End the connection of the request inside at once when it is cancelled, under TLS without a farewell."""
    used: list[asyncio.Transport] = []
    token = _used.set(used)
    try:
        yield
    except asyncio.CancelledError:
        for transport in used:
            transport.abort()
        raise
    finally:
        _used.reset(token)
