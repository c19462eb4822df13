"""Units, members, enrolment links and grants over HTTP; roles against a naive oracle."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from tests.server.common import START, refusal
from tests.server.support import PEOPLE, House, serve

from folkmoot_server.commands.organisation import bootstrap_organisation, enrolment_links
from folkmoot_server.demo.client import Person
from folkmoot_server.domain.errors import BadInput, Conflict, Forbidden
from folkmoot_server.domain.ids import is_member_code, new_member_code
from folkmoot_server.domain.roles import ALLOWED, Action, Grant, Role, can, check_new_grant
from folkmoot_server.storage import members, schema, units
from folkmoot_voting import challenges

YEAR = 365 * 86400


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with serve(tmp_path) as running:
        yield running


async def grant(person: Person, wanted: dict[str, Any], **other: Any) -> tuple[int, str]:
    """Grant with a passkey's signature over `wanted` changed by `other`."""
    action = {"type": "grant-role", **wanted, **other}
    signed = await person.signed("action", lambda nonce: challenges.action(action, nonce))
    return await refusal(person, "/api/grants", {**wanted, "action": action, "signed": signed})


async def root_of(house: House, person: Person) -> str:
    return str((await person.get("/api/organisation"))["units"][0]["id"])


def test_member_codes_carry_iso_7064_check_digits() -> None:
    codes = {new_member_code(secrets.token_bytes) for _ in range(200)}
    assert len(codes) > 190
    assert all(is_member_code(code) for code in codes)
    code = next(iter(codes))
    for place in range(11):  # the control: every wrong digit is found
        wrong = code[:place] + str((int(code[place]) + 1) % 10) + code[place + 1 :]
        assert not is_member_code(wrong)
    assert not is_member_code(code[:-1])
    assert new_member_code(lambda n: bytes(n)) == "00000000098"


async def test_the_founding_makes_units_roles_and_links(house: House) -> None:
    await house.enrol("jonas", "karin")
    organisation = await house.jonas.get("/api/organisation")
    assert organisation["organisation"]["name"] == "Valley Cooperative"
    root = organisation["units"][0]
    assert root["parent"] is None
    assert [(unit["name"], unit["parent"]) for unit in organisation["units"][1:]] == [
        ("Lower village", root["id"]),
        ("Upper village", root["id"]),
    ]
    listed = (await house.jonas.get("/api/members"))["members"]
    assert len(listed) == len(PEOPLE)
    by_name = {member["name"]: member for member in listed}
    assert {role["role"] for role in by_name["Jonas Keller"]["roles"]} == {"secretary", "registrar", "member"}
    assert by_name["Jonas Keller"]["state"] == "active"
    assert by_name["Binh Tran"]["state"] == "invited"
    assert by_name["Binh Tran"]["unit"] == organisation["units"][2]["id"]
    assert all(is_member_code(member["code"]) for member in listed)
    assert all(role["until"] > START for member in listed for role in member["roles"])


async def test_an_organisation_is_founded_once(house: House) -> None:
    def found(tx: Any, *, quietly: bool) -> list[Any]:
        return bootstrap_organisation(
            tx, name="Another", units=(), people=(), now=START, rng=secrets.token_bytes, only_if_empty=quietly
        )

    assert await house.context.database.write(lambda tx: found(tx, quietly=True)) == []
    with pytest.raises(Conflict):
        await house.context.database.write(lambda tx: found(tx, quietly=False))


async def test_printed_links_replace_older_ones_and_leave_out_who_has_a_passkey(house: House) -> None:
    await house.enrol("lan")
    links = await house.context.database.write(
        lambda tx: enrolment_links(tx, house.origin, START, secrets.token_bytes)
    )
    assert [(link.role, link.name) for link in links][:2] == [
        ("secretary", "Jonas Keller"),
        ("teller", "Amira Haddad"),
    ]
    assert "Lan Nguyen" not in [link.name for link in links]
    jonas = house.stranger()
    old = house.link("jonas").split("#")[1]
    assert await refusal(jonas, "/api/enrol/begin", {"token": old}) == (404, "enrolment.unknown-link")
    await jonas.enrol(links[0].url)


