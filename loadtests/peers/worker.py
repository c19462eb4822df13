"""Our media worker under the load generator, spoken to as the web process does."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from loadtests.clients import Peer, prints

from folkmoot_media.forwarding.transport_wide import ArrivalLog
from folkmoot_media.rtp_parameters import WIDE_ID, WIDE_URI
from folkmoot_server.sfu_client import MediaPool, MediaPoolSettings

ROUTER = "load"
CAPABILITIES = {
    "codecs": [
        {"kind": "audio", "mimeType": "audio/opus", "clockRate": 48000, "channels": 2},
        {"kind": "video", "mimeType": "video/VP8", "clockRate": 90000},
        {"kind": "video", "mimeType": "video/rtx", "clockRate": 90000, "parameters": {"apt": 101}},
    ]
}
NUMBERED = {
    "codecs": [{**codec, "rtcpFeedback": [{"type": "transport-cc"}]} for codec in CAPABILITIES["codecs"]],
    "headerExtensions": [
        {"kind": kind, "uri": WIDE_URI, "preferredId": WIDE_ID, "direction": "sendrecv"}
        for kind in ("audio", "video")
    ],
}
_MID = {"uri": "urn:ietf:params:rtp-hdrext:sdes:mid", "id": 1}
_LEVEL = {"uri": "urn:ietf:params:rtp-hdrext:ssrc-audio-level", "id": 10}


def _parameters(kind: str, ssrc: int) -> dict[str, Any]:
    codec: dict[str, Any] = {"mimeType": "video/VP8", "payloadType": 96, "clockRate": 90000}
    if kind == "audio":
        codec = {"mimeType": "audio/opus", "payloadType": 111, "clockRate": 48000, "channels": 2}
    extensions = [_MID, _LEVEL] if kind == "audio" else [_MID]
    return {"mid": "0", "codecs": [codec], "headerExtensions": extensions, "encodings": [{"ssrc": ssrc}]}


class Worker:
    """One worker with one room, or a room on one of the workers of `pool`; `backend` names its fan-out back end.

    Where receivers are `numbered` they take transport-wide numbers and answer with feedback on every packet, as
    Chromium does; otherwise they send REMB.
    """

    def __init__(
        self,
        backend: str,
        address: str,
        numbered: bool = False,
        room: str = ROUTER,
        pool: MediaPool | None = None,
    ) -> None:
        self.name = backend
        self.room = room
        self.published: list[str] = []
        self._shared = pool is not None
        self._numbered = numbered
        self._address = address
        self._folder = tempfile.TemporaryDirectory(prefix="folkmoot-load-")
        self._videos: list[str] = []
        self._transports: dict[str, str] = {}
        self._pool = pool

    @property
    def pool(self) -> MediaPool:
        """The running pool."""
        assert self._pool is not None
        return self._pool

    @property
    def pid(self) -> int:
        """The worker's process."""
        (pid,) = self.pool.pids
        return pid

    async def start(self, floor_mode: str = "open") -> None:
        """Start the worker and see that it uses the back end that was asked for.

        Raises:
            RuntimeError: it does not.
        """
        if self._pool is None:
            run = Path(self._folder.name) / "run"
            self._pool = MediaPool(MediaPoolSettings(run, self._address, (self._address,), workers=1, fan=self.name))
            await self._pool.start()
        found = {stats["fan"] for stats in await self._pool.stats()}
        if found != {self.name}:
            raise RuntimeError(f"the worker uses the back end {', '.join(found)}, not {self.name}")
        await self._pool.request(self.room, "router.create", {"router_id": self.room, "floor_mode": floor_mode})

    async def hold_pipe(self) -> None:
        """Open a pipe in the room that nobody comes by, as a hall's relay would: rules rest while there is one."""
        await self.ask("pipe.create", router_id=self.room, side="answer", pipe_id="held")

    async def require_pipe(self) -> None:
        """See that the pipe is still open, which ends when nobody has come by it for ten minutes.

        Raises:
            RuntimeError: it is not, and rules have come back during the run.
        """
        if not (await self.stats())["pipes"]:
            raise RuntimeError("the pipe has ended during the run: fewer or shorter rounds, please")

    async def stats(self) -> dict[str, Any]:
        """Return the worker's own figures."""
        (found,) = await self.pool.stats()
        return found

    async def faults(self) -> int:
        """Return how many exceptions the worker has contained."""
        return int((await self.stats())["contained_errors"])

    async def ask(self, method: str, **data: Any) -> dict[str, Any]:
        """Send one request about the room."""
        return await self.pool.request(self.room, method, data)

    async def join(self, peer: Peer, owner: str, direction: str) -> str:
        """Create a transport, connect a client to it and return its id."""
        info = await self.ask("router.create_transport", router_id=self.room, owner=owner, direction=direction)
        own = [{"algorithm": found.algorithm, "value": found.value} for found in peer.active.fingerprints]
        dtls = {"role": "client", "fingerprints": own}
        await self.ask("transport.connect", transport_id=info["id"], dtlsParameters=dtls)
        ice, candidate = info["iceParameters"], info["iceCandidates"][0]
        await peer.connect(
            (candidate["address"], candidate["port"]),
            ice["usernameFragment"],
            ice["password"],
            prints(info["dtlsParameters"]["fingerprints"]),
        )
        self._transports[peer.address] = info["id"]
        return str(info["id"])

    async def publish(self, peer: Peer, kind: str) -> None:
        """Connect a client that sends its microphone or camera."""
        transport = await self.join(peer, f"pub-{peer.address}", "send")
        answer = await self.ask(
            "transport.produce",
            transport_id=transport,
            kind=kind,
            source="microphone" if kind == "audio" else "camera",
            rtpParameters=_parameters(kind, peer.ssrc),
            paused=False,
        )
        self.published.append(answer["id"])
        if kind == "video":
            self._videos.append(answer["id"])

    async def mirror(self, other: Worker, pipe: str) -> None:
        """Let another room have all that is published here, over a pipe that stands."""
        for producer in self.published:
            told = (await self.ask("pipe.consume", pipe_id=pipe, producer_id=producer))["producer"]
            await other.ask("pipe.produce", pipe_id=pipe, producer=told)
            if told["kind"] == "video":
                other._videos.append(producer)

    async def subscribe(self, peer: Peer, kind: str) -> None:
        """Connect a client that receives the cameras (video), the first voice slot in use (audio), or all (both)."""
        transport = await self.join(peer, f"sub-{peer.address}", "recv")
        await self.consume(peer, transport, kind)

    async def consume(self, peer: Peer, transport: str, kind: str, paused: bool = False) -> None:
        """Receive cameras, voices or both over a transport that stands."""
        if self._numbered:
            peer.arrivals = ArrivalLog()
        wanted = list(self._videos) if kind in ("video", "both") else []
        if kind in ("audio", "both"):
            slots = (await self.ask("router.slots", router_id=self.room))["slots"]
            wanted += [slot["producer_id"] for slot in slots]
        for producer in wanted:
            answer = await self.ask(
                "transport.consume",
                transport_id=transport,
                producer_id=producer,
                rtpCapabilities=NUMBERED if self._numbered else CAPABILITIES,
                paused=paused,
            )
            encoding = answer["rtpParameters"]["encodings"][0]
            peer.add_stream(answer["kind"], encoding["ssrc"], encoding.get("rtx", {}).get("ssrc", 0))

    async def leave(self, peer: Peer) -> None:
        """Close a client's transport."""
        await self.ask("transport.close", transport_id=self._transports.pop(peer.address))

    async def close(self) -> None:
        """Stop the worker."""
        if self._pool is not None and not self._shared:
            await self._pool.close()
        self._folder.cleanup()
