"""Second officers, own passkeys, replacement of lost ones, weights and auditors' keys, over HTTP."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.server import votes_support as support
from tests.server.common import refusal
from tests.server.support import sign_in
from tests.server.test_votes_setup import check_in_body
from tests.server.votes_support import OFFICERS, OTHERS, Hall, refused

from folkmoot_server.commands.organisation import NewPerson
from folkmoot_server.demo import officers, votes
from folkmoot_server.demo.authenticator import SoftwareAuthenticator
from folkmoot_server.demo.client import Person
from folkmoot_voting import challenges
from folkmoot_voting.encoding import b64u, unb64u

CONFIRM = "/api/passkeys/confirm"
REGISTRAR = NewPerson("Greta Weber", None, ("registrar",))


@pytest.fixture
async def fresh(tmp_path: Path) -> AsyncIterator[Hall]:
    """Everybody has enrolled with the operator's links; nobody is confirmed."""
    async with support.serve(tmp_path) as running:
        links = await support.found(running.database, running.clock(), [*OFFICERS, *OTHERS, REGISTRAR])
        await support.enrol(running, links)
        yield running


def passkey_of(person: Person) -> str:
    return b64u(person.authenticator.credential_id)


async def confirmation(officer: Person, *ids: str) -> dict[str, Any]:
    action = {"type": "confirm-passkeys", "passkeys": list(ids)}
    signed = await officer.signed("action", lambda nonce: challenges.action(action, nonce))
    return {"passkeys": list(ids), "action": action, "signed": signed}


async def root_of(person: Person) -> str:
    return next(u["id"] for u in (await person.get("/api/organisation"))["units"] if u["parent"] is None)


async def waiting(officer: Person) -> list[dict[str, Any]]:
    answer = await officer.get(f"/api/passkeys/unconfirmed?unit={await root_of(officer)}")
    return list(answer["passkeys"])


async def added(person: Person) -> SoftwareAuthenticator:
    """Add another passkey on another device."""
    begun = await person.act("/api/passkeys/begin", {"type": "add-passkey"})
    device = SoftwareAuthenticator(person.origin)
    handle = unb64u(begun["user"]["id"])
    challenge = challenges.enrol(begun["rp"]["id"], handle, unb64u(begun["nonce"]))
    credential = device.register(begun["rp"]["id"], handle, challenge)
    made = await person.post("/api/passkeys/finish", {"nonce": begun["nonce"], "credential": credential})
    assert made == {"id": b64u(device.credential_id)}
    return device


async def removal(person: Person, passkey: str) -> dict[str, Any]:
    action = {"type": "remove-passkey", "passkey": passkey}
    signed = await person.signed("action", lambda nonce: challenges.action(action, nonce))
    return {"action": action, "signed": signed}


async def replaced(hall: Hall, officer: Person, member: Person) -> Person:
    """Enrol a new device in the member's name through the officer's replacement link."""
    url = (await officer.post(f"/api/members/{member.member}/replacement-link"))["enrolment_url"]
    again = Person(hall.settings.public_url, member.name)
    hall.people.append(again)
    await again.enrol(url)
    return again


async def prepared(hall: Hall) -> dict[str, Any]:
    return dict(await hall.secretary.post(hall.path("/roll/prepare")))


def exceptions(draft: dict[str, Any]) -> dict[str, tuple[str, str, list[str]]]:
    return {one["name"]: (one["kind"], one["method"], one["officers"]) for one in draft["exceptions"]}


