"""Who waits for news of a feed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Final

from aiohttp import web

from folkmoot_server.web.context import CONTEXT


class RelayFeeds:
    """Wakes the feeds of relays after every commit, and when somebody else has news for them."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()

    def wake(self) -> None:
        """Let every feed look again."""
        for event in self._waiting:
            event.set()

    @contextlib.contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """Give an event that is set when there may be news."""
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            yield event
        finally:
            self._waiting.discard(event)


FEEDS: Final[web.AppKey[RelayFeeds]] = web.AppKey("relay-feeds", RelayFeeds)


async def follow_commits(app: web.Application) -> AsyncIterator[None]:
    """Wake feeds while the application runs."""
    loop, feeds = asyncio.get_running_loop(), app[FEEDS]

    def committed() -> None:  # runs in the writer thread
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(feeds.wake)

    forget = app[CONTEXT].database.listen(committed)
    yield
    forget()
