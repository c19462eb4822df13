"""Each room's router: opened on a worker, asked, opened anew when its worker dies, moved when its worker drains."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Coroutine, Mapping
from typing import Any

from folkmoot_media.errors import MediaError
from folkmoot_server.realtime.media_links import LinkDesk, Notify
from folkmoot_server.realtime.media_rooms import Room
from folkmoot_server.sfu_client import MediaPool

logger = logging.getLogger(__name__)

RESET_RETRY = 0.5
RESET_TRIES = 40
# Pages that have not heard of the move yet go on hearing each other for so long.
MOVED_ROUTER_LIFETIME = 2.0
_RESETTING = ("media.room-resetting", "The room's media is being rebuilt; try again.")


class RouterDesk:
    """Keeps a router for every room with members.

    Args:
        pool: the workers; this object takes over its `on_worker_death` and `on_worker_draining`.
        rooms: all rooms by id, the caller's own.
        links: forgets what links were like when a router is gone.
        notify: called as (room_id, None, "room_reset", {}) when a room has another router.
    """

    def __init__(self, pool: MediaPool, rooms: Mapping[str, Room], links: LinkDesk, notify: Notify) -> None:
        self._pool = pool
        self._rooms = rooms
        self._links = links
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

    async def ask(self, room: Room, method: str, **data: Any) -> dict[str, Any]:
        """Ask the room's worker about its router.

        Raises:
            MediaError: media.room-resetting, or the worker's own.
        """
        return await self.ask_part(room, method, router_id=room.router_id, **data)

    async def ask_part(self, room: Room, method: str, **data: Any) -> dict[str, Any]:
        """Ask about a transport or consumer, which the worker knows without the router's id.

        Raises:
            MediaError: media.room-resetting, or the worker's own.
        """
        if room.router_id is None:
            raise MediaError(*_RESETTING)
        try:
            return await self._pool.request(room.router_id, method, data)
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

    # -- opening and closing ----------------------------------------------------------------------------------

    async def open(self, room: Room) -> None:
        """Give the room a router with the floor and the mutes that it has.

        Raises:
            MediaError: no worker takes it now; the room has no router then.
        """
        router_id = secrets.token_hex(16)
        data = {"router_id": router_id, "floor_mode": room.mode}
        answer = await self._pool.request(router_id, "router.create", data)
        self._by_router[router_id] = room
        room.router_id, room.capabilities = router_id, answer["rtp_capabilities"]
        try:
            room.slots = (await self.ask(room, "router.slots"))["slots"]
            await self.ask(room, "router.set_floor", **self.floor_of(room))
            for owner in sorted(room.muted):
                await self.ask(room, "router.mute_owner", owner=owner, muted=True)
        except MediaError:
            self._forget(room)
            raise

    def _forget(self, room: Room) -> None:
        if room.router_id is not None:
            self._by_router.pop(room.router_id, None)
        room.router_id = None
        room.slots = []
        room.transports.clear()
        room.producers.clear()
        room.consumers.clear()
        self._links.drop_links(room)

    async def shut(self, room: Room) -> None:
        """Close the room's router with everything in it."""
        router_id = room.router_id
        self._forget(room)
        if router_id is not None:
            await self.quietly(router_id, "router.close", {"router_id": router_id})

    # -- opening anew -----------------------------------------------------------------------------------------

    def _on_worker_death(self, router_ids: list[str]) -> None:
        for router_id in router_ids:
            room = self._by_router.get(router_id)
            if room is not None:
                self._forget(room)
                self.rebuild_soon(room)

    def _on_worker_draining(self, router_ids: list[str]) -> None:
        for router_id in router_ids:
            room = self._by_router.get(router_id)
            if room is not None:
                self._begin(self._move(room, router_id))

    def rebuild_soon(self, room: Room) -> None:
        """Open a router as soon as a worker takes it, and tell `room_reset` then."""
        self._begin(self._rebuild(room))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _rebuild(self, room: Room) -> None:
        for _ in range(RESET_TRIES):
            async with room.lock:
                if self._rooms.get(room.room_id) is not room or not room.members:
                    return
                try:
                    if room.router_id is None:
                        await self.open(room)
                except MediaError as error:
                    logger.warning("room's media not rebuilt yet: %s", error.code)
                else:
                    self._notify(room.room_id, None, "room_reset", {})
                    return
            await asyncio.sleep(RESET_RETRY)

    async def _move(self, room: Room, router_id: str) -> None:
        """Open the room on another worker; the old router goes on until the pages have moved over."""
        async with room.lock:
            if room.router_id != router_id:
                return
            self._forget(room)
        await self._rebuild(room)
        await asyncio.sleep(MOVED_ROUTER_LIFETIME)
        await self.quietly(router_id, "router.close", {"router_id": router_id})
