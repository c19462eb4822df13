"""The offline verifier: a good record passes, every spoiled one fails at its own check."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from tests.voting.corpus import good_records, without_key
from tests.voting.mutations import MUTATIONS
from tests.voting.record import Record, write
from tests.voting.scenario import FIRST
from tests.voting.seeded import SeededRng
from tests.voting.spoiling import BOARD, FOLDER, GOOD, checked_in, choice, edit, full, put, run
from tests.voting.votes import EVERY_TYPE, open_vote
from tests.voting.zips import unreadable

from folkmoot_voting import batch, bundle, multiexp
from folkmoot_voting.encoding import b64u
from folkmoot_voting.errors import BundleUnreadable
from folkmoot_voting.merkle_log import leaf_hash, tree_hash
from folkmoot_voting.verifier import files, proofs
from folkmoot_voting.verifier.archive import CHUNK, Archive
from folkmoot_voting.verifier.copies import PointKeys, SharedPoints
from folkmoot_voting.verify import ANNEX_CHECKS, TITLES, VOIDS, Progress, Report, Verified, verify_bundle


def failing(report: Report) -> list[str]:
    assert report.verdict == "failed"
    return [check.id for check in report.checks if check.ok is False]


@pytest.mark.parametrize("name", good_records())
def test_a_good_record_passes_every_check(name: str) -> None:
    pair = good_records()[name]
    report = verify_bundle(*pair)
    skipped = [] if pair[1] else list(ANNEX_CHECKS)
    if name == "no attendance log":
        skipped = ["V34"]
    assert [check.detail for check in report.checks if check.ok is not True and check.id not in skipped] == []
    assert (report.verdict, report.exit_code) == ("ok", 0)
    assert [check.id for check in report.checks] == list(TITLES)
    assert [check.id for check in report.checks if check.ok is None] == skipped


@pytest.mark.parametrize(("mutate", "expected"), [case[1:] for case in MUTATIONS], ids=[m[0] for m in MUTATIONS])
def test_each_mutation_fails_first_at_its_own_check(mutate: Callable[[], Record], expected: str) -> None:
    report = verify_bundle(*mutate())
    assert failing(report)[0] == expected
    unknown = {check.id for check in report.checks if check.ok is None}
    assert unknown == {other for failed in failing(report) for other in VOIDS.get(failed, ())}


def test_a_long_annex_is_read_again_and_judged_as_a_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of a short annex and what is read again of a long one come to the same."""
    cases = [case for case in MUTATIONS if case[2] in ANNEX_CHECKS]
    assert len(cases) > 30
    short = [failing(verify_bundle(*make())) for _, make, _ in cases]
    monkeypatch.setattr(files, "MAX_KEPT", 0)
    assert verify_bundle(*full()).verdict == "ok"
    assert [failing(verify_bundle(*make())) for _, make, _ in cases] == short


def test_every_check_has_a_mutation_and_every_type_has_many() -> None:
    assert {expected for _, _, expected in MUTATIONS} == set(TITLES)
    for question in EVERY_TYPE:
        assert len([name for name, _, _ in MUTATIONS if name.startswith(question.type + ":")]) >= 15
    assert len({name for name, _, _ in MUTATIONS}) == len(MUTATIONS) > 400


def test_checks_that_a_failure_leaves_without_meaning_come_later() -> None:
    for failed, voided in VOIDS.items():
        assert all(other > failed for other in voided)


@pytest.mark.parametrize("name", unreadable())
def test_unreadable_zips_say_so(name: str) -> None:
    raw = unreadable()[name]
    for report in (verify_bundle(raw), verify_bundle(GOOD[0], raw)):
        assert (report.verdict, report.exit_code) == ("unreadable", 2)
        assert all(check.ok is None for check in report.checks)
        assert report.elections == []


