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
from tests.voting.mutations import MUTATIONS
from tests.voting.scenario import small_meeting
from tests.voting.seeded import SeededRng
from tests.voting.spoiling import GOOD
from tests.voting.test_verify import spoiled_zips

from folkmoot_voting import bundle
from folkmoot_voting.verify import TITLES, verify_bundle

ROOT = pathlib.Path(__file__).resolve().parents[2]
VERIFIER = ROOT / "web_client" / "tools" / "verify.mjs"

Pair = tuple[bytes, bytes | None]
Answer = tuple[str, str | None]
T = TypeVar("T")


def node_command() -> str:
    """Return the Node to run."""
    found = shutil.which("node")
    assert found is not None, "Node is needed for the second verifier"
    return found


def run_node(*arguments: str | pathlib.Path) -> subprocess.CompletedProcess[str]:
    """Run the page's verifier; the exit status is left to the caller."""
    command = [node_command(), str(VERIFIER), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def answer(report: dict[str, Any]) -> Answer:
    """Return what two verifiers must agree on: the verdict and the first failing check."""
    return report["verdict"], next((one["id"] for one in report["checks"] if one["ok"] is False), None)


def records() -> dict[str, Pair]:
    """Return every record that the Python verifier is tested with, by name."""
    meeting = small_meeting()
    three = bundle.write_bundle(meeting.bundle()), bundle.write_annex(meeting.annex())
    found: dict[str, Pair] = {
        "good": GOOD,
        "good without annex": (GOOD[0], None),
        "three elections": three,
        "annex of another meeting": (GOOD[0], three[1]),
        "annex is no zip": (GOOD[0], b"nothing"),
        "annex without its file": (GOOD[0], bundle.pack({"other.json": b"{}"})),
        "annex with a surplus file": (GOOD[0], bundle.pack({**bundle.unpack(GOOD[1]), "x": b""})),
    }
    for name, mutate, _ in MUTATIONS:
        found[f"mutation: {name}"] = mutate()
    for name, raw in spoiled_zips().items():
        found[f"zip: {name}"] = (raw, None)
    return found


def write(folder: pathlib.Path, pairs: dict[str, Pair]) -> pathlib.Path:
    """Write the files and the list that names them; return the list."""
    listed = []
    for number, (raw, annex) in enumerate(pairs.values()):
        one = {"bundle": str(folder / f"{number}-bundle.zip")}
        pathlib.Path(one["bundle"]).write_bytes(raw)
        if annex is not None:
            one["annex"] = str(folder / f"{number}-annex.zip")
            pathlib.Path(one["annex"]).write_bytes(annex)
        listed.append(one)
    path = folder / "list.json"
    path.write_text(json.dumps(listed))
    return path


@pytest.fixture(scope="module")
def pairs() -> dict[str, Pair]:
    return records()


@pytest.fixture(scope="module")
def reports(pairs: dict[str, Pair], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = run_node("--batch", write(tmp_path_factory.mktemp("records"), pairs))
    assert (done.returncode, done.stderr) == (0, "")
    return dict(zip(pairs, json.loads(done.stdout), strict=True))


def test_both_say_the_same_of_every_record(pairs: dict[str, Pair], reports: dict[str, Any]) -> None:
    ours = {name: answer(verify_bundle(*pair).to_json()) for name, pair in pairs.items()}
    theirs = {name: answer(report) for name, report in reports.items()}
    differing = {name: (ours[name], theirs[name]) for name in pairs if ours[name] != theirs[name]}
    assert differing == {}


def test_every_mutation_is_noticed_at_its_own_check(reports: dict[str, Any]) -> None:
    expected = {f"mutation: {name}": ("failed", check) for name, _, check in MUTATIONS}
    assert {name: answer(reports[name]) for name in expected} == expected


def test_reports_have_the_same_form(pairs: dict[str, Pair], reports: dict[str, Any]) -> None:
    for name in ("good", "good without annex", "three elections", "zip: not a zip"):
        ours = verify_bundle(*pairs[name]).to_json()
        assert reports[name] == ours, name
    assert [one["title"] for one in reports["good"]["checks"]] == list(TITLES.values())


def test_both_leave_the_same_checks_out(pairs: dict[str, Pair], reports: dict[str, Any]) -> None:
    for name, pair in pairs.items():
        ours = [one.id for one in verify_bundle(*pair).checks if one.ok is None]
        assert [one["id"] for one in reports[name]["checks"] if one["ok"] is None] == ours, name


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
    files, annex = bundle.unpack(GOOD[0]), bundle.unpack(GOOD[1])
    where, name = chance.choice(
        [(annex, "annex.json")] * 3 + [(files, one) for one in files if one.endswith((".json", ".jsonl"))]
    )
    lines = [json.loads(line) for line in where[name].splitlines()]
    disturb(lines, chance)
    dumped = [json.dumps(one, ensure_ascii=False, sort_keys=True, separators=(",", ":")) for one in lines]
    where[name] = ("\n".join(dumped) + ("\n" if name.endswith(".jsonl") else "")).encode()
    return bundle.pack(files), bundle.pack(annex)


def test_both_say_the_same_of_random_changes(tmp_path: pathlib.Path) -> None:
    changed = {str(number): disturbed(number) for number in range(40)}
    done = run_node("--batch", write(tmp_path, changed))
    assert (done.returncode, done.stderr) == (0, "")
    theirs = dict(zip(changed, map(answer, json.loads(done.stdout)), strict=True))
    ours = {name: answer(verify_bundle(*pair).to_json()) for name, pair in changed.items()}
    assert theirs == ours
    assert len(set(ours.values())) > 3