async def test_a_second_officer_is_another_one_with_an_office(fresh: Hall) -> None:
    lan, jonas, binh = fresh.chair, fresh.secretary, fresh.plain
    mine, his = passkey_of(lan), passkey_of(binh)
    assert await refused(fresh, lan, CONFIRM, await confirmation(lan, mine)) == (403, "passkey.own-confirmation")
    assert await refused(fresh, lan, CONFIRM, await confirmation(lan, his, mine)) == (403, "passkey.own-confirmation")
    assert await refused(fresh, binh, CONFIRM, await confirmation(binh, mine)) == (403, "role.missing")
    teller = fresh.tellers[0]
    assert await refused(fresh, teller, CONFIRM, await confirmation(teller, his)) == (403, "role.missing")
    answer = await refused(fresh, lan, CONFIRM, await confirmation(lan, "AAAA"))
    assert answer == (404, "passkey.not-found")
    answer = await refused(fresh, lan, CONFIRM, await confirmation(lan, his, his))
    assert answer == (400, "passkey.bad-list")
    body = await confirmation(lan, his)
    other = {**body, "passkeys": [passkey_of(jonas)]}
    assert await refused(fresh, lan, CONFIRM, other) == (422, "action.differs")
    foreign = {**body, "signed": (await confirmation(jonas, his))["signed"]}
    assert (await refused(fresh, lan, CONFIRM, foreign))[0] == 422
    await lan.post(CONFIRM, body)
    assert await refused(fresh, jonas, CONFIRM, await confirmation(jonas, his)) == (409, "passkey.confirmed")


async def test_who_made_the_link_is_not_the_second_officer(fresh: Hall) -> None:
    jonas, greta = fresh.secretary, fresh.people[7]
    unit = await root_of(jonas)
    url = (await jonas.post("/api/members", {"name": "Late", "unit": unit}))["enrolment_url"]
    late = Person(fresh.settings.public_url, "Late")
    fresh.people.append(late)
    await late.enrol(url)
    listed = {one["name"]: one for one in await waiting(jonas)}["Late"]
    assert (listed["made_by"], listed["method"], listed["can_confirm"]) == ("Jonas Keller", "enrolment-link", False)
    answer = await refused(fresh, jonas, CONFIRM, await confirmation(jonas, passkey_of(late)))
    assert answer == (403, "passkey.same-officer")
    listed = {one["name"]: one for one in await waiting(greta)}["Late"]
    assert listed["can_confirm"] is True
    await greta.post(CONFIRM, await confirmation(greta, passkey_of(late)))
    assert "Late" not in {one["name"] for one in await waiting(jonas)}


async def test_two_officers_confirm_everybody_with_one_prompt_each(fresh: Hall) -> None:
    everybody = {person.name for person in fresh.people}
    assert {one["name"] for one in await waiting(fresh.chair)} == everybody
    assert {one["made_by"] for one in await waiting(fresh.chair)} == {"operator"}
    prompts = fresh.chair.authenticator.sign_count
    root = await root_of(fresh.chair)
    assert await officers.confirm_passkeys(fresh.chair, root) == len(everybody) - 1
    assert fresh.chair.authenticator.sign_count == prompts + 1
    assert await officers.confirm_passkeys(fresh.secretary, root) == 1
    assert await waiting(fresh.chair) == []
    assert await refusal(fresh.plain, f"/api/passkeys/unconfirmed?unit={root}", method="GET") == (403, "role.missing")
    answer = await refusal(fresh.chair, "/api/passkeys/unconfirmed?unit=x", method="GET")
    assert answer == (404, "unit.unknown")


