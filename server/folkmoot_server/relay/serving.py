"""What the phones of a hall need: its pages, and media workers for sound and picture."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Final

import structlog
from aiohttp import web

from folkmoot_media.errors import MediaError
from folkmoot_server.relay.lan import Lan
from folkmoot_server.relay.media import Device, RelayMedia
from folkmoot_server.relay.node import Node
from folkmoot_server.relay.settings import RelaySettings
from folkmoot_server.relay.sockets import Sockets
from folkmoot_server.serving import BACKLOG, HANDSHAKE_S, LINGER_S, SHUTDOWN_S, run_dir
from folkmoot_server.sfu_client import MediaPool, MediaPoolSettings
from folkmoot_server.web.http_log import http_log
from folkmoot_server.web.watchdog import Watchdog

Closers = list[Callable[[], Any]]
# A worker that could not be started is tried again after so long, ever more seldom.
AGAIN_FIRST_S: Final = 2.0
AGAIN_LONGEST_S: Final = 60.0
log = structlog.get_logger()


async def open_hall(
    settings: RelaySettings, context: ssl.SSLContext | None, node: Node, closers: Closers
) -> tuple[Sockets, int]:
    """Serve the hall's pages, where it has any, and return its sockets and the port, or 0.

    Raises:
        OSError: the port is taken.
    """
    sockets = Sockets(node)
    port = await _serve_pages(settings, context, node, sockets, closers) if node.identity.origin else 0
    await sockets.start()
    closers.append(sockets.close)
    return sockets, port


async def start_media(settings: RelaySettings, node: Node, sockets: Sockets, closers: Closers) -> None:
    """Start sound and picture; a hall whose workers cannot start checks in and votes, and they are tried again."""
    starting = MediaStart(settings, node, sockets)
    closers.append(starting.close)
    if not await starting.once():
        starting.go_on()


class MediaStart:
    """Sound and picture of one hall: started, and tried again while that fails, perhaps because the port is taken."""

    def __init__(self, settings: RelaySettings, node: Node, sockets: Sockets) -> None:
        self._settings, self._node, self._sockets = settings, node, sockets
        self._media: RelayMedia | None = None
        self._trying: asyncio.Task[None] | None = None

    async def once(self) -> bool:
        """Try to start; say whether that succeeded."""
        self._media = media = self._fresh()
        try:
            await media.start()
        except MediaError as error:
            log.error("relay.media-failed", code=error.code)
            return False
        self._sockets.media = media.signalling
        return True

    def go_on(self) -> None:
        """Try again until it succeeds."""
        self._trying = asyncio.create_task(self._go_on(), name="relay media start")

    async def close(self) -> None:
        """Try no more, and stop what has started."""
        if self._trying is not None:
            self._trying.cancel()
            await asyncio.gather(self._trying, return_exceptions=True)
        if self._media is not None:
            await self._media.close()

    async def _go_on(self) -> None:
        wait = AGAIN_FIRST_S
        while True:
            await asyncio.sleep(wait)
            wait = min(AGAIN_LONGEST_S, 2 * wait)
            if self._media is not None:
                await self._media.close()
            if await self.once():
                log.info("relay.media-started")
                return

    def _fresh(self) -> RelayMedia:
        """Return media with workers of their own: those of a start that failed are not used again."""
        settings, node = self._settings, self._node

        def device() -> Device | None:
            return None if node.start is None else Device(node.identity.relay, node.start.epoch, node.seed)

        pool = MediaPool(
            MediaPoolSettings(
                run_dir=run_dir(settings.data),
                listen_ip=settings.media_listen,
                announced=settings.announced,
                udp_port=settings.media_port,
                workers=1,
            )
        )
        return RelayMedia(pool, self._sockets.notify_media, node.hub, node.identity.meeting, device)


async def _serve_pages(
    settings: RelaySettings, context: ssl.SSLContext | None, node: Node, sockets: Sockets, closers: Closers
) -> int:
    watchdog = Watchdog()
    runner = web.AppRunner(
        Lan(node, sockets).application(watchdog),
        access_log=None,
        keepalive_timeout=10,
        shutdown_timeout=SHUTDOWN_S,
        logger=http_log(),
        lingering_time=LINGER_S,
    )
    await runner.setup()
    closers.append(runner.cleanup)
    watchdog.start(runner)
    closers.append(watchdog.close)
    listener = await asyncio.get_running_loop().create_server(
        lambda: _protocol(runner),
        settings.host,
        settings.port,
        ssl=context,
        ssl_handshake_timeout=None if context is None else HANDSHAKE_S,
        backlog=BACKLOG,
        reuse_address=True,
    )
    closers.append(listener.close)
    return int(listener.sockets[0].getsockname()[1])


def _protocol(runner: web.AppRunner) -> asyncio.Protocol:
    if runner.server is None:
        raise RuntimeError("the runner is not set up")
    return runner.server()
