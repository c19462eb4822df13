"""The parent of the renderer: starts it for one paper, believes nothing that it says, and ends it in time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import struct
import sys
from importlib.resources import files
from pathlib import Path
from typing import Final

from folkmoot_server.domain.papers import PAGES_MAX, Type

SCRIPT: Final = Path(str(files("folkmoot_server"))) / "rendering" / "renderer.py"
WALL_S: Final = 150.0
END_S: Final = 5.0  # for a process that has said what it says
PAGE_MAX: Final = 8 * 1024 * 1024
OUTPUT_MAX: Final = 64 * 1024 * 1024
WIDTH_MAX: Final = 1200
WORDS: Final = frozenset({"damaged", "encrypted", "empty", "too-many-pages", "too-large"})
OUT_OF_TIME: Final = (-signal.SIGXCPU, -signal.SIGKILL)
_FRAME: Final = struct.Struct(">IHH")
_KIND: Final = {Type.PDF: "pdf", Type.TEXT: "text"}


class RefusedPaperError(Exception):
    """The paper did not become pages; the argument is the refusal's code."""


async def render(path: Path, found: Type, wall_s: float = WALL_S) -> list[bytes]:
    """Return the pages of the paper whose bytes lie at `path`: WebP, or UTF-8 of a text.

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
            pages = await _pages(process.stdout, text=found is Type.TEXT)
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


async def _pages(out: asyncio.StreamReader, *, text: bool) -> list[bytes] | None:
    """Return the pages, or None when the output ends early or is none."""
    pages: list[bytes] = []
    total = 0
    try:
        while True:
            length, width, height = _FRAME.unpack(await out.readexactly(_FRAME.size))
            total += length
            if length == 0:
                return pages or None
            if length > PAGE_MAX or total > OUTPUT_MAX or len(pages) >= PAGES_MAX or width > WIDTH_MAX:
                return None
            page = await out.readexactly(length)
            if not _is_page(page, text=text) or (height == 0) is not text:
                return None
            pages.append(page)
    except asyncio.IncompleteReadError:
        return None


def _is_page(page: bytes, *, text: bool) -> bool:
    if not text:
        return page[:4] == b"RIFF" and page[8:12] == b"WEBP"
    try:
        page.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
