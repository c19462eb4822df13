"""The board of an election: which entry may follow in which phase, closing times, promises, casting votes."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from tests.vectors.fm1_votes import code_of
from tests.voting import votes
from tests.voting.scenario import Meeting
from tests.voting.test_vectors import published

from folkmoot_voting import board, merkle_log, signing
from folkmoot_voting.board import BoardState
from folkmoot_voting.encoding import JsonObject, b64u, unb64u
from folkmoot_voting.errors import BoardInvalid, VotingError
from folkmoot_voting.manifest import Manifest

# Section 6 said once more: which entries a board holds in each phase.
MAY_FOLLOW = {
    "empty": {"opening"},
    "open": {"ballot", "replacement", "void", "closing"},
    "closed": {"intent", "share", "casting", "tally"},
    "done": set(),
}


@pytest.fixture(scope="module")
def meeting() -> Meeting:
    return votes.full_meeting()


def test_every_phase_takes_its_entries_and_no_other(meeting: Meeting) -> None:
    """The full product of phases and entries."""
    entries = [entry for election in meeting.elections for entry in election.entries]
    by_type = {entry["type"]: entry for entry in entries}
    assert by_type.keys() == board.ENTRIES.keys()
    tried = set()
    for election in meeting.elections:
        state = BoardState()
        for entry in [*election.entries, None]:
            for kind, other in by_type.items():
                phase = state.phase
                tried.add((phase, kind))
                code = code_of(state.accept, other)
                if kind not in MAY_FOLLOW[phase]:
                    assert code == "voting.board-order", (phase, kind)
                elif kind == "share" and other["trustee"] not in state.intents:
                    assert code == "voting.board-order"
                elif kind in ("intent", "share", "casting"):
                    assert code in ("ok", "voting.board-second")
                else:
                    assert code == "ok"
            if entry is not None:
                board.check_entry(entry)
                state = state.accept(entry)
        assert (state.phase, state.size) == ("done", len(election.entries))
        assert state.ballots == len(election.ballots)
    assert tried == set(itertools.product(MAY_FOLLOW, by_type))


def test_second_entries_of_one_trustee_or_question_are_refused() -> None:
    state = BoardState("closed")
    pairs: list[tuple[JsonObject, JsonObject]] = [
        ({"type": "intent", "trustee": 1}, {"type": "intent", "trustee": 2}),
        ({"type": "share", "trustee": 1}, {"type": "share", "trustee": 2}),
        ({"type": "casting", "question": 0}, {"type": "casting", "question": 1}),
    ]
    for first, other in pairs:
        state = state.accept(first)
        assert code_of(state.accept, first) == "voting.board-second"
        if first["type"] == "share":
            assert code_of(state.accept, other) == "voting.board-order"
        else:
            state.accept(other)


def test_entries_have_exactly_their_fields(meeting: Meeting) -> None:
    for entry in meeting.elections[0].entries:
        board.check_entry(entry)
        for bad in ({**entry, "note": 1}, {name: entry[name] for name in sorted(entry)[1:]}, {**entry, "type": "x"}):
            assert code_of(board.check_entry, bad) == "voting.board-malformed"
    odd: list[Any] = [None, [], "ballot", {}, {"type": ["ballot"]}]
    for bad_value in odd:
        assert code_of(board.check_entry, bad_value) == "voting.board-malformed"


def test_published_entries_and_closing_times() -> None:
    for one in published("board")["entries"]:
        assert b64u(board.entry_leaf(one["entry"])) == one["leaf"]
    vector = published("closing")
    manifests = [Manifest.from_json(one) for one in vector["manifests"]]
    by_hash = {b64u(one.hash): one for one in manifests}
    codes = set()
    for one in vector["cases"]:
        code = code_of(board.check_closing_times, by_hash[one["manifest"]], one["entry"])
        assert code == one["code"]
        codes.add(code)
    assert codes == {"ok", "voting.board-closing"}


def test_promises_are_signed_by_the_board() -> None:
    promise = published("board")["promise"]
    key = signing.public_key(votes.small_meeting().server)
    board.verify_promise(promise, key)
    for bad in ({**promise, "publish_by": 1}, {**promise, "leaf": b64u(bytes(32))}, {}, {**promise, "n": 1}):
        with pytest.raises(BoardInvalid):
            board.verify_promise(bad, key)
    with pytest.raises(BoardInvalid):
        board.verify_promise(promise, bytes(32))
    with pytest.raises(BoardInvalid):
        board.ledger_entry("vote", 1, bytes(32))
    board.ledger_entry("destroyed", 1, bytes(32))


def test_casting_votes_are_signed_by_the_chair(meeting: Meeting) -> None:
    election = meeting.elections[1]
    entry = next(one for one in election.entries if one["type"] == "casting")
    head = merkle_log.parse_note(election.closing).checkpoint.hash()
    board.check_casting(election.manifest, head, entry)
    secretary = meeting.persons[1].cosigner
    others: list[tuple[bytes, JsonObject]] = [
        (head, {**entry, "options": [1]}),
        (head, {**entry, "question": 1}),
        (bytes(32), entry),
        (head, board.casting_entry(election.manifest.hash, head, 0, [0], secretary)),
        (head, board.casting_entry(meeting.elections[0].manifest.hash, head, 0, [0], meeting.persons[0].cosigner)),
    ]
    for closing, bad in others:
        with pytest.raises(VotingError):
            board.check_casting(election.manifest, closing, bad)


def test_statements_are_cited_by_a_salted_hash(meeting: Meeting) -> None:
    entry = next(one for one in meeting.elections[0].entries if one["type"] == "replacement")
    kept = {name: value for name, value in meeting.replacements[0].items() if name not in ("election", "salt")}
    salt = unb64u(meeting.replacements[0]["salt"])
    assert b64u(board.statement_hash(salt, kept)) == entry["statement"]
    assert board.statement_hash(bytes(32), kept) != board.statement_hash(salt, kept)
