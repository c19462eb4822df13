"""Each room's routers: opened on workers, asked, opened anew when a worker dies, moved when a worker drains."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Coroutine, Mapping
from typing import Any

from folkmoot_media.errors import MediaError
from folkmoot_server.realtime.media_links import LinkDesk, Notify
from folkmoot_server.realtime.media_pipe_desk import PipeDesk
from folkmoot_server.realtime.media_rooms import Part, Room
from folkmoot_server.sfu_client import MediaPool

logger = logging.getLogger(__name__)

RESET_RETRY = 0.5
RESET_TRIES = 40
# Pages that have not heard of the move yet go on hearing each other for so long.
MOVED_ROUTER_LIFETIME = 2.0
_RESETTING = ("media.room-resetting", "The room's media is being rebuilt; try again.")


class RouterDesk:
    """Keeps routers for every room in use: one, and another on another worker for every so many seats.

    Args:
        pool: the workers; this object takes over its `on_worker_death` and `on_worker_draining`.
        rooms: all rooms by id, the caller's own.
        links: forgets what links were like when a router is gone.
        pipes: joins the routers of a room.
        notify: called as (room_id, whom, "room_reset", {}) when seats have another router.
    """

    def __init__(
        self, pool: MediaPool, rooms: Mapping[str, Room], links: LinkDesk, pipes: PipeDesk, notify: Notify
    ) -> None:
        self._pool = pool
        self._rooms = rooms
        self._links = links
        self._pipes = pipes
        self._notify = notify
        self._by_router: dict[str, Room] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        pool.on_worker_death = self._on_worker_death
        pool.on_worker_draining = self._on_worker_draining

    async def close(self) -> None:
        """Stop opening routers anew."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def room_of(self, router_id: str) -> Room | None:
        """Return the room that has this router now."""
        return self._by_router.get(router_id)

    @staticmethod
    def floor_of(room: Room) -> dict[str, Any]:
        """Return the floor as a worker takes it."""
        return {"mode": room.mode, "chairs": room.chairs, "granted": room.granted}

    # -- asking -----------------------------------------------------------------------------------------------

    async def ask(self, room: Room, seat: str, method: str, /, **data: Any) -> dict[str, Any]:
        """Ask about the router that serves a seat.

        Raises:
            MediaError: media.room-resetting, or the worker's own.
        """
        part = room.part_of(seat)
        return await self.ask_part(room, seat, method, router_id=part.router_id if part else None, **data)

    async def ask_part(self, room: Room, seat: str, method: str, /, **data: Any) -> dict[str, Any]:
        """Ask about a seat's transport or consumer, which the worker knows without the router's id.

        Raises:
            MediaError: media.room-resetting, or the worker's own.
        """
        part = room.part_of(seat)
        if part is None:
            raise MediaError(*_RESETTING)
        try:
            return await self._pool.request(part.router_id, method, data)
        except MediaError as error:
            if error.code == "media.draining":
                raise MediaError(*_RESETTING) from error
            raise

    async def quietly(self, router_id: str, method: str, data: dict[str, Any]) -> None:
        """Ask for something that needs no answer when the worker is gone."""
        try:
            await self._pool.request(router_id, method, data)
        except MediaError as error:
            logger.info("%s: %s", method, error.code)

    async def order(self, room: Room, method: str, **data: Any) -> None:
        """Order something of every router of a room, of those that can be reached."""
        orders = [self.quietly(part.router_id, method, {"router_id": part.router_id, **data}) for part in room.parts]
        await asyncio.gather(*orders)

    # -- opening and closing ----------------------------------------------------------------------------------

    async def place(self, room: Room, owner: str) -> None:
        """Give a seat a router: one with room for it, else a further one on another worker, else the emptiest.

        Raises:
            MediaError: the room has no router, and no worker takes one now.
        """
        if room.part_of(owner) is not None:
            return
        part = self._with_room(room)
        if part is None:
            try:
                part = await self.open(room)
            except MediaError:
                if not room.parts:
                    raise
                part = min(room.parts, key=lambda one: len(one.members))
        part.members.add(owner)

    def _with_room(self, room: Room) -> Part | None:
        most = self._pool.settings.seats_per_router
        fitting = next((part for part in room.parts if len(part.members) < most), None)
        if fitting is None and room.parts and not self._pool.has_other([part.router_id for part in room.parts]):
            return min(room.parts, key=lambda part: len(part.members))
        return fitting

    async def open(self, room: Room) -> Part:
        """Give the room a router with the floor and the mutes that it has, and join it to the others.

        Raises:
            MediaError: no worker takes it now.
        """
        router_id = secrets.token_hex(16)
        data = {"router_id": router_id, "floor_mode": room.mode}
        others = [part.router_id for part in room.parts]
        answer = await self._pool.request(router_id, "router.create", data, others)
        part = Part(router_id, [])
        room.parts.append(part)
        room.pipes.add_part(router_id)
        room.capabilities = answer["rtp_capabilities"]
        self._by_router[router_id] = room
        about = {"router_id": router_id}
        try:
            part.slots = (await self._pool.request(router_id, "router.slots", about))["slots"]
            await self._pool.request(router_id, "router.set_floor", {**about, **self.floor_of(room)})
            for owner in sorted(room.silenced):
                muted = {"owner": owner, "muted": owner in room.silenced}
                await self._pool.request(router_id, "router.mute_owner", {**about, **muted})
        except MediaError:
            if part in room.parts:
                self._forget(room, part)
            await self.quietly(router_id, "router.close", about)
            raise
        self._pipes.settle_soon(room)
        return part

    def _forget(self, room: Room, part: Part) -> None:
        """Forget a router and everything of its seats, who have none then."""
        self._by_router.pop(part.router_id, None)
        room.parts.remove(part)
        room.transports = {key: held for key, held in room.transports.items() if held[0] not in part.members}
        room.consumers = {key: held for key, held in room.consumers.items() if held.owner not in part.members}
        self._pipes.forget_node(room, part.router_id)
        if room.parts:
            for owner in part.members:
                self._links.drop_link(room, owner)
        else:
            self._links.drop_links(room)

    async def shut(self, room: Room) -> None:
        """Close the room's routers with everything in them."""
        for part in list(room.parts):
            self._forget(room, part)
            await self.quietly(part.router_id, "router.close", {"router_id": part.router_id})

    async def shut_empty(self, room: Room) -> None:
        """Close the routers that serve nobody, except the centre, which others need."""
        for part in room.parts[1:]:
            if not part.members:
                self._forget(room, part)
                await self.quietly(part.router_id, "router.close", {"router_id": part.router_id})

    # -- opening anew -----------------------------------------------------------------------------------------

    def _on_worker_death(self, router_ids: list[str]) -> None:
        for router_id in router_ids:
            room = self._by_router.get(router_id)
            part = room.part_at(router_id) if room is not None else None
            if room is not None and part is not None:
                self._forget(room, part)
                self._begin(self._rebuild(room, part.members))

    def _on_worker_draining(self, router_ids: list[str]) -> None:
        for router_id in router_ids:
            room = self._by_router.get(router_id)
            if room is not None:
                self._begin(self._move(room, router_id))

    def rebuild_soon(self, room: Room, owners: set[str]) -> None:
        """Serve these seats as soon as a worker takes them, and tell them `room_reset` then."""
        self._begin(self._rebuild(room, owners))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _rebuild(self, room: Room, owners: set[str]) -> None:
        for _ in range(RESET_TRIES):
            async with room.lock:
                if self._rooms.get(room.room_id) is not room or not room.in_use:
                    return
                try:
                    if not room.parts:
                        await self.open(room)
                    for owner in sorted(owners & room.members):
                        await self.place(room, owner)
                except MediaError as error:
                    logger.warning("room's media not rebuilt yet: %s", error.code)
                else:
                    self._notify(room.room_id, room.audience_of(owners), "room_reset", {})
                    return
            await asyncio.sleep(RESET_RETRY)

    async def _move(self, room: Room, router_id: str) -> None:
        """Serve the seats elsewhere; the old router goes on until their pages have moved over."""
        async with room.lock:
            part = room.part_at(router_id)
            if part is None:
                return
            self._forget(room, part)
        await self._rebuild(room, part.members)
        await asyncio.sleep(MOVED_ROUTER_LIFETIME)
        await self.quietly(router_id, "router.close", {"router_id": router_id})
