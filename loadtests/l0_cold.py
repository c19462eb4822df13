"""The first load of the application over the link, by somebody who has nothing of it: page, scripts and styles."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from typing import Any, Final

import aiohttp
from loadtests.l0_link import Link

NAMED: Final = re.compile(r'(?:src|href)="(/assets/[^"]+\.(?:js|css))"')
PACKED: Final = {"Accept-Encoding": "gzip, deflate, br"}


async def cold_load(link: Link, origin: str, trust: ssl.SSLContext | bool) -> dict[str, Any]:
    """Fetch the page and its scripts and styles as a browser does, over six connections at most; return the figures.

    Raises:
        RuntimeError: the server does not give them.
    """
    began = time.monotonic()
    async with aiohttp.ClientSession(connector=link.connector(trust), auto_decompress=False) as browser:
        page = await _fetch(browser, origin + "/", {"Accept-Encoding": "identity"})
        paths = sorted(set(NAMED.findall(page.decode())))
        files = await asyncio.gather(*(_fetch(browser, origin + path, PACKED) for path in paths))
    return {
        "files": 1 + len(files),
        "octets": len(page) + sum(map(len, files)),
        "s": round(time.monotonic() - began, 1),
    }


async def _fetch(browser: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> bytes:
    async with browser.get(url, headers=headers) as answer:
        if answer.status != 200:
            raise RuntimeError(f"{url}: {answer.status}")
        return await answer.read()