async def test_a_secretary_adds_units_and_members(house: House) -> None:
    await house.enrol("jonas", "ana")
    root = await root_of(house, house.jonas)
    unit = await house.jonas.post("/api/units", {"parent": root, "name": "  Hill\u0061\u0300 village "})
    assert unit["name"] == "Hill\u0061\u0300 village".replace("a\u0300", "à")
    made = await house.jonas.post("/api/members", {"name": "Đặng Văn Tùng", "unit": unit["id"]})
    assert made["member"]["state"] == "invited"
    tung = house.stranger()
    await tung.enrol(made["enrolment_url"])
    assert tung.session["roles"] == [{"role": "member", "unit": unit["id"], "until": START + 5 * YEAR}]
    again = f"/api/members/{made['member']['id']}/enrolment-link"
    assert await refusal(house.jonas, again) == (409, "enrolment.has-passkey")
    assert await refusal(house.ana, "/api/units", {"parent": root, "name": "x"}) == (403, "role.missing")
    assert await refusal(house.ana, "/api/members", {"name": "x", "unit": root}) == (403, "role.missing")
    assert await refusal(house.ana, "/api/members", method="GET") == (403, "role.missing")
    assert await refusal(house.jonas, "/api/members", {"name": "x", "unit": "nowhere"}) == (404, "unit.unknown")
    assert await refusal(house.jonas, "/api/units", {"parent": "nowhere", "name": "x"}) == (404, "unit.unknown")
    for name in ("", " ", "a\u0000b", "é" * 101, 7, None):
        assert (await refusal(house.jonas, "/api/members", {"name": name, "unit": root}))[1] == "input.malformed"


async def test_a_new_link_replaces_the_old(house: House) -> None:
    await house.enrol("jonas", "ana")
    binh = next(m for m in (await house.jonas.get("/api/members"))["members"] if m["name"] == "Binh Tran")
    path = f"/api/members/{binh['id']}/enrolment-link"
    assert await refusal(house.ana, path) == (403, "role.missing")
    assert await refusal(house.jonas, "/api/members/nobody/enrolment-link") == (404, "member.unknown")
    fresh = (await house.jonas.post(path))["enrolment_url"]
    person = house.stranger()
    old = house.link("binh").split("#")[1]
    assert (await refusal(person, "/api/enrol/begin", {"token": old}))[1] == "enrolment.unknown-link"
    await person.enrol(fresh)


async def test_grants_are_signed_and_bounded(house: House) -> None:
    await house.enrol("lan", "jonas", "ana", "binh")
    root = await root_of(house, house.lan)
    wanted = {"member": house.binh.member, "role": "chair", "unit": root, "until": START + YEAR}
    assert await grant(house.lan, wanted) == (200, "accepted")
    assert {role["role"] for role in (await house.binh.get("/api/session"))["roles"]} == {"chair", "member"}
    assert await grant(house.lan, wanted) == (409, "role.held-already")
    assert await grant(house.jonas, wanted) == (403, "role.not-held")
    assert await grant(house.ana, wanted) == (403, "role.missing")
    assert await grant(house.lan, {**wanted, "member": house.lan.member}) == (403, "role.own-grant")
    assert await grant(house.lan, {**wanted, "until": START}) == (400, "role.bad-end")
    assert await grant(house.lan, {**wanted, "until": START + 20 * YEAR}) == (400, "role.bad-end")
    assert await grant(house.lan, {**wanted, "member": "nobody"}) == (404, "member.unknown")
    assert await grant(house.lan, {**wanted, "unit": "nowhere"}) == (404, "unit.unknown")
    assert (await grant(house.lan, {**wanted, "role": "king"}))[1] == "input.malformed"
    other = {**wanted, "member": house.ana.member}
    assert await grant(house.lan, other, until=START + 2 * YEAR) == (422, "action.differs")
    assert await grant(house.lan, other, member=house.jonas.member) == (422, "action.differs")
    rows = await house.context.database.read(
        lambda tx: list(tx.scalars(select(schema.role_grant.c.evidence).where(schema.role_grant.c.evidence != "")))
    )
    assert len(rows) == 1  # the evidence of the one grant that was made


