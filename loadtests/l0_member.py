"""A member with text alone: what the room's page asks for and hears, in Python, over whatever link it is given."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
import time
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random  # noqa: TID251  moments of a page; never keys
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from folkmoot_server.demo import votes
from folkmoot_server.demo.client import DemoError, Line, Person
from folkmoot_voting import board, casting, challenges, merkle_log, signing
from folkmoot_voting.ballot import ballot_leaf, sealed_hash
from folkmoot_voting.electorate import parse_electorate
from folkmoot_voting.encoding import b64u, unb64u
from folkmoot_voting.manifest import Manifest, check_electorate

PATIENCE_S: Final = 240.0
PAGE_PATIENCE_S: Final = 20.0  # what web_client/src/api/thrift.ts gives a request over a link not known as slow
LEASE_S: Final = 10.0
# web_client/src/state/{live,refetch,meeting}.ts
JUST_S: Final = 20.0
PAUSE_MAX_S: Final = 4.0
RETRY_S: Final = 5.0
COSIGNATURES_LEAST: Final = 3
NOT_MODIFIED: Final = 304
BEYOND: Final = 2**31 - 1
# What Chromium sends with a request of a page besides what Person sends.
BROWSER: Final = {
    "Accept": "*/*",
    "Accept-Encoding": "gzip, deflate",
    "Accept-Language": "en-US,en;q=0.9",
    "Cache-Control": "no-cache",
    "Pragma": "no-cache",
    "Sec-Fetch-Dest": "empty",
    "Sec-Fetch-Mode": "cors",
    "User-Agent": "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Mobile Safari/537.36",
    "sec-ch-ua": '"Chromium";v="140", "Not=A?Brand";v="24"',
    "sec-ch-ua-mobile": "?1",
    "sec-ch-ua-platform": '"Android"',
}
STATE: Final = Path(__file__).resolve().parent.parent / "web_client" / "src" / "state"
_LIST: Final = re.compile(r"const \w*INCOMPLETE\b[^=]*=[^\[]*\[(.*?)\]", re.DOTALL)


def incomplete() -> frozenset[str]:
    """Return the events whose body is not all that a page shows of them, as the pages' own sources list them."""
    found: set[str] = set()
    for name in ("meeting", "motions", "sites"):
        listed = _LIST.search((STATE / f"{name}.ts").read_text())
        if listed is None:
            raise DemoError(f"The pages' {name}.ts has no list of incomplete events.")
        found |= set(re.findall(r'"(\w+)"', listed[1]))
    return frozenset(found)


