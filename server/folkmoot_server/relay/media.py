"""Sound and picture of a hall: rooms of its own for the hall's phones and screens, and one pipe to the hub.

What the hall hears and sees crosses the link once, however many are there; when the link is cut the room goes on, and
another pipe is made as soon as the hub answers again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from folkmoot_media.errors import MediaError
from folkmoot_server.domain.relays import pipe_hash
from folkmoot_server.realtime.media_links import Notify
from folkmoot_server.realtime.media_signalling import MediaSignalling
from folkmoot_server.realtime.media_sites import Site
from folkmoot_server.relay.hub import HubRefusedError, HubSilentError
from folkmoot_server.sfu_client import MediaPool
from folkmoot_voting import signing
from folkmoot_voting.encoding import JsonObject, b64u

log = logging.getLogger("folkmoot.relay.media")
HUB: Final = "hub"
WAIT_S: Final = 10
# A hub that was restarted behind a cut never answers what it was asked before: ask again before anybody wonders.
HEARD_S: Final = WAIT_S + 5.0
ANSWER_S: Final = 40.0
# How often to look whether the relay has started anew, which replaces the pipe of the start before.
LOOK_S: Final = 1.0
ONCE_MAX: Final = 100
BACKOFF_FIRST_S: Final = 0.5
BACKOFF_LONGEST_S: Final = 5.0
STEADY_S: Final = 10.0


class HubClient(Protocol):
    """How the hub is asked in the relay's own name."""

    async def post(self, path: str, body: JsonObject, *, wait_s: float) -> JsonObject:
        """Send a request and return the answer, as relay.hub.Hub does."""


@dataclass(frozen=True, slots=True)
class Device:
    """Who dials: the relay's id, the epoch of its start, and the 32-byte Ed25519 seed of its key."""

    relay: str
    epoch: int
    seed: bytes


class RelayMedia:
    """The media of one hall, from `start` to `close`.

    Args:
        pool: the relay's own workers, not yet started.
        notify: told what the hall's pages must hear, as for `MediaSignalling`.
        hub: asks the hub.
        room: the meeting's id, by which its room is known here too.
        device: returns who dials now, None while the hub has given no start.

    Attributes:
        signalling: what the hall's pages ask for media.
    """

    def __init__(
        self,
        pool: MediaPool,
        notify: Notify,
        hub: HubClient,
        room: str,
        device: Callable[[], Device | None],
    ) -> None:
        self.signalling = MediaSignalling(pool, notify, hall=True)
        self._pool = pool
        self._hub = hub
        self._room = room
        self._device = device
        self._heard = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the workers, and go on dialling the hub.

        Raises:
            MediaError: a worker could not be started.
        """
        await self._pool.start()
        self._task = asyncio.create_task(self._keep(), name="relay media")

    async def close(self) -> None:
        """Hang up and stop the workers."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.signalling.close()
        await self._pool.close()

    # -- one pipe after the other -----------------------------------------------------------------------------

    async def _keep(self) -> None:
        wait, said = BACKOFF_FIRST_S, ""
        while True:
            try:
                pipe, far, device = await self._dial()
                said, since = "", time.monotonic()
                try:
                    await self._carry(pipe, far, device)
                finally:
                    if time.monotonic() - since > STEADY_S:
                        wait = BACKOFF_FIRST_S
            except (HubSilentError, HubRefusedError, MediaError) as error:
                reason = getattr(error, "code", "hub-silent")
                if reason != said:
                    log.warning("relay.media %s", reason)
                    said = reason
            except Exception as error:  # the edge of a loop that must go on, whatever the hub has answered
                log.error("relay.media accident kind=%s", type(error).__name__)
            await asyncio.sleep(wait)
            wait = min(BACKOFF_LONGEST_S, 2 * wait)

    async def _dial(self) -> tuple[str, str, Device]:
        """Return the ids of both ends of a pipe that is being dialled, and who dials."""
        device = self._device()
        if device is None:
            raise HubSilentError("not started yet")
        offer = await self.signalling.sites.offer(self._room, HUB)
        fingerprints = offer["dtlsParameters"]["fingerprints"]
        signature = signing.sign(device.seed, pipe_hash(device.relay, device.epoch, fingerprints))
        answer = await self._hub.post(
            "/api/relay/pipe", {"fingerprints": fingerprints, "sig": b64u(signature)}, wait_s=ANSWER_S
        )
        link = {name: answer[name] for name in ("dtlsParameters", "iceParameters", "iceCandidates")}
        pipe = await self.signalling.sites.dial(self._room, HUB, {"pipe_id": offer["pipe_id"], **link})
        self._heard = 0
        return pipe, str(answer["pipe"]), device

    async def _carry(self, pipe: str, far: str, device: Device) -> None:
        """Tell and hear until the pipe is gone on either side, or the relay has started anew."""
        tasks = [asyncio.create_task(self._hear(pipe, far)), asyncio.create_task(self._tell(pipe, far, device))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _standing(self, pipe: str) -> Site:
        return self.signalling.sites.standing(self._room, HUB, pipe)[1]

    async def _exchange(self, far: str, within_s: float, **said: Any) -> JsonObject:
        body: JsonObject = {"pipe": far, "offers": [], "withdrawn": [], "heard": None, "wait": 0, **said}
        return await self._hub.post("/api/relay/media", body, wait_s=within_s)

    async def _hear(self, pipe: str, far: str) -> None:
        """Hear what the hub tells, as soon as there is something."""
        while True:
            try:
                answer = await self._exchange(far, HEARD_S, heard=self._heard, wait=WAIT_S)
            except HubSilentError:
                # The pipe may be well; when it is not, its own patience ends it.
                await asyncio.sleep(BACKOFF_FIRST_S)
                continue
            room, site = self.signalling.sites.standing(self._room, HUB, pipe)
            floor = answer.get("floor")
            if floor is not None:
                await self.signalling.follow(self._room, floor)
            await self.signalling.sites.hear(room, site, answer["offers"], answer["withdrawn"])
            self._heard = int(answer["version"])

    async def _tell(self, pipe: str, far: str, device: Device) -> None:
        """Tell the hub what the hall sends, as soon as it changes."""
        told = 0
        while self._device() == device:
            site = self._standing(pipe)
            news = await site.telling.news(told, LOOK_S)
            self._standing(pipe)
            if news["version"] == told:
                continue
            offers, withdrawn = news["offers"], news["withdrawn"]
            while offers or withdrawn:
                piece = {"offers": offers[:ONCE_MAX], "withdrawn": withdrawn[:ONCE_MAX]}
                with contextlib.suppress(HubSilentError):
                    answer = await self._exchange(far, ANSWER_S, **piece)
                    offers, withdrawn = offers[ONCE_MAX:], withdrawn[ONCE_MAX:]
                    for one in answer["refused"]:
                        log.warning("relay.media refused code=%s", one["code"])
                    continue
                await asyncio.sleep(BACKOFF_FIRST_S)
                self._standing(pipe)
            told = int(news["version"])
