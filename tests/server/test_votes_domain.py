"""The pure rules of the vote: the election's table, officers, the roll's entries, shuffling."""

from __future__ import annotations

import secrets
from itertools import permutations, product

import pytest

from folkmoot_server.domain.elections import (
    EXPIRING,
    FINISHED,
    NEXT,
    RUNNING,
    Phase,
    Verb,
    follow,
    mixed,
    require_open_time,
    require_time,
    shuffled,
)
from folkmoot_server.domain.errors import Refused, WrongState
from folkmoot_server.domain.keys import Officer, assign, threshold
from folkmoot_server.domain.ledger import Notary, protocol_checked
from folkmoot_voting import signing
from folkmoot_voting.errors import BallotRejected
from folkmoot_voting.merkle_log import leaf_hash, verify_note

# Which verbs each phase allows, written down a second time so that a slip in the table shows.
ALLOWED = {
    Phase.DRAFT: {Verb.EXCLUDE, Verb.OPEN},
    Phase.OPEN: {Verb.CAST, Verb.PUBLISH, Verb.CLOSE, Verb.EXPIRE, Verb.ABORT},
    Phase.CLOSING: {Verb.CAST, Verb.PUBLISH, Verb.SEAL, Verb.EXPIRE, Verb.ABORT},
    Phase.CLOSED: {
        Verb.COSIGN,
        Verb.START_COUNT,
        Verb.FIND_TOO_FEW,
        Verb.COUNT_PLAIN,
        Verb.FIND_TIE,
        Verb.EXPIRE,
    },
    Phase.COUNTING: {
        Verb.COSIGN,
        Verb.POST_INTENT,
        Verb.POST_SHARE,
        Verb.COUNT,
        Verb.FIND_TIE,
        Verb.EXPIRE,
    },
    Phase.TIED: {Verb.COSIGN, Verb.POST_INTENT, Verb.POST_SHARE, Verb.DECIDE, Verb.COUNT, Verb.EXPIRE},
    Phase.COUNTED: {
        Verb.COSIGN,
        Verb.POST_INTENT,
        Verb.POST_SHARE,
        Verb.SIGN,
        Verb.DECLARE,
        Verb.DECLARE_TOO_FEW,
    },
    Phase.DECLARED: set(),
    Phase.TOO_FEW: set(),
    Phase.VOID: set(),
}


@pytest.mark.parametrize(("phase", "verb"), list(product(Phase, Verb)))
def test_every_phase_and_verb_moves_as_the_table_says_or_is_refused(phase: Phase, verb: Verb) -> None:
    if verb in ALLOWED[phase]:
        assert follow(phase, verb) is NEXT[phase, verb]
        return
    with pytest.raises(WrongState) as caught:
        follow(phase, verb)
    assert caught.value.code == ("ballot.election-not-open" if verb is Verb.CAST else "election.wrong-state")


def test_ballots_are_taken_only_while_open_and_the_box_opens_only_after_the_cosigners() -> None:
    assert {phase for phase, verb in NEXT if verb is Verb.CAST} == {Phase.OPEN, Phase.CLOSING}
    assert {phase for phase, verb in NEXT if verb is Verb.START_COUNT} == {Phase.CLOSED}
    before_counting = {Phase.DRAFT, Phase.OPEN, Phase.CLOSING, Phase.CLOSED}
    assert not {phase for phase, verb in NEXT if verb in (Verb.POST_INTENT, Verb.POST_SHARE)} & before_counting


def test_phases_are_running_finished_void_or_draft() -> None:
    assert RUNNING | FINISHED | {Phase.DRAFT, Phase.VOID} == set(Phase)
    assert not RUNNING & FINISHED
    assert RUNNING - {Phase.COUNTED} == EXPIRING


def test_every_running_phase_reaches_an_end() -> None:
    for start in RUNNING:
        reached, fresh = {start}, {start}
        while fresh:
            fresh = {after for (phase, _), after in NEXT.items() if phase in fresh} - reached
            reached |= fresh
        assert reached & FINISHED