async def test_the_signature_is_the_granters_own(house: House) -> None:
    await house.enrol("lan", "jonas", "ana")
    root = await root_of(house, house.lan)
    wanted = {"member": house.ana.member, "role": "auditor", "unit": root, "until": START + YEAR}
    action = {"type": "grant-role", **wanted}
    nonce = (await house.lan.post("/api/nonce", {"purpose": "action"}))["nonce"]
    from folkmoot_voting.encoding import unb64u

    by_jonas = {"nonce": nonce, **house.jonas.assertion(challenges.action(action, unb64u(nonce)))}
    body = {**wanted, "action": action, "signed": by_jonas}
    assert await refusal(house.lan, "/api/grants", body) == (422, "passkey.not-yours")
    assert await grant(house.lan, wanted) == (200, "accepted")


async def test_grants_end(house: House) -> None:
    await house.enrol("lan", "jonas", "ana")
    root = await root_of(house, house.lan)
    listed = {m["name"]: m for m in (await house.jonas.get("/api/members"))["members"]}
    teller = next(role for role in listed["Ana Silva"]["roles"] if role["role"] == "teller")
    chair = next(role for role in listed["Lan Nguyen"]["roles"] if role["role"] == "chair")
    assert await refusal(house.ana, f"/api/grants/{chair['id']}/end") == (403, "role.missing")
    assert await refusal(house.lan, f"/api/grants/{chair['id']}/end") == (409, "role.last-officer")
    await house.jonas.post(f"/api/grants/{teller['id']}/end")
    assert [role["role"] for role in (await house.ana.get("/api/session"))["roles"]] == ["member"]
    assert await refusal(house.jonas, f"/api/grants/{teller['id']}/end") == (409, "role.ended")
    assert await refusal(house.jonas, "/api/grants/nothing/end") == (404, "role.unknown-grant")
    wanted = {"member": house.ana.member, "role": "chair", "unit": root, "until": START + YEAR}
    assert (await grant(house.lan, wanted))[0] == 200
    await house.lan.post(f"/api/grants/{chair['id']}/end")  # now another chair holds the office


async def test_a_grant_is_no_longer_worth_anything_after_its_end(house: House) -> None:
    await house.enrol("lan", "ana")
    root = await root_of(house, house.lan)
    wanted = {"member": house.ana.member, "role": "chair", "unit": root, "until": START + 100}
    assert (await grant(house.lan, wanted))[0] == 200
    draft = {
        "title": "t",
        "unit": root,
        "starts_at": START,
        "time_zone": "Asia/Ho_Chi_Minh",
        "agenda": [{"title": "a"}],
        "quorum": {"num": 0, "den": 1},
    }
    await house.ana.post("/api/meetings", draft)
    house.clock.at += 100
    assert await refusal(house.ana, "/api/meetings", draft) == (403, "role.missing")


# -- roles against an oracle -------------------------------------------------------------------------------------

TREE = {"root": None, "a": "root", "b": "root", "aa": "a", "ab": "a", "aaa": "aa"}
grants_of = st.lists(
    st.builds(
        Grant,
        st.just("g"),
        st.just("m"),
        st.sampled_from(Role),
        st.sampled_from(sorted(TREE)),
        st.integers(0, 5),
        st.integers(0, 10),
    ),
    max_size=6,
)


def above(unit: str | None) -> list[str]:
    return [] if unit is None else [unit, *above(TREE[unit])]


