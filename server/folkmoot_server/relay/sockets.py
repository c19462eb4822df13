"""The relay's own Socket.IO end for the phones of its hall (wire.md, "Socket.IO"): one feed in, events out to all."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final, Protocol

from aiohttp import web
from pydantic import ValidationError
from socketio.exceptions import ConnectionRefusedError as Refusal

from folkmoot_media.errors import MediaError
from folkmoot_server.domain.closed_sessions import CHANGES
from folkmoot_server.domain.errors import Conflict, FolkmootError, Forbidden, NotSignedIn, WrongState
from folkmoot_server.realtime.absence import Absences
from folkmoot_server.realtime.connections import REFUSED_MAX, Bucket
from folkmoot_server.realtime.media_links import Audience as Reached
from folkmoot_server.realtime.media_links import reaches
from folkmoot_server.realtime.media_loops import LoopMedia
from folkmoot_server.realtime.packets import Server, Shared, SmallPacket
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
from folkmoot_server.relay import people, store
from folkmoot_server.relay.ahead import papers_here
from folkmoot_server.relay.hub import HubRefusedError, HubSilentError
from folkmoot_server.relay.node import Node, Told
from folkmoot_server.relay.phones import Phone, Right, Tickets
from folkmoot_server.storage.database import StoreClosedError

log = logging.getLogger("folkmoot.relay.sockets")
LEASE_S: Final = 45.0
TICK_S: Final = 1.0
SESSIONS_EVERY: Final = 5  # ticks
ASK_EVERY: Final = 300
CONNECT_S: Final = 10.0
CONNECTED_TRIES: Final = 400

Answer = dict[str, Any]


class HallMedia(LoopMedia, Protocol):
    """Sound and picture in the hall: what the phones' `media` messages ask; each raises MediaError."""

    async def leave(self, room_id: str, owner: str) -> None:
        """End everything of a member."""


