"""A hall's relay with workers of its own, joined to a running hub by a pipe that it dials: real HTTP, real UDP."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.media.test_drain import Page, until
from tests.server.support import House, at_check_in

from folkmoot_media.transport.aiortc_adapter import DtlsIdentity
from folkmoot_server.commands import sites
from folkmoot_server.domain.relays import enrol_hash, pipe_hash, plain_code, site_seat, start_hash
from folkmoot_server.realtime.media_links import Audience
from folkmoot_server.realtime.media_signalling import MediaSignalling
from folkmoot_server.relay.hub import Hub, HubRefusedError
from folkmoot_server.relay.media import HUB, Device, RelayMedia
from folkmoot_server.sfu_client import MediaPool, MediaPoolSettings
from folkmoot_server.storage import seats
from folkmoot_voting import signing
from folkmoot_voting.encoding import b64u


class Listener(Page):
    """A seat of any room."""

    def __init__(self, signalling: MediaSignalling, room: str, owner: str, speaks: bool) -> None:
        super().__init__(None, owner, speaks)  # type: ignore[arg-type]
        self.signalling, self.room = signalling, room

    async def ask(self, method: str, **data: Any) -> dict[str, Any]:
        return await self.signalling.handle(self.room, self.owner, method, data)

    async def begin(self) -> Listener:
        await self.signalling.join(self.room, self.owner)
        await self.build()
        if self.speaks:
            self.start(self.speak())
        return self

    async def hears(self) -> None:
        """Wait until something new is heard."""
        before = self.heard
        await until(lambda: self.heard > before + 5)


@dataclass
class Valley:
    """A meeting at a hub, and a hall with an enrolled relay whose media has not begun."""

    house: House
    site: str
    relay: str
    seed: bytes
    hub: Hub
    epoch: int
    folder: Path
    media: list[RelayMedia]
    pages: list[Listener]
    told: list[tuple[Audience, str, dict[str, Any]]]
    pool: MediaPool

    @property
    def seat(self) -> str:
        return site_seat(self.site)

    @property
    def meeting(self) -> str:
        return self.house.meeting

    @property
    def at_hub(self) -> MediaSignalling:
        return self.house.context.media

    @property
    def here(self) -> MediaSignalling:
        return self.media[-1].signalling

    def device(self) -> Device:
        return Device(self.relay, self.epoch, self.seed)

    async def begin(self) -> None:
        """Start the relay's media and wait for its pipe."""

        def notify(_room: str, whom: Audience, event: str, data: dict[str, Any]) -> None:
            self.told.append((whom, event, data))

        self.pool = MediaPool(MediaPoolSettings(self.folder / "relay", workers=1))
        media = RelayMedia(self.pool, notify, self.hub, self.meeting, self.device)
        self.media.append(media)
        await media.start()
        await self.piped()

    async def piped(self) -> str:
        """Wait until the hub has this relay's pipe; return its end there."""
        await until(lambda: self.at_hub.sites.pipe_of(self.meeting, self.seat) is not None)
        await until(lambda: self.here.sites.pipe_of(self.meeting, HUB) is not None)
        pipe = self.at_hub.sites.pipe_of(self.meeting, self.seat)
        assert pipe is not None
        return pipe

    async def at_the_hub(self, owner: str, speaks: bool) -> Listener:
        page = await Listener(self.at_hub, self.meeting, owner, speaks).begin()
        self.pages.append(page)
        return page

    async def in_the_hall(self, owner: str, speaks: bool) -> Listener:
        page = await Listener(self.here, self.meeting, owner, speaks).begin()
        self.pages.append(page)
        return page

    async def at_site(self, name: str) -> str:
        """Let a member who is present be at the hall; return the id."""
        member = self.house.people[name].member

        def move(tx: Any) -> None:
            seat = seats.find(tx, self.meeting, member)
            assert seat is not None
            seats.save(tx, replace(seat, site=self.site))

        await self.house.context.database.write(move)
        return member

    def known_at_hub(self) -> dict[str, str]:
        """Return owner and kind of what stands in the hub's room."""
        (part,) = self.at_hub._rooms[self.meeting].parts
        return {entry.owner: entry.kind for entry in part.producers.values()}

    async def pipes_at_hub(self) -> list[dict[str, Any]]:
        pool = self.at_hub.sites.pool
        return [pipe for stats in await pool.stats() for pipe in stats["pipes"]]


