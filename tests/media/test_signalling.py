"""MediaSignalling over a real worker: who may do what, and what everybody is told."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.media.support import CAPABILITIES, IDENTITY, audio_parameters, video_parameters

from folkmoot_media.errors import MediaError
from folkmoot_server.realtime.media_links import Audience
from folkmoot_server.realtime.media_signalling import MediaSignalling
from folkmoot_server.sfu_client import MediaPool, MediaPoolSettings

PRINTS = [{"algorithm": item.algorithm, "value": item.value} for item in IDENTITY.fingerprints]


class Told(list[tuple[str, Audience, str, dict[str, Any]]]):
    """What `notify` was called with."""

    def __call__(self, room: str, owner: Audience, event: str, data: dict[str, Any]) -> None:
        self.append((room, owner, event, data))

    async def wait_for(self, event: str, seconds: float = 10.0) -> dict[str, Any]:
        async with asyncio.timeout(seconds):
            while True:
                for _, _, name, data in self:
                    if name == event:
                        return data
                await asyncio.sleep(0.02)


class Hall:
    """A signalling object, its pool, and what it told."""

    def __init__(self, run_dir: Path) -> None:
        self.pool = MediaPool(MediaPoolSettings(run_dir, workers=1))
        self.told = Told()
        self.signalling = MediaSignalling(self.pool, self.told)

    async def ask(self, owner: str, method: str, room: str = "hall", **data: Any) -> dict[str, Any]:
        return await self.signalling.handle(room, owner, method, data)

    async def refuse(self, owner: str, method: str, room: str = "hall", **data: Any) -> str:
        with pytest.raises(MediaError) as refusal:
            await self.ask(owner, method, room, **data)
        return refusal.value.code

    async def camera(self, owner: str) -> tuple[str, str]:
        """Let a seat send a camera; return the transport's and the producer's id."""
        transport = (await self.ask(owner, "create_transport", direction="send"))["id"]
        parameters = video_parameters()
        producer = await self.ask(
            owner, "produce", transport_id=transport, kind="video", rtpParameters=parameters, source="camera"
        )
        return transport, producer["id"]


@pytest_asyncio.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    fresh = Hall(tmp_path / "run")
    await fresh.pool.start()
    yield fresh
    await fresh.signalling.close()
    await fresh.pool.close()


async def test_a_seat_must_have_joined(hall: Hall) -> None:
    assert await hall.refuse("anna", "capabilities") == "media.not-in-room"
    await hall.signalling.join("hall", "anna")
    found = await hall.ask("anna", "capabilities")
    assert (found["owner"], found["muted"]) == ("anna", False)
    assert await hall.refuse("anna", "capabilities", room="other") == "media.not-in-room"
    assert await hall.refuse("bela", "capabilities") == "media.not-in-room"


MALFORMED: list[tuple[str, dict[str, Any]]] = [
    ("create_transport", {"direction": "send", "more": 1}),
    ("create_transport", {"direction": 1}),
    ("create_transport", {}),
    ("capabilities", {"x": 1}),
    ("produce", {"transport_id": "t", "kind": "video", "source": "camera", "rtpParameters": {"mid": "0"}}),
    ("set_preferred_layers", {"consumer_id": "c", "layer": 99}),
    ("resume_consumer", {"consumer_id": "x" * 1000}),
    ("connect_transport", {"transport_id": "t", "dtlsParameters": {"fingerprints": PRINTS * 5}}),
]


async def test_malformed_requests_are_typed_errors(hall: Hall) -> None:
    await hall.signalling.join("hall", "anna")
    for method, data in MALFORMED:
        assert await hall.refuse("anna", method, **data) == "media.bad-request", method
        for wrong in (None, [], "x", 7):
            with pytest.raises(MediaError) as refusal:
                await hall.signalling.handle("hall", "anna", method, wrong)
            assert refusal.value.code == "media.bad-request"
    assert await hall.refuse("anna", "reboot") == "media.unknown-method"


async def test_what_belongs_to_another_seat_cannot_be_touched(hall: Hall) -> None:
    for owner in ("anna", "mallory"):
        await hall.signalling.join("hall", owner)
    transport, producer = await hall.camera("anna")
    receiver = (await hall.ask("anna", "create_transport", direction="recv"))["id"]
    await hall.camera("mallory")
    other = next(p for p in (await hall.ask("anna", "list"))["producers"] if p["owner"] == "mallory")["producer_id"]
    wanted = {"transport_id": receiver, "rtpCapabilities": CAPABILITIES}
    consumer = (await hall.ask("anna", "consume", producer_id=other, **wanted))["id"]
    attempts: list[tuple[str, dict[str, Any]]] = [
        ("connect_transport", {"transport_id": transport, "dtlsParameters": {"fingerprints": PRINTS}}),
        ("restart_ice", {"transport_id": transport}),
        (
            "produce",
            {
                "transport_id": transport,
                "kind": "audio",
                "rtpParameters": audio_parameters(),
                "source": "microphone",
            },
        ),
        ("consume", {"producer_id": producer, **wanted}),
        ("pause_producer", {"producer_id": producer}),
        ("resume_producer", {"producer_id": producer}),
        ("close_producer", {"producer_id": producer}),
        ("pause_consumer", {"consumer_id": consumer}),
        ("resume_consumer", {"consumer_id": consumer}),
        ("close_consumer", {"consumer_id": consumer}),
        ("set_preferred_layers", {"consumer_id": consumer, "layer": 0}),
    ]
    before = (await hall.pool.stats())[0]["transports"]
    for method, data in attempts:
        assert await hall.refuse("mallory", method, **data) == "media.not-yours", method
    assert (await hall.pool.stats())[0]["transports"] == before
    # The controls: the owner may do each of these.
    for method, data in [*attempts[:3], *attempts[4:6], *attempts[7:9], attempts[10], attempts[9], attempts[6]]:
        await hall.ask("anna", method, **data)


async def test_producers_are_announced_listed_and_withdrawn(hall: Hall) -> None:
    for owner in ("anna", "bela"):
        await hall.signalling.join("hall", owner)
    _, producer = await hall.camera("anna")
    entry = {"producer_id": producer, "owner": "anna", "kind": "video", "source": "camera", "paused": False}
    assert ("hall", None, "new_producer", entry) in hall.told
    listed = await hall.ask("bela", "list")
    assert listed["producers"] == [entry]
    assert [slot["slot"] for slot in listed["slots"]] == [0, 1, 2, 3]
    await hall.signalling.leave("hall", "anna")
    withdrawn = {"producer_id": producer, "owner": "anna", "source": "camera"}
    assert hall.told.count(("hall", None, "producer_closed", withdrawn)) == 1
    assert (await hall.ask("bela", "list"))["producers"] == []


async def test_everybody_is_told_of_a_pause_once(hall: Hall) -> None:
    for owner in ("anna", "bela"):
        await hall.signalling.join("hall", owner)
    _, producer = await hall.camera("anna")
    for method in ("pause_producer", "pause_producer", "resume_producer"):
        await hall.ask("anna", method, producer_id=producer)
    paused = [data["paused"] for _, owner, event, data in hall.told if event == "producer_paused" and owner is None]
    assert paused == [True, False]


async def test_a_new_transport_takes_the_place_of_the_seats_old_one(hall: Hall) -> None:
    for owner in ("anna", "bela"):
        await hall.signalling.join("hall", owner)
        await hall.camera(owner)
    for _ in range(20):
        _, producer = await hall.camera("anna")
        await hall.ask("anna", "create_transport", direction="recv")
    assert (await hall.pool.stats())[0]["transports"] == 3
    listed = (await hall.ask("bela", "list"))["producers"]
    assert [entry["producer_id"] for entry in listed if entry["owner"] == "anna"] == [producer]


async def test_a_seat_that_joins_again_starts_afresh(hall: Hall) -> None:
    await hall.signalling.join("hall", "anna")
    _, first = await hall.camera("anna")
    await hall.signalling.join("hall", "anna")
    assert (await hall.ask("anna", "list"))["producers"] == []
    _, second = await hall.camera("anna")
    assert second != first


async def test_a_seat_whose_connection_comes_back_keeps_what_it_had_until_its_page_begins_anew(hall: Hall) -> None:
    await hall.signalling.join("hall", "anna")
    transport, producer = await hall.camera("anna")
    await hall.signalling.join("hall", "anna", resume=True)
    listed = await hall.ask("anna", "list")
    assert (listed["transports"], listed["muted"]) == ([transport], False)
    assert [one["producer_id"] for one in listed["producers"]] == [producer]
    await hall.ask("anna", "capabilities")
    assert (await hall.ask("anna", "list"))["transports"] == []
    assert (await hall.pool.stats())[0]["transports"] == 0


@pytest.mark.parametrize("order", [("capabilities", "create_transport"), ("create_transport", "capabilities")])
async def test_a_page_that_begins_anew_may_ask_for_its_transport_at_once(hall: Hall, order: tuple[str, str]) -> None:
    await hall.signalling.join("hall", "anna")
    await hall.camera("anna")
    data: dict[str, dict[str, str]] = {"capabilities": {}, "create_transport": {"direction": "recv"}}
    lock = hall.signalling._room("hall").lock
    await lock.acquire()  # somebody else is joining: what has to wait must not be overtaken
    asked = {method: asyncio.create_task(hall.ask("anna", method, **data[method])) for method in order}
    await asyncio.sleep(0.05)
    lock.release()
    made = {method: await task for method, task in asked.items()}["create_transport"]["id"]
    # The control is the other order: what is asked for before is closed.
    kept = [made] if order[0] == "capabilities" else []
    assert (await hall.ask("anna", "list"))["transports"] == kept


async def test_who_reads_along_only_has_nothing_open_any_more(hall: Hall) -> None:
    await hall.signalling.join("hall", "anna")
    await hall.camera("anna")
    await hall.ask("anna", "set_ladder", ceiling=1)
    assert (await hall.pool.stats())[0]["transports"] == 1
    await hall.ask("anna", "set_ladder", ceiling=0)
    assert (await hall.pool.stats())[0]["transports"] == 0


async def test_a_removed_seat_has_no_transports_left(hall: Hall) -> None:
    for owner in ("anna", "bela"):
        await hall.signalling.join("hall", owner)
        await hall.camera(owner)
    await hall.signalling.remove("hall", "anna")
    assert (await hall.pool.stats())[0]["transports"] == 1
    assert await hall.refuse("anna", "create_transport", direction="send") == "media.not-in-room"


async def test_a_room_without_seats_has_no_router(hall: Hall) -> None:
    await hall.signalling.join("hall", "anna")
    await hall.signalling.leave("hall", "anna")
    assert (await hall.pool.stats())[0]["routers"] == 0
    await hall.signalling.join("hall", "anna")
    await hall.signalling.close_room("hall")
    assert (await hall.pool.stats())[0]["routers"] == 0


async def test_mute_all_spares_whom_the_chair_names(hall: Hall) -> None:
    for owner in ("chair", "anna", "bela"):
        await hall.signalling.join("hall", owner)
    await hall.signalling.mute_all("hall", ["chair"])
    assert [(owner, data) for _, owner, event, data in hall.told if event == "muted"] == [
        ("anna", {"muted": True}),
        ("bela", {"muted": True}),
    ]
    assert (await hall.ask("anna", "capabilities"))["muted"]
    assert not (await hall.ask("chair", "capabilities"))["muted"]


async def test_a_killed_worker_means_a_new_router_and_the_floor_as_it_was(hall: Hall) -> None:
    await hall.signalling.join("hall", "anna")
    await hall.camera("anna")
    await hall.signalling.set_floor("hall", "chaired", ["anna"], [])
    await hall.signalling.mute("hall", "bela", True)
    os.kill(hall.pool.pids[0], signal.SIGKILL)
    await hall.told.wait_for("room_reset")
    assert (await hall.ask("anna", "list"))["producers"] == []
    await hall.camera("anna")
    room = hall.signalling._rooms["hall"]
    assert (room.mode, room.chairs, room.muted) == ("chaired", ["anna"], {"bela"})


async def test_a_room_joined_while_no_worker_runs_opens_by_itself(hall: Hall) -> None:
    await hall.signalling.join("hall", "anna")
    os.kill(hall.pool.pids[0], signal.SIGKILL)
    async with asyncio.timeout(10):
        while hall.pool.pids:  # noqa: ASYNC110 - an empty pool sends no event
            await asyncio.sleep(0.01)
    await hall.signalling.join("second", "bela")
    assert (await hall.ask("bela", "capabilities", room="second"))["owner"] == "bela"


async def test_a_seat_that_asks_without_end_is_stopped_and_others_are_not(hall: Hall) -> None:
    for owner in ("anna", "mallory"):
        await hall.signalling.join("hall", owner)
    for _ in range(400):
        await hall.ask("mallory", "list")
    assert await hall.refuse("mallory", "list") == "media.too-many-requests"
    await hall.ask("anna", "list")
