"""Elections, board, counting and tally over HTTP (wire.md, "Elections")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web
from sqlalchemy import Connection

from folkmoot_server.commands import counting, elections, results, tallies
from folkmoot_server.domain.errors import BadInput, Refused
from folkmoot_server.domain.ids import from_b64u
from folkmoot_server.domain.members import clean_text
from folkmoot_server.queries import board as board_queries
from folkmoot_server.queries import elections as election_queries
from folkmoot_server.storage import elections as stored_elections
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.limits import LIMITS
from folkmoot_server.web.middleware import current
from folkmoot_server.web.parsing import query_number, read, relying_party
from folkmoot_server.web.proof_pool import POOL
from folkmoot_server.web.votes_bodies import (
    DraftBody,
    EntryBody,
    ExclusionBody,
    LineBody,
    StepUpBody,
    TallySignatureBody,
    notary,
    place,
    require_reader,
)


async def draft(request: web.Request) -> web.Response:
    """POST questions: an election in draft."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["meeting"]
    body = await read(request, DraftBody)
    question = elections.Draft(
        agenda_item=body.agenda_item,
        title=body.title,
        questions=tuple(one.domain() for one in body.questions),
        secrecy=body.secrecy,
        voting_again=body.voting_again,
        majority=(body.majority.kind, body.majority.of),
        tie=body.tie,
        closes_after_s=body.closes_after_s,
        kiosk=body.kiosk,
        grace_s=context.settings.closing_grace_s if body.grace_s is None else body.grace_s,
    )
    election = await context.database.write(
        lambda tx: elections.draft_election(tx, meeting, session, question, context.now(), context.rng)
    )
    return web.json_response({"election": election})


async def exclude(request: web.Request) -> web.Response:
    """POST exclusions: a conflict of interest, or its end."""
    context, session, (meeting, election) = request.app[CONTEXT], current(request), place(request)
    body = await read(request, ExclusionBody)
    reason = clean_text(body.reason) if body.excluded else None
    await context.database.write(
        lambda tx: elections.exclude(tx, meeting, election, session, body.member, reason, context.now())
    )
    return web.json_response({})


async def preview(request: web.Request) -> web.Response:
    """GET preview: what opening now would come to, for chair and secretary."""
    context, session, (meeting, election) = request.app[CONTEXT], current(request), place(request)
    least, owner = context.settings.electorate_min, notary(request)
    return web.json_response(
        await context.database.read(
            lambda tx: election_queries.preview(
                tx, meeting, election, session.member_id, notary=owner, least=least, now=context.now()
            )
        )
    )


async def open_election(request: web.Request) -> web.Response:
    """POST open: the manifest that everybody votes under."""
    context, session, (meeting, election) = request.app[CONTEXT], current(request), place(request)
    step_up = await _step_up(request)
    settings = context.settings
    manifest = await context.database.write(
        lambda tx: elections.open_election(
            tx,
            meeting,
            election,
            session,
            step_up,
            notary=notary(request),
            electorate_min=settings.electorate_min,
            now=context.now(),
            rng=context.rng,
        )
    )
    return web.json_response({"manifest": manifest})


async def close_election(request: web.Request) -> web.Response:
    """POST close: the grace begins."""
    context, session, (meeting, election) = request.app[CONTEXT], current(request), place(request)
    step_up = await _step_up(request)
    await context.database.write(
        lambda tx: elections.close_election(tx, meeting, election, session, step_up, now=context.now())
    )
    return web.json_response({})


async def _step_up(request: web.Request) -> elections.StepUp:
    body = await read(request, StepUpBody)
    return elections.StepUp(relying_party(request), body.action, body.signed.domain())


async def show_manifest(request: web.Request) -> web.Response:
    """GET manifest, with the list behind the electorate's hash and the caller's place in it."""
    member = current(request).member_id
    return await _read(
        request, lambda tx, meeting, election: election_queries.manifest(tx, meeting, election, member)
    )