class Sockets:
    """The sockets of one relay."""

    def __init__(self, node: Node) -> None:
        """Serve `node`; without `media` the hall's phones get no sound and picture."""
        self._node = node
        self.media: HallMedia | None = None
        self.tickets = Tickets()
        self.still: Callable[[Collection[bytes]], Awaitable[None]] = _nobody_asks
        self.knows: Callable[[str, int, Right], Awaitable[bool]] = _nobody_knows
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
        self._speaking: dict[str, str] = {}  # who uses the room: seat -> sid
        self._absences = Absences(self._let_go)
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
        self._node.on_link, self._node.hall_open = self._tell_cut, self.hall_open
        self._spawn(self._watch())

    async def close(self) -> None:
        """Say goodbye to everyone and stop."""
        if self._closed:
            return
        self._closed = True
        await self._absences.close()
        goodbye = ("server.stopping", "The relay is stopping; you will be back soon.")
        await asyncio.gather(*(self.dismiss(phone, *goodbye) for phone in list(self._phones.values())))
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._sio.shutdown()

    def here(self) -> frozenset[str]:
        """Return the ids of members whose phones are connected and say so."""
        since = time.monotonic() - LEASE_S
        return frozenset(phone.member for phone in self._phones.values() if phone.leased_at > since)

    def following(self) -> frozenset[bytes]:
        """Return the hashes of the hub's sessions whose phones are connected."""
        return frozenset(one.session.token_hash for one in self._phones.values() if not one.session.local)

    def hall_open(self) -> bool:
        """Say whether the hall's own page is connected and says so."""
        since = time.monotonic() - LEASE_S
        return any(phone.site and phone.leased_at > since for phone in self._phones.values())

    async def end(self, digest: bytes) -> None:
        """Say goodbye to every socket of a session that has ended."""
        for phone in list(self._phones.values()):
            if phone.session.token_hash == digest:
                await self.dismiss(phone, "session.ended", "Your session has ended; please sign in.")

    def notify_media(self, room: str, owner: Reached, event: str, data: dict[str, Any]) -> None:
        """Tell everybody who uses the room, or some there, what media signalling says."""
        packet = Shared("media", {"event": event, "data": data})
        for seat, sid in list(self._speaking.items()):
            phone = self._phones.get(sid)
            if phone is None or room != self._node.identity.meeting or not reaches(owner, seat):
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

    async def _let_go(self, meeting: str, member: str) -> None:
        if self.media is not None:
            await self.media.leave(meeting, member)

    async def _on_disconnect(self, sid: str, reason: str = "") -> None:
        phone = self._phones.pop(sid, None)
        if phone is None:
            return
        if phone.pump is not None and phone.pump is not asyncio.current_task():
            phone.pump.cancel()
        await self._leave_room(phone, "" if self._closed else reason)

    async def _leave_room(self, phone: Phone, reason: str) -> None:
        phone.in_room = False
        if self._speaking.get(phone.seat) == phone.sid:
            del self._speaking[phone.seat]
            await self._absences.go((self._node.identity.meeting, phone.seat), reason)

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
                    phone.tell(await self._packet(phone, told))
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

    async def _packet(self, phone: Phone, told: Told) -> Shared:
        """Return what a phone gets of an event: all of it where the hall's list or the hub says that it may."""
        if told.type in CHANGES:  # what the hub said of somebody holds up to here, wherever in the log the phone is
            phone.knows.pop(Right.INSIDE, None)
        if told.withheld is not None and not await self._has(phone, Right.INSIDE, told.seq):
            return told.withheld
        if told.unseen is not None and not await self._has(phone, Right.PAGES, told.seq):
            return told.unseen
        return told.packet

    async def _has(self, phone: Phone, right: Right, seq: int) -> bool:
        if phone.member in self._node.hall.members:
            return True
        if right not in phone.knows:
            with contextlib.suppress(HubSilentError):
                phone.knows[right] = await self.knows(phone.admitted.cookie, seq, right)
        return phone.knows.get(right, False)

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
            elif told.type == "BallotAccepted" and told.withheld is None:  # else pages count by the event
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
        if not self._node.link.cut:
            with contextlib.suppress(HubSilentError, HubRefusedError):
                await self.still(self.following())

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
            site = LeaseMessage.model_validate(data[0] if len(data) == 1 else None).site or ""
            phone.leased_at = time.monotonic()
            if site not in ("", phone.site):
                await self._take_for_hall(phone, site)
            now, digest = self._node.clock(), phone.session.token_hash
            if self._node.link.cut:  # nobody else keeps the session alive now
                await self._node.database.write(lambda tx: people.use(tx, digest, now))
            return {"epoch": 1, "seq": self._node.cursor, **(self._papers() if phone.site else {})}

        return await self._answer(sid, run)

    def _papers(self) -> Answer:
        """Return what a lease of the hall's page says of the papers."""
        here, of = papers_here(self._node.catalogue, self._node.shelf.here)
        return {"papers": {"here": here, "of": of}}

    async def _take_for_hall(self, phone: Phone, site: str) -> None:
        """From now on the room of this page is the hall's: its camera, microphone and loudspeakers.

        Raises:
            Forbidden: it is another hall's, or not of its custodian.
        """
        async with phone.room_lock:
            state = await self._node.database.read(store.state)
            halls = [] if state is None else state["sites"]
            own = site == self._node.identity.site
            if not own or (site, phone.member) not in [(one["site"], one["custodian"]) for one in halls]:
                raise Forbidden("site.not-custodian", "Only the hall's custodian may do this.")
            begun = phone.in_room
            await self._leave_room(phone, "")
            phone.site = site
        if begun:  # as somebody else: the page begins anew
            phone.tell(Shared("media", {"event": "room_reset", "data": {}}))

    async def _on_media(self, sid: str, *data: object) -> Answer:
        async def run(phone: Phone) -> Answer:
            message = MediaMessage.model_validate(data[0] if len(data) == 1 else None)
            media, meeting = self.media, self._node.identity.meeting
            if media is None:
                raise WrongState("relay.no-media", "This relay carries no sound and no picture to phones.")
            async with phone.room_lock:
                if not phone.site and phone.member not in self._node.hall.present:
                    raise WrongState("media.not-checked-in", "Only members who have checked in may use the room.")
                if not phone.in_room:
                    self._absences.back((meeting, phone.seat))
                    await media.join(meeting, phone.seat, resume=True)
                    before = self._phones.get(self._speaking.get(phone.seat, ""))
                    if before is not None:
                        before.in_room = False
                    self._speaking[phone.seat], phone.in_room = sid, True
            return dict(await media.handle(meeting, phone.seat, message.method, message.data))

        return await self._answer(sid, run)


async def _nobody_knows(_cookie: str, _seq: int, _right: Right) -> bool:
    return False


async def _nobody_asks(_digests: Collection[bytes]) -> None:
    return None


def _error(code: str, message: str) -> Answer:
    return {"error": {"code": code, "message": message}}
