"""Downloads for members and auditors: the public bundle and the annex that names members."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from sqlalchemy import Connection

from folkmoot_server.commands.rights import require
from folkmoot_server.domain.errors import TooMany
from folkmoot_server.domain.roles import Action
from folkmoot_server.queries import export
from folkmoot_server.storage import meetings
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.middleware import current
from folkmoot_server.web.votes_bodies import require_reader

EXPORTS_MAX: Final = 50


class Exports:
    """One export at a time: each takes a reader and much memory, and members must be able to vote meanwhile."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._waiting: set[str] = set()

    @asynccontextmanager
    async def turn(self, member: str) -> AsyncIterator[None]:
        """Wait for the member's turn and hold it.

        Raises:
            TooMany: the member waits already, or too many do.
        """
        if member in self._waiting or len(self._waiting) >= EXPORTS_MAX:
            raise TooMany("export.busy", "Another download is being prepared; try again in a moment.")
        self._waiting.add(member)
        try:
            async with self._turn:
                yield
        finally:
            self._waiting.discard(member)


EXPORTS: Final[web.AppKey[Exports]] = web.AppKey("exports", Exports)


async def bundle(request: web.Request) -> web.Response:
    """GET bundle.zip: for everybody who may read the meeting."""
    meeting = request.match_info["meeting"]

    def run(tx: Connection) -> bytes:
        require_reader(tx, meeting, request)
        return export.write_bundle(tx, meeting)

    async with request.app[EXPORTS].turn(current(request).member_id):
        return _file(await request.app[CONTEXT].database.read(run), "bundle.zip", "application/zip")


async def annex(request: web.Request) -> web.Response:
    """GET annex.age: for auditors alone, sealed for those who have registered a key."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["meeting"]

    def run(tx: Connection) -> bytes:
        unit = meetings.get(tx, meeting).unit
        require(tx, session.member_id, Action.EXPORT_ANNEX, unit, context.now())
        return export.write_sealed_annex(tx, meeting, context.now())

    async with request.app[EXPORTS].turn(session.member_id):
        return _file(await context.database.read(run), "annex.age", "application/octet-stream")


def _file(content: bytes, name: str, kind: str) -> web.Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return web.Response(body=content, content_type=kind, headers=headers)
