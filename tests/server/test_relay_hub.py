"""Relays at the hub: enrolment, starts, two computers with one key, the feed, other origins, a hub from a backup."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.server import votes_support
from tests.server.common import refusal
from tests.server.relay_support import (
    Relay,
    add_site,
    check_in_by_relay,
    code_for,
    new_relay,
    open_village,
)
from tests.server.votes_support import YES, Hall

from folkmoot_server.demo import votes
from folkmoot_server.demo.client import Person
from folkmoot_server.domain import relays
from folkmoot_server.domain.errors import Refused, WrongState
from folkmoot_server.domain.relays import State, Verb
from folkmoot_voting import challenges
from folkmoot_voting.encoding import b64u, unb64u


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def alerts(hall: Hall) -> list[tuple[str, str]]:
    return [(one["kind"], one["site"]) for one in (await hall.view(hall.chair))["alerts"]]


async def kinds(hall: Hall) -> list[str]:
    found = (await hall.chair.get(hall.path("/events?after=0")))["events"]
    return [event["type"] for event in found if event["type"].startswith("Relay")]


async def test_a_code_enrols_one_key_once_and_a_new_one_ends_the_old_right(
    hall: Hall, http: aiohttp.ClientSession
) -> None:
    await votes_support.convene(hall)
    site = await add_site(hall)
    path = hall.path(f"/sites/{site}/relay-code")
    assert await refusal(hall.plain, path, {"origin": ""}) == (403, "role.missing")
    assert await refusal(hall.chair, hall.path("/sites/remote/relay-code"), {"origin": ""}) == (400, "relay.no-hall")
    assert await refusal(hall.chair, hall.path("/sites/none/relay-code"), {"origin": ""}) == (404, "site.unknown")
    first, second = Relay(hall.settings.public_url, http), Relay(hall.settings.public_url, http)
    code = await code_for(hall, site)
    stale = await code_for(hall, site)
    assert await first.refused("POST", "/api/relay/enrol", first.enrolment(code)) == (403, "relay.code")
    forged = {**first.enrolment(stale), "key": b64u(second.key)}
    assert await first.refused("POST", "/api/relay/enrol", forged) == (403, "relay.code")
    answer = await first.enrol(stale.lower())
    assert {name: answer[name] for name in ("meeting", "site", "origin", "rp_id")} == {
        "meeting": hall.meeting,
        "site": site,
        "origin": "",
        "rp_id": "localhost",
    }
    assert await second.refused("POST", "/api/relay/enrol", second.enrolment(stale)) == (403, "relay.code")
    begun = await first.start(hall.clock())
    assert (begun["epoch"], begun["upto"], begun["head"], begun["roll"]) == (1, 0, "", None)
    await first.lease()
    late = await code_for(hall, site)
    hall.clock.at += relays.CODE_S
    assert await second.refused("POST", "/api/relay/enrol", second.enrolment(late)) == (403, "relay.code")
    hall.clock.at -= relays.CODE_S  # sessions do not last a day
    await second.enrol(await code_for(hall, site))
    await second.start(hall.clock())
    assert await first.refused("POST", "/api/relay/lease", {"here": [], "upto": 0}) == (403, "relay.revoked")
    assert await first.refused("POST", "/api/relay/start", first.start_body(hall.clock())) == (403, "relay.revoked")
    assert await first.refused("POST", "/api/relay/enrol", first.enrolment(await code_for(hall, site))) == (
        403,
        "relay.code",
    )
    revoke = hall.path(f"/sites/{site}/relay-revoke")
    assert await refusal(hall.plain, revoke, {}) == (403, "role.missing")
    await hall.secretary.post(revoke)
    assert await second.refused("POST", "/api/relay/outbox", {"entries": [{}], "left": 0}) == (403, "relay.revoked")
    assert await refusal(hall.chair, revoke, {}) == (404, "relay.none")
    assert await kinds(hall) == ["RelayEnrolled", "RelayRevoked", "RelayEnrolled", "RelayRevoked"]


async def test_each_start_counts_above_the_last_and_two_computers_are_found_out(
    hall: Hall, http: aiohttp.ClientSession
) -> None:
    await votes_support.convene(hall)
    site = await add_site(hall)
    relay = await new_relay(hall, site, http)
    body = relay.start_body(hall.clock())
    forged = {**body, "upto": 5}
    assert await relay.refused("POST", "/api/relay/start", forged) == (403, "relay.unknown")
    old = relay.token
    relay.started(await relay.call("POST", "/api/relay/start", body))
    assert relay.epoch == 2
    assert await relay.refused("POST", "/api/relay/start", body) == (409, "relay.replayed")
    assert (await relay.raw("POST", "/api/relay/lease", {"here": [], "upto": 0}, token=old))[0] == 409
    assert (await relay.raw("POST", "/api/relay/lease", {"here": [], "upto": 0}, token="x"))[0] == 401
    # An answer that was never heard is no second computer: its token did not come back.
    for _ in range(4):
        await relay.call("POST", "/api/relay/start", relay.start_body(hall.clock()))
    assert await alerts(hall) == []
    await relay.start(hall.clock())
    await relay.lease()
    # The same folder on another computer names an older start.
    copy = Relay(relay.origin, http, relay.seed, relay.id, epoch=2)
    await copy.start(hall.clock())
    await copy.lease()
    assert await relay.refused("POST", "/api/relay/lease", {"here": [], "upto": 0}) == (409, "relay.superseded")
    await relay.start(hall.clock())
    await relay.lease()
    assert await alerts(hall) == [("relay-twice", site)]
    assert await copy.refused("POST", "/api/relay/start", copy.start_body(hall.clock())) == (403, "relay.twice")
    assert await relay.refused("POST", "/api/relay/lease", {"here": [], "upto": 0}) == (403, "relay.twice")
    assert (await kinds(hall)).count("RelayTwice") == 3
    await hall.chair.post(hall.path(f"/sites/{site}/relay-revoke"))
    assert await alerts(hall) == []
    await (await new_relay(hall, site, http)).lease()


async def test_a_clock_two_hours_off_is_flagged_and_counts_for_nothing(hall: Hall) -> None:
    async with open_village(hall) as village:
        relay, site, now = village.relay, village.site, hall.clock()
        assert await alerts(hall) == []
        await relay.start(now - 7200)
        assert [event["body"] for event in await hall.events("RelayClock")] == [{"site": site, "off_s": -7200}]
        await hall.chair.post(hall.path(f"/sites/{site}/alerts/dismiss"), {"kind": "relay-clock"})
        await relay.start(now + 60)
        hall.clock.at += 300
        first, second, third = village.there
        await check_in_by_relay(hall, relay, site, first, now + 7200)  # never after its receipt
        await check_in_by_relay(hall, relay, site, second, now - 7200)  # never before the one before it
        assert (await relay.send())["refused"] == []
        assert len(await hall.events("RelayClock")) == 2
        assert await alerts(hall) == [("relay-clock", site)]
        told = [event for event in await hall.events("MemberCheckedIn") if event["body"]["site"] == site]
        assert [event["body"].get("since", event["at"]) for event in told[-2:]] == [now + 300] * 2
        assert told[-1]["body"]["member"] == second.member
        await check_in_by_relay(hall, relay, site, third, now - 7200)
        await relay.send()
        assert len(await hall.events("RelayClock")) == 2  # once a start


async def test_addresses_of_relays_are_named_before_the_roll_and_are_good_with_a_token(
    hall: Hall, http: aiohttp.ClientSession
) -> None:
    await votes_support.convene(hall)
    sites = [await add_site(hall, f"Hall {number}") for number in range(9)]
    path = [hall.path(f"/sites/{site}/relay-code") for site in sites]
    for wrong in ("http://example.org", "https://localhost.org", "ftp://localhost", "http://localhost:1/x", "null"):
        assert await refusal(hall.chair, path[0], {"origin": wrong}) == (422, "relay.origin")
    for number in range(7):
        await code_for(hall, sites[number], f"http://hall{number}.localhost:8443")
    assert await refusal(hall.chair, path[7], {"origin": "http://h7.localhost"}) == (409, "relay.too-many")
    origin = "http://hall0.localhost:8443"
    relay = await new_relay(hall, sites[0], http, origin)
    await votes.freeze_roll(hall.secretary, hall.meeting)
    listed = (await hall.chair.get(hall.path("/roll")))["statement"]["core"]["rp"]["origins"]
    assert listed == [hall.settings.public_url, *(f"http://hall{n}.localhost:8443" for n in range(7))]
    assert await refusal(hall.chair, path[8], {"origin": "http://h8.localhost"}) == (409, "relay.roll-frozen")
    await code_for(hall, sites[8], origin)
    # A page of the hall: its origin counts together with the header of its own relay, and never without.
    body, cookies = {"purpose": "action"}, {"folkmoot": cookie(hall.chair)}

    async def asked(shown: str, token: str | None) -> tuple[int, str]:
        headers = {"Origin": shown, "Sec-Fetch-Site": "same-origin"}
        if token is not None:
            headers["Folkmoot-Relay"] = token
        url = hall.settings.public_url + "/api/nonce"
        async with http.post(url, json=body, headers=headers, cookies=cookies) as answer:
            told = await answer.json()
            return answer.status, "taken" if answer.status == 200 else told["error"]["code"]

    assert await asked(origin, relay.token) == (200, "taken")
    assert await asked(hall.settings.public_url, relay.token) == (200, "taken")
    assert await asked(origin, None) == (403, "origin.refused")
    assert await asked("http://hall1.localhost:8443", relay.token) == (403, "origin.refused")
    # A relay that must start anew, or has: its pages are neither signed out nor refused for good.
    assert await asked(origin, b64u(bytes(32))) == (503, "relay.no-session")
    before = relay.token
    await relay.start(hall.clock.at)
    assert await asked(origin, before) == (503, "relay.superseded")
    assert await asked(origin, relay.token) == (200, "taken")
    await hall.chair.post(hall.path(f"/sites/{sites[0]}/relay-revoke"))
    assert await asked(origin, relay.token) == (403, "relay.revoked")


async def test_a_passkey_answers_at_the_address_of_a_hall_and_only_through_its_relay(
    hall: Hall, http: aiohttp.ClientSession
) -> None:
    await votes_support.convene(hall)
    origin = "http://hall.localhost:8443"
    relay = await new_relay(hall, await add_site(hall), http, origin)
    person, own = hall.plain, hall.plain.authenticator
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin", "Folkmoot-Relay": relay.token}

    async def signed_in(page: str) -> tuple[int, str]:
        url = hall.settings.public_url + "/api/sign-in/"
        async with http.post(url + "begin", json={}, headers=headers) as answer:
            begun = await answer.json()
        own.origin = page
        credential = own.authenticate(challenges.sign_in(begun["rp_id"], unb64u(begun["nonce"])))
        body = {"nonce": begun["nonce"], "credential": credential}
        async with http.post(url + "finish", json=body, headers=headers) as answer:
            told = await answer.json()
            return answer.status, told["member"]["id"] if answer.status == 200 else told["error"]["code"]

    assert await signed_in(origin) == (200, person.member)
    assert (await signed_in("http://other.localhost:8443"))[0] == 422
    headers["Origin"] = hall.settings.public_url
    del headers["Folkmoot-Relay"]
    assert (await signed_in(origin))[0] == 422
    assert await signed_in(hall.settings.public_url) == (200, person.member)


def cookie(person: Person) -> str:
    return next(one.value for one in person._http.cookie_jar if one.key == "folkmoot")


async def test_the_code_of_a_hall_is_taken_from_the_hall_while_its_relay_is_there(hall: Hall) -> None:
    """The code was photographed: whoever is elsewhere does not get in by it, or stands on the chair's page."""
    async with aiohttp.ClientSession() as http:
        await votes_support.convene(hall)
        site = await add_site(hall)
        relay = await new_relay(hall, site, http, "http://hall.localhost:1")
        await votes.freeze_roll(hall.secretary, hall.meeting)
        await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
        await relay.lease()
        code = (await hall.chair.get(hall.path(f"/sites/{site}/code")))["code"]
        begin, body = hall.path("/check-in/begin"), {"site": site, "code": code}
        assert await refusal(hall.plain, begin, body) == (403, "relay.elsewhere")
        headers = {"Origin": "http://hall.localhost:1", "Folkmoot-Relay": relay.token}
        url, cookies = hall.settings.public_url + begin, {"folkmoot": cookie(hall.plain)}
        async with http.post(url, json=body, headers=headers, cookies=cookies) as answer:
            assert answer.status == 200
        assert await alerts(hall) == []
        hall.clock.at += hall.settings.site_lost_s
        await hall.plain.post(begin, {**body, "code": code})
        assert await alerts(hall) == [("code-elsewhere", site)]