async def test_an_unconfirmed_passkey_is_not_in_the_roll(fresh: Hall) -> None:
    await support.convene(fresh)
    answer = await refused(fresh, fresh.secretary, fresh.path("/roll/prepare"), {})
    assert answer == (422, "roll.registrar-unconfirmed")
    confirmed = [fresh.secretary, *fresh.tellers]
    await fresh.chair.post(CONFIRM, await confirmation(fresh.chair, *map(passkey_of, confirmed)))
    await fresh.secretary.post(CONFIRM, await confirmation(fresh.secretary, passkey_of(fresh.chair)))
    draft = await prepared(fresh)
    assert {one["name"] for one in draft["unconfirmed"]} == {"Karin Vogel", "Binh Tran", "Greta Weber"}
    assert draft["core"]["size"] == draft["core"]["exceptions"] == 5
    kind, method, names = exceptions(draft)["Lan Nguyen"]
    assert (kind, method, names[0]) == ("first", "enrolment-link", "operator")
    assert names[1].startswith("Jonas Keller (")
    await votes.freeze_roll(fresh.secretary, fresh.meeting)
    await fresh.chair.post(fresh.path("/commands"), {"command": "begin-check-in"})
    assert (await fresh.view(fresh.plain))["me"]["entitled"] is False
    answer = await refused(fresh, fresh.plain, fresh.path("/check-in/begin"), {})
    assert answer == (403, "check-in.not-on-roll")
    # The next roll has no exceptions but those of people who were not in this one.
    await fresh.chair.post(CONFIRM, await confirmation(fresh.chair, passkey_of(fresh.plain)))
    await support.convene(fresh)
    assert list(exceptions(await prepared(fresh))) == ["Binh Tran"]


async def test_an_own_passkey_needs_no_officers_and_is_an_exception_once(hall: Hall) -> None:
    await support.convene(hall)
    await votes.freeze_roll(hall.secretary, hall.meeting)
    device = await added(hall.plain)
    own = (await hall.plain.get("/api/passkeys"))["passkeys"]
    assert {(one["method"], one["in_roll"]) for one in own} == {("enrolment-link", True), ("own-passkey", True)}
    await support.convene(hall)
    draft = await prepared(hall)
    assert exceptions(draft) == {"Binh Tran": ("added", "own-passkey", [])}
    await votes.freeze_roll(hall.secretary, hall.meeting)
    mine = (await hall.plain.get(hall.path("/roll")))["mine"]
    assert b64u(device.credential_id) in {one["id"] for one in mine["passkeys"]}
    await support.convene(hall)
    assert exceptions(await prepared(hall)) == {}


async def test_an_own_passkey_of_an_unconfirmed_one_needs_its_officers(fresh: Hall) -> None:
    device = await added(fresh.plain)
    everybody = [one for one in fresh.people if one is not fresh.plain]
    for officer in (fresh.chair, fresh.secretary):
        ids = [passkey_of(one) for one in everybody if one is not officer]
        known = {one["passkey"] for one in await waiting(officer)}
        await officer.post(CONFIRM, await confirmation(officer, *(one for one in ids if one in known)))
    await support.convene(fresh)
    assert [one["name"] for one in (await prepared(fresh))["unconfirmed"]] == ["Binh Tran"]
    body = await confirmation(fresh.chair, b64u(device.credential_id))
    assert await refused(fresh, fresh.chair, CONFIRM, body) == (409, "passkey.needs-none")
    await fresh.chair.post(CONFIRM, await confirmation(fresh.chair, passkey_of(fresh.plain)))
    draft = await prepared(fresh)
    assert draft["unconfirmed"] == []
    assert exceptions(draft)["Binh Tran"][:2] == ("first", "enrolment-link")


async def test_own_passkeys_are_removed_with_a_signature_but_never_the_last(hall: Hall) -> None:
    first = passkey_of(hall.plain)
    path = f"/api/passkeys/{first}/remove"
    assert await refused(hall, hall.plain, path, await removal(hall.plain, first)) == (409, "passkey.last")
    device = await added(hall.plain)
    second = b64u(device.credential_id)
    other = {**await removal(hall.plain, second)}
    assert await refused(hall, hall.plain, path, other) == (422, "action.differs")
    theirs = f"/api/passkeys/{passkey_of(hall.chair)}/remove"
    body = await removal(hall.plain, passkey_of(hall.chair))
    assert await refused(hall, hall.plain, theirs, body) == (404, "passkey.not-found")
    stranger = Person(hall.settings.public_url, "second device")
    hall.people.append(stranger)
    stranger.authenticator = device
    await sign_in(stranger)
    await stranger.post(path, await removal(stranger, first))
    assert [one["id"] for one in (await stranger.get("/api/passkeys"))["passkeys"]] == [second]
    assert await refusal(hall.plain, "/api/session", method="GET") == (401, "session.none")
    with pytest.raises(Exception, match=r"passkey\.unknown"):
        await sign_in(hall.plain)


