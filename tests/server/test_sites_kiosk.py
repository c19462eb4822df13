"""The browser of a hall: twelve members at one device, and a custodian who alone can add and vote for nobody."""

from __future__ import annotations

import io
import json
import secrets
import zipfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.server import sites_support as support
from tests.server import votes_support
from tests.server.common import refusal
from tests.server.sites_support import at_kiosk, check_in_at_kiosk, sign_in_at_kiosk
from tests.server.test_votes_flow import downloads, mutated
from tests.server.votes_support import OFFICERS, OTHERS, Hall
from tests.voting.test_two_verifiers import run_node

from folkmoot_server.commands.organisation import NewPerson
from folkmoot_server.demo import votes
from folkmoot_server.demo.client import DemoError, Person
from folkmoot_voting import board, casting, challenges, signing
from folkmoot_voting.ballot import sealed_hash
from folkmoot_voting.encoding import JsonObject, b64u, unb64u
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.verify import verify_bundle

TWELVE = tuple(NewPerson(f"Member {number:02d}", None, ()) for number in range(1, 13))


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Hall]:
    """A meeting in check-in with a hall of twelve members, whose custodian is a member without an office."""
    async with votes_support.enrolled(tmp_path, OFFICERS + OTHERS + TWELVE) as hall:
        await votes_support.convene(hall)
        await votes.freeze_roll(hall.secretary, hall.meeting)
        await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
        yield hall


def members(hall: Hall) -> list[Person]:
    """The twelve."""
    return hall.people[7:]


async def open_site(hall: Hall, custodian: Person) -> str:
    return await support.open_hall(hall, hall.database, hall.secretary, custodian, hall.clock())


async def lines(hall: Hall) -> list[dict[str, Any]]:
    return list((await hall.chair.get(hall.path("/attendance")))["lines"])


async def vote_at_kiosk(
    hall: Hall, custodian: Person, member: Person, site: str, manifest: Manifest, choice: int
) -> JsonObject:
    """What the kiosk's page does for one vote, beside the custodian's session; return the ballot's promise."""
    signed_in = await sign_in_at_kiosk(hall, custodian, member, site)
    token, path = signed_in["token"], hall.election_path(manifest.election, "")

    async def ask(method: str, rest: str, body: object = None) -> dict[str, Any]:
        status, answer = await at_kiosk(custodian, token, method, rest, body)
        assert status == 200, answer
        return answer

    me = (await ask("GET", f"{path}/manifest"))["me"]
    assert me["credential"] == signed_in["credential"]
    seed = secrets.token_bytes(32)
    keys = (unb64u(me["credential"]), signing.public_key(seed))
    nonce = (await ask("POST", "/api/nonce", {"purpose": "replace"}))["nonce"]
    signed = member.assertion(challenges.replacement(manifest.hash, *keys, True, unb64u(nonce)))
    body = {"old": b64u(keys[0]), "new": b64u(keys[1]), "kiosk": True, "nonce": nonce, **signed}
    await ask("POST", f"{path}/replacements", body)
    me = (await ask("GET", f"{path}/manifest"))["me"]
    standing = casting.Place(me["weight"], me["seq"] + 1, unb64u(me["prev"]))
    cells = votes_support.cells(manifest, choice)
    sealed = casting.seal(manifest, keys[1], cells, casting.SeededDraws(secrets.token_bytes(32)), standing)
    await ask("POST", f"{path}/seals", casting.make_announcement(manifest, seed, sealed_hash(sealed)))
    answer = await ask("POST", f"{path}/ballots", {"ballot": casting.sign_ballot(sealed, seed)})
    board.verify_promise(answer["promise"], manifest.server_key)
    await ask("POST", hall.path(f"/sites/{site}/kiosk/sign-out"), {})
    return dict(answer["promise"])


async def ready(hall: Hall, present: Sequence[Person]) -> votes_support.Ready:
    """Officers present, key, cosigners, opened."""
    await votes_support.check_in(hall, present)
    tellers = await votes.make_key(hall.tellers, hall.meeting)
    cosigners = [await votes.name_cosigner(person, hall.meeting) for person in hall.officers]
    await hall.chair.post(hall.path("/commands"), {"command": "open"})
    return votes_support.Ready(tellers, cosigners)


