"""Enrolment, sign-in and sessions over HTTP."""

from __future__ import annotations

import asyncio
import json
import queue
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict
from sqlalchemy import select
from tests.server.common import START, refusal
from tests.server.support import House, serve, sign_in
from yarl import URL

from folkmoot_server.commands import identity
from folkmoot_server.demo.authenticator import SoftwareAuthenticator
from folkmoot_server.demo.client import Person
from folkmoot_server.domain.identity import LINK_S, NONCE_S, SESSION_IDLE_S, SESSION_MAX_S
from folkmoot_server.storage import schema, sessions
from folkmoot_server.web import limits, parsing
from folkmoot_server.web.limits import ADDRESS_MAX, PASSKEY_FAILURES_MAX, Limiter, client_address
from folkmoot_voting import challenges
from folkmoot_voting.encoding import b64u, unb64u


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with serve(tmp_path) as running:
        yield running


async def begin_enrol(person: Person, house: House, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what finish needs, and the begin answer."""
    token = house.link(name).split("#")[1]
    begun = await person.post("/api/enrol/begin", {"token": token})
    handle = unb64u(begun["user"]["id"])
    challenge = challenges.enrol(begun["rp"]["id"], handle, unb64u(begun["nonce"]))
    credential = person.authenticator.register(begun["rp"]["id"], handle, challenge)
    return {"token": token, "nonce": begun["nonce"], "credential": credential}, begun


async def begin_sign_in(person: Person) -> tuple[str, bytes]:
    begun = await person.post("/api/sign-in/begin")
    return begun["nonce"], challenges.sign_in(begun["rp_id"], unb64u(begun["nonce"]))


async def status_with(house: House, token: str) -> int:
    """Ask for the session with a copied cookie."""
    async with aiohttp.ClientSession(cookies={"folkmoot": token}) as thief:
        answer = await thief.get(f"{house.origin}/api/session")
        return answer.status


def stored_bytes(house: House) -> bytes:
    """Everything the database has on disk."""
    return b"".join(path.read_bytes() for path in Path(house.settings.data).glob("folkmoot.db*"))


async def test_a_link_enrols_once_and_signs_in(house: House) -> None:
    lan = house.stranger("lan")
    body, begun = await begin_enrol(lan, house, "lan")
    assert begun["rp"] == {"id": "localhost", "name": "Valley Cooperative"}
    assert begun["algorithms"] == [-8, -7, -257]
    session = await lan.post("/api/enrol/finish", body)
    assert session["member"]["name"] == "Lan Nguyen"
    assert {role["role"] for role in session["roles"]} == {"chair", "member"}
    assert (await lan.get("/api/session"))["member"] == session["member"]
    assert await refusal(lan, "/api/enrol/begin", {"token": body["token"]}) == (409, "enrolment.link-spent")
    assert (await refusal(lan, "/api/enrol/finish", body))[1] == "enrolment.link-spent"


async def test_links_end_after_seven_days_and_unknown_ones_are_refused(house: House) -> None:
    lan = house.stranger()
    body, _ = await begin_enrol(lan, house, "lan")
    house.clock.at += LINK_S
    assert await refusal(lan, "/api/enrol/begin", {"token": body["token"]}) == (409, "enrolment.link-expired")
    assert await refusal(lan, "/api/enrol/finish", body) == (409, "enrolment.link-expired")
    unknown = b64u(bytes(32))
    assert await refusal(lan, "/api/enrol/begin", {"token": unknown}) == (404, "enrolment.unknown-link")


async def test_signing_in_makes_a_new_session_and_ends_the_old(house: House) -> None:
    await house.enrol("lan")
    lan = house.lan
    old = lan._http.cookie_jar.filter_cookies(URL(house.origin))["folkmoot"].value
    session = await sign_in(lan)
    new = lan._http.cookie_jar.filter_cookies(URL(house.origin))["folkmoot"].value
    assert session["member"]["name"] == "Lan Nguyen"
    assert old != new
    assert await status_with(house, old) == 401
    assert await status_with(house, new) == 200


async def test_only_hashes_of_tokens_are_stored(house: House) -> None:
    await house.enrol("lan")
    token = unb64u(house.lan._http.cookie_jar.filter_cookies(URL(house.origin))["folkmoot"].value)
    rows = await house.context.database.read(lambda tx: list(tx.scalars(select(schema.session.c.token_hash))))
    assert len(rows) == 1
    assert token not in rows
    raw = stored_bytes(house)
    assert token not in raw
    assert rows[0] in raw  # the control: what is stored is found this way


async def test_the_cookie_is_strict_and_prefixed_with_tls() -> None:
    from folkmoot_config.settings import Settings
    from folkmoot_server.web.middleware import set_cookie

    class Response(aiohttp.web.Response):
        pass

    for url, name, secure in (
        ("https://folkmoot.test", "__Host-folkmoot", True),
        ("http://localhost:1", "folkmoot", False),
    ):
        response = Response()
        set_cookie(response, Settings(public_url=url), bytes(32))
        header = response.cookies[name].OutputString()
        assert ("Secure" in header) is secure
        assert "HttpOnly" in header
        assert "SameSite=Lax" in header
        assert "Path=/" in header
        assert "Domain" not in header


async def test_sessions_end_when_idle_and_after_twelve_hours(house: House) -> None:
    await house.enrol("lan")
    house.clock.at += SESSION_IDLE_S - 1
    await house.lan.get("/api/session")  # being used keeps it alive
    house.clock.at += SESSION_IDLE_S - 1
    await house.lan.get("/api/session")
    house.clock.at += SESSION_IDLE_S
    assert await refusal(house.lan, "/api/session", method="GET") == (401, "session.none")
    await sign_in(house.lan)
    for _ in range(SESSION_MAX_S // (SESSION_IDLE_S - 1)):
        house.clock.at += SESSION_IDLE_S - 1
        await house.lan.get("/api/session")
    house.clock.at += SESSION_IDLE_S - 1
    assert (await refusal(house.lan, "/api/session", method="GET"))[0] == 401


async def test_signing_out_ends_the_session(house: House) -> None:
    await house.enrol("lan")
    token = house.lan._http.cookie_jar.filter_cookies(URL(house.origin))["folkmoot"].value
    assert await status_with(house, token) == 200
    await house.lan.post("/api/sign-out")
    assert await status_with(house, token) == 401


async def test_a_sign_in_cannot_be_replayed_or_come_late(house: House) -> None:
    await house.enrol("lan")
    lan = house.lan
    nonce, challenge = await begin_sign_in(lan)
    body = {"nonce": nonce, "credential": lan.authenticator.authenticate(challenge)}
    await lan.post("/api/sign-in/finish", body)
    assert await refusal(lan, "/api/sign-in/finish", body) == (422, "nonce.invalid")
    nonce, challenge = await begin_sign_in(lan)
    house.clock.at += NONCE_S
    body = {"nonce": nonce, "credential": lan.authenticator.authenticate(challenge)}
    assert await refusal(lan, "/api/sign-in/finish", body) == (422, "nonce.invalid")


async def test_a_passkey_with_another_members_handle_or_none_is_refused(house: House) -> None:
    await house.enrol("lan", "ana")
    lan, ana = house.lan, house.ana
    for handle in (ana.authenticator.user_handle, None):
        nonce, challenge = await begin_sign_in(lan)
        credential = lan.authenticator.authenticate(challenge)
        if handle is None:
            del credential["response"]["userHandle"]
        else:
            credential["response"]["userHandle"] = b64u(handle)
        body = {"nonce": nonce, "credential": credential}
        assert await refusal(lan, "/api/sign-in/finish", body) == (422, "passkey.wrong-user")
    await sign_in(lan)


async def test_foreign_frames_origins_and_challenges_are_refused_at_sign_in(house: House) -> None:
    await house.enrol("lan")
    lan = house.lan
    bad: list[tuple[dict[str, Any], str]] = [
        ({"crossOrigin": True}, "passkey.foreign-frame"),
        ({"topOrigin": "https://evil.example"}, "passkey.foreign-frame"),
        ({"origin": "https://evil.example"}, "passkey.wrong-origin"),
        ({"sign": bytes(32)}, "passkey.wrong-challenge"),
    ]
    for change, code in bad:
        nonce, challenge = await begin_sign_in(lan)
        challenge = change.pop("sign", challenge)
        credential = lan.authenticator.authenticate(challenge, **change)
        assert (await refusal(lan, "/api/sign-in/finish", {"nonce": nonce, "credential": credential}))[1] == code
    await sign_in(lan)


async def test_an_unknown_passkey_is_refused(house: House) -> None:
    await house.enrol("lan")
    stranger = house.stranger()
    stranger.authenticator.register("localhost", b"x" * 32, bytes(32))
    nonce, challenge = await begin_sign_in(stranger)
    body = {"nonce": nonce, "credential": stranger.authenticator.authenticate(challenge)}
    assert await refusal(stranger, "/api/sign-in/finish", body) == (422, "passkey.unknown")


async def test_a_passkey_cannot_be_registered_twice(house: House) -> None:
    await house.enrol("lan")
    ana = house.stranger()
    ana.authenticator = house.lan.authenticator
    body, _ = await begin_enrol(ana, house, "ana")
    assert await refusal(ana, "/api/enrol/finish", body) == (409, "passkey.taken")


async def test_an_enrolment_nonce_is_bound_to_its_link(house: House) -> None:
    lan, ana = house.stranger(), house.stranger()
    for_lan, _ = await begin_enrol(lan, house, "lan")
    for_ana, _ = await begin_enrol(ana, house, "ana")
    for_ana["nonce"] = for_lan["nonce"]
    assert await refusal(ana, "/api/enrol/finish", for_ana) == (422, "nonce.invalid")


async def test_a_refused_enrolment_leaves_the_link_usable(house: House) -> None:
    lan = house.stranger()
    body, _ = await begin_enrol(lan, house, "lan")
    good = body["credential"]
    data = json.loads(unb64u(good["response"]["clientDataJSON"])) | {"origin": "https://evil.example"}
    bad = {**good, "response": {**good["response"], "clientDataJSON": b64u(json.dumps(data).encode())}}
    assert (await refusal(lan, "/api/enrol/finish", {**body, "credential": bad}))[1] == "passkey.wrong-origin"
    await lan.post("/api/enrol/finish", body)


async def test_requests_from_other_sites_are_refused(house: House) -> None:
    url = f"{house.origin}/api/sign-in/begin"
    json_type = {"Content-Type": "application/json"}
    cases: list[tuple[dict[str, str], int]] = [
        ({**json_type, "Origin": house.origin}, 200),
        ({**json_type, "Sec-Fetch-Site": "same-origin"}, 200),
        ({**json_type}, 403),
        ({**json_type, "Origin": "https://evil.example"}, 403),
        ({**json_type, "Origin": "null"}, 403),
        ({**json_type, "Sec-Fetch-Site": "cross-site", "Origin": house.origin}, 403),
        ({**json_type, "Sec-Fetch-Site": "same-site"}, 403),
        ({**json_type, "Sec-Fetch-Site": "none"}, 403),
        ({**json_type, "Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"}, 403),
        ({"Content-Type": "text/plain", "Origin": house.origin}, 400),
        ({"Content-Type": "application/x-www-form-urlencoded", "Origin": house.origin}, 400),
    ]
    async with aiohttp.ClientSession() as browser:
        for headers, status in cases:
            async with browser.post(url, data=b"{}", headers=headers) as answer:
                assert answer.status == status, headers


async def test_malformed_bodies_are_refused_with_codes(house: House) -> None:
    person = house.stranger()
    cases: list[tuple[bytes, str]] = [
        (b"", "input.malformed"),
        (b"[]", "input.malformed"),
        (b'{"token": 1}', "input.malformed"),
        (b'{"token": "a=="}', "input.malformed"),
        (b'{"token": "' + b64u(bytes(31)).encode() + b'"}', "input.malformed"),
        (b'{"token": "' + b64u(bytes(32)).encode() + b'", "more": 1}', "input.malformed"),
        (b"\xff\xfe", "input.malformed"),
        (b"[" * 100_000, "input.malformed"),
        (b" " * (256 * 1024 + 1), "input.too-large"),
    ]
    headers = {"Origin": house.origin, "Content-Type": "application/json"}
    for raw, code in cases:
        async with person._http.post(f"{house.origin}/api/enrol/begin", data=raw, headers=headers) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (400, code), raw[:40]


async def test_a_stalled_body_is_given_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "BODY_S", 0.2)
    head = (
        f"POST /api/enrol/begin HTTP/1.1\r\nHost: localhost\r\nOrigin: {house.origin}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", house.settings.port)
    writer.write(head.encode())
    async with asyncio.timeout(20):
        answer = await reader.read()  # until the server closes
    assert b"400 Bad Request" in answer
    assert b"input.too-slow" in answer
    writer.close()


async def test_a_large_body_without_a_length_is_refused(house: House) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(300):
            yield b" " * 1024

    headers = {"Origin": house.origin, "Content-Type": "application/json"}
    async with aiohttp.ClientSession() as browser:
        answer = await browser.post(f"{house.origin}/api/enrol/begin", data=parts(), headers=headers)
        assert (answer.status, (await answer.json())["error"]["code"]) == (400, "input.too-large")


async def test_a_link_raced_for_enrols_one_passkey(house: House) -> None:
    racers = [house.stranger(f"racer {number}") for number in range(8)]
    bodies = [(await begin_enrol(racer, house, "lan"))[0] for racer in racers]
    results = await asyncio.gather(
        *(refusal(racer, "/api/enrol/finish", body) for racer, body in zip(racers, bodies, strict=True))
    )
    assert sorted(code for _, code in results) == ["accepted", *["enrolment.link-spent"] * 7]


async def test_a_sign_in_raced_for_makes_one_session(house: House) -> None:
    await house.enrol("lan")
    nonce, challenge = await begin_sign_in(house.lan)
    body = {"nonce": nonce, "credential": house.lan.authenticator.authenticate(challenge)}
    results = await asyncio.gather(*(refusal(house.stranger(), "/api/sign-in/finish", body) for _ in range(8)))
    assert sorted(code for _, code in results) == ["accepted", *["nonce.invalid"] * 7]


async def test_api_errors_are_json_and_not_cached(house: House) -> None:
    async with aiohttp.ClientSession() as browser:
        async with browser.get(f"{house.origin}/api/nothing") as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (404, "http.not-found")
            assert answer.headers["Cache-Control"] == "no-store"
        async with browser.get(f"{house.origin}/api/session") as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (401, "session.none")


async def test_an_accident_tells_no_details(house: House, caplog: pytest.LogCaptureFixture) -> None:
    secret = "planted-secret"

    def break_it() -> int:
        raise RuntimeError(secret)

    await house.enrol("lan")
    object.__setattr__(house.context, "now", break_it)
    status, answer = await house.lan.raw("GET", "/api/session")
    assert status == 500
    assert json.loads(answer)["error"]["code"] == "server.accident"
    assert secret.encode() not in answer
    assert "RuntimeError" in caplog.text
    assert secret not in caplog.text


async def test_a_full_writer_says_so(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_job: object) -> None:
        raise queue.Full

    person = house.stranger()
    monkeypatch.setattr(house.context.database._jobs, "put_nowait", full)
    assert await refusal(person, "/api/sign-in/begin") == (503, "server.busy")
    monkeypatch.undo()
    assert (await refusal(person, "/api/sign-in/begin"))[0] == 200


async def test_nonces_are_bound_to_session_and_purpose(house: House) -> None:
    await house.enrol("lan", "jonas", "ana")
    units = (await house.lan.get("/api/organisation"))["units"]
    wanted = {"member": house.ana.member, "role": "chair", "unit": units[0]["id"], "until": house.clock.at + 1000}
    action = {"type": "grant-role", **wanted}

    async def grant(person: Person, nonce: str) -> tuple[int, str]:
        signed = {"nonce": nonce, **person.assertion(challenges.action(action, unb64u(nonce)))}
        return await refusal(person, "/api/grants", {**wanted, "action": action, "signed": signed})

    other_purpose = (await house.lan.post("/api/nonce", {"purpose": "roll"}))["nonce"]
    assert await grant(house.lan, other_purpose) == (422, "nonce.invalid")
    other_session = (await house.jonas.post("/api/nonce", {"purpose": "action"}))["nonce"]
    assert await grant(house.lan, other_session) == (422, "nonce.invalid")
    own = (await house.lan.post("/api/nonce", {"purpose": "action"}))["nonce"]
    assert (await grant(house.lan, own))[0] == 200
    assert await grant(house.lan, own) == (422, "nonce.invalid")
    for purpose in ("sign-in", "enrol", "other", 1):
        assert (await refusal(house.lan, "/api/nonce", {"purpose": purpose}))[1] == "input.malformed"


async def test_failed_sign_ins_of_one_passkey_are_limited(house: House) -> None:
    await house.enrol("lan", "ana")
    for attempt in range(PASSKEY_FAILURES_MAX + 1):
        nonce, challenge = await begin_sign_in(house.lan)
        credential = house.lan.authenticator.authenticate(challenge, crossOrigin=True)
        status, code = await refusal(house.lan, "/api/sign-in/finish", {"nonce": nonce, "credential": credential})
        assert code == ("sign-in.too-many" if attempt == PASSKEY_FAILURES_MAX else "passkey.foreign-frame")
    assert status == 429
    await sign_in(house.ana)  # others behind the same address are not hindered
    house.clock.at += 300
    await sign_in(house.lan)


async def test_nobody_can_lock_an_officer_out_from_elsewhere(tmp_path: Path) -> None:
    """Ids of passkeys are not secret: failures count for the address that they come from."""
    async with serve(tmp_path, trust_proxy=True) as house:
        await house.enrol("lan")
        far = {"X-Forwarded-For": "127.0.0.1, 198.51.100.7"}
        for _ in range(PASSKEY_FAILURES_MAX + 1):
            nonce, challenge = await begin_sign_in(house.lan)
            credential = house.lan.authenticator.authenticate(challenge, crossOrigin=True)
            async with aiohttp.ClientSession(headers={"Origin": house.origin, **far}) as stranger:
                body = {"nonce": nonce, "credential": credential}
                status = (await stranger.post(f"{house.origin}/api/sign-in/finish", json=body)).status
        assert status == 429
        await sign_in(house.lan)


def test_only_a_proxy_on_this_machine_is_believed() -> None:
    def address(remote: str, trust: bool, *forwarded: str) -> str:
        headers = CIMultiDict([("X-Forwarded-For", one) for one in forwarded])
        request = make_mocked_request("GET", "/", headers=headers)
        return client_address(request.clone(remote=remote), trust)

    assert address("127.0.0.1", True, "203.0.113.9, 198.51.100.7") == "198.51.100.7"
    assert address("::1", True, "203.0.113.9", "2001:db8::1") == "2001:db8::1"
    assert address("127.0.0.1", False, "198.51.100.7") == "127.0.0.1"
    assert address("192.0.2.1", True, "198.51.100.7") == "192.0.2.1"
    assert address("127.0.0.1", True, "not an address") == "127.0.0.1"
    assert address("127.0.0.1", True) == "127.0.0.1"


async def test_strangers_cannot_use_up_the_sign_ins(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "SIGN_IN_NONCES_MAX", 3)
    await house.enrol("lan")
    old, challenge = await begin_sign_in(house.lan)
    credential = house.lan.authenticator.authenticate(challenge)
    house.clock.at += 1
    for _ in range(10):
        assert (await refusal(house.stranger(), "/api/sign-in/begin"))[0] == 200
    await sign_in(house.lan)
    assert await house.context.database.read(lambda tx: sessions.count_nonces(tx, "sign-in", b"", START)) <= 3
    assert await refusal(house.lan, "/api/sign-in/finish", {"nonce": old, "credential": credential}) == (
        422,
        "nonce.invalid",
    )


async def test_a_member_cannot_flood_the_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MEMBER_MAX", 40)
    async with serve(tmp_path) as house:
        await house.enrol("lan", "jonas", "ana")
        await house.draft()
        codes = {(await refusal(house.ana, "/api/socket-ticket", {"meeting": house.meeting}))[1] for _ in range(50)}
        assert codes == {"accepted", "socket.too-many-tickets", "request.too-many"}
        assert await refusal(house.ana, "/api/nonce", {"purpose": "action"}) == (429, "request.too-many")
        assert (await refusal(house.jonas, "/api/nonce", {"purpose": "action"}))[0] == 200
        await house.ana.get("/api/session")  # reading goes on
        house.clock.at += 300
        assert (await refusal(house.ana, "/api/nonce", {"purpose": "action"}))[0] == 200


def test_a_hall_behind_one_address_gets_in_and_a_flood_does_not() -> None:
    limiter = Limiter(ADDRESS_MAX)
    for _ in range(1000 * 2 * 2):  # a thousand members, begin and finish, each trying twice
        limiter.check("hall", 0)
        limiter.add("hall", 0)
    with pytest.raises(Exception, match="too-many"):
        limiter.check("hall", 0)
    limiter.check("elsewhere", 0)
    limiter.check("hall", 300)


def test_the_limiter_forgets_the_oldest_keys() -> None:
    limiter = Limiter(1, keys_max=2)
    for key in "abc":
        limiter.add(key, 0)
    assert [limiter.count(key, 0) for key in "abc"] == [0, 1, 1]


def test_authenticators_differ() -> None:
    assert SoftwareAuthenticator("x").credential_id != SoftwareAuthenticator("x").credential_id