async def test_a_removed_passkey_cannot_be_frozen_or_registered_again(hall: Hall) -> None:
    await support.convene(hall)
    draft = await prepared(hall)
    device = await added(hall.plain)
    await hall.plain.post(
        f"/api/passkeys/{passkey_of(hall.plain)}/remove", await removal(hall.plain, passkey_of(hall.plain))
    )
    signed = await hall.secretary.signed(
        "roll", lambda nonce: challenges.registrar(unb64u(draft["roll_hash"]), nonce)
    )
    body = {"roll_hash": draft["roll_hash"], "signed": signed}
    answer = await refused(hall, hall.secretary, hall.path("/roll/freeze"), body)
    assert answer == (409, "roll.passkey-ended")
    old, hall.plain.authenticator = hall.plain.authenticator, device
    await sign_in(hall.plain)
    begun = await hall.plain.act("/api/passkeys/begin", {"type": "add-passkey"})
    handle = unb64u(begun["user"]["id"])
    again = old.register(begun["rp"]["id"], handle, challenges.enrol("localhost", handle, unb64u(begun["nonce"])))
    answer = await refused(hall, hall.plain, "/api/passkeys/finish", {"nonce": begun["nonce"], "credential": again})
    assert answer == (409, "passkey.taken")


async def test_a_session_alone_adds_no_passkey(hall: Hall) -> None:
    action = {"type": "add-passkey"}
    thief = SoftwareAuthenticator(hall.plain.origin)
    thief.register("localhost", b"thief", secrets.token_bytes(32))
    own, hall.plain.authenticator = hall.plain.authenticator, thief
    signed = await hall.plain.signed("action", lambda nonce: challenges.action(action, nonce))
    status, code = await refused(hall, hall.plain, "/api/passkeys/begin", {"action": action, "signed": signed})
    assert (status, code.partition(".")[0]) in {(422, "action"), (403, "action"), (404, "passkey"), (422, "passkey")}
    hall.plain.authenticator = own
    await hall.plain.act("/api/passkeys/begin", action)  # control: the member's own passkey does


async def test_a_nonce_for_another_passkey_is_bound_to_the_session(hall: Hall) -> None:
    begun = await hall.plain.act("/api/passkeys/begin", {"type": "add-passkey"})
    device = SoftwareAuthenticator(hall.plain.origin)
    handle = unb64u(begun["user"]["id"])
    made = device.register("localhost", handle, challenges.enrol("localhost", handle, unb64u(begun["nonce"])))
    body = {"nonce": begun["nonce"], "credential": made}
    assert await refused(hall, hall.chair, "/api/passkeys/finish", body) == (422, "nonce.invalid")
    stranger = Person(hall.settings.public_url, "stranger")
    hall.people.append(stranger)
    assert await refusal(stranger, "/api/passkeys/finish", body) == (401, "session.none")
    await hall.plain.post("/api/passkeys/finish", body)
    assert await refused(hall, hall.plain, "/api/passkeys/finish", body) == (422, "nonce.invalid")


