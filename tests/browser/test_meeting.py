"""The first gate: a whole meeting in real browsers, verified offline at the end."""

import asyncio
import zipfile
from pathlib import Path

from tests.browser import steps, support
from tests.browser.conftest import NewPerson
from tests.browser.serving import Server

CHOICES = (0, 0, 0, 1, 2)
YES, NO, ABSTAIN = 0, 1, 2


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
    await steps.sees_and_hears(listener)
    await steps.make_key(assembly)
    await steps.next_step(assembly, "open")
    await steps.next_step(assembly, "start-item")
    await steps.next_step(assembly, "open-vote")
    *first, last = list(zip(assembly.voters, CHOICES, strict=True))
    chosen = await steps.choose(last[0], last[1])
    for person, choice in first:
        await steps.vote(person, choice)
    assert await chosen.is_checked(), "the votes of others changed a ballot being filled in"
    await steps.review_and_cast(last[0])
    await steps.next_step(assembly, "close-vote")
    present = [assembly.chair, assembly.secretary, *assembly.tellers[:2]]
    await steps.cosign(assembly, present)
    await steps.open_box(assembly, assembly.tellers[:2])
    await steps.next_step(assembly, "declare")
    for person in assembly.voters:
        await steps.click(person, "panel-votes")
        await steps.attribute(person, "result-outcome", "data-kind", "carried")
        for option, count in ((YES, "3"), (NO, "1"), (ABSTAIN, "1")):
            await steps.attribute(person, f"result-count-{option}", "data-count", count)
    bundle, annex, identity = await steps.audit(assembly, tmp_path)
    damaged = tmp_path / "damaged.zip"
    _change_a_count(bundle, damaged)
    assert (await asyncio.to_thread(steps.verify, damaged, annex, identity))["verdict"] == "failed"
    auditor = assembly.people["auditor"]
    await auditor.page.goto(f"{demo_server.url}/auditor.html")
    await steps.see(auditor, "page-digest")
    await auditor.context.set_offline(True)
    for chosen, verdict in (([bundle, annex, identity], "ok"), ([damaged, annex, identity], "failed")):
        await steps.by(auditor.page, "auditor-files").set_input_files(chosen)
        await steps.click(auditor, "auditor-check")
        await steps.attribute(auditor, "auditor-verdict", "data-verdict", verdict)
        await support.assert_accessible(auditor.page, f"auditor, {verdict}")
        await support.shoot(auditor.page, f"auditor-{verdict}")
    assert await support.sideways_overflow(auditor.page) <= 0


def _change_a_count(bundle: Path, damaged: Path) -> None:
    """The control: the same bundle with one vote moved."""
    with zipfile.ZipFile(bundle) as source, zipfile.ZipFile(damaged, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("tally.json"):
                data = data.replace(b'"counts":[[3,1,1]]', b'"counts":[[4,0,1]]')
            target.writestr(name, data)