async def test_a_feed_gives_what_is_missing_and_waits_for_news(hall: Hall) -> None:
    async with open_village(hall) as village:
        relay = village.relay
        whole = await relay.feed()
        assert whole["state"]["id"] == hall.meeting
        assert "me" not in whole["state"]
        assert whole["present"] == sorted(person.member for person in village.there)
        assert [one["member"] for one in whole["members"]] == whole["present"]
        assert whole["kiosk"] == {"members": []}
        assert all(one["passkeys"] for one in whole["members"])
        assert whole["manifest"]["manifest"]["election"] == village.manifest.election
        assert len(whole["manifest"]["electorate"]) == 5
        assert whole["roll"]["core"]["size"] == 7
        parts = ("present", "kiosk", "members", "papers", "roll", "checkpoint", "manifest")
        have = [_digest(whole[name]) for name in parts]
        seq = whole["state"]["seq"]
        assert set(await relay.feed(seq, 0, have)) == {"events", "now"}
        assert {"events", "now", "present"} == set(await relay.feed(seq, 0, have[1:]))
        waiting = asyncio.create_task(relay.feed(seq, 25, have))
        await asyncio.sleep(0)
        await hall.chair.post(hall.path("/commands"), {"command": "mute-all"})
        async with asyncio.timeout(60):
            news = await waiting
        assert [event["type"] for event in news["events"]] == ["AllMuted"]
        assert await relay.refused("GET", "/api/relay/feed?have=short") == (400, "input.malformed")
        # Revoked while it waits: it hears so at once.
        waiting = asyncio.create_task(_until_refused(relay, seq + 1, have))
        await asyncio.sleep(0)
        await hall.chair.post(hall.path(f"/sites/{village.site}/relay-revoke"))
        async with asyncio.timeout(60):
            assert await waiting == (403, "relay.revoked")


