"""Papers given to the hall from the relay's own disk, with the rights that they have at the hub (relay.md section 2).

While linked, the hub says for each session whether it may read; what it said holds for some minutes, and no longer
than until something happens that may change rights. While cut, who is on the hall's list may read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from typing import Final

from aiohttp import web

from folkmoot_server.domain.papers import PaperClass
from folkmoot_server.domain.relays import session_mark
from folkmoot_server.relay import passing, store
from folkmoot_server.relay.catalogue import Held
from folkmoot_server.relay.hub import HubRefusedError
from folkmoot_server.relay.node import Node, Told
from folkmoot_server.relay.people import HallSession
from folkmoot_server.web.handlers_papers import file_headers, page_headers
from folkmoot_voting.encoding import JsonObject

VOUCHED_S: Final = 300.0
VOUCHED_MAX: Final = 10_000
ONCE_MAX: Final = 500
NEVER: Final = -1
# Events of other kinds change nobody's right to a paper that every member may read.
CHANGES_NO_RIGHT: Final = frozenset(
    {
        "AgendaItemStarted",
        "BallotAccepted",
        "FloorGranted",
        "FloorWithdrawn",
        "HandLowered",
        "HandRaised",
        "PagePresented",
        "TurnExtended",
        "TurnPaused",
        "TurnResumed",
    }
)


class Reading:
    """What one relay gives to read."""

    def __init__(self, node: Node, follows: Callable[[], Collection[bytes]]) -> None:
        """Ask together for those who follow the meeting here, whose sessions `follows` names by their hashes."""
        self._node, self._follows = node, follows
        self._asking: dict[PaperClass, asyncio.Task[int]] = {}
        self._vouched: dict[tuple[bytes, PaperClass], float] = {}
        self._forgotten = 0  # how often: what the hub was asked before that is not remembered after it

    def hear(self, new: Sequence[Told]) -> None:
        """Ask again after whatever may have changed somebody's rights."""
        if any(told.type not in CHANGES_NO_RIGHT for told in new):
            self.forget()

    def forget(self) -> None:
        """Ask again for everybody."""
        self._vouched.clear()
        self._forgotten += 1

    def _find(self, path: str) -> Held | None:
        beginning = f"/api/meetings/{self._node.identity.meeting}/"
        return self._node.catalogue.find(path.removeprefix(beginning)) if path.startswith(beginning) else None

    async def linked(self, request: web.Request, session: HallSession | None) -> web.Response | None:
        """Answer from the disk if the hub says that this session may read it; None where the hub must answer.

        Raises:
            HubSilentError: the hub did not say.
        """
        found = self._find(request.path)
        if found is None or session is None or session.local:
            return None
        data = await self._data(found)
        if data is None or not await self._may(request, session, found):
            return None
        return _answer(found, data)

    async def _data(self, found: Held) -> bytes | None:
        if not found.sha256:
            return b""
        node = self._node
        data = await asyncio.to_thread(node.shelf.read, found.sha256)
        if data is None and found.sha256 in node.catalogue.files():
            node.papers_changed.set()  # it was damaged, or is still to come
        return data

    async def _may(self, request: web.Request, session: HallSession, found: Held) -> bool:
        """Say whether the hub lets a session read a paper: as it said lately, or says when it is asked now."""
        key = (session.token_hash, found.paper_class)
        if self._vouched.get(key, 0.0) > time.monotonic():
            return True
        if session.token_hash in self._follows() and self._node.closed.running is None:
            forgotten = await self._together(request, found.paper_class)
            if forgotten == self._forgotten:
                return self._vouched.get(key, 0.0) > time.monotonic()
        return await self._may_alone(request, session, found)

    async def _together(self, request: web.Request, paper_class: PaperClass) -> int:
        """Ask the hub about all who follow here, once for all that wait; return what `_forgotten` was before."""
        asking = self._asking.get(paper_class)
        if asking is None or asking.done():
            paper, version = request.path.split("/")[5:7]
            asking = asyncio.create_task(self._readers(paper, version, paper_class), name="readers")
            asking.add_done_callback(lambda task: task.cancelled() or task.exception())
            self._asking[paper_class] = asking
        return await passing.unless_cut(self._node, asking)

    async def _readers(self, paper: str, version: str, paper_class: PaperClass) -> int:
        forgotten, marks = self._forgotten, {session_mark(digest): digest for digest in self._follows()}
        asked = sorted(marks)
        for start in range(0, len(asked), ONCE_MAX):
            body: JsonObject = {"sessions": asked[start : start + ONCE_MAX], "paper": paper, "version": int(version)}
            try:
                answer = await self._node.hub.post("/api/relay/readers", body)
            except HubRefusedError:  # each page hears why
                return NEVER
            if answer["may"] and answer["class"] != paper_class:  # it became another class just now
                return NEVER
            if self._forgotten == forgotten:
                for mark in answer["may"]:
                    self._vouch((marks[mark], paper_class))
        return forgotten

    def _vouch(self, key: tuple[bytes, PaperClass]) -> None:
        if len(self._vouched) >= VOUCHED_MAX:
            self._vouched.clear()
        self._vouched[key] = time.monotonic() + VOUCHED_S

    async def _may_alone(self, request: web.Request, session: HallSession, found: Held) -> bool:
        """Ask the hub for the head of the paper's first page: it is given to whoever may read the paper."""
        path, forgotten = "/".join(request.path.split("/")[:7]) + "/pages/1", self._forgotten
        status, headers = await passing.ask_head(self._node, request, path)
        restricted = "no-store" in headers.get("Cache-Control", "")  # it became another class just now
        if status != web.HTTPOk.status_code or restricted:
            return False
        if self._forgotten == forgotten:
            self._vouch((session.token_hash, found.paper_class))
        return True

    async def alone(self, path: str, session: HallSession | None) -> web.Response | None:
        """Answer from the disk while the link is cut; None where this may not be read, or is not here."""
        found = self._find(path)
        if found is None or session is None or not await self.may_alone(session, found.paper_class):
            return None
        data = await self._data(found)
        return None if data is None else _answer(found, data)

    async def may_alone(self, session: HallSession, paper_class: PaperClass) -> bool:
        """Say whether somebody may read papers of a class while nobody can ask the hub."""
        node, follows = self._node, session.follows and paper_class is PaperClass.OPEN
        if not follows and session.member not in node.hall.members:
            return False
        state = await node.database.read(store.state)
        closed = None if state is None else state.get("closed_session")
        return closed is None or node.identity.site in closed["sites"]


def _answer(found: Held, data: bytes) -> web.Response:
    headers = file_headers(found.name, found.type) if found.name else page_headers(found.type, restricted=False)
    return web.Response(body=data, headers=headers)
