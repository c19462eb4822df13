"""What a roll lists and how it explains passkeys that no roll listed before."""

from __future__ import annotations

import secrets

import pytest

from folkmoot_server.domain.auditors import check_recipient
from folkmoot_server.domain.errors import BadInput, Refused
from folkmoot_server.domain.identity import PASSKEYS_MAX, PasskeyKind
from folkmoot_server.domain.keys import Officer, assign
from folkmoot_server.domain.rolls import Candidate, Elector, Origin, build_entries, exception_of, officer_text
from folkmoot_voting.roll import check_exceptions

TWO = ("Lan (1)", "Jonas (2)")
FIRST, OLD = Origin(PasskeyKind.FIRST, TWO, False), Origin(PasskeyKind.FIRST, TWO, True)
REPLACED = Origin(PasskeyKind.REPLACED, TWO, False)
ONE_OFFICER = Origin(PasskeyKind.FIRST, TWO[:1], False)


def key(name: str, origin: Origin, *, rolled: bool = False, added_at: int = 10) -> Candidate:
    return Candidate(name * 4, b"key-" + name.encode(), added_at, rolled, origin)


def elector(*passkeys: Candidate, rolled: bool = False, weight: int = 1) -> Elector:
    return Elector("m", "Ana", weight, rolled, passkeys)


@pytest.mark.parametrize(
    ("person", "kind", "method", "officers"),
    [
        (elector(key("A", FIRST)), "first", "enrolment-link", TWO),
        (elector(key("A", REPLACED)), "first", "replacement-link", TWO),
        (elector(key("A", FIRST), key("B", FIRST)), "first", "enrolment-link", TWO),
        (elector(key("A", OLD, rolled=True), rolled=True), "none", "", ()),
        (elector(key("A", OLD, rolled=True), key("B", OLD), rolled=True), "added", "own-passkey", ()),
        (elector(key("B", OLD), rolled=True), "added", "own-passkey", ()),
        (elector(key("A", REPLACED), rolled=True), "replaced", "replacement-link", TWO),
        # Added by a replaced passkey that is gone: the two officers still answer for it.
        (elector(key("B", REPLACED), rolled=True), "replaced", "replacement-link", TWO),
        # What no second officer confirmed is neither listed nor explained.
        (elector(key("A", OLD, rolled=True), key("B", ONE_OFFICER), rolled=True), "none", "", ()),
    ],
)
def test_exceptions_are_explained(person: Elector, kind: str, method: str, officers: tuple[str, ...]) -> None:
    found = exception_of(person)
    assert (found.kind, found.method, found.officers) == (kind, method, officers)
    check_exceptions(build_entries([person], secrets.token_bytes).entries)


def test_entries_are_salted_weighted_and_leave_out_who_lacks_a_second_officer() -> None:
    people = [
        Elector("a", "Ana", 7, False, (key("A", FIRST),)),
        Elector("b", "Binh", 1, False, (key("B", ONE_OFFICER),)),
        Elector("c", "Chi", 1, False, (key("C", FIRST), key("D", ONE_OFFICER))),
        Elector("d", "No key", 1, False, ()),
    ]
    made = build_entries(people, secrets.token_bytes)
    assert [(entry["member"], entry["weight"]) for entry in made.entries] == [("a", 7), ("c", 1)]
    assert [one["id"] for one in made.entries[1]["passkeys"]] == ["CCCC"]
    assert [one.member for one in made.unconfirmed] == ["b"]
    assert len({entry["salt"] for entry in made.entries}) == 2


def test_a_roll_lists_the_newest_twenty_passkeys() -> None:
    many = [key("A", FIRST, added_at=n) for n in range(25)]
    assert [one.added_at for one in elector(*many).listed()] == list(range(24, 24 - PASSKEYS_MAX, -1))


def test_a_roll_of_nobody_is_refused() -> None:
    for people in ([], [elector()], [elector(key("A", ONE_OFFICER))]):
        with pytest.raises(Refused) as caught:
            build_entries(people, secrets.token_bytes)
        assert caught.value.code == "roll.empty"


def test_officers_texts_differ_and_fit() -> None:
    assert officer_text("Lan Nguyen", "00000000098") == "Lan Nguyen (00000000098)"
    assert officer_text("Lan", "1") != officer_text("Lan", "2")
    long = officer_text("ễ" * 100, "00000000098")
    assert len(long.encode()) <= 200
    assert long.endswith("ễ (00000000098)")


def test_up_to_two_observers_cosign_and_hold_no_share() -> None:
    def officer(number: int, *roles: str) -> Officer:
        return Officer(f"m{number}", f"{number:011d}", frozenset(roles))

    staff = [officer(1, "chair"), officer(2, "secretary"), *(officer(n, "teller") for n in (3, 4, 5))]
    observers = [officer(n, "observer") for n in (9, 8, 7)]
    chosen = assign([*staff, *observers, officer(6, "observer", "teller")])
    assert chosen.trustees == ("m3", "m4", "m5", "m6")
    assert {name: member for name, member in chosen.cosigners.items() if "observer" in name} == {
        "observer-1": "m7",
        "observer-2": "m8",
    }
    assert len(set(chosen.cosigners.values())) == len(chosen.cosigners)


def test_only_whole_age_recipients_pass() -> None:
    good = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa"
    check_recipient(good)
    flipped = good[:30] + ("q" if good[30] != "q" else "p") + good[31:]
    secret = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
    for bad in (good.upper(), flipped, good[:-1], good + "q", f" {good}", good + "\n", "", "age1é", secret):
        with pytest.raises(BadInput) as caught:
            check_recipient(bad)
        assert caught.value.code == "auditor.bad-recipient"
