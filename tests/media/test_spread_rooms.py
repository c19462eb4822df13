"""One room on two real workers, joined by a pipe: who is heard, who is silent, and what a worker's death takes."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.media.support import CAPABILITIES, video_parameters
from tests.media.test_drain import PATIENCE, Page, until

from folkmoot_media.errors import MediaError
from folkmoot_server.realtime.media_links import Audience, reaches
from folkmoot_server.realtime.media_signalling import MediaSignalling
from folkmoot_server.sfu_client import MediaPool, MediaPoolSettings

ROOM = "hall"


class Hall:
    """A room with one seat per router, on two workers: anna is in the middle of the star, bela is not."""

    def __init__(self, run_dir: Path, seats_per_router: int = 1) -> None:
        settings = MediaPoolSettings(run_dir, workers=2, seats_per_router=seats_per_router)
        self.pool = MediaPool(settings)
        self.signalling = MediaSignalling(self.pool, self._notify)
        self.told: list[tuple[Audience, str, dict[str, Any]]] = []
        self.news = asyncio.Event()
        self.pages: dict[str, Page] = {}

    def _notify(self, _room: str, whom: Audience, event: str, data: dict[str, Any]) -> None:
        self.told.append((whom, event, data))
        self.news.set()

    async def told_to(self, seat: str, event: str, after: int = 0, **wanted: Any) -> int:
        """Wait until a seat is told something; return how much had been told then."""
        async with asyncio.timeout(PATIENCE):
            while True:
                self.news.clear()
                for index, (whom, name, data) in enumerate(self.told[after:], after):
                    if name == event and reaches(whom, seat) and wanted.items() <= data.items():
                        return index + 1
                await self.news.wait()

    def heard_of(self, seat: str, event: str) -> list[dict[str, Any]]:
        return [data for whom, name, data in self.told if name == event and reaches(whom, seat)]

    async def page(self, owner: str, speaks: bool) -> Page:
        """Let a seat join and build its transport."""
        await self.signalling.join(ROOM, owner)
        page = self.pages[owner] = Page(self, owner, speaks)  # type: ignore[arg-type]
        await page.build()
        return page

    async def ask(self, owner: str, method: str, **data: Any) -> dict[str, Any]:
        return await self.signalling.handle(ROOM, owner, method, data)

    def router_of(self, owner: str) -> str:
        part = self.signalling._rooms[ROOM].part_of(owner)
        assert part is not None
        return part.router_id

    async def pid_of(self, owner: str) -> int:
        """Return the worker that serves a seat: the one whose pipe says so."""
        router = self.router_of(owner)
        for stats in await self.pool.stats():
            if any(pipe["router_id"] == router for pipe in stats["pipes"]):
                return int(stats["pid"])
        raise AssertionError("no worker has a pipe in this router")

    async def hears(self, page: Page) -> None:
        """Wait until a page hears something new."""
        before = page.heard
        await until(lambda: page.heard > before + 5)


@asynccontextmanager
async def hall_of(run_dir: Path, seats_per_router: int = 1) -> AsyncIterator[Hall]:
    hall = Hall(run_dir, seats_per_router)
    await hall.pool.start()
    try:
        yield hall
    finally:
        for page in hall.pages.values():
            await page.leave()
        await hall.signalling.close()
        await hall.pool.close()


async def test_who_is_on_another_worker_hears_and_is_told_the_slots_of_the_own_router(tmp_path: Path) -> None:
    async with hall_of(tmp_path / "run") as hall:
        anna, bela = await hall.page("anna", speaks=True), await hall.page("bela", speaks=False)
        assert hall.router_of("anna") != hall.router_of("bela")
        assert [stats["routers"] for stats in await hall.pool.stats()] == [1, 1]
        anna.start(anna.speak())
        await hall.hears(bela)
        slots = (await hall.ask("bela", "list"))["slots"]
        assert {slot["owner"] for slot in slots} == {None, "anna"}
        others = (await hall.ask("anna", "list"))["slots"]
        assert {slot["producer_id"] for slot in slots}.isdisjoint(slot["producer_id"] for slot in others)
        spoken = [whom for whom, event, data in hall.told if event == "slot_speaker" and data["owner"] == "anna"]
        assert frozenset({"bela"}) in spoken
        assert hall.signalling.figures()[0]["routers"] == 2


async def test_without_the_pipe_nobody_hears_across(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with hall_of(tmp_path / "run") as hall:
        monkeypatch.setattr(hall.signalling._pipes, "settle_soon", lambda _room: None)
        anna, bela = await hall.page("anna", speaks=True), await hall.page("bela", speaks=False)
        anna.start(anna.speak())
        # Anna is heard where she is, so her voice has come so far.
        await hall.told_to("anna", "slot_speaker", owner="anna")
        ciro = await hall.page("ciro", speaks=False)
        assert hall.router_of("ciro") == hall.router_of("anna")
        await hall.hears(ciro)
        assert bela.heard == 0


async def test_a_camera_appears_pauses_and_goes_for_everybody(tmp_path: Path) -> None:
    async with hall_of(tmp_path / "run") as hall:
        for owner in ("anna", "bela"):
            await hall.signalling.join(ROOM, owner)
        transport = (await hall.ask("bela", "create_transport", direction="send"))["id"]
        said = {"kind": "video", "source": "camera", "rtpParameters": video_parameters()}
        camera = (await hall.ask("bela", "produce", transport_id=transport, **said))["id"]
        await hall.told_to("anna", "new_producer", producer_id=camera, owner="bela")
        receiver = (await hall.ask("anna", "create_transport", direction="recv"))["id"]
        wanted = {"producer_id": camera, "rtpCapabilities": CAPABILITIES}
        consumer = await hall.ask("anna", "consume", transport_id=receiver, **wanted)
        assert consumer["producerId"] == camera
        await hall.ask("bela", "pause_producer", producer_id=camera)
        await hall.told_to("anna", "producer_paused", producer_id=camera, paused=True)
        late = await hall.page("ciro", speaks=False)
        assert [one["paused"] for one in (await late.ask("list"))["producers"]] == [True]
        await hall.ask("bela", "close_producer", producer_id=camera)
        await hall.told_to("anna", "producer_closed", producer_id=camera, source="camera")
        assert (await hall.ask("anna", "list"))["producers"] == []
        with pytest.raises(MediaError) as refusal:
            await hall.ask("anna", "resume_consumer", consumer_id=consumer["id"])
        assert refusal.value.code == "media.not-yours"
        assert len(hall.heard_of("anna", "new_producer")) == 1


async def test_floor_and_mute_hold_on_every_router(tmp_path: Path) -> None:
    async with hall_of(tmp_path / "run") as hall:
        anna, bela = await hall.page("anna", speaks=True), await hall.page("bela", speaks=False)
        anna.start(anna.speak())
        await hall.hears(bela)
        for silence, sound in (
            (lambda: hall.signalling.mute(ROOM, "anna", True), lambda: hall.signalling.mute(ROOM, "anna", False)),
            (
                lambda: hall.signalling.set_floor(ROOM, "chaired", ["bela"], []),
                lambda: hall.signalling.set_floor(ROOM, "chaired", ["bela"], ["anna"]),
            ),
        ):
            before = len(hall.told)
            await silence()
            after = await hall.told_to("bela", "slot_speaker", before, owner=None)
            heard = bela.heard
            sent = anna._sequence
            await until(lambda sent=sent: anna._sequence > sent + 25)
            # What was on its way when the slot was emptied.
            assert bela.heard < heard + 10
            await sound()
            await hall.told_to("bela", "slot_speaker", after, owner="anna")
            await hall.hears(bela)
        await hall.signalling.remove(ROOM, "anna")
        await hall.told_to("bela", "producer_closed", owner="anna")


@pytest.mark.parametrize("victim", ["anna", "bela"])
async def test_a_dead_worker_takes_only_its_own_part(tmp_path: Path, victim: str) -> None:
    other = "bela" if victim == "anna" else "anna"
    async with hall_of(tmp_path / "run") as hall:
        anna, bela = await hall.page("anna", speaks=True), await hall.page("bela", speaks=False)
        anna.start(anna.speak())
        await hall.hears(bela)
        kept = hall.router_of(other)
        await hall.signalling.mute(ROOM, "someone", True)
        os.kill(await hall.pid_of(victim), signal.SIGKILL)
        await hall.told_to(victim, "room_reset")
        assert hall.heard_of(other, "room_reset") == []
        assert hall.router_of(other) == kept
        await hall.pages[victim].build()
        if victim == "anna":
            # Bela was told that the first voice is gone, and then of the new one.
            assert len(hall.heard_of("bela", "producer_closed")) == 1
        await hall.hears(bela)


async def test_routers_that_serve_nobody_are_closed(tmp_path: Path) -> None:
    async with hall_of(tmp_path / "run") as hall:
        for owner in ("anna", "bela"):
            await hall.signalling.join(ROOM, owner)
        await hall.signalling.leave(ROOM, "bela")
        assert sorted(stats["routers"] for stats in await hall.pool.stats()) == [0, 1]
        await hall.signalling.join(ROOM, "bela")
        assert [stats["routers"] for stats in await hall.pool.stats()] == [1, 1]
        await hall.signalling.leave(ROOM, "anna")
        # The middle of the star stays while there are others.
        assert [stats["routers"] for stats in await hall.pool.stats()] == [1, 1]
        await hall.signalling.leave(ROOM, "bela")
        assert [stats["routers"] for stats in await hall.pool.stats()] == [0, 0]


async def test_below_the_threshold_a_room_stays_on_one_worker(tmp_path: Path) -> None:
    async with hall_of(tmp_path / "run", seats_per_router=2) as hall:
        for owner in ("anna", "bela", "ciro"):
            await hall.signalling.join(ROOM, owner)
        assert hall.router_of("anna") == hall.router_of("bela") != hall.router_of("ciro")