async def enrol(house: House, site: str, seed: bytes) -> str:
    """Enrol a key as the relay of a site, and return its id."""
    stranger = house.stranger()
    code = plain_code((await house.lan.post(house.path(f"/sites/{site}/relay-code"), {"origin": ""}))["code"])
    key = signing.public_key(seed)
    body = {"code": code, "key": b64u(key), "sig": b64u(signing.sign(seed, enrol_hash(code, key)))}
    return str((await stranger.post("/api/relay/enrol", body))["relay"])


async def begin_epoch(house: House, relay: str, seed: bytes, epoch: int = 0) -> dict[str, Any]:
    nonce, at = secrets.token_bytes(32), house.clock.at
    body = {"relay": relay, "at": at, "nonce": b64u(nonce), "epoch": epoch, "upto": 0}
    sig = signing.sign(seed, start_hash(relay, at, nonce, epoch, 0))
    return dict(await house.stranger().post("/api/relay/start", {**body, "sig": b64u(sig)}))


@pytest_asyncio.fixture
async def valley(tmp_path: Path) -> AsyncIterator[Valley]:
    (tmp_path / "hub").mkdir()
    async with at_check_in(tmp_path / "hub", media_worker=True) as house:
        await house.check_in("lan", "binh", "greta")
        wanted = sites.Wanted("Upper hall", "", 20, 64)
        site = await house.context.database.write(
            lambda tx: sites.add(
                tx, house.meeting, house.lan.member, wanted, now=house.clock.at, rng=secrets.token_bytes
            )
        )
        seed = secrets.token_bytes(32)
        relay = await enrol(house, site, seed)
        started = await begin_epoch(house, relay, seed)
        hub = Hub(house.origin, lambda: None)
        hub.token, hub.trusted = str(started["token"]), True
        made = Valley(house, site, relay, seed, hub, int(started["epoch"]), tmp_path, [], [], [], None)  # type: ignore[arg-type]
        try:
            yield made
        finally:
            for page in made.pages:
                await page.leave()
            for media in made.media:
                await media.close()
            await hub.close()


async def test_a_hall_hears_the_hub_and_is_heard_while_it_has_the_floor(valley: Valley) -> None:
    house = valley.house
    await valley.begin()
    lan = await valley.at_the_hub(house.lan.member, speaks=True)
    listener = await valley.at_the_hub(house.greta.member, speaks=False)
    phone = await valley.in_the_hall("phone", speaks=False)
    await phone.hears()
    microphone = await valley.in_the_hall(valley.seat, speaks=True)
    await until(lambda: valley.known_at_hub() == {house.lan.member: "audio", valley.seat: "audio"})
    # Only the hall's microphone sounds from now on.
    for task in lan._tasks:
        task.cancel()
    await until(lambda: microphone._sequence > 50)
    assert all(data["owner"] != valley.seat for data in slots_of(valley.at_hub, valley.meeting))
    heard = listener.heard
    await house.command("lan", "grant-floor", member=valley.seat)
    await listener.hears()
    assert listener.heard > heard
    assert any(data["owner"] == valley.seat for data in slots_of(valley.at_hub, valley.meeting))
    view = await house.view("lan")
    assert view["speaking"]["now"]["name"] == "Upper hall"
    await house.command("lan", "withdraw-floor", member=valley.seat)
    await until(lambda: all(data["owner"] != valley.seat for data in slots_of(valley.at_hub, valley.meeting)))


def slots_of(signalling: MediaSignalling, room: str) -> list[dict[str, Any]]:
    return signalling._rooms[room].parts[0].slots


