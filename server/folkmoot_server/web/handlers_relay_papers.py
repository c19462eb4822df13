"""HTTP: what a relay fetches ahead of its hall: papers that every member may read, and the ledger (relay.md)."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import Final

from aiohttp import web

from folkmoot_server.domain.errors import BadInput, NotFound
from folkmoot_server.queries import relays as queries
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.paper_service import PAPERS
from folkmoot_server.web.parsing import query_number
from folkmoot_server.web.relay_access import relay_session

PACE_LEAST: Final = 500  # bytes a second
PACE_MOST: Final = 100_000_000
SLICE_S: Final = 0.25
SLICE_LEAST: Final = 512
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_RANGE: Final = re.compile(r"bytes=([0-9]{1,12})-([0-9]{1,12})")
HEADERS: Final = {"Content-Type": "application/octet-stream", "Content-Security-Policy": "sandbox"}


async def pages(request: web.Request) -> web.Response:
    """GET /api/relay/papers/{p}/{v}/pages: the files of a version's pages."""
    session, number = await relay_session(request), request.match_info["v"]
    if not (number.isascii() and number.isdecimal() and len(number) <= 9):
        raise _unknown()
    paper, version = request.match_info["p"], int(number)
    found = await request.app[CONTEXT].database.read(lambda tx: queries.pages(tx, session.meeting, paper, version))
    return web.json_response({"pages": found})


async def paper(request: web.Request) -> web.StreamResponse:
    """GET /api/relay/papers/{hash}: what every member of the meeting may read; with ranges, at a pace."""
    session, sha256 = await relay_session(request), request.match_info["hash"]
    known = _SHA256.fullmatch(sha256) is not None and await request.app[CONTEXT].database.read(
        lambda tx: queries.may_fetch(tx, session.meeting, sha256)
    )
    if not known:
        raise _unknown()
    if "pace" not in request.query:
        return web.FileResponse(request.app[PAPERS].files.path(sha256), headers=HEADERS)
    pace = query_number(request, "pace")
    if not PACE_LEAST <= pace <= PACE_MOST:
        raise BadInput("input.malformed", f"The parameter pace lies between {PACE_LEAST} and {PACE_MOST}.")
    return await _slowly(request, sha256, pace)


async def _slowly(request: web.Request, sha256: str, pace: int) -> web.StreamResponse:
    """Give a range at `pace` bytes a second, so that it never fills a thin line in front of voices and pages."""
    wanted = _RANGE.fullmatch(request.headers.get("Range", ""))
    if wanted is None:
        raise BadInput("input.malformed", "With a pace the header Range names the first and the last byte.")
    try:
        file = await asyncio.to_thread(request.app[PAPERS].files.open, sha256)
    except FileNotFoundError:
        raise _unknown() from None
    with file:
        size = await asyncio.to_thread(file.seek, 0, 2)
        first, last = int(wanted[1]), min(int(wanted[2]), size - 1)
        if first > last:
            raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{size}"})
        headers = {**HEADERS, "Content-Range": f"bytes {first}-{last}/{size}"}
        headers["Content-Length"] = str(last - first + 1)
        response = web.StreamResponse(status=206, headers=headers)
        await response.prepare(request)
        await asyncio.to_thread(file.seek, first)
        left, part = last - first + 1, max(SLICE_LEAST, int(pace * SLICE_S))
        with contextlib.suppress(ConnectionError):  # the line was cut; the relay asks for the rest later
            while left > 0:
                data = await asyncio.to_thread(file.read, min(left, part))
                await response.write(data)
                left -= len(data)
                if left > 0:
                    await asyncio.sleep(len(data) / pace)
            await response.write_eof()
        return response


async def leaves(request: web.Request) -> web.Response:
    """GET /api/relay/ledger: leaf hashes, from which the relay proves what phones ask for while it is alone."""
    await relay_session(request)
    first, size = query_number(request, "from"), query_number(request, "to")
    found = await request.app[CONTEXT].database.read(lambda tx: queries.leaves(tx, first, size))
    return web.json_response({"leaves": found})


def _unknown() -> NotFound:
    return NotFound("paper.unknown", "There is no such paper.")


ROUTES: Final = (
    web.get("/api/relay/papers/{hash}", paper),
    web.get("/api/relay/papers/{p}/{v}/pages", pages),
    web.get("/api/relay/ledger", leaves),
)
