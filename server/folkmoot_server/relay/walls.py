"""Room screens of a hall (sites.md section 1): the hub's answers while linked, and in a cut what they showed last."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Final

from aiohttp import web
from sqlalchemy import Connection

from folkmoot_server.domain.ids import b64u, token_hash
from folkmoot_server.relay import kept
from folkmoot_server.relay.asked import Asked
from folkmoot_server.relay.kept import Kept
from folkmoot_server.relay.node import Node
from folkmoot_server.web.handlers_papers import SEALED
from folkmoot_server.web.handlers_screens import WAIT_S, screen_token
from folkmoot_server.web.parsing import query_number

VIEW: Final = "/api/screen"
PAGE: Final = "/api/screen/page"


def owner(request: web.Request) -> str | None:
    """Say for which room screen the answer to a request is kept (no member's id has a space); None: for none."""
    token = screen_token(request) if request.method == "GET" and request.path in (VIEW, PAGE) else b""
    return f"screen {b64u(token_hash(token))}" if token else None


def keep(tx: Connection, owner: str, path: str, answer: Kept) -> None:
    """Keep what a room screen was answered; a page goes when the screen no longer shows it."""
    if path == VIEW:
        before = kept.find(tx, owner, VIEW)
        if before is not None and _presented(before) != _presented(answer):
            kept.drop(tx, owner, PAGE)
    kept.keep(tx, owner, path, answer)


def drop(tx: Connection, owner: str, path: str) -> None:
    """Forget what the hub gives a room screen no more: the page, or with the view everything."""
    kept.drop(tx, owner, PAGE)
    if path == VIEW:
        kept.drop(tx, owner, VIEW)


def _presented(view: Kept) -> object:
    return json.loads(view.data)["presented"]


class WallsAlone:
    """What room screens are shown while the link is cut."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def view(self, asked: Asked) -> web.StreamResponse | None:
        """GET screen: the last view with the time of now; at once when it is news, else when the link is back."""
        answer = await self._find(asked)
        if answer is None:
            return None
        found = json.loads(answer.data)
        if found["seq"] == query_number(asked.request, "after"):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WAIT_S):
                    await self._node.linked.wait()
        return web.json_response({**found, "now": self._node.clock()}, headers={"Cache-Control": "no-store"})

    async def page(self, asked: Asked) -> web.StreamResponse | None:
        """GET screen/page: the page that was shown when the link was cut."""
        answer = await self._find(asked)
        if answer is None:
            return None
        return web.Response(
            body=answer.data, headers={"Content-Type": answer.type, "Cache-Control": "no-store", **SEALED}
        )

    async def _find(self, asked: Asked) -> Kept | None:
        screen = owner(asked.request)
        if screen is None:
            return None
        return await self._node.database.read(lambda tx: kept.find(tx, screen, asked.request.path))
