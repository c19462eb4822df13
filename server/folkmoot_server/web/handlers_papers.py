"""HTTP: papers (conduct.md, section 7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from io import BytesIO
from typing import Annotated, Any, BinaryIO, Final, Literal
from urllib.parse import quote

from aiohttp import web
from pydantic import Field
from sqlalchemy import Connection

from folkmoot_server.commands import papers as commands
from folkmoot_server.commands.papers import Arrived
from folkmoot_server.commands.visitors import Presence, presence
from folkmoot_server.domain.errors import BadInput
from folkmoot_server.domain.members import clean_text
from folkmoot_server.domain.papers import CONTENT_TYPES, NAME_MAX, PAGES_MAX, Paper, PaperClass, Type, Version
from folkmoot_server.queries import papers as queries
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.middleware import caller, current
from folkmoot_server.web.paper_service import PAPERS
from folkmoot_server.web.parsing import Empty, Strict, Text, read

ClassName = Literal["open", "members", "restricted"]
# Whatever is in a paper, a browser neither guesses its type nor runs any of it.
SEALED: Final = {
    "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
FOREVER: Final = "private, max-age=31536000, immutable"


class PaperChange(Strict):
    """POST …/papers/{p}."""

    item: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,64}$")]
    name: Text
    # "class" is a word of the language.
    paper_class: Annotated[ClassName, Field(alias="class")]


class Present(Strict):
    """POST …/present."""

    paper: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,64}$")]
    version: Annotated[int, Field(ge=0, le=2**31)]
    page: Annotated[int, Field(ge=0, le=PAGES_MAX)]


def _number(request: web.Request, name: str) -> int:
    text = request.match_info[name]
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise commands.unknown()
    return int(text)


def _name(request: web.Request) -> str:
    return clean_text(request.query.get("name", ""), NAME_MAX)


async def list_papers(request: web.Request) -> web.Response:
    """GET …/papers."""
    context, who, meeting = request.app[CONTEXT], caller(request), request.match_info["m"]
    view = await context.database.read(lambda tx: queries.papers_view(tx, meeting, who, context.now()))
    return web.json_response(view)


async def add_paper(request: web.Request) -> web.Response:
    """PUT …/papers?item=I&name=N&class=C."""
    item, wanted_class = request.query.get("item", ""), request.query.get("class", PaperClass.MEMBERS.value)
    if wanted_class not in set(PaperClass) or not all(c.isascii() and (c.isalnum() or c in "_-") for c in item):
        raise BadInput("input.malformed", "The parameters class and item are not as they should be.")
    wanted = Paper("", request.match_info["m"], item, _name(request), PaperClass(wanted_class), 1)
    version = await _bring(request, wanted)
    return web.json_response({"paper": version.paper, "version": version.number})


async def add_version(request: web.Request) -> web.Response:
    """PUT …/papers/{p}?name=N."""
    meeting, paper = request.match_info["m"], request.match_info["p"]
    version = await _bring(request, Paper(paper, meeting, "", _name(request), PaperClass.RESTRICTED, 0))
    return web.json_response({"version": version.number})


async def _bring(request: web.Request, wanted: Paper) -> Version:
    context, session, service = request.app[CONTEXT], current(request), request.app[PAPERS]
    await context.database.read(lambda tx: commands.may_bring(tx, wanted.meeting, session, context.now()))

    async def name(arrived: Arrived) -> Version:
        def write(tx: Connection) -> Version:
            now, rng = context.now(), context.rng
            return commands.bring(tx, wanted.meeting, session, wanted, arrived, now=now, rng=rng)

        return await context.database.write(write)

    with service.turn(session.member_id):
        version = await service.receive(request, name)
    service.render_soon(wanted.meeting, version)
    return version


async def change_paper(request: web.Request) -> web.Response:
    """POST …/papers/{p}."""
    context, session = request.app[CONTEXT], current(request)
    meeting, paper = request.match_info["m"], request.match_info["p"]
    body = await read(request, PaperChange)
    wanted = Paper(paper, meeting, body.item, body.name, PaperClass(body.paper_class), 0)
    await context.database.write(lambda tx: commands.change(tx, meeting, session, wanted, context.now()))
    return web.json_response({})


async def remove_paper(request: web.Request) -> web.Response:
    """POST …/papers/{p}/remove."""
    context, session = request.app[CONTEXT], current(request)
    meeting, paper = request.match_info["m"], request.match_info["p"]
    await read(request, Empty)
    freed = await context.database.write(lambda tx: commands.remove(tx, meeting, session, paper, context.now()))
    await request.app[PAPERS].free(freed)
    return web.json_response({})


async def get_file(request: web.Request) -> web.StreamResponse:
    """GET …/papers/{p}/{v}/file: the bytes as they came, for saving and never for showing."""
    paper_id, number = request.match_info["p"], _number(request, "v")
    found, file = await _open(request, lambda tx, here: queries.file_of(tx, here, paper_id, number))
    return web.Response(body=file, headers=file_headers(found.paper.name, CONTENT_TYPES[found.version.type]))


def file_headers(name: str, content_type: str) -> dict[str, str]:
    """Return the headers of a paper as it came."""
    return {
        "Content-Type": content_type,
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "Cache-Control": "no-store",
        **SEALED,
    }


def page_headers(content_type: str, *, restricted: bool) -> dict[str, str]:
    """Return the headers of a page of a paper, or of what it says."""
    return {"Content-Type": content_type, "Cache-Control": "no-store" if restricted else FOREVER, **SEALED}


async def get_page(request: web.Request) -> web.StreamResponse:
    """GET …/papers/{p}/{v}/pages/{n}: a picture, or plain text of a paper that is text."""
    paper_id, number, wanted = request.match_info["p"], _number(request, "v"), _number(request, "n")
    found, file = await _open(request, lambda tx, here: queries.page_of(tx, here, paper_id, number, wanted))
    is_text = found.version.type is Type.TEXT
    return await _text(found, file) if is_text else _page(found, file, "image/webp")


async def get_hashes(request: web.Request) -> web.Response:
    """GET …/papers/{p}/{v}/pages: the hashes of the pages, so that none is fetched which an earlier version has."""
    context, who, meeting = request.app[CONTEXT], caller(request), request.match_info["m"]
    paper_id, number = request.match_info["p"], _number(request, "v")

    def load(tx: Connection) -> dict[str, Any]:
        return queries.hashes_of(tx, presence(tx, meeting, who, context.now()), paper_id, number)

    return web.json_response(await context.database.read(load))


async def get_text(request: web.Request) -> web.StreamResponse:
    """GET …/papers/{p}/{v}/pages/{n}/text: what a page says, for who cannot see the picture; empty for a picture."""
    paper_id, number, wanted = request.match_info["p"], _number(request, "v"), _number(request, "n")
    found, file = await _open(request, lambda tx, here: queries.text_of(tx, here, paper_id, number, wanted))
    return await _text(found, file)


async def _text(found: queries.Found, file: BinaryIO) -> web.Response:
    with file:
        return _page(found, await asyncio.to_thread(file.read), CONTENT_TYPES[Type.TEXT])


def _page(found: queries.Found, file: BinaryIO | bytes, content_type: str) -> web.Response:
    restricted = found.paper.paper_class is PaperClass.RESTRICTED
    return web.Response(body=file, headers=page_headers(content_type, restricted=restricted))


async def _open(
    request: web.Request, find: Callable[[Connection, Presence], queries.Found]
) -> tuple[queries.Found, BinaryIO]:
    """Open the file that the caller asks for, and keep that a restricted paper is read.

    The rights are asked once more when the file is open: whatever changed meanwhile, its class above all, counts.

    Raises:
        NotFound, Forbidden: no such meeting for the caller, or nothing of this kind is there, before or by then.
    """
    context, who, meeting = request.app[CONTEXT], caller(request), request.match_info["m"]

    def load(tx: Connection) -> queries.Found:
        return find(tx, presence(tx, meeting, who, context.now()))

    def note(tx: Connection) -> queries.Found:
        now = context.now()
        here = presence(tx, meeting, who, now)
        found = find(tx, here)
        if found.paper.paper_class is PaperClass.RESTRICTED:
            commands.note_read(tx, here, found.version, now)
        return found

    before = await context.database.read(load)
    try:
        file = await asyncio.to_thread(request.app[PAPERS].files.open, before.sha256) if before.sha256 else BytesIO()
    except FileNotFoundError:
        raise commands.unknown() from None
    try:
        found = await context.database.read(load)
        if found.paper.paper_class is PaperClass.RESTRICTED:
            found = await context.database.write(note)
        if found.sha256 != before.sha256:
            raise commands.unknown()
    except BaseException:
        file.close()
        raise
    return found, file


async def get_reads(request: web.Request) -> web.Response:
    """GET …/papers/{p}/reads."""
    context, session = request.app[CONTEXT], current(request)
    meeting, paper = request.match_info["m"], request.match_info["p"]
    view = await context.database.read(lambda tx: queries.reads_view(tx, meeting, session, paper, context.now()))
    return web.json_response(view)


async def present(request: web.Request) -> web.Response:
    """POST …/present."""
    context, who, meeting = request.app[CONTEXT], caller(request), request.match_info["m"]
    body = await read(request, Present)
    target = (body.paper, body.version, body.page)
    await context.database.write(lambda tx: commands.present(tx, meeting, who, target, context.now()))
    return web.json_response({})


_PAPERS: Final = "/api/meetings/{m}/papers"
ROUTES: Final = (
    web.get(_PAPERS, list_papers),
    web.put(_PAPERS, add_paper),
    web.put(_PAPERS + "/{p}", add_version),
    web.post(_PAPERS + "/{p}", change_paper),
    web.post(_PAPERS + "/{p}/remove", remove_paper),
    web.get(_PAPERS + "/{p}/{v}/file", get_file),
    web.get(_PAPERS + "/{p}/{v}/pages", get_hashes),
    web.get(_PAPERS + "/{p}/{v}/pages/{n}", get_page),
    web.get(_PAPERS + "/{p}/{v}/pages/{n}/text", get_text),
    web.get(_PAPERS + "/{p}/reads", get_reads),
    web.post("/api/meetings/{m}/present", present),
)
FOR_GUESTS: Final = {
    ("GET", _PAPERS): list_papers,
    ("GET", _PAPERS + "/{p}/{v}/file"): get_file,
    ("GET", _PAPERS + "/{p}/{v}/pages"): get_hashes,
    ("GET", _PAPERS + "/{p}/{v}/pages/{n}"): get_page,
    ("GET", _PAPERS + "/{p}/{v}/pages/{n}/text"): get_text,
    ("POST", "/api/meetings/{m}/present"): present,
}
