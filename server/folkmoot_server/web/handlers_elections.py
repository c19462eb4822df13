"""Elections, ballots, board, counting and tally over HTTP (wire.md, "Elections")."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from aiohttp import web
from sqlalchemy import Connection

from folkmoot_server.commands import ballots, counting, elections, tallies
from folkmoot_server.domain.errors import BadInput, TooMany
from folkmoot_server.domain.ids import from_b64u
from folkmoot_server.queries import board as board_queries
from folkmoot_server.queries import elections as election_queries
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.middleware import current
from folkmoot_server.web.parsing import BALLOT_MAX, query_number, read, relying_party
from folkmoot_server.web.votes_bodies import (
    BallotBody,
    EntryBody,
    LineBody,
    QuestionBody,
    StepUpBody,
    TallySignatureBody,
    notary,
    place,
    require_reader,
)

T = TypeVar("T")
CHECK_THREADS = 2
CHECKS_MAX = 512
MEMBER_CHECKS_MAX = 4


class CheckPool:
    """Threads for proofs; libsodium releases the interpreter lock, so the loop stays free."""

    def __init__(self) -> None:
        """Make the threads lazily."""
        self._threads = ThreadPoolExecutor(CHECK_THREADS, thread_name_prefix="proofs")
        self._waiting: Counter[str] = Counter()

    async def run(self, member: str, work: Callable[[], T]) -> T:
        """Run `work` for a member in a thread.

        Raises:
            TooMany: more checks wait than one member, or all together, may have.
        """
        if self._waiting[member] >= MEMBER_CHECKS_MAX or self._waiting.total() >= CHECKS_MAX:
            raise TooMany("ballot.busy", "Too many ballots are being checked; send yours again in a moment.")
        self._waiting[member] += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting[member] -= 1
            self._waiting += Counter()  # forgets members with nothing waiting

    def close(self) -> None:
        """Wait for the work under way."""
        self._threads.shutdown()


POOL: web.AppKey[CheckPool] = web.AppKey("check-pool", CheckPool)


async def check_pool(app: web.Application) -> AsyncIterator[None]:
    """Own the pool for the application's life."""
    app[POOL] = CheckPool()
    yield
    app[POOL].close()


async def draft(request: web.Request) -> web.Response:
    """POST questions: an election in draft."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["meeting"]
    body = await read(request, QuestionBody)
    question = elections.Draft(
        body.agenda_item,
        body.title,
        body.type,
        body.text,
        tuple(body.options),
        (body.majority.kind, body.majority.of),
    )
    election = await context.database.write(
        lambda tx: elections.draft_election(tx, meeting, session, question, context.now(), context.rng)
    )
    return web.json_response({"election": election})


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
            grace_s=settings.closing_grace_s,
            now=context.now(),
        )
    )
    return web.json_response({"manifest": manifest})


async def close_election(request: web.Request) -> web.Response:
    """POST close: the grace begins."""
    context, session, (meeting, election) = request.app[CONTEXT], current(request), place(request)
    step_up = await _step_up(request)
    grace_s = context.settings.closing_grace_s
    await context.database.write(
        lambda tx: elections.close_election(
            tx, meeting, election, session, step_up, grace_s=grace_s, now=context.now()
        )
    )
    return web.json_response({})


async def _step_up(request: web.Request) -> elections.StepUp:
    body = await read(request, StepUpBody)
    return elections.StepUp(relying_party(request.app[CONTEXT].settings), body.action, body.signed.domain())


async def cast(request: web.Request) -> web.Response:
    """POST ballots: check the proofs in a thread, record the ballot in the writer, answer with the promise."""
    context, session, (meeting, election) = request.app[CONTEXT], current(request), place(request)
    body = await read(request, BallotBody, BALLOT_MAX)
    arrival = await context.database.read(lambda tx: ballots.receive(tx, meeting, election, session, body.ballot))
    if arrival.promise is not None:
        return web.json_response({"promise": arrival.promise})
    accepted = await request.app[POOL].run(session.member_id, lambda: ballots.check(arrival))
    promise = await context.database.write(
        lambda tx: ballots.cast(tx, meeting, election, session, accepted, notary=notary(request), now=context.now())
    )
    return web.json_response({"promise": promise})


async def show_manifest(request: web.Request) -> web.Response:
    """GET manifest, with the list behind the electorate's hash."""
    return await _read(request, election_queries.manifest)


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
    meeting, election = place(request)

    def run(tx: Connection) -> dict[str, Any]:
        require_reader(tx, meeting, request)
        return query(tx, meeting, election)

    return web.json_response(await request.app[CONTEXT].database.read(run))


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

    def load(tx: Connection) -> counting.Box:
        counting.require_trustee(tx, meeting, session, kind, body.entry)
        return counting.load_box(tx, meeting, election)

    box = await context.database.read(load)
    pool = request.app[POOL]
    total = await pool.run(session.member_id, lambda: counting.aggregate(box))
    entry = await pool.run(session.member_id, lambda: counting.check_counting_entry(box, total, body.entry))
    await context.database.write(
        lambda tx: counting.post_entry(
            tx, meeting, election, session, kind, entry, total, notary=notary(request), now=context.now()
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