def test_the_report_says_what_each_vote_decided() -> None:
    elections = verify_bundle(*full()).to_json()["elections"]
    names = ["all-types", "tie", "again", "roll-call", "open"]
    assert [one["election"] for one in elections] == names
    found = {one["election"]: one for one in elections}
    assert found["all-types"]["rejected"][0]["trustee"] == 3
    assert (found["all-types"]["ballots"], found["all-types"]["cast"]) == (9, 7)
    assert (found["all-types"]["replacements"], found["all-types"]["kiosk"], found["all-types"]["voids"]) == (2, 1, 1)
    assert found["tie"]["outcome"][0]["kind"] == "carried"
    assert found["tie"]["excluded"] == 1
    assert found["again"]["repeats"] == ["tie"]
    assert found["again"]["outcome"][0]["kind"] == "too-few"
    assert found["open"]["secrecy"] == "open"
    malformed = bundle.pack({**bundle.unpack(GOOD[0]), "ledger.json": b"{}"})
    assert verify_bundle(malformed).to_json()["elections"] == []


def some_of_each() -> list[Callable[[], Record]]:
    """Return two mutations of each check, and all of those that the proofs find."""
    chosen: dict[str, list[Callable[[], Record]]] = {}
    for _, mutate, expected in MUTATIONS:
        chosen.setdefault(expected, []).append(mutate)
    proved = ("V12", "V13", "V14", "V15")
    return [one for check, listed in chosen.items() for one in (listed if check in proved else listed[:2])]


def test_strict_checks_give_the_same_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [full(), *(mutate() for mutate in some_of_each())]
    fast = [verify_bundle(*record) for record in records]
    monkeypatch.setattr(batch, "all_bad", _no_batches)
    strict = [verify_bundle(*record, strict=True) for record in records]
    assert [one.checks for one in strict] == [one.checks for one in fast]


def _no_batches(*arguments: object) -> list[int]:
    found: list[int] = _all_bad(*arguments)  # type: ignore[arg-type]  # handed through
    assert all(one.points is None for one in arguments[1])  # type: ignore[attr-defined]
    return found


_all_bad = batch.all_bad


def test_without_the_compiled_library_the_verdicts_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [full(), *(mutate() for mutate in some_of_each()[::3])]
    fast = [verify_bundle(*record) for record in records]
    monkeypatch.setenv("FOLKMOOT_NO_NATIVE", "1")
    assert not multiexp.available()
    assert [verify_bundle(*record).checks for record in records] == [one.checks for one in fast]


def many(voters: int) -> Record:
    """Return a vote of many ballots, so that there are several chunks."""
    meeting = checked_in(voters + 1, voters)
    vote = open_vote(meeting, "vote-1", [EVERY_TYPE[0]], at=FIRST + 600)
    for index, person in enumerate(meeting.present()):
        vote.cast(person, choice(EVERY_TYPE[0], index))
    vote.finish()
    return write(meeting)