async def _until_refused(relay: Relay, after: int, have: list[str]) -> tuple[int, str]:
    """Follow the feed, in which the meeting's own clocks may say something too; return how it ended."""
    while True:
        status, answer = await relay.raw("GET", f"/api/relay/feed?after={after}&wait=25&have={','.join(have)}")
        if status != 200:
            return status, str(answer["error"]["code"])
        after = max([after, *(event["seq"] for event in answer["events"])])


def _digest(part: Any) -> str:
    import hashlib

    from folkmoot_voting.encoding import jcs

    return b64u(hashlib.sha256(jcs(part)).digest())[:22]


async def test_papers_for_all_members_are_given_with_ranges_and_no_others(
    hall: Hall, http: aiohttp.ClientSession
) -> None:
    await votes_support.convene(hall)
    relay = await new_relay(hall, await add_site(hall), http)
    found = {}
    for wanted in ("members", "restricted"):
        text = f"What is in the {wanted} paper".encode()
        url = hall.settings.public_url + hall.path(f"/papers?item=&name={wanted}.txt&class={wanted}")
        headers = {"Origin": hall.settings.public_url, "Content-Type": "application/octet-stream"}
        cookies = {"folkmoot": cookie(hall.secretary)}
        async with http.put(url, data=text, headers=headers, cookies=cookies) as answer:
            assert answer.status == 200, await answer.text()
        found[wanted] = text
    async with asyncio.timeout(60):
        while True:
            listed = (await hall.secretary.get(hall.path("/papers")))["papers"]
            if all(one["state"] == "ready" for one in listed):
                break
    hashes = {one["class"]: one["versions"][0]["sha256"] for one in listed}
    headers = {"Authorization": f"Relay {relay.token}", "Range": "bytes=5-11"}
    url = f"{relay.origin}/api/relay/papers/"
    async with http.get(url + hashes["members"], headers=headers) as answer:
        assert (answer.status, await answer.read()) == (206, found["members"][5:12])
    for wanted, status in (("bytes=5-11", 206), ("bytes=500-511", 416), ("bytes=5-", 400), ("", 400)):
        paced = {**headers, "Range": wanted} if wanted else {"Authorization": headers["Authorization"]}
        async with http.get(f"{url}{hashes['members']}?pace=100000", headers=paced) as answer:
            assert answer.status == status, wanted
            if status == 206:
                assert await answer.read() == found["members"][5:12]
                assert answer.headers["Content-Range"] == f"bytes 5-11/{len(found['members'])}"
    ids = {one["class"]: one["paper"] for one in listed}
    (page,) = (await relay.call("GET", f"/api/relay/papers/{ids['members']}/1/pages"))["pages"]
    async with http.get(url + page["sha256"], headers={"Authorization": headers["Authorization"]}) as answer:
        assert (answer.status, (await answer.read()).strip()) == (200, found["members"])
    assert page["text"] == ""  # of a paper that is text the page says it
    for unknown in (f"{ids['restricted']}/1", f"{ids['members']}/2", f"{ids['members']}/x", "nothing/1"):
        refused = await relay.refused("GET", f"/api/relay/papers/{unknown}/pages")
        assert refused == (404, "paper.unknown"), unknown
    part = (await relay.feed())["papers"]
    assert [(one["paper"], one["class"], len(one["versions"])) for one in part] == [(ids["members"], "members", 1)]
    for unknown in (hashes["restricted"], "0" * 64, "..%2Fserver.key"):
        async with http.get(url + unknown, headers=headers) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (404, "paper.unknown")


