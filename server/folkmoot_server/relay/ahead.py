"""Papers fetched before anybody in the hall asks for them: in pieces, at a share of the line, behind all else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection

from folkmoot_server.relay import outbox, store
from folkmoot_server.relay.catalogue import Catalogue
from folkmoot_server.relay.hub import HubRefusedError, HubSilentError
from folkmoot_server.relay.node import Node
from folkmoot_server.relay.shelf import FILE_MAX
from folkmoot_voting.encoding import JsonObject

log = logging.getLogger("folkmoot.relay.ahead")
LOOK_S: Final = 30.0
PIECE_S: Final = 4.0
PIECE_LEAST: Final = 4 * 1024
PIECE_MOST: Final = 256 * 1024
GIVE_WAY_S: Final = 10.0  # a request that waits for news must not hold papers up for ever
GIVE_WAY_STEP_S: Final = 0.1
UNKNOWN_KBPS: Final = 2000  # of a line whose limit nobody knows
SHARE_IN_ROOM: Final = 4  # a quarter of the line while voices may be on it
SHARE: Final = 2
PACE_LEAST: Final = 500
NOTHING_BEHIND: Final = 416  # what is asked for begins behind the end of the file


def pace(profile_kbps: int, *, in_room: bool) -> int:
    """Return at how many bytes a second papers may come over a line of this rate."""
    line = (profile_kbps or UNKNOWN_KBPS) * 1000 // 8
    return max(PACE_LEAST, line // (SHARE_IN_ROOM if in_room else SHARE))


def papers_here(catalogue: Catalogue, here: Collection[str]) -> tuple[int, int]:
    """Return how many papers of a catalogue are on a shelf, each with all its pages, and of how many.

    Args:
        catalogue: the papers, of which the newest versions count.
        here: hashes of the files that are whole.
    """
    listed = catalogue.pages()

    def whole(paper: str, version: JsonObject) -> bool:
        pages = listed.get(f"{paper}/{version['version']}")
        if pages is None:
            return False
        files = {version["sha256"], *(one["sha256"] for one in pages), *(one["text"] for one in pages if one["text"])}
        return files.issubset(here)

    return sum(whole(one["paper"], one["versions"][-1]) for one in catalogue.papers), len(catalogue.papers)


class Ahead:
    """The fetching of one relay."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._refused: set[str] = set()  # until the catalogue changes

    async def round(self) -> None:
        """Fetch the next piece; without one wait until the catalogue changes, or a while.

        Raises:
            HubSilentError, HubRefusedError: the hub did not give it.
        """
        node = self._node
        if node.papers_changed.is_set():  # looked at in a cut too: what is to go must not wait for the hub
            node.papers_changed.clear()
            self._refused.clear()
            wanted = node.catalogue.files()
            if node.catalogue.unlisted() is None:  # else pages whose list is still to come would go and come again
                await asyncio.to_thread(node.shelf.keep_only, set(wanted))
        await node.linked.wait()
        await self._give_way()
        unlisted = node.catalogue.unlisted()
        if unlisted is not None and f"{unlisted[0]}/{unlisted[1]}" not in self._refused:
            await self._list(*unlisted)
            return
        wanted = [one for one in node.catalogue.files() if one not in node.shelf.here and one not in self._refused]
        if wanted:
            await self._piece(wanted[0])
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await node.papers_changed.wait()

    async def _give_way(self) -> None:
        """Wait while pages ask for something, or the outbox has something to bring."""
        until = time.monotonic() + GIVE_WAY_S
        while time.monotonic() < until:
            last = await self._node.database.read(lambda tx: outbox.head(tx).seq)
            if not self._node.passing and last <= self._node.acknowledged.seq:
                return
            await asyncio.sleep(GIVE_WAY_STEP_S)

    async def _list(self, paper: str, version: int) -> None:
        node, catalogue = self._node, self._node.catalogue
        try:
            answer = await node.hub.get(f"/api/relay/papers/{paper}/{version}/pages")
        except HubRefusedError as error:
            self._pass_over(f"{paper}/{version}", error)
            return
        try:
            made = catalogue.with_pages(paper, version, answer["pages"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise HubSilentError("its list of pages has another form") from error
        if node.catalogue is not catalogue:
            return  # another one came meanwhile

        def keep(tx: Connection) -> None:
            store.put(tx, "pages", made.pages())

        await node.remember(keep)
        if node.catalogue is catalogue:  # it may have come while the disk was busy, too
            node.catalogue = made
            node.papers_changed.set()

    def _pass_over(self, name: str, error: HubRefusedError) -> None:
        """Leave out what the hub does not give; what is wrong with the relay itself is the caller's."""
        if error.status not in (403, 404):
            raise error
        self._refused.add(name)
        log.warning("relay.ahead refused code=%s", error.code)

    async def _piece(self, sha256: str) -> None:
        node, shelf = self._node, self._node.shelf
        speed = pace(node.profile_kbps, in_room=node.in_room)
        first = await asyncio.to_thread(shelf.begun, sha256)
        last = first + min(PIECE_MOST, max(PIECE_LEAST, int(speed * PIECE_S))) - 1
        size = 0
        try:
            path = f"/api/relay/papers/{sha256}?pace={speed}"
            async with contextlib.aclosing(node.hub.piece(path, first, last)) as parts:
                async for size, data in parts:
                    if size > FILE_MAX or (first == 0 and not await asyncio.to_thread(shelf.has_room, size)):
                        self._refused.add(sha256)
                        log.warning("relay.ahead no-room bytes=%d", size)
                        return
                    await asyncio.to_thread(shelf.append, sha256, data)
                    first += len(data)
        except HubRefusedError as error:
            if error.status != NOTHING_BEHIND or first == 0:
                self._pass_over(sha256, error)
                return
            # All of it had come when the process ended, before the file got its name.
        if first >= size and not await asyncio.to_thread(shelf.finish, sha256):
            log.warning("relay.ahead damaged")
