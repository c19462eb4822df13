"""Ten thousand seeded mutations of each hostile input raise nothing but typed errors."""

from __future__ import annotations

import random  # noqa: TID251  # seeded test data, no secrets
from collections.abc import Callable
from typing import Any

import pytest
from tests.voting.fuzzing import MUTATIONS, outcomes, spoil_bytes, spoil_value
from tests.voting.scenario import RP, Meeting
from tests.voting.spoiling import GOOD, run

from folkmoot_voting import assertion, board, bundle, merkle_log, roll, tally
from folkmoot_voting.ballot import Ballot, check_ballot
from folkmoot_voting.encoding import b64u, jcs, strict_json, unb64u
from folkmoot_voting.errors import VotingError
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.verify import verify_bundle


@pytest.fixture(scope="module")
def meeting() -> Meeting:
    kept: list[Meeting] = []
    run(after=kept.append)
    return kept[0]


def test_ballots(meeting: Meeting) -> None:
    election = meeting.elections[0]
    raw = jcs(election.ballots[0])
    keys = {unb64u(one["credential"]) for one in election.ballots}

    def check(rng: random.Random) -> None:
        spoiled = spoil_bytes(rng, raw)
        check_ballot(election.manifest, keys, Ballot.from_bytes(spoiled))
        assert spoiled == raw

    assert outcomes(check)[1] > MUTATIONS * 0.99


def test_ballots_as_values(meeting: Meeting) -> None:
    election = meeting.elections[0]
    one = election.ballots[0]
    key = unb64u(one["credential"])

    def check(rng: random.Random) -> None:
        spoiled = spoil_value(rng, one)
        check_ballot(election.manifest, {key}, Ballot.from_json(spoiled))
        assert spoiled == one

    assert outcomes(check)[1] > MUTATIONS * 0.9


def test_manifests_rolls_boards_and_tallies(meeting: Meeting) -> None:
    election = meeting.elections[0]
    opened, total = election.manifest, election.aggregate
    calls: list[tuple[Any, Callable[[Any], Any]]] = [
        (opened.json, Manifest.from_json),
        (meeting.statement, roll.verify_statement),
        (meeting.entries, roll.check_entries),
        (election.entries[-2], lambda entry: tally.check_share(opened, total, _checked(entry))),
        (election.entries[-3], lambda e: tally.check_intent(opened, bytes(32), total, _checked(e))),
        (board.make_promise(bytes(32), bytes(32), 1, bytes(32)), lambda p: board.verify_promise(p, bytes(32))),
        (election.entries[-2]["parts"], lambda parts: tally.check_parts(opened, total, 3, parts)),
    ]
    for good, call in calls:
        passed, refused = outcomes(_spoiled_call(call, good), 2000)
        assert refused > passed


def _spoiled_call(call: Callable[[Any], Any], good: Any) -> Callable[[random.Random], Any]:
    return lambda rng: call(spoil_value(rng, good))


def _checked(entry: Any) -> Any:
    board.check_entry(entry)
    return entry


def test_json_notes_and_zips(meeting: Meeting) -> None:
    election = meeting.elections[0]
    raw = jcs(election.manifest.json)
    assert outcomes(lambda rng: strict_json(spoil_bytes(rng, raw)))[1] > MUTATIONS * 0.8
    text = election.closing
    note = text.encode()
    key, origin = election.manifest.server_key, election.manifest.board_origin

    def check(rng: random.Random) -> None:
        found = merkle_log.verify_note(spoil_bytes(rng, note).decode("utf-8", "surrogateescape"), origin, key)
        merkle_log.valid_cosigners(found, election.manifest.cosigners)

    passed, refused = outcomes(check)
    assert refused > passed
    assert outcomes(lambda rng: bundle.unpack(spoil_bytes(rng, GOOD[1])))[1] > MUTATIONS * 0.5


def test_assertions_and_passkeys(meeting: Meeting) -> None:
    device = meeting.persons[0].authenticator
    good, key = device.assertion(bytes(32)), device.cose_key
    assertion.verify_assertion(RP, bytes(32), key, good)
    passed, refused = outcomes(lambda rng: assertion.verify_assertion(RP, bytes(32), key, spoil_value(rng, good)))
    assert refused > passed
    parts = assertion.ASSERTION(good)
    outcomes(lambda rng: assertion.cose_verifies(spoil_bytes(rng, key), b"m", parts["signature"]))
    for name in ("client_data_json", "authenticator_data", "signature"):
        outcomes(_spoiled_part(good, name, key), 2000)


def _spoiled_part(good: dict[str, str], name: str, key: bytes) -> Callable[[random.Random], None]:
    def check(rng: random.Random) -> None:
        spoiled = {**good, name: b64u(spoil_bytes(rng, unb64u(good[name])))}
        assertion.verify_assertion(RP, bytes(32), key, spoiled)
        assert spoiled == good

    return check


def test_bundles_and_annexes() -> None:
    """Spoiled values in any file: always a verdict, never ok unless nothing changed."""
    rng = random.Random(11)
    files, annex = bundle.unpack(GOOD[0]), bundle.unpack(GOOD[1])
    names = sorted(name for name in files if name.endswith((".json", ".jsonl")))
    failed = 0
    for _ in range(400):
        name = rng.choice([*names, "annex.json"])
        source = annex if name == "annex.json" else files
        raw = source[name]
        changed = _spoiled_file(rng, name, raw)
        record = {**source, name: changed}
        pair = (GOOD[0], bundle.pack(record)) if source is annex else (bundle.pack(record), GOOD[1])
        report = verify_bundle(*pair)
        if report.verdict == "ok":
            assert changed == raw or _harmless(name, raw, changed)
        failed += report.verdict == "failed"
    assert failed > 330


def _harmless(name: str, raw: bytes, changed: bytes) -> bool:
    """Only a check-in's time is signed by nobody; titles are the server's words."""
    if name == "annex.json":
        old, new = strict_json(raw), strict_json(changed)
        for record in (*old["checkins"], *new["checkins"]):
            del record["at"]
        return bool(old == new)
    if name == "bundle.json":
        old, new = strict_json(raw), strict_json(changed)
        del old["meeting"]["title"], new["meeting"]["title"]
        return bool(old == new)
    return False


def _spoiled_file(rng: random.Random, name: str, raw: bytes) -> bytes:
    if rng.random() < 0.2:
        return spoil_bytes(rng, raw)
    try:
        if name.endswith(".jsonl"):
            lines = raw.splitlines()
            at = rng.randrange(len(lines))
            lines[at] = jcs(spoil_value(rng, strict_json(lines[at])))
            return b"".join(line + b"\n" for line in lines)
        return jcs(spoil_value(rng, strict_json(raw, 2**30)))
    except VotingError:
        return spoil_bytes(rng, raw)
