"""A ballot that waits in the outbox, or came to the hub by it, is not sent over the thin link a second time.

Pages whose ballot waits here send the same bytes until somebody decides. The answer is the hub's promise, whose
signature the page checks, once the outbox has brought it; until then it is the receipt. Whatever is not known
so goes to the hub: a ballot that the hub refused, and one whose promise was lost with the answer that carried it.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from folkmoot_server.domain.errors import FolkmootError
from folkmoot_server.domain.ledger import protocol_checked
from folkmoot_server.domain.relays import Kind
from folkmoot_server.relay import outbox
from folkmoot_server.relay.node import Node
from folkmoot_server.relay.outbox import Waiting
from folkmoot_server.relay.outbox_chain import Wish
from folkmoot_server.web.parsing import decode
from folkmoot_server.web.votes_bodies import BallotBody
from folkmoot_voting.encoding import JsonObject

BALLOTS: Final = "/api/meetings/{meeting}/elections/{election}/ballots"
QUEUED: Final = 202


def wish(election: str, ballot: JsonObject) -> Wish:
    """Return what the entry of a ballot holds."""
    return Wish(Kind.BALLOT, "", {"election": election, "ballot": ballot})


def shown(known: Waiting) -> web.Response:
    """Return the answer of POST ballots: the hub's promise, or the receipt while it is not known."""
    if known.promise is not None:
        return web.json_response({"promise": known.promise})
    return web.json_response({"queued": known.receipt}, status=QUEUED)


async def linked(node: Node, request: web.Request, body: bytes) -> web.Response | None:
    """Return the answer to a ballot that the outbox carries or has carried, None when the hub must be asked."""
    resource = request.match_info.route.resource
    if request.method != "POST" or resource is None or resource.canonical != BALLOTS:
        return None
    if request.match_info["meeting"] != node.identity.meeting:
        return None
    # Before the look at the disk: what an answer tells is there before the cursor moves.
    upto, bringing = node.acknowledged.seq, node.bringing
    try:
        raw = wish(request.match_info["election"], decode(body, BallotBody).ballot)
        with protocol_checked():
            known = await node.database.read(lambda tx: outbox.find(tx, raw))
    except FolkmootError:  # no ballot: the hub says what is wrong
        return None
    if known is None:
        return None
    untold = bringing < known.seq <= upto  # the hub has it, and no answer is on its way that tells more
    return None if known.promise is None and (known.refused or untold) else shown(known)
