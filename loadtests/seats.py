"""Clients of a room through its signalling: packets of a voice and a camera with real ICE, DTLS and SRTP."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Any, Protocol

from loadtests.streams import rtcp_names
from tests.media.support import CAPABILITIES, LEVEL_ID, MID_ID, audio_parameters, rtp, vp8
from tests.media.test_drain import Link

CONSENT_S = 5.0
VOICE_S, VOICE_SIZE = 0.06, 90
FRAME_SIZE = 1000
PATIENCE_S = 90.0
VIDEO = {
    "mid": "1",
    "codecs": [{"mimeType": "video/VP8", "payloadType": 96, "clockRate": 90000}],
    "headerExtensions": [{"uri": "urn:ietf:params:rtp-hdrext:sdes:mid", "id": MID_ID}],
    "encodings": [{"ssrc": 7001}],
}


async def until(found: Callable[[], object]) -> None:
    """Wait until something is so.

    Raises:
        TimeoutError: it is not, in a minute and a half.
    """
    async with asyncio.timeout(PATIENCE_S):
        while not found():  # noqa: ASYNC110  what is waited for sends no event
            await asyncio.sleep(0.05)


class Signalling(Protocol):
    """What a seat asks: media signalling itself, or a page's way to it."""

    async def join(self, room_id: str, owner: str) -> None:
        """Let a seat use the room."""

    async def handle(self, room_id: str, owner: str, method: str, data: dict[str, Any]) -> dict[str, Any]:
        """Answer one request."""


class Seat:
    """A client of a room: one transport each way as it needs them, real ICE, DTLS and SRTP."""

    def __init__(self, signalling: Signalling, room: str, owner: str) -> None:
        self.signalling, self.room, self.owner = signalling, room, owner
        self.heard = self.sent = 0
        self.wants_key = True
        self._sending: Link | None = None
        self._links: list[Link] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def ask(self, method: str, **data: Any) -> dict[str, Any]:
        """Ask as the page of this seat does."""
        return await self.signalling.handle(self.room, self.owner, method, data)

    def _count(self, _data: bytes) -> None:
        self.heard += 1

    def _on_rtcp(self, compound: bytes) -> None:
        self.wants_key = self.wants_key or any(name in ("PLI", "FIR") for name, _ in rtcp_names(compound))

    def connect_to(self, info: dict[str, Any]) -> Link:
        """Return the transport of this seat that the server has described."""
        return Link(info, self._count)

    async def _open(self, direction: str) -> Link:
        link = self.connect_to(await self.ask("create_transport", direction=direction))
        link.active.on_rtcp = self._on_rtcp
        prints = [{"algorithm": one.algorithm, "value": one.value} for one in link.active.fingerprints]
        dtls = {"role": "client", "fingerprints": prints}
        await self.ask("connect_transport", transport_id=link.id, dtlsParameters=dtls)
        self._links.append(link)
        await link.connect()
        self._tasks.append(asyncio.create_task(self._consent(link)))
        return link

    @staticmethod
    async def _consent(link: Link) -> None:
        while True:
            await asyncio.sleep(CONSENT_S)
            link.active.check()

    async def listen(self) -> None:
        """Hear the slots and see what cameras there are."""
        await self.signalling.join(self.room, self.owner)
        link = await self._open("recv")
        there = await self.ask("list")
        cameras = [one for one in there["producers"] if one["kind"] == "video"]
        for one in [*there["slots"], *cameras]:
            wanted = {"producer_id": one["producer_id"], "rtpCapabilities": CAPABILITIES}
            consumer = await self.ask("consume", transport_id=link.id, **wanted)
            await self.ask("resume_consumer", consumer_id=consumer["id"])

    async def speak(self, ssrc: int) -> None:
        """Send a voice of 12 kbit/s in packets of 60 ms."""
        await self.signalling.join(self.room, self.owner)
        link = self._sending = await self._open("send")
        parameters = {**audio_parameters(), "encodings": [{"ssrc": ssrc}]}
        await self.ask("produce", transport_id=link.id, kind="audio", source="microphone", rtpParameters=parameters)
        self._tasks.append(asyncio.create_task(self._voice(link, ssrc)))

    async def _voice(self, link: Link, ssrc: int) -> None:
        number, due = 0, time.monotonic()
        while True:
            number, due = number + 1, due + VOICE_S
            self.sent += 1
            extensions = {MID_ID: b"0", LEVEL_ID: bytes((20,))}
            payload = secrets.token_bytes(VOICE_SIZE)
            link.active.send_rtp(
                rtp(ssrc=ssrc, sequence=number, timestamp=2880 * number, payload=payload, extensions=extensions)
            )
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def show(self, frames_per_s: float) -> None:
        """Send a camera beside the voice, one packet of 1000 bytes a frame; a key frame when one is asked for."""
        link = self._sending
        assert link is not None
        await self.ask("produce", transport_id=link.id, kind="video", source="camera", rtpParameters=VIDEO)
        self._tasks.append(asyncio.create_task(self._camera(link, frames_per_s)))

    async def _camera(self, link: Link, frames_per_s: float) -> None:
        number, due = 0, time.monotonic()
        while True:
            number, due = number + 1, due + 1 / frames_per_s
            self.sent += 1
            key, self.wants_key = self.wants_key, False
            payload = vp8(key=key, picture=number, tl0=number, body=secrets.token_bytes(FRAME_SIZE))
            stamp = int(number * 90_000 / frames_per_s)
            link.active.send_rtp(
                rtp(
                    ssrc=7001,
                    sequence=number,
                    timestamp=stamp,
                    payload=payload,
                    payload_type=96,
                    marker=True,
                    extensions={MID_ID: b"1"},
                )
            )
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def leave(self) -> None:
        """Stop everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for link in self._links:
            link.close()