async def show_board(request: web.Request) -> web.Response:
    """GET board?from=N: at most 500 entries."""
    start = query_number(request, "from")
    return await _read(request, lambda tx, meeting, election: board_queries.page(tx, meeting, election, start))


async def show_inclusion(request: web.Request) -> web.Response:
    """GET inclusion?leaf=L."""
    leaf = from_b64u(request.query.get("leaf", ""))
    if len(leaf) != 32:
        raise BadInput("input.malformed", "The parameter leaf must be a hash of 32 bytes.")
    return await _read(request, lambda tx, meeting, election: board_queries.inclusion(tx, meeting, election, leaf))


async def show_tally(request: web.Request) -> web.Response:
    """GET tally, once counted."""
    return await _read(request, election_queries.tally)


async def _read(request: web.Request, query: Callable[[Connection, str, str], dict[str, Any]]) -> web.Response:
    context, (meeting, election) = request.app[CONTEXT], place(request)
    request.app[LIMITS].count_reader(current(request).member_id, context.now())

    def run(tx: Connection) -> dict[str, Any]:
        require_reader(tx, meeting, request)
        return query(tx, meeting, election)

    return web.json_response(await context.database.read(run))


async def cosign(request: web.Request) -> web.Response:
    """POST cosignatures: one officer's signature line on the closing checkpoint."""
    context, session, (meeting, election) = request.app[CONTEXT], current(request), place(request)
    body = await read(request, LineBody)
    count = await context.database.write(
        lambda tx: counting.cosign(
            tx, meeting, election, session, body.line, notary=notary(request), now=context.now()
        )
    )
    return web.json_response({"cosignatures": count})


async def post_intent(request: web.Request) -> web.Response:
    """POST intents: a trustee promises to open exactly this aggregate."""
    return await _post_entry(request, "intent")


async def post_share(request: web.Request) -> web.Response:
    """POST shares: a trustee's partial decryption; the threshold makes the count."""
    return await _post_entry(request, "share")


async def _post_entry(request: web.Request, kind: str) -> web.Response:
    context, session, (meeting, election) = request.app[CONTEXT], current(request), place(request)
    body = await read(request, EntryBody)

    def load(tx: Connection) -> tuple[Any, Any]:
        counting.require_trustee(tx, meeting, session, kind, body.entry)
        stored = stored_elections.get(tx, meeting, election)
        counting.require_opening(stored, kind)
        return stored, counting.aggregate(tx, meeting, election)

    stored, total = await context.database.read(load)
    if not stored.aggregate_text:
        await context.database.write(lambda tx: counting.keep_aggregate(tx, election, total))
    checked = await request.app[POOL].run(
        session.member_id, lambda: counting.check_counting_entry(stored, total, body.entry)
    )
    wrong = await context.database.write(
        lambda tx: counting.post_entry(
            tx, meeting, election, session, kind, checked, notary=notary(request), now=context.now()
        )
    )
    if wrong:  # the evidence is stored, and so is what the trustee is told
        raise Refused(counting.WRONG_SHARE, wrong)
    return web.json_response({})


async def post_casting(request: web.Request) -> web.Response:
    """POST casting: the chair decides a tie."""
    context, session, (meeting, election) = request.app[CONTEXT], current(request), place(request)
    body = await read(request, EntryBody)
    await context.database.write(
        lambda tx: results.decide_tie(
            tx, meeting, election, session, body.entry, notary=notary(request), now=context.now()
        )
    )
    return web.json_response({})


async def sign_tally(request: web.Request) -> web.Response:
    """POST tally/signatures: the trustees of the count, and the chair who thereby declares."""
    context, session, (meeting, election) = request.app[CONTEXT], current(request), place(request)
    body = await read(request, TallySignatureBody)
    if (body.signer == "chair") != (body.trustee == 0):
        raise BadInput("input.malformed", "The chair signs with trustee 0, a trustee with the own index.")
    await context.database.write(
        lambda tx: tallies.sign_tally(
            tx, meeting, election, session, body.trustee, body.sig, notary=notary(request), now=context.now()
        )
    )
    return web.json_response({})
