"""Lineages: the published cases, every short history against a plain model, and a stateful machine."""

from __future__ import annotations

import hashlib
import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.vectors.fm1_votes import code_of
from tests.voting import votes
from tests.voting.scenario import FIRST, Meeting
from tests.voting.test_vectors import published

from folkmoot_voting import ballot, board, casting, signing
from folkmoot_voting.electorate import parse_electorate
from folkmoot_voting.encoding import JsonObject, b64u, unb64u
from folkmoot_voting.lineages import Lineages, Voids, take
from folkmoot_voting.manifest import Manifest, check_electorate
from folkmoot_voting.questions import yes_no_abstain

SEEDS = [hashlib.sha256(bytes([n])).digest() for n in range(12)]
KEYS = [signing.public_key(seed) for seed in SEEDS]


@pytest.mark.parametrize("case", published("lineages"), ids=lambda case: str(case["name"]))
def test_published_cases(case: JsonObject) -> None:
    manifest = Manifest.from_json(case["manifest"])
    check_electorate(manifest, case["electorate"])
    lines, voids = Lineages(manifest, parse_electorate(case["electorate"])), Voids(manifest)
    for number, step in enumerate(case["steps"]):
        board.check_entry(step["entry"])
        code = code_of(take, lines, voids, step["entry"], unb64u(step["leaf"]))
        assert code == step["code"], number
    names = ("ballots", "cast", "cast_weight", "replacements", "kiosk", "voids")
    assert {name: getattr(lines, name) for name in names} == {name: case[name] for name in names}
    assert sorted(map(b64u, lines.counted())) == case["counted"]


def opened(voting_again: str) -> votes.Vote:
    """Three electors whose credentials are the first KEYS, plain ballots, a kiosk."""
    meeting = Meeting("model", members=4, count=0, weights=(1, 2, 5))
    for person, seed in zip(meeting.persons, SEEDS, strict=False):
        person.credential = seed
    meeting.check_in_all(3)
    question = [yes_no_abstain("?")]
    return votes.open_vote(
        meeting, "model", question, at=FIRST, secrecy="open", voting_again=voting_again, kiosk=True
    )


class Model:
    """Section 6 and 7 retold as plain lists: who holds which credential, who cast what, what is void."""

    def __init__(self, voting_again: str) -> None:
        self.vote = opened(voting_again)
        self.once = voting_again == "once"
        self.holder = {KEYS[0]: 0, KEYS[1]: 1, KEYS[2]: 2}
        self.used = set(self.holder)
        self.cast: list[list[bytes]] = [[], [], []]
        self.void: dict[bytes, int] = {}
        self.sealed: set[bytes] = set()

    def ballot(self, key: int, seq: int, choice: int) -> tuple[JsonObject, bool]:
        """Return a ballot entry and whether it should be taken."""
        owner = self.holder.get(KEYS[key])
        done = self.cast[owner] if owner is not None else []
        weight = (1, 2, 5)[owner] if owner is not None else 1
        place = casting.Place(weight, seq, done[-1] if done else b"")
        cells = [int(index == choice) for index in range(3)]
        made = casting.make_ballot(self.vote.manifest, SEEDS[key], [cells], casting.SeededDraws(bytes(32)), place)
        good = owner is not None and seq == len(done) + 1 and not (self.once and done)
        sealed = ballot.sealed_hash(made)
        if good and sealed not in self.void and owner is not None:
            done.append(board.entry_leaf(board.ballot_entry(made)))
            self.sealed.add(sealed)
            return board.ballot_entry(made), True
        return board.ballot_entry(made), False

    def replacement(self, old: int, new: int, kiosk: bool) -> tuple[JsonObject, bool]:
        entry = board.replacement_entry(KEYS[old], KEYS[new], bytes(32), kiosk=kiosk)
        owner = self.holder.get(KEYS[old])
        if owner is None or KEYS[new] in self.used or (self.once and self.cast[owner]):
            return entry, False
        del self.holder[KEYS[old]]
        self.holder[KEYS[new]] = owner
        self.used.add(KEYS[new])
        return entry, True

    def audit(self, key: int, sealed: bytes) -> tuple[JsonObject, bool]:
        sig = signing.sign(SEEDS[key], casting.void_hash(self.vote.manifest.hash, sealed))
        entry = {"type": "void", "credential": b64u(KEYS[key]), "sealed": b64u(sealed), "sig": b64u(sig)}
        owner = self.holder.get(KEYS[key])
        many = sum(1 for one in self.void.values() if one == owner) >= 5
        if owner is None or many or sealed in self.void or sealed in self.sealed:
            return entry, False
        self.void[sealed] = owner
        return entry, True


