"""Reloaded pages, a killed media worker and a killed server in the middle of a vote: nothing acknowledged is lost."""

import asyncio
import os
import signal
from pathlib import Path

from tests.browser import steps
from tests.browser.conftest import NewPerson
from tests.browser.serving import Server
from tests.browser.support import until

BACK_S = 10
CHOICES = (0, 0, 1, 1, 2)


async def test_reloads_a_dead_worker_and_a_dead_server_lose_nothing(
    demo_server: Server, new_person: NewPerson, tmp_path: Path
) -> None:
    assembly = await steps.gather_people(demo_server, new_person)
    await steps.prepare_meeting(assembly)
    for name, person in assembly.people.items():
        if name != "auditor":
            await steps.check_in(assembly, person, media=name in {"chair", "secretary"})
    teller = assembly.tellers[0]
    await steps.click(teller, "panel-teller")
    await steps.click(teller, "teller-make-key")
    await teller.page.reload()
    await steps.make_key(assembly)

    listener = assembly.tellers[1]
    await steps.sees_and_hears(listener)
    workers = demo_server.children()
    assert workers
    clock = asyncio.get_running_loop().time
    killed_at = clock()
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    await until(lambda: not set(workers) & set(demo_server.children()), "the dead worker is gone")
    left_s = BACK_S - (clock() - killed_at)
    await steps.sees_and_hears(listener, deadline_s=left_s)

    await steps.next_step(assembly, "open")
    await steps.next_step(assembly, "start-item")
    await steps.next_step(assembly, "open-vote")
    trackers = [await steps.vote(assembly.chair, CHOICES[0]), await steps.vote(assembly.secretary, CHOICES[1])]

    async def server_dies() -> None:
        await demo_server.restart(kill=True)

    trackers.append(await steps.vote(assembly.tellers[0], CHOICES[2], before_cast=server_dies))
    assert len(set(trackers)) == 3

    voter = assembly.tellers[1]
    await steps.click(voter, "vote-open")
    booth = voter.page.frame_locator('[data-testid="booth-frame"]')
    await booth.get_by_test_id(f"booth-option-{CHOICES[3]}").click()
    await voter.page.reload()
    await steps.see(voter, "room")
    await steps.vote(voter, CHOICES[3])
    await steps.vote(assembly.tellers[2], CHOICES[4])

    await steps.next_step(assembly, "close-vote")
    await steps.cosign(assembly, [assembly.chair, assembly.secretary, *assembly.tellers[:2]])
    await assembly.tellers[0].page.reload()
    await steps.open_box(assembly, assembly.tellers[:2])
    await steps.next_step(assembly, "declare")

    async def everyone_knows() -> bool:
        await steps.click(assembly.chair, "panel-votes")
        return await steps.by(assembly.chair.page, "result-count-0").first.get_attribute("data-count") == "2"

    await until(everyone_knows, "the result shows every acknowledged ballot")
    await steps.audit(assembly, tmp_path)
