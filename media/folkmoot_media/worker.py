"""The media worker process: one UDP port, one control socket, one event loop."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import os
import secrets
import select
import selectors
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from folkmoot_media import control
from folkmoot_media.dialled_socket import DialledSocket
from folkmoot_media.errors import MediaError
from folkmoot_media.fan import choice
from folkmoot_media.fan.interface import MEDIA_WAITS, OTHER_WAITS, Waiter
from folkmoot_media.fan.streams import StreamingFan
from folkmoot_media.methods import Methods
from folkmoot_media.rooms import Rooms
from folkmoot_media.rtp_parameters import Strict
from folkmoot_media.stream_port import StreamPort, open_tcp
from folkmoot_media.transport.aiortc_adapter import DtlsIdentity
from folkmoot_media.transport.dialling import Arrived
from folkmoot_media.transport.endpoint import Address, Endpoint, is_stream
from folkmoot_media.transport.limits import ThrottledLog
from folkmoot_media.transport.stun_lite import IpPort

logger = logging.getLogger(__name__)

ORPHAN_LIFETIME = 60.0
POLL_PERIOD = 0.05
IDLE_POLL_PERIOD = 0.5
STATS_PERIOD = 5.0
DRAIN_LIMIT = 30.0
SOCKET_BUFFER = 4 << 20
WRITE_LIMIT = 4 << 20
# Of a host's best candidate (RFC 8445, 5.1.2.1); each further address stands one local preference lower.
BEST_UDP = 2130706431
BEST_TCP = 1518149375


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How a worker is started; `announced` is what clients are told, best first; `udp_port` 0 means any free port."""

    socket_path: Path
    listen_ip: str
    announced: tuple[str, ...]
    udp_port: int
    orphan_lifetime: float = ORPHAN_LIFETIME
    fan: str = choice.AUTOMATIC


class Hello(Strict):
    """The first request on a control connection; `adopt` is the epoch of a worker that is already in use."""

    version: Annotated[int, Field(ge=1, le=1)]
    adopt: control.Epoch | None


class MediaSelector(selectors.EpollSelector):
    """A selector that serves the media socket while its event loop waits.

    Media wakes the worker thousands of times a second; a turn of the event loop each time would cost as much as
    sending several packets. Everything else, and every timer, gets its turn as always.
    """

    def __init__(self) -> None:
        super().__init__()
        self._outer = select.epoll()
        self._outer.register(self.fileno(), select.EPOLLIN)
        self._media = -1
        self._handler: Callable[[], None] | None = None
        self._waiter: Waiter | None = None

    def serve(self, descriptor: int, handler: Callable[[], None], waiter: Waiter | None = None) -> None:
        """Call `handler`, which must not raise, whenever `descriptor` is readable, or the `waiter` says so."""
        self._outer.register(descriptor, select.EPOLLIN)
        self._media, self._handler, self._waiter = descriptor, handler, waiter

    def stop_serving(self) -> None:
        """Leave the descriptor alone again."""
        self._outer.unregister(self._media)
        self._handler = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait like any selector, serving the media socket meanwhile."""
        handler = self._handler
        if handler is None or (timeout is not None and timeout <= 0):
            return super().select(timeout)
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            found = self._wait(timeout)
            if found & MEDIA_WAITS:
                handler()
            if found != MEDIA_WAITS:
                return super().select(0)
            if end is not None:
                timeout = end - time.monotonic()
                if timeout <= 0:
                    return super().select(0)

    def _wait(self, timeout: float | None) -> int:
        if self._waiter is not None:
            return self._waiter(self.fileno(), timeout)
        found = 0
        for descriptor, _ in self._outer.poll(timeout, 2):
            found |= MEDIA_WAITS if descriptor == self._media else OTHER_WAITS
        return found

    def close(self) -> None:
        """Close both levels."""
        self._outer.close()
        super().close()


def open_udp(listen_ip: str, port: int) -> socket.socket:
    """Bind the worker's UDP socket; an IPv6 wildcard serves IPv4 too."""
    family = socket.AF_INET6 if ipaddress.ip_address(listen_ip).version == 6 else socket.AF_INET
    udp = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER)
    udp.setblocking(False)
    udp.bind((listen_ip, port))
    return udp