async def test_in_a_hall_one_microphone_is_open_at_a_time(valley: Valley) -> None:
    house = valley.house
    await valley.begin()
    greta = await valley.at_site("greta")
    room, near = valley.at_hub._rooms[valley.meeting], valley.here._rooms[valley.meeting]
    await valley.in_the_hall(valley.seat, speaks=True)
    phone = await valley.in_the_hall(greta, speaks=False)
    # Who has the floor and does not open a phone's microphone is heard by the hall's.
    await house.command("lan", "grant-floor", member=greta)
    await until(lambda: {valley.seat, greta} - near.silenced == {valley.seat})
    await until(lambda: valley.seat in valley.known_at_hub() and valley.seat not in room.silenced)
    phone.speaks = True
    await phone.build()
    await until(lambda: {valley.seat, greta} - near.silenced == {greta})
    await until(lambda: {valley.seat, greta} <= valley.known_at_hub().keys())
    assert valley.seat in room.silenced
    for granted, open_one in ((valley.seat, valley.seat), (greta, greta)):
        await house.command("lan", "grant-floor", member=granted)
        await until(lambda who=open_one: {valley.seat, greta} - near.silenced == {who})
        assert {valley.seat, greta} - room.silenced == {open_one}
        muted = (await valley.here.handle(valley.meeting, open_one, "capabilities", {}))["muted"]
        assert muted is False
    await house.command("lan", "withdraw-floor", member=greta)
    await until(lambda: {valley.seat, greta} <= near.silenced)


async def test_a_phone_that_comes_to_the_hub_by_itself_is_one_of_its_hall(valley: Valley) -> None:
    house = valley.house
    await valley.begin()
    greta, binh = await valley.at_site("greta"), house.binh.member
    room = valley.at_hub._rooms[valley.meeting]
    await valley.in_the_hall(valley.seat, speaks=True)
    await until(lambda: valley.seat in valley.known_at_hub())
    await valley.at_the_hub(binh, speaks=True)  # the control: at home, and heard throughout
    phone = await valley.at_the_hub(greta, speaks=False)
    all_three = {valley.seat, greta, binh}
    await house.command("lan", "grant-floor", member=greta)
    await until(lambda: all_three - room.silenced == {valley.seat, binh})
    phone.speaks = True
    await phone.build()
    await until(lambda: all_three - room.silenced == {greta, binh})
    await house.command("lan", "grant-floor", member=valley.seat)
    await until(lambda: all_three - room.silenced == {valley.seat, binh})
    await house.command("lan", "withdraw-floor", member=valley.seat)
    await until(lambda: all_three - room.silenced == {binh})


async def test_a_hall_that_was_lost_is_silent_until_somebody_there_is_given_the_floor_again(valley: Valley) -> None:
    """Who spoke when the hall was lost has the floor no more; pictures and the pipe know nothing of that."""
    house = valley.house
    await valley.begin()
    greta, lost_s = await valley.at_site("greta"), house.settings.site_lost_s
    near, far = valley.here._rooms[valley.meeting], valley.at_hub._rooms[valley.meeting]
    listener = await valley.at_the_hub(house.lan.member, speaks=False)
    await valley.in_the_hall(valley.seat, speaks=True)

    async def lease() -> None:
        await valley.hub.post("/api/relay/lease", {"here": [greta], "upto": 0})

    async def there(wanted: bool) -> None:
        def present(tx: Any) -> bool:
            return greta in {seat.member for seat in seats.present(tx, valley.meeting)}

        async with asyncio.timeout(60):
            while await house.context.database.read(present) is not wanted:  # noqa: ASYNC110  a database is asked
                await asyncio.sleep(0.01)

    await lease()
    await house.command("lan", "grant-floor", member=greta)
    await listener.hears()
    house.clock.at += lost_s - 1
    await lease()
    house.clock.at += lost_s - 1  # silent for less than it takes: as before
    await listener.hears()
    house.clock.at += 1
    await there(False)
    await until(lambda: valley.seat in near.silenced and valley.seat in far.silenced)
    await lease()
    await there(True)
    assert valley.seat in near.silenced
    assert valley.seat in far.silenced
    await house.command("lan", "grant-floor", member=greta)
    await until(lambda: valley.seat not in near.silenced)
    await listener.hears()


