"""Composition of a relay: builds one from its folder and takes it down again."""

from __future__ import annotations

import asyncio
import importlib
import secrets
import signal
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from folkmoot_server.relay import schema, store
from folkmoot_server.relay.enrolment import device_key, enrol
from folkmoot_server.relay.hub import Hub, HubRefusedError, HubSilentError
from folkmoot_server.relay.node import Node
from folkmoot_server.relay.settings import RelaySettings as RelaySettings
from folkmoot_server.relay.settings import check_hub, tls
from folkmoot_server.relay.settings import read_listen as read_listen
from folkmoot_server.relay.shelf import Shelf
from folkmoot_server.relay.store import Identity
from folkmoot_server.relay.sync import Sync
from folkmoot_server.serving import StartError, raise_file_limit
from folkmoot_server.storage.database import Database

log = structlog.get_logger()
DATABASE: Final = "relay.db"
PHONES: Final = "folkmoot_server.relay.serving"


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
        node = Node(identity, database, hub, Shelf(settings.data), seed, secrets.token_bytes)
        holder.append(node)
        await node.load()
        relay = RunningRelay(node, 0, closers)
        await _run(settings, relay)
    except BaseException:
        await _close(closers)
        raise
    return relay


async def _run(settings: RelaySettings, relay: RunningRelay) -> None:
    """Let the hub hear of the hall before anything else: what phones need takes seconds to load on a busy machine."""
    node, closers = relay.node, relay._closers
    context = tls(settings, node.identity) if node.identity.origin else None
    heard: list[Callable[[], Collection[str]]] = []
    sync = Sync(node, lambda: heard[0]() if heard else ())
    await sync.begin()
    closers.append(sync.close)
    await asyncio.to_thread(importlib.import_module, PHONES)
    from folkmoot_server.relay import serving

    sockets, relay.port = await serving.open_hall(settings, context, node, closers)
    heard.append(sockets.here)
    await serving.start_media(settings, node, sockets, closers)


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
