"""The ladder's figures stand in worker, page and specification. They are the same, and fit their links."""

import re
from pathlib import Path

import pytest

from folkmoot_media.forwarding.ladder import PROFILES, RUNGS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "web_client" / "src" / "media" / "profiles.ts").read_text()
SPECIFICATION = (ROOT / "docs" / "spec" / "media_control.md").read_text().split("\n## 7. ")[1]
Row = tuple[int, int, int, bool, tuple[int, int, int] | None]
# IP, UDP, RTP, level and media section, SRTP and what carries them, in bytes; STUN, RTCP and signalling in kbit/s.
HEADERS = 58
CONTROL = 4.0


def of_the_page(text: str) -> list[Row]:
    found: list[Row] = []
    video_of = r"video: (?:null|\{ kbit: ([\d_]+), frames: (\d+), height: (\d+) \})"
    pattern = r"link: (\d+), opus: ([\d_]+), ptime: (\d+), dtx: (\w+), " + video_of
    for link, opus, ptime, dtx, kbit, frames, height in re.findall(pattern, text):
        video = (int(kbit), int(frames), int(height)) if kbit else None
        found.append((int(link), int(opus), int(ptime), dtx == "true", video))
    return found


def of_the_specification(text: str) -> list[Row]:
    found: list[Row] = []
    pattern = r"^\| (\d+) \| ([\d,]+), (\d+) ms \| (\w+) \| (?:none|([\d,]+), (\d+), (\d+)) \|$"
    for link, opus, ptime, dtx, kbit, frames, height in re.findall(pattern, text, re.MULTILINE):
        video = (int(kbit.replace(",", "")), int(frames), int(height)) if kbit else None
        found.append((int(link), int(opus.replace(",", "")), int(ptime), dtx == "yes", video))
    return found


def test_the_profiles_are_the_same_everywhere() -> None:
    assert of_the_specification(SPECIFICATION) == of_the_page(PAGE)
    assert tuple(row[0] for row in of_the_page(PAGE)) == PROFILES


@pytest.mark.parametrize(("link", "most"), [(64, 28), (128, 48), (256, 152), (512, 324)])
def test_what_a_page_sends_fits_its_link_with_headers_and_control(link: int, most: float) -> None:
    (found,) = (row for row in of_the_page(PAGE) if row[0] == link)
    _, opus, ptime, _, video = found
    packets = 1000 / ptime
    voice = packets * (opus / 8 / packets + HEADERS) * 8 / 1000
    sent = voice + (1.07 * video[0] if video else 0) + CONTROL
    assert ptime == 60
    assert sent < most < link


def test_the_steps_are_the_same_everywhere() -> None:
    (steps,) = re.findall(r"STEP_KBIT: Record<Step, number> = \{([^}]+)\}", PAGE)
    said = {int(step): int(kbit) for step, kbit in re.findall(r"(\d): (\d+)", steps)}
    assert {rung.level.value: rung.comes_on for rung in RUNGS} == {step: said[step] for step in range(1, 5)}
    written = re.findall(r"^\| (\d) \w+ \|.*\| (\d+), (\d+) \|$", SPECIFICATION, re.MULTILINE)
    assert [(int(a), float(b), float(c)) for a, b, c in written] == [
        (rung.level.value, rung.comes_on, rung.goes_off) for rung in RUNGS
    ]


def test_control_another_figure_is_noticed() -> None:
    assert of_the_page(PAGE.replace("opus: 12_000", "opus: 12_001")) != of_the_page(PAGE)
    assert of_the_specification(SPECIFICATION.replace("12,000", "12,001")) != of_the_specification(SPECIFICATION)
