"""HTTP: motions, amendments and the register of resolutions (conduct.md section 6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, TypeVar

from aiohttp import web
from pydantic import Field
from sqlalchemy import Connection

from folkmoot_server.commands import motions
from folkmoot_server.domain.errors import BadInput
from folkmoot_server.domain.motions import PARAGRAPHS_MAX, SECONDERS_MAX, TEXT_MAX, Span
from folkmoot_server.queries import motions as motion_queries
from folkmoot_server.queries.access import readable
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.middleware import current
from folkmoot_server.web.parsing import Id, Strict, Text, read
from folkmoot_server.web.votes_bodies import MajorityBody

T = TypeVar("T")

MotionText = Annotated[str, Field(max_length=2 * TEXT_MAX)]
Hash = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]
Paragraph = Annotated[int, Field(ge=0, le=10 * PARAGRAPHS_MAX)]


class NewMotion(Strict):
    """POST motions."""

    item: Id
    title: Text
    text: MotionText


class Amendment(Strict):
    """POST amendments; paragraphs are counted from 0, `to` is not among them."""

    base_hash: Hash
    first: Annotated[Paragraph, Field(alias="from")]
    to: Paragraph
    text: MotionText
    title: Text


class Change(Strict):
    """POST a motion: what it says now; an amendment may name its paragraphs anew."""

    version: Annotated[int, Field(ge=1)]
    title: Text
    text: MotionText
    base_hash: Hash | None = None
    first: Annotated[Paragraph | None, Field(alias="from")] = None
    to: Paragraph | None = None

    def place(self) -> motions.Place | None:
        """Return the paragraphs, or None when none are named.

        Raises:
            BadInput: some of the three fields are missing.
        """
        if self.base_hash is None and self.first is None and self.to is None:
            return None
        if self.base_hash is None or self.first is None or self.to is None:
            raise BadInput("input.malformed", "The fields base_hash, from and to come together.")
        return motions.Place(self.base_hash, Span(self.first, self.to))


class Act(Strict):
    """POST act."""

    act: Literal["submit", "second", "withdraw", "admit", "refer", "rebase"]


class Declaration(Strict):
    """POST conflict."""

    declared: bool


class Vote(Strict):
    """POST election."""

    secrecy: Literal["trustees", "open", "roll-call"]
    majority: MajorityBody
    tie: Literal["rejected", "casting-vote"]


class Rules(Strict):
    """POST motion-rules."""

    seconders: Annotated[int, Field(ge=0, le=SECONDERS_MAX)]


_ACTS: Final[dict[str, Callable[[Connection, str, str, str, int], None]]] = {
    "submit": motions.submit,
    "second": motions.second,
    "withdraw": motions.withdraw,
    "admit": motions.admit,
    "refer": motions.refer,
    "rebase": motions.rebase,
}


async def _write(request: web.Request, work: Callable[[Connection, str, str, int], T]) -> T:
    """Run a command with meeting, member and time, for those who may read the meeting."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    now = context.now()

    def run(tx: Connection) -> T:
        readable(tx, meeting, session.member_id, now)
        return work(tx, meeting, session.member_id, now)

    return await context.database.write(run)


async def write_motion(request: web.Request) -> web.Response:
    """POST motions: a draft."""
    body, rng = await read(request, NewMotion), request.app[CONTEXT].rng
    made = await _write(
        request,
        lambda tx, meeting, member, now: motions.write(
            tx, meeting, member, body.item, body.title, body.text, now=now, rng=rng
        ),
    )
    return web.json_response({"motion": made})


async def write_amendment(request: web.Request) -> web.Response:
    """POST amendments: a draft that names the paragraphs it replaces."""
    body, rng, base = await read(request, Amendment), request.app[CONTEXT].rng, request.match_info["x"]
    place = motions.Place(body.base_hash, Span(body.first, body.to))
    made = await _write(
        request,
        lambda tx, meeting, member, now: motions.amend(
            tx, meeting, member, base, place, body.title, body.text, now=now, rng=rng
        ),
    )
    return web.json_response({"motion": made})


