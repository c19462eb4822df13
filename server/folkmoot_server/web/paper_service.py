"""Brings bytes of papers in, and makes pages of them one paper at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, TypeVar

from aiohttp import web

from folkmoot_server.commands import papers as commands
from folkmoot_server.commands.papers import Arrived
from folkmoot_server.domain.errors import BadInput, TooMany
from folkmoot_server.domain.papers import HEAD, PageFiles, State, Type, Version, check_size, check_text, type_by_head
from folkmoot_server.storage import papers
from folkmoot_server.storage.database import StoreClosedError
from folkmoot_server.storage.paper_files import Incoming, PaperFiles
from folkmoot_server.web.context import CONTEXT, Context
from folkmoot_server.web.paper_renderer import Page, RefusedPaperError, render

log = logging.getLogger("folkmoot.papers")
T = TypeVar("T")
PART_S: Final = 10.0  # in which something more must arrive
WHOLE_S: Final = 1800.0  # in which all of it must
UPLOADS_MAX: Final = 16
MEMBER_UPLOADS_MAX: Final = 2


class PaperService:
    """Files and renderer of one installation."""

    def __init__(self, context: Context) -> None:
        """Make the folder; `start` begins to render."""
        self._context = context
        self.files = PaperFiles(context.settings.data)
        self._waiting: asyncio.Queue[tuple[str, Version]] = asyncio.Queue()
        self._uploads: Counter[str] = Counter()
        # Files are deleted only while no file waits for the row that names it.
        self._naming = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Delete what a crash left behind and take up the papers that wait for their pages."""
        database = self._context.database
        known = await database.read(papers.files)
        await asyncio.to_thread(self.files.sweep, lambda: known)
        for job in await database.read(papers.rendering):
            self._waiting.put_nowait(job)
        self._task = asyncio.create_task(self._run(), name="papers")

    async def close(self) -> None:
        """Stop; what waits is taken up at the next start."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @contextmanager
    def turn(self, member: str) -> Iterator[None]:
        """Take one of the places for uploads.

        Raises:
            TooMany: the member has two under way, or all together sixteen.
        """
        if self._uploads[member] >= MEMBER_UPLOADS_MAX or self._uploads.total() >= UPLOADS_MAX:
            raise TooMany("paper.busy", "Too many papers are arriving now; try again in a moment.")
        self._uploads[member] += 1
        try:
            yield
        finally:
            self._uploads[member] -= 1
            self._uploads += Counter()  # forgets members with nothing under way

    async def receive(self, request: web.Request, name: Callable[[Arrived], Awaitable[T]]) -> T:
        """Read a body into a file, never more of it than a paper may have, and let `name` make the row for it.

        Raises:
            BadInput: too large, empty, or not arriving in time.
            Refused: no type that a paper may have; or what `name` raises.
        """
        check_size(request.content_length or 1)
        incoming = await asyncio.to_thread(self.files.incoming)
        try:
            async with asyncio.timeout(WHOLE_S):
                await self._read(request, incoming)
            check_size(incoming.size)
            found = await asyncio.to_thread(_type_of, incoming)
            async with self._naming:
                sha256 = await asyncio.to_thread(incoming.keep)
                try:
                    return await name(Arrived(sha256, incoming.size, found))
                except BaseException:
                    await self._free(frozenset({sha256}))
                    raise
        except TimeoutError as error:
            raise BadInput("input.too-slow", "The message did not arrive in time.") from error
        finally:
            await asyncio.to_thread(incoming.drop)

    @staticmethod
    async def _read(request: web.Request, incoming: Incoming) -> None:
        while True:
            async with asyncio.timeout(PART_S):
                part = await request.content.readany()
            if not part:
                return
            check_size(incoming.size + len(part))
            await asyncio.to_thread(incoming.write, part)

    async def free(self, hashes: frozenset[str]) -> None:
        """Delete those files that no row names any more."""
        async with self._naming:
            await self._free(hashes)

    async def _free(self, hashes: frozenset[str]) -> None:
        named = await self._context.database.read(lambda tx: papers.named(tx, hashes))
        await asyncio.to_thread(self.files.delete, hashes - named)

    def render_soon(self, meeting: str, version: Version) -> None:
        """Make pages of a version when its turn comes."""
        self._waiting.put_nowait((meeting, version))

    async def _run(self) -> None:
        while True:
            meeting, version = await self._waiting.get()
            try:
                await self._render(meeting, version)
            except StoreClosedError:
                return
            except Exception as error:  # the edge of a loop that must go on: the next start tries this one again
                log.error("papers.accident kind=%s", type(error).__name__)

    async def _render(self, meeting: str, version: Version) -> None:
        pages: list[Page] = []
        try:
            pages = await render(self.files.path(version.sha256), version.type)
            done = replace(version, state=State.READY, pages=len(pages))
        except RefusedPaperError as error:
            done = replace(version, state=State.REFUSED, refusal=str(error))
        except FileNotFoundError:  # removed meanwhile
            return
        async with self._naming:
            files = await asyncio.to_thread(self._put, pages)
            now = self._context.now()
            kept = await self._context.database.write(lambda tx: commands.rendered(tx, meeting, done, files, now))
            if not kept:
                await self._free(frozenset(name for one in files for name in (one.page, one.text) if name))

    def _put(self, pages: Sequence[Page]) -> list[PageFiles]:
        names = self.files.put([one.data for one in pages])
        texts = iter(self.files.put([one.text for one in pages if one.text]))
        return [PageFiles(name, next(texts) if one.text else "") for name, one in zip(names, pages, strict=True)]


def _type_of(incoming: Incoming) -> Type:
    return type_by_head(incoming.content(HEAD)) or check_text(incoming.content())


PAPERS: Final[web.AppKey[PaperService]] = web.AppKey("papers", PaperService)


async def paper_service(app: web.Application) -> AsyncIterator[None]:
    """Own the service for the application's life."""
    app[PAPERS] = PaperService(app[CONTEXT])
    await app[PAPERS].start()
    yield
    await app[PAPERS].close()