async def test_a_hub_put_back_from_a_backup_gets_everything_again(tmp_path: Path) -> None:
    folder, backup = tmp_path / "data", tmp_path / "backup.db"
    folder.mkdir()
    async with votes_support.serve(folder) as hall:
        await votes_support.enrol_everybody(hall)
        async with open_village(hall) as village:
            with closing(sqlite3.connect(hall.database.path)) as live, closing(sqlite3.connect(backup)) as copy:
                live.backup(copy)
            relay = village.relay
            await relay.start(hall.clock())  # which the backup does not know
            for person in village.there:
                village.queue("ballot", ballot=village.ballot(person, YES))
            await check_in_by_relay(hall, relay, village.site, hall.plain, hall.clock())
            assert (await relay.send())["refused"] == []
            assert await village.cast() == 3
            seed, port = hall.seed, int(hall.settings.public_url.rsplit(":", 1)[1])
            people, clock, meeting = hall.people, hall.clock, hall.meeting
            hall.people = []
    (folder / "folkmoot.db-wal").unlink(missing_ok=True)
    (folder / "folkmoot.db-shm").unlink(missing_ok=True)
    shutil.copy(backup, folder / "folkmoot.db")
    async with aiohttp.ClientSession() as http, votes_support.serve(folder, clock, seed, port) as hall:
        hall.people, hall.meeting = people, meeting
        relay.http = http
        assert await relay.refused("POST", "/api/relay/lease", {"here": [], "upto": 0}) == (401, "relay.no-session")
        upto, epoch = relay.upto, relay.epoch
        begun = await relay.start(hall.clock())
        assert begun["upto"] < upto
        assert begun["epoch"] > epoch
        assert await alerts(hall) == [("relay-rewound", village.site)]
        relay.upto = begun["upto"]
        answer = await relay.send()
        assert (answer["upto"], answer["refused"], answer["head"]) == (len(relay.log), [], b64u(relay.head))
        view = await hall.view(hall.chair)
        assert view["elections"][-1]["cast"] == 3
        assert hall.plain.member in {one["member"] for one in view["present"]}
        assert (await kinds(hall)).count("RelayRewound") == 1


