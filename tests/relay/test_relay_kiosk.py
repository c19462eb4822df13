"""Members without a phone at the kiosk of a hall with a relay: each acts as themselves, never as its custodian."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import pytest
from tests.relay.kiosk import Kiosk, connect, held
from tests.relay.rig import Phone, Rig, open_vote, receipt_of, rig, until
from tests.server.votes_support import NO, YES

from folkmoot_server.demo.client import Line
from folkmoot_server.domain.ids import from_b64u
from folkmoot_server.storage import seats
from folkmoot_voting import challenges
from folkmoot_voting.board import verify_promise
from folkmoot_voting.encoding import b64u, unb64u
from folkmoot_voting.manifest import Manifest

pytestmark = pytest.mark.timeout(400)  # processes, passkeys and a cut of eight seconds, on a slow machine


def kiosk(made: Rig, name: str) -> Kiosk:
    return Kiosk(made, made.phones["binh"], made.phones[name])


async def cast_of(made: Rig) -> int:
    return int((await made.hall.view(made.hall.chair))["elections"][-1]["cast"])


async def test_members_vote_and_answer_at_the_kiosk_of_a_hall_with_a_relay(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        await connect(made)
        otto, greta = kiosk(made, "otto"), kiosk(made, "greta")
        for one in (otto, greta):
            found = await one.check_in()
            assert (found["member"], found["name"]) == (one.voter.member, one.voter.person.name)
        manifest = await open_vote(made, kiosk=True)
        await otto.sign_in()
        ballot = await otto.seal(manifest, YES)
        await _control_nobody_votes_for_the_custodian(made, otto, manifest)
        status, answer = await otto.cast(ballot)
        assert status == 200, answer
        verify_promise(answer["promise"], from_b64u(_identity(made)["hub_key"]))
        await _the_member_answers_the_chair(made, otto)
        await _it_opens_little(made, otto)
        await _it_is_worth_nothing_elsewhere(made, otto)
        token = otto.token
        assert (await otto.leave())[0] == 200
        assert await otto.code("GET", made.vote("/manifest")) == (401, "kiosk.ended")

        await greta.sign_in()
        assert greta.token != token
        assert (await greta.cast(await greta.seal(manifest, NO)))[0] == 200
        assert await cast_of(made) == 2
        votes = [event["body"] for event in await made.hall.events("MemberCheckedIn")]
        assert [one["site"] for one in votes if one["member"] == otto.voter.member] == [made.site]
        await _the_custodian_is_who_they_were(made, manifest)
        await _a_closed_session_shuts_the_kiosk_out(made, greta)


def _identity(made: Rig) -> dict[str, str]:
    return dict(json.loads(made.relay.rows("SELECT text FROM value WHERE name = 'identity'")[0][0]))


async def _control_nobody_votes_for_the_custodian(made: Rig, otto: Kiosk, manifest: Manifest) -> None:
    """Without the header the same request is the custodian's own, and what the member signed is refused there."""
    binh = otto.custodian
    body = await otto.replacement(manifest, secrets.token_bytes(32))
    refused = await binh.refused(made.vote("/replacements"), body)
    assert refused[0] in (403, 422), refused
    own = (await binh.get(made.vote("/manifest")))["me"]["credential"]
    members = (await otto.ask("GET", made.vote("/manifest")))[1]["me"]["credential"]
    assert members not in ("", own)
    # However the header is written, the member acts; what cannot be read acts for nobody.
    for scheme in ("kiosk", "KIOSK"):
        found = await otto.ask("GET", made.vote("/manifest"), scheme=scheme)
        assert found[1]["me"]["credential"] == members
    for header in ("Kiosk", "Kiosk ~", f"Kiosk {otto.token[:-1]}"):
        status, answer, _ = await binh.ask("GET", made.vote("/manifest"), Authorization=header)
        assert (status, answer["error"]["code"]) == (401, "kiosk.ended"), header
    # What is kept for a cut as the custodian's is the custodian's.
    rows = made.relay.rows("SELECT kept.member, blob.data FROM kept JOIN blob ON blob.digest = kept.body")
    kept = [(owner, json.loads(data)) for owner, data in rows if b'"electorate"' in data]
    assert [(owner, found["me"]["credential"]) for owner, found in kept] == [(binh.member, own)]
    unnamed = await otto.replacement(manifest, secrets.token_bytes(32), kiosk=False)
    assert await otto.code("POST", made.vote("/replacements"), unnamed) == (422, "kiosk.unnamed")


async def _the_member_answers_the_chair(made: Rig, otto: Kiosk) -> None:
    wanted = {"members": [], "site": made.site, "within_s": 120}
    asked = str((await made.hall.chair.post(made.path("/presence"), wanted))["presence"])
    credential = unb64u((await otto.sign_in())["credential"])
    status, given = await otto.ask("POST", "/api/nonce", {"purpose": "presence"})
    assert status == 200, given
    nonce = given["nonce"]
    signed = otto.voter.sign(challenges.presence(made.hall.meeting, asked, credential, unb64u(nonce)))
    path, body = made.path(f"/presence/{asked}/confirm"), {"nonce": nonce, **signed}
    assert (await otto.custodian.refused(path, body))[0] in (403, 422)  # control: as the custodian's own answer
    status, answer = await otto.ask("POST", path, body)
    assert status == 200, answer


