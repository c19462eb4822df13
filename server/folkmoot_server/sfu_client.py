"""The server's side of the media workers: starts them, talks to them, replaces the dead, places rooms."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import signal
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from folkmoot_media import control
from folkmoot_media.errors import MediaError

logger = logging.getLogger(__name__)

# sun_path holds 108 bytes (unix(7)).
LONGEST_SOCKET_PATH = 107
START_TIMEOUT = 15.0
REQUEST_TIMEOUT = 5.0
CONNECT_RETRY = 0.05
RESTART_PAUSE = 0.2
RESTART_PAUSE_LIMIT = 5.0
STALE_ROUTER_LIFETIME = 30.0
SHUTDOWN_TIMEOUT = 3.0
DEATH_NOTICED = 0.5
# A meeting of 300 with few voices and one picture is what one worker is measured for.
SEATS_PER_ROUTER = 300

OnEvent = Callable[[str, str, dict[str, Any]], None]
OnWorkerDeath = Callable[[list[str]], None]
OnWorkerDraining = Callable[[list[str]], None]


@dataclass(frozen=True, slots=True)
class MediaPoolSettings:
    """How workers are started.

    `run_dir` must be private to this user. `udp_port` is the first worker's port, the next worker has the next, and
    the one after the last is for a worker that takes over from one that drains; 0 lets every worker take a free one.
    `workers` None means one per core but one, at least one. `fan` names the workers' fan-out back end; `auto` takes
    the best that works. A room with more than `seats_per_router` seats is spread over several workers. Rooms of an
    earlier server go on for `stale_s` seconds.
    """

    run_dir: Path
    listen_ip: str = "127.0.0.1"
    announced: tuple[str, ...] = ("127.0.0.1",)
    udp_port: int = 0
    workers: int | None = None
    fan: str = "auto"
    seats_per_router: int = SEATS_PER_ROUTER
    stale_s: float = STALE_ROUTER_LIFETIME

    @property
    def dial_ip(self) -> str:
        """Return the address at which one worker reaches another on this machine."""
        listening = ipaddress.ip_address(self.listen_ip)
        if not listening.is_unspecified:
            return self.listen_ip
        return "127.0.0.1" if listening.version == 4 else "::1"

    @property
    def worker_count(self) -> int:
        """Return how many workers to run."""
        if self.workers is not None:
            return max(1, self.workers)
        return max(1, (os.cpu_count() or 1) - 1)


@dataclass(slots=True, eq=False)
class WorkerLink:
    """One worker as the pool sees it."""

    index: int
    socket_path: Path
    epoch_path: Path
    process: asyncio.subprocess.Process | None = None
    pid: int = 0
    udp_port: int = 0
    epoch: str | None = None
    writer: asyncio.StreamWriter | None = None
    next_id: int = 1
    waiting: dict[int, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)
    rooms: set[str] = field(default_factory=set)
    starting: bool = False
    draining: bool = False

    @property
    def alive(self) -> bool:
        """True while the control connection stands."""
        return self.writer is not None

    @property
    def serving(self) -> bool:
        """True while rooms may be placed here."""
        return self.alive and not self.draining


class MediaPool:
    """The media workers of one server; a room's router lives on one of them.

    There is a place for one worker more than are wanted: the only one that serves can be drained when another has
    taken over.

    Args:
        settings: how workers are started.
        on_event: called as (router_id, event, data) for every worker event; router_id is empty for `stats`.
        on_worker_death: called with the router ids that died with a worker.
        on_worker_draining: called with the router ids to move away from a worker, once there is somewhere to go.
    """

    def __init__(
        self,
        settings: MediaPoolSettings,
        on_event: OnEvent | None = None,
        on_worker_death: OnWorkerDeath | None = None,
        on_worker_draining: OnWorkerDraining | None = None,
    ) -> None:
        self.on_event = on_event
        self.on_worker_death = on_worker_death
        self.on_worker_draining = on_worker_draining
        self.settings = settings
        self._links: list[WorkerLink] = []
        self._placed: dict[str, WorkerLink] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False
        self._changed = asyncio.Event()

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers now alive."""
        return [link.pid for link in self._links if link.alive]

    async def start(self) -> None:
        """Start or adopt every worker.

        Raises:
            MediaError: media.worker-not-started, media.port-in-use.
        """
        directory = self.settings.run_dir
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for index in range(self.settings.worker_count + 1):
            link = WorkerLink(index, directory / f"worker-{index}.sock", directory / f"worker-{index}.epoch")
            if len(bytes(link.socket_path)) > LONGEST_SOCKET_PATH:
                raise MediaError("media.worker-not-started", "The path of the media run folder is too long.")
            self._links.append(link)
        try:
            await asyncio.gather(*(self._adopt(link) for link in self._links))
            # A draining worker that was adopted may be having its place taken already.
            free = [link for link in self._links if not link.alive and not link.starting]
            first = free[: max(0, self._missing - sum(link.starting for link in self._links))]
            for link in first:
                link.starting = True
            await asyncio.gather(*(self._spawn_first(link) for link in first))
        except MediaError:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop every worker; those that do not go by themselves are killed."""
        self._closing = True
        for link in self._links:
            if link.alive:
                with contextlib.suppress(MediaError):
                    await self._ask(link, "worker.shutdown", {})
            await self._end_process(link)
            link.epoch_path.unlink(missing_ok=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for link in self._links:  # one that was being started just now
            await self._kill(link)

    @staticmethod
    async def _end_process(link: WorkerLink) -> None:
        process = link.process
        if process is None:
            return
        try:
            await asyncio.wait_for(process.wait(), SHUTDOWN_TIMEOUT)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def has_other(self, router_ids: Collection[str]) -> bool:
        """Say whether a worker serves that holds none of these routers."""
        return any(link.serving and link.rooms.isdisjoint(router_ids) for link in self._links)

    async def request(
        self, router_id: str, method: str, data: dict[str, Any], apart_from: Collection[str] = ()
    ) -> dict[str, Any]:
        """Ask the worker that holds (or will hold) `router_id`.

        `router.create` places the router, on another worker than those `apart_from` where one serves.

        Raises:
            MediaError: the worker's own error, media.no-such-router, media.unavailable, media.timeout.
        """
        if method == "router.create":
            return await self._create_router(router_id, data, apart_from)
        link = self._placed.get(router_id)
        if link is None:
            raise MediaError("media.no-such-router", "This room has no router now.")
        result = await self._ask(link, method, data)
        if method == "router.close":
            self._forget(router_id)
        return result

    async def stats(self) -> list[dict[str, Any]]:
        """Return the figures of every worker that answers."""
        answers = await asyncio.gather(
            *(self._ask(link, "worker.stats", {}) for link in self._links if link.alive), return_exceptions=True
        )
        return [answer for answer in answers if isinstance(answer, dict)]

    async def _create_router(
        self, router_id: str, data: dict[str, Any], apart_from: Collection[str]
    ) -> dict[str, Any]:
        if router_id in self._placed:
            raise MediaError("media.router-exists", "This room has a router already.")
        while True:
            link = await self._wait_for_worker(apart_from)
            self._placed[router_id] = link
            link.rooms.add(router_id)
            try:
                return await self._ask(link, "router.create", data)
            except MediaError as error:
                self._forget(router_id)
                if error.code != "media.draining":
                    raise
                self._note_draining(link)

    async def _wait_for_worker(self, apart_from: Collection[str] = ()) -> WorkerLink:
        deadline = asyncio.get_running_loop().time() + START_TIMEOUT
        while True:
            serving = [link for link in self._links if link.serving]
            if serving:
                others = [link for link in serving if link.rooms.isdisjoint(apart_from)]
                return min(others or serving, key=lambda link: (len(link.rooms), link.index))
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 or self._closing:
                raise MediaError("media.unavailable", "No media worker is running.")
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left)

    def _forget(self, router_id: str) -> None:
        link = self._placed.pop(router_id, None)
        if link is not None:
            link.rooms.discard(router_id)

    # -- one worker -------------------------------------------------------------------------------------------

    @property
    def _missing(self) -> int:
        """How many workers should serve and do not."""
        return max(0, self.settings.worker_count - sum(link.serving for link in self._links))

    async def _adopt(self, link: WorkerLink) -> None:
        """Take over the worker that an earlier server has left in this place, if there is one."""
        if not (link.epoch_path.exists() and link.socket_path.exists()):
            return
        epoch = link.epoch_path.read_text().strip()
        try:
            stale = await self._connect(link, epoch)
        except (OSError, MediaError, asyncio.IncompleteReadError):
            return
        for router_id in stale:
            self._placed[router_id] = link
            link.rooms.add(router_id)
        if stale:
            self._tasks.append(asyncio.create_task(self._close_stale(link, stale)))

    async def _close_stale(self, link: WorkerLink, router_ids: list[str]) -> None:
        # Members of the earlier server's rooms keep hearing each other until their pages have moved over.
        await asyncio.sleep(self.settings.stale_s)
        for router_id in router_ids:
            if self._placed.get(router_id) is link:
                with contextlib.suppress(MediaError):
                    await self.request(router_id, "router.close", {"router_id": router_id})

    async def _spawn_first(self, link: WorkerLink) -> None:
        try:
            await self._spawn(link)
        finally:
            link.starting = False

    async def _spawn(self, link: WorkerLink) -> None:
        port = self.settings.udp_port + link.index if self.settings.udp_port else 0
        link.socket_path.unlink(missing_ok=True)
        link.process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "folkmoot_media", "--socket", str(link.socket_path), "--udp-port", str(port)),
            *("--listen-ip", self.settings.listen_ip, "--announce-ip", ",".join(self.settings.announced)),
            *("--fan", self.settings.fan),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            stdin=asyncio.subprocess.DEVNULL,
        )
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_TIMEOUT
        while loop.time() < deadline and link.process.returncode is None:
            try:
                await self._connect(link, None)
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(CONNECT_RETRY)
            else:
                return
        await self._kill(link)
        if link.process.returncode == control.EXIT_PORT_IN_USE:
            raise MediaError(
                "media.port-in-use",
                f"UDP port {port} is in use, perhaps by a worker of a killed server; that one ends within a minute.",
            )
        raise MediaError("media.worker-not-started", "A media worker could not be started.")

    @staticmethod
    async def _kill(link: WorkerLink) -> None:
        process = link.process
        if process is None or process.returncode is not None:
            return
        # To signal a process that has just died would take its exit status away from asyncio, which makes one up.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), DEATH_NOTICED)
        if process.returncode is None:
            process.kill()
            await process.wait()

    async def _connect(self, link: WorkerLink, adopt: str | None) -> list[str]:
        reader, writer = await asyncio.open_unix_connection(str(link.socket_path))
        hello = control.Request(id=0, epoch=None, method="worker.hello", data={"version": 1, "adopt": adopt})
        try:
            writer.write(control.encode(hello))
            message = await asyncio.wait_for(control.read_message(reader), REQUEST_TIMEOUT)
        except BaseException:
            writer.close()
            raise
        if not isinstance(message, control.Response) or message.ok is None:
            writer.close()
            raise MediaError("media.stale-epoch", "The worker belongs to another server.")
        link.epoch, link.writer = message.epoch, writer
        link.pid, link.udp_port = int(message.ok["pid"]), int(message.ok["udp_port"])
        link.epoch_path.write_text(message.epoch)
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(asyncio.create_task(self._watch(link, reader)))
        self._changed.set()
        logger.info("media worker %d is up: pid %d, UDP port %d", link.index, link.pid, link.udp_port)
        if message.ok.get("draining"):
            self._note_draining(link)
        return [str(router_id) for router_id in message.ok["router_ids"]]

    async def _watch(self, link: WorkerLink, reader: asyncio.StreamReader) -> None:
        """Read one worker's messages until it goes, then clear up and start another."""
        try:
            while True:
                message = await control.read_message(reader)
                if message.epoch != link.epoch:
                    raise MediaError("media.stale-epoch", "A worker changed its epoch.")
                self._take(link, message)
        except (asyncio.IncompleteReadError, ConnectionError, MediaError):
            pass
        if self._closing:
            self._drop(link)
            return
        logger.warning("media worker %d is gone", link.index)
        drained = link.draining
        lost = self._drop(link)
        if self.on_worker_death is not None:
            self.on_worker_death(lost)
        if drained:
            await self._end_process(link)
        if self._missing and not link.starting:
            await self._restart(link)

    # -- draining ---------------------------------------------------------------------------------------------

    def _note_draining(self, link: WorkerLink) -> None:
        if not link.draining:
            logger.info("media worker %d drains", link.index)
            link.draining = True
            self._tasks.append(asyncio.create_task(self._relieve(link)))

    async def _relieve(self, link: WorkerLink) -> None:
        """See that another worker serves, then say which rooms have to move there."""
        if not any(other.serving or other.starting for other in self._links):
            free = next((other for other in self._links if not other.alive), None)
            if free is not None:
                await self._restart(free)
        while link.alive and not self._closing:
            try:
                await self._wait_for_worker()
            except MediaError:
                continue
            if self.on_worker_draining is not None:
                self.on_worker_draining(sorted(link.rooms))
            return

    def _drop(self, link: WorkerLink) -> list[str]:
        if link.writer is not None:
            link.writer.close()
        link.writer, link.epoch = None, None
        link.draining = False
        waiting, link.waiting = link.waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(MediaError("media.unavailable", "The media worker went away."))
        lost = sorted(link.rooms)
        for router_id in lost:
            self._forget(router_id)
        return lost

    async def _restart(self, link: WorkerLink) -> None:
        """Start a replacement while one is missing; a worker that lost its connection but runs is ended first."""
        link.starting = True
        if link.process is not None:
            await self._kill(link)
        elif link.pid and _is_worker(link.pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(link.pid, signal.SIGKILL)
        link.pid = 0
        pause = RESTART_PAUSE
        try:
            while self._missing and not self._closing:
                try:
                    await self._spawn(link)
                except (MediaError, OSError) as error:
                    logger.error("media worker %d did not start: %s", link.index, type(error).__name__)
                    await asyncio.sleep(pause)
                    pause = min(RESTART_PAUSE_LIMIT, pause * 2)
                else:
                    return
        finally:
            link.starting = False

    def _take(self, link: WorkerLink, message: control.Message) -> None:
        if isinstance(message, control.Response):
            future = link.waiting.pop(message.id, None)
            if future is None or future.done():
                return
            if message.error is not None:
                future.set_exception(MediaError(message.error.code, message.error.message))
            else:
                future.set_result(message.ok or {})
        elif isinstance(message, control.Event) and message.event == "draining":
            self._note_draining(link)
        elif isinstance(message, control.Event) and self.on_event is not None:
            self.on_event(message.router_id, message.event, message.data)

    async def _ask(self, link: WorkerLink, method: str, data: dict[str, Any]) -> dict[str, Any]:
        writer = link.writer
        if writer is None or link.epoch is None:
            raise MediaError("media.unavailable", "The media worker is not running now.")
        number = link.next_id
        link.next_id += 1
        message = control.encode(control.Request(id=number, epoch=link.epoch, method=method, data=data))
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        link.waiting[number] = future
        try:
            writer.write(message)
            return await asyncio.wait_for(future, REQUEST_TIMEOUT)
        except TimeoutError as error:
            raise MediaError("media.timeout", "The media worker did not answer in time.") from error
        finally:
            link.waiting.pop(number, None)


def _is_worker(pid: int) -> bool:
    """Say whether a process that is not our child is a media worker: its number may have been given away."""
    try:
        return b"folkmoot_media" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
