"""The parent of the renderer: starts it for one paper, believes nothing that it says, and ends it in time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import struct
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from folkmoot_server.domain.papers import PAGES_MAX, Type

SCRIPT: Final = Path(str(files("folkmoot_server"))) / "rendering" / "renderer.py"
WALL_S: Final = 150.0
END_S: Final = 5.0  # for a process that has said what it says
PAGE_MAX: Final = 8 * 1024 * 1024
LAYER_MAX: Final = 80_001  # bytes: four for each of 20,000 characters, and a line feed
OUTPUT_MAX: Final = 64 * 1024 * 1024
WIDTH_MAX: Final = 1200
WORDS: Final = frozenset({"damaged", "encrypted", "empty", "too-many-pages", "too-large"})
OUT_OF_TIME: Final = (-signal.SIGXCPU, -signal.SIGKILL)
_FRAME: Final = struct.Struct(">IHH")
_KIND: Final = {Type.PDF: "pdf", Type.TEXT: "text"}


class RefusedPaperError(Exception):
    """The paper did not become pages; the argument is the refusal's code."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page: WebP, or UTF-8 of a text; and what a picture of a PDF's page says, in UTF-8."""

    data: bytes
    text: bytes = b""


async def render(path: Path, found: Type, wall_s: float = WALL_S) -> list[Page]:
    """Return the pages of the paper whose bytes lie at `path`.

    Raises:
        RefusedPaperError: whatever went wrong, with the code of the refusal.
    """
    with path.open("rb") as content:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            str(SCRIPT),
            _KIND.get(found, "image"),
            stdin=content,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"LANG": "C.UTF-8"},
            cwd="/",
            close_fds=True,
            start_new_session=True,
        )
    if process.stdout is None or process.stderr is None:
        raise RuntimeError("the renderer has no pipes")
    try:
        async with asyncio.timeout(wall_s):
            pages = await _pages(process.stdout, found)
        if pages is not None:
            return pages
        async with asyncio.timeout(END_S):
            word = (await process.stderr.read(64)).decode("ascii", "replace")
            if await process.wait() in OUT_OF_TIME:
                raise RefusedPaperError("paper.too-slow")
    except TimeoutError:
        raise RefusedPaperError("paper.too-slow") from None
    finally:
        await _end(process)
    raise RefusedPaperError(f"paper.{word}" if word in WORDS else "paper.damaged")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the renderer, which leads a session of its own, with whatever it started, and read what is left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):  # something may hold its pipes that escaped from the session
        async with asyncio.timeout(END_S):
            await process.communicate()  # a pipe that is full would never be seen to end


async def _pages(out: asyncio.StreamReader, found: Type) -> list[Page] | None:
    """Return the pages, or None when the output ends early or is none."""
    pages: list[Page] = []
    total = 0
    try:
        while len(pages) <= PAGES_MAX:
            page = await _frame(out, text=found is Type.TEXT)
            if not page:
                return pages or None
            layer = await _frame(out, text=True) if found is Type.PDF else b""
            if len(layer) > LAYER_MAX or (found is Type.PDF and not layer):
                return None
            total += len(page) + len(layer)
            if total > OUTPUT_MAX:
                return None
            pages.append(Page(page, layer.strip()))
    except (asyncio.IncompleteReadError, _NoPageError):
        return None
    return None


class _NoPageError(Exception):
    """The renderer said something that is no page."""


async def _frame(out: asyncio.StreamReader, *, text: bool) -> bytes:
    """Return what a frame holds, nothing of the one that ends the output."""
    length, width, height = _FRAME.unpack(await out.readexactly(_FRAME.size))
    if length == 0:
        return b""
    if length > PAGE_MAX or width > WIDTH_MAX or (height == 0) is not text:
        raise _NoPageError
    page = await out.readexactly(length)
    if not (_is_text(page) if text else page[:4] == b"RIFF" and page[8:12] == b"WEBP"):
        raise _NoPageError
    return page


def _is_text(page: bytes) -> bool:
    try:
        page.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