async def test_twelve_members_at_one_device_have_twelve_intervals_and_twelve_ballots(
    place: Hall, tmp_path: Path
) -> None:
    custodian = members(place)[0]  # one of the twelve, who looks after the hall
    site = await open_site(place, custodian)
    for member in members(place):
        answer = await check_in_at_kiosk(place, custodian, member, site)
        assert answer == {"member": member.member, "name": member.name, "seq": answer["seq"]}
        session = await custodian.get("/api/session")
        assert session["member"]["id"] == custodian.member  # the custodian was signed in all along
    here = [line for line in await lines(place) if line["site"] == site]
    assert len({line["member"] for line in here}) == len(here) == 12
    helpers = await ready(place, place.officers)
    election = await votes_support.draft(place, kiosk=True)
    manifest = await votes.open_election(place.chair, place.meeting, election)
    opened = (await place.events("ElectionOpened"))[0]
    assert opened["body"]["present"] == manifest.present == 17
    points = (await place.chair.get(place.path("/quorum-curve")))["points"]
    then = [point for point in points if point["seq"] <= opened["seq"]][-1]
    assert (then["present"], then["by_site"]) == (manifest.present, {site: 12, "remote": 5})
    choices = [0] * 7 + [1] * 4 + [2]
    promises = [
        await vote_at_kiosk(place, custodian, member, site, manifest, choice)
        for member, choice in zip(members(place), choices, strict=True)
    ]
    assert len({promise["leaf"] for promise in promises}) == 12
    assert (await place.view(place.chair))["elections"][0]["cast"] == 12
    await place.settle(place.settings.publish_every_s)
    await votes_support.close(place, election)
    await votes_support.cosign(place, manifest, helpers.cosigners)
    await votes.count(helpers.tellers[:2], place.meeting, manifest)
    core = await votes.declare(helpers.cosigners[0], place.meeting, manifest)
    assert core["counts"] == [[7, 4, 1]]
    await verified(place, site, tmp_path)


async def verified(hall: Hall, site: str, folder: Path) -> None:
    """Both verifiers accept the record with check-ins at a hall, and neither with one that was moved elsewhere."""
    raw, annex = await downloads(hall)
    with zipfile.ZipFile(io.BytesIO(annex)) as packed:
        signed = [one["site"] for one in json.loads(packed.read("annex.json"))["checkins"]]
    assert sorted(signed) == sorted([*[site] * 12, *["remote"] * 5])
    moved = mutated(annex, "annex.json", f'"site":"{site}"'.encode(), b'"site":"main"')
    for given, verdict, failing in ((annex, "ok", []), (moved, "failed", ["V24", "V34"])):
        report = verify_bundle(raw, given)
        assert (report.verdict, [check.id for check in report.checks if check.ok is False]) == (verdict, failing)
        paths = [folder / "bundle.zip", folder / "annex.zip"]
        for path, content in zip(paths, (raw, given), strict=True):
            path.write_bytes(content)
        other = json.loads(run_node(paths[0], "--annex", paths[1], "--json").stdout)
        assert (other["verdict"], [one["id"] for one in other["checks"] if one["ok"] is False]) == (verdict, failing)