async def _it_opens_little(made: Rig, otto: Kiosk) -> None:
    """What no kiosk does is refused, and changes nothing of what the relay holds of the custodian."""
    for method, path, body in (
        ("GET", "/api/session", None),
        ("GET", "/api/info", None),
        ("GET", made.path(), None),
        ("GET", made.path("/papers"), None),
        ("POST", made.path("/commands"), {"command": "raise-hand"}),
        ("POST", otto.path("begin"), {}),
        ("POST", "/api/sign-out", {}),
        ("POST", "/api/socket-ticket", {"meeting": made.hall.meeting}),
    ):
        assert await otto.code(method, path, body) == (403, "kiosk.not-allowed"), path


async def _it_is_worth_nothing_elsewhere(made: Rig, otto: Kiosk) -> None:
    """Beside another cookie, without one, and at a relay that is not there."""
    mai, stranger = made.phones["mai"], Phone(made.origin, made.hall.chair)
    for phone, code in ((mai, "kiosk.ended"), (stranger, "session.none")):
        beside = Kiosk(made, phone, otto.voter, otto.token)
        assert await beside.code("GET", made.vote("/manifest")) == (401, code)
    await stranger.close()


async def _the_custodian_is_who_they_were(made: Rig, manifest: Manifest) -> None:
    binh = made.phones["binh"]
    assert (await binh.get("/api/session"))["member"]["id"] == binh.member
    me = (await binh.get(made.path()))["me"]
    assert (me["member"], me["checked_in"]) == (binh.member, True)
    answer = await binh.post(made.vote("/ballots"), {"ballot": binh.ballot(manifest, YES)})
    assert answer["promise"]["manifest"]
    assert await cast_of(made) == 3


async def _a_closed_session_shuts_the_kiosk_out(made: Rig, greta: Kiosk) -> None:
    """The kiosk of a hall that is not admitted gets no more than its pages: its requests came by way of the relay."""
    command = {"command": "begin-closed-session", "reason": "staff", "sites": [], "visitors": []}
    await made.hall.chair.post(made.path("/commands"), command)
    assert await greta.code("GET", made.vote("/manifest")) == (403, "closed-session.site")
    admit = {"command": "admit-inside", "site": made.site, "visitor": "", "admitted": True}
    await made.hall.chair.post(made.path("/commands"), admit)
    assert await greta.code("GET", made.vote("/manifest")) == (200, "")