class LineageMachine(RuleBasedStateMachine):
    """Random entries: the fold takes exactly those that the model takes, and a refused one changes nothing."""

    again = "last-counts"

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(self.again)
        manifest = self.model.vote.manifest
        self.lines = Lineages(manifest, parse_electorate(self.model.vote.electorate))
        self.voids = Voids(manifest)
        self.kiosks = 0

    def offer(self, made: tuple[JsonObject, bool]) -> None:
        entry, good = made
        before = repr((vars(self.lines), vars(self.voids)))
        code = code_of(take, self.lines, self.voids, entry, board.entry_leaf(entry))
        assert (code == "ok") == good, (entry["type"], code)
        if not good:
            assert repr((vars(self.lines), vars(self.voids))) == before
        self.kiosks += int(good and entry.get("kiosk", False))

    @rule(key=st.integers(0, 6), ahead=st.integers(-1, 1), choice=st.integers(0, 2))
    def cast(self, key: int, ahead: int, choice: int) -> None:
        owner = self.model.holder.get(KEYS[key], 0)
        self.offer(self.model.ballot(key, max(1, len(self.model.cast[owner]) + 1 + ahead), choice))

    @rule(old=st.integers(0, 6), new=st.integers(0, 11), kiosk=st.booleans())
    def replace(self, old: int, new: int, kiosk: bool) -> None:
        self.offer(self.model.replacement(old, new, kiosk))

    @rule(key=st.integers(0, 6), number=st.integers(0, 7))
    def audit(self, key: int, number: int) -> None:
        self.offer(self.model.audit(key, hashlib.sha256(bytes([100 + number])).digest()))

    @precondition(lambda self: self.model.sealed)
    @rule(key=st.integers(0, 6))
    def audit_what_is_cast(self, key: int) -> None:
        self.offer(self.model.audit(key, min(self.model.sealed)))

    @invariant()
    def sums_agree(self) -> None:
        done = self.model.cast
        assert self.lines.ballots == sum(map(len, done))
        assert self.lines.cast == sum(map(bool, done))
        assert self.lines.cast_weight == sum(w for w, leaves in zip((1, 2, 5), done, strict=True) if leaves)
        assert self.lines.counted() == {leaves[-1] for leaves in done if leaves}
        assert (self.lines.kiosk, self.lines.voids) == (self.kiosks, len(self.model.void))


class OnceMachine(LineageMachine):
    """The same where one votes once."""

    again = "once"


LineageMachine.TestCase.settings = OnceMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None
)
TestVotingAgain = LineageMachine.TestCase
TestVotingOnce = OnceMachine.TestCase


def test_every_short_history_of_one_voter() -> None:
    """All histories of four acts by one voter's two devices: exhaustive where the machine is random."""
    acts = ["cast old", "cast new", "replace", "back"]
    for again, history in itertools.product(("once", "last-counts"), itertools.product(acts, repeat=4)):
        model = Model(again)
        lines, voids = (
            Lineages(model.vote.manifest, parse_electorate(model.vote.electorate)),
            Voids(model.vote.manifest),
        )
        for act in history:
            seq = len(model.cast[0]) + 1
            if act.startswith("cast"):
                entry, good = model.ballot(0 if act == "cast old" else 5, seq, 0)
            else:
                entry, good = model.replacement(*((0, 5) if act == "replace" else (5, 0)), kiosk=False)
            assert (code_of(take, lines, voids, entry, board.entry_leaf(entry)) == "ok") == good, (
                again,
                history,
                act,
            )


def test_a_kiosk_needs_an_election_with_kiosks() -> None:
    meeting = Meeting("no kiosk", members=4, count=0)
    meeting.check_in_all(4)
    vote = votes.open_vote(meeting, "x", [yes_no_abstain("?")], secrecy="open")
    entry = board.replacement_entry(meeting.persons[0].first, KEYS[5], bytes(32), kiosk=True)
    assert code_of(vote.lineages.add_replacement, entry) == "voting.replacement-kiosk"
    assert code_of(vote.lineages.add_replacement, {**entry, "kiosk": False}) == "ok"
