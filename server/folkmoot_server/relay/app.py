"""Composition of a relay: builds one from its folder and takes it down again."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import signal
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from folkmoot_media.errors import MediaError
from folkmoot_server.app import BACKLOG, HANDSHAKE_S, LINGER_S, SHUTDOWN_S, StartError, raise_file_limit, run_dir
from folkmoot_server.relay import schema, store
from folkmoot_server.relay.enrolment import device_key, enrol
from folkmoot_server.relay.hub import Hub, HubRefusedError, HubSilentError
from folkmoot_server.relay.lan import Lan
from folkmoot_server.relay.media import Device, RelayMedia
from folkmoot_server.relay.node import Node
from folkmoot_server.relay.sockets import Sockets
from folkmoot_server.relay.store import Identity
from folkmoot_server.relay.sync import Sync
from folkmoot_server.sfu_client import MediaPool, MediaPoolSettings
from folkmoot_server.storage.database import Database
from folkmoot_server.web.http_log import http_log
from folkmoot_server.web.watchdog import Watchdog

log = structlog.get_logger()
DATABASE: Final = "relay.db"


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """What the operator of a relay says on the command line."""

    hub: str
    data: Path
    code: str = ""
    host: str = "127.0.0.1"
    port: int = 8090
    cert: Path | None = None
    key: Path | None = None
    announce_ip: str = ""
    media_port: int = 0

    @property
    def media_ip(self) -> str:
        """At which address phones reach the media port: what was said, or where the pages listen, or this machine."""
        return self.announce_ip or (self.host if _is_address(self.host) else "127.0.0.1")


@dataclass
class RunningRelay:
    """A relay at work; make it with `start`, end it with `stop`. `port` is 0 when it serves no pages."""

    node: Node
    port: int = 0
    _closers: list[Callable[[], Any]] = field(default_factory=list)

    async def stop(self) -> None:
        """Stop in the reverse order of starting; finish queued writes first."""
        await _close(self._closers)


async def _close(closers: Sequence[Callable[[], Any]]) -> None:
    for close in reversed(closers):
        result = close()
        if asyncio.iscoroutine(result):
            await result


def read_listen(text: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT; an IPv6 address stands in brackets.

    Raises:
        StartError: it is not that.
    """
    parts = urlsplit(f"//{text}")
    try:
        port = parts.port
    except ValueError:
        port = None
    if not parts.hostname or port is None or parts.path or parts.username is not None:
        raise StartError("start.listen", "--listen takes HOST:PORT, for example 192.0.2.10:443.")
    return parts.hostname, port


