"""Ten thousand seeded mutations of hostile files: always a verdict, ok only when nothing that counts has changed."""

from __future__ import annotations

import random  # noqa: TID251  # seeded test data, no secrets
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from tests.voting.fuzzing import MUTATIONS, outcomes, spoil_bytes, spoil_value
from tests.voting.scenario import RP, Meeting
from tests.voting.spoiling import GOOD, VOTE, full, run

from folkmoot_voting import assertion, bundle, merkle_log, report
from folkmoot_voting.encoding import b64u, jcs, strict_json, unb64u
from folkmoot_voting.errors import EncodingError, VotingError
from folkmoot_voting.verifier.long_json import read_list, read_object
from folkmoot_voting.verify import verify_bundle

Files = dict[str, bytes]


@cache
def meeting() -> Meeting:
    kept: list[Meeting] = []
    run(after=kept.append)
    return kept[0]


def test_json_and_notes() -> None:
    election = meeting().elections[0]
    raw = jcs(election.manifest.json)
    assert outcomes(lambda rng: strict_json(spoil_bytes(rng, raw)))[1] > MUTATIONS * 0.8
    note = election.closing.encode()
    key, origin = election.manifest.server_key, election.manifest.board_origin

    def check(rng: random.Random) -> None:
        found = merkle_log.verify_note(spoil_bytes(rng, note).decode("utf-8", "surrogateescape"), origin, key)
        merkle_log.valid_cosigners(found, election.manifest.cosigners)

    passed, refused = outcomes(check)
    assert refused > passed


def test_assertions_and_passkeys() -> None:
    device = meeting().persons[0].authenticator
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


def anything(value: Any) -> Any:
    """Take any value."""
    return value


def test_long_files_are_read_in_parts_as_they_are_as_a_whole() -> None:
    """The reader of long lists takes exactly what the strict parser takes, however the file is cut."""
    value = {"a": [{"x": 1}, {"x": [True, '\u1ec7\\"]}']}], "b": "t", "c": [], "d": ["e", 7, [[]]]}
    raw, items = jcs(value), jcs(value["a"])
    lists: dict[str, Any] = dict.fromkeys("acd", (anything, 10))
    rng = random.Random(5)
    agreed = 0
    for _ in range(MUTATIONS):
        spoiled, spoiled_items = spoil_bytes(rng, raw), spoil_bytes(rng, items)
        if rng.random() < 0.1:
            spoiled, spoiled_items = raw, items
        cut = rng.randint(1, 9)
        streamed = _tried(_assembled, _cut(spoiled, cut), lists)
        assert streamed == _tried(_shaped, spoiled), spoiled
        streamed = _tried(_read_list, _cut(spoiled_items, cut))
        assert streamed == _tried(_listed, spoiled_items), spoiled_items
        agreed += streamed is not None
    assert agreed > MUTATIONS * 0.1


def _cut(raw: bytes, size: int) -> list[bytes]:
    return [raw[at : at + size] for at in range(0, len(raw), size)]


