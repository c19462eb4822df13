"""HTTP: meetings, their commands, events and attendance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from aiohttp import web
from pydantic import Field, RootModel
from sqlalchemy import Connection

from folkmoot_server.commands import attendance, floor, meetings, rehearsals
from folkmoot_server.domain.meetings import FloorMode
from folkmoot_server.queries import attendance as attendance_queries
from folkmoot_server.queries import meetings as meeting_queries
from folkmoot_server.queries.access import readable
from folkmoot_server.realtime.room import apply_to_room
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.middleware import current
from folkmoot_server.web.parsing import Empty, Id, Strict, Text, Time, Zone, query_number, read


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
    agenda: Annotated[list[NewItem], Field(min_length=1, max_length=meetings.ITEMS_MAX)]
    quorum: Fraction
    challenge_days: Annotated[int, Field(ge=0, le=meetings.CHALLENGE_DAYS_MAX)] = meetings.CHALLENGE_DAYS


class Plain(Strict):
    """A command without fields."""

    command: Literal["convene", "begin-check-in", "open", "close", "raise-hand", "lower-hand", "mute-all", "leave"]


class About(Strict):
    """A command about a member."""

    command: Literal["grant-floor", "withdraw-floor", "mute", "unmute", "remove", "readmit"]
    member: Id


class StartItem(Strict):
    """The command that takes up an agenda item."""

    command: Literal["start-item"]
    item: Id


class SetFloorMode(Strict):
    """The command that chooses who may be heard."""

    command: Literal["set-floor-mode"]
    mode: Literal["open", "chaired"]


class Command(RootModel[Annotated[Plain | About | StartItem | SetFloorMode, Field(discriminator="command")]]):
    """POST /api/meetings/{m}/commands."""


_PLAIN: Final[dict[str, Callable[[Connection, str, str, int], int]]] = {
    "convene": meetings.convene,
    "begin-check-in": meetings.begin_check_in,
    "open": meetings.open_meeting,
    "close": meetings.close_meeting,
    "raise-hand": floor.raise_hand,
    "lower-hand": floor.lower_hand,
    "mute-all": floor.mute_all,
    "leave": attendance.leave,
}
_ABOUT: Final[dict[str, Callable[[Connection, str, str, str, int], int]]] = {
    "grant-floor": floor.grant_floor,
    "withdraw-floor": floor.withdraw_floor,
    "mute": floor.mute,
    "unmute": floor.unmute,
    "remove": floor.remove,
    "readmit": floor.readmit,
}


def run(tx: Connection, meeting: str, member: str, command: Command, now: int) -> int:
    """Carry out one command of `member` and return the seq of its last event.

    Raises:
        NotFound: no such meeting for this member.
        FolkmootError: as the command says.
    """
    readable(tx, meeting, member, now)
    wanted = command.root
    if isinstance(wanted, Plain):
        return _PLAIN[wanted.command](tx, meeting, member, now)
    if isinstance(wanted, About):
        return _ABOUT[wanted.command](tx, meeting, member, wanted.member, now)
    if isinstance(wanted, StartItem):
        return meetings.start_item(tx, meeting, member, wanted.item, now)
    return floor.set_mode(tx, meeting, member, FloorMode(wanted.mode), now)


async def list_meetings(request: web.Request) -> web.Response:
    """GET /api/meetings."""
    context, session = request.app[CONTEXT], current(request)
    view = await context.database.read(lambda tx: meeting_queries.meetings_view(tx, session.member_id, context.now()))
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
    )
    meeting = await context.database.write(
        lambda tx: meetings.draft(tx, session.member_id, wanted, now=context.now(), rng=context.rng)
    )
    return web.json_response({"id": meeting})


async def get_meeting(request: web.Request) -> web.Response:
    """GET /api/meetings/{m}."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    view = await context.database.read(
        lambda tx: meeting_queries.meeting_view(tx, meeting, session.member_id, context.now())
    )
    return web.json_response(view)


async def get_events(request: web.Request) -> web.Response:
    """GET /api/meetings/{m}/events?after=N."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    after = query_number(request, "after")
    view = await context.database.read(
        lambda tx: meeting_queries.events_view(tx, meeting, session.member_id, after, context.now())
    )
    return web.json_response(view)


async def command(request: web.Request) -> web.Response:
    """POST /api/meetings/{m}/commands."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    body = await read(request, Command)
    now = context.now()
    seq = await context.database.write(lambda tx: run(tx, meeting, session.member_id, body, now))
    await apply_to_room(context, meeting, body.root.model_dump(), session.member_id)
    return web.json_response({"seq": seq})


async def rehearse(request: web.Request) -> web.Response:
    """POST /api/meetings/{m}/rehearsal."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    await read(request, Empty)

    def write(tx: Connection) -> str:
        readable(tx, meeting, session.member_id, context.now())
        return rehearsals.rehearse(tx, meeting, session, context.now(), context.rng)

    return web.json_response({"id": await context.database.write(write)})


async def get_attendance(request: web.Request) -> web.Response:
    """GET /api/meetings/{m}/attendance."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    view: dict[str, Any] = await context.database.read(
        lambda tx: attendance_queries.attendance_view(tx, meeting, session.member_id, context.now())
    )
    return web.json_response(view)


async def get_attendance_file(request: web.Request) -> web.Response:
    """GET /api/meetings/{m}/attendance.csv."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
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
