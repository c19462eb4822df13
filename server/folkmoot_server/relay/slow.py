"""Votes on a line that answers too late: a ballot, its announcement or void joins the outbox, as in a cut.

The link is not cut while the hub answers anything in time, and on a line that is full of what does not give way that
may be little, and nothing to those who vote. So what a hall alone could take waits for the hub's answer for a limited
time only. The hub knows each by its bytes, whichever way they come first: once is all that counts.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from aiohttp import web

from folkmoot_server.domain.errors import FolkmootError
from folkmoot_server.domain.ledger import protocol_checked
from folkmoot_server.domain.relays import Kind
from folkmoot_server.relay import outbox, repeats
from folkmoot_server.relay.alone import SEALS, VOIDS
from folkmoot_server.relay.hub import HubSilentError
from folkmoot_server.relay.node import Node
from folkmoot_server.relay.outbox_chain import Wish
from folkmoot_server.relay.passing import HubLateError, Late
from folkmoot_server.storage.database import StoreFailedError
from folkmoot_voting.encoding import JsonObject

AUDITED: Final = "ballot.void"
Alone = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]
PassOn = Callable[[Late | None], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Vote:
    """What of a vote a page sends: by which credential, and what the entry of it would hold."""

    election: str
    credential: str
    wish: Wish

    @property
    def place(self) -> tuple[str, str]:
        """Whose vote it is."""
        return self.election, self.credential


class Slow:
    """What one relay does not leave to a line that is too slow; `alone` answers as in a cut."""

    def __init__(self, node: Node, alone: Alone) -> None:
        self._node, self._alone = node, alone
        self._sealing: dict[tuple[str, ...], object] = {}

    async def pass_on(self, request: web.Request, body: bytes, run: PassOn) -> web.StreamResponse:
        """Let `run` pass a request on; answer in the hub's place where it may not overtake, or the hub is late.

        Raises:
            HubSilentError: as `run` does, and for an announcement that is late when a newer one has come.
            FolkmootError: as `run` does, and for a ballot whose void waits here.
        """
        vote = _vote_in(self._node, request, body)
        if vote is None:
            return await run(None)
        if vote.wish.kind is Kind.SEAL:
            return await self._seal(vote, request, body, run)
        return await self._pass_on(vote, request, body, run, lambda: self._take(vote, request, body))

    async def _seal(self, vote: Vote, request: web.Request, body: bytes, run: PassOn) -> web.StreamResponse:
        """Pass an announcement on; behind a newer one of the same page it would be the last again."""
        mark = object()
        # By page: whoever announces in another voter's name, unsigned, holds nobody up.
        page = (*vote.place, *(request.headers.get(name, "") for name in ("Cookie", "Authorization")))
        self._sealing[page] = mark

        async def late() -> web.StreamResponse | None:
            if self._sealing.get(page) is not mark:
                raise HubSilentError("another ballot was sealed since")
            return await self._take(vote, request, body)

        try:
            return await self._pass_on(vote, request, body, run, late)
        finally:
            if self._sealing.get(page) is mark:
                del self._sealing[page]

    async def _pass_on(
        self, vote: Vote, request: web.Request, body: bytes, run: PassOn, late: Late
    ) -> web.StreamResponse:
        try:
            joined = await self._join(vote, request, body)
            return joined if joined is not None else await run(late)
        except HubLateError as taken:
            return taken.response

    async def _join(self, vote: Vote, request: web.Request, body: bytes) -> web.StreamResponse | None:
        """Take what the hub would get before an entry of the same voter that waits here."""
        after = self._node.acknowledged.seq
        place = vote.place
        if not await self._node.database.read(lambda tx: outbox.waits(tx, after, *place)):
            return None
        return await self._take(vote, request, body)

    async def _take(self, vote: Vote, request: web.Request, body: bytes) -> web.StreamResponse | None:
        """Answer as a hall alone does, with what is on disk then; None where the hub must be waited for.

        What the hall refuses here the hub may take, as it knows more, but for a ballot that was opened in an audit.
        """
        if self._node.unwanted:
            return None
        try:
            with protocol_checked():
                known = await self._node.database.read(lambda tx: outbox.find(tx, vote.wish))
            if known is not None and known.refused:  # why, the hub says
                return None
            return await self._alone(request, body)
        except FolkmootError as error:
            if error.code == AUDITED:
                raise
        except StoreFailedError:
            pass
        return None


def _vote_in(node: Node, request: web.Request, body: bytes) -> Vote | None:
    """Return what of a vote a request asks the hub to take; None of another form, which the hub refuses."""
    resource = request.match_info.route.resource
    read = _VOTES.get("" if resource is None else resource.canonical)
    if read is None or request.method != "POST" or request.match_info["meeting"] != node.identity.meeting:
        return None
    election = request.match_info["election"]
    try:
        credential, wish = read(election, json.loads(body))
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return Vote(election, str(credential), wish)


def _seal(election: str, given: Any) -> tuple[str, Wish]:
    fields = {name: given[name] for name in ("credential", "sealed", "sig")}
    return given["credential"], Wish(Kind.SEAL, "", {"election": election, **fields})


def _ballot(election: str, given: Any) -> tuple[str, Wish]:
    ballot: JsonObject = given["ballot"]
    return ballot["credential"], repeats.wish(election, ballot)


def _void(election: str, given: Any) -> tuple[str, Wish]:
    return given["entry"]["credential"], Wish(Kind.VOID, "", {"election": election, "entry": given["entry"]})


_VOTES: Final[Mapping[str, Callable[[str, Any], tuple[str, Wish]]]] = MappingProxyType(
    {SEALS: _seal, repeats.BALLOTS: _ballot, VOIDS: _void}
)
