"""Codes of halls, and the seat lists that custodians sign."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.server import sites_support as support
from tests.server.common import START, refusal
from tests.server.sites_support import hall_of
from tests.server.support import House, at_check_in

from folkmoot_server.domain.sites import CODE_S
from folkmoot_voting import challenges


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with at_check_in(tmp_path) as running:
        await running.realtime._housekeeping.close()  # no hall is lost here
        yield running


# -- codes and companions -------------------------------------------------------------------------------------------


async def test_checking_in_at_a_hall_needs_its_code_and_signs_its_name(house: House) -> None:
    site, other = await hall_of(house), await support.add(house, house.jonas, house.ana.member, "Hall 8")
    begin = house.path("/check-in/begin")
    assert await refusal(house.binh, begin, {"site": site, "code": "aaaaaaaaaa"}) == (403, "site.bad-code")
    assert await refusal(house.binh, begin, {"site": site}) == (403, "site.bad-code")
    assert await refusal(house.binh, begin, {"site": "nowhere", "code": ""}) == (404, "site.unknown")
    assert await refusal(house.binh, house.path(f"/sites/{site}/code"), None, "GET") == (403, "site.not-yours")
    assert await refusal(house.jonas, house.path("/sites/remote/code"), None, "GET") == (409, "site.no-place")
    shown_now = await support.code_of(house, house.paul, site)
    assert shown_now == await support.code_of(house, house.jonas, site)
    house.clock.at += CODE_S
    assert await support.code_of(house, house.jonas, site) != shown_now
    begun = await house.binh.post(begin, {"site": site, "code": shown_now})  # the one before is still taken
    # A nonce of one hall is good for no other site, whatever the passkey signs.
    finish = house.path("/check-in/finish")
    for elsewhere in (other, "remote", "main"):
        body = await support.check_in_body(house, begun, house.binh, site=elsewhere)
        assert await refusal(house.binh, finish, body) == (422, "nonce.invalid")
    swapped = {**await support.check_in_body(house, begun, house.binh, site="main"), "site": site}
    assert await refusal(house.binh, finish, swapped) == (422, "voting.assertion-challenge")
    plain = await house.binh.post(begin, {})
    body = await support.check_in_body(house, plain, house.binh, site=site)
    assert await refusal(house.binh, finish, body) == (422, "nonce.invalid")
    await house.binh.post(finish, await support.check_in_body(house, begun, house.binh))
    me = (await house.view("binh"))["me"]
    assert (me["site"], me["companion"], me["checked_in"]) == (site, True, True)
    await house.check_in("greta")
    me = (await house.view("greta"))["me"]
    assert (me["site"], me["companion"]) == ("remote", False)
    me = (await house.view("ana"))["me"]
    assert (me["site"], me["companion"]) == ("", False)
    house.clock.at += CODE_S
    assert await refusal(house.ana, begin, {"site": site, "code": shown_now}) == (403, "site.bad-code")


async def test_guessing_codes_ends_after_twenty_and_a_code_given_elsewhere_is_told(house: House) -> None:
    site, other = await hall_of(house), await hall_of(house, "ana")
    shown_now = await support.code_of(house, house.paul, site)
    begin = house.path("/check-in/begin")
    assert (await house.view("lan"))["alerts"] == []
    assert await refusal(house.greta, begin, {"site": other, "code": shown_now}) == (403, "site.bad-code")
    alert = {"site": site, "kind": "code-elsewhere", "at": START}
    assert (await house.view("lan"))["alerts"] == [alert]
    assert (await house.view("greta"))["alerts"] == []
    dismiss = house.path(f"/sites/{site}/alerts/dismiss")
    assert await refusal(house.greta, dismiss, {"kind": "code-elsewhere"}) == (403, "role.missing")
    await house.jonas.post(dismiss, {"kind": "code-elsewhere"})
    assert await refusal(house.jonas, dismiss, {"kind": "code-elsewhere"}) == (404, "site.no-alert")
    wrong = [await refusal(house.binh, begin, {"site": site, "code": f"guess{number}"}) for number in range(21)]
    assert wrong == [(403, "site.bad-code")] * 20 + [(429, "site.too-many-codes")]
    assert await refusal(house.binh, begin, {"site": site, "code": shown_now}) == (429, "site.too-many-codes")
    house.clock.at += 300
    assert (await house.binh.post(begin, {"site": site, "code": shown_now}))["site"] == site


# -- seat lists -----------------------------------------------------------------------------------------------------


async def test_a_custodian_signs_who_is_there_and_the_list_adds_and_removes_nobody(house: House) -> None:
    site = await hall_of(house)
    await support.check_in_at_kiosk(house, house.paul, house.binh, site)
    await support.check_in_at_kiosk(house, house.paul, house.greta, site)
    listed = sorted([house.binh.member, house.ana.member, house.paul.member])
    path = house.path(f"/sites/{site}/seats")
    action = support.seats_action(house, site, listed)
    before = [one["member"] for one in (await house.view("lan"))["present"]]
    await house.paul.act(path, action, seats=listed)
    assert [one["member"] for one in (await house.view("lan"))["present"]] == before
    told = (await house.events("SeatsSigned"))[0]["body"]
    assert told == {"site": site, "count": 3, "missing": 2, "extra": 1, "hash": action["hash"]}
    found = next(one for one in (await house.view("greta"))["sites"] if one["site"] == site)
    assert found["seats"] == {"count": 3, "signed_at": START, "hash": action["hash"]}
    view = await house.paul.get(path)
    assert view["signed"] == listed
    assert {one["name"]: one["site"] for one in view["members"]}["Greta Weber"] == site
    assert len(view["members"]) == 8
    assert await refusal(house.greta, path, None, "GET") == (403, "site.not-yours")
    kept = await house.context.database.read(lambda tx: tx.exec_driver_sql("SELECT seats_evidence FROM site").all())
    assert action["hash"] in str(kept)


async def test_a_seat_list_that_was_not_signed_as_it_is_changes_nothing(house: House) -> None:
    site = await hall_of(house)
    listed = sorted([house.binh.member, house.ana.member])
    path = house.path(f"/sites/{site}/seats")
    action = support.seats_action(house, site, listed)

    async def send(person: Any, seats: list[str], given: dict[str, Any], signed_by: Any = None) -> tuple[int, str]:
        signed = await (signed_by or person).signed("action", lambda nonce: challenges.action(given, nonce))
        return await refusal(person, path, {"seats": seats, "action": given, "signed": signed})

    assert await send(house.jonas, listed, action) == (403, "site.not-custodian")
    longer = sorted([*listed, house.greta.member])
    assert await send(house.paul, longer, action) == (422, "action.differs")
    assert await send(house.paul, list(reversed(listed)), action) == (400, "site.seats-order")
    strangers = support.seats_action(house, site, ["nobody"])
    assert await send(house.paul, ["nobody"], strangers) == (400, "site.seats-unknown")
    assert await send(house.paul, listed, action, house.ana) == (422, "nonce.invalid")
    assert await house.events("SeatsSigned") == []
