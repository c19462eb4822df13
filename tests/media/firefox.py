"""A real Firefox for tests of media, driven over WebDriver BiDi by puppeteer-core in a Node beside the test."""

import asyncio
import itertools
import json
from pathlib import Path
from typing import Any

from tools import house

ROOT = Path(__file__).resolve().parents[2]
DRIVER = Path(__file__).with_name("firefox_driver.mjs")
CLOSE_SECONDS = 20.0


class FirefoxError(Exception):
    """Firefox or its page refused; the message is the driver's."""


class Firefox:
    """One running Firefox with a profile of its own, a synthetic camera and a synthetic microphone."""

    def __init__(self, driver: asyncio.subprocess.Process) -> None:
        self._driver = driver
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls) -> "Firefox":
        """Start it; the answer to the first request comes when it is there."""
        program = house.find_firefox()
        assert program is not None, "these tests need Firefox"
        node = house.node(ROOT) / "bin" / "node"
        driver = await asyncio.create_subprocess_exec(
            str(node) if node.exists() else "node",
            str(DRIVER),
            program,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        return cls(driver)

    async def ask(self, method: str, **data: Any) -> Any:
        """Return the driver's answer.

        Raises:
            FirefoxError: it could not be done, or Firefox is gone.
        """
        if self._reading.done():
            raise FirefoxError("Firefox is gone")
        number = next(self._ids)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        assert self._driver.stdin is not None
        self._driver.stdin.write(json.dumps({"id": number, "method": method, "data": data}).encode() + b"\n")
        await self._driver.stdin.drain()
        return await self._waiting[number]

    async def open(self, url: str) -> "FirefoxPage":
        """Open a window at an address."""
        page = FirefoxPage(self, next(self._ids))
        await self.ask("open", page=page.number, url=url)
        return page

    async def close(self) -> None:
        """Close Firefox and the driver."""
        assert self._driver.stdin is not None
        self._driver.stdin.close()
        try:
            await asyncio.wait_for(self._driver.wait(), CLOSE_SECONDS)
        except TimeoutError:
            self._driver.kill()
            await self._driver.wait()
        await self._reading

    async def _read(self) -> None:
        assert self._driver.stdout is not None
        async for line in self._driver.stdout:
            answer = json.loads(line)
            waiting = self._waiting.pop(answer["id"])
            if waiting.done():
                continue
            if "error" in answer:
                waiting.set_exception(FirefoxError(answer["error"]))
            else:
                waiting.set_result(answer["ok"])
        for waiting in self._waiting.values():
            waiting.set_exception(FirefoxError("Firefox is gone"))


class FirefoxPage:
    """One window, with the little of Playwright's page that the tests use."""

    def __init__(self, firefox: Firefox, number: int) -> None:
        self.number = number
        self._firefox = firefox

    async def evaluate(self, expression: str, argument: object = None) -> Any:
        """Return what an expression, or a function called with the argument, gives."""
        return await self._firefox.ask("evaluate", page=self.number, expression=expression, argument=argument)

    async def click(self, selector: str) -> None:
        """Click an element as a person would."""
        await self._firefox.ask("click", page=self.number, selector=selector)

    async def close(self) -> None:
        """Close the window."""
        await self._firefox.ask("close", page=self.number)
