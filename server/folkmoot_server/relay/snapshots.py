"""The meeting as the hub gives it to each page of the hall, fetched for all of them together (relay.md section 2)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from folkmoot_server.domain.relays import session_mark
from folkmoot_server.relay import passing, views
from folkmoot_server.relay.hub import HubRefusedError
from folkmoot_server.relay.kept import Kept
from folkmoot_server.relay.node import Node, Told
from folkmoot_server.relay.people import HallSession
from folkmoot_server.relay.reading import CHANGES_NO_RIGHT
from folkmoot_voting.encoding import JsonObject

GOOD_S: Final = 5.0  # as long as the hub's own pictures hold
ANSWER_S: Final = 60.0
REMEMBERED_S: Final = 2 * ANSWER_S
ONCE_MAX: Final = 100
TRIES: Final = 2
JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the hub gave to those who were here: to each, by the session's mark, the common part and the own one.

    It was asked for at `asked_at` and came at `at`; `seq` is the last event that all of it knows of.
    """

    asked_at: float
    at: float
    seq: int
    own: dict[str, tuple[JsonObject, JsonObject]]


class Snapshots:
    """Answers GET of the meeting to pages that follow it here; `follows` names their sessions by their hashes."""

    def __init__(self, node: Node, follows: Callable[[], Collection[bytes]]) -> None:
        self._node, self._follows = node, follows
        self._held: Fetched | None = None
        self._state: JsonObject = {}
        self._digest = ""
        self._fetching: asyncio.Task[Fetched | None] | None = None
        self._acted: dict[bytes, float] = {}
        self._newest = 0  # the last event after which pages may ask for more than it says

    def hear(self, new: Sequence[Told]) -> None:
        """Fetch again after whatever an event does not say to its end."""
        for told in new:
            if told.type not in CHANGES_NO_RIGHT:
                self._newest = told.seq

    def forget(self) -> None:
        """Fetch again: the hub's events go on from elsewhere."""
        self._held, self._newest = None, 0

    def acted(self, digest: bytes) -> None:
        """Note that a session has asked for a change: its page may look for what no event tells."""
        now = time.monotonic()
        self._acted = {one: at for one, at in self._acted.items() if now - at < REMEMBERED_S}
        self._acted[digest] = now

    async def linked(self, request: web.Request, session: HallSession | None) -> Kept | None:
        """Return the answer to a page's GET of the meeting; None where the hub must be asked for it alone.

        Raises:
            HubSilentError: the hub did not answer.
        """
        if session is None or not self._serves(request, session):
            return None
        for _ in range(TRIES):
            if self._held is None or not self._good(self._held):
                self._held = await self._fetch()
            if self._held is None or self._node.closed.running is not None:
                return None
            if self._good(self._held):
                return self._of(self._held, session.token_hash)
        return None

    def _of(self, held: Fetched, digest: bytes) -> Kept | None:
        found = held.own.get(session_mark(digest))
        return None if found is None or self._acted.get(digest, 0.0) >= held.asked_at else _answer(*found)

    def _serves(self, request: web.Request, session: HallSession) -> bool:
        node, digest = self._node, session.token_hash
        if session.local or node.over or node.closed.running is not None:
            return False
        if request.path_qs != f"/api/meetings/{node.identity.meeting}" or digest not in self._follows():
            return False
        return time.monotonic() - self._acted.get(digest, -GOOD_S) >= GOOD_S

    def _good(self, held: Fetched) -> bool:
        return held.seq >= self._newest and time.monotonic() - held.at < GOOD_S

    async def _fetch(self) -> Fetched | None:
        """Ask the hub once for all who wait."""
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._ask(), name="snapshots")
            self._fetching.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await passing.unless_cut(self._node, self._fetching)

    async def _ask(self) -> Fetched | None:
        asked_at, own = time.monotonic(), dict[str, tuple[JsonObject, JsonObject]]()
        marks, seqs = sorted(session_mark(digest) for digest in self._follows()), list[int]()
        for start in range(0, len(marks), ONCE_MAX):
            body: JsonObject = {"sessions": marks[start : start + ONCE_MAX], "have": self._digest}
            try:
                answer = await self._node.hub.post("/api/relay/snapshots", body, wait_s=ANSWER_S)
            except HubRefusedError:  # each page hears why
                return None
            if "digest" not in answer:
                return None
            if "state" in answer:
                self._state, self._digest = answer["state"], str(answer["digest"])
            own |= {mark: (self._state, part) for mark, part in answer["own"].items()}
            seqs.append(int(self._state["seq"]))
        return Fetched(asked_at, time.monotonic(), min(seqs, default=0), own)


def _answer(state: JsonObject, own: JsonObject) -> Kept:
    text = json.dumps(views.together(state, own), separators=(",", ":"))
    return Kept(JSON, text.encode())
