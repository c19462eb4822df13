"""The relay's own Socket.IO end for the phones of its hall (wire.md, "Socket.IO"): one feed in, events out to all."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from aiohttp import web
from pydantic import ValidationError
from socketio.exceptions import ConnectionRefusedError as Refusal

from folkmoot_media.errors import MediaError
from folkmoot_server.domain.errors import Conflict, FolkmootError, NotSignedIn, TooMany, WrongState
from folkmoot_server.domain.ids import b64u, token_hash
from folkmoot_server.realtime.connections import REFUSED_MAX, Bucket
from folkmoot_server.realtime.media_links import Audience as Reached
from folkmoot_server.realtime.media_links import reaches
from folkmoot_server.realtime.packets import Line, Server, Shared, SmallPacket
from folkmoot_server.realtime.sockets import (
    COUNTER_EVERY_S,
    GOODBYE_S,
    MESSAGE_MAX,
    PER_MEMBER_MAX,
    PING_ANSWER_S,
    PING_EVERY_S,
    QUEUE_MAX,
    SLOW_S,
    TOO_SLOW,
    ConnectAuth,
    LeaseMessage,
    MediaMessage,
    quiet,
)
from folkmoot_server.relay import people
from folkmoot_server.relay.hub import HubSilentError
from folkmoot_server.relay.node import Node, Told
from folkmoot_server.relay.people import HallSession
from folkmoot_server.storage.database import StoreClosedError

log = logging.getLogger("folkmoot.relay.sockets")
TICKET_S: Final = 60.0
TICKETS_MAX: Final = 4096
LEASE_S: Final = 45.0
TICK_S: Final = 1.0
SESSIONS_EVERY: Final = 5  # ticks
ASK_EVERY: Final = 300
CONNECT_S: Final = 10.0
CONNECTED_TRIES: Final = 400

Answer = dict[str, Any]


class HallMedia(Protocol):
    """Sound and picture in the hall: what the phones' `media` messages ask; each raises MediaError."""

    async def join(self, room_id: str, owner: str) -> None:
        """Let a member use the room."""

    async def handle(self, room_id: str, owner: str, method: str, data: object) -> dict[str, Any]:
        """Answer one method of media_control.md."""

    async def leave(self, room_id: str, owner: str) -> None:
        """End everything of a member."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who may follow; the session's cookie stays in memory, to ask the hub whether the session still stands."""

    session: HallSession
    cookie: str = field(repr=False)


@dataclass(slots=True, eq=False)
class Phone:
    """One accepted socket; `cursor` is the number of the last event that it was sent."""

    sid: str
    eio_sid: str
    line: Line
    admitted: Admitted
    cursor: int
    bucket: Bucket
    following: bool = False
    leased_at: float = 0.0
    in_room: bool = False
    room_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    farewell: tuple[str, str] | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    pump: asyncio.Task[None] | None = None

    @property
    def session(self) -> HallSession:
        """Whose it is."""
        return self.admitted.session

    @property
    def member(self) -> str:
        """The member's id."""
        return self.session.member

    def tell(self, *packets: Shared) -> None:
        """Send messages in order."""
        self.line.tell(packets, b"".join(packet.frame for packet in packets))


class Tickets:
    """One-use tickets of a minute, in memory: a relay that was started again has no sockets to resume."""

    def __init__(self) -> None:
        self._open: dict[bytes, tuple[Admitted, float]] = {}

    def give(self, ticket: bytes, admitted: Admitted) -> str:
        """Remember a ticket of 32 random bytes and return it as text.

        Raises:
            TooMany: thousands are open.
        """
        now = time.monotonic()
        self._open = {digest: one for digest, one in self._open.items() if one[1] > now}
        if len(self._open) >= TICKETS_MAX:
            raise TooMany("request.too-many", "Too many connections at once; wait a moment.")
        self._open[token_hash(ticket)] = (admitted, now + TICKET_S)
        return b64u(ticket)

    def take(self, ticket: bytes) -> Admitted:
        """Spend a ticket.

        Raises:
            NotSignedIn: it is unknown, used or too old.
        """
        found = self._open.pop(token_hash(ticket), None)
        if found is None or found[1] <= time.monotonic():
            raise NotSignedIn("socket.bad-ticket", "The ticket is unknown, used or too old; ask for another.")
        return found[0]