async def test_a_replacement_ends_old_passkeys_and_sessions_and_waits_for_a_second_officer(hall: Hall) -> None:
    await support.convene(hall)
    await votes.freeze_roll(hall.secretary, hall.meeting)
    old = hall.plain
    path = f"/api/members/{old.member}/replacement-link"
    assert await refused(hall, old, path, {}) == (403, "role.missing")
    assert await refused(hall, hall.chair, path, {}) == (403, "role.missing")
    own = f"/api/members/{hall.secretary.member}/replacement-link"
    assert await refused(hall, hall.secretary, own, {}) == (403, "enrolment.own-replacement")
    new = await replaced(hall, hall.secretary, old)
    assert await refusal(old, "/api/session", method="GET") == (401, "session.none")
    with pytest.raises(Exception, match=r"passkey\.unknown"):
        await sign_in(old)
    own = (await new.get("/api/passkeys"))["passkeys"]
    assert [(one["method"], one["in_roll"]) for one in own] == [("replacement-link", False)]
    # In the meeting whose roll is frozen it cannot vote, and is told so.
    await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
    answer = await refused(hall, new, hall.path("/check-in/begin"), {})
    assert answer == (403, "check-in.passkey-not-on-roll")
    await support.convene(hall)
    assert [one["name"] for one in (await prepared(hall))["unconfirmed"]] == ["Binh Tran"]
    body = await confirmation(hall.secretary, passkey_of(new))
    assert await refused(hall, hall.secretary, CONFIRM, body) == (403, "passkey.same-officer")
    await hall.chair.post(CONFIRM, await confirmation(hall.chair, passkey_of(new)))
    kind, method, names = exceptions(await prepared(hall))["Binh Tran"]
    assert (kind, method) == ("replaced", "replacement-link")
    assert [name.split(" (")[0] for name in names] == ["Jonas Keller", "Lan Nguyen"]
    await votes.freeze_roll(hall.secretary, hall.meeting)
    await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
    await votes.check_in(new, hall.meeting)


async def test_a_member_without_a_passkey_gets_an_enrolment_link(hall: Hall) -> None:
    unit = await root_of(hall.secretary)
    made = await hall.secretary.post("/api/members", {"name": "New", "unit": unit})
    path = f"/api/members/{made['member']['id']}/replacement-link"
    assert await refused(hall, hall.secretary, path, {}) == (409, "enrolment.no-passkey")


async def test_one_officer_alone_brings_nobody_into_a_roll(hall: Hall) -> None:
    """The secretary takes over the chair's name and a member's, and is still one officer."""
    chair = await replaced(hall, hall.secretary, hall.chair)
    victim = await replaced(hall, hall.secretary, hall.plain)
    # The stolen name holds no office...
    assert {one["role"] for one in (await chair.get("/api/session"))["roles"]} == {"member"}
    for passkey in (passkey_of(victim), passkey_of(hall.tellers[0])):
        body = await confirmation(chair, passkey)
        assert await refused(hall, chair, CONFIRM, body) == (403, "role.missing")
    # ... nor does one that the secretary makes an officer.
    unit = await root_of(hall.secretary)
    made = await hall.secretary.post("/api/members", {"name": "Puppet", "unit": unit})
    until = hall.clock() + 86_400
    wanted = {"member": made["member"]["id"], "role": "secretary", "unit": unit, "until": until}
    await hall.secretary.act("/api/grants", {"type": "grant-role", **wanted}, **wanted)
    puppet = Person(hall.settings.public_url, "Puppet")
    hall.people.append(puppet)
    await puppet.enrol(made["enrolment_url"])
    body = await confirmation(puppet, passkey_of(victim))
    assert await refused(hall, puppet, CONFIRM, body) == (403, "role.missing")
    await support.convene(hall)
    draft = await prepared(hall)
    assert {one["name"] for one in draft["unconfirmed"]} == {"Lan Nguyen", "Binh Tran", "Puppet"}
    # The control: once another officer stands behind the puppet, it acts as the secretary that it is.
    await hall.tellers[0].get("/api/session")
    other = next(one for one in hall.people if one.name == "Ana Silva")
    grant = {"member": other.member, "role": "secretary", "unit": unit, "until": until}
    await hall.secretary.act("/api/grants", {"type": "grant-role", **grant}, **grant)
    await other.post(CONFIRM, await confirmation(other, passkey_of(puppet)))
    await puppet.post(CONFIRM, await confirmation(puppet, passkey_of(victim)))


