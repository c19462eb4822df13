"""Carries out what the table of pipes says is due, until every producer stands everywhere in its room."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Coroutine
from typing import Any

from folkmoot_media.errors import MediaError
from folkmoot_server.realtime.media_notices import Notices
from folkmoot_server.realtime.media_pipes import Close, Edge, Join, Mirror, Pause, Step
from folkmoot_server.realtime.media_rooms import ProducerEntry, Room
from folkmoot_server.sfu_client import MediaPool

logger = logging.getLogger(__name__)

RETRY = 0.5
TRIES = 40
# On one machine nothing is lost for long.
PATIENCE = 10
# What comes right by itself, or whose cause is told by an event of its own.
_PASSING = frozenset(
    {
        "media.unavailable",
        "media.timeout",
        "media.draining",
        "media.no-such-router",
        "media.no-such-pipe",
        "media.no-such-producer",
        "media.pipe-loop",
    }
)


class PipeDesk:
    """Joins the routers of each room and lets producers cross.

    Args:
        pool: the workers.
        notices: told when a producer comes to a part of a room or is gone from it.
    """

    def __init__(self, pool: MediaPool, notices: Notices) -> None:
        self._pool = pool
        self._notices = notices
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Stop."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def settle_soon(self, room: Room) -> None:
        """Something has changed: see that every producer of the room stands everywhere."""
        if (room.settling is None or room.settling.done()) and room.pipes.due():
            room.settling = self.begin(self._settle(room))

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let something be done until this desk is closed."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # -- what is gone -----------------------------------------------------------------------------------------

    def forget_node(self, room: Room, node: str) -> None:
        """A router or a site is gone, with its pipes and with what came from it."""
        dropped = room.pipes.drop_node(node)
        for producer_id in dropped.producers:
            room.producers.pop(producer_id, None)
        for edge in dropped.edges:
            self._end_edge(room, edge)
        self._vanish(room, dropped.places)
        self.settle_soon(room)

    def drop_edge(self, room: Room, edge: Edge) -> None:
        """A pipe is gone or no longer wanted; another is made where both ends are here."""
        if room.pipes.edges.get(edge.node) is not edge:
            return
        places = room.pipes.drop_edge(edge.node)
        self._end_edge(room, edge)
        self._vanish(room, places)
        self.settle_soon(room)

    def _end_edge(self, room: Room, edge: Edge) -> None:
        site = room.sites.get(edge.node)
        if site is not None and site.pipe_id == edge.near_pipe:
            for producer_id in room.pipes.from_node(edge.node):
                room.pipes.unpublish(producer_id)
                room.producers.pop(producer_id, None)
            site.begin(None)
        self.begin(self._close_pipe(edge.centre, edge.near_pipe))
        if edge.far_pipe is not None:
            self.begin(self._close_pipe(edge.node, edge.far_pipe))

    async def _close_pipe(self, router_id: str, pipe_id: str) -> None:
        try:
            await self._pool.request(router_id, "pipe.close", {"pipe_id": pipe_id})
        except MediaError as error:
            logger.debug("pipe.close: %s", error.code)

    def _vanish(self, room: Room, places: list[tuple[str, str]]) -> None:
        for producer_id, node in places:
            part = room.part_at(node)
            if part is not None:
                self._notices.vanish(room, part, producer_id)

    def on_pipe_state(self, room: Room, data: dict[str, Any]) -> None:
        """Take a worker's `pipe_state`."""
        if data["state"] in ("lost", "closed"):
            edge = room.pipes.edge_of(str(data["pipe_id"]))
            if edge is not None:
                logger.info("a pipe of a room is %s: %s", data["state"], data["reason"])
                self.drop_edge(room, edge)

    def tell_paused(self, room: Room, entry: ProducerEntry) -> None:
        """A producer of a site is paused, or goes on."""
        self._notices.paused(room, entry)

    def on_closed(self, room: Room, node: str, producer_id: str) -> None:
        """A worker has closed a mirrored producer."""
        room.pipes.note_gone(producer_id, node)
        self._vanish(room, [(producer_id, node)])
        self.settle_soon(room)

    # -- what is due ------------------------------------------------------------------------------------------

    async def _settle(self, room: Room) -> None:
        tries = 0
        while (steps := room.pipes.due()) and tries < TRIES:
            held_up = False
            for step in steps:
                try:
                    await self._carry_out(room, step)
                except MediaError as error:
                    logger.info("%s of a room's pipes: %s", type(step).__name__, error.code)
                    if isinstance(step, Mirror) and error.code not in _PASSING:
                        room.pipes.refuse(step)
                    else:
                        held_up = True
            if held_up:
                tries += 1
                await asyncio.sleep(RETRY)

    async def _carry_out(self, room: Room, step: Step) -> None:
        if isinstance(step, Join):
            await self._join(room, step.node)
        elif isinstance(step, Mirror):
            await self._mirror(room, step)
        elif isinstance(step, Pause):
            await self._pause(room, step)
        else:
            await self._close(room, step)

    async def _join(self, room: Room, node: str) -> None:
        """Make a pipe from a router to the centre."""
        centre = room.pipes.centre
        if centre is None or room.part_at(node) is None or node in room.pipes.edges:
            return
        edge = Edge(node, centre, secrets.token_hex(16), secrets.token_hex(16))
        options = {"patience": PATIENCE, "redundancy": []}
        ends = ((centre, edge.near_pipe, "answer"), (node, edge.far_pipe, "offer"))
        try:
            answer, offer = [
                await self._pool.request(
                    router_id, "pipe.create", {"router_id": router_id, "pipe_id": end, "side": side, **options}
                )
                for router_id, end, side in ends
            ]
            await self._pool.request(
                centre, "pipe.connect", {"pipe_id": edge.near_pipe, "dtlsParameters": offer["dtlsParameters"]}
            )
            here = {**answer["iceCandidates"][0], "ip": self._pool.settings.dial_ip}
            await self._pool.request(
                node,
                "pipe.connect",
                {
                    "pipe_id": edge.far_pipe,
                    "dtlsParameters": answer["dtlsParameters"],
                    "iceParameters": answer["iceParameters"],
                    "iceCandidates": [here],
                },
            )
        except MediaError:
            self._end_edge(room, edge)
            raise
        if room.pipes.centre == centre and room.part_at(node) is not None:
            room.pipes.set_edge(edge)
        else:
            self._end_edge(room, edge)

    @staticmethod
    def _end_at(edge: Edge, node: str) -> str | None:
        return edge.near_pipe if node == edge.centre else edge.far_pipe

    async def _mirror(self, room: Room, step: Mirror) -> None:
        entry = room.producers.get(step.producer_id)
        if entry is None or room.pipes.edges.get(step.edge.node) is not step.edge:
            return
        announcement = await self._announcement(room, step)
        target = room.sites.get(step.target)
        if target is not None:
            if room.pipes.note_placed(step, bool(announcement["paused"])):
                target.telling.offer(announcement)
            return
        end = self._end_at(step.edge, step.target)
        try:
            await self._pool.request(step.target, "pipe.produce", {"pipe_id": end, "producer": announcement})
        except MediaError as error:
            if error.code == "media.pipe-loop":  # left there by an attempt that was not answered in time
                await self._close(room, Close(step.producer_id, step.target))
            raise
        part = room.part_at(step.target)
        if part is not None and room.pipes.note_placed(step, bool(announcement["paused"])):
            self._notices.appear(room, part, entry)
        else:
            await self._close(room, Close(step.producer_id, step.target))

    async def _announcement(self, room: Room, step: Mirror) -> dict[str, Any]:
        source = room.sites.get(step.source)
        if source is not None:
            found = source.offered.get(step.producer_id)
            if found is None:
                raise MediaError("media.no-such-producer", "The site has withdrawn this producer.")
            return found
        about = {"pipe_id": self._end_at(step.edge, step.source), "producer_id": step.producer_id}
        try:
            answer = await self._pool.request(step.source, "pipe.consume", about)
        except MediaError as error:
            if error.code != "media.pipe-loop":
                raise
            # Offered before, and then not taken over there.
            await self._pool.request(step.source, "pipe.withdraw", about)
            answer = await self._pool.request(step.source, "pipe.consume", about)
        return dict(answer["producer"])

    async def _pause(self, room: Room, step: Pause) -> None:
        site = room.sites.get(step.node)
        if site is not None:
            site.telling.set_paused(step.producer_id, step.paused)
        else:
            method = "producer.pause" if step.paused else "producer.resume"
            about = {"router_id": step.node, "producer_id": step.producer_id}
            await self._pool.request(step.node, method, about)
        room.pipes.note_paused(step)

    async def _close(self, room: Room, step: Close) -> None:
        site = room.sites.get(step.node)
        if site is not None:
            site.telling.withdraw(step.producer_id)
        else:
            about = {"router_id": step.node, "producer_id": step.producer_id}
            try:
                await self._pool.request(step.node, "producer.close", about)
            except MediaError as error:
                if error.code != "media.no-such-producer":
                    raise
        room.pipes.note_gone(step.producer_id, step.node)
        self._vanish(room, [(step.producer_id, step.node)])
