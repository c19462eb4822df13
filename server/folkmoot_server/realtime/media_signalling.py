"""The browser's side of media signalling: every message checked, every id checked against its owner.

Independent of the carrier: whoever receives a client's `media` message calls `handle` and sends back the result or
the `MediaError`; `notify` is called for what clients must be told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from folkmoot_media.errors import MediaError
from folkmoot_media.rtp_parameters import Strict, checked
from folkmoot_media.transport.limits import TokenBucket
from folkmoot_server.realtime.media_links import TEXT_ONLY, LinkDesk, Notify
from folkmoot_server.realtime.media_notices import Notices
from folkmoot_server.realtime.media_pipe_desk import PipeDesk
from folkmoot_server.realtime.media_rooms import (
    ConnectTransport,
    Consume,
    ConsumerEntry,
    ConsumerRef,
    CreateTransport,
    Empty,
    FloorModeName,
    Halls,
    PreferredLayers,
    Produce,
    ProducerEntry,
    ProducerRef,
    Room,
    SetLadder,
    TransportRef,
)
from folkmoot_server.realtime.media_routers import RouterDesk
from folkmoot_server.realtime.media_site_desk import SiteDesk
from folkmoot_server.sfu_client import MediaPool

logger = logging.getLogger(__name__)

IceServers = Callable[[str], Sequence[dict[str, object]]]
# A page that joins asks two questions per picture it will show, all at once.
REQUESTS_PER_SECOND = 50.0
REQUEST_BURST = 400.0

Handler = Callable[[Room, str, Any], Coroutine[Any, Any, dict[str, Any]]]


class MediaSignalling:
    """Rooms of seats over a pool of media workers. `owner` is an opaque seat id.

    Args:
        pool: the workers; this object takes over its callbacks.
        notify: called as (room_id, whom, event, data); whom is a seat, some seats, or None for everyone.
        ice_servers: returns the relays that a seat may use now, with credentials of its own.
        hall: all seats are in one hall, where nobody is heard without the floor.

    Attributes:
        sites: the pipes that join a room with the same room on other machines.
    """

    def __init__(
        self,
        pool: MediaPool,
        notify: Notify,
        ice_servers: IceServers = lambda _seat: (),
        hall: bool = False,
    ) -> None:
        self._notify = notify
        self._hall = hall
        self._ice_servers = ice_servers
        self._rooms: dict[str, Room] = {}
        self._links = LinkDesk(notify)
        self._notices = Notices(notify)
        self._pipes = PipeDesk(pool, self._notices)
        self._routers = RouterDesk(pool, self._rooms, self._links, self._pipes, notify)
        self.sites = SiteDesk(pool, self._rooms, self._room, self._pipes, self._routers, self._follow_silence)
        self._methods: dict[str, tuple[type[Strict], Handler]] = {
            "capabilities": (Empty, self._capabilities),
            "create_transport": (CreateTransport, self._create_transport),
            "connect_transport": (ConnectTransport, self._connect_transport),
            "restart_ice": (TransportRef, self._restart_ice),
            "produce": (Produce, self._produce),
            "pause_producer": (ProducerRef, self._pause_producer),
            "resume_producer": (ProducerRef, self._resume_producer),
            "close_producer": (ProducerRef, self._close_producer),
            "list": (Empty, self._list),
            "consume": (Consume, self._consume),
            "resume_consumer": (ConsumerRef, self._resume_consumer),
            "pause_consumer": (ConsumerRef, self._pause_consumer),
            "close_consumer": (ConsumerRef, self._close_consumer),
            "set_preferred_layers": (PreferredLayers, self._set_preferred_layers),
            "set_ladder": (SetLadder, self._set_ladder),
        }
        pool.on_event = self._on_event

    async def close(self) -> None:
        """Stop rebuilding rooms; the pool is closed by its owner."""
        await self._routers.close()
        await self._pipes.close()

    def is_thin(self, room_id: str, owner: str) -> bool:
        """Say whether a seat gets voices or less where it wants more."""
        room = self._rooms.get(room_id)
        return room is not None and room.links.is_thin(owner)

    def figures(self) -> list[dict[str, Any]]:
        """Return how much is in each room (media_rooms.Room.figures)."""
        return [room.figures() for room in self._rooms.values()]

    def _room(self, room_id: str) -> Room:
        return self._rooms.setdefault(room_id, Room(room_id, hall=self._hall))

    async def report(self, room_id: str, owner: str) -> dict[str, Any]:
        """Return what is known of a seat's media, by the room and by its worker (router.report).

        Raises:
            MediaError: media.not-in-room, media.room-resetting, or the worker's own.
        """
        room = self._rooms.get(room_id)
        if room is None or owner not in room.members:
            raise MediaError("media.not-in-room", "This seat is not in the room.")
        answer = await self._routers.ask(room, owner, "router.report", owner=owner)
        own = {"floor": room.mode, "muted": owner in room.silenced, "ceiling": room.links.ceiling(owner)}
        return {**own, "transports": answer["transports"]}

    # -- what the meeting orders ------------------------------------------------------------------------------

    async def join(self, room_id: str, owner: str, resume: bool = False) -> None:
        """Let a seat use the room; with `resume` what it had open there stays open until its page begins anew.

        When no worker can take the room now, it is opened as soon as one can and `room_reset` is notified then.
        """
        room = self._room(room_id)
        async with room.lock:
            room.enter(owner)
            await self._follow_silence(room)
            if room.part_of(owner) is not None:
                if not resume:
                    await self._clear_owner(room, owner)
                return
            try:
                await self._routers.place(room, owner)
            except MediaError as error:
                logger.warning("room's media not opened yet: %s", error.code)
                self._routers.rebuild_soon(room, {owner})

    async def leave(self, room_id: str, owner: str) -> None:
        """Close everything of a seat; the last seat closes the router."""
        room = self._rooms.get(room_id)
        if room is None:
            return
        async with room.lock:
            room.members.discard(owner)
            room.budgets.pop(owner, None)
            self._links.drop(room, owner)
            self.sites.drop_owner(room, owner)
            part = room.part_of(owner)
            if part is not None:
                await self._clear_owner(room, owner)
                part.members.discard(owner)
            await self._follow_silence(room)
            if room.in_use:
                await self._routers.shut_empty(room)
            else:
                await self._routers.shut(room)

    async def remove(self, room_id: str, owner: str) -> None:
        """Take a seat out of the room by order of the chair; it may not come back until `join`."""
        await self.leave(room_id, owner)

    async def set_floor(
        self, room_id: str, mode: FloorModeName, chairs: Sequence[str], granted: Sequence[str], halls: Halls = None
    ) -> None:
        """Set the floor mode, the seats of chairs and halls, and the granted ones in order: the first has it."""
        room = self._room(room_id)
        if set(chairs) - set(room.chairs):
            self._links.tell_soon(room)
        room.follow(mode, chairs, granted, halls or {})
        # Kept here too, and applied anew when a worker that fails at this is replaced.
        await self._routers.order(room, "router.set_floor", **self._routers.floor_of(room))
        await self._follow_silence(room)
        self.sites.tell_floor(room)

    async def mute(self, room_id: str, owner: str, muted: bool) -> None:
        """Silence a seat's microphone at the server, or lift that; the seat is told."""
        room = self._room(room_id)
        (room.muted.add if muted else room.muted.discard)(owner)
        silent = owner in room.silenced
        (room.ordered.add if silent else room.ordered.discard)(owner)
        await self._routers.order(room, "router.mute_owner", owner=owner, muted=silent)
        self._notify(room_id, owner, "muted", {"muted": silent})
        self.sites.tell_floor(room)

    async def _follow_silence(self, room: Room) -> None:
        """See that those are silent who are to be, in halls everyone without the floor, and no others."""
        before, room.ordered = room.ordered, room.silenced
        for owner in sorted(before ^ room.ordered):
            silent = owner in room.ordered
            await self._routers.order(room, "router.mute_owner", owner=owner, muted=silent)
            if owner in room.members:
                self._notify(room.room_id, owner, "muted", {"muted": silent})

    async def follow(self, room_id: str, floor: dict[str, Any]) -> None:
        """Take over who may be heard from the hub: {mode, chairs, granted, muted}."""
        room = self._room(room_id)
        room.muted = set(floor["muted"])
        await self.set_floor(room_id, floor["mode"], floor["chairs"], floor["granted"])

    async def mute_all(self, room_id: str, except_owners: Sequence[str]) -> None:
        """Silence every seat now in the room except some."""
        room = self._rooms.get(room_id)
        if room is not None:
            for owner in sorted(room.members - set(except_owners)):
                await self.mute(room_id, owner, True)

    async def close_room(self, room_id: str) -> None:
        """Close the room and everything in it."""
        room = self._rooms.pop(room_id, None)
        if room is not None:
            for site in room.sites.values():
                site.begin(None)
            async with room.lock:
                await self._routers.shut(room)
            self._links.close(room)

    # -- what a seat leaves ----------------------------------------------------------------------------------

    async def _clear_owner(self, room: Room, owner: str) -> None:
        part = room.part_of(owner)
        self._links.drop_link(room, owner)
        for entry in [held for held in room.producers.values() if held.owner == owner and held.transport_id]:
            self._drop_producer(room, entry)
        room.transports = {key: held for key, held in room.transports.items() if held[0] != owner}
        room.consumers = {key: held for key, held in room.consumers.items() if held.owner != owner}
        if part is not None:
            about = {"router_id": part.router_id, "owner": owner}
            await self._routers.quietly(part.router_id, "router.remove_owner", about)

    def _drop_producer(self, room: Room, entry: ProducerEntry) -> None:
        if room.producers.pop(entry.producer_id, None) is not None:
            room.pipes.unpublish(entry.producer_id)
            if room.hall or room.halls:  # another microphone of the hall may be open now
                self._pipes.begin(self._follow_silence(room))
            part = room.part_of(entry.owner)
            if part is not None:
                self._notices.vanish(room, part, entry.producer_id)
            self._pipes.settle_soon(room)

    # -- what the workers tell --------------------------------------------------------------------------------

    def _on_event(self, router_id: str, event: str, data: dict[str, Any]) -> None:
        room = self._routers.room_of(router_id)
        part = room.part_at(router_id) if room is not None else None
        if room is None or part is None:
            return
        if event == "slot_speaker":
            self._notices.speaker(room, part, data)
        elif event == "producer_closed":
            self._on_producer_closed(room, router_id, str(data["producer_id"]))
        elif event == "transport_closed":
            transport_id = str(data["transport_id"])
            held = room.transports.pop(transport_id, None)
            room.consumers = {key: kept for key, kept in room.consumers.items() if kept.transport_id != transport_id}
            if held is not None:
                self._links.drop_way(room, *held)
                told = {"transport_id": transport_id, "reason": data["reason"]}
                self._notify(room.room_id, held[0], "transport_closed", told)
        elif event == "link_level":
            self._links.on_level(room, data)
        elif event == "uplink":
            self._links.on_sending(room, data)
        elif event == "layers_changed":
            consumer = room.consumers.get(str(data["consumer_id"]))
            if consumer is not None:
                self._notify(room.room_id, consumer.owner, "layers_changed", data)
        elif event == "pipe_state":
            self._pipes.on_pipe_state(room, data)

    def _on_producer_closed(self, room: Room, router_id: str, producer_id: str) -> None:
        entry, origin = room.producers.get(producer_id), room.pipes.origins.get(producer_id)
        if entry is not None and origin is not None and origin.node == router_id:
            self._drop_producer(room, entry)
        else:
            self._pipes.on_closed(room, router_id, producer_id)

    # -- what clients ask -------------------------------------------------------------------------------------

    async def handle(self, room_id: str, owner: str, method: str, data: object) -> dict[str, Any]:
        """Carry out one request of a seat; a refused request changes nothing.

        Raises:
            MediaError: media.not-in-room, media.too-many-requests, media.unknown-method, media.bad-request,
                media.not-yours, media.room-resetting, or the worker's own.
        """
        room = self._rooms.get(room_id)
        if room is None or owner not in room.members:
            raise MediaError("media.not-in-room", "This seat is not in the room.")
        budget = room.budgets.setdefault(owner, TokenBucket(REQUESTS_PER_SECOND, REQUEST_BURST))
        if not budget.take(1.0, asyncio.get_running_loop().time()):
            raise MediaError("media.too-many-requests", "This seat asks for too much at once.")
        entry = self._methods.get(method)
        if entry is None:
            raise MediaError("media.unknown-method", "There is no such media method.")
        model, handler = entry
        return await handler(room, owner, checked(model, data))

    @staticmethod
    def _own_transport(room: Room, owner: str, transport_id: str) -> None:
        held = room.transports.get(transport_id)
        if held is None or held[0] != owner:
            raise MediaError("media.not-yours", "This transport is not one of this seat's.")

    @staticmethod
    def _own_producer(room: Room, owner: str, producer_id: str) -> ProducerEntry:
        entry = room.producers.get(producer_id)
        if entry is None or entry.owner != owner:
            raise MediaError("media.not-yours", "This producer is not one of this seat's.")
        return entry

    @staticmethod
    def _own_consumer(room: Room, owner: str, consumer_id: str) -> str:
        held = room.consumers.get(consumer_id)
        if held is None or held.owner != owner:
            raise MediaError("media.not-yours", "This consumer is not one of this seat's.")
        return held.transport_id

    async def _capabilities(self, room: Room, owner: str, _data: Empty) -> dict[str, Any]:
        """A page asks this when it begins anew: what the seat's page of before had open is closed."""
        if room.part_of(owner) is None:
            raise MediaError("media.room-resetting", "The room's media is being rebuilt; try again.")
        await self._forget_transports(room, owner)
        return {
            "rtpCapabilities": room.capabilities,
            "muted": owner in room.silenced,
            "owner": owner,
            "iceServers": list(self._ice_servers(owner)),
        }

    async def _forget_transports(self, room: Room, owner: str) -> None:
        if any(held[0] == owner for held in room.transports.values()):
            async with room.lock:
                await self._clear_owner(room, owner)

    async def _create_transport(self, room: Room, owner: str, data: CreateTransport) -> dict[str, Any]:
        async with room.lock:  # behind or before what `capabilities` closes: a page asks for both at once
            part = room.part_of(owner)
            await self._replace_transports(room, owner, data.direction)
            answer = await self._routers.ask(
                room,
                owner,
                "router.create_transport",
                owner=owner,
                ceiling=room.links.ceiling(owner),
                **data.model_dump(exclude_none=True),
            )
            if part is None or room.part_of(owner) is not part or owner not in room.members:
                raise MediaError("media.room-resetting", "The room changed meanwhile; try again.")
            room.transports[answer["id"]] = (owner, data.direction)
            return answer

    async def _replace_transports(self, room: Room, owner: str, direction: str) -> None:
        """A seat has one transport each way: a page that builds anew must not wait until its old one expires."""
        part = room.part_of(owner)
        self._links.drop_way(room, owner, direction)
        old = [key for key, held in room.transports.items() if held == (owner, direction)]
        for transport_id in old:
            del room.transports[transport_id]
            for entry in [held for held in room.producers.values() if held.transport_id == transport_id]:
                self._drop_producer(room, entry)
            room.consumers = {key: held for key, held in room.consumers.items() if held.transport_id != transport_id}
            if part is not None:
                await self._routers.quietly(part.router_id, "transport.close", {"transport_id": transport_id})

    async def _connect_transport(self, room: Room, owner: str, data: ConnectTransport) -> dict[str, Any]:
        self._own_transport(room, owner, data.transport_id)
        parameters = data.dtlsParameters.model_dump()
        return await self._routers.ask_part(
            room, owner, "transport.connect", transport_id=data.transport_id, dtlsParameters=parameters
        )

    async def _restart_ice(self, room: Room, owner: str, data: TransportRef) -> dict[str, Any]:
        self._own_transport(room, owner, data.transport_id)
        answer = await self._routers.ask_part(room, owner, "transport.restart_ice", transport_id=data.transport_id)
        # A credential may have run out since the room was joined.
        return {**answer, "iceServers": list(self._ice_servers(owner))}

    async def _produce(self, room: Room, owner: str, data: Produce) -> dict[str, Any]:
        self._own_transport(room, owner, data.transport_id)
        answer = await self._routers.ask_part(
            room,
            owner,
            "transport.produce",
            transport_id=data.transport_id,
            kind=data.kind,
            rtpParameters=data.rtpParameters.model_dump(),
            source=data.source,
            paused=data.paused,
        )
        part = room.part_of(owner)
        if data.transport_id not in room.transports or part is None:
            raise MediaError("media.room-resetting", "The room changed meanwhile; try again.")
        entry = ProducerEntry(answer["id"], owner, data.kind, data.source, data.transport_id, data.paused)
        room.producers[entry.producer_id] = entry
        room.pipes.publish(entry.producer_id, part.router_id, entry.paused)
        await self._follow_silence(room)
        self._notices.appear(room, part, entry)
        self._pipes.settle_soon(room)
        return answer

    async def _set_paused(self, room: Room, owner: str, producer_id: str, paused: bool) -> dict[str, Any]:
        entry = self._own_producer(room, owner, producer_id)
        method = "producer.pause" if paused else "producer.resume"
        answer = await self._routers.ask(room, owner, method, producer_id=producer_id)
        if entry.paused is not paused and producer_id in room.producers:
            entry.paused = paused
            room.pipes.set_paused(producer_id, paused)
            self._notices.paused(room, entry)
            self._pipes.settle_soon(room)
        return answer

    async def _pause_producer(self, room: Room, owner: str, data: ProducerRef) -> dict[str, Any]:
        return await self._set_paused(room, owner, data.producer_id, True)

    async def _resume_producer(self, room: Room, owner: str, data: ProducerRef) -> dict[str, Any]:
        return await self._set_paused(room, owner, data.producer_id, False)

    async def _close_producer(self, room: Room, owner: str, data: ProducerRef) -> dict[str, Any]:
        entry = self._own_producer(room, owner, data.producer_id)
        answer = await self._routers.ask(room, owner, "producer.close", producer_id=data.producer_id)
        self._drop_producer(room, entry)
        return answer

    async def _list(self, room: Room, owner: str, _data: Empty) -> dict[str, Any]:
        part = room.part_of(owner)
        if part is None:
            return {"producers": [], "slots": [], "transports": [], "muted": owner in room.silenced}
        return {
            "muted": owner in room.silenced,
            "transports": [key for key, held in room.transports.items() if held[0] == owner],
            "producers": [entry.described() for entry in part.producers.values()],
            "slots": [dict(slot) for slot in part.slots],
        }

    async def _consume(self, room: Room, owner: str, data: Consume) -> dict[str, Any]:
        self._own_transport(room, owner, data.transport_id)
        part = room.part_of(owner)
        known = part is not None and (
            data.producer_id in part.producers or any(slot["producer_id"] == data.producer_id for slot in part.slots)
        )
        if not known:
            raise MediaError("media.no-such-producer", "There is no such producer in this room.")
        answer = await self._routers.ask_part(
            room,
            owner,
            "transport.consume",
            transport_id=data.transport_id,
            producer_id=data.producer_id,
            rtpCapabilities=data.rtpCapabilities.model_dump(),
            paused=True,
        )
        if data.transport_id in room.transports:
            room.consumers[answer["id"]] = ConsumerEntry(owner, data.transport_id, data.producer_id)
        return answer

    async def _on_consumer(
        self, room: Room, owner: str, method: str, data: ConsumerRef | PreferredLayers
    ) -> dict[str, Any]:
        transport_id = self._own_consumer(room, owner, data.consumer_id)
        extra = {"layer": data.layer} if isinstance(data, PreferredLayers) else {}
        return await self._routers.ask_part(
            room, owner, method, transport_id=transport_id, consumer_id=data.consumer_id, **extra
        )

    async def _resume_consumer(self, room: Room, owner: str, data: ConsumerRef) -> dict[str, Any]:
        return await self._on_consumer(room, owner, "consumer.resume", data)

    async def _pause_consumer(self, room: Room, owner: str, data: ConsumerRef) -> dict[str, Any]:
        return await self._on_consumer(room, owner, "consumer.pause", data)

    async def _close_consumer(self, room: Room, owner: str, data: ConsumerRef) -> dict[str, Any]:
        answer = await self._on_consumer(room, owner, "consumer.close", data)
        room.consumers.pop(data.consumer_id, None)
        return answer

    async def _set_preferred_layers(self, room: Room, owner: str, data: PreferredLayers) -> dict[str, Any]:
        return await self._on_consumer(room, owner, "consumer.set_preferred_layers", data)

    async def _set_ladder(self, room: Room, owner: str, data: SetLadder) -> dict[str, Any]:
        """Kept here too: a transport that is made later, or on another worker, begins with it."""
        self._links.choose(room, owner, data.ceiling)
        if data.ceiling == TEXT_ONLY:
            await self._forget_transports(room, owner)
        part = room.part_of(owner)
        if part is not None:
            wanted = {"router_id": part.router_id, "owner": owner, "ceiling": data.ceiling}
            await self._routers.quietly(part.router_id, "router.set_ladder", wanted)
        return {}