async def test_the_kiosk_goes_on_while_its_hall_is_cut_off(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        await connect(made)
        binh, greta, mai, otto = (kiosk(made, name) for name in ("binh", "greta", "mai", "otto"))
        for one in (binh, greta, mai):
            await one.check_in()
        manifest = await open_vote(made, kiosk=True)
        await held(made, 3)
        for one in (binh, greta):
            await one.sign_in()
        assert (await binh.cast(await binh.seal(manifest, NO)))[0] == 200
        begun = await greta.seal(manifest, YES)
        page = await binh.custodian.follow(made.hall.meeting, (await binh.custodian.get(made.path()))["seq"])
        made.link.drop()
        await made.until_cut(binh.custodian)

        # Who had begun goes on, with the token and the key of before.
        status, answer = await greta.cast(begun)
        assert status == 202, answer
        receipt_of(answer, made.relay.entries())
        await greta.leave()
        # Who has not begins now.
        await _a_vote_that_begins_in_the_cut(made, mai, manifest)
        # Whose ballot the hub has waits for the line.
        await binh.sign_in()
        assert await binh.code("GET", made.vote("/manifest")) == (503, "relay.cut")
        await _a_check_in_at_the_kiosk(made, otto)
        members = {one.voter.member for one in (binh, greta, mai, otto)}
        await _who_is_there_by_the_kiosk_is_noted(made, page, members)
        await _it_opens_as_little_in_a_cut(made, otto)
        count = len(made.relay.entries())
        named = {one["member"] for one in made.relay.entries() if one["kind"] in ("check-in", "replacement")}
        assert named == {mai.voter.member, otto.voter.member}  # nothing in the custodian's name

        made.link.restore()
        await made.until_linked(binh.custodian)
        await made.until_delivered(count)
        assert made.relay.refused() == {}
        assert await cast_of(made) == 3
        meeting, site = made.hall.meeting, made.site
        there = {seat.member for seat in await made.hall.read(lambda tx: seats.at_kiosk(tx, meeting, site))}
        assert otto.voter.member in there  # as long as the hall is, without a phone
        assert otto.voter.member in {one["member"] for one in (await made.hall.view(made.hall.chair))["present"]}
        confirmed = [event["body"] for event in await made.hall.events("HallConfirmed")]
        assert members == set().union(*(one["members"] for one in confirmed))
        await page.close()
        # What the kiosk began by itself means nothing to the hub.
        assert await otto.code("GET", made.vote("/manifest")) == (401, "kiosk.ended")


async def _a_vote_that_begins_in_the_cut(made: Rig, mai: Kiosk, manifest: Manifest) -> None:
    custodian = mai.custodian
    await mai.sign_in()
    unnamed = await mai.replacement(manifest, secrets.token_bytes(32), kiosk=False)
    assert await mai.code("POST", made.vote("/replacements"), unnamed) == (422, "kiosk.unnamed")
    # Control: what the member signed, sent as the custodian's own, beside another cookie, or by another passkey.
    body = await mai.replacement(manifest, secrets.token_bytes(32))
    assert await custodian.refused(made.vote("/replacements"), body) == (422, "nonce.invalid")
    beside = Kiosk(made, made.phones["greta"], mai.voter, mai.token)
    assert await beside.code("POST", made.vote("/replacements"), body) == (401, "kiosk.ended")
    forged = {**body, "passkey": b64u(custodian.person.authenticator.credential_id)}
    assert (await mai.code("POST", made.vote("/replacements"), forged))[0] == 422
    before = len(made.relay.entries())
    ballot = await mai.seal(manifest, YES, 202)
    status, answer = await mai.cast(ballot)
    assert status == 202, answer
    new = made.relay.entries()[before:]
    assert [(one["kind"], one["member"]) for one in new] == [
        ("replacement", mai.voter.member),
        ("seal", ""),
        ("ballot", ""),
    ]
    assert new[0]["body"]["kiosk"] is True
    assert await mai.cast(ballot) == (status, answer)
    assert (await mai.leave())[0] == 200
    assert await mai.code("GET", made.vote("/manifest")) == (401, "kiosk.ended")


async def _a_check_in_at_the_kiosk(made: Rig, otto: Kiosk) -> None:
    """By the member's own passkey, for this kiosk, beside its custodian's cookie; whatever else is refused."""
    custodian, finish = otto.custodian, otto.path("finish")
    with pytest.raises(AssertionError, match=r"kiosk\.not-here"):
        await otto.sign_in()
    body = await otto.check_in_body()
    own = Kiosk(made, custodian, custodian)
    wrong = {**await own.check_in_body(), "passkey": body["passkey"]}
    assert await custodian.refused(finish, wrong) == (422, "voting.assertion-signature")
    assert await custodian.refused(finish, {**body, "site": "main"}) == (422, "check-in.site")
    assert await custodian.refused(made.path("/check-in/finish"), body) == (422, "nonce.invalid")
    assert await custodian.refused(finish.replace(made.site, "main"), body) == (403, "site.not-custodian")
    assert await made.phones["greta"].refused(otto.path("begin")) == (403, "site.not-custodian")
    assert await made.phones["greta"].refused(finish, body) == (403, "site.not-custodian")
    for_oneself = await custodian.begin_check_in(made.hall.meeting)
    assert await custodian.refused(finish, for_oneself) == (422, "nonce.invalid")
    taken = await custodian.post(finish, body, 202)
    assert (taken["member"], taken["name"]) == (otto.voter.member, otto.voter.person.name)
    entry = receipt_of(taken, made.relay.entries())
    assert (entry["kind"], entry["member"]) == ("check-in", otto.voter.member)
    assert entry["body"] == {**body, "kiosk": True}
    assert await custodian.post(finish, body, 202) == taken
    await otto.sign_in()  # here now, but after the vote was opened
    assert await otto.code("GET", made.vote("/manifest")) == (503, "relay.cut")


async def _who_is_there_by_the_kiosk_is_noted(made: Rig, page: Line, members: set[str]) -> None:
    """They are there as long as the hall's own page is; without it the relay says nothing of them."""

    def noted() -> list[set[str]]:
        return [set(one["body"]["members"]) for one in made.relay.entries() if one["kind"] == "here"]

    assert noted() == []  # control: the page is connected, and has not said that it is the hall's

    async def all_noted() -> bool:
        assert "ok" in await page.call("lease", {"site": made.site})
        return noted()[-1:] == [members]

    await until(all_noted, "a record of who is there")


async def _it_opens_as_little_in_a_cut(made: Rig, otto: Kiosk) -> None:
    for method, path, body in (
        ("GET", "/api/session", None),
        ("GET", made.path(), None),
        ("GET", made.path("/papers"), None),
        ("POST", made.path("/commands"), {"command": "raise-hand"}),
        ("POST", made.path("/check-in/begin"), {}),
        ("POST", otto.path("begin"), {}),
        ("POST", "/api/sign-out", {}),
        ("POST", "/api/socket-ticket", {"meeting": made.hall.meeting}),
    ):
        assert await otto.code(method, path, body) == (403, "kiosk.not-allowed"), path
    for method, path, body in (
        ("GET", made.path("/sites"), None),  # kept as the custodian's, who is not the one who asks
        ("GET", made.vote("/board"), None),
        ("POST", "/api/nonce", {"purpose": "presence"}),
    ):
        assert await otto.code(method, path, body) == (503, "relay.cut"), path