async def change(request: web.Request) -> web.Response:
    """POST a motion: another text or title."""
    body, motion = await read(request, Change), request.match_info["x"]
    place = body.place()
    version = await _write(
        request,
        lambda tx, meeting, member, now: motions.change(
            tx, meeting, member, motion, body.version, body.title, body.text, place, now
        ),
    )
    return web.json_response({"version": version})


async def act(request: web.Request) -> web.Response:
    """POST act."""
    body, motion = await read(request, Act), request.match_info["x"]
    await _write(request, lambda tx, meeting, member, now: _ACTS[body.act](tx, meeting, member, motion, now))
    return web.json_response({})


async def declare(request: web.Request) -> web.Response:
    """POST conflict: one's own interest."""
    body, motion = await read(request, Declaration), request.match_info["x"]
    await _write(
        request,
        lambda tx, meeting, member, now: motions.declare_conflict(tx, meeting, member, motion, body.declared, now),
    )
    return web.json_response({})


async def put_to_vote(request: web.Request) -> web.Response:
    """POST election: a drafted vote on the motion."""
    body, motion = await read(request, Vote), request.match_info["x"]
    context, session = request.app[CONTEXT], current(request)
    rng, grace_s = context.rng, context.settings.closing_grace_s
    wanted = motions.Ballot(body.secrecy, (body.majority.kind, body.majority.of), body.tie, grace_s)
    election = await _write(
        request,
        lambda tx, meeting, _, now: motions.put_to_vote(tx, meeting, session, motion, wanted, now, rng),
    )
    return web.json_response({"election": election})


async def set_rules(request: web.Request) -> web.Response:
    """POST motion-rules."""
    body = await read(request, Rules)
    await _write(
        request,
        lambda tx, meeting, member, now: motions.set_seconders_needed(tx, meeting, member, body.seconders, now),
    )
    return web.json_response({})


async def _read(request: web.Request, query: Callable[[Connection, str, int], dict[str, Any]]) -> web.Response:
    context, member = request.app[CONTEXT], current(request).member_id
    return web.json_response(await context.database.read(lambda tx: query(tx, member, context.now())))


async def show(request: web.Request) -> web.Response:
    """GET a motion with its text."""
    meeting, motion = request.match_info["m"], request.match_info["x"]

    def run(tx: Connection, member: str, now: int) -> dict[str, Any]:
        return motion_queries.motion_view(tx, readable(tx, meeting, member, now), motion, member, now)

    return await _read(request, run)


async def show_diff(request: web.Request) -> web.Response:
    """GET diff: an amendment against its base."""
    meeting, motion = request.match_info["m"], request.match_info["x"]

    def run(tx: Connection, member: str, now: int) -> dict[str, Any]:
        readable(tx, meeting, member, now)
        return motion_queries.diff_view(tx, meeting, motion, member)

    return await _read(request, run)


async def show_resolutions(request: web.Request) -> web.Response:
    """GET /api/resolutions?unit=U."""
    unit, session = request.query.get("unit", ""), current(request)
    return await _read(request, lambda tx, _member, now: motion_queries.resolutions_view(tx, unit, session, now))


async def show_resolution(request: web.Request) -> web.Response:
    """GET /api/resolutions/{r}."""
    motion, session = request.match_info["r"], current(request)
    return await _read(request, lambda tx, _member, now: motion_queries.resolution_view(tx, motion, session, now))


_MOTION: Final = "/api/meetings/{m}/motions/{x}"
ROUTES: Final = (
    web.post("/api/meetings/{m}/motions", write_motion),
    web.post("/api/meetings/{m}/motion-rules", set_rules),
    web.post(_MOTION, change),
    web.get(_MOTION, show),
    web.post(f"{_MOTION}/amendments", write_amendment),
    web.post(f"{_MOTION}/act", act),
    web.post(f"{_MOTION}/conflict", declare),
    web.post(f"{_MOTION}/election", put_to_vote),
    web.get(f"{_MOTION}/diff", show_diff),
    web.get("/api/resolutions", show_resolutions),
    web.get("/api/resolutions/{r}", show_resolution),
)
