"""A loop that carries out what time brings about, until the store is closed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod

from folkmoot_server.storage.database import StoreClosedError

log = logging.getLogger("folkmoot.ticking")


class Ticking(ABC):
    """Calls `tick` every `every_s` seconds in a task of its own; a tick that fails is tried again at the next."""

    def __init__(self, name: str, every_s: float) -> None:
        self._name, self._every_s = name, every_s
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def tick(self) -> None:
        """Do what is due now."""

    async def pause(self) -> float:
        """Return how many seconds to wait after a tick; a subclass may know better than `every_s`."""
        return self._every_s

    async def start(self) -> None:
        """Begin ticking."""
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def close(self) -> None:
        """Stop at once; a write that has been handed over still finishes."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            try:
                await self.tick()
                pause_s = await self.pause()
            except StoreClosedError:
                return
            except Exception as error:  # the loop's edge: one bad tick must not stop the clock
                log.error("%s.tick-failed kind=%s", self._name, type(error).__name__)
                pause_s = self._every_s
            await asyncio.sleep(pause_s)