def check_hub(url: str) -> str:
    """Return the hub's URL without a path.

    Raises:
        StartError: no https URL (http is for this machine alone).
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
        raise StartError("start.hub", "--hub takes the hub's address, such as https://meet.example.org.")
    if parts.scheme == "http" and not _is_local(parts.hostname):
        raise StartError("start.hub", "A hub on another machine is reached by https only.")
    return url.rstrip("/")


def _is_address(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def tls(settings: RelaySettings, identity: Identity) -> ssl.SSLContext | None:
    """Return TLS 1.2 or newer with the relay's certificate, None for plain http.

    Raises:
        StartError: the hall's pages need a certificate and none is given.
    """
    if settings.cert is None or settings.key is None:
        if identity.secure and not _is_local(settings.host):
            raise StartError("start.certificate", f"{identity.origin} needs --cert and --key.")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.cert, settings.key)
    return context


async def _identity(settings: RelaySettings, database: Database, hub: Hub, seed: bytes) -> Identity:
    known = await database.read(store.identity)
    if known is not None:
        if settings.code:
            raise StartError("start.enrolled", f"{settings.data} is enrolled already; leave --code out.")
        return known
    if not settings.code:
        raise StartError("start.not-enrolled", "This relay is not enrolled yet: give the chair's code with --code.")
    try:
        identity = await enrol(hub, settings.code, seed)
    except HubSilentError as error:
        raise StartError("start.hub-silent", f"The hub {settings.hub} cannot be reached: {error}.") from error
    except HubRefusedError as error:
        raise StartError(error.code, error.message) from error
    await database.write(lambda tx: store.set_identity(tx, identity))
    return identity


async def start(settings: RelaySettings) -> RunningRelay:
    """Start a relay and return when its port is open; enrol it first when it has a code.

    Raises:
        StartError: settings, folder or hub do not allow it.
        OSError: the port is taken, or a file cannot be used.
    """
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.data / DATABASE, schema.metadata)
    closers: list[Callable[[], Any]] = [database.close]
    try:
        seed = device_key(settings.data, secrets.token_bytes)
        holder: list[Node] = []
        hub = Hub(check_hub(settings.hub), lambda: holder[0].answered())
        closers.append(hub.close)
        identity = await _identity(settings, database, hub, seed)
        node = Node(identity, database, hub, seed, secrets.token_bytes)
        holder.append(node)
        await node.load()
        relay = RunningRelay(node, 0, closers)
        await _run(settings, relay)
    except BaseException:
        await _close(closers)
        raise
    return relay


async def _run(settings: RelaySettings, relay: RunningRelay) -> None:
    node, closers = relay.node, relay._closers
    sockets = Sockets(node)
    sync = Sync(node, sockets.here)
    if node.identity.origin:
        await _serve_pages(settings, relay, sockets)
    await sockets.start()
    closers.append(sockets.close)
    await sync.begin()
    closers.append(sync.close)
    await _start_media(settings, relay, sockets)


async def _start_media(settings: RelaySettings, relay: RunningRelay, sockets: Sockets) -> None:
    """Start sound and picture; a hall whose workers cannot start still checks in and votes."""
    node = relay.node

    def device() -> Device | None:
        return None if node.start is None else Device(node.identity.relay, node.start.epoch, node.seed)

    listen = settings.host if _is_address(settings.host) else "127.0.0.1"
    pool = MediaPool(
        MediaPoolSettings(
            run_dir=run_dir(settings.data),
            listen_ip=listen,
            announce_ip=settings.media_ip,
            udp_port=settings.media_port,
            workers=1,
        )
    )
    media = RelayMedia(pool, sockets.notify_media, node.hub, node.identity.meeting, device)
    relay._closers.append(media.close)
    try:
        await media.start()
    except MediaError as error:
        log.error("relay.media-failed", code=error.code)
    else:
        sockets.media = media.signalling


async def _serve_pages(settings: RelaySettings, relay: RunningRelay, sockets: Sockets) -> None:
    context, watchdog = tls(settings, relay.node.identity), Watchdog()
    runner = web.AppRunner(
        Lan(relay.node, sockets).application(watchdog),
        access_log=None,
        keepalive_timeout=10,
        shutdown_timeout=SHUTDOWN_S,
        logger=http_log(),
        lingering_time=LINGER_S,
    )
    await runner.setup()
    relay._closers.append(runner.cleanup)
    watchdog.start(runner)
    relay._closers.append(watchdog.close)
    listener = await asyncio.get_running_loop().create_server(
        lambda: _protocol(runner),
        settings.host,
        settings.port,
        ssl=context,
        ssl_handshake_timeout=None if context is None else HANDSHAKE_S,
        backlog=BACKLOG,
        reuse_address=True,
    )
    relay._closers.append(listener.close)
    relay.port = listener.sockets[0].getsockname()[1]


def _protocol(runner: web.AppRunner) -> asyncio.Protocol:
    if runner.server is None:
        raise RuntimeError("the runner is not set up")
    return runner.server()


async def serve(settings: RelaySettings, on_ready: Callable[[RunningRelay], None]) -> None:
    """Run until SIGTERM or SIGINT; `on_ready` is called once the port is open.

    Raises:
        StopError: the hub wants nothing more of this relay.
    """
    raise_file_limit()
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    relay = await start(settings)
    waiting = asyncio.create_task(stopping.wait())
    try:
        on_ready(relay)
        log.info("relay.ready", port=relay.port)
        await asyncio.wait((waiting, relay.node.fatal), return_when=asyncio.FIRST_COMPLETED)
        if relay.node.fatal.done():
            raise relay.node.fatal.result()
    finally:
        waiting.cancel()
        log.info("relay.stopping")
        await relay.stop()