class Member(Person):
    """One member's page: its requests, its socket, and the snapshot asked for again by the pages' rules."""

    def __init__(self, origin: str, name: str, connector: aiohttp.BaseConnector, meeting: str) -> None:
        """Act as `name` in `meeting` through `connector`."""
        super().__init__(origin, name, connector)
        self._http.headers.update(BROWSER)
        self.meeting = meeting
        self.events: list[dict[str, Any]] = []
        self.frames: dict[int, int] = {}
        self.asked: list[dict[str, Any]] = []
        self.pages: set[str] = set()
        self.connections = 0
        self.snapshots = 0
        self._page: dict[str, Any] = {}
        self._tags: dict[str, tuple[str, bytes]] = {}
        self._needed = 0
        self._loaded_at = -JUST_S
        self._news = asyncio.Event()
        self._life: asyncio.Task[None] | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._wanted = False
        self._incomplete = incomplete()

    def path(self, rest: str = "") -> str:
        """Return an API path of the meeting."""
        return f"/api/meetings/{self.meeting}{rest}"

    async def raw(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """Send one request as a page does, again where a kept connection had just ended; note what it took."""
        headers = {"Origin": self.origin, "Sec-Fetch-Site": "same-origin", "Referer": f"{self.origin}/"}
        tag, known = self._tags.get(path, ("", b"")) if method == "GET" else ("", b"")
        headers |= {"If-None-Match": tag} if tag else {}
        patience, began = aiohttp.ClientTimeout(total=PATIENCE_S), time.monotonic()
        for attempt in (1, 2):
            try:
                async with self._http.request(
                    method, f"{self.origin}{path}", headers=headers, json=body, timeout=patience
                ) as answer:
                    data = await answer.read()
                    packed = answer.headers.get("Content-Encoding", "")
                    status, tag = answer.status, answer.headers.get("ETag", "")
            except aiohttp.ClientOSError:
                if attempt == 2:
                    raise
                continue
            took = round(time.monotonic() - began, 2)
            sent = len(zlib.compress(data, 6)) + 12 if packed else len(data)
            self.asked.append(
                {"path": path, "s": took, "octets": len(data), "encoding": packed, "body": sent, "status": status}
            )
            if status == NOT_MODIFIED:
                return 200, known
            if tag:
                self._tags[path] = (tag, data)
            return status, data
        raise AssertionError("two attempts either answer or raise")

    async def enter(self) -> None:
        """Open the room: the snapshot, the socket, the log, and the list of papers."""
        await self.get("/api/meetings")
        await self.snapshot()
        self._life = asyncio.create_task(self._live())
        seq = int(self._page["seq"])
        await asyncio.gather(
            self.get(self.path(f"/events?after={max(0, seq - 500)}")), self.get(self.path("/papers"))
        )
        await self.until(lambda: self.connections > 0, "the first connection")

    async def check_in(self) -> bytes:
        """Check in by passkey; return the credential's seed."""
        return await votes.check_in(self, self.meeting)

    async def fetch_pages(self, paper: str, version: int) -> tuple[int, int, int]:
        """Fetch the pages of a version that are not here, by their hashes.

        Return how many pages it has, how many were fetched, and in how many octets.

        Raises:
            DemoError: a page is not what its hash says.
        """
        about, before = self.path(f"/papers/{paper}/{version}/pages"), len(self.asked)
        hashes = (await self.get(about))["pages"]
        missing = [number for number, digest in enumerate(hashes, 1) if digest not in self.pages]
        for number in missing:
            _, data = await self.raw("GET", f"{about}/{number}")
            if hashlib.sha256(data).hexdigest() != hashes[number - 1]:
                raise DemoError(f"{self.name}: page {number} is not the one that was named.")
            self.pages.add(hashes[number - 1])
        own = [one for one in self.asked[before:] if one["path"].startswith(f"{about}/")]
        return len(hashes), len(missing), sum(one["body"] for one in own)

    async def confirm_presence(self, presence: str) -> None:
        """Say by passkey that the member is still here."""
        credential = unb64u(self._page["me"]["credential"])
        signed = await self.signed(
            "presence", lambda nonce: challenges.presence(self.meeting, presence, credential, nonce)
        )
        await self.post(self.path(f"/presence/{presence}/confirm"), signed)

    async def leave(self) -> None:
        """Leave the meeting and sign out."""
        await self.post(self.path("/commands"), {"command": "leave"})
        await self.disconnect()
        await self.post("/api/sign-out")

    async def disconnect(self) -> None:
        """End the socket and what is being fetched."""
        for task in (self._life, self._fetching):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._life = self._fetching = None

    async def quiet(self) -> None:
        """Wait until the page fetches nothing by itself."""
        while self._fetching is not None and not self._fetching.done():
            await asyncio.wait({self._fetching})

    async def until(self, ready: Callable[[], bool], what: str) -> None:
        """Wait until something heard makes `ready` true.

        Raises:
            DemoError: it never came.
        """
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not ready():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise DemoError(f"{self.name} waited {PATIENCE_S:.0f} s in vain for {what}.") from None

    def heard(self, kind: str, **body: Any) -> list[dict[str, Any]]:
        """Return the events of a type so far that have these fields."""
        return [
            event
            for event in self.events
            if event["type"] == kind and all(event["body"].get(name) == value for name, value in body.items())
        ]

    async def snapshot(self) -> None:
        """Fetch the snapshot; a page applies to it what it has heard since."""
        found = await self.get(self.path())
        self.snapshots += 1
        self._loaded_at = time.monotonic()
        self._page, self.last_seq = found, max(self.last_seq, found["seq"])
        if found["seq"] >= self._needed:
            self._needed = 0
        self._news.set()

    def reload(self, number: int = 0) -> None:
        """Fetch the snapshot soon; an answer that has reached what was wished for is enough (refetch.ts)."""
        self._needed = max(self._needed, number)
        self._wanted = self._wanted or number == 0
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._fetch())

    async def _fetch(self) -> None:
        pause = 0.0
        while self._wanted or self._needed:
            spread = 0.12 + Random().random() * min(1.5, 0.005 * len(self._page.get("present", ())))
            await asyncio.sleep(max(spread, pause))
            self._wanted, began = False, time.monotonic()
            try:
                await self.snapshot()
                pause = min(PAUSE_MAX_S, time.monotonic() - began)
            except (TimeoutError, aiohttp.ClientError):
                self._wanted, pause = True, RETRY_S

    async def _live(self) -> None:
        wait = 0.5
        while True:
            line = Line(self._take)
            try:
                async with asyncio.timeout(PATIENCE_S):
                    auth = {"ticket": await self.ticket(self.meeting), "after": self.last_seq}
                    await line.connect(self._http, self.origin, auth)
                self.connections += 1
                self._news.set()
                wait = 0.5
                if time.monotonic() - self._loaded_at > JUST_S:
                    self.reload()
                while True:
                    began = time.monotonic()
                    await line.call("lease", {})
                    await asyncio.sleep(max(0.0, LEASE_S - time.monotonic() + began))
            except (DemoError, TimeoutError, aiohttp.ClientError, ConnectionError, TypeError):
                # TypeError: the connection ended before its first text.
                await asyncio.sleep(wait)
                wait = min(8.0, wait * 2)
            finally:
                await line.close()

    def _take(self, text: str) -> None:
        event = json.loads(text[2:])[1]
        if event["seq"] > self.last_seq:
            gap = event["seq"] > self.last_seq + 1
            if gap or self._says_too_little(event):
                self.reload(event["seq"])
            self.last_seq = self.last_seq if gap else event["seq"]
        if event["seq"] in self.frames:
            return
        size = len(text.encode())
        self.frames[event["seq"]] = size + (2 if size < 126 else 4)
        self.events.append(event)
        self._news.set()

    def _says_too_little(self, event: dict[str, Any]) -> bool:
        """Whether the pages fetch the snapshot for an event (`incomplete` of meeting.ts)."""
        kind, body = event["type"], event["body"]
        known = any(one["member"] == body.get("member") for one in self._page.get("present", ()))
        vote = next((one for one in self._page.get("elections", ()) if one["election"] == body.get("election")), {})
        if kind == "MemberReturned":
            return not known
        if kind == "MemberCheckedIn":
            officers = {one["member"] for one in (*self._page["cosigners"], *self._page["deputies"])}
            return bool(body["member"] == self.member or (not known and body["member"] in officers))
        if kind == "ChairTaken":
            return self._page["presiding"] is not None
        if kind == "ElectionClosed" and vote:
            vote["state"] = "closing"
        if kind == "ClosingCosigned":
            return body["cosignatures"] >= COSIGNATURES_LEAST and vote.get("state") in ("closing", "closed")
        if kind == "ResultDeclared":
            return vote.get("result") is None
        return kind in self._incomplete

    # -- voting -------------------------------------------------------------------------------------------------

    async def vote(self, election: str, seed: bytes, choices: Sequence[Sequence[int]]) -> dict[str, Any]:
        """Open the booth, announce and cast as its page does; return the times, the manifest and the leaf."""
        path, times = self.path(f"/elections/{election}"), [time.monotonic()]
        await self.get("/api/session")
        view = await self.get(f"{path}/manifest")
        manifest, me = Manifest.from_json(view["manifest"]), view["me"]
        check_electorate(manifest, view["electorate"])
        if b64u(signing.public_key(seed)) not in {one["credential"] for one in view["electorate"]}:
            raise DemoError(f"{self.name} is not in the electorate of {len(parse_electorate(view['electorate']))}.")
        times.append(time.monotonic())
        standing = casting.Place(me["weight"], me["seq"] + 1, unb64u(me["prev"]))
        draws = casting.SeededDraws(secrets.token_bytes(32))
        sealed = casting.seal(manifest, signing.public_key(seed), choices, draws, standing)
        times.append(time.monotonic())
        await self.post(f"{path}/seals", casting.make_announcement(manifest, seed, sealed_hash(sealed)))
        times.append(time.monotonic())
        ballot = casting.sign_ballot(sealed, seed)
        promise = (await self.post(f"{path}/ballots", {"ballot": ballot}))["promise"]
        board.verify_promise(promise, manifest.server_key)
        times.append(time.monotonic())
        if promise["leaf"] != b64u(ballot_leaf(ballot)):
            raise DemoError(f"{self.name}: the promise is for another ballot.")
        names = ("open_booth_s", "seal_cpu_s", "announce_s", "cast_s")
        steps = {name: round(times[i + 1] - times[i], 2) for i, name in enumerate(names)}
        return {**steps, "whole_s": round(times[-1] - times[0], 2), "manifest": manifest, "leaf": promise["leaf"]}

    async def find_proof(self, manifest: Manifest, leaf: str) -> int:
        """Ask for the proof that the ballot is on the board whenever one is published; return how often it took."""
        path = self.path(f"/elections/{manifest.election}")
        for attempt in range(1, 20):
            published = len(self.heard("BoardPublished", election=manifest.election))
            status, body = await self.raw("GET", f"{path}/inclusion?leaf={quote(leaf)}")
            if status == 200:
                shown = json.loads(body)
                await self.get(f"{path}/board?from={BEYOND}")
                self._verify(manifest, leaf, shown)
                return attempt
            await self.until(partial(self._published_since, manifest, published), "another board")
        raise DemoError(f"{self.name}: the ballot never came to the board.")

    def _published_since(self, manifest: Manifest, seen: int) -> bool:
        return len(self.heard("BoardPublished", election=manifest.election)) > seen

    def _verify(self, manifest: Manifest, leaf: str, shown: dict[str, Any]) -> None:
        note = merkle_log.verify_note(shown["checkpoint"], manifest.board_origin, manifest.server_key)
        proof = [unb64u(one) for one in shown["proof"]]
        size, root = note.checkpoint.size, note.checkpoint.root
        if size != shown["size"] or not merkle_log.verify_inclusion(unb64u(leaf), shown["index"], size, proof, root):
            raise DemoError(f"{self.name}: the proof does not show the ballot.")