async def test_a_custodian_alone_checks_in_nobody(place: Hall) -> None:
    custodian, other, victim = members(place)[:3]
    site, second = await open_site(place, custodian), await open_site(place, other)
    kiosk = place.path(f"/sites/{site}/kiosk")
    begun = await custodian.post(f"{kiosk}/begin")
    own = await support.check_in_body(place, begun, custodian)
    victims = {"passkey": b64u(victim.authenticator.credential_id)}
    # The custodian's own signature in another's name.
    assert await refusal(custodian, f"{kiosk}/finish", {**own, **victims}) == (422, "voting.assertion-signature")
    # What the victim signed elsewhere: a sign-in, an action, a check-in at another hall, at home, in another meeting.
    start = await victim.post("/api/sign-in/begin")
    signed_in = victim.assertion(challenges.sign_in(start["rp_id"], unb64u(start["nonce"])))
    assert await refusal(custodian, f"{kiosk}/finish", {**own, **signed_in}) == (422, "voting.assertion-challenge")
    leave = {"type": "leave-site", "meeting": place.meeting, "site": site}
    action = victim.assertion(challenges.action(leave, unb64u(begun["nonce"])))
    assert await refusal(custodian, f"{kiosk}/finish", {**own, **action}) == (422, "voting.assertion-challenge")
    for wrong in ({"site": second}, {"site": "remote"}, {"meeting": "elsewhere"}):
        body = {**await support.check_in_body(place, begun, victim, **wrong), "site": site}
        assert await refusal(custodian, f"{kiosk}/finish", body) == (422, "voting.assertion-challenge")
    elsewhere = await support.check_in_body(place, await other.post(f"{kiosk.replace(site, second)}/begin"), victim)
    assert await refusal(custodian, f"{kiosk}/finish", elsewhere) == (422, "check-in.site")
    assert await refusal(custodian, f"{kiosk}/finish", {**elsewhere, "site": site}) == (422, "nonce.invalid")
    home = await victim.post(place.path("/check-in/begin"))
    stolen = await support.check_in_body(place, home, victim)
    assert await refusal(custodian, f"{kiosk}/finish", {**stolen, "site": site}) == (422, "nonce.invalid")
    # A credential that is the custodian's, put into what the victim signed.
    good = await support.check_in_body(place, begun, victim)
    mine = b64u(signing.public_key(secrets.token_bytes(32)))
    assert await refusal(custodian, f"{kiosk}/finish", {**good, "credential": mine}) == (
        422,
        "voting.assertion-challenge",
    )
    assert await lines(place) == []
    # The control: what the victim signed for this hall is taken, once.
    await custodian.post(f"{kiosk}/finish", good)
    assert [line["member"] for line in await lines(place)] == [victim.member]
    assert await refusal(custodian, f"{kiosk}/finish", good) == (422, "nonce.invalid")


async def test_a_kiosk_stands_in_a_connected_hall_beside_its_own_custodian(place: Hall) -> None:
    custodian, other = members(place)[:2]
    site = await support.add(place, place.secretary, custodian.member)
    kiosk = place.path(f"/sites/{site}/kiosk")
    assert await refusal(custodian, f"{kiosk}/begin") == (409, "site.not-connected")
    await custodian.post(place.path(f"/sites/{site}/test"), support.GOOD_LINE)
    assert await refusal(custodian, f"{kiosk}/begin") == (409, "site.not-connected")
    await support.hear(place, place.database, custodian, site, place.clock())
    for person in (other, place.secretary, place.chair):
        assert await refusal(person, f"{kiosk}/begin") == (403, "site.not-custodian")
        assert await refusal(person, f"{kiosk}/sign-in/begin") == (403, "site.not-custodian")
    begun = await custodian.post(f"{kiosk}/begin")
    assert "mine" not in begun
    body = await support.check_in_body(place, begun, other)
    assert await refusal(place.chair, f"{kiosk}/finish", body) == (403, "site.not-custodian")
    assert await refusal(other, place.path("/check-in/finish"), body) == (422, "nonce.invalid")
    await custodian.post(f"{kiosk}/finish", body)


async def test_too_many_refusals_close_a_kiosk_for_a_while(place: Hall) -> None:
    custodian, member = members(place)[:2]
    site = await open_site(place, custodian)
    kiosk = place.path(f"/sites/{site}/kiosk")
    bad = {**await support.check_in_body(place, await custodian.post(f"{kiosk}/begin"), member), "nonce": "A" * 43}
    answers = [await refusal(custodian, f"{kiosk}/finish", bad) for _ in range(21)]
    assert answers == [(422, "nonce.invalid")] * 20 + [(429, "site.kiosk-too-many")]
    good = await support.check_in_body(place, await custodian.post(f"{kiosk}/begin"), member)
    assert await refusal(custodian, f"{kiosk}/finish", good) == (429, "site.kiosk-too-many")


