"""A relay at a name of its own over https: the hub's headers, its cookie for that name alone, its passkeys."""

import hashlib
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from tests.browser.serving import HALL_HOST, Authority
from tests.relay.rig import Phone, Rig, open_vote, rig
from tests.server.test_headers import REQUESTS, require_headers
from tests.server.votes_support import YES

from folkmoot_voting import challenges
from folkmoot_voting.encoding import b64u, jcs, unb64u

pytestmark = pytest.mark.timeout(400)  # processes, passkeys and a cut of eight seconds, on a slow machine
CUT_OFF = {"/api/info": 200, "/api/meetings/none/bundle.zip": 503, "/api/nothing": 503}


async def test_a_hall_has_pages_at_its_own_name(tmp_path: Path) -> None:
    authority = Authority.make(tmp_path, (HALL_HOST,))
    async with rig(tmp_path, authority) as made:
        binh, otto = made.phones["binh"], made.phones["otto"]
        assert made.origin.startswith(f"https://{HALL_HOST}:")
        assert made.hall.settings.public_url.startswith("https://folkmoot.test:")
        await _headers(made, {"/api/info": 200})
        _require_cookie(await _signs_in(binh))
        manifest = await open_vote(made)
        await binh.post(made.vote("/ballots"), {"ballot": binh.ballot(manifest, YES)})
        # A page elsewhere may not act here, nor a page of the hub at the relay.
        path, hand = made.path("/commands"), {"command": "raise-hand"}
        for origin in ("https://folkmoot.test", made.hall.settings.public_url, f"http://{HALL_HOST}"):
            assert await binh.refused(path, hand, Origin=origin) == (403, "origin.refused")
        await _seat_lists(made)

        made.link.drop()
        await made.until_cut(binh)
        await _headers(made, CUT_OFF)
        _require_cookie(await _signs_in(otto))
        await otto.check_in(made.hall.meeting, 202)
        greta = made.phones["greta"]
        await greta.post(made.vote("/ballots"), {"ballot": greta.ballot(manifest, YES)}, 202)
        count = len(made.relay.entries())
        made.link.restore()
        await made.until_linked(binh)
        await made.until_delivered(count)
        assert made.relay.refused() == {}
        view = await made.hall.view(made.hall.chair)
        assert [one["cast"] for one in view["elections"]] == [2]
        assert otto.member in {one["member"] for one in view["present"]}


async def _signs_in(phone: Phone) -> SimpleCookie:
    """Sign in with the passkey at the relay's name and return the cookie."""
    begun = await phone.post("/api/sign-in/begin")
    assert begun["rp_id"] == "folkmoot.test"
    finish = {"nonce": begun["nonce"], "credential": phone.authenticate(begun["rp_id"], unb64u(begun["nonce"]))}
    status, _, headers = await phone.ask("POST", "/api/sign-in/finish", finish)
    assert status == 200
    return SimpleCookie(headers["Set-Cookie"])


def _require_cookie(jar: SimpleCookie) -> None:
    """Browsers take a __Host- cookie only with Secure, Path=/ and no Domain (RFC 6265bis, section 4.1.3.2)."""
    cookie = jar["__Host-folkmoot"]
    assert (bool(cookie["secure"]), bool(cookie["httponly"])) == (True, True)
    assert (cookie["path"], cookie["domain"], cookie["samesite"]) == ("/", "", "Lax")


async def _seat_lists(made: Rig) -> None:
    """The custodian signs who is in the hall; what a relay makes of the list on the way is refused."""
    binh, greta, path = made.phones["binh"], made.phones["greta"], made.path(f"/sites/{made.site}/seats")

    async def signed(phone: Phone, seats: list[str]) -> dict[str, Any]:
        digest = b64u(hashlib.sha256(jcs(seats)).digest())
        action = {"type": "sign-seats", "meeting": made.hall.meeting, "site": made.site, "hash": digest}
        nonce = (await phone.post("/api/nonce", {"purpose": "action"}))["nonce"]
        statement = {"nonce": nonce, **phone.sign(challenges.action(action, unb64u(nonce)))}
        return {"seats": seats, "action": action, "signed": statement}

    everybody = sorted(phone.member for phone in made.phones.values())
    short = await signed(binh, everybody[:2])
    assert await binh.refused(path, {**short, "seats": everybody}) == (422, "action.differs")
    forged = {**short["action"], "hash": b64u(hashlib.sha256(jcs(everybody)).digest())}
    changed = {**short, "seats": everybody, "action": forged}
    assert await binh.refused(path, changed) == (422, "passkey.wrong-challenge")
    assert await greta.refused(path, await signed(greta, everybody)) == (403, "site.not-custodian")
    # Control: the list that was signed is taken.
    await binh.post(path, await signed(binh, everybody))


async def _headers(made: Rig, other: dict[str, int]) -> None:
    """Ask the relay what the real hub is asked, and hold the answers against the same headers."""
    stranger = Phone(made.origin, made.hall.chair, made.hall.authority)
    try:
        for method, path, status in REQUESTS:
            async with stranger.raw(method, path) as answer:
                assert answer.status == other.get(path, status), f"{method} {path} {answer.status}"
                require_headers(answer, path)
    finally:
        await stranger.close()
