"""A server that cheats, seen by those who verify what it publishes: `plays` holds the attacks that leave a trace.

Each is noticed by the check that section 11 names; with that check removed nothing earlier notices it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import pytest
from tests.adversary import cheats as c
from tests.adversary import weak_proofs
from tests.adversary.plays import PLAYS, Play
from tests.voting import forging as f
from tests.voting.corpus import Pair, answer
from tests.voting.record import Record, write
from tests.voting.spoiling import AT, YES_NO, checked_in, choice, edit, encoded, full, hold, put, run
from tests.voting.test_two_verifiers import ask
from tests.voting.votes import open_vote

from folkmoot_voting import ballot, bundle, report, verify
from folkmoot_voting.verify import Report, verify_bundle

NAMES = [f"{one.row}: {one.name}" for one in PLAYS]


@cache
def record_of(number: int) -> Record:
    with pytest.MonkeyPatch.context() as patch:
        forget(patch, PLAYS[number])
        return PLAYS[number].make()


def forget(patch: pytest.MonkeyPatch, play: Play) -> None:
    """Leave the rules out that the play's cheats do not keep to."""
    for name, instead in play.careless.items():
        patch.setattr(name, instead)


def first(found: Report) -> str:
    return next((check.id for check in found.checks if check.ok is False), "")


@pytest.mark.parametrize("number", range(len(PLAYS)), ids=NAMES)
def test_the_named_check_catches_it(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    play = PLAYS[number]
    assert first(verify_bundle(*record_of(number))) == play.check
    if play.check == "V01":
        return  # without strict files there is nothing to read
    if play.careless:
        forget(monkeypatch, play)
    else:
        monkeypatch.setattr(verify, "RUN", MappingProxyType({**verify.RUN, play.check: c.let_pass}))
    without = verify_bundle(*record_of(number))
    assert first(without) == play.then
    assert play.then == "" or play.then > play.check


def test_every_honest_meeting_passes() -> None:
    """The meetings in which the attacks are played, without the attack."""
    meetings = {
        "one vote": run(),
        "everybody votes": run(voters=6),
        "too few": run(voters=2),
        "last ballot counts": run(voting_again="last-counts"),
        "an absent member is asked": run(meeting=c.absentee(c.honest), voters=7),
    }
    assert {name: verify_bundle(*made).verdict for name, made in meetings.items()} == dict.fromkeys(meetings, "ok")


def test_both_verifiers_name_the_same_check(tmp_path: Path) -> None:
    pairs: dict[str, Pair] = {name: record_of(number) for number, name in enumerate(NAMES)}
    theirs = ask(tmp_path, pairs)
    expected = {name: ("failed", play.check) for name, play in zip(NAMES, PLAYS, strict=True)}
    assert {name: answer(found) for name, found in theirs.items()} == expected


def test_a01_with_the_weak_challenge_two_votes_would_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the first play: verifiers that forget the commitments count a vote that was given twice."""
    record = hold(spoil=weak_proofs.doubled)()
    assert first(verify_bundle(*record, strict=True)) == "V13"
    monkeypatch.setattr(ballot, "ballot_challenge", weak_proofs.weak_challenge)
    weak = {one.id: one.detail for one in verify_bundle(*record, strict=True).checks}
    # The forged ballot is the first on the board; now the honest second one is the first that does not fit.
    assert "ballot 2:" in weak["V13"]
    assert "ballot 2:" in weak["V14"]


def test_a10_no_verifier_can_know_of_a_ballot_that_was_dropped() -> None:
    """Only the voter holds the promise: the record alone is in order, which is why pages check inclusion."""
    vote = open_vote(meeting := checked_in(), "vote-1", [YES_NO], at=AT)
    for index, person in enumerate(meeting.present()[:5]):
        vote.cast(person, choice(YES_NO, index))
    dropped = vote.entries.pop(2)
    vote.lineages = c.folded(vote)
    vote.finish()
    assert verify_bundle(*write(meeting)).verdict == "ok"
    assert ballot.ballot_leaf(dropped["ballot"]) not in vote.lineages.counted()


def test_a20_the_report_names_the_votes_that_nearly_repeat() -> None:
    told = report.to_text(verify_bundle(*full()))
    assert "tie" in told
    assert verify_bundle(*full()).elections[2]["repeats"] == ["tie"]


def test_a24_a_wrong_share_stops_nobody() -> None:
    """Its trustee is named, the other t shares count."""
    made = run(finish={"rejected": [2]})
    found = verify_bundle(*made)
    assert found.verdict == "ok"
    assert [one["trustee"] for one in found.elections[0]["rejected"]] == [2]
    assert found.elections[0]["counts"] == verify_bundle(*run()).elections[0]["counts"]


def deep(levels: int) -> Callable[[], Record]:
    """A record whose title is a list inside lists."""

    def change(files: dict[str, object], _annex: object) -> None:
        raw = encoded("bundle.json", files["bundle.json"])
        files["bundle.json"] = raw.replace(b'"Spring meeting"', b"[" * levels + b"]" * levels, 1)

    return edit(change)


HOSTILE: Mapping[str, tuple[Callable[[bytes], bytes], str]] = {
    "a bomb": (lambda raw: _longer(raw, 1 << 31), "unreadable"),
    "a name twice": (lambda raw: _twice(raw), "unreadable"),
    "cut": (lambda raw: raw[:-30], "unreadable"),
    "untouched": (lambda raw: raw, "ok"),
}


def _longer(raw: bytes, size: int) -> bytes:
    """Let the directory promise a member of this size."""
    at = raw.rindex(b"PK\x01\x02") + 24
    return raw[:at] + struct.pack("<I", size) + raw[at + 4 :]


def _twice(raw: bytes) -> bytes:
    files = bundle.unpack(raw)
    renamed = {
        ("elections/vote-1/tally.jsoX" if name.endswith("tally.json") else name): one for name, one in files.items()
    }
    both = bundle.pack({**renamed, "elections/vote-1/tally.jsoY": b"{}"})
    return both.replace(b"tally.jsoX", b"tally.json").replace(b"tally.jsoY", b"tally.json")


@pytest.mark.parametrize("name", HOSTILE)
def test_a30_hostile_zips_are_unreadable(name: str) -> None:
    spoil, verdict = HOSTILE[name]
    assert verify_bundle(spoil(run()[0])).verdict == verdict


def test_a30_hostile_json_fails_v01() -> None:
    for make in (deep(5000), edit(put("bundle.json|version", 1)), edit(lambda files, _: files.update({"x": b"{}"}))):
        assert first(verify_bundle(*make())) == "V01"


def test_a33_with_a_passkey_behind_every_check_in_the_same_vote_passes() -> None:
    """The control of the padded electorate: the same members, asked."""
    assert verify_bundle(*run(voters=6)).verdict == "ok"


def test_a34_who_opened_the_box_and_does_not_sign_stops_nothing() -> None:
    """Trustees 2 and 3 opened it; 1 signs in the place of 3, or 1 alone, which is too few."""
    assert verify_bundle(*run(spoil=f.signed_by(1, 2))).verdict == "ok"
    assert first(verify_bundle(*run(spoil=f.signed_by(1)))) == "V22"


def test_a31_shares_are_destroyed_on_record_and_in_time() -> None:
    good = run(challenge_s=60, after=lambda meeting: meeting.destroy_shares(AT + 3600))
    early = run(challenge_s=86_400, after=lambda meeting: meeting.destroy_shares(AT + 3600))
    assert (first(verify_bundle(*good)), first(verify_bundle(*early))) == ("", "V31")