async def test_a_kiosk_session_is_its_members_beside_one_cookie_and_opens_little(place: Hall) -> None:
    custodian, member, other = members(place)[:3]
    site = await open_site(place, custodian)
    with pytest.raises(DemoError, match=r"kiosk\.not-here"):
        await sign_in_at_kiosk(place, custodian, member, site)
    await check_in_at_kiosk(place, custodian, member, site)
    helpers = await ready(place, place.officers)
    election = await votes_support.draft(place, kiosk=True)
    await votes.open_election(place.chair, place.meeting, election)
    signed_in = await sign_in_at_kiosk(place, custodian, member, site)
    assert sorted(signed_in) == ["credential", "member", "name", "token", "until"]
    token, manifest = signed_in["token"], place.election_path(election, "/manifest")

    async def code(person: Person, method: str, path: str, body: object = None, given: str = token) -> str:
        status, answer = await at_kiosk(person, given, method, path, body)
        return "accepted" if status == 200 else str(answer["error"]["code"])

    assert await code(custodian, "GET", manifest) == "accepted"
    for method, path, body in (
        ("GET", "/api/session", None),
        ("GET", "/api/meetings", None),
        ("GET", place.path(""), None),
        ("GET", place.path("/roll"), None),
        ("GET", "/api/passkeys", None),
        ("POST", "/api/sign-out", {}),
        ("POST", "/api/socket-ticket", {"meeting": place.meeting}),
        ("POST", place.path("/commands"), {"command": "leave"}),
        ("POST", place.path("/check-in/begin"), {}),
        ("POST", place.path(f"/sites/{site}/kiosk/begin"), {}),
    ):
        assert await code(custodian, method, path, body) == "kiosk.not-allowed", path
    elsewhere = manifest.replace(place.meeting, "elsewhere")
    assert await code(custodian, "GET", elsewhere) == "kiosk.not-allowed"
    # The token is worth nothing beside another cookie, nor without one.
    assert await code(other, "GET", manifest) == "kiosk.ended"
    stranger = Person(place.settings.public_url, "nobody")
    place.people.append(stranger)
    assert await code(stranger, "GET", manifest) == "session.none"
    assert await code(custodian, "GET", manifest, given=b64u(bytes(32))) == "kiosk.ended"
    assert await code(custodian, "GET", manifest, given="~") == "kiosk.ended"
    # Without the header the custodian is the custodian.
    assert (await custodian.get("/api/session"))["member"]["id"] == custodian.member
    assert await code(custodian, "POST", place.path(f"/sites/{site}/kiosk/sign-out"), {}) == "accepted"
    assert await code(custodian, "GET", manifest) == "kiosk.ended"
    again = await sign_in_at_kiosk(place, custodian, member, site)
    assert await code(custodian, "GET", manifest, given=again["token"]) == "accepted"
    place.clock.at += 300
    assert await code(custodian, "GET", manifest, given=again["token"]) == "kiosk.ended"
    assert len(helpers.tellers) == 3


