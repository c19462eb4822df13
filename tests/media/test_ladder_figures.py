"""The ladder's figures stand in three places: worker, page and specification. They are the same."""

import re
from pathlib import Path

from folkmoot_media.forwarding.ladder import PROFILE_FREE, PROFILES, RUNGS, Profile

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "web_client" / "src" / "media" / "profiles.ts").read_text()
SPECIFICATION = (ROOT / "docs" / "spec" / "media_control.md").read_text().split("\n## 7. ")[1]
ALL = (*PROFILES, PROFILE_FREE)
Row = tuple[int, int, int, bool, tuple[int, int, int] | None]


def of_the_worker(profile: Profile) -> Row:
    video = (profile.video, profile.frames, profile.height) if profile.video else None
    return profile.link, profile.opus_bitrate, profile.ptime, profile.dtx, video


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
    wanted = [of_the_worker(profile) for profile in ALL]
    assert of_the_page(PAGE) == wanted
    assert of_the_specification(SPECIFICATION) == wanted
    assert all(profile.fec for profile in ALL)


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