async def test_a_hub_put_back_is_noticed_though_it_has_as_many_events_again(tmp_path: Path) -> None:
    folder, backup = tmp_path / "data", tmp_path / "backup.db"
    folder.mkdir()
    async with votes_support.serve(folder) as hall:
        await votes_support.enrol_everybody(hall)
        async with open_village(hall) as village:
            relay = village.relay
            with closing(sqlite3.connect(hall.database.path)) as live, closing(sqlite3.connect(backup)) as copy:
                live.backup(copy)
            first = await relay.feed()
            await hall.chair.post(hall.path("/commands"), {"command": "raise-hand"})
            (heard,) = (await relay.feed(first["state"]["seq"]))["events"]
            # Control: of the hub's own events nothing is noticed, nor where the relay has not kept the last one.
            for at in (heard["at"], 0):
                assert "state" not in await relay.feed(heard["seq"], at=at)
            assert await alerts(hall) == []
            seed, port = hall.seed, int(hall.settings.public_url.rsplit(":", 1)[1])
            people, clock, meeting = hall.people, hall.clock, hall.meeting
            hall.people = []
    (folder / "folkmoot.db-wal").unlink(missing_ok=True)
    (folder / "folkmoot.db-shm").unlink(missing_ok=True)
    shutil.copy(backup, folder / "folkmoot.db")
    async with aiohttp.ClientSession() as http, votes_support.serve(folder, clock, seed, port) as hall:
        hall.people, hall.meeting, relay.http = people, meeting, http
        clock.at += 60
        for command in ("raise-hand", "lower-hand"):
            await hall.secretary.post(hall.path("/commands"), {"command": command})
        assert "state" not in await relay.feed(heard["seq"])  # what it hears would go on from what never was
        told = await relay.feed(heard["seq"], at=heard["at"])
        assert told["state"]["seq"] > heard["seq"]
        assert await alerts(hall) == [("relay-rewound", village.site)]
        assert (await kinds(hall)).count("RelayRewound") == 1


