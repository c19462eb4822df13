"""Debian's Janus under the load generator: the videoroom plugin over the HTTP transport, nothing else loaded."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any

import aiohttp
from loadtests.clients import Peer

from folkmoot_media.transport.aiortc_adapter import Fingerprint

ROOM = 1
TUNED_EVENT_LOOPS = 2
START_TIMEOUT = 15.0
ANSWER_TIMEOUT = 20.0
UPSTREAM_BITRATE = 4_000_000
_LIBRARIES = Path("/usr/lib")
_MISSING = "there is no janus here: apt-get install janus (Debian's package, 1.1.2 in Debian 12)"

_MAIN = """general: {{
  configs_folder = "{folder}"
  plugins_folder = "{folder}/plugins"
  transports_folder = "{folder}/transports"
  events_folder = "{folder}/none"
  loggers_folder = "{folder}/none"
  debug_level = 2
  session_timeout = 0
  {loops}
}}
media: {{ ipv6 = false }}
nat: {{
  ice_lite = true
  ice_enforce_list = "{address}"
}}
"""
_HTTP = """general: {{
  json = "compact"
  base_path = "/janus"
  http = true
  ip = "127.0.0.1"
  port = {port}
}}
admin: {{ admin_http = false }}
"""


class JanusError(RuntimeError):
    """Janus did not do what it was asked."""


def media_lines(kind: str, ssrc: int = 0) -> list[str]:
    """Return the SDP lines that say what one section sends: VP8 with NACK and RTX, or Opus with its level."""
    if kind == "audio":
        lines = [
            "a=rtpmap:111 opus/48000/2",
            "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
            "a=extmap:10 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        ]
    else:
        lines = [
            "a=rtpmap:96 VP8/90000",
            "a=rtcp-fb:96 nack",
            "a=rtcp-fb:96 nack pli",
            "a=rtcp-fb:96 ccm fir",
            "a=rtcp-fb:96 goog-remb",
            "a=rtpmap:97 rtx/90000",
            "a=fmtp:97 apt=96",
            "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
        ]
    return [*lines, f"a=ssrc:{ssrc} cname:load"] if ssrc else lines


def session(peer: Peer, port: int, kind: str, media: list[str], direction: str, mid: str = "0") -> str:
    """Return our half of the SDP exchange: DTLS client, one section, one candidate."""
    print_ = next(found for found in peer.active.fingerprints if found.algorithm == "sha-256")
    types = "111" if kind == "audio" else "96 97"
    lines = [
        *("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {mid}"),
        *(f"m={kind} 9 UDP/TLS/RTP/SAVPF {types}", "c=IN IP4 127.0.0.1"),
        *(f"a=ice-ufrag:{peer.active.fragment}", f"a=ice-pwd:{peer.password}"),
        *(f"a=fingerprint:sha-256 {print_.value}", "a=setup:active", f"a=mid:{mid}", f"a={direction}", "a=rtcp-mux"),
        *media,
        *(f"a=candidate:1 1 udp 2130706431 {peer.address} {port} typ host", "a=end-of-candidates"),
    ]
    return "\r\n".join(lines) + "\r\n"


def _find(pattern: str, sdp: str) -> str:
    found = re.search(pattern, sdp, re.MULTILINE)
    if found is None:
        raise JanusError(f"Janus's description has no {pattern}")
    return found.group(1).strip()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Janus:
    """One Janus process; `tuned` gives it two event loops in the place of a thread for each client."""

    def __init__(self, tuned: bool, address: str, port: int) -> None:
        self.name = "janus-tuned" if tuned else "janus"
        self._tuned = tuned
        self._address = address
        self._port = port
        self._folder = tempfile.TemporaryDirectory(prefix="folkmoot-janus-")
        self._process: asyncio.subprocess.Process | None = None
        self._http: aiohttp.ClientSession | None = None
        self._url = ""
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._poll: asyncio.Task[None] | None = None
        self._feeds: list[int] = []

    @property
    def pid(self) -> int:
        """Janus's process."""
        assert self._process is not None
        return self._process.pid

    def _configure(self, http_port: int) -> Path:
        """Write the configuration into a folder in which only what is needed can be loaded."""
        folder = Path(self._folder.name)
        for kind, name in (("plugins", "libjanus_videoroom.so"), ("transports", "libjanus_http.so")):
            library = next(_LIBRARIES.glob(f"*/janus/{kind}/{name}"), None)
            if library is None:
                raise JanusError(_MISSING)
            (folder / kind).mkdir()
            (folder / kind / name).symlink_to(library)
        (folder / "none").mkdir()
        loops = f"event_loops = {TUNED_EVENT_LOOPS}" if self._tuned else ""
        (folder / "janus.jcfg").write_text(_MAIN.format(folder=folder, address=self._address, loops=loops))
        (folder / "janus.transport.http.jcfg").write_text(_HTTP.format(port=http_port))
        (folder / "janus.plugin.videoroom.jcfg").write_text("general: { }\n")
        return folder

    async def start(self) -> None:
        """Start Janus and make a room.

        Raises:
            JanusError: it is not installed or does not answer.
        """
        program = shutil.which("janus")
        if program is None:
            raise JanusError(_MISSING)
        port = _free_port()
        folder = self._configure(port)
        with (folder / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                program, "-F", str(folder), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._http = aiohttp.ClientSession()
        self._url = f"http://127.0.0.1:{port}/janus"
        await self._wait_for_answers(folder)
        created = await self._post("", {"janus": "create"})
        self._url += f"/{created['data']['id']}"
        self._poll = asyncio.create_task(self._listen())
        handle = await self._attach()
        room = {"request": "create", "room": ROOM, "publishers": 6, "bitrate": UPSTREAM_BITRATE}
        await self._ask(handle, {**room, "videocodec": "vp8", "audiocodec": "opus"})

    async def _wait_for_answers(self, folder: Path) -> None:
        assert self._http is not None
        assert self._process is not None
        end = asyncio.get_running_loop().time() + START_TIMEOUT
        while True:
            try:
                async with self._http.get(f"{self._url}/info") as answer:
                    await answer.read()
                return
            except aiohttp.ClientError:
                gone = self._process.returncode is not None
                if gone or asyncio.get_running_loop().time() > end:
                    tail = (folder / "log").read_text(errors="replace")[-500:]
                    raise JanusError(f"Janus does not answer: {tail}") from None
                await asyncio.sleep(0.05)

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        assert self._http is not None
        async with self._http.post(self._url + path, json={"transaction": secrets.token_hex(6), **body}) as answer:
            found: dict[str, Any] = await answer.json(content_type=None)
        if found.get("janus") == "error":
            raise JanusError(str(found["error"]))
        return found

    async def _listen(self) -> None:
        """Take Janus's events and hand each answer to whoever waits for it."""
        assert self._http is not None
        while True:
            async with self._http.get(self._url, params={"maxev": "20"}) as answer:
                events = await answer.json(content_type=None)
            for event in events if isinstance(events, list) else [events]:
                future = self._waiting.pop(event.get("transaction", ""), None)
                if future is not None and not future.done():
                    future.set_result(event)

    async def _attach(self) -> str:
        answer = await self._post("", {"janus": "attach", "plugin": "janus.plugin.videoroom"})
        return f"/{answer['data']['id']}"

    async def _ask(
        self, handle: str, body: dict[str, Any], jsep: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], str]:
        """Send the plugin a request; return its data and, if it gave one, its session description."""
        transaction = secrets.token_hex(6)
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[transaction] = future
        message: dict[str, Any] = {"janus": "message", "transaction": transaction, "body": body}
        if jsep is not None:
            message["jsep"] = jsep
        answer = await self._post(handle, message)
        if answer["janus"] == "ack":
            answer = await asyncio.wait_for(future, ANSWER_TIMEOUT)
        else:
            self._waiting.pop(transaction)
        data: dict[str, Any] = answer["plugindata"]["data"]
        if "error" in data:
            raise JanusError(str(data["error"]))
        return data, answer.get("jsep", {}).get("sdp", "")

    async def _connect(self, peer: Peer, sdp: str) -> None:
        target = _find(r"^a=candidate:\S+ 1 udp \d+ (\S+ \d+) typ host", sdp).split()
        digest = Fingerprint("sha-256", _find(r"^a=fingerprint:sha-256 (\S+)", sdp))
        fragment, password = _find(r"^a=ice-ufrag:(\S+)", sdp), _find(r"^a=ice-pwd:(\S+)", sdp)
        peer.was_checked = False
        await peer.connect((target[0], int(target[1])), fragment, password, [digest])

    async def publish(self, peer: Peer, kind: str) -> None:
        """Connect a client that sends its microphone or camera."""
        handle = await self._attach()
        joined, _ = await self._ask(handle, {"request": "join", "ptype": "publisher", "room": ROOM})
        offer = session(peer, self._port, kind, media_lines(kind, peer.ssrc), "sendonly")
        _, answer = await self._ask(handle, {"request": "publish"}, {"type": "offer", "sdp": offer})
        await self._connect(peer, answer)
        self._feeds.append(joined["id"])

    async def subscribe(self, peer: Peer, kind: str) -> None:
        """Connect a client that receives the first thing published."""
        handle = await self._attach()
        join = {"request": "join", "ptype": "subscriber", "room": ROOM, "streams": [{"feed": self._feeds[0]}]}
        _, offer = await self._ask(handle, join)
        mid = _find(r"^a=mid:(\S+)", offer)
        answer = session(peer, self._port, kind, media_lines(kind), "recvonly", mid)
        await self._ask(handle, {"request": "start"}, {"type": "answer", "sdp": answer})
        group = re.search(r"^a=ssrc-group:FID (\d+) (\d+)", offer, re.MULTILINE)
        first, second = group.groups() if group else (_find(r"^a=ssrc:(\d+)", offer), "0")
        peer.add_stream(kind, int(first), int(second))
        await self._connect(peer, offer)

    async def faults(self) -> int:
        """Return 0: Janus tells nobody."""
        return 0

    async def close(self) -> None:
        """Stop Janus."""
        if self._poll is not None:
            self._poll.cancel()
            await asyncio.gather(self._poll, return_exceptions=True)
        if self._http is not None:
            await self._http.close()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), 5.0)
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
        self._folder.cleanup()