@pytest.mark.parametrize("chunk", [1, 7, 10, 64])
def test_chunks_of_any_size_give_the_same_sums(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    record = many(20)
    monkeypatch.setattr(proofs, "CHUNK", chunk)
    seen: list[Progress] = []
    assert verify_bundle(*record, progress=seen.append).verdict == "ok"
    assert [one.done for one in seen if one.stage == "check"][-1] == 20
    assert verify_bundle(*full()).verdict == "ok"


def test_files_are_read_like_bytes() -> None:
    report = verify_bundle(io.BytesIO(full()[0]), io.BytesIO(full()[1]))
    assert report.to_json() == verify_bundle(*full()).to_json()


def test_what_was_verified_is_not_proved_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = verify_bundle(GOOD[0])
    assert len(first.verified) == 1
    calls: list[int] = []
    monkeypatch.setattr(batch, "all_bad", lambda _manifest, some, _rng: calls.append(len(some)) or [])
    again = verify_bundle(GOOD[0], known=first.verified)
    assert (again.verdict, calls) == ("ok", [0])
    assert verify_bundle(GOOD[0]).verdict == "ok"
    assert calls == [0, 5]
    other = {manifest: Verified(one.size, bytes(32)) for manifest, one in first.verified.items()}
    assert verify_bundle(GOOD[0], known=other).verdict == "ok"
    longer = {manifest: Verified(one.size + 9, one.root) for manifest, one in first.verified.items()}
    assert verify_bundle(GOOD[0], known=longer).verdict == "ok"
    assert verify_bundle(GOOD[0], known=first.verified, strict=True).verdict == "ok"
    assert calls == [0, 5, 5, 5, 5]


def test_only_the_prefix_that_is_the_same_is_skipped() -> None:
    """A board of which three entries were verified before: what comes after them is checked."""
    (manifest, _), *_ = verify_bundle(GOOD[0]).verified.items()
    name, mutate, expected = next(one for one in MUTATIONS if one[0] == "yes-no-abstain: response of a cell")
    spoiled = mutate()
    context = verify_bundle(*spoiled).context
    assert context is not None
    survey = context.surveys["vote-1"]
    assert survey.manifest is not None
    assert survey.manifest.hash == manifest
    # The first ballot is the bad one: where its entry is vouched for, its proof is not looked at.
    for size, verdict in ((1, "failed"), (3, "ok")):
        known = {manifest: Verified(size, root_after(spoiled, size))}
        report = verify_bundle(*spoiled, known=known)
        assert report.verdict == verdict, name
    assert failing(verify_bundle(*spoiled))[0] == expected


def root_after(record: Record, size: int) -> bytes:
    """Return the root of the first entries of the board."""
    lines = bundle.unpack(record[0])[BOARD].splitlines()[:size]
    return tree_hash(leaf_hash(line) for line in lines)


def test_nothing_is_remembered_of_a_board_that_failed() -> None:
    for name in ("yes-no-abstain: response of a cell", "weight 2", "another voter's signature", "dropped ballot"):
        mutate = next(one[1] for one in MUTATIONS if one[0] == name)
        assert verify_bundle(*mutate()).verified == {}, name
    other_tally = next(one[1] for one in MUTATIONS if one[0] == "yes-no-abstain: other counts")
    assert len(verify_bundle(*other_tally()).verified) == 1


def test_points_that_share_eight_bytes_are_compared_as_a_whole() -> None:
    rng = SeededRng("points")
    ballots = [[rng(32) for _ in range(20)] for _ in range(50)]
    keys = PointKeys()
    for points in ballots:
        keys.add(points)
    assert keys.shared() == frozenset()
    alike = ballots[3][0][:8] + rng(24)
    keys.add([alike, alike])
    keys.add([alike])
    assert keys.shared() == {alike[:8]}
    compare = SharedPoints(keys.shared())
    assert not compare.add(1, ballots[3])
    assert not compare.add(2, [alike, alike])
    assert compare.add(3, [rng(32), alike])


def test_members_longer_than_they_say_are_stopped_early() -> None:
    """A bomb: 64 MiB behind headers that promise 10 bytes; no more than a chunk or two is unpacked."""
    raw = bytearray(bundle.pack({"bomb": bytes(1 << 26)}))
    size = (1 << 26).to_bytes(4, "little")
    for at in (raw.index(size), raw.rindex(size)):
        raw[at : at + 4] = (10).to_bytes(4, "little")
    parts: list[int] = []
    with pytest.raises(BundleUnreadable, match="longer"):
        parts.extend(len(part) for part in Archive(bytes(raw)).chunks("bomb"))
    assert sum(parts) <= 2 * CHUNK


def test_titles_and_names_of_strangers_are_taken_as_they_are() -> None:
    title = "\u202e<script>alert(1)</script> " + "e\u0301".replace("e\u0301", "\u00e9")
    record = edit(put("bundle.json|meeting|title", title))()
    assert verify_bundle(*record).verdict == "ok"


def test_a_plain_vote_without_a_key_and_a_record_with_one_election_of_many() -> None:
    assert verify_bundle(*write(without_key())).verdict == "ok"
    hidden = edit(put(f"{FOLDER}tally.json|core|aggregate", b64u(bytes(32))))()
    assert failing(verify_bundle(*hidden))[0] == "V04"
    assert verify_bundle(*run(voters=2)).verdict == "ok"
