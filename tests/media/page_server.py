"""A small web server around the real MediaPool and MediaSignalling, for browser tests of media alone."""

import asyncio
import contextlib
import json
import subprocess
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web
from tests.media.lossy_relay import LossyRelay
from tools import house

from folkmoot_media.errors import MediaError
from folkmoot_server.realtime.media_links import Audience, reaches
from folkmoot_server.realtime.media_signalling import IceServers, MediaSignalling
from folkmoot_server.sfu_client import SEATS_PER_ROUTER, MediaPool, MediaPoolSettings

ROOT = Path(__file__).resolve().parents[2]
ENTRY = Path(__file__).with_name("room_page.ts")
ROOM = "hall"
PAGE = '<!doctype html><meta charset="utf-8"><title>room</title><script type="module" src="/page.js"></script>'


def bundle_page(folder: Path) -> Path:
    """Bundle the page's script with the web client's own tool chain and return its path."""
    client = ROOT / "web_client"
    target = folder / "page.js"
    node = house.node(ROOT) / "bin" / "node"
    command = [str(node) if node.exists() else "node", str(client / "node_modules/rolldown/bin/cli.mjs")]
    subprocess.run(
        [*command, str(ENTRY), "--file", str(target), "--format", "esm", "--platform", "browser"],
        cwd=client,
        check=True,
        capture_output=True,
        env=None,
    )
    return target


class PageServer:
    """Serves the page and carries its requests; one room, the seat is the query's `seat`."""

    def __init__(
        self,
        script: Path,
        run_dir: Path,
        ice_servers: IceServers = lambda _seat: (),
        host: str = "127.0.0.1",
        media_host: str | None = None,
        workers: int = 1,
        seats_per_router: int = SEATS_PER_ROUTER,
    ) -> None:
        self.media_host = media_host or host
        self.pool = MediaPool(
            MediaPoolSettings(
                run_dir, self.media_host, (self.media_host,), workers=workers, seats_per_router=seats_per_router
            )
        )
        self._host = host
        self.signalling = MediaSignalling(self.pool, self._notify, ice_servers)
        self.events: list[tuple[Audience, str, dict[str, Any]]] = []
        self._script = script
        self._sockets: dict[str, web.WebSocketResponse] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None
        self.url = ""
        self.relay: LossyRelay | None = None
        self.tcp_open = False

    async def start(self) -> None:
        await self.pool.start()
        app = web.Application()
        app.router.add_get("/", self._page)
        app.router.add_get("/page.js", self._serve_script)
        app.router.add_get("/link", self._link)
        self._runner = web.AppRunner(app, shutdown_timeout=2.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, 0)
        await site.start()
        name = "localhost" if self._host == "127.0.0.1" else self._host
        self.url = f"http://{name}:{self._runner.addresses[0][1]}/"

    async def lose(self, percent: int) -> LossyRelay:
        """Send every transport made from now on through a relay that loses media on the way down."""
        transports = await self._worker_port()
        self.relay = LossyRelay(transports, percent, self.media_host)
        return self.relay

    async def _worker_port(self) -> int:
        await self.signalling.join("probe", "probe")
        info = await self.signalling.handle("probe", "probe", "create_transport", {"direction": "recv"})
        await self.signalling.close_room("probe")
        return int(info["iceCandidates"][0]["port"])

    async def stop(self) -> None:
        if self.relay is not None:
            self.relay.close()
        for socket in list(self._sockets.values()):
            await socket.close()
        for task in self._tasks:
            task.cancel()
        await self.signalling.close()
        await self.pool.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _page(self, _request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def _serve_script(self, _request: web.Request) -> web.FileResponse:
        return web.FileResponse(self._script)

    async def _link(self, request: web.Request) -> web.WebSocketResponse:
        seat = request.query["seat"]
        socket = web.WebSocketResponse()
        await self.signalling.join(ROOM, seat)
        self._sockets[seat] = socket
        await socket.prepare(request)
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                break
            task = asyncio.create_task(self._answer(socket, seat, json.loads(message.data)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self._sockets.get(seat) is socket:
            del self._sockets[seat]
            await self.signalling.leave(ROOM, seat)
        return socket

    async def _answer(self, socket: web.WebSocketResponse, seat: str, asked: dict[str, Any]) -> None:
        answer: dict[str, Any] = {"id": asked["id"]}
        try:
            answer["ok"] = await self.signalling.handle(ROOM, seat, asked["method"], asked["data"])
            if self.relay is not None:
                for candidate in answer["ok"].get("iceCandidates", ()):
                    # Nothing listens for TCP where the relay is: without `tcp_open` that way is closed.
                    if candidate["protocol"] == "udp" or not self.tcp_open:
                        candidate["port"] = self.relay.port
        except MediaError as error:
            answer["error"] = {"code": error.code, "message": error.message}
        if not socket.closed:
            await self._tell(socket, answer)

    @staticmethod
    async def _tell(socket: web.WebSocketResponse, message: dict[str, Any]) -> None:
        with contextlib.suppress(ConnectionError):
            await socket.send_json(message)

    def _notify(self, _room: str, owner: Audience, event: str, data: dict[str, Any]) -> None:
        self.events.append((owner, event, data))
        for seat, socket in self._sockets.items():
            if reaches(owner, seat) and socket.prepared and not socket.closed:
                task = asyncio.create_task(self._tell(socket, {"event": event, "data": data}))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
