"""Composition root: builds one running installation from its settings and takes it down again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import ssl
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from aiohttp import web
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from folkmoot_config.settings import Settings
from folkmoot_server.domain.meetings import ROOM_STATES
from folkmoot_server.domain.turn import SECRET_MIN, TurnService, ice_servers
from folkmoot_server.realtime.media_links import Audience
from folkmoot_server.realtime.media_signalling import MediaSignalling
from folkmoot_server.realtime.sockets import Realtime
from folkmoot_server.realtime.steady_clock import SteadyClock
from folkmoot_server.realtime.vote_clock import VoteScheduler
from folkmoot_server.serving import BACKLOG, HANDSHAKE_S, LINGER_S, SHUTDOWN_S
from folkmoot_server.serving import FILES_MAX as FILES_MAX
from folkmoot_server.serving import StartError as StartError
from folkmoot_server.serving import raise_file_limit as raise_file_limit
from folkmoot_server.serving import run_dir as run_dir
from folkmoot_server.sfu_client import STALE_ROUTER_LIFETIME, MediaPool, MediaPoolSettings
from folkmoot_server.storage import closed_sessions, meetings, schema
from folkmoot_server.storage.database import Database, StoreClosedError
from folkmoot_server.web import routes, routes_votes
from folkmoot_server.web.context import CONTEXT, Context
from folkmoot_server.web.http_log import http_log
from folkmoot_server.web.metrics import Metrics, Snapshot
from folkmoot_server.web.middleware import MIDDLEWARES
from folkmoot_server.web.static import add_static
from folkmoot_server.web.watchdog import REST_S, Watchdog
from folkmoot_voting import signing

log = structlog.get_logger()
BODY_MAX = 256 * 1024
CLOCK_EVERY_S = 30.0
CLOCK_JUMP_S = 5
METRICS_HOST = "127.0.0.1"


def now_s() -> int:
    """Seconds since 1970-01-01 UTC, the clock of the installation."""
    return int(time.time())


def open_database(settings: Settings) -> Database:
    """Open the database in `settings.data`, creating folder and file for their owner only."""
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Database(settings.data / "folkmoot.db")


def server_key(data: Path) -> bytes:
    """The 32-byte Ed25519 seed of the installation, made on first use and readable by its owner only.

    Raises:
        StartError: the file exists but is not 32 bytes.
    """
    path = data / "server.key"
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
    seed = path.read_bytes()
    if len(seed) != 32:
        raise StartError("start.server-key", f"{path} is damaged: it must hold 32 bytes. Restore it from a backup.")
    return seed


def keep_relying_party(tx: Connection, rp_id: str) -> None:
    """Remember the relying-party id at the first start and refuse another one later.

    Raises:
        StartError: passkeys of this installation belong to another host name.
    """
    stored = tx.execute(select(schema.setting.c.value).where(schema.setting.c.name == "rp_id")).scalar()
    if stored is None:
        tx.execute(schema.setting.insert().values(name="rp_id", value=rp_id))
    elif stored != rp_id:
        raise StartError(
            "start.relying-party",
            f"This installation's passkeys belong to {stored}, but the public URL names {rp_id}. "
            f"Start it with --public-url https://{stored}, or use another --data folder.",
        )


def keep_server_key(tx: Connection, key: bytes) -> None:
    """Remember the server's public key at the first start and refuse another one later.

    Raises:
        StartError: ledger and boards of this installation are signed with another key.
    """
    stored = tx.execute(select(schema.setting.c.value).where(schema.setting.c.name == "server_key")).scalar()
    if stored is None:
        tx.execute(schema.setting.insert().values(name="server_key", value=key.hex()))
    elif stored != key.hex():
        raise StartError(
            "start.other-server-key",
            "The file server.key is not the one with which this data folder's ledger is signed. "
            "Put back the server.key of the same backup as the database.",
        )


@dataclass
class Installation:
    """A running server; make it with `start`, end it with `stop`."""

    settings: Settings
    context: Context
    runner: web.AppRunner
    port: int
    _closers: list[Callable[[], object]] = field(default_factory=list)

    async def stop(self) -> None:
        """Stop in the reverse order of starting; finish queued writes first."""
        for close in reversed(self._closers):
            result = close()
            if asyncio.iscoroutine(result):
                await result


def build_app(context: Context, realtime: Realtime, watchdog: Watchdog, metrics: Metrics) -> web.Application:
    """The aiohttp application with every route, middleware and header."""
    middlewares = [watchdog.middleware, metrics.middleware, *MIDDLEWARES]
    app = web.Application(client_max_size=BODY_MAX, middlewares=middlewares)
    app[CONTEXT] = context
    routes.add_routes(app)
    routes_votes.add_routes(app)
    realtime.attach(app)
    app.router.add_get("/healthz", _health)
    add_static(app, secure=context.settings.secure)
    return app


async def _health(request: web.Request) -> web.Response:
    context = request.app[CONTEXT]
    await context.database.read(lambda tx: tx.execute(select(schema.setting.c.name).limit(1)).first())
    return web.json_response({"status": "ok"})


def _metrics(context: Context, realtime: Realtime, pool: MediaPool) -> Metrics:
    """Return the figures of this installation, gathered anew at every scrape."""

    async def now() -> Snapshot:
        table = schema.meeting.c.state
        counted = select(table, func.count()).group_by(table)
        states = await context.database.read(lambda tx: {row[0]: row[1] for row in tx.execute(counted)})
        return Snapshot(
            sockets=Counter(connection.meeting for connection in realtime.connections),
            writes_waiting=context.database.waiting,
            meetings=states,
            rooms=context.media.figures(),
            workers=await pool.stats(),
        )

    return Metrics(now)


async def _open_metrics(settings: Settings, metrics: Metrics) -> web.AppRunner:
    """Open the operator's port, on this machine alone."""
    runner = web.AppRunner(metrics.application(), access_log=None, logger=http_log())
    await runner.setup()
    await web.TCPSite(runner, METRICS_HOST, settings.metrics_port).start()
    return runner


