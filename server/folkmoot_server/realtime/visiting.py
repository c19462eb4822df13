"""What a socket of a visitor may do: follow a meeting once admitted, hear and see, and be heard with the floor."""

from __future__ import annotations

from typing import Final, Protocol

from sqlalchemy import Connection as Tx

from folkmoot_server.commands import attendance, closed_sessions, guests, rights, sites, visitors
from folkmoot_server.domain.attendance import REMOTE
from folkmoot_server.domain.audience import Listener
from folkmoot_server.domain.errors import Conflict, Forbidden, NotSignedIn, WrongState
from folkmoot_server.domain.identity import GuestSession, SessionInfo
from folkmoot_server.domain.meetings import ROOM_STATES
from folkmoot_server.domain.relays import site_seat
from folkmoot_server.domain.roles import Action
from folkmoot_server.domain.visitors import State
from folkmoot_server.queries.access import readable
from folkmoot_server.realtime.connections import Connection
from folkmoot_server.realtime.media_links import Notify
from folkmoot_server.realtime.room import set_heard
from folkmoot_server.storage import kiosk, meetings, seats, sessions
from folkmoot_server.storage import visitors as store
from folkmoot_server.storage.events import StoredEvent
from folkmoot_server.web.context import Context

Place = tuple[int, Listener]
# Media methods with which somebody begins to be heard or seen.
SENDING: Final = frozenset({"produce", "resume_producer"})
LEAVING: Final = frozenset({"VisitorLeft", "VisitorRemoved"})
PRESIDING: Final = frozenset({"ChairTaken", "ChairHandedOver", "DeputyPresides", "ChairResumed"})
SPEAKING: Final = frozenset({"FloorGranted", "FloorWithdrawn", "TurnPaused", "TurnResumed"})


def admit(
    tx: Tx, session_hash: bytes, meeting_id: str, after: int, now: int
) -> tuple[SessionInfo | GuestSession, str]:
    """Return the session behind a ticket and its meeting.

    Raises:
        NotSignedIn, NotFound, Forbidden: no live session, no such meeting for it, removed, or a guest not admitted.
        Conflict: there is no event of this number yet.
    """
    session = sessions.get(tx, session_hash) or store.session(tx, session_hash)
    if session is None or not session.live(now):
        raise NotSignedIn("session.none", "Please sign in.")
    if isinstance(session, GuestSession):
        guests.require_follow(tx, session, meeting_id)
        meeting = meetings.get(tx, meeting_id)
    else:
        meeting = readable(tx, meeting_id, session.member_id, now)
    seat = seats.find(tx, meeting.id, session.person)
    if seat is not None and seat.removed:
        raise Forbidden("meeting.removed", "The chair has removed you from this meeting.")
    if after > meeting.last_seq:
        raise Conflict("socket.unknown-number", "There is no event of this number yet; load the meeting again.")
    return session, meeting.id


def place(tx: Tx, session: SessionInfo | GuestSession, meeting: str, after: int, now: int) -> Place:
    """Return after which number the session hears events, a guest none from before the admission, and as whom."""
    listener = closed_sessions.listener(tx, meetings.get(tx, meeting), session, now)
    if isinstance(session, SessionInfo):
        return after, listener
    return max(after, guests.require_follow(tx, session, session.meeting) - 1), listener


def is_visitor(tx: Tx, meeting: str, person: str) -> bool:
    """Say whether somebody is in a meeting as a visitor, or was lost as one."""
    visitor = store.find(tx, meeting, person)
    return visitor is not None and (visitor.state is State.ADMITTED or visitor.back == State.ADMITTED)


def lease(tx: Tx, meeting: str, person: str, epoch: int | None, now: int) -> int:
    """Take or renew the lease of a member or a visitor and return its epoch; a visitor's counts for nothing.

    Raises:
        FolkmootError: as commands.attendance says.
    """
    visitor = store.find(tx, meeting, person)
    if visitor is not None and (visitor.here or visitor.back):
        visitors.renew(tx, meeting, person, now)
        return epoch or 1
    if epoch is None:
        return attendance.take_lease(tx, meeting, person, now)
    attendance.renew(tx, meeting, person, epoch, now)
    return epoch