async def test_a_custodian_alone_votes_for_nobody(place: Hall) -> None:
    custodian, member = members(place)[:2]
    site = await open_site(place, custodian)
    await check_in_at_kiosk(place, custodian, custodian, site)
    # A page that keeps the key which it made for the member's check-in, and should have thrown away.
    kept, kiosk = secrets.token_bytes(32), place.path(f"/sites/{site}/kiosk")
    begun = await custodian.post(f"{kiosk}/begin")
    body = await support.check_in_body(place, begun, member, credential=signing.public_key(kept))
    await custodian.post(f"{kiosk}/finish", body)
    await ready(place, place.officers)
    election = await votes_support.draft(place, kiosk=True)
    manifest = await votes.open_election(place.chair, place.meeting, election)
    path = place.election_path(election, "")
    cells, draws = votes_support.cells(manifest, 0), casting.SeededDraws(bytes(32))
    sealed = casting.seal(manifest, signing.public_key(kept), cells, draws, casting.Place(1, 1, b""))
    announced = casting.make_announcement(manifest, kept, sealed_hash(sealed))
    assert await refusal(custodian, f"{path}/seals", announced) == (403, "ballot.foreign-credential")
    ballot = {"ballot": casting.sign_ballot(sealed, kept)}
    assert await refusal(custodian, f"{path}/ballots", ballot) == (403, "ballot.foreign-credential")
    signed_in = await sign_in_at_kiosk(place, custodian, member, site)
    token = signed_in["token"]
    seed = secrets.token_bytes(32)
    keys = (unb64u(signed_in["credential"]), signing.public_key(seed))

    async def replace(signer: Person, **changes: Any) -> str:
        nonce = (await at_kiosk(custodian, token, "POST", "/api/nonce", {"purpose": "replace"}))[1]["nonce"]
        signed = signer.assertion(challenges.replacement(manifest.hash, *keys, True, unb64u(nonce)))
        body = {"old": b64u(keys[0]), "new": b64u(keys[1]), "kiosk": True, "nonce": nonce, **signed, **changes}
        status, answer = await at_kiosk(custodian, token, "POST", f"{path}/replacements", body)
        return "accepted" if status == 200 else str(answer["error"]["code"])

    # With the member's token still in the page: no key takes over without the member's passkey.
    assert await replace(custodian) == "replacement.passkey"
    assert await replace(custodian, passkey=b64u(member.authenticator.credential_id)) == "voting.assertion-signature"
    assert await replace(member, kiosk=False) == "kiosk.unnamed"
    # A ballot with a key of the custodian's own making.
    sealed = casting.seal(manifest, keys[1], cells, casting.SeededDraws(bytes(32)), casting.Place(1, 1, b""))
    status, answer = await at_kiosk(
        custodian, token, "POST", f"{path}/ballots", {"ballot": casting.sign_ballot(sealed, seed)}
    )
    assert status in (403, 422), answer
    # A member's sign-in signed by the custodian, or for a nonce of the ordinary sign-in.
    begin = place.path(f"/sites/{site}/kiosk/sign-in")
    nonce = (await custodian.post(f"{begin}/begin"))["nonce"]
    forged = custodian.authenticator.authenticate(challenges.sign_in("localhost", unb64u(nonce)))
    forged |= {name: b64u(member.authenticator.credential_id) for name in ("id", "rawId")}
    assert (await refusal(custodian, f"{begin}/finish", {"nonce": nonce, "credential": forged}))[0] == 422
    public = (await custodian.post("/api/sign-in/begin"))["nonce"]
    replayed = member.authenticator.authenticate(challenges.sign_in("localhost", unb64u(public)))
    assert await refusal(custodian, f"{begin}/finish", {"nonce": public, "credential": replayed}) == (
        422,
        "nonce.invalid",
    )
    assert (await place.view(place.chair))["elections"][0]["cast"] == 0
    # The control: with the member's passkey it goes through.
    await vote_at_kiosk(place, custodian, member, site, manifest, 1)
    assert (await place.view(place.chair))["elections"][0]["cast"] == 1


async def test_a_member_leaves_at_the_kiosk_by_the_own_passkey_alone(place: Hall) -> None:
    custodian, member, other = members(place)[:3]
    site = await open_site(place, custodian)
    await check_in_at_kiosk(place, custodian, member, site)
    path, action = (
        place.path(f"/sites/{site}/kiosk/leave"),
        {
            "type": "leave-site",
            "meeting": place.meeting,
            "site": site,
        },
    )

    async def leave(signer: Person, given: dict[str, Any] = action, **changes: Any) -> tuple[int, str]:
        nonce = (await custodian.post("/api/nonce", {"purpose": "action"}))["nonce"]
        signed = {"nonce": nonce, **signer.assertion(challenges.action(given, unb64u(nonce))), **changes}
        return await refusal(custodian, path, {"action": given, "signed": signed})

    as_member = b64u(member.authenticator.credential_id)
    assert await leave(custodian) == (409, "kiosk.not-here")
    assert (await leave(custodian, passkey=as_member))[0] == 422
    assert await leave(member, {**action, "site": "main"}) == (422, "action.differs")
    assert await leave(other) == (409, "kiosk.not-here")
    assert [line["until"] for line in await lines(place)] == [None]
    assert await leave(member) == (200, "accepted")
    assert [line["until"] for line in await lines(place)] == [place.clock()]
