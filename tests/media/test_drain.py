"""A worker that is asked to terminate hands its rooms over while they go on sounding; one that is killed does not."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.media.support import CAPABILITIES, IDENTITY, LEVEL_ID, MID_ID, Network, audio_parameters, rtp
from tests.media.test_control import Channel

from folkmoot_media import worker as worker_module
from folkmoot_media.errors import MediaError
from folkmoot_media.transport.active import ActiveTransport
from folkmoot_media.transport.aiortc_adapter import Fingerprint
from folkmoot_media.worker import Worker, WorkerSettings
from folkmoot_server.realtime.media_links import Audience
from folkmoot_server.realtime.media_signalling import MediaSignalling
from folkmoot_server.sfu_client import MediaPool, MediaPoolSettings

PATIENCE = 60.0


async def until(found: Callable[[], object]) -> None:
    """Wait until something is so; what is waited for here sends no event."""
    async with asyncio.timeout(PATIENCE):
        while not found():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Link:
    """One transport of a page: a socket of its own, ICE, DTLS, SRTP."""

    def __init__(self, info: dict[str, Any], on_rtp: Callable[[bytes], None]) -> None:
        candidate = info["iceCandidates"][0]
        self.id = info["id"]
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.connect((candidate["ip"], candidate["port"]))
        self.active = ActiveTransport(IDENTITY, self._send, secrets.token_bytes, on_rtp)
        ice, dtls = info["iceParameters"], info["dtlsParameters"]
        prints = [Fingerprint(one["algorithm"], one["value"]) for one in dtls["fingerprints"]]
        self.active.set_remote(ice["usernameFragment"], ice["password"], prints)
        asyncio.get_running_loop().add_reader(self.socket, self._read)

    def _send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self.socket.send(data)

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            self.active.receive(self.socket.recv(2048))

    async def connect(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while not self.active.connected:
                self.active.check()
                self.active.poll()
                await asyncio.sleep(0.1)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.socket)
        self.socket.close()


class Page:
    """A seat that speaks or listens, and builds everything anew when it is told `room_reset`."""

    def __init__(self, hall: "Hall", owner: str, speaks: bool) -> None:
        self.hall, self.owner, self.speaks = hall, owner, speaks
        self.heard = 0
        self.heard_at_reset: list[int] = []
        self.links: list[Link] = []
        self._sequence = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def _on_rtp(self, _data: bytes) -> None:
        self.heard += 1

    def start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)

    async def ask(self, method: str, **data: Any) -> dict[str, Any]:
        return await self.hall.signalling.handle("hall", self.owner, method, data)

    async def build(self) -> None:
        info = await self.ask("create_transport", direction="send" if self.speaks else "recv")
        link = Link(info, self._on_rtp)
        prints = [{"algorithm": one.algorithm, "value": one.value} for one in link.active.fingerprints]
        dtls = {"role": "client", "fingerprints": prints}
        await self.ask("connect_transport", transport_id=link.id, dtlsParameters=dtls)
        if self.speaks:
            said = {"kind": "audio", "source": "microphone", "rtpParameters": audio_parameters()}
            await self.ask("produce", transport_id=link.id, **said)
        else:
            for slot in (await self.ask("list"))["slots"]:
                wanted = {"producer_id": slot["producer_id"], "rtpCapabilities": CAPABILITIES}
                consumer = await self.ask("consume", transport_id=link.id, **wanted)
                await self.ask("resume_consumer", consumer_id=consumer["id"])
        await link.connect()
        self.links.append(link)

    async def speak(self) -> None:
        while True:
            self._sequence += 1
            packet = rtp(
                ssrc=5000,
                sequence=self._sequence,
                timestamp=960 * self._sequence,
                extensions={MID_ID: b"0", LEVEL_ID: bytes((20,))},
            )
            for link in self.links[-1:]:
                link.active.send_rtp(packet)
            await asyncio.sleep(0.02)

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for link in self.links:
            link.close()


class Hall:
    """A pool of workers, signalling, and two pages: one speaks, the other listens."""

    def __init__(self, run_dir: Path, workers: int) -> None:
        self.pool = MediaPool(MediaPoolSettings(run_dir, workers=workers))
        self.signalling = MediaSignalling(self.pool, self._notify)
        self.anna, self.bela = Page(self, "anna", speaks=True), Page(self, "bela", speaks=False)
        self.resets = 0

    def _notify(self, _room: str, _owner: Audience, event: str, _data: dict[str, Any]) -> None:
        if event == "room_reset":
            self.resets += 1
            for page in (self.anna, self.bela):
                page.heard_at_reset.append(page.heard)
                page.start(page.build())

    @property
    def router(self) -> str | None:
        parts = self.signalling._rooms["hall"].parts
        return parts[0].router_id if parts else None

    @property
    def draining(self) -> bool:
        return any(link.draining for link in self.pool._links)


@asynccontextmanager
async def sounding(folder: Path, workers: int) -> AsyncIterator[Hall]:
    """A hall in which bela hears anna."""
    hall = Hall(folder / "run", workers)
    await hall.pool.start()
    try:
        for page in (hall.anna, hall.bela):
            await hall.signalling.join("hall", page.owner)
            await page.build()
        hall.anna.start(hall.anna.speak())
        await until(lambda: hall.bela.heard > 10)
        yield hall
    finally:
        for page in (hall.anna, hall.bela):
            await page.leave()
        await hall.signalling.close()
        await hall.pool.close()


def worker_of(hall: Hall) -> tuple[int, asyncio.subprocess.Process]:
    """Process id and process of the worker that holds the hall."""
    assert hall.router is not None
    link = hall.pool._placed[hall.router]
    assert link.process is not None
    return link.pid, link.process


async def drain_the_only_worker(hall: Hall) -> None:
    resets, (pid, process) = hall.resets, worker_of(hall)
    os.kill(pid, signal.SIGTERM)
    await until(lambda: hall.draining)
    at_drain = hall.bela.heard
    with pytest.raises(MediaError) as refusal:
        await hall.anna.ask("create_transport", direction="recv")
    assert refusal.value.code == "media.room-resetting"
    await until(lambda: hall.resets > resets)
    # While another worker was starting the old one went on forwarding.
    at_reset = hall.bela.heard_at_reset[-1]
    assert at_reset - at_drain >= 5
    await until(lambda: pid not in hall.pool.pids)
    async with asyncio.timeout(PATIENCE):
        assert await process.wait() == 0
    await until(lambda: hall.bela.heard > at_reset + 50)
    assert len(hall.pool.pids) == 1


async def test_the_only_worker_drains_while_the_room_goes_on_sounding(tmp_path: Path) -> None:
    async with sounding(tmp_path, workers=1) as hall:
        await drain_the_only_worker(hall)
        await drain_the_only_worker(hall)  # the one that had taken over
        assert hall.resets == 2


async def test_control_a_killed_worker_is_replaced_and_nothing_is_heard_meanwhile(tmp_path: Path) -> None:
    async with sounding(tmp_path, workers=1) as hall:
        pid, process = worker_of(hall)
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not hall.pool.pids)
        at_death = hall.bela.heard
        await until(lambda: hall.resets == 1)
        assert hall.bela.heard_at_reset[-1] == at_death
        assert process.returncode == -signal.SIGKILL
        await until(lambda: hall.bela.heard > at_death + 50)
        assert len(hall.pool.pids) == 1


async def test_with_two_workers_rooms_move_to_the_other_and_a_fresh_one_takes_the_place(tmp_path: Path) -> None:
    async with sounding(tmp_path, workers=2) as hall:
        pid, _ = worker_of(hall)
        (other,) = set(hall.pool.pids) - {pid}
        os.kill(pid, signal.SIGTERM)
        await until(lambda: hall.resets == 1)
        assert worker_of(hall)[0] == other
        at_reset = hall.bela.heard_at_reset[-1]
        await until(lambda: hall.bela.heard > at_reset + 50)
        await until(lambda: pid not in hall.pool.pids and len(hall.pool.pids) == 2)
        assert other in hall.pool.pids


async def test_a_server_that_starts_anew_adopts_a_draining_worker_and_relieves_it(tmp_path: Path) -> None:
    async with sounding(tmp_path, workers=1) as hall:
        pid, process = worker_of(hall)
        link = hall.pool._placed[hall.router or ""]
        hall.pool._closing = True  # the first server goes without a word
        assert link.writer is not None
        link.writer.close()
        os.kill(pid, signal.SIGTERM)
        heir = MediaPool(MediaPoolSettings(tmp_path / "run", workers=1))
        told: list[str] = []
        heir.on_worker_draining = told.extend
        await heir.start()
        try:
            assert pid in heir.pids
            fresh = await heir.request("new", "router.create", {"router_id": "new", "floor_mode": "open"})
            assert fresh["rtp_capabilities"]
            assert heir._placed["new"].pid != pid
            await until(lambda: told)
            await heir.request(told[0], "router.close", {"router_id": told[0]})
            await until(lambda: process.returncode is not None)
            assert process.returncode == 0
        finally:
            await heir.close()


def test_a_draining_worker_takes_on_nothing_new_and_lets_the_rest_go_on() -> None:
    network = Network()
    network.call("router.create", router_id="r", floor_mode="open")
    anna = network.join("r", "anna", "send", 1)
    anything: list[tuple[str, dict[str, Any]]] = [
        ("router.create", {"router_id": "s", "floor_mode": "open"}),
        ("router.create_transport", {"router_id": "r", "owner": "anna", "direction": "send"}),
        ("pipe.create", {"router_id": "r", "side": "answer"}),
    ]
    network.methods.draining = True
    for method, data in anything:
        with pytest.raises(MediaError) as refusal:
            network.call(method, **data)
        assert refusal.value.code == "media.draining", method
    anna.produce()
    assert (list(network.rooms.routers), len(network.rooms.transports)) == (["r"], 1)
    # Control: the same is taken by a worker that does not drain.
    network.methods.draining = False
    for method, data in anything:
        network.call(method, **data)


async def test_a_room_that_nobody_moves_ends_with_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "DRAIN_LIMIT", 1.0)
    worker = Worker(WorkerSettings(tmp_path / "w.sock", "127.0.0.1", ("127.0.0.1",), 0))
    running = asyncio.create_task(worker.run())
    channel = await Channel.open(tmp_path / "w.sock")
    hello = await channel.ask("worker.hello", None, version=1, adopt=None)
    assert hello.ok is not None
    assert hello.ok["draining"] is False
    await channel.ask("router.create", hello.epoch, router_id="r", floor_mode="open")
    loop = asyncio.get_running_loop()
    began = loop.time()
    worker.drain()
    await channel.ask("worker.stats", hello.epoch)
    assert not running.done()
    await asyncio.wait_for(running, PATIENCE)
    assert loop.time() - began >= 1.0
    channel.writer.close()
    Channel.opened.clear()
