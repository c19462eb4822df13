"""`folkmoot demo --script full-meeting`: its minutes are the golden ones, its record verifies."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
GOLDEN = Path(__file__).parent / "golden"
# What no two runs have in common: times, days, hashes, ids of resolutions' years, and the numbers of events.
_MASKS = (
    (re.compile(r"\d{1,2} [A-Z][a-z]+ 20\d\d|ngày \d+ tháng \d+ năm 20\d\d"), "DAY"),
    (re.compile(r"\b\d{2}:\d{2}\b"), "TIME"),
    (re.compile(r"SHA-256 [\w-]{16,43}…?"), "SHA-256 HASH"),
    (re.compile(r"\b20\d\d/(\d+)"), r"YEAR/\1"),
    (re.compile(r"\d+:\d{2} (minutes|phút)"), r"SPAN \1"),
    (re.compile(r"\[(events?|sự kiện) [\d, ]+\]"), r"[\1]"),
)


def masked(text: str) -> str:
    for pattern, word in _MASKS:
        text = pattern.sub(word, text)
    return text


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("full-meeting")
    words = [BIN / "folkmoot", "demo", "--script", "full-meeting", "--seed", "1", "--out", folder]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    assert "Verdict: ok" in done.stdout
    return folder


@pytest.mark.parametrize("language", ["en", "vi"])
def test_the_minutes_are_the_golden_ones(out: Path, language: str) -> None:
    name = f"minutes-{language}.txt"
    assert masked((out / name).read_text()) == (GOLDEN / name).read_text()


def test_the_minutes_tell_the_same_in_both_languages(out: Path) -> None:
    english, vietnamese = (json.loads((out / f"minutes-{code}.json").read_text()) for code in ("en", "vi"))
    cited = [
        [[one["events"] for one in section["sentences"]] for section in minutes["sections"]]
        for minutes in (english, vietnamese)
    ]
    assert cited[0] == cited[1]
    assert sum(len(section) for section in cited[0]) > 50


def test_control_the_mask_hides_no_names_counts_or_decisions(out: Path) -> None:
    text = (out / "minutes-en.txt").read_text()
    for told in ("carried", "rejected", "in favour", "The mayor", "Renew the roof"):
        assert told in text
        assert masked(text.replace(told, "something else")) != masked(text)


def test_the_attendance_is_one_record_over_leaving_and_coming_back(out: Path) -> None:
    with (out / "attendance.csv").open() as file:
        lines = list(csv.DictReader(file))
    own: dict[str, list[str]] = {}
    for line in lines:
        own.setdefault(line["member_code"], []).append(line["reason"])
    assert len(own) == 11
    assert sum(reasons == ["left", "closed"] for reasons in own.values()) == 7
    assert sum(reasons == ["closed"] for reasons in own.values()) == 4


def test_the_record_holds_the_three_votes(out: Path) -> None:
    words = [str(BIN / "folkmoot-verify"), str(out / "bundle.zip"), "--json"]
    report = json.loads(subprocess.run(words, capture_output=True, text=True, timeout=60).stdout)
    assert report["verdict"] == "ok"
    assert [one["secrecy"] for one in report["elections"]] == ["open", "trustees", "roll-call"]