class Worker:
    """Runs the rooms on real sockets and the real clock."""

    def __init__(self, settings: WorkerSettings, selector: MediaSelector | None = None) -> None:
        """Open the UDP socket and choose the fan-out back end.

        Args:
            settings: how to run.
            selector: that of the event loop which will run the worker, when it is one that serves media.

        Raises:
            OSError: the port is taken.
            MediaError: media.fan-unavailable.
        """
        self.settings = settings
        self._selector = selector
        self.epoch = secrets.token_hex(16)
        self._udp = open_udp(settings.listen_ip, settings.udp_port)
        self.udp_port: int = self._udp.getsockname()[1]
        self._listening = open_tcp(settings.listen_ip, self.udp_port)
        self._streams = StreamPort(self._take_stream, self._knows, self._lost)
        chosen = choice.choose(settings.fan, self._udp, self._udp.family == socket.AF_INET6, secrets.token_bytes)
        self._fan = StreamingFan(chosen.fan, self._streams)
        for reason in chosen.passed_over:
            logger.info("fan-out back end passed over: %s", reason)
        logger.info("fan-out back end: %s", self._fan.name)
        self._rooms = Rooms(
            DtlsIdentity(),
            self._send,
            self._fan,
            self._notify,
            secrets.token_bytes,
            time.time() - time.monotonic(),
            self._dial,
        )
        candidates = self._candidates("udp", BEST_UDP)
        if self._listening is not None:
            candidates += [{**one, "tcpType": "passive"} for one in self._candidates("tcp", BEST_TCP)]
        else:
            logger.info("TCP port %d is in use: nobody is told to come by TCP", self.udp_port)
        self._methods = Methods(self._rooms, candidates)
        self._methods.extra_stats = self._figures
        self._log = ThrottledLog(logger.warning)
        self._writer: asyncio.StreamWriter | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._adopted = False
        self._orphan_since = time.monotonic()
        self._drained_by: float | None = None
        self._stopped = asyncio.Event()
        self._counters = {"datagrams": 0, "send_failed": 0, "contained_errors": 0}

    def _candidates(self, protocol: str, best: int) -> list[dict[str, object]]:
        return [
            {
                "foundation": protocol if rank == 0 else f"{protocol}{rank + 1}",
                "priority": best - (rank << 8),
                "ip": address,
                "address": address,
                "protocol": protocol,
                "port": self.udp_port,
                "type": "host",
            }
            for rank, address in enumerate(self.settings.announced)
        ]

    def _figures(self) -> dict[str, object]:
        streams = {"streams": len(self._streams.connections), **self._streams.counters}
        return {**self._fan.figures(), **self._counters, **streams}

    # -- UDP --------------------------------------------------------------------------------------------------

    def _send(self, data: bytes, address: Address) -> None:
        try:
            if is_stream(address):
                self._streams.sendto(data, address)
            else:
                self._udp.sendto(data, address)
        except OSError:
            # A full socket buffer or an unreachable client: media is lost like on any network.
            self._counters["send_failed"] += 1

    def _dial(self, addresses: list[IpPort], take: Callable[[list[Arrived], float], None]) -> DialledSocket:
        def contained(datagrams: list[Arrived]) -> None:
            now = time.monotonic()
            self._counters["datagrams"] += len(datagrams)
            try:
                take(datagrams, now)
            except Exception as error:
                self._contain("pipe", error, now)

        return DialledSocket(addresses, contained)

    def _on_readable(self) -> None:
        now = time.monotonic()
        try:
            self._counters["datagrams"] += self._rooms.receive(self, now)
        except Exception as error:
            self._contain("fan-out", error, now)

    def take_packet(self, endpoint: Endpoint, data: bytes, control: bool, now: float) -> None:
        """Hand one decrypted packet to the mux; whatever goes wrong stays here."""
        try:
            self._rooms.mux.plain(endpoint, data, control, now)
        except Exception as error:
            self._contain("packet", error, now)

    def take_forwarded(self, endpoint: Endpoint, data: bytes, now: float) -> None:
        """Let the rooms take note of a packet that has left already; whatever goes wrong stays here."""
        try:
            self._rooms.note_forwarded(endpoint, data, now)
        except Exception as error:
            self._contain("forwarded packet", error, now)

    def take_answered(self, endpoint: Endpoint, data: bytes, now: float) -> None:
        """Let the rooms take note of requests that were answered already; whatever goes wrong stays here."""
        try:
            self._rooms.note_answered(endpoint, data, now)
        except Exception as error:
            self._contain("answered request", error, now)

    def take_datagram(self, data: bytes, source: Address, now: float) -> None:
        """Hand one datagram to the mux; whatever goes wrong stays here."""
        try:
            self._rooms.mux.datagram(data, source, now)
        except Exception as error:
            self._contain("datagram", error, now)

    # -- TCP --------------------------------------------------------------------------------------------------

    def _take_stream(self, data: bytes, source: Address) -> None:
        self._counters["datagrams"] += 1
        self.take_datagram(data, source, time.monotonic())

    def _knows(self, address: Address) -> bool:
        return self._rooms.mux.knows(address)

    def _lost(self, address: Address) -> None:
        self._rooms.mux.lost(address)

    def _contain(self, where: str, error: Exception, now: float) -> None:
        self._counters["contained_errors"] += 1
        self._log.line(f"contained error in {where}: {type(error).__name__}", now)

    # -- time -------------------------------------------------------------------------------------------------

    async def _run_timers(self) -> None:
        next_stats = 0.0
        while not self._stopped.is_set():
            busy = self._rooms.transports or self._rooms.pipe_ends
            await asyncio.sleep(POLL_PERIOD if busy else IDLE_POLL_PERIOD)
            now = time.monotonic()
            try:
                self._rooms.poll(now)
            except Exception as error:
                self._contain("poll", error, now)
            if self._writer is None and now - self._orphan_since > self.settings.orphan_lifetime:
                logger.info("nobody has adopted this worker: exiting")
                self._stopped.set()
            if self._drained_by is not None and (now >= self._drained_by or not self._rooms.routers):
                logger.info("drained: %d rooms are left", len(self._rooms.routers))
                self._stopped.set()
            if now >= next_stats:
                next_stats = now + STATS_PERIOD
                self._notify("", "stats", self._methods.call("worker.stats", {}, now))

    # -- control channel --------------------------------------------------------------------------------------

    def _notify(self, router_id: str, event: str, data: dict[str, object]) -> None:
        if self._writer is not None:
            self._write(control.Event(epoch=self.epoch, router_id=router_id, event=event, data=data))

    def _write(self, message: control.Message) -> None:
        writer = self._writer
        if writer is None or writer.is_closing():
            return
        if writer.transport.get_write_buffer_size() > WRITE_LIMIT:
            # A web process that stopped reading is as good as gone.
            writer.transport.abort()
            return
        writer.write(control.encode(message))

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve_control(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve_control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one control connection; a message that cannot be understood ends it."""
        try:
            if not _same_user(writer):
                return
            if not await self._greet(reader, writer):
                return
            while True:
                message = await control.read_message(reader)
                if not isinstance(message, control.Request):
                    raise MediaError("media.malformed-message", "Only requests are taken here.")
                self._write(self._answer(message))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except MediaError as error:
            logger.warning("control connection closed: %s", error.code)
        finally:
            if self._writer is writer:
                self._writer = None
                self._orphan_since = time.monotonic()
            writer.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        message = await control.read_message(reader)
        if not isinstance(message, control.Request) or message.method != "worker.hello":
            raise MediaError("media.malformed-message", "The first message must be worker.hello.")
        try:
            hello = Hello.model_validate(message.data)
        except ValidationError as error:
            raise MediaError("media.malformed-message", "worker.hello is malformed.") from error
        if hello.adopt != (self.epoch if self._adopted else None):
            problem = control.ErrorBody(code="media.stale-epoch", message="This worker has another epoch.")
            refusal = control.Response(id=message.id, epoch=self.epoch, error=problem)
            writer.write(control.encode(refusal))
            await writer.drain()
            return False
        if self._writer is not None:
            self._writer.close()
        self._adopted = True
        self._writer = writer
        answer: dict[str, Any] = {
            "pid": os.getpid(),
            "udp_port": self.udp_port,
            "router_ids": list(self._rooms.routers),
            "draining": self._drained_by is not None,
        }
        self._write(control.Response(id=message.id, epoch=self.epoch, ok=answer))
        return True

    def _answer(self, request: control.Request) -> control.Response:
        now = time.monotonic()
        try:
            if request.epoch != self.epoch:
                raise MediaError("media.stale-epoch", "This worker has another epoch.")
            if request.method == "worker.shutdown":
                self._stopped.set()
                return control.Response(id=request.id, epoch=self.epoch, ok={})
            result = self._methods.call(request.method, request.data, now)
            return control.Response(id=request.id, epoch=self.epoch, ok=result)
        except MediaError as error:
            body = control.ErrorBody(code=error.code, message=error.message)
        except Exception as error:
            self._contain("request", error, now)
            body = control.ErrorBody(code="media.internal", message="The media worker failed at this request.")
        return control.Response(id=request.id, epoch=self.epoch, error=body)

    # -- life -------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Take on nothing new, tell the web process, and exit when no room is left or after `DRAIN_LIMIT`."""
        if self._drained_by is None:
            logger.info("draining: %d rooms to move", len(self._rooms.routers))
            self._drained_by = time.monotonic() + DRAIN_LIMIT
            self._methods.draining = True
            self._notify("", "draining", {})

    async def run(self) -> None:
        """Serve until told to stop, or until nobody has been connected for the orphan lifetime."""
        path = self.settings.socket_path
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(self._accept, str(path))
        finally:
            os.umask(before)
        own_socket = path.stat().st_ino
        loop = asyncio.get_running_loop()
        if self._selector is not None:
            self._selector.serve(self._udp.fileno(), self._on_readable, self._fan.waiter)
        else:
            loop.add_reader(self._udp.fileno(), self._on_readable)
        if self._listening is not None:
            await self._streams.serve(self._listening)
        gc.freeze()
        timers = asyncio.create_task(self._run_timers())
        try:
            await self._stopped.wait()
            # Let the answer to worker.shutdown leave before the socket goes.
            if self._writer is not None:
                await self._writer.drain()
            self._rooms.close_pipes()
        finally:
            timers.cancel()
            if self._selector is not None:
                self._selector.stop_serving()
            else:
                loop.remove_reader(self._udp.fileno())
            server.close()
            self._streams.close()
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)
            self._udp.close()
            # A later worker may have put its own socket here.
            if path.exists() and path.stat().st_ino == own_socket:
                path.unlink(missing_ok=True)


def _same_user(writer: asyncio.StreamWriter) -> bool:
    """Say whether the process at the other end runs as our user (SO_PEERCRED, unix(7))."""
    peer = writer.get_extra_info("socket")
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", credentials)
    return bool(user == os.getuid())
