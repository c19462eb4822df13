"""Pipes that leave this machine: a hall's relay dials its hub, and each tells the other what there is.

Both sides use the same desk. The hub answers a pipe of every site, the relay offers one to its hub; of what crosses,
each side is told by `Telling`, and the floor goes from the hub to the relay.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from folkmoot_media.errors import MediaError
from folkmoot_media.rtp_parameters import checked
from folkmoot_server.realtime.media_pipe_desk import PipeDesk
from folkmoot_server.realtime.media_pipes import Edge
from folkmoot_server.realtime.media_rooms import ProducerEntry, Room
from folkmoot_server.realtime.media_routers import RouterDesk
from folkmoot_server.realtime.media_sites import Announced, Site
from folkmoot_server.sfu_client import MediaPool

# A thin link may be silent for a while without being lost.
PATIENCE = 30
MOST_PRODUCERS = 300
_GONE = ("media.no-such-pipe", "This pipe is gone; make another.")

Silence = Callable[[Room], Awaitable[None]]


class SiteDesk:
    """Pipes between a room here and the same room elsewhere.

    Args:
        pool: the workers.
        rooms: all rooms by id, the caller's own; `room` is called for one that may be new.
        pipes: lets producers cross.
        routers: opens a router where the room has none.
        follow_silence: called with a room in which others may be silent than before.
    """

    def __init__(
        self,
        pool: MediaPool,
        rooms: Mapping[str, Room],
        room: Callable[[str], Room],
        pipes: PipeDesk,
        routers: RouterDesk,
        follow_silence: Silence,
    ) -> None:
        self.pool = pool
        self._rooms = rooms
        self._room = room
        self._pipes = pipes
        self._routers = routers
        self._follow_silence = follow_silence

    # -- pipes ------------------------------------------------------------------------------------------------

    async def answer(self, room_id: str, name: str, dtls: dict[str, Any]) -> dict[str, Any]:
        """Answer the pipe of a site, in place of one it had; return what its side needs to dial.

        Everyone there is silent without the floor.

        Raises:
            MediaError: the worker's own, or none takes the room now.
        """
        room = self._room(room_id)
        async with room.lock:
            site = self._site(room, name)
            await self._follow_silence(room)
            centre, pipe_id, answer = await self._create(room, site, "answer")
            await self._connect(room, centre, {"pipe_id": pipe_id, "dtlsParameters": dtls})
            self._stand(room, site, centre, pipe_id)
            self.tell_floor(room)
        return answer

    async def offer(self, room_id: str, name: str) -> dict[str, Any]:
        """Open this side of a pipe to `name`, in place of an older one; return what the other side needs.

        Raises:
            MediaError: the worker's own, or none takes the room now.
        """
        room = self._room(room_id)
        async with room.lock:
            _, _, offer = await self._create(room, self._site(room, name), "offer")
        return offer

    async def dial(self, room_id: str, name: str, answer: dict[str, Any]) -> str:
        """Dial with the answer to `offer`, whose `pipe_id` is that of this side; return that id.

        Raises:
            MediaError: the worker's own, media.no-such-pipe when the room has moved meanwhile.
        """
        room = self._rooms.get(room_id)
        site = room.sites.get(name) if room is not None else None
        centre = room.pipes.centre if room is not None else None
        if room is None or site is None or centre is None:
            raise MediaError(*_GONE)
        async with room.lock:
            await self._connect(room, centre, answer)
            self._stand(room, site, centre, str(answer["pipe_id"]))
        return str(answer["pipe_id"])

    def _site(self, room: Room, name: str) -> Site:
        site = room.sites.setdefault(name, Site(name))
        room.pipes.add_site(name)
        edge = room.pipes.edges.get(name)
        if edge is not None:
            self._pipes.drop_edge(room, edge)
        return site

    async def _create(self, room: Room, site: Site, side: str) -> tuple[str, str, dict[str, Any]]:
        if not room.parts:
            await self._routers.open(room)
        centre, pipe_id = room.parts[0].router_id, secrets.token_hex(16)
        wanted = {"router_id": centre, "side": side, "pipe_id": pipe_id, "patience": PATIENCE}
        if site.opening is not None:
            await self._routers.quietly(centre, "pipe.close", {"pipe_id": site.opening})
        made = await self.pool.request(centre, "pipe.create", wanted)
        site.opening = pipe_id
        site.begin(None)
        return centre, pipe_id, made

    async def _connect(self, room: Room, centre: str, data: dict[str, Any]) -> None:
        try:
            await self.pool.request(centre, "pipe.connect", data)
        except MediaError:
            await self._routers.quietly(centre, "pipe.close", {"pipe_id": data["pipe_id"]})
            raise
        if room.pipes.centre != centre:
            raise MediaError(*_GONE)

    def _stand(self, room: Room, site: Site, centre: str, pipe_id: str) -> None:
        site.begin(pipe_id)
        site.opening = None
        room.pipes.set_edge(Edge(site.name, centre, pipe_id, None))
        self._pipes.settle_soon(room)

    def seats(self, room_id: str) -> frozenset[str]:
        """Return the seats that use a room here."""
        room = self._rooms.get(room_id)
        return frozenset() if room is None else frozenset(room.members)

    def knows(self, room_id: str, hall: str, owner: str) -> bool:
        """Say whether a room knows of a seat that it is in this hall; "" is none."""
        room = self._rooms.get(room_id)
        return not hall or (room is not None and owner in room.halls.get(hall, ()))

    def names(self, room_id: str) -> list[str]:
        """Return the sites that have, or are getting, a pipe to a room."""
        room = self._rooms.get(room_id)
        return [] if room is None else list(room.sites)

    async def leave(self, room_id: str, name: str) -> None:
        """A site is no longer of the room: its pipe closes, and what came from it is gone."""
        room = self._rooms.get(room_id)
        if room is None or name not in room.sites:
            return
        self._pipes.forget_node(room, name)
        room.sites.pop(name).begin(None)
        async with room.lock:
            await self._follow_silence(room)
            if not room.in_use:
                await self._routers.shut(room)

    # -- what is told -----------------------------------------------------------------------------------------

    def standing(self, room_id: str, name: str, pipe_id: str) -> tuple[Room, Site]:
        """Return room and site of a pipe that stands.

        Raises:
            MediaError: media.no-such-pipe.
        """
        room = self._rooms.get(room_id)
        site = room.sites.get(name) if room is not None else None
        if room is None or site is None or site.pipe_id != pipe_id:
            raise MediaError(*_GONE)
        return room, site

    def pipe_of(self, room_id: str, name: str) -> str | None:
        """Return the own end of a site's pipe, None while there is none."""
        room = self._rooms.get(room_id)
        site = room.sites.get(name) if room is not None else None
        return None if site is None else site.pipe_id

    def tell_floor(self, room: Room) -> None:
        """Let sites know who may be heard."""
        floor = {**self._routers.floor_of(room), "muted": sorted(room.muted)}
        for site in room.sites.values():
            site.telling.set_floor(floor)

    async def hear(
        self,
        room: Room,
        site: Site,
        offers: Collection[dict[str, Any]],
        withdrawn: Collection[str],
        allowed: Collection[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Take what the other side tells of producers; return {producer_id, code} of those that are not taken.

        A producer that is offered again is paused, or goes on. Those of owners who are not `allowed` (None: all are)
        are not taken, and no longer kept.
        """
        for producer_id in withdrawn:
            self._drop(room, site, producer_id)
        pipe_id, refused, taken = site.pipe_id, [], []
        for offer in offers:
            code = self._why_not(room, site, offer, allowed)
            if code:
                refused.append({"producer_id": str(offer.get("producer_id", ""))[:64], "code": code})
            elif offer["producer_id"] in site.offered:
                self._set_paused(room, site, offer)
            else:
                site.offered[offer["producer_id"]] = offer
                taken.append(offer)
        await self._follow_silence(room)  # before anything of theirs can be heard
        if site.pipe_id == pipe_id:
            for offer in taken:
                self._take(room, site, offer["producer_id"])
        if allowed is not None:
            for entry in [held for held in self._from(room, site) if held.owner not in allowed]:
                self._drop(room, site, entry.producer_id)
        self._pipes.settle_soon(room)
        return refused

    @staticmethod
    def _from(room: Room, site: Site) -> list[ProducerEntry]:
        return [room.producers[key] for key in room.pipes.from_node(site.name) if key in room.producers]

    def _why_not(self, room: Room, site: Site, offer: dict[str, Any], allowed: Collection[str] | None) -> str:
        try:
            announced = checked(Announced, offer)
        except MediaError as error:
            return error.code
        if allowed is not None and announced.owner not in allowed:
            return "media.not-yours"
        if announced.producer_id in site.offered:
            return "" if site.offered[announced.producer_id]["owner"] == announced.owner else "media.not-yours"
        if announced.producer_id in room.producers:
            return "media.pipe-loop"
        return "media.too-many-producers" if len(site.offered) >= MOST_PRODUCERS else ""

    @staticmethod
    def _take(room: Room, site: Site, producer_id: str) -> None:
        offer = site.offered.get(producer_id)
        if offer is None:
            return
        paused = offer["paused"]
        entry = ProducerEntry(producer_id, offer["owner"], offer["kind"], offer["source"], "", paused)
        room.producers[producer_id] = entry
        room.pipes.publish(producer_id, site.name, paused)

    def _set_paused(self, room: Room, site: Site, offer: dict[str, Any]) -> None:
        producer_id, paused = offer["producer_id"], offer["paused"]
        entry = room.producers.get(producer_id)
        site.offered[producer_id] = {**site.offered[producer_id], "paused": paused}
        if entry is not None and entry.paused is not paused:
            entry.paused = paused
            room.pipes.set_paused(producer_id, paused)
            self._pipes.tell_paused(room, entry)

    def _drop(self, room: Room, site: Site, producer_id: str) -> None:
        if site.offered.pop(producer_id, None) is not None:
            room.producers.pop(producer_id, None)
            room.pipes.unpublish(producer_id)

    def drop_owner(self, room: Room, owner: str) -> None:
        """A seat has left the room: nothing of theirs comes from a site any more."""
        for site in room.sites.values():
            for entry in [held for held in self._from(room, site) if held.owner == owner]:
                self._drop(room, site, entry.producer_id)
        self._pipes.settle_soon(room)
