"""Papers given to the hall from the relay's own disk, with the rights that they have at the hub (relay.md section 2).

While linked, the hub says for each session whether it may read; what it said holds for some minutes, and no longer
than until something happens that may change rights. While cut, who is on the hall's list may read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from folkmoot_server.domain.papers import PaperClass
from folkmoot_server.relay import passing, store
from folkmoot_server.relay.catalogue import Held
from folkmoot_server.relay.node import Node, Told
from folkmoot_server.relay.people import HallSession
from folkmoot_server.web.handlers_papers import file_headers, page_headers

VOUCHED_S: Final = 300.0
VOUCHED_MAX: Final = 10_000
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

    def __init__(self, node: Node) -> None:
        self._node = node
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
        """Ask the hub for the head of the paper's first page: it is given to whoever may read the paper."""
        key, now = (session.token_hash, found.paper_class), time.monotonic()
        if self._vouched.get(key, 0.0) > now:
            return True
        path, forgotten = "/".join(request.path.split("/")[:7]) + "/pages/1", self._forgotten
        status, headers = await passing.ask_head(self._node, request, path)
        restricted = "no-store" in headers.get("Cache-Control", "")  # it became another class just now
        if status != web.HTTPOk.status_code or restricted:
            return False
        if self._forgotten == forgotten:
            if len(self._vouched) >= VOUCHED_MAX:
                self._vouched.clear()
            self._vouched[key] = now + VOUCHED_S
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
