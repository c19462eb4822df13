"""One encoding for every socket: what python-engineio must be like for it; order, loss and slow readers."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from engineio.packet import MESSAGE
from engineio.packet import Packet as EnginePacket
from tests.server.certificates import write_certificate
from tests.server.support import House, at_check_in, ticket_for

from folkmoot_server.demo import client
from folkmoot_server.domain.audience import Audience, Listener
from folkmoot_server.domain.closed_sessions import Party
from folkmoot_server.realtime import connections, publisher, sockets
from folkmoot_server.realtime.packets import Line, Server, Shared, frame
from folkmoot_server.storage import events

NAMES = ("lan", "jonas", "ana", "paul", "amira", "binh")
LARGE = "é" * 8000


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with at_check_in(tmp_path, *NAMES) as running:
        yield running


class Ear:
    """A bare WebSocket that keeps the numbers of the events it hears; it can stop reading for a while."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self.seqs: list[int] = []
        self.texts: list[str] = []

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                message = await self._socket.receive()
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return
                if message.data == client.PING:
                    await self._socket.send_str(client.PONG)
                elif message.data.startswith(client.EVENT_TOLD):
                    self.seqs.append(json.loads(message.data[2:])[1]["seq"])
                else:
                    self.texts.append(message.data)

    async def hear(self, last: int) -> list[int]:
        await self.until(lambda: self.seqs and self.seqs[-1] >= last)
        return self.seqs

    async def said_goodbye(self) -> str:
        await self.until(lambda: any('"goodbye"' in text for text in self.texts))
        return self.texts[-1]


async def listen(house: House, stack: AsyncExitStack, name: str, after: int = 0) -> Ear:
    """Connect one of the people, without compression or a library."""
    browser = await stack.enter_async_context(aiohttp.ClientSession())
    url = f"{house.origin}/socket.io/?EIO=4&transport=websocket"
    socket = await stack.enter_async_context(browser.ws_connect(url, headers={"Origin": house.origin}))
    auth = {"ticket": await ticket_for(house.people[name], house.meeting), "after": after}
    await socket.send_str("40" + json.dumps(auth))
    ear = Ear(socket)
    await ear.until(lambda: any(text.startswith("40") for text in ear.texts))
    return ear


async def happen(house: House, count: int, text: str = "") -> None:
    """Commit so many events, all at once."""
    body = {"member": "m", "name": text}

    def one(tx: Any) -> int:
        return events.append(tx, house.meeting, "HandRaised", 1, body)

    await asyncio.gather(*(house.context.database.write(one) for _ in range(count)))


async def last_seq(house: House) -> int:
    return int((await house.view("lan"))["seq"])


async def hall_of_fifty(house: House, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch) -> list[Ear]:
    monkeypatch.setattr(sockets, "PER_MEMBER_MAX", 10)
    return [await listen(house, stack, name) for name in NAMES[:5] for _ in range(10)]


async def what_fifty_hear(house: House, ears: list[Ear]) -> list[list[int]]:
    """Let events, commands and a resumption happen at once; return what each socket heard."""

    async def hands(name: str) -> None:
        for command in ("raise-hand", "lower-hand") * 3:
            await house.command(name, command)

    await house.check_in(*NAMES)
    await house.command("lan", "open")
    await asyncio.gather(happen(house, 150), *map(hands, NAMES), happen(house, 150))
    seq = await last_seq(house)
    return await asyncio.gather(*(ear.hear(seq) for ear in ears))


