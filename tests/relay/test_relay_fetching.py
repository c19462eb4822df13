"""Papers that a relay fetches ahead: what becomes of a piece when the process, or the meeting, ends in it."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.relay.rig import until
from tests.relay.small import small_node

from folkmoot_server.relay.ahead import Ahead
from folkmoot_server.relay.catalogue import Catalogue
from folkmoot_server.relay.hub import HubRefusedError
from folkmoot_server.relay.node import Node
from folkmoot_server.relay.sync import Sync

FILE = b"The mill stands by the river. " * 400
NAME = hashlib.sha256(FILE).hexdigest()
PAPERS: list[dict[str, Any]] = [
    {"paper": "p", "class": "members", "name": "p.txt", "versions": [{"version": 1, "sha256": NAME, "type": "text"}]}
]


class OneFile:
    """A hub that has one file, and stops in the middle of it until it may go on."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.halfway, self.on = asyncio.Event(), asyncio.Event()
        self.on.set()

    async def piece(self, _path: str, first: int, last: int) -> AsyncGenerator[tuple[int, bytes]]:
        self.asked.append(first)
        if first >= len(FILE):
            raise HubRefusedError(416, "http.range-not-satisfiable", "Requested Range Not Satisfiable.")
        middle = (first + min(last + 1, len(FILE))) // 2
        yield len(FILE), FILE[first:middle]
        self.halfway.set()
        await self.on.wait()
        yield len(FILE), FILE[middle : last + 1]

    async def get(self, _path: str) -> dict[str, Any]:
        self.halfway.set()
        return {"pages": []}


@asynccontextmanager
async def fetching(folder: Path, pages: dict[str, Any] | None = None) -> AsyncIterator[tuple[Node, OneFile]]:
    hub = OneFile()
    async with small_node(folder, hub) as node:
        node.catalogue = Catalogue(PAPERS, {"p/1": []} if pages is None else pages)
        node.linked.set()
        yield node, hub


def files(folder: Path) -> list[str]:
    return [path.name for path in (folder / "papers").iterdir()]


async def until_none(node: Node, folder: Path) -> None:
    """Wait until the meeting is over for the relay, and none of its files is there."""

    async def gone() -> bool:
        return node.over and not files(folder)

    await until(gone, "a folder without papers")


async def test_a_file_that_came_whole_before_the_process_ended_gets_its_name(tmp_path: Path) -> None:
    async with fetching(tmp_path) as (node, hub):
        node.shelf.append(NAME, FILE)
        await Ahead(node).round()
        assert hub.asked == [len(FILE)]
        assert node.shelf.read(NAME) == FILE
        assert files(tmp_path) == [NAME]


@pytest.mark.parametrize("size", [len(FILE), len(FILE) + 512])
async def test_one_whose_end_a_power_cut_has_damaged_comes_anew(
    size: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with fetching(tmp_path) as (node, hub):
        node.shelf.append(NAME, FILE[:-512].ljust(size, b"\0"))
        ahead = Ahead(node)
        with caplog.at_level(logging.WARNING):
            await ahead.round()
        assert "relay.ahead damaged" in caplog.text
        assert files(tmp_path) == []
        await ahead.round()
        assert hub.asked == [size, 0]
        assert node.shelf.read(NAME) == FILE


async def test_a_piece_that_arrives_while_the_meeting_is_forgotten_leaves_nothing(tmp_path: Path) -> None:
    async with fetching(tmp_path) as (node, hub):
        node.profile_kbps = 8  # so that a piece is a third of the file
        sync = Sync(node, tuple)
        hub.on.clear()
        piece = asyncio.create_task(sync._fetching.round())
        await hub.halfway.wait()
        node.ended.set()
        end = asyncio.create_task(sync._end())
        await until_none(node, tmp_path)
        hub.on.set()
        await piece
        assert files(tmp_path) == [f"{NAME}.part"]
        node.linked.clear()  # nor has that to wait until the hub is there again
        after = asyncio.create_task(sync._fetching.round())
        try:
            await until_none(node, tmp_path)
        finally:
            for task in (after, end):
                task.cancel()
            await asyncio.gather(after, end, return_exceptions=True)
        assert hub.asked == [0]


async def test_a_list_of_pages_that_comes_late_brings_no_papers_back(tmp_path: Path) -> None:
    async with fetching(tmp_path, pages={}) as (node, _hub):
        none = Catalogue()
        remember = node.remember

        async def slowly(run: Any) -> Any:
            node.catalogue = none
            return await remember(run)

        node.remember = slowly  # type: ignore[method-assign]
        await Ahead(node).round()
        assert node.catalogue is none
