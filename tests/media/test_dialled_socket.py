"""A pipe's end that may be at several addresses."""

from __future__ import annotations

import asyncio
import socket

import pytest

from folkmoot_media.dialled_socket import DialledSocket

NO_WAY = "255.255.255.255"  # connecting to everybody at once is refused by every kernel


@pytest.fixture
def ears() -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("127.0.0.1", 0))
    bound.settimeout(10)
    return bound


async def heard(ears: socket.socket) -> tuple[bytes, tuple[str, int]]:
    return await asyncio.to_thread(ears.recvfrom, 100)


async def test_an_address_without_any_way_is_passed_over(ears: socket.socket) -> None:
    port = ears.getsockname()[1]
    dialled = DialledSocket([(NO_WAY, port), ("127.0.0.1", port), ("::1", port)], lambda _: None)
    dialled.send(b"one")
    data, first = await heard(ears)
    assert data == b"one"
    for _ in range(2):  # to the last one, and past the first one again
        dialled.renew()
    dialled.send(b"two")
    data, second = await heard(ears)
    assert (data, second != first) == (b"two", True)
    dialled.close()


async def test_control_where_no_address_has_a_way_it_says_so(ears: socket.socket) -> None:
    with pytest.raises(OSError, match="Permission"):
        DialledSocket([(NO_WAY, 9), (NO_WAY, 10)], lambda _: None)