def test_states_codes_and_origins_are_as_written() -> None:
    ends = {(state, verb) for state in State for verb in Verb if (state, verb) in relays.NEXT}
    assert {state for state, _ in ends} == {State.ENROLLED, State.REVOKED, State.TWICE}
    assert all(relays.NEXT[one] is not State.ENROLLED for one in ends)
    with pytest.raises(WrongState):
        relays.follow(State.REVOKED, Verb.FIND_TWICE)
    code = relays.new_code(lambda size: bytes(range(size)))
    assert relays.plain_code(relays.shown_code(code).lower()) == code
    assert relays.plain_code("0" * 15) == relays.plain_code("U" * 16) == ""
    assert relays.check_origin("https://hall7.example.org", "example.org") == "https://hall7.example.org"
    for wrong in (
        "https://example.org.evil",
        "https://evilexample.org",
        "http://example.org",
        "https://example.org/",
    ):
        with pytest.raises(Refused):
            relays.check_origin(wrong, "example.org")
    seed = relays.seed(b"k" * 32, "relay", 3)
    assert seed not in (relays.seed(b"k" * 32, "relay", 4), relays.seed(b"j" * 32, "relay", 3))
    assert len(relays.nonces(seed)) == relays.NONCES
    assert relays.nonce(seed, relays.NONCES) not in relays.nonces(seed)
    assert [relays.effective(at, 100, 200) for at in (50, 150, 250)] == [100, 150, 200]
    assert json.dumps([relays.clock_off(at, 1000) for at in (880, 879, 1121)]) == "[0, -121, 121]"