def _media_pool(settings: Settings, *, closed: bool) -> MediaPool:
    """Return the workers; with `closed` rooms of an earlier server end at once: some there may be outside by now."""
    return MediaPool(
        MediaPoolSettings(
            run_dir=run_dir(settings.data),
            listen_ip=settings.media_listen,
            announced=settings.announced,
            udp_port=settings.media_port,
            workers=settings.media_workers or None,
            fan=settings.media_fan,
            stale_s=0.0 if closed else STALE_ROUTER_LIFETIME,
        )
    )


def turn_service(settings: Settings) -> TurnService | None:
    """The TURN service of the settings with its secret, or None when there is none.

    Raises:
        StartError: the secret cannot be read or is too short.
    """
    path = settings.turn_secret_file
    if path is None:
        return None
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise StartError("start.turn-secret", f"The TURN secret cannot be read: {error}.") from None
    if len(secret) < SECRET_MIN:
        raise StartError("start.turn-secret", f"{path} must hold a TURN secret of at least {SECRET_MIN} bytes.")
    return TurnService(settings.turn_urls, secret)


async def start(settings: Settings, database: Database) -> Installation:
    """Start everything on `database` (closed by `stop`) and return when the port is open.

    Raises:
        StartError: a setting contradicts what the data folder holds.
        OSError: the port is taken.
    """
    seed = server_key(settings.data)
    await database.write(lambda tx: keep_relying_party(tx, settings.rp_id))
    await database.write(lambda tx: keep_server_key(tx, signing.public_key(seed)))
    turn = turn_service(settings)
    pool = _media_pool(settings, closed=await database.read(closed_sessions.any_runs))
    holder: list[Realtime] = []

    def notify(room: str, owner: Audience, event: str, data: dict[str, object]) -> None:
        if holder:
            holder[0].notify_media(room, owner, event, data)

    media = MediaSignalling(pool, notify, lambda seat: ice_servers(turn, seat, now_s()))
    clock = SteadyClock()
    context = Context(settings, database, media, seed, clock, secrets.token_bytes)
    realtime = Realtime(context)
    holder.append(realtime)
    watchdog, metrics = Watchdog(), _metrics(context, realtime, pool)
    runner = web.AppRunner(
        build_app(context, realtime, watchdog, metrics),
        access_log=None,
        keepalive_timeout=REST_S,
        shutdown_timeout=SHUTDOWN_S,
        logger=http_log(),
        lingering_time=LINGER_S,
    )
    installation = Installation(settings, context, runner, settings.port, [database.close])
    try:
        await pool.start()
        installation._closers += [pool.close, media.close]
        await runner.setup()
        installation._closers.append(runner.cleanup)
        await realtime.start()
        installation._closers.append(realtime.close)
        scheduler = VoteScheduler(context)
        await scheduler.start()
        installation._closers.append(scheduler.close)
        clock_watch = asyncio.create_task(watch_clock(clock, database), name="clock")
        installation._closers.append(clock_watch.cancel)
        if settings.metrics_port:
            installation._closers.append((await _open_metrics(settings, metrics)).cleanup)
        watchdog.start(runner)
        installation._closers.append(watchdog.close)
        listener = await _listen(settings, runner)
        installation._closers.append(listener.close)
    except BaseException:
        await installation.stop()
        raise
    installation.port = listener.sockets[0].getsockname()[1]
    return installation


async def watch_clock(clock: SteadyClock, database: Database, every_s: float = CLOCK_EVERY_S) -> None:
    """Follow a wall clock that was set as soon as no meeting is in session; until then tell the operator."""
    while True:
        await asyncio.sleep(every_s)
        seconds = round(clock.behind())
        if abs(seconds) < CLOCK_JUMP_S:
            continue
        try:
            in_session = await database.read(lambda tx: meetings.in_states(tx, ROOM_STATES))
        except (StoreClosedError, DBAPIError):
            continue
        if in_session:
            log.error("clock.set-during-a-meeting", seconds=seconds)
        else:
            clock.adopt()
            log.warning("clock.followed", seconds=seconds)


async def _listen(settings: Settings, runner: web.AppRunner) -> asyncio.Server:
    """Open the port; aiohttp's own sites leave a client that does not finish the TLS handshake for a minute."""
    context = tls_context(settings)
    return await asyncio.get_running_loop().create_server(
        lambda: _protocol(runner),
        settings.host,
        settings.port,
        ssl=context,
        ssl_handshake_timeout=None if context is None else HANDSHAKE_S,
        backlog=BACKLOG,
        reuse_address=True,
    )


def _protocol(runner: web.AppRunner) -> asyncio.Protocol:
    if runner.server is None:
        raise RuntimeError("the runner is not set up")
    return runner.server()


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """TLS 1.2 or newer with the configured certificate, or None for plain http."""
    if settings.cert is None or settings.key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.cert, settings.key)
    return context


async def serve(settings: Settings, on_ready: Callable[[Installation], None]) -> None:
    """Run until SIGTERM or SIGINT; `on_ready` is called once the port is open."""
    raise_file_limit()
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    installation = await start(settings, open_database(settings))
    try:
        on_ready(installation)
        log.info("server.ready", port=installation.port)
        await stopping.wait()
    finally:
        log.info("server.stopping")
        await installation.stop()