def _tried(call: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except EncodingError:
        return None


def _read_list(chunks: list[bytes]) -> Any:
    return list(read_list(chunks, anything, 10))


def _assembled(chunks: list[bytes], lists: dict[str, Any]) -> Any:
    found: dict[str, Any] = {name: [] for name in lists}
    for name, value in read_object(chunks, {"b": anything}, lists):
        if name in lists:
            found[name].append(value)
        else:
            found[name] = value
    return found


def _shaped(raw: bytes) -> Any:
    value = strict_json(raw)
    if not isinstance(value, dict) or value.keys() != set("abcd"):
        raise EncodingError("other fields")
    if not all(isinstance(value[name], list) and len(value[name]) <= 10 for name in "acd"):
        raise EncodingError("no list")
    return value


def _listed(raw: bytes) -> Any:
    value = strict_json(raw)
    if not isinstance(value, list) or len(value) > 10:
        raise EncodingError("no list")
    return value


@pytest.mark.timeout(600)
def test_bytes_of_zips() -> None:
    """Most changes meet the sums, some the directory, a few nothing that counts."""
    rng = random.Random(11)
    verdicts: Counter[str] = Counter()
    for number in range(MUTATIONS):
        pair = list(GOOD)
        place = number % 2
        pair[place] = spoil_bytes(rng, GOOD[place])
        found = verify_bundle(*pair)
        verdicts[found.verdict] += 1
        if found.verdict == "ok":
            assert _counting(bundle.unpack(pair[place])) == _counting(bundle.unpack(GOOD[place]))
    assert verdicts["unreadable"] > MUTATIONS * 0.9
    assert verdicts["ok"] > 0


@pytest.mark.timeout(600)
@pytest.mark.parametrize("base", [GOOD, full()], ids=["one vote", "everything"])
def test_files_of_bundles_and_annexes(base: tuple[bytes, bytes]) -> None:
    """Spoiled bytes and values in any file, in a zip that is right."""
    rng = random.Random(13)
    files, annex = bundle.unpack(base[0]), bundle.unpack(base[1])
    names = [*sorted(files), *["annex.json"] * 4]
    verdicts: Counter[str] = Counter()
    first: Counter[str] = Counter()
    for _ in range(1200 if base is GOOD else 300):
        name = rng.choice(names)
        source = annex if name == "annex.json" else files
        changed = {**source, name: _spoiled(rng, name, source[name])}
        packed = bundle.pack(changed)
        found = verify_bundle(*((base[0], packed) if source is annex else (packed, base[1])))
        verdicts[found.verdict] += 1
        first[next((check.id for check in found.checks if check.ok is False), found.verdict)] += 1
        if found.verdict == "ok":
            assert _counting(changed) == _counting(source), name
        assert "<script" not in report.to_html(found)
    assert verdicts["failed"] > 10 * verdicts["ok"]
    assert len(first) > 8, "a control: not all changes are refused for their form"


def _spoiled(rng: random.Random, name: str, raw: bytes) -> bytes:
    if rng.random() < 0.2 or not name.endswith((".json", ".jsonl")):
        return spoil_bytes(rng, raw)
    try:
        if name.endswith(".jsonl"):
            lines = raw.splitlines() or [b"{}"]
            at = rng.randrange(len(lines))
            lines[at] = jcs(spoil_value(rng, strict_json(lines[at])))
            return b"".join(line + b"\n" for line in lines)
        return jcs(spoil_value(rng, strict_json(raw, 2**30)))
    except VotingError:
        return spoil_bytes(rng, raw)


def _counting(files: Files) -> dict[str, Any]:
    """Return what of the files is checked: neither the README nor what nobody has signed."""
    kept: dict[str, Any] = {name: raw for name, raw in files.items() if name != "README.txt"}
    if "bundle.json" in kept:
        kept["bundle.json"] = info = strict_json(kept["bundle.json"])
        del info["meeting"]["title"]
    if "annex.json" in kept:
        kept["annex.json"] = annex = strict_json(kept["annex.json"], 2**30)
        for name in ("made_at", "keep_until", "auditors", "attempts"):
            del annex[name]
        for one in annex["checkins"]:
            del one["at"], one["salt"]
            one["elections"] = sorted(name for name in one["elections"] if name in _ELECTIONS)
        for one in annex["exclusions"]:
            del one["reason"]
        annex["exclusions"] = [one for one in annex["exclusions"] if one["election"] in _ELECTIONS]
        # Statements are a set each: their order says nothing.
        for name in ("checkins", "replacements", "exclusions", "trustees", "cosigners"):
            annex[name] = sorted(annex[name], key=jcs)
    return kept


_ELECTIONS = {VOTE, "all-types", "tie", "again", "roll-call", "open"}


def test_control_a_change_that_counts_is_told_from_one_that_does_not() -> None:
    files, annex = bundle.unpack(GOOD[0]), bundle.unpack(GOOD[1])
    assert _counting({**files, "README.txt": b""}) == _counting(files)
    assert _counting({**files, "roll.json": b""}) != _counting(files)
    later = strict_json(annex["annex.json"])
    later["checkins"][0]["at"] += 1
    assert _counting({**annex, "annex.json": jcs(later)}) == _counting(annex)
    later["checkins"][0]["site"] = "hall-2"
    assert _counting({**annex, "annex.json": jcs(later)}) != _counting(annex)
