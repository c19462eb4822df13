"""Socket.IO: tickets in, events and counters out, leases and media signalling in between."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

from aiohttp import web
from pydantic import Field, ValidationError
from socketio.exceptions import ConnectionRefusedError as Refusal
from sqlalchemy import Connection as Tx
from sqlalchemy.exc import OperationalError

from folkmoot_media.errors import MediaError
from folkmoot_server.domain.closed_sessions import CHANGES, Admission
from folkmoot_server.domain.errors import Conflict, FolkmootError, NotSignedIn, TooMany, WrongState
from folkmoot_server.domain.identity import SESSION_TOUCH_S, GuestSession, SessionInfo
from folkmoot_server.domain.ids import token_hash
from folkmoot_server.domain.relays import site_seat
from folkmoot_server.realtime import steady_clock, visiting
from folkmoot_server.realtime.absence import Absences
from folkmoot_server.realtime.closing import Closing, is_in
from folkmoot_server.realtime.connections import REFUSED_MAX, Bucket, Connection, News
from folkmoot_server.realtime.housekeeping import Housekeeping
from folkmoot_server.realtime.media_links import Audience, reaches
from folkmoot_server.realtime.packets import Server, Shared, SmallPacket
from folkmoot_server.realtime.publisher import Publisher, Told
from folkmoot_server.realtime.room import prepare_room, set_floor, set_heard
from folkmoot_server.storage import meetings, seats, sessions
from folkmoot_server.storage.database import StoreClosedError, StoreFailedError
from folkmoot_server.storage.events import StoredEvent
from folkmoot_server.web.parsing import Bytes32, Id, Strict

if TYPE_CHECKING:
    from folkmoot_server.web.context import Context

log = logging.getLogger("folkmoot.realtime")
# The library writes a traceback for every hostile packet; anybody could fill the disk with them.
quiet = logging.getLogger("folkmoot.socketio")
quiet.setLevel(logging.CRITICAL + 1)
MESSAGE_MAX: Final = 65_536
PING_EVERY_S: Final = 10
PING_ANSWER_S: Final = 20
PER_MEMBER_MAX: Final = 5
QUEUE_MAX: Final = 400
SLOW_S: Final = 10.0
COUNTER_EVERY_S: Final = 1.0
MEDIA_QUEUE_MAX: Final = 20_000
GOODBYE_S: Final = 1.0
CONNECTED_TRIES: Final = 400
REFUSED_S: Final = 0.5
TOO_SLOW: Final = ("socket.too-slow", "The connection is too slow; please resume.")

Answer = dict[str, Any]


class ConnectAuth(Strict):
    """What a client sends with its CONNECT."""

    ticket: Bytes32
    after: Annotated[int, Field(ge=0, le=2**53)]


class LeaseMessage(Strict):
    """`lease`: with `site` it is that of a hall's page."""

    site: Id | None = None


class MediaMessage(Strict):
    """`media`: a method of media_control.md and its data."""

    method: Annotated[str, Field(pattern=r"^[a-z_]{1,64}$")]
    data: dict[str, Any]


def _error(code: str, message: str) -> Answer:
    return {"error": {"code": code, "message": message}}


