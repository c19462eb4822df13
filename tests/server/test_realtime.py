"""Socket.IO with real clients: tickets, events, resumption, leases, farewells, hostile messages."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import socketio
from tests.server.common import refusal
from tests.server.support import CONNECT_S, House, Socket, at_check_in, connect, serve, ticket_for

from folkmoot_server.domain.identity import TICKET_S
from folkmoot_server.realtime import absence, housekeeping, room, sockets
from folkmoot_server.realtime.connections import BURST, REFUSED_MAX, Bucket
from folkmoot_server.storage import events
from folkmoot_voting.encoding import b64u, unb64u


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with at_check_in(tmp_path, "lan", "jonas", "ana", "paul", "amira", "binh") as running:
        yield running


async def try_connect(house: House, auth: Any, origin: str | None = None) -> str:
    """Return "accepted" or the code of the refusal."""
    told: list[Any] = []
    async with aiohttp.ClientSession() as session:  # a refused client leaves its own one open
        client = socketio.AsyncClient(reconnection=False, http_session=session)
        client.on("connect_error", told.append)
        try:
            await client.connect(
                house.origin,
                headers={"Origin": origin or house.origin},
                auth=auth,
                transports=["websocket"],
                wait_timeout=CONNECT_S,
            )
        except socketio.exceptions.ConnectionError as error:
            return str(told[-1]["data"]["code"]) if told and isinstance(told[-1], dict) else str(error)
        await client.disconnect()
    return "accepted"


async def test_events_arrive_in_order_from_the_number_asked_for(house: House) -> None:
    everything = await connect(house, "binh")
    await everything.until(lambda: len(everything.events) == 4)
    assert everything.kinds() == ["MeetingDrafted", "MeetingConvened", "RollFrozen", "CheckInBegan"]
    rest = await connect(house, "ana", after=3)
    await house.check_in("binh", "ana")
    for heard, first in ((everything, 1), (rest, 4)):
        await heard.until(lambda heard=heard: heard.events[-1:] and heard.events[-1]["seq"] == 6)
        assert [event["seq"] for event in heard.events] == list(range(first, 7))
    arrived = everything.events[-2]["body"]
    assert len(unb64u(arrived.pop("proof"))) == 32
    assert arrived == {"member": house.binh.member, "name": "Binh Tran", "site": "remote"}


async def test_a_client_that_was_away_resumes_without_gap_or_repetition(house: House) -> None:
    first = await connect(house, "binh")
    await first.until(lambda: len(first.events) == 4)
    await first.client.disconnect()

    def many(tx: Any) -> None:
        for number in range(1200):  # more than a page and more than is kept at hand
            events.append(tx, house.meeting, "HandRaised", 1, {"member": f"m{number}"})

    await house.context.database.write(many)
    second = await connect(house, "binh", after=4)
    await house.check_in("binh")
    await second.until(lambda: second.events and second.events[-1]["seq"] == 1205)
    assert [event["seq"] for event in second.events] == list(range(5, 1206))


async def test_a_ticket_opens_one_connection_within_a_minute(house: House) -> None:
    ticket = await ticket_for(house.binh, house.meeting)
    assert await try_connect(house, {"ticket": ticket, "after": 0}) == "accepted"
    assert await try_connect(house, {"ticket": ticket, "after": 0}) == "socket.bad-ticket"
    late = await ticket_for(house.binh, house.meeting)
    house.clock.at += TICKET_S
    assert await try_connect(house, {"ticket": late, "after": 0}) == "socket.bad-ticket"
    assert await try_connect(house, {"ticket": b64u(bytes(32)), "after": 0}) == "socket.bad-ticket"
    fresh = await ticket_for(house.binh, house.meeting)
    assert await try_connect(house, {"ticket": fresh, "after": 99}) == "socket.unknown-number"
    signed_out = await ticket_for(house.binh, house.meeting)
    await house.binh.post("/api/sign-out")
    assert await try_connect(house, {"ticket": signed_out, "after": 0}) == "session.none"


async def test_malformed_connects_are_refused(house: House) -> None:
    ticket = await ticket_for(house.binh, house.meeting)
    bad: list[Any] = [
        None,
        {},
        {"ticket": ticket},
        {"ticket": ticket, "after": "0"},
        {"ticket": ticket, "after": -1},
        {"ticket": ticket, "after": 0, "more": 1},
        {"ticket": 7, "after": 0},
        {"ticket": "x", "after": 0},
        [ticket, 0],
    ]
    for auth in bad:
        assert await try_connect(house, auth) == "input.malformed", auth
    assert await try_connect(house, {"ticket": ticket, "after": 0}) == "accepted"


async def test_foreign_origins_and_polling_are_refused(house: House) -> None:
    ticket = await ticket_for(house.binh, house.meeting)
    assert await try_connect(house, {"ticket": ticket, "after": 0}, "https://evil.example") != "accepted"
    async with aiohttp.ClientSession() as browser:
        url = f"{house.origin}/socket.io/?EIO=4&transport="
        polling = await browser.get(url + "polling", headers={"Origin": house.origin})
        assert polling.status == 400
        foreign = await browser.get(url + "websocket", headers={"Origin": "https://evil.example"})
        assert foreign.status == 400
        async with browser.ws_connect(url + "websocket", headers={"Origin": house.origin}) as own:  # the control
            assert (await own.receive_str()).startswith("0{")
    assert await try_connect(house, {"ticket": ticket, "after": 0}) == "accepted"


async def test_leases_are_for_members_who_checked_in(house: House) -> None:
    heard = await connect(house, "binh")
    assert (await heard.call("lease", {}))["error"]["code"] == "attendance.not-checked-in"
    await house.check_in("binh")
    first = await heard.call("lease", {})
    assert first["ok"]["epoch"] == 1
    assert first["ok"]["seq"] == (await house.view("binh"))["seq"]
    assert (await heard.call("lease", {}))["ok"]["epoch"] == 1
    newer = await connect(house, "binh")
    assert (await newer.call("lease", {}))["ok"]["epoch"] == 2
    assert (await heard.call("lease", {}))["error"]["code"] == "attendance.lease-superseded"
    await newer.client.disconnect()
    async with asyncio.timeout(20):
        while "ok" not in (again := await heard.call("lease", {})):  # until the server has seen the newer tab close
            assert again["error"]["code"] == "attendance.lease-superseded"
    assert again["ok"]["epoch"] == 3
    for bad in ({"x": 1}, None, [], 1, "x"):
        assert (await heard.call("lease", bad))["error"]["code"] == "input.malformed"


async def test_a_lease_keeps_the_session_alive(house: House) -> None:
    await house.check_in("binh")
    heard = await connect(house, "binh")
    for _ in range(3):
        house.clock.at += 20 * 60
        assert "ok" in await heard.call("lease", {})
    await house.binh.get("/api/session")


async def test_the_scheduler_ends_lost_intervals_and_the_next_lease_opens_one(house: House) -> None:
    await house.check_in("binh")
    heard = await connect(house, "binh")
    await heard.call("lease", {})
    house.clock.at += house.settings.lease_lost_s
    await heard.until(lambda: "MemberDeparted" in heard.kinds())
    assert "ok" in await heard.call("lease", {})
    await heard.until(lambda: "MemberReturned" in heard.kinds())


async def test_removal_says_goodbye_and_disconnects(house: House) -> None:
    await house.check_in("lan", "binh")
    heard, other = await connect(house, "binh"), await connect(house, "ana")
    await heard.call("lease", {})
    await house.command("lan", "remove", member=house.binh.member)
    await heard.until(lambda: heard.gone)
    assert [told["code"] for told in heard.goodbyes] == ["meeting.removed"]
    assert heard.kinds()[-1] == "MemberRemoved"
    await other.until(lambda: "MemberRemoved" in other.kinds())
    assert not other.gone
    assert await refusal(house.binh, "/api/socket-ticket", {"meeting": house.meeting}) == (403, "meeting.removed")


async def test_a_ticket_from_before_the_removal_is_worth_nothing(house: House) -> None:
    await house.check_in("lan", "binh")
    ticket = await ticket_for(house.binh, house.meeting)
    await house.command("lan", "remove", member=house.binh.member)
    assert await try_connect(house, {"ticket": ticket, "after": 0}) == "meeting.removed"


async def test_signing_out_ends_the_sockets(house: House) -> None:
    heard, other = await connect(house, "binh"), await connect(house, "ana")
    await house.binh.post("/api/sign-out")
    await heard.until(lambda: heard.gone)
    assert [told["code"] for told in heard.goodbyes] == ["session.ended"]
    assert not other.gone


async def test_losing_the_right_to_read_ends_the_sockets(house: House) -> None:
    heard = await connect(house, "binh")
    listed = {m["name"]: m for m in (await house.jonas.get("/api/members"))["members"]}
    for role in listed["Binh Tran"]["roles"]:
        await house.jonas.post(f"/api/grants/{role['id']}/end")
    keeper = house.realtime._housekeeping
    keeper._ticks = housekeeping.RIGHTS_EVERY - 2  # almost a minute later
    await heard.until(lambda: heard.gone)
    assert [told["code"] for told in heard.goodbyes] == ["role.ended"]


async def test_media_is_for_members_in_the_room(tmp_path: Path) -> None:
    async with at_check_in(tmp_path, "lan", "jonas", "ana", "paul", "amira", "binh", media_worker=True) as house:
        heard = await connect(house, "binh")
        ask = {"method": "capabilities", "data": {}}
        assert (await heard.call("media", ask))["error"]["code"] == "media.not-checked-in"
        await house.check_in("lan", "binh")
        assert "ok" in await heard.call("media", ask)
        made = await heard.call("media", {"method": "create_transport", "data": {"direction": "recv"}})
        assert "ok" in made
        await house.command("lan", "mute", member=house.binh.member)
        await heard.until(lambda: {"event": "muted", "data": {"muted": True}} in heard.media)
        newer = await connect(house, "binh")
        assert "ok" in await newer.call("media", ask)
        assert (await heard.call("media", ask))["error"]["code"] == "media.elsewhere"
        assert "ok" in await newer.call("media", ask)
        await house.command("binh", "leave")
        assert (await newer.call("media", ask))["error"]["code"] in ("media.not-in-room", "media.not-checked-in")
        bad: list[Any] = [
            {},
            {"method": "x"},
            {"method": 1, "data": {}},
            {"method": "capabilities", "data": []},
            {**ask, "x": 1},
        ]
        for message in bad:
            assert (await heard.call("media", message))["error"]["code"] == "input.malformed", message
        await house.check_in("binh")
        again = await connect(house, "binh")
        assert (await again.call("media", {"method": "nothing", "data": {}}))["error"][
            "code"
        ] == "media.unknown-method"
        await house.command("lan", "remove", member=house.binh.member)
        await again.until(lambda: again.gone)


@pytest.mark.parametrize("meant", [True, False])
async def test_a_connection_that_breaks_keeps_the_members_media_and_one_that_ends_does_not(
    tmp_path: Path, meant: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(absence, "HELD_IF_CLOSED_S", 2.0)

    async def transports(house: House) -> int:
        found = await house.context.media.report(house.meeting, house.binh.member)
        return len(found["transports"])

    async def let_go(house: House) -> None:
        async with asyncio.timeout(60):
            while any(found["members"] for found in house.context.media.figures()):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)

    async with at_check_in(tmp_path, "lan", "jonas", "ana", "paul", "amira", "binh", media_worker=True) as house:
        await house.check_in("lan", "binh")
        heard = await connect(house, "binh")
        assert "ok" in await heard.call("media", {"method": "capabilities", "data": {}})
        made = await heard.call("media", {"method": "create_transport", "data": {"direction": "recv"}})
        if meant:
            await heard.client.disconnect()
            await let_go(house)
            return
        await heard.client.eio.ws.close()
        await heard.until(lambda: heard.gone)
        assert await transports(house) == 1
        back = await connect(house, "binh")
        listed = await back.call("media", {"method": "list", "data": {}})
        assert listed["ok"]["transports"] == [made["ok"]["id"]]
        assert await transports(house) == 1
        await back.client.eio.ws.close()
        await let_go(house)


async def test_commands_are_answered_while_no_media_worker_runs(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "FOLLOW_S", 0.2)
    await house.check_in("lan", "binh")
    heard = await connect(house, "binh")
    waiting = asyncio.create_task(heard.call("media", {"method": "capabilities", "data": {}}))
    await house.command("lan", "mute", member=house.binh.member)
    await house.command("lan", "set-floor-mode", mode="chaired")
    assert "ok" in await heard.call("lease", {})  # a room that cannot be had costs nobody the attendance
    await house.command("binh", "leave")
    assert not waiting.done()
    waiting.cancel()


async def test_unknown_messages_are_answered_with_a_code(house: House) -> None:
    heard = await connect(house, "binh")
    assert (await heard.call("vote", {"x": 1}))["error"]["code"] == "socket.unknown-event"
    assert (await heard.call("lease", b"\x00\x01"))["error"]["code"] == "input.malformed"


async def test_a_flood_is_refused_and_then_ended(house: House) -> None:
    heard = await connect(house, "binh")
    codes = [(await heard.call("flood", {}))["error"]["code"] for _ in range(BURST + 50)]
    assert codes[0] == "socket.unknown-event"
    assert "socket.too-fast" in codes
    for _ in range(REFUSED_MAX + 200):
        if heard.gone:
            break
        await heard.client.emit("flood", {})
    await heard.until(lambda: heard.gone)
    assert [told["code"] for told in heard.goodbyes] == ["socket.too-fast"]


def test_the_bucket_refills() -> None:
    bucket = Bucket(0.0, burst=2, per_s=1.0)
    assert [bucket.take(0.0) for _ in range(3)] == [True, True, False]
    assert [bucket.take(1.0), bucket.take(1.0)] == [True, False]
    assert bucket.refused == 2


async def test_the_oldest_of_too_many_sockets_gives_way(house: House) -> None:
    first = await connect(house, "binh")
    for _ in range(sockets.PER_MEMBER_MAX):
        newest = await connect(house, "binh")
    await first.until(lambda: first.gone)
    assert [told["code"] for told in first.goodbyes] == ["socket.too-many"]
    assert not newest.gone


async def test_silent_sessions_are_closed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "CONNECT_S", 1.0)
    talker = await connect(house, "binh")
    async with aiohttp.ClientSession() as browser:
        url = f"{house.origin}/socket.io/?EIO=4&transport=websocket"
        async with browser.ws_connect(url, headers={"Origin": house.origin}) as silent:
            assert (await silent.receive_str()).startswith("0{")
            async with asyncio.timeout(14):
                while not silent.closed:
                    message = await silent.receive()
                    if message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.ERROR):
                        break
    assert "error" in await talker.call("lease", {})
    assert not talker.gone


async def test_hostile_packets_end_nothing_but_their_own_connection(house: House) -> None:
    talker = await connect(house, "binh")
    hostile = [
        "9",
        "4",
        "49",
        "4{",
        "42",
        "42[]",
        "42[1]",
        '42["lease"',
        "43[]",
        '451-["lease",{"_placeholder":true,"num":9}]',
        "44",
        "40{",
        "40/other,",
        '40{"ticket":"x","after":0}',
        "4" + "[" * 5000,
        "x" * 70_000,
    ]
    async with aiohttp.ClientSession() as browser:
        for packet in hostile:
            url = f"{house.origin}/socket.io/?EIO=4&transport=websocket"
            async with browser.ws_connect(url, headers={"Origin": house.origin}) as bad:
                await bad.receive_str()
                await bad.send_str(packet)
                await bad.send_bytes(b"\x00\xff")
    assert (await talker.call("lease", {}))["error"]["code"] == "attendance.not-checked-in"


async def test_counters_come_at_most_once_a_second(house: House) -> None:
    heard: Socket = await connect(house, "binh")

    async def accept(count: int) -> None:
        body = {"election": "e", "count": count}
        await house.context.database.write(lambda tx: events.append(tx, house.meeting, "BallotAccepted", 1, body))

    loop = asyncio.get_running_loop()
    began = loop.time()
    for count in range(1, 41):
        await accept(count)
    await heard.until(lambda: heard.counters and heard.counters[-1]["cast"] == 40)
    elapsed = loop.time() - began
    assert len(heard.counters) <= 2 + int(elapsed)
    assert heard.counters[-1] == {"election": "e", "cast": 40}
    assert heard.kinds().count("BallotAccepted") == 40


async def test_a_stream_of_counts_leaves_no_accident(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts come faster than they are sent; still one sender, the newest count last, an empty table."""
    heard: Socket = await connect(house, "binh")
    realtime, pause_s = house.realtime, 0.02
    accidents: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, what: accidents.append(what))
    monkeypatch.setattr(sockets, "COUNTER_EVERY_S", 3 * pause_s)
    for count in range(1, 31):
        realtime._count(house.meeting, "e", count, None)
        await asyncio.sleep(pause_s)
    await heard.until(lambda: heard.counters and heard.counters[-1]["cast"] == 30)
    await asyncio.sleep(20 * pause_s)
    assert len(heard.counters) < 30
    assert not realtime._counts
    gc.collect()  # a task's forgotten exception is told when the task goes
    assert accidents == []


async def test_a_restart_lets_clients_resume(tmp_path: Path) -> None:
    async with at_check_in(tmp_path, "lan", "jonas", "ana", "paul", "amira", "binh") as before:
        await before.check_in("binh")
        heard = await connect(before, "binh")
        await heard.until(lambda: len(heard.events) == 5)
        await before.realtime.close()
        await heard.until(lambda: heard.gone)
        assert [told["code"] for told in heard.goodbyes] == ["server.stopping"]
        people, before.people = before.people, {}
    async with serve(tmp_path, port=before.settings.port) as after:
        after.people, after.meeting = people, before.meeting  # sessions outlive the restart
        again = await connect(after, "binh", after=3)
        await again.until(lambda: len(again.events) == 2)
        assert [event["seq"] for event in again.events] == [4, 5]
        assert "ok" in await again.call("lease", {})
        await after.command("binh", "raise-hand")
        await again.until(lambda: again.events[-1]["type"] == "HandRaised")
        assert again.events[-1]["seq"] == 6
