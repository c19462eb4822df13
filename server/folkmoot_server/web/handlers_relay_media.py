"""HTTP: the pipe between a hall's relay and its hub, and what each tells the other of producers (relay.md)."""

from __future__ import annotations

from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import Field
from sqlalchemy import Connection

from folkmoot_media.errors import MediaError
from folkmoot_media.rtp_parameters import FingerprintModel
from folkmoot_media.rtp_parameters import Id as MediaId
from folkmoot_server.domain.errors import Conflict, FolkmootError, Forbidden, WrongState
from folkmoot_server.domain.meetings import ROOM_STATES
from folkmoot_server.domain.relays import Session, pipe_hash, site_seat
from folkmoot_server.realtime.room import prepare_room
from folkmoot_server.storage import meetings, seats
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.parsing import Bytes, Strict, read
from folkmoot_server.web.relay_access import relay_session
from folkmoot_voting import signing

WAIT_MAX: Final = 25
ONCE_MAX: Final = 100


class PipeBody(Strict):
    """POST /api/relay/pipe."""

    fingerprints: Annotated[list[FingerprintModel], Field(min_length=1, max_length=8)]
    sig: Annotated[Bytes, Field(min_length=64, max_length=64)]


class MediaBody(Strict):
    """POST /api/relay/media."""

    pipe: MediaId
    offers: Annotated[list[dict[str, Any]], Field(max_length=ONCE_MAX)]
    withdrawn: Annotated[list[MediaId], Field(max_length=ONCE_MAX)]
    heard: Annotated[int, Field(ge=0, le=2**53)] | None
    wait: Annotated[int, Field(ge=0, le=WAIT_MAX)]


async def open_pipe(request: web.Request) -> web.Response:
    """POST /api/relay/pipe: answer the pipe that a relay will dial."""
    context, session = request.app[CONTEXT], await relay_session(request)
    body = await read(request, PipeBody)
    fingerprints = [one.model_dump() for one in body.fingerprints]
    signed = pipe_hash(session.relay, session.epoch, fingerprints)
    if not signing.is_valid(session.key, signed, body.sig):
        raise Forbidden("relay.pipe", "The relay's key has not signed this certificate.")
    await context.database.read(lambda tx: _in_session(tx, session))
    try:
        await prepare_room(context, session.meeting)
        answer = await context.media.sites.answer(
            session.meeting, site_seat(session.site), {"fingerprints": fingerprints}
        )
    except MediaError as error:
        raise Conflict(error.code, error.message) from error
    try:
        await relay_session(request)
    except FolkmootError:  # it was revoked while the pipe was made
        await context.media.sites.leave(session.meeting, site_seat(session.site))
        raise
    return web.json_response(
        {
            "pipe": answer["pipe_id"],
            "dtlsParameters": answer["dtlsParameters"],
            "iceParameters": answer["iceParameters"],
            "iceCandidates": answer["iceCandidates"],
        }
    )


def _in_session(tx: Connection, session: Session) -> None:
    if meetings.get(tx, session.meeting).state not in ROOM_STATES:
        raise WrongState("meeting.wrong-state", "The meeting is not in session.")


async def exchange(request: web.Request) -> web.Response:
    """POST /api/relay/media: what the relay has to tell; the answer is what the hub has, within `wait`."""
    context, session = request.app[CONTEXT], await relay_session(request)
    body, name = await read(request, MediaBody), site_seat(session.site)
    allowed = await context.database.read(lambda tx: _owners(tx, session))
    try:
        room, site = context.media.sites.standing(session.meeting, name, body.pipe)
        refused = await context.media.sites.hear(room, site, body.offers, body.withdrawn, allowed)
        news = {} if body.heard is None else await site.telling.news(body.heard, body.wait)
        context.media.sites.standing(session.meeting, name, body.pipe)  # else another has taken its place
    except MediaError as error:
        raise Conflict(error.code, error.message) from error
    return web.json_response({**news, "refused": refused})


def _owners(tx: Connection, session: Session) -> frozenset[str]:
    """Return whose producers a relay may bring: the hall's own, and of members who are present there."""
    there = [seat.member for seat in seats.present(tx, session.meeting) if seat.site == session.site]
    return frozenset({site_seat(session.site), *there})


ROUTES: Final = (
    web.post("/api/relay/pipe", open_pipe),
    web.post("/api/relay/media", exchange),
)