class Realtime:
    """The sockets of one installation."""

    def __init__(self, context: Context) -> None:
        """Serve `context`; call `attach` before the application starts and `start` when it runs."""
        self._context = context
        self._sio = Server(
            async_mode="aiohttp",
            transports=["websocket"],
            cors_allowed_origins=list(context.settings.origins),
            max_http_buffer_size=MESSAGE_MAX,
            serializer=SmallPacket,
            ping_interval=PING_EVERY_S,
            ping_timeout=PING_ANSWER_S,
            logger=quiet,
            engineio_logger=quiet,
        )
        self._sio.on("connect", self._on_connect)
        self._sio.on("disconnect", self._on_disconnect)
        self._sio.on("lease", self._on_lease)
        self._sio.on("media", self._on_media)
        self._sio.on("*", self._on_other)
        self._connections: dict[str, Connection] = {}
        self._speaking: dict[tuple[str, str], str] = {}  # who uses the room: (meeting, member) -> sid
        self._absences = Absences(lambda *seat: context.media.leave(*seat))
        self.closing = Closing(context, self._at, self._leave_room, lambda seat: self._absences.go(seat, ""))
        self._prepared: set[str] = set()
        self._counts: dict[tuple[str, str], tuple[int, Admission | None]] = {}
        self._publisher = Publisher(context.database, self._react, self._deliver)
        self._media_out: asyncio.Queue[tuple[str, Audience, dict[str, Any]]] = asyncio.Queue(MEDIA_QUEUE_MAX)
        self._tasks: set[asyncio.Task[None]] = set()
        self._housekeeping = Housekeeping(context, self)
        self._closed = False

    def attach(self, app: web.Application) -> None:
        """Add /socket.io/ to the application."""
        self._sio.attach(app)

    async def start(self) -> None:
        """Begin to publish and to watch leases, sessions and silent sockets."""
        await self._publisher.start()
        self._spawn(self._send_media())
        await self._housekeeping.start()

    async def close(self) -> None:
        """Say goodbye to everyone and stop; closing again does nothing."""
        if self._closed:
            return
        self._closed = True
        await self._housekeeping.close()
        await self._publisher.close()
        await self._absences.close()
        goodbye = ("server.stopping", "The server is stopping; you will be back soon.")
        await asyncio.gather(*(self.dismiss(one, *goodbye) for one in list(self._connections.values())))
        await asyncio.gather(*(self.abort(eio_sid) for eio_sid in list(self._sio.eio.sockets)))
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._sio.shutdown()

    def notify_media(self, room: str, owner: Audience, event: str, data: dict[str, Any]) -> None:
        """Tell everyone who uses the room, or some there, what media signalling says; in order."""
        try:
            self._media_out.put_nowait((room, owner, {"event": event, "data": data}))
        except asyncio.QueueFull:
            log.error("realtime.media-queue-full")

    @property
    def connections(self) -> list[Connection]:
        """The accepted sockets."""
        return list(self._connections.values())

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- coming and going ---------------------------------------------------------------------------------------

    async def _on_connect(self, sid: str, _environ: dict[str, Any], auth: object = None) -> None:
        eio_sid = self._sio.manager.eio_sid_from_sid(sid, "/")
        try:
            wanted = ConnectAuth.model_validate(auth)
            await self._context.database.read(lambda tx: self._known(tx, wanted))
            session, meeting, place = await self._context.database.write(lambda tx: self._admit(tx, wanted))
        except Exception as error:  # the edge: whatever happens, the client gets an answer and nothing else
            self._spawn(self.abort(eio_sid, after_s=REFUSED_S))
            raise self._refusal(error) from error
        line = self._sio.line(eio_sid)
        if line is None:  # gone meanwhile
            raise Refusal("This connection has ended.", {"code": "session.none"})
        connection = Connection(
            sid, eio_sid, line, session, meeting, place[0], Bucket(time.monotonic()), self._context.now(), place[1]
        )
        await self._make_place(connection)
        self._connections[sid] = connection
        connection.pump = asyncio.create_task(self._pump(connection))

    @staticmethod
    def _refusal(error: Exception) -> Refusal:
        if isinstance(error, FolkmootError):
            return Refusal(error.message, {"code": error.code})
        if isinstance(error, ValidationError):
            return Refusal("The connection needs a ticket.", {"code": "input.malformed"})
        if isinstance(error, StoreClosedError):
            return Refusal("The server is stopping.", {"code": "server.stopping"})
        log.error("realtime.accident kind=%s", type(error).__name__)
        return Refusal("Something went wrong here.", {"code": "server.accident"})

    @staticmethod
    def _known(tx: Tx, wanted: ConnectAuth) -> None:
        """Refuse a made-up ticket without bothering the writer."""
        if not sessions.has_ticket(tx, token_hash(wanted.ticket)):
            raise NotSignedIn("socket.bad-ticket", "The ticket is unknown, used or too old; ask for another.")

    def _admit(self, tx: Tx, wanted: ConnectAuth) -> tuple[SessionInfo | GuestSession, str, visiting.Place]:
        now = self._context.now()
        ticket = sessions.take_ticket(tx, token_hash(wanted.ticket))
        if ticket is None or ticket.expires_at <= now:
            raise NotSignedIn("socket.bad-ticket", "The ticket is unknown, used or too old; ask for another.")
        session, meeting = visiting.admit(tx, ticket.session, ticket.meeting, wanted.after, now)
        return session, meeting, visiting.place(tx, session, meeting, wanted.after, now)

    async def _make_place(self, newcomer: Connection) -> None:
        same = [c for c in self._connections.values() if (c.member, c.meeting) == (newcomer.member, newcomer.meeting)]
        for connection in same[: max(0, len(same) - PER_MEMBER_MAX + 1)]:
            await self.dismiss(connection, "socket.too-many", "You have this meeting open too many times.")

    async def _on_disconnect(self, sid: str, reason: str = "") -> None:
        connection = self._connections.pop(sid, None)
        if connection is None:
            return
        if connection.pump is not None and connection.pump is not asyncio.current_task():
            connection.pump.cancel()
        if not any(other.meeting == connection.meeting for other in self._connections.values()):
            self._publisher.forget(connection.meeting)
        await self._leave_room(connection, "" if self._closed or connection.visits or connection.guest else reason)

    async def dismiss(self, connection: Connection, code: str, message: str) -> None:
        """Say goodbye and end the connection, whether the client answers or not."""
        with contextlib.suppress(Exception):  # the socket may be half gone; what counts is that it ends below
            async with asyncio.timeout(GOODBYE_S):
                await self._sio.emit("goodbye", {"code": code, "message": message}, to=connection.sid)
                await self._sio.disconnect(connection.sid)
        await self._on_disconnect(connection.sid)
        self._spawn(self.abort(connection.eio_sid))

    async def abort(self, eio_sid: str, after_s: float = 0.0) -> None:
        """End an engine.io session, after a moment for what is still to be sent."""
        await asyncio.sleep(after_s)
        engine_socket = self._sio.eio.sockets.get(eio_sid)
        if engine_socket is None:
            return
        request = self._sio.environ.get(eio_sid, {}).get("aiohttp.request")
        engine_socket.queue.put_nowait(None)  # lets its writer finish and close the WebSocket
        await asyncio.sleep(GOODBYE_S)
        if eio_sid in self._sio.eio.sockets and request is not None and request.transport is not None:
            request.transport.abort()

    def engine_sessions(self) -> dict[str, bool]:
        """Return every engine.io session, and whether it has an accepted Socket.IO connection."""
        accepted = {connection.eio_sid for connection in self._connections.values()}
        return {eio_sid: eio_sid in accepted for eio_sid in list(self._sio.eio.sockets)}

    # -- out: events and counters -------------------------------------------------------------------------------

    async def _pump(self, connection: Connection) -> None:
        """Send one connection every event after its cursor, in order, at its own pace."""
        for _ in range(CONNECTED_TRIES):  # the library accepts the connection only after our handler has returned
            if self._sio.manager.is_connected(connection.sid, "/"):
                break
            await asyncio.sleep(0.005)
        connection.following = True
        try:
            while True:
                connection.wake.clear()
                page = await self._publisher.after(connection.meeting, connection.cursor)
                for told in page:
                    if told.seq <= connection.cursor:
                        continue  # sent while this one waited
                    if not await self._room_to_send(connection):
                        await self.dismiss(connection, *TOO_SLOW)
                        return
                    connection.follow(News([told]), QUEUE_MAX)
                if connection.farewell is not None and not page:
                    await self.dismiss(connection, *connection.farewell)
                    return
                if not page:
                    await connection.wake.wait()
        except StoreClosedError:
            return

    @staticmethod
    async def _room_to_send(connection: Connection) -> bool:
        """Wait while a slow client's queue is full; return False when it stays so."""
        deadline = time.monotonic() + SLOW_S
        while True:
            if connection.unread < QUEUE_MAX:
                return True
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.05)

    async def _react(self, event: StoredEvent) -> None:
        """Follow a new event: media, farewells, counters."""
        member = event.body.get("member", "")
        if event.type == "MemberDeparted":
            self._spawn(self._depart(event.meeting, member))
        if event.type == "MemberRemoved":
            for connection in self._at(event.meeting):
                if connection.member == member:
                    connection.farewell = ("meeting.removed", "The chair has removed you from this meeting.")
                    connection.wake.set()
        if event.type in visiting.LEAVING | visiting.SPEAKING:
            self._spawn(self._follow_visitor(event))
        if visiting.places_chair(event):
            self._spawn(self._set_floor(event.meeting))
        if event.type in CHANGES:
            self._spawn(self.closing.follow(event.meeting))
        if event.type == "RelayRevoked":
            self._spawn(self._context.media.sites.leave(event.meeting, site_seat(event.body["site"])))
        if event.type == "BallotAccepted":
            self._count(event.meeting, event.body["election"], event.body["count"], event.closed)

    def _at(self, meeting: str) -> list[Connection]:
        return [connection for connection in self._connections.values() if connection.meeting == meeting]

    def _deliver(self, meeting: str, told: list[Told]) -> None:
        """Send new events of a meeting to everybody who has all before them, and wake the others."""
        news = News(told)
        for connection in self._at(meeting):
            connection.follow(news, QUEUE_MAX)

    async def _depart(self, meeting: str, member: str) -> None:
        seat = await self._context.database.read(lambda tx: seats.find(tx, meeting, member))
        gone = seat is None or not seat.present  # or back already, perhaps elsewhere
        for connection in list(self._connections.values()):
            if gone and (connection.meeting, connection.seat) == (meeting, member):
                await self._leave_room(connection)
        await self._set_floor(meeting)

    async def _set_floor(self, meeting: str) -> None:
        with contextlib.suppress(MediaError):  # the room takes the floor over when its worker is back
            if meeting in self._prepared or self._context.media.sites.names(meeting):
                await set_floor(self._context, meeting)

    async def _follow_visitor(self, event: StoredEvent) -> None:
        """Hear a visitor with the floor and not without it; let go of one who left or was removed."""
        person = event.body.get("visitor", event.body.get("member", ""))
        for connection in self._at(event.meeting):
            if not (connection.visits or connection.guest) or person not in ("", connection.member):
                continue
            if event.type in visiting.LEAVING:
                await self._leave_room(connection)
                if event.type == "VisitorRemoved":
                    await self.dismiss(connection, "meeting.removed", "The chair has removed you from this meeting.")
            elif connection.in_room:
                with contextlib.suppress(MediaError):  # the room takes it over when its worker is back
                    await visiting.follow_floor(self._context, self.notify_media, event, connection.member)

    def _count(self, meeting: str, election: str, cast: int, closed: Admission | None) -> None:
        """Keep the newest count; a key in the table means that a sender runs for it."""
        key = (meeting, election)
        running = key in self._counts
        self._counts[key] = (cast, closed)
        if not running:
            self._spawn(self._send_count(meeting, election))

    async def _send_count(self, meeting: str, election: str) -> None:
        key = (meeting, election)
        sent: tuple[int, Admission | None] = (-1, None)
        try:
            while self._counts[key] != sent:
                cast, closed = sent = self._counts[key]
                packet = Shared("counter", {"election": election, "cast": cast})
                for connection in self._at(meeting):
                    if connection.following and connection.unread < QUEUE_MAX and is_in(connection, closed):
                        connection.tell(packet)
                await asyncio.sleep(COUNTER_EVERY_S)
        finally:
            del self._counts[key]

    async def _send_media(self) -> None:
        while True:
            room, owner, message = await self._media_out.get()
            packet = Shared("media", message)
            for (meeting, member), sid in list(self._speaking.items()):
                connection = self._connections.get(sid)
                if meeting != room or not reaches(owner, member) or connection is None:
                    continue
                if connection.unread < 2 * QUEUE_MAX:
                    connection.tell(packet)
                else:  # a page that misses one of these shows a wrong room: it begins anew
                    self._spawn(self.dismiss(connection, *TOO_SLOW))
            await asyncio.sleep(0)  # others have their turn between messages to everybody

    # -- in: leases and media -----------------------------------------------------------------------------------

    async def _answer(self, sid: str, run: Callable[[Connection], Awaitable[Answer]]) -> Answer:
        """Answer one message; every refusal becomes an acknowledgement with a code."""
        connection = self._connections.get(sid)
        if connection is None:
            return _error("session.none", "This connection has ended.")
        try:
            if not connection.bucket.take(time.monotonic()):
                if connection.bucket.refused > REFUSED_MAX:
                    self._spawn(self.dismiss(connection, "socket.too-fast", "Too many messages."))
                raise TooMany("socket.too-fast", "Too many messages; slow down.")
            if connection.unread >= QUEUE_MAX:  # asks and never reads the answers
                self._spawn(self.dismiss(connection, *TOO_SLOW))
                raise TooMany(*TOO_SLOW)
            return {"ok": await run(connection)}
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])[:80] or "message"
            return _error("input.malformed", f"The field {place} is not as it should be.")
        except (FolkmootError, MediaError) as error:
            return _error(error.code, error.message)
        except StoreClosedError:
            return _error("server.stopping", "The server is stopping; try again soon.")
        except queue.Full:
            return _error("server.busy", "The server is busy; try again in a moment.")
        except (StoreFailedError, OperationalError) as error:
            log.error("realtime.storage-failed kind=%s", type(error).__name__)
            return _error("server.storage", "The server cannot store anything now; perhaps its disk is full.")
        except Exception as error:  # the edge: a bug must not end the connection, nor tell its details
            log.error("realtime.accident kind=%s", type(error).__name__)
            return _error("server.accident", "Something went wrong here.")

    async def _on_other(self, _event: str, sid: str, *_data: object) -> Answer:
        async def refuse(_connection: Connection) -> Answer:
            raise WrongState("socket.unknown-event", "There is no such message.")

        return await self._answer(sid, refuse)

    async def _on_lease(self, sid: str, *data: object) -> Answer:
        async def run(connection: Connection) -> Answer:
            site = LeaseMessage.model_validate(data[0] if len(data) == 1 else None).site or ""
            async with connection.lease_lock:
                self._free_lease(connection)
                connection.epoch, seq = await self._context.database.write(
                    lambda tx: self._lease(tx, connection, site)
                )
            if site not in ("", connection.site):
                async with connection.room_lock:  # from now on the room is the hall's
                    begun = connection.in_room
                    await self._leave_room(connection)
                    connection.site = site
                if begun:  # as somebody else: the page begins anew
                    connection.tell(Shared("media", {"event": "room_reset", "data": {}}))
            return {"epoch": connection.epoch or 0, "seq": seq}

        return await self._answer(sid, run)

    def _free_lease(self, connection: Connection) -> None:
        """Let an older connection take a new lease when no newer one of the member is left (a closed second tab)."""
        epoch = connection.epoch
        newer = any(
            other.epoch is not None and epoch is not None and other.epoch > epoch
            for other in self._connections.values()
            if (other.member, other.meeting) == (connection.member, connection.meeting)
        )
        if connection.superseded_lease and not newer:
            connection.epoch, connection.superseded_lease = None, False

    def _lease(self, tx: Tx, connection: Connection, site: str) -> tuple[int | None, int]:
        now, ms = steady_clock.split(self._context.now)
        epoch = visiting.lease_of(tx, connection, site, now, ms)
        if now - connection.touched_at >= SESSION_TOUCH_S:  # being in a meeting keeps the session alive
            visiting.touch(tx, connection.session, now)
            connection.touched_at = now
        return epoch, meetings.get(tx, connection.meeting).last_seq

    async def _on_media(self, sid: str, *data: object) -> Answer:
        async def run(connection: Connection) -> Answer:
            message = MediaMessage.model_validate(data[0] if len(data) == 1 else None)
            async with connection.room_lock:
                if not connection.in_room:
                    await self._enter_room(connection)
            if connection.visits:
                await self._context.database.read(lambda tx: visiting.check_sending(tx, connection, message))
            return await self._context.media.handle(connection.meeting, connection.seat, message.method, message.data)

        return await self._answer(sid, run)

    async def _enter_room(self, connection: Connection) -> None:
        if connection.superseded and (connection.meeting, connection.seat) in self._speaking:
            raise Conflict("media.elsewhere", "You use this room on a newer connection.")
        now = self._context.now()
        leads, hall = await self._context.database.read(lambda tx: visiting.may_enter(tx, connection, now))
        meeting, member = connection.meeting, connection.seat
        if meeting not in self._prepared:
            await prepare_room(self._context, meeting)
            self._prepared.add(meeting)
        elif leads or not self._context.media.sites.knows(meeting, hall, member):  # perhaps made chair, or back
            await set_floor(self._context, meeting)
        self._absences.back((meeting, member))
        await self._context.media.join(meeting, member, resume=True)
        before = self._connections.get(self._speaking.get((meeting, member), ""))
        if before is not None and before is not connection:
            before.in_room, before.superseded = False, True
        self._speaking[(meeting, member)] = connection.sid
        connection.in_room, connection.superseded = True, False
        if connection.visits:
            await set_heard(self._context, meeting, member)
        if connection.sid not in self._connections:  # it went away meanwhile
            await self._leave_room(connection)

    async def _leave_room(self, connection: Connection, reason: str = "") -> None:
        key = (connection.meeting, connection.seat)
        connection.in_room = False
        if self._speaking.get(key) != connection.sid:
            return  # a newer connection of the member has taken over
        del self._speaking[key]
        await self._absences.go(key, reason)
