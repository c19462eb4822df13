"""The first gate: a whole meeting in real browsers, verified offline at the end."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from tests.browser import steps
from tests.browser.conftest import NewPerson
from tests.browser.serving import Server
from tests.browser.support import Person, until

CHOICES = (0, 0, 0, 1, 2)
YES, NO, ABSTAIN = 0, 1, 2


async def _sees_and_hears(person: Person) -> None:
    before = await person.media()

    async def more() -> bool:
        now = await person.media()
        return now.frames_decoded > before.frames_decoded + 10 and now.audio_energy > before.audio_energy

    await until(more, f"{person.name} sees pictures and hears sound", deadline_s=40)


async def _download(person: Person, testid: str, folder: Path) -> Path:
    async with person.page.expect_download() as waiting:
        await steps.click(person, testid)
    target = folder / f"{testid}.zip"
    await (await waiting.value).save_as(target)
    return target


def _verify(bundle: Path, annex: Path) -> dict[str, object]:
    command = [str(Path(sys.executable).parent / "folkmoot-verify"), str(bundle), "--annex", str(annex), "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert answer.stdout, answer.stderr
    report: dict[str, object] = json.loads(answer.stdout)
    report["exit"] = answer.returncode
    return report


async def test_a_meeting_from_enrolment_to_the_verified_bundle(
    demo_server: Server, new_person: NewPerson, tmp_path: Path
) -> None:
    """Five people, three of them with camera and microphone, one secret vote, two of three tellers open the box."""
    assembly = await steps.gather_people(demo_server, new_person)
    await steps.prepare_meeting(assembly)
    with_media = {"chair", "secretary", "teller-1"}
    for name, person in assembly.people.items():
        if name != "auditor":
            await steps.check_in(assembly, person, media=name in with_media)
    listener = assembly.people["teller-2"]
    await _sees_and_hears(listener)
    await steps.make_key(assembly)
    await steps.next_step(assembly, "open")
    await steps.next_step(assembly, "start-item")
    await steps.next_step(assembly, "open-vote")
    for person, choice in zip(assembly.voters, CHOICES, strict=True):
        await steps.vote(person, choice)
    await steps.next_step(assembly, "close-vote")
    present = [assembly.chair, assembly.secretary, *assembly.tellers[:2]]
    await steps.cosign(present)
    await steps.open_box(assembly, assembly.tellers[:2])
    await steps.next_step(assembly, "declare")
    for person in assembly.voters:
        await steps.click(person, "panel-votes")
        await steps.attribute(person, "result-outcome", "data-kind", "carried")
        for option, count in ((YES, "3"), (NO, "1"), (ABSTAIN, "1")):
            await steps.attribute(person, f"result-count-{option}", "data-count", count)
    auditor = assembly.people["auditor"]
    await assembly.open_page(auditor, "/audit")
    bundle = await _download(auditor, "download-bundle", tmp_path)
    annex = await _download(auditor, "download-annex", tmp_path)
    report = await asyncio.to_thread(_verify, bundle, annex)
    assert report["verdict"] == "ok", report
    assert report["exit"] == 0
    damaged = tmp_path / "damaged.zip"
    _change_a_count(bundle, damaged)
    assert (await asyncio.to_thread(_verify, damaged, annex))["verdict"] == "failed"


def _change_a_count(bundle: Path, damaged: Path) -> None:
    """The control: the same bundle with one vote moved."""
    import zipfile

    with zipfile.ZipFile(bundle) as source, zipfile.ZipFile(damaged, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("tally.json"):
                data = data.replace(b'"counts":[[3,1,1]]', b'"counts":[[4,0,1]]')
            target.writestr(name, data)