async def test_fifty_sockets_hear_everything_once_and_in_order(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async with AsyncExitStack() as stack:
        ears = await hall_of_fifty(house, stack, monkeypatch)
        heard = await what_fifty_hear(house, ears)
        seq = await last_seq(house)
        assert seq > 300
        assert heard == [list(range(1, seq + 1))] * 50


async def test_control_a_frame_that_is_left_out_is_noticed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same fifty, with a fault planted in the shared encoding: one event is missing from what is written."""
    whole = connections.News.of

    def skipping(news: connections.News, listener: Listener) -> tuple[list[Shared], bytes]:
        packets, frames = whole(news, listener)
        if news.first <= 100 <= news.last:
            packets = [packet for seq, packet in enumerate(packets, news.first) if seq != 100]
            frames = b"".join(packet.frame for packet in packets)
        return packets, frames

    monkeypatch.setattr(connections.News, "of", skipping)
    async with AsyncExitStack() as stack:
        ears = await hall_of_fifty(house, stack, monkeypatch)
        heard = await what_fifty_hear(house, ears)
        assert all(100 not in seqs and seqs[-1] > 300 for seqs in heard)


async def test_events_that_come_while_a_client_catches_up_follow_what_it_missed(house: House) -> None:
    await happen(house, publisher.PAGE + 100)
    async with AsyncExitStack() as stack:
        joining = asyncio.gather(*(listen(house, stack, name, after=after) for after, name in enumerate(NAMES)))
        await happen(house, 200)
        ears = await joining
        await happen(house, 50)
        seq = await last_seq(house)
        for after, ear in enumerate(ears):
            assert await ear.hear(seq) == list(range(after + 1, seq + 1))


async def test_who_reads_late_still_hears_everything_in_order(house: House) -> None:
    """Events go to the transport, then wait in the line, then wait in the log, then go to the transport again."""
    async with AsyncExitStack() as stack:
        late, other = await listen(house, stack, "binh"), await listen(house, stack, "ana")
        await happen(house, 3 * sockets.QUEUE_MAX, LARGE)
        seq = await last_seq(house)
        assert await other.hear(seq) == list(range(1, seq + 1))
        connection = next(one for one in house.realtime.connections if one.member == house.binh.member)
        assert connection.cursor < seq
        assert connection.unread
        assert await late.hear(seq) == list(range(1, seq + 1))
        await happen(house, 5)
        assert await late.hear(seq + 5) == list(range(1, seq + 6))
        assert not connection.unread


async def test_who_does_not_read_is_sent_away_and_resumes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "SLOW_S", 2.0)
    async with AsyncExitStack() as stack:
        slow, other = await listen(house, stack, "binh"), await listen(house, stack, "ana")
        seq = await last_seq(house) + 3 * sockets.QUEUE_MAX
        await asyncio.gather(happen(house, 3 * sockets.QUEUE_MAX, LARGE), other.hear(seq))
        async with asyncio.timeout(20):
            while len(house.realtime.connections) > 1:  # noqa: ASYNC110  until the server has had enough
                await asyncio.sleep(0.02)
        assert [one.member for one in house.realtime.connections] == [house.ana.member]
        await slow.until(lambda: False)  # to the end of what was on its way
        heard = slow.seqs
        assert heard == list(range(1, len(heard) + 1))
        assert len(heard) < seq
        again = await listen(house, stack, "binh", after=heard[-1])
        assert await again.hear(seq) == list(range(heard[-1] + 1, seq + 1))


async def test_the_removed_member_hears_of_it_before_goodbye(house: House) -> None:
    await house.check_in("lan", "binh")
    async with AsyncExitStack() as stack:
        ear = await listen(house, stack, "binh")
        await house.command("lan", "remove", member=house.binh.member)
        assert "meeting.removed" in await ear.said_goodbye()
        log = await house.events()
        removed = next(event["seq"] for event in log if event["type"] == "MemberRemoved")
        assert ear.seqs[: removed + 1] == list(range(1, len(ear.seqs[: removed + 1]) + 1))
        assert removed in ear.seqs


@pytest.mark.parametrize("length", [0, 80, 125, 126, 127, 65_535, 65_536, 70_000])
async def test_frames_of_every_length_arrive_as_the_library_would_send_them(house: House, length: int) -> None:
    """RFC 6455 has three ways to write a length; a large text comes from us to a client of ours only."""
    async with AsyncExitStack() as stack:
        ear = await listen(house, stack, "binh")
        await ear.hear(await last_seq(house))
        (connection,) = house.realtime.connections
        empty = len(Shared("counter", {"x": ""}).encode())
        packet = Shared("counter", {"x": "a" * max(0, length - empty)})
        connection.tell(packet)
        await house.realtime._sio.emit("counter", {"x": "a" * max(0, length - empty)}, to=connection.sid)
        await ear.until(lambda: sum("counter" in text for text in ear.texts) == 2)
        ours, theirs = ear.texts[-2:]
        assert ours == theirs == packet.encode()


def test_a_frame_counts_bytes_and_not_letters() -> None:
    assert frame("é" * 63)[:4] == bytes([0x81, 126, 0, 126])


async def test_what_the_library_must_be_like(house: House) -> None:
    """The contract with python-engineio: look at async_socket.py of a new version before this line changes."""
    assert (version("python-engineio"), version("python-socketio")) == ("4.15.1", "5.18.1")
    async with AsyncExitStack() as stack:
        ear = await listen(house, stack, "binh")
        await ear.hear(await last_seq(house))
        (connection,) = house.realtime.connections
        engine_socket = house.realtime._sio.eio.sockets[connection.eio_sid]
        assert engine_socket.queue is connection.line
        assert connection.line._writer_waits
        assert connection.line._socket is not None
        assert not connection.line._socket.compress
        await engine_socket.send(EnginePacket(MESSAGE, data="2[]"))
        assert not connection.line._writer_waits
        connection.tell(Shared("counter", {}))  # behind what the library has put there
        await ear.until(lambda: any("counter" in text for text in ear.texts))
        assert ear.texts[-2:] == ["42[]", '42["counter",{}]']


async def test_a_line_without_a_waiting_writer_keeps_everything_in_order() -> None:
    written: list[bytes] = []

    class Recorder:
        closing = False
        waiting = 0

        def write(self, data: bytes) -> None:
            written.append(data)

        def is_closing(self) -> bool:
            return self.closing

        def get_write_buffer_size(self) -> int:
            return self.waiting

    class Open:
        closed = False

    line, transport, packet = Line(), Recorder(), Shared("counter", {})
    line.attach(Open(), transport)  # type: ignore[arg-type]
    line.tell((packet,), packet.frame)
    assert (written, line.qsize()) == ([], 1)  # nobody waits yet
    assert await line.get() is packet
    writer = asyncio.create_task(line.get())
    await asyncio.sleep(0)
    line.tell((packet,), packet.frame)
    assert (written, line.qsize()) == ([packet.frame], 0)
    transport.waiting = 1
    line.tell((packet,), packet.frame)
    transport.waiting = 0
    line.tell((packet,), packet.frame)
    assert (written, line.qsize()) == ([packet.frame], 2)
    assert await writer is packet
    line.tell((packet,), packet.frame)
    assert (written, line.qsize()) == ([packet.frame], 2)  # the writer is writing what it took


async def test_frames_go_through_tls_too(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    server, trust = (
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
        ssl.create_default_context(cafile=certificate),
    )
    server.load_cert_chain(certificate, key)
    trust.check_hostname = False
    told = Server(async_mode="aiohttp", transports=["websocket"])
    app = web.Application()
    told.attach(app)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server).start()
    url = f"wss://127.0.0.1:{runner.addresses[0][1]}/socket.io/?EIO=4&transport=websocket"
    async with aiohttp.ClientSession() as browser, browser.ws_connect(url, ssl=trust) as socket:
        opened = json.loads((await socket.receive_str())[1:])
        line = told.line(opened["sid"])
        assert line is not None
        async with asyncio.timeout(10):
            while not line._writer_waits:  # noqa: ASYNC110  the library's writer has sent the opening
                await asyncio.sleep(0.01)
        packets = [Shared("counter", {"x": number}) for number in range(200)]
        for packet in packets:
            line.tell((packet,), packet.frame)
        assert not line.qsize()
        assert [await socket.receive_str() for _ in packets] == [packet.encode() for packet in packets]
    await runner.cleanup()


@pytest.mark.parametrize("is_open", [True, False, None])
def test_a_page_turn_is_short_and_says_the_same(is_open: bool | None) -> None:
    """20 + 32 bytes of IP and TCP and 22 of TLS come to it; a turn is to be under 200 bytes."""
    body: dict[str, Any] = {"page": 117, "paper": "A" * 16, "version": 3}
    body |= {} if is_open is None else {"open": is_open}
    event = events.StoredEvent(1, "M", 9_876, "PagePresented", 1_790_000_000, body)
    sent = publisher.told(event).packets[Audience.MEMBERS]
    heard = json.loads(sent.encode()[2:])[1]["body"]
    assert {"open": True, **heard} == {"open": True, **body}
    assert (is_open is False) is ("open" in heard)
    if is_open is not False:
        assert len(sent.frame) + 52 + 22 < 200
    whole = Shared("event", event.wire(Listener(Audience.MEMBERS, Party("", True))))
    assert len(whole.frame) - len(sent.frame) in ((12, 14) if is_open else (0,))  # control
