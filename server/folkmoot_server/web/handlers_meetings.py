"""HTTP: meetings, their commands, events and attendance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from aiohttp import web
from pydantic import Field, RootModel
from sqlalchemy import Connection

from folkmoot_server.commands import closed_sessions, floor, meetings, presiding, rehearsals, visitors
from folkmoot_server.domain.agenda import ITEMS_MAX
from folkmoot_server.domain.identity import SessionInfo
from folkmoot_server.domain.meetings import FloorMode
from folkmoot_server.domain.notices import DAYS_MAX
from folkmoot_server.domain.sites import SITES_MAX
from folkmoot_server.domain.speaking import CATEGORIES, EXTEND_MAX_S, EXTEND_MIN_S, Kind, Wish
from folkmoot_server.queries import attendance as attendance_queries
from folkmoot_server.queries import meetings as meeting_queries
from folkmoot_server.queries.access import readable
from folkmoot_server.realtime.room import apply_to_room
from folkmoot_server.web.compression import json_answer
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.handlers_notices import Reason
from folkmoot_server.web.middleware import current
from folkmoot_server.web.parsing import Id, Strict, Text, Time, Zone, query_number, read

NAMED_MAX: Final = 1000
OptionalId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,64}$")]


class NewItem(Strict):
    """An agenda item of a new meeting."""

    title: Text


class Fraction(Strict):
    """A quorum."""

    num: Annotated[int, Field(ge=0, le=10**6)]
    den: Annotated[int, Field(ge=1, le=10**6)]


class NewMeeting(Strict):
    """POST /api/meetings."""

    title: Text
    unit: Id
    starts_at: Time
    time_zone: Zone
    agenda: Annotated[list[NewItem], Field(max_length=ITEMS_MAX)]
    quorum: Fraction
    challenge_days: Annotated[int, Field(ge=0, le=meetings.CHALLENGE_DAYS_MAX)] = meetings.CHALLENGE_DAYS
    notice_days: Annotated[int, Field(ge=0, le=DAYS_MAX)] = 0
    binding: bool = False
    template: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,64}$")] = ""


class Rehearse(Strict):
    """POST …m/rehearsal."""

    language: Literal["en", "vi"] = "en"


class Plain(Strict):
    """A command without fields."""

    command: Literal[
        "convene",
        "begin-check-in",
        "open",
        "resume",
        "close",
        "resume-chair",
        "lower-hand",
        "mute-all",
        "leave",
        "yield-floor",
        "next-speaker",
        "pause-turn",
        "resume-turn",
        "close-queue",
        "open-queue",
        "end-closed-session",
    ]


class About(Strict):
    """A command about a member."""

    command: Literal["mute", "unmute", "remove", "readmit"]
    member: Id


class GiveFloor(Strict):
    """A command about who speaks: a member, a visitor or a hall (`site:` and its id)."""

    command: Literal["grant-floor", "withdraw-floor"]
    member: Annotated[str, Field(pattern=r"^(site:)?[A-Za-z0-9_-]{1,64}$")]


class StartItem(Strict):
    """A command that takes up an agenda item or puts it off."""

    command: Literal["start-item", "defer-item"]
    item: Id


class SetFloorMode(Strict):
    """The command that chooses who may be heard."""

    command: Literal["set-floor-mode"]
    mode: Literal["open", "chaired"]


class Cancel(Strict):
    """The command that calls a meeting off."""

    command: Literal["cancel"]
    reason: Reason


class Reschedule(Strict):
    """The command that puts a meeting at another time."""

    command: Literal["reschedule"]
    starts_at: Time
    time_zone: Zone


class Recess(Strict):
    """The command that interrupts a meeting, until a time or 0."""

    command: Literal["recess"]
    until: Time


class Adjourn(Strict):
    """The command that breaks a meeting off until another day, named or 0."""

    command: Literal["adjourn"]
    continues_at: Time


class RaiseHand(Strict):
    """The command that asks to speak."""

    command: Literal["raise-hand"]
    kind: Literal["contribution", "pro", "contra", "point-of-order", "reply"] = "contribution"
    category: Annotated[int, Field(ge=0, lt=CATEGORIES)] = 0


class ExtendTurn(Strict):
    """The command that gives who speaks more time."""

    command: Literal["extend-turn"]
    seconds: Annotated[int, Field(ge=EXTEND_MIN_S, le=EXTEND_MAX_S)]


class BeginClosedSession(Strict):
    """The command that closes the room to the public."""

    command: Literal["begin-closed-session"]
    reason: Reason
    sites: Annotated[list[Id], Field(max_length=SITES_MAX)]
    visitors: Annotated[list[Id], Field(max_length=NAMED_MAX)]


class AdmitInside(Strict):
    """The command that lets a site or a visitor into a closed session, or sends them out."""

    command: Literal["admit-inside"]
    site: OptionalId
    visitor: OptionalId
    admitted: bool


_Commands = (
    Plain
    | About
    | GiveFloor
    | StartItem
    | SetFloorMode
    | Cancel
    | Reschedule
    | Recess
    | Adjourn
    | RaiseHand
    | ExtendTurn
    | BeginClosedSession
    | AdmitInside
)


class Command(RootModel[Annotated[_Commands, Field(discriminator="command")]]):
    """POST /api/meetings/{m}/commands."""


_PLAIN: Final[dict[str, Callable[[Connection, str, str, int], int]]] = {
    "convene": meetings.convene,
    "begin-check-in": meetings.begin_check_in,
    "open": meetings.open_meeting,
    "resume": meetings.resume,
    "close": meetings.close_meeting,
    "resume-chair": presiding.resume_chair,
    "lower-hand": floor.lower_hand,
    "mute-all": floor.mute_all,
    "leave": visitors.leave_room,
    "yield-floor": floor.yield_floor,
    "next-speaker": floor.next_speaker,
    "pause-turn": floor.pause_turn,
    "resume-turn": floor.resume_turn,
    "close-queue": floor.close_queue,
    "open-queue": floor.open_queue,
    "end-closed-session": closed_sessions.end,
}
_ABOUT: Final[dict[str, Callable[[Connection, str, str, str, int], int]]] = {
    "grant-floor": floor.grant_floor,
    "withdraw-floor": floor.withdraw_floor,
    "mute": floor.mute,
    "unmute": floor.unmute,
    "remove": floor.remove,
    "readmit": floor.readmit,
}


def run(tx: Connection, meeting: str, session: SessionInfo, command: Command, now: int) -> int:
    """Carry out one command of a member and return the seq of its last event.

    Raises:
        NotFound: no such meeting for this member.
        FolkmootError: as the command says.
    """
    member = session.member_id
    readable(tx, meeting, member, now)
    wanted = command.root
    if wanted.command != "leave":
        closed_sessions.require_inside(tx, meeting, session, now)
    if isinstance(wanted, Plain):
        return _PLAIN[wanted.command](tx, meeting, member, now)
    if isinstance(wanted, About | GiveFloor):
        return _ABOUT[wanted.command](tx, meeting, member, wanted.member, now)
    if isinstance(wanted, StartItem):
        take = meetings.start_item if wanted.command == "start-item" else meetings.defer_item
        return take(tx, meeting, member, wanted.item, now)
    if isinstance(wanted, Cancel | Reschedule | Recess | Adjourn):
        return _interrupt(tx, meeting, member, wanted, now)
    if isinstance(wanted, RaiseHand):
        return floor.raise_hand(tx, meeting, member, now, Wish(Kind(wanted.kind), wanted.category))
    if isinstance(wanted, ExtendTurn):
        return floor.extend_turn(tx, meeting, member, wanted.seconds, now)
    if isinstance(wanted, BeginClosedSession):
        return closed_sessions.begin(tx, meeting, member, wanted.reason, wanted.sites, wanted.visitors, now)
    if isinstance(wanted, AdmitInside):
        return closed_sessions.admit(tx, meeting, member, wanted.site, wanted.visitor, wanted.admitted, now)
    return floor.set_mode(tx, meeting, member, FloorMode(wanted.mode), now)


def _interrupt(
    tx: Connection, meeting: str, member: str, wanted: Cancel | Reschedule | Recess | Adjourn, now: int
) -> int:
    if isinstance(wanted, Cancel):
        return meetings.cancel(tx, meeting, member, wanted.reason, now)
    if isinstance(wanted, Reschedule):
        return meetings.reschedule(tx, meeting, member, wanted.starts_at, wanted.time_zone, now)
    if isinstance(wanted, Recess):
        return meetings.recess(tx, meeting, member, wanted.until, now)
    return meetings.adjourn(tx, meeting, member, wanted.continues_at, now)


async def list_meetings(request: web.Request) -> web.Response:
    """GET /api/meetings."""
    context, session = request.app[CONTEXT], current(request)
    view = await context.database.read(lambda tx: meeting_queries.meetings_view(tx, session, context.now()))
    return web.json_response(view)


async def new_meeting(request: web.Request) -> web.Response:
    """POST /api/meetings."""
    context, session = request.app[CONTEXT], current(request)
    body = await read(request, NewMeeting)
    wanted = meetings.Draft(
        title=body.title,
        unit=body.unit,
        starts_at=body.starts_at,
        time_zone=body.time_zone,
        agenda=tuple(item.title for item in body.agenda),
        quorum_num=body.quorum.num,
        quorum_den=body.quorum.den,
        challenge_days=body.challenge_days,
        notice_days=body.notice_days,
        binding=body.binding,
        template=body.template,
    )
    meeting = await context.database.write(
        lambda tx: meetings.draft(tx, session.member_id, wanted, now=context.now(), rng=context.rng)
    )
    return web.json_response({"id": meeting})


async def get_meeting(request: web.Request) -> web.Response:
    """GET /api/meetings/{m}."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    version = context.database.version  # taken before the transaction begins: what it sees is never older
    now, address = context.now(), context.settings.public_url

    def view(tx: Connection) -> web.Response:
        found = readable(tx, meeting, session.member_id, now)
        drawn = context.pictures.of(found, version, now, lambda: meeting_queries.picture(tx, found, now))
        text = meeting_queries.snapshot(tx, drawn, found, session, address, now)
        return json_answer(request, text, drawn.text)

    async with context.pictures.turn:
        return await context.database.read(view)