async def test_a_relay_brings_only_its_own_hall_and_who_is_there(valley: Valley) -> None:
    house = valley.house
    await valley.begin()
    pipe = await valley.piped()
    binh, greta = house.binh.member, await valley.at_site("greta")

    async def offer(producer: str, owner: str, ssrc: int) -> list[dict[str, Any]]:
        told = {"producer_id": producer, "owner": owner, "kind": "audio", "source": "microphone", "paused": False}
        offers = [{**told, "codec": "audio/opus", "encodings": [{"ssrc": ssrc, "rtx_ssrc": None}]}]
        body = {"pipe": pipe, "offers": offers, "withdrawn": [], "heard": None, "wait": 0}
        answer = await valley.hub.post("/api/relay/media", body)
        return list(answer["refused"])

    assert await offer("p1", binh, 5001) == [{"producer_id": "p1", "code": "media.not-yours"}]
    assert await offer("p2", site_seat("other"), 5002) == [{"producer_id": "p2", "code": "media.not-yours"}]
    assert await offer("p3", greta, 5003) == []
    await until(lambda: valley.known_at_hub() == {greta: "audio"})
    # Nobody takes a producer over, and who has gone elsewhere is no longer heard from here.
    assert await offer("p3", valley.seat, 5004) == [{"producer_id": "p3", "code": "media.not-yours"}]

    def away(tx: Any) -> None:
        seat = seats.find(tx, valley.meeting, greta)
        assert seat is not None
        seats.save(tx, replace(seat, site="remote"))

    await house.context.database.write(away)
    assert await offer("p4", valley.seat, 5005) == []
    await until(lambda: valley.known_at_hub() == {valley.seat: "audio"})


async def test_only_the_relays_own_key_opens_a_pipe(valley: Valley) -> None:
    prints = [{"algorithm": one.algorithm, "value": one.value} for one in DtlsIdentity().fingerprints]
    for seed, epoch in ((secrets.token_bytes(32), valley.epoch), (valley.seed, valley.epoch + 1)):
        sig = signing.sign(seed, pipe_hash(valley.relay, epoch, prints))
        with pytest.raises(HubRefusedError) as refusal:
            await valley.hub.post("/api/relay/pipe", {"fingerprints": prints, "sig": b64u(sig)})
        assert (refusal.value.status, refusal.value.code) == (403, "relay.pipe")
    sig = signing.sign(valley.seed, pipe_hash(valley.relay, valley.epoch, prints))
    answer = await valley.hub.post("/api/relay/pipe", {"fingerprints": prints, "sig": b64u(sig)})
    assert answer["iceParameters"]["iceLite"] is True
    body = {"pipe": "another", "offers": [], "withdrawn": [], "heard": 0, "wait": 0}
    with pytest.raises(HubRefusedError) as refusal:
        await valley.hub.post("/api/relay/media", body)
    assert (refusal.value.status, refusal.value.code) == (409, "media.no-such-pipe")
    told = await valley.hub.post("/api/relay/media", {**body, "pipe": answer["pipe"]})
    assert told["floor"]["mode"] == "open"


async def test_a_revoked_relay_loses_its_pipe_at_once(valley: Valley) -> None:
    house = valley.house
    await valley.begin()
    await valley.at_the_hub(house.lan.member, speaks=False)
    await valley.in_the_hall(valley.seat, speaks=True)
    await until(lambda: valley.seat in valley.known_at_hub())
    (standing,) = await valley.pipes_at_hub()
    assert standing["state"] == "connected"
    await house.lan.post(house.path(f"/sites/{valley.site}/relay-revoke"), {})
    async with asyncio.timeout(60):
        while await valley.pipes_at_hub():  # noqa: ASYNC110  a worker is asked
            await asyncio.sleep(0.01)
    assert valley.known_at_hub() == {}
    with pytest.raises(HubRefusedError) as refusal:
        await valley.hub.post("/api/relay/media", {"pipe": "x", "offers": [], "withdrawn": [], "heard": 0, "wait": 0})
    assert refusal.value.code == "relay.revoked"