@given(grants_of, st.sampled_from(Action), st.sampled_from(sorted(TREE)), st.integers(0, 10))
def test_can_agrees_with_a_naive_oracle(grants: list[Grant], action: Action, unit: str, at: int) -> None:
    expected = False
    for one in grants:
        walk: str | None = unit
        while walk is not None:
            if one.unit == walk and one.valid_from <= at and at < one.valid_until and one.role in ALLOWED[action]:
                expected = True
            walk = TREE[walk]
    assert can(grants, action, frozenset(above(unit)), at) is expected


def test_nothing_is_allowed_without_a_grant() -> None:
    assert not any(can([], action, {"root"}, 0) for action in Action)
    assert set(ALLOWED) == set(Action)


def test_a_grant_needs_the_granting_role_there_and_then() -> None:
    chair = Grant("g", "chair", Role.CHAIR, "a", 0, 100)
    check_new_grant("chair", [chair], "m", Role.TELLER, {"a", "root"}, 50, 10)
    with pytest.raises(Forbidden, match="missing"):
        check_new_grant("chair", [chair], "m", Role.TELLER, {"root"}, 50, 10)
    with pytest.raises(Forbidden, match="missing"):
        check_new_grant("chair", [chair], "m", Role.TELLER, {"a", "root"}, 150, 100)
    with pytest.raises(Forbidden, match="not-held"):
        check_new_grant("chair", [chair], "m", Role.SECRETARY, {"a", "root"}, 50, 10)
    with pytest.raises(BadInput):
        check_new_grant("chair", [chair], "m", Role.TELLER, {"a", "root"}, 10, 10)


async def test_the_closure_table_agrees_with_the_tree(house: House) -> None:
    def build(tx: Any) -> dict[str, tuple[frozenset[str], frozenset[str]]]:
        for unit, parent in TREE.items():
            units.add(tx, units.Unit(unit, parent, unit))
        return {unit: (units.lineage(tx, unit), units.subtree(tx, unit)) for unit in TREE}

    found = await house.context.database.write(build)
    for unit, (lineage, subtree) in found.items():
        assert lineage == set(above(unit))
        assert subtree == {other for other in TREE if unit in above(other)}
    assert await house.context.database.read(lambda tx: units.lineage(tx, "none")) == frozenset()


async def test_electors_are_members_of_the_unit_and_of_those_below(house: House) -> None:
    def names(tx: Any) -> dict[str, set[str]]:
        return {
            unit.name: {member.name.split()[0] for member in members.electors(tx, unit.id, START)}
            for unit in units.everything(tx)
        }

    found = await house.context.database.read(names)
    assert found["Upper village"] == {"Binh"}
    assert found["Lower village"] == {"Greta"}
    assert found["Valley Cooperative"] == {person.name.split()[0] for person in PEOPLE}


async def test_a_lower_units_secretary_cannot_enrol_as_an_officer_of_a_higher_unit(house: House) -> None:
    """Greta belongs to the lower village and has no passkey; Binh becomes secretary there and wants her link."""
    await house.enrol("lan", "jonas", "binh")
    root = await root_of(house, house.jonas)
    people = {one["name"].split()[0]: one for one in (await house.jonas.get("/api/members"))["members"]}
    village = people["Greta"]["unit"]
    year = START + YEAR
    wanted = {"member": people["Binh"]["id"], "role": "secretary", "unit": village, "until": year}
    assert (await grant(house.jonas, wanted))[0] == 200
    path = f"/api/members/{people['Greta']['id']}/enrolment-link"
    before = (await house.binh.post(path, {}))["enrolment_url"]  # the control: she holds nothing higher yet
    chair = {"member": people["Greta"]["id"], "role": "chair", "unit": root, "until": year}
    assert (await grant(house.lan, chair))[0] == 200
    assert await refusal(house.binh, path) == (403, "role.missing")
    token = {"token": before.split("#")[1]}
    assert await refusal(house.stranger(), "/api/enrol/begin", token) == (404, "enrolment.unknown-link")
    assert (await refusal(house.jonas, path))[0] == 200