def lease_of(tx: Tx, connection: Connection, site: str, now: int, ms: int) -> int | None:
    """Take or renew the lease of whoever is at a socket, and of the hall whose page it says it is; return the epoch.

    The hall's counts by itself: its custodian may be in the meeting on another device, or not be checked in at all.
    `ms` are the milliseconds that `now` leaves out.

    Raises:
        FolkmootError: as commands.sites and commands.attendance say.
    """
    if site:
        sites.lease(tx, connection.meeting, site, connection.member, now, ms)
    try:
        return lease(tx, connection.meeting, connection.member, connection.epoch, now)
    except Conflict:
        connection.superseded_lease = True
        if not site:
            raise
    except (Forbidden, WrongState):
        if not site:
            raise
    return connection.epoch


def may_enter(tx: Tx, connection: Connection, now: int) -> tuple[bool, str]:
    """Let a member, a visitor or a hall use the room; return whether they lead the meeting, and the hall's own seat
    if they sit in a hall.

    Raises:
        Forbidden, WrongState: they may not use it, or are outside of a closed session.
    """
    meeting = meetings.get(tx, connection.meeting)
    if meeting.state not in ROOM_STATES:
        raise WrongState("meeting.wrong-state", "The meeting is not in session.")
    if connection.site:
        sites.require_custodian(tx, meeting.id, connection.site, connection.member)
        closed_sessions.require_hall_inside(tx, meeting.id, connection.site)
        return False, ""
    closed_sessions.require_inside(tx, meeting.id, connection.session, now)
    seat = seats.find(tx, meeting.id, connection.member)
    connection.visits = is_visitor(tx, meeting.id, connection.member)
    if not connection.visits and (seat is None or not seat.present or seat.removed):
        raise Forbidden("media.not-checked-in", "Only members who have checked in may use the room.")
    hall = site_seat(seat.site) if seat is not None and seat.site != REMOTE else ""
    return rights.allowed(tx, connection.member, Action.LEAD_MEETING, meeting.unit, now), hall


class Message(Protocol):
    """What a page says about media."""

    @property
    def method(self) -> str:
        """A method of media_control.md."""


def places_chair(event: StoredEvent) -> bool:
    """Say whether an event may have put who presides into another hall, whose microphone is then the chair's."""
    arrives = event.type == "MemberCheckedIn" and event.body["site"] != REMOTE
    return arrives or event.type in PRESIDING or event.type == "SeatMoved"


def check_sending(tx: Tx, connection: Connection, message: Message) -> None:
    """Refuse a visitor who begins to send without the floor, or is not in the meeting any more.

    Raises:
        Forbidden: it is so.
    """
    meeting, person = connection.meeting, connection.member
    if not is_visitor(tx, meeting, person):
        raise Forbidden("lobby.not-admitted", "The chair has not admitted you to this meeting.")
    if message.method in SENDING and not visitors.has_floor(tx, meeting, person):
        raise Forbidden("media.no-floor", "Visitors are heard and seen while they have the floor.")


async def follow_floor(context: Context, tell: Notify, event: StoredEvent, person: str) -> None:
    """Hear a visitor with the floor; when it is withdrawn close whatever they sent, and let their page begin anew.

    Raises:
        MediaError: the worker did not take it.
    """
    if event.type == "FloorWithdrawn" and event.body["member"] == person:
        await context.media.join(event.meeting, person)
        tell(event.meeting, person, "room_reset", {})
    await set_heard(context, event.meeting, person)


def live(tx: Tx, hashes: set[bytes], now: int) -> frozenset[bytes]:
    """Return those of `hashes` whose sessions still stand, members' and guests'."""
    return sessions.live(tx, hashes, now) | store.live(tx, hashes, now)


def touch(tx: Tx, session: SessionInfo | GuestSession, now: int) -> None:
    """Keep a session alive that is in a meeting."""
    keep = sessions.touch if isinstance(session, SessionInfo) else store.touch
    keep(tx, [session.session_hash], now)


def listener(tx: Tx, connection: Connection, now: int) -> Listener | None:
    """Return as whom a socket goes on hearing of its meeting, or None when it may not any more."""
    session, meeting = connection.session, meetings.get(tx, connection.meeting)
    if isinstance(session, GuestSession):
        may = guests.may_follow(tx, session)
    else:
        may = rights.may_read(tx, session.member_id, meeting.unit, now)
    return closed_sessions.listener(tx, meeting, session, now) if may else None


def sweep(tx: Tx, now: int) -> None:
    """Delete sessions, nonces and tickets that have ended."""
    sessions.sweep(tx, now)
    kiosk.sweep(tx, now)
    store.sweep(tx, now)
