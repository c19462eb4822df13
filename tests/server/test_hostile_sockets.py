"""Signed-in members whose sockets try to use up the server's memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from engineio.packet import MESSAGE, Packet
from tests.server.support import House, at_check_in, connect, ticket_for

from folkmoot_server.realtime import sockets


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with at_check_in(tmp_path, "lan", "jonas", "ana", "paul", "amira", "binh") as running:
        yield running


@asynccontextmanager
async def raw_socket(house: House) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A bare WebSocket of Binh after its engine.io opening."""
    async with aiohttp.ClientSession() as browser:
        url = f"{house.origin}/socket.io/?EIO=4&transport=websocket"
        async with browser.ws_connect(url, headers={"Origin": house.origin}) as socket:
            assert (await socket.receive_str()).startswith("0{")
            yield socket


async def connect_raw(house: House, socket: aiohttp.ClientWebSocketResponse) -> str:
    """Send a CONNECT with a fresh ticket; return the answer to it."""
    await socket.send_str("40" + json.dumps({"ticket": await ticket_for(house.binh, house.meeting), "after": 0}))
    return await answer(socket, "40", "44")


async def answer(socket: aiohttp.ClientWebSocketResponse, *kinds: str) -> str:
    """Return the next message of one of these kinds, or "closed"."""
    async with asyncio.timeout(10):
        while True:
            message = await socket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                return "closed"
            if str(message.data).startswith(kinds):
                return str(message.data)


async def test_attachments_without_end_are_not_kept(house: House) -> None:
    held = house.realtime._sio._binary_packet
    async with raw_socket(house) as socket:
        assert (await connect_raw(house, socket)).startswith("40")
        await socket.send_str('452-7["lease",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]')
        await socket.send_bytes(bytes(100))
        async with asyncio.timeout(10):
            while not held:  # noqa: ASYNC110  the control: what few announce is waited for
                await asyncio.sleep(0.01)
        await socket.send_bytes(bytes(100))
        assert "input.malformed" in await answer(socket, "437")
    async with raw_socket(house) as socket:
        await connect_raw(house, socket)
        await socket.send_str('45999999999-7["lease",{"_placeholder":true,"num":0}]')
        for _ in range(50):
            await socket.send_bytes(bytes(60_000))
        await socket.send_str('429["lease",{}]')
        await answer(socket, "439")
        assert not held


async def test_a_socket_connects_once(house: House) -> None:
    async with raw_socket(house) as socket:
        assert (await connect_raw(house, socket)).startswith("40")
        assert (await connect_raw(house, socket)).startswith("44")
        assert len(house.realtime.connections) == 1
    other = await connect(house, "lan")
    assert [one.member for one in house.realtime.connections] == [house.lan.member]
    assert not other.gone


async def test_who_asks_and_does_not_read_is_sent_away(house: House) -> None:
    heard = await connect(house, "binh")
    (connection,) = house.realtime.connections
    unread = house.realtime._sio.eio.sockets[connection.eio_sid].queue

    async def run(_: object) -> dict[str, object]:
        return {}

    assert await house.realtime._answer(connection.sid, run) == {"ok": {}}
    for _ in range(sockets.QUEUE_MAX):  # as if the client's window were closed
        unread.put_nowait(Packet(MESSAGE, data="2[]"))
    told = await house.realtime._answer(connection.sid, run)
    assert told["error"]["code"] == "socket.too-slow"
    await heard.until(lambda: heard.gone)
    assert not house.realtime.connections
