"""The verifier in Python and the one of the auditor's page agree on every record, good, spoiled or unreadable."""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from tests.voting.mutations import MUTATIONS
from tests.voting.scenario import small_meeting
from tests.voting.spoiling import GOOD
from tests.voting.test_verify import spoiled_zips

from folkmoot_voting import bundle
from folkmoot_voting.verify import TITLES, verify_bundle

ROOT = pathlib.Path(__file__).resolve().parents[2]
VERIFIER = ROOT / "web_client" / "tools" / "verify.mjs"

Pair = tuple[bytes, bytes | None]
Answer = tuple[str, str | None]


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