async def get_events(request: web.Request) -> web.Response:
    """GET /api/meetings/{m}/events?after=N."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    after = query_number(request, "after")
    view = await context.database.read(
        lambda tx: meeting_queries.events_view(tx, meeting, session, after, context.now())
    )
    return web.json_response(view)


async def command(request: web.Request) -> web.Response:
    """POST /api/meetings/{m}/commands."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    body = await read(request, Command)
    now = context.now()
    seq = await context.database.write(lambda tx: run(tx, meeting, session, body, now))
    await apply_to_room(context, meeting, body.root.model_dump(), session.member_id)
    return web.json_response({"seq": seq})


async def rehearse(request: web.Request) -> web.Response:
    """POST /api/meetings/{m}/rehearsal."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    language = (await read(request, Rehearse)).language

    def write(tx: Connection) -> str:
        readable(tx, meeting, session.member_id, context.now())
        grace_s = context.settings.closing_grace_s
        return rehearsals.rehearse(tx, meeting, session, language, grace_s, context.now(), context.rng)

    return web.json_response({"id": await context.database.write(write)})


async def get_attendance(request: web.Request) -> web.Response:
    """GET /api/meetings/{m}/attendance."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    async with context.pictures.log:
        view: dict[str, Any] = await context.database.read(
            lambda tx: attendance_queries.attendance_view(tx, meeting, session.member_id, context.now())
        )
    return web.json_response(view)


async def get_attendance_file(request: web.Request) -> web.Response:
    """GET /api/meetings/{m}/attendance.csv."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    async with context.pictures.log:
        body = await context.database.read(
            lambda tx: attendance_queries.attendance_file(tx, meeting, session.member_id, context.now())
        )
    headers = {"Content-Disposition": 'attachment; filename="attendance.csv"'}
    return web.Response(body=body, content_type="text/csv", charset="utf-8", headers=headers)


ROUTES: Final = (
    web.get("/api/meetings", list_meetings),
    web.post("/api/meetings", new_meeting),
    web.get("/api/meetings/{m}", get_meeting),
    web.get("/api/meetings/{m}/events", get_events),
    web.post("/api/meetings/{m}/commands", command),
    web.post("/api/meetings/{m}/rehearsal", rehearse),
    web.get("/api/meetings/{m}/attendance", get_attendance),
    web.get("/api/meetings/{m}/attendance.csv", get_attendance_file),
)