class Sockets:
    """The sockets of one relay."""

    def __init__(self, node: Node) -> None:
        """Serve `node`; without `media` the hall's phones get no sound and picture."""
        self._node = node
        self.media: HallMedia | None = None
        self.tickets = Tickets()
        self.still: Callable[[str], Awaitable[None]] = _nobody_asks
        self._sio = Server(
            async_mode="aiohttp",
            transports=["websocket"],
            cors_allowed_origins=[node.identity.origin],
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
        self._phones: dict[str, Phone] = {}
        self._speaking: dict[str, str] = {}  # who uses the room: member -> sid
        self._counts: dict[str, int] = {}
        self._silent_since: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def attach(self, app: web.Application) -> None:
        """Add /socket.io/ to the application."""
        self._sio.attach(app)

    async def start(self) -> None:
        """Begin to hand on events and to watch sessions."""
        self._node.on_events, self._node.on_reset = self._deliver, self._begin_anew
        self._node.on_link = self._tell_cut
        self._spawn(self._watch())

    async def close(self) -> None:
        """Say goodbye to everyone and stop."""
        if self._closed:
            return
        self._closed = True
        for phone in list(self._phones.values()):
            await self.dismiss(phone, "server.stopping", "The relay is stopping; you will be back soon.")
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._sio.shutdown()

    def here(self) -> frozenset[str]:
        """Return the ids of members whose phones are connected and say so."""
        since = time.monotonic() - LEASE_S
        return frozenset(phone.member for phone in self._phones.values() if phone.leased_at > since)

    async def end(self, digest: bytes) -> None:
        """Say goodbye to every socket of a session that has ended."""
        for phone in list(self._phones.values()):
            if phone.session.token_hash == digest:
                await self.dismiss(phone, "session.ended", "Your session has ended; please sign in.")

    def notify_media(self, room: str, owner: Reached, event: str, data: dict[str, Any]) -> None:
        """Tell everybody who uses the room, or some there, what media signalling says."""
        packet = Shared("media", {"event": event, "data": data})
        for member, sid in list(self._speaking.items()):
            phone = self._phones.get(sid)
            if phone is None or room != self._node.identity.meeting or not reaches(owner, member):
                continue
            if phone.line.qsize() < 2 * QUEUE_MAX:
                phone.tell(packet)
            else:  # a page that misses one of these shows a wrong room: it begins anew
                self._spawn(self.dismiss(phone, *TOO_SLOW))

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- coming and going ---------------------------------------------------------------------------------------

    async def _on_connect(self, sid: str, _environ: dict[str, Any], auth: object = None) -> None:
        eio_sid = self._sio.manager.eio_sid_from_sid(sid, "/")
        line = self._sio.line(eio_sid)
        try:
            wanted = ConnectAuth.model_validate(auth)
            admitted = self.tickets.take(wanted.ticket)
            if wanted.after > self._node.cursor and self._node.link.cut:
                raise Conflict(
                    "socket.unknown-number", "There is no event of this number yet; load the meeting again."
                )
            if line is None:
                raise NotSignedIn("session.none", "This connection has ended.")
        except ValidationError as error:
            self._spawn(self._abort(eio_sid))
            raise Refusal("The connection needs a ticket.", {"code": "input.malformed"}) from error
        except FolkmootError as error:
            self._spawn(self._abort(eio_sid))
            raise Refusal(error.message, {"code": error.code}) from error
        phone = Phone(sid, eio_sid, line, admitted, wanted.after, Bucket(time.monotonic()))
        same = [one for one in self._phones.values() if one.member == phone.member]
        for old in same[: max(0, len(same) - PER_MEMBER_MAX + 1)]:
            await self.dismiss(old, "socket.too-many", "You have this meeting open too many times.")
        self._phones[sid] = phone
        phone.pump = asyncio.create_task(self._pump(phone))

    async def _on_disconnect(self, sid: str, _reason: str = "") -> None:
        phone = self._phones.pop(sid, None)
        if phone is None:
            return
        if phone.pump is not None and phone.pump is not asyncio.current_task():
            phone.pump.cancel()
        if self._speaking.get(phone.member) == sid:
            del self._speaking[phone.member]
            if self.media is not None:
                with contextlib.suppress(MediaError):  # a worker that is gone holds nothing of the member
                    await self.media.leave(self._node.identity.meeting, phone.member)

    async def dismiss(self, phone: Phone, code: str, message: str) -> None:
        """Say goodbye and end the connection, whether the phone answers or not."""
        with contextlib.suppress(Exception):  # the socket may be half gone; what counts is that it ends below
            async with asyncio.timeout(GOODBYE_S):
                await self._sio.emit("goodbye", {"code": code, "message": message}, to=phone.sid)
                await self._sio.disconnect(phone.sid)
        await self._on_disconnect(phone.sid)
        self._spawn(self._abort(phone.eio_sid))

    async def _abort(self, eio_sid: str) -> None:
        """End an engine.io session, after a moment for what is still to be sent."""
        await asyncio.sleep(GOODBYE_S)
        engine_socket = self._sio.eio.sockets.get(eio_sid)
        if engine_socket is None:
            return
        request = self._sio.environ.get(eio_sid, {}).get("aiohttp.request")
        engine_socket.queue.put_nowait(None)  # lets its writer finish and close the WebSocket
        await asyncio.sleep(GOODBYE_S)
        if eio_sid in self._sio.eio.sockets and request is not None and request.transport is not None:
            request.transport.abort()

    # -- out ----------------------------------------------------------------------------------------------------

    async def _pump(self, phone: Phone) -> None:
        """Send one phone every event after its cursor, in order, at its own pace."""
        for _ in range(CONNECTED_TRIES):  # the library accepts the connection only after our handler has returned
            if self._sio.manager.is_connected(phone.sid, "/"):
                break
            await asyncio.sleep(0.005)
        phone.following = True
        phone.tell(self._cut_packet())
        try:
            while True:
                phone.wake.clear()
                page = await self._node.after(phone.cursor)
                for told in page:
                    if told.seq != phone.cursor + 1:
                        continue
                    if not await self._room_to_send(phone):
                        await self.dismiss(phone, *TOO_SLOW)
                        return
                    phone.tell(told.packet)
                    phone.cursor = told.seq
                if page:
                    continue
                # What it misses is not kept: it begins anew.
                farewell = TOO_SLOW if phone.cursor < self._node.cursor else phone.farewell
                if farewell is not None:
                    await self.dismiss(phone, *farewell)
                    return
                await phone.wake.wait()
        except StoreClosedError:
            return

    @staticmethod
    async def _room_to_send(phone: Phone) -> bool:
        deadline = time.monotonic() + SLOW_S
        while phone.line.qsize() >= QUEUE_MAX:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.05)
        return True

    def _deliver(self, new: Sequence[Told]) -> None:
        """Wake the phones for new events; follow what concerns the sockets themselves."""
        for told in new:
            if told.type == "MemberRemoved":
                for phone in self._phones.values():
                    if phone.member == told.body["member"]:
                        phone.farewell = ("meeting.removed", "The chair has removed you from this meeting.")
            elif told.type == "BallotAccepted":
                self._count(told.body["election"], told.body["count"])
        for phone in self._phones.values():
            phone.wake.set()

    def _tell_cut(self) -> None:
        """Tell the phones that the link is cut, or back."""
        packet = self._cut_packet()
        for phone in self._phones.values():
            if phone.following and phone.line.qsize() < QUEUE_MAX:
                phone.tell(packet)

    def _cut_packet(self) -> Shared:
        link = self._node.link
        return Shared("cut", {"since": link.since if link.cut else 0})

    def _begin_anew(self) -> None:
        """Another snapshot than the one that events led to: phones find out what they miss."""
        for phone in list(self._phones.values()):
            if phone.cursor > self._node.cursor:
                self._spawn(self.dismiss(phone, *TOO_SLOW))
            phone.wake.set()

    def _count(self, election: str, cast: int) -> None:
        running = election in self._counts
        self._counts[election] = cast
        if not running:
            self._spawn(self._send_count(election))

    async def _send_count(self, election: str) -> None:
        sent = -1
        try:
            while self._counts[election] != sent:
                sent = self._counts[election]
                packet = Shared("counter", {"election": election, "cast": sent})
                for phone in self._phones.values():
                    if phone.following and phone.line.qsize() < QUEUE_MAX:
                        phone.tell(packet)
                await asyncio.sleep(COUNTER_EVERY_S)
        finally:
            del self._counts[election]

    async def _watch(self) -> None:
        """End silent connections, and sockets whose session has ended."""
        ticks = 0
        while True:
            await asyncio.sleep(TICK_S)
            ticks += 1
            now = time.monotonic()
            accepted = {phone.eio_sid for phone in self._phones.values()}
            silent = [eio_sid for eio_sid in list(self._sio.eio.sockets) if eio_sid not in accepted]
            self._silent_since = {eio_sid: self._silent_since.get(eio_sid, now) for eio_sid in silent}
            for eio_sid, since in self._silent_since.items():
                if now - since >= CONNECT_S:
                    await self._abort(eio_sid)
            if ticks % SESSIONS_EVERY == 0:
                with contextlib.suppress(StoreClosedError):
                    await self._end_sessions()
            if ticks % ASK_EVERY == 0:
                with contextlib.suppress(StoreClosedError):
                    await self._ask_sessions()

    async def _ask_sessions(self) -> None:
        """Ask the hub for the sessions that follow here: it hears nothing else of them."""
        for cookie in {phone.admitted.cookie for phone in self._phones.values() if not phone.session.local}:
            if not self._node.link.cut:
                with contextlib.suppress(HubSilentError):
                    await self.still(cookie)

    async def _end_sessions(self) -> None:
        """End the sockets of sessions that are over; those that began in a cut end with it."""
        at, linked = self._node.clock(), not self._node.link.cut
        digests = {phone.session.token_hash for phone in self._phones.values()}
        sessions = await self._node.database.read(
            lambda tx: {digest: people.session(tx, digest, at) for digest in digests}
        )
        for phone in list(self._phones.values()):
            found = sessions.get(phone.session.token_hash)
            if found is None or (found.local and linked):
                await self.dismiss(phone, "session.ended", "Your session has ended; please sign in.")

    # -- in -----------------------------------------------------------------------------------------------------

    async def _answer(self, sid: str, run: Any) -> Answer:
        phone = self._phones.get(sid)
        if phone is None:
            return _error("session.none", "This connection has ended.")
        try:
            if not phone.bucket.take(time.monotonic()):
                if phone.bucket.refused > REFUSED_MAX:
                    self._spawn(self.dismiss(phone, "socket.too-fast", "Too many messages."))
                return _error("socket.too-fast", "Too many messages; slow down.")
            if phone.line.qsize() >= QUEUE_MAX:  # asks and never reads the answers
                self._spawn(self.dismiss(phone, *TOO_SLOW))
                return _error(*TOO_SLOW)
            return {"ok": await run(phone)}
        except ValidationError:
            return _error("input.malformed", "The message is not as it should be.")
        except (FolkmootError, MediaError) as error:
            return _error(error.code, error.message)
        except StoreClosedError:
            return _error("server.stopping", "The relay is stopping; try again soon.")
        except Exception as error:  # the edge: a bug must not end the connection, nor tell its details
            log.error("relay.socket-accident kind=%s", type(error).__name__)
            return _error("server.accident", "Something went wrong here.")

    async def _on_other(self, _event: str, sid: str, *_data: object) -> Answer:
        async def refuse(_phone: Phone) -> Answer:
            raise WrongState("socket.unknown-event", "There is no such message.")

        return await self._answer(sid, refuse)

    async def _on_lease(self, sid: str, *data: object) -> Answer:
        async def run(phone: Phone) -> Answer:
            LeaseMessage.model_validate(data[0] if len(data) == 1 else None)
            phone.leased_at = time.monotonic()
            now, digest = self._node.clock(), phone.session.token_hash
            if self._node.link.cut:  # nobody else keeps the session alive now
                await self._node.database.write(lambda tx: people.use(tx, digest, now))
            return {"epoch": 1, "seq": self._node.cursor}

        return await self._answer(sid, run)

    async def _on_media(self, sid: str, *data: object) -> Answer:
        async def run(phone: Phone) -> Answer:
            message = MediaMessage.model_validate(data[0] if len(data) == 1 else None)
            media, meeting = self.media, self._node.identity.meeting
            if media is None:
                raise WrongState("relay.no-media", "This relay carries no sound and no picture to phones.")
            if phone.member not in self._node.hall.present:
                raise WrongState("media.not-checked-in", "Only members who have checked in may use the room.")
            async with phone.room_lock:
                if not phone.in_room:
                    await media.join(meeting, phone.member)
                    before = self._phones.get(self._speaking.get(phone.member, ""))
                    if before is not None:
                        before.in_room = False
                    self._speaking[phone.member], phone.in_room = sid, True
            return dict(await media.handle(meeting, phone.member, message.method, message.data))

        return await self._answer(sid, run)


async def _nobody_asks(_cookie: str) -> None:
    return None


def _error(code: str, message: str) -> Answer:
    return {"error": {"code": code, "message": message}}