@pytest.mark.parametrize("side", ["hub", "relay"])
async def test_after_a_dead_worker_the_relay_dials_again(valley: Valley, side: str) -> None:
    house = valley.house
    await valley.begin()
    before = await valley.piped()
    lan = await valley.at_the_hub(house.lan.member, speaks=True)
    phone = await valley.in_the_hall("phone", speaks=False)
    await phone.hears()
    pool = valley.at_hub.sites.pool if side == "hub" else valley.pool
    os.kill(pool.pids[0], signal.SIGKILL)
    await until(lambda: valley.at_hub.sites.pipe_of(valley.meeting, valley.seat) not in (None, before))
    await valley.piped()
    await until(_has_part(valley.at_hub, valley.meeting, lan.owner))
    await until(_has_part(valley.here, valley.meeting, phone.owner))
    await (lan if side == "hub" else phone).build()
    await phone.hears()


async def test_a_new_start_of_the_relay_replaces_the_pipe_and_the_hall_hears_on(valley: Valley) -> None:
    house = valley.house
    await valley.begin()
    before = await valley.piped()
    await valley.at_the_hub(house.lan.member, speaks=True)
    phone = await valley.in_the_hall("phone", speaks=False)
    await phone.hears()
    started = await begin_epoch(house, valley.relay, valley.seed, valley.epoch)
    valley.epoch, valley.hub.token = int(started["epoch"]), str(started["token"])
    await until(lambda: valley.at_hub.sites.pipe_of(valley.meeting, valley.seat) not in (None, before))
    await valley.piped()
    await phone.hears()
    (standing,) = await valley.pipes_at_hub()
    assert standing["state"] == "connected"


async def test_a_hub_that_has_forgotten_the_pipe_is_dialled_again(valley: Valley) -> None:
    """What a hub knows of pipes ends with its process, while its workers and the link live on."""
    house = valley.house
    await valley.begin()
    before = await valley.piped()
    phone = await valley.in_the_hall("phone", speaks=False)
    await valley.at_hub.close_room(valley.meeting)
    await until(lambda: valley.at_hub.sites.pipe_of(valley.meeting, valley.seat) not in (None, before))
    await valley.at_the_hub(house.lan.member, speaks=True)
    await phone.hears()


async def test_while_no_hub_answers_the_hall_has_its_room_and_one_pipe_waits(tmp_path: Path) -> None:
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))  # ours and not listened on: nobody else answers there
    hub = Hub(f"http://127.0.0.1:{taken.getsockname()[1]}", lambda: None)
    hub.trusted = True  # before it fell silent
    tries: list[int] = []

    def device() -> Device:
        tries.append(1)
        return Device("relay", 1, bytes(32))

    pool = MediaPool(MediaPoolSettings(tmp_path / "relay", workers=1))
    media = RelayMedia(pool, lambda *_: None, hub, "meeting", device)
    await media.start()
    page = Listener(media.signalling, "meeting", "phone", speaks=False)
    try:
        await page.begin()
        await until(lambda: len(tries) > 3)
        assert len((await page.ask("list"))["slots"]) == 4
        waiting = 0
        async with asyncio.timeout(60):
            while waiting == 0:  # one is closed before the next is opened
                (stats,) = await pool.stats()
                waiting = len(stats["pipes"])
        assert waiting == 1
    finally:
        await page.leave()
        await media.close()
        await hub.close()
        taken.close()


def _has_part(signalling: MediaSignalling, room: str, owner: str) -> Callable[[], bool]:
    return lambda: signalling._rooms[room].part_of(owner) is not None
