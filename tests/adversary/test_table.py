"""Section 11's table and the tests that play it: no row without a play, no play without a row."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from tests.adversary.plays import PLAYS

ROOT = Path(__file__).resolve().parents[2]
CHECK = re.compile(r"\bV\d\d\b")


@cache
def table() -> dict[str, str]:
    """Row id -> the cell that says what stops it."""
    section = (ROOT / "docs/spec/voting.md").read_text().split("## 11. Known attacks")[1].split("\n## ")[0]
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"
    ]
    return {row[0]: row[2] for row in cells[2:]}


@cache
def titles() -> dict[str, list[str]]:
    """Row id -> what the tests that name it say, in Python and in TypeScript."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests/adversary").glob("test_*.py")):
        for row, name in re.findall(r"def test_(a\d\d)_(\w+)", path.read_text()):
            found.setdefault(row.upper(), []).append(name.replace("_", " "))
    for path in sorted((ROOT / "web_client/test/adversary").glob("*.test.ts")):
        for row, name in re.findall(r'^test\("(A\d\d): ([^"]+)"', path.read_text(), re.MULTILINE):
            found.setdefault(row, []).append(f"page: {name}")
    return found


def unplayed(rows: dict[str, str]) -> set[str]:
    """Return rows that nothing plays."""
    return rows.keys() - {one.row for one in PLAYS} - titles().keys() - {"–"}


def test_the_rows_are_numbered_and_the_last_is_what_nothing_stops() -> None:
    assert list(table()) == [*(f"A{number:02d}" for number in range(1, len(table()))), "–"]


def test_every_row_is_played_and_every_play_has_a_row() -> None:
    assert unplayed(table()) == set()
    assert {one.row for one in PLAYS} | titles().keys() <= table().keys()
    assert unplayed({**table(), "A99": ""}) == {"A99"}  # control: a row that nobody plays is seen


@pytest.mark.parametrize("row", [row for row in table() if row != "–"])
def test_a_row_names_the_checks_that_catch_it(row: str) -> None:
    caught = {one.check for one in PLAYS if one.row == row}
    assert set(CHECK.findall(table()[row])) == caught


def test_what_a_page_or_a_person_stops_is_played_on_pages_or_by_people() -> None:
    by_page = {row for row, cell in table().items() if re.search(r"\bpages?\b", cell) and row != "–"}
    by_person = {row for row, cell in table().items() if re.search(r"\bperson\b", cell) and row != "–"}
    assert by_page >= {"A10", "A13", "A14", "A15", "A18", "A19", "A20", "A23"}
    for row in by_page:
        assert any(title.startswith("page: ") for title in titles().get(row, [])), row
    for row in by_person:
        assert any("person" in title for title in titles().get(row, [])), row
