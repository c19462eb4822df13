"""The verifier in Python and the one of the auditor's page agree on every record, good, spoiled or unreadable."""

from __future__ import annotations

import copy
import json
import pathlib
import shutil
import subprocess
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pytest
from tests.voting.corpus import Answer, Pair, answer, good_records, records, write_list
from tests.voting.mutations import MUTATIONS
from tests.voting.seeded import SeededRng
from tests.voting.spoiling import GOOD, full

from folkmoot_voting import bundle
from folkmoot_voting.verify import TITLES, verify_bundle

ROOT = pathlib.Path(__file__).resolve().parents[2]
VERIFIER = ROOT / "web_client" / "tools" / "verify.mjs"
# Hundreds of records, each read by both.
pytestmark = pytest.mark.timeout(900)

T = TypeVar("T")


def command(*arguments: str | pathlib.Path) -> list[str]:
    """Return the command that runs the page's verifier."""
    found = shutil.which("node")
    assert found is not None, "Node is needed for the second verifier"
    return [found, str(VERIFIER), *map(str, arguments)]


def run_node(*arguments: str | pathlib.Path) -> subprocess.CompletedProcess[str]:
    """Run the page's verifier; the exit status is left to the caller."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=300, check=False)


def ask(folder: pathlib.Path, pairs: dict[str, Pair], processes: int = 2) -> dict[str, Any]:
    """Return what the page's verifier says of every record, asked by a few processes side by side."""
    names = list(pairs)
    running = []
    for number in range(processes):
        part = {name: pairs[name] for name in names[number::processes]}
        inside = folder / str(number)
        inside.mkdir()
        listed = write_list(inside, part)
        running.append((part, subprocess.Popen(command("--batch", listed), stdout=subprocess.PIPE, text=True)))
    reports: dict[str, Any] = {}
    for part, process in running:
        out, _ = process.communicate(timeout=800)
        assert process.returncode == 0
        reports |= dict(zip(part, json.loads(out), strict=True))
    return {name: reports[name] for name in names}


@pytest.fixture(scope="module")
def pairs() -> dict[str, Pair]:
    return records()


@pytest.fixture(scope="module")
def ours(pairs: dict[str, Pair]) -> dict[str, Any]:
    return {name: verify_bundle(*pair).to_json() for name, pair in pairs.items()}


@pytest.fixture(scope="module")
def theirs(pairs: dict[str, Pair], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return ask(tmp_path_factory.mktemp("records"), pairs)


def test_both_say_the_same_of_every_record(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    differing = {name: (answer(ours[name]), answer(theirs[name])) for name in ours}
    assert {name: both for name, both in differing.items() if both[0] != both[1]} == {}


def test_every_mutation_is_noticed_at_its_own_check(theirs: dict[str, Any]) -> None:
    expected = {f"mutation: {name}": ("failed", check) for name, _, check in MUTATIONS}
    assert {name: answer(theirs[name]) for name in expected} == expected


def test_reports_have_the_same_form(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Everything is alike but the words in which checks are named and failures are told."""
    for name, report in ours.items():
        other = theirs[name]
        assert other["elections"] == report["elections"], name
        assert {*other} - {"detail"} == {*report} - {"detail"}, name
        assert [{*one} - {"detail"} for one in other["checks"]] == [{"id", "ok", "title"}] * len(TITLES), name
    assert set(good_records()) <= ours.keys()


def test_both_leave_the_same_checks_out(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    def unknown(report: dict[str, Any]) -> list[str]:
        return [one["id"] for one in report["checks"] if one["ok"] is None]

    agreeing = [name for name in ours if answer(ours[name]) == answer(theirs[name])]
    differing = {name for name in agreeing if _told(ours[name]) == _told(theirs[name])}
    assert {name for name in differing if unknown(ours[name]) != unknown(theirs[name])} == set()
    assert len(differing) > 400


def _told(report: dict[str, Any]) -> list[str]:
    return [one["id"] for one in report["checks"] if one["ok"] is False]


@pytest.mark.parametrize(
    ("change", "status", "verdict"),
    [
        (lambda raw: raw, 0, "ok"),
        (lambda _: MUTATIONS[0][1]()[0], 1, "failed"),
        (lambda raw: raw[:-30], 2, "unreadable"),
    ],
    ids=["good", "spoiled", "cut"],
)
def test_the_command_exits_like_ours(
    tmp_path: pathlib.Path, change: Callable[[bytes], bytes], status: int, verdict: str
) -> None:
    path, annex = tmp_path / "bundle.zip", tmp_path / "annex.zip"
    path.write_bytes(change(GOOD[0]))
    annex.write_bytes(GOOD[1])
    done = run_node(path, "--annex", annex, "--json")
    assert done.returncode == status
    assert json.loads(done.stdout)["verdict"] == verdict


def test_the_command_without_a_file(tmp_path: pathlib.Path) -> None:
    done = run_node(tmp_path / "none.zip", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["verdict"] == "unreadable"
    assert "none.zip" in done.stderr


class Chance:
    """Choices that are the same for the same number."""

    def __init__(self, number: int) -> None:
        self._rng = SeededRng(f"change {number}")

    def below(self, limit: int) -> int:
        """Return a number from 0 to limit - 1."""
        return int.from_bytes(self._rng(8)) % limit

    def choice(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[self.below(len(options))]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value inside a JSON value."""
    inner = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [found for key, item in inner for found in [(*path, key), *places(item, (*path, key))]]


def disturb(holder: Any, chance: Chance) -> None:
    """Change one value somewhere: another value of the same name, a repetition, an omission, an odd value."""
    path = chance.choice(places(holder))
    parent = holder
    for key in path[:-1]:
        parent = parent[key]
    key, old = path[-1], parent[path[-1]]
    way = chance.below(4)
    if way == 0 and isinstance(old, str) and old:
        place = chance.below(len(old))
        parent[key] = old[:place] + chance.choice("ABab01-_=") + old[place + 1 :]
    elif way == 1 and isinstance(old, list) and old:
        old.append(copy.deepcopy(chance.choice(old)))
    elif way == 2:
        del parent[key]
    else:
        parent[key] = chance.choice([0, 1, 3, 2**53 - 1, True, "", "x", "x" * 201, "e\u0301", [], {}, "A" * 43, [[]]])


def disturbed(number: int) -> Pair:
    """Return the good record with one random change in one of its files; the same number gives the same change."""
    chance = Chance(number)
    base = full() if number % 2 else GOOD
    files, annex = bundle.unpack(base[0]), bundle.unpack(base[1])
    named = [(files, one) for one in files if files[one] and one.endswith((".json", ".jsonl"))]
    where, name = chance.choice([(annex, "annex.json")] * 3 + named)
    lines = [json.loads(line) for line in where[name].splitlines()]
    disturb(lines, chance)
    dumped = [json.dumps(one, ensure_ascii=False, sort_keys=True, separators=(",", ":")) for one in lines]
    where[name] = ("\n".join(dumped) + ("\n" if name.endswith(".jsonl") else "")).encode()
    return bundle.pack(files), bundle.pack(annex)


def test_both_say_the_same_of_random_changes(tmp_path: pathlib.Path) -> None:
    changed: dict[str, Pair] = {str(number): disturbed(number) for number in range(120)}
    others: dict[str, Answer] = {name: answer(report) for name, report in ask(tmp_path, changed).items()}
    mine = {name: answer(verify_bundle(*pair).to_json()) for name, pair in changed.items()}
    assert others == mine
    assert len(set(mine.values())) > 5