def test_the_time_limit_itself_is_still_in_time() -> None:
    require_time(100, 100)
    with pytest.raises(WrongState):
        require_time(100, 101)


def test_shuffling_loses_nothing_and_reaches_every_order() -> None:
    seen = {tuple(shuffled("abc", secrets.token_bytes)) for _ in range(500)}
    assert seen == set(permutations("abc"))  # fails by chance once in 10^38


def test_shuffling_follows_the_random_bytes_alone() -> None:
    assert shuffled(range(9), bytes) == shuffled(range(9), bytes)
    assert shuffled([], bytes) == []


def test_mixing_keeps_each_lineage_in_its_order_and_reaches_every_place() -> None:
    entries = [("a", 1), ("a", 2), ("b", 1), ("c", 7)]
    seen = set()
    for _ in range(600):
        made = tuple(mixed(entries, lambda one: one[0], lambda one: one[1], secrets.token_bytes))
        assert sorted(made) == entries
        assert made.index(("a", 1)) < made.index(("a", 2))
        seen.add(made)
    assert len(seen) == 12  # all orders of four entries, two of which have theirs
    plain = {tuple(shuffled(entries, secrets.token_bytes)) for _ in range(600)}
    assert any(one.index(("a", 2)) < one.index(("a", 1)) for one in plain), "control: shuffling alone does not"


def test_the_grace_ends_after_its_last_second() -> None:
    require_open_time(Phase.OPEN, 0, 100)
    require_open_time(Phase.CLOSING, 100, 100)
    with pytest.raises(WrongState):
        require_open_time(Phase.CLOSING, 100, 101)


def officer(number: int, *roles: str) -> Officer:
    return Officer(f"m{number}", f"{number:011d}", frozenset(roles))


TELLERS = [officer(n, "teller") for n in (7, 6, 5)]


def test_officers_are_chosen_in_the_order_of_their_codes() -> None:
    people = [officer(2, "secretary"), officer(1, "chair"), *TELLERS, officer(3, "chair")]
    chosen = assign(people)
    assert chosen.trustees == ("m5", "m6", "m7")
    assert chosen.cosigners == {
        "chair": "m1",
        "secretary": "m2",
        "teller-1": "m5",
        "teller-2": "m6",
        "teller-3": "m7",
    }


def test_nobody_cosigns_twice() -> None:
    both = officer(1, "chair", "secretary")
    with pytest.raises(Refused, match="secretary"):
        assign([both, *TELLERS])
    chosen = assign([both, officer(2, "secretary"), officer(3, "chair", "teller"), *TELLERS])
    assert len(set(chosen.cosigners.values())) == len(chosen.cosigners)


def test_fewer_than_three_tellers_are_refused_and_more_than_nine_not_used() -> None:
    head = [officer(1, "chair"), officer(2, "secretary")]
    with pytest.raises(Refused) as caught:
        assign([*head, *TELLERS[:2]])
    assert caught.value.code == "roll.too-few-tellers"
    assert len(assign([*head, *(officer(n, "teller") for n in range(10, 25))]).trustees) == 9


def test_the_threshold_is_a_majority() -> None:
    assert [threshold(n) for n in (3, 4, 5, 9)] == [2, 3, 3, 5]


def test_the_notary_signs_checkpoints_that_verify_and_only_its_own() -> None:
    notary = Notary(bytes(32), "meet.example.org")
    note = notary.checkpoint(notary.ledger_origin, [leaf_hash(b"one")])
    assert verify_note(note.text(), "meet.example.org/ledger", notary.key).checkpoint.size == 1
    assert notary.board_origin("m", "e") == "meet.example.org/m/e"
    with pytest.raises(Exception, match="not signed"):
        verify_note(note.text(), notary.ledger_origin, signing.public_key(b"\x01" * 32))


def test_a_protocol_refusal_keeps_its_code_and_becomes_a_sentence() -> None:
    with pytest.raises(Refused) as caught, protocol_checked():
        raise BallotRejected("the ballot is bad")
    assert (caught.value.code, caught.value.message) == ("voting.ballot-rejected", "The ballot is bad.")