async def test_weights_are_set_by_another_officer_and_reach_the_roll(hall: Hall) -> None:
    member = hall.plain.member
    path = f"/api/members/{member}/weight"

    async def body(officer: Person, who: str, weight: int, **other: Any) -> dict[str, Any]:
        action = {"type": "set-weight", "member": who, "weight": weight, **other}
        signed = await officer.signed("action", lambda nonce: challenges.action(action, nonce))
        return {"weight": weight, "action": action, "signed": signed}

    assert await refused(hall, hall.chair, path, await body(hall.chair, member, 5)) == (403, "role.missing")
    own = f"/api/members/{hall.secretary.member}/weight"
    answer = await refused(hall, hall.secretary, own, await body(hall.secretary, hall.secretary.member, 5))
    assert answer == (403, "member.own-weight")
    for weight in (0, -1, 10**6 + 1):
        answer = await refused(hall, hall.secretary, path, await body(hall.secretary, member, weight))
        assert answer == (400, "member.bad-weight")
    changed = {**await body(hall.secretary, member, 5), "weight": 6}
    assert await refused(hall, hall.secretary, path, changed) == (422, "action.differs")
    await hall.secretary.post(path, await body(hall.secretary, member, 5))
    listed = {one["name"]: one["weight"] for one in (await hall.secretary.get("/api/members"))["members"]}
    assert listed == {**dict.fromkeys(listed, 1), "Binh Tran": 5}
    await support.convene(hall)
    await votes.freeze_roll(hall.secretary, hall.meeting)
    answer = await hall.plain.get(hall.path("/roll"))
    assert (answer["mine"]["weight"], answer["statement"]["core"]["weight"]) == (5, len(listed) + 4)


async def test_auditors_register_the_recipient_of_the_annex(hall: Hall) -> None:
    path = "/api/auditor-key"
    first = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa"
    second = "age18a4se8ctmm8zmv78h3zl8qzk42pq46repe3l73qutsezxfxsc4wsf058lc"

    async def body(person: Person, recipient: str) -> dict[str, Any]:
        action = {"type": "set-auditor-key", "recipient": recipient}
        signed = await person.signed("action", lambda nonce: challenges.action(action, nonce))
        return {"recipient": recipient, "action": action, "signed": signed}

    assert await hall.auditor.get(path) is None
    assert await refused(hall, hall.chair, path, await body(hall.chair, first)) == (403, "role.missing")
    answer = await refused(hall, hall.auditor, path, await body(hall.auditor, first[:-1] + "q"))
    assert answer == (400, "auditor.bad-recipient")
    swapped = {**await body(hall.auditor, first), "recipient": second}
    assert await refused(hall, hall.auditor, path, swapped) == (422, "action.differs")
    for recipient in (first, second):
        await hall.auditor.post(path, await body(hall.auditor, recipient))
        assert await hall.auditor.get(path) == {"recipient": recipient, "at": hall.clock()}
    assert await hall.chair.get(path) is None


async def test_a_check_in_is_cited_by_a_salted_hash(hall: Hall) -> None:
    await support.convene(hall)
    await votes.freeze_roll(hall.secretary, hall.meeting)
    await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
    body = await check_in_body(hall, hall.chair)
    await hall.chair.post(hall.path("/check-in/finish"), body)
    again = await check_in_body(hall, hall.chair, credential=unb64u(body["credential"]))
    await hall.chair.post(hall.path("/check-in/finish"), again)
    proofs = [event["body"]["proof"] for event in await hall.events("MemberCheckedIn")]
    assert len(proofs) == 2
    assert proofs[0] == proofs[1]  # one statement per credential
    stored = json.loads(support.rows(hall)["annex_check_in"][0][4])
    salt = unb64u(stored.pop("salt"))
    assert stored.pop("at") == hall.clock()
    assert stored == {"member": hall.chair.member, **body}
    assert proofs[0] == b64u(support.statement_hash(salt, stored))
    assert proofs[0] != b64u(support.statement_hash(bytes(32), stored))
