"""What people do on the screens, by the hooks of web_client/src/TESTIDS.md."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import FrameLocator, Locator, Page, expect
from tests.browser.serving import Server
from tests.browser.support import PHONE, Person, assert_accessible, shoot, sideways_overflow, until

DESKTOP = (1280, 800)
NARROW_PX = 320

SLOW_MS = 60_000
ASKED_FIRST = {"close", "close-vote", "open-vote"}  # asked whether it is meant, or warned
NewPerson = Callable[..., Awaitable[Person]]


def by(page: Page, testid: str) -> Locator:
    """The element with this data-testid."""
    return page.get_by_test_id(testid)


async def click(person: Person, testid: str) -> None:
    """Click the element when it is there, enabled and not busy with an earlier wish."""
    await person.page.locator(f'[data-testid="{testid}"]:not([aria-busy="true"])').first.click(timeout=SLOW_MS)


async def see(person: Person, testid: str) -> None:
    """Wait until the element is shown."""
    await expect(by(person.page, testid).first).to_be_visible(timeout=SLOW_MS)


async def attribute(person: Person, testid: str, name: str, value: str) -> None:
    """Wait until the element's attribute has this value."""
    await expect(by(person.page, testid).first).to_have_attribute(name, value, timeout=SLOW_MS)


async def ready(person: Person) -> None:
    """Wait until the page has painted its first data (wait_for_function would poll by eval, which pages forbid)."""
    await expect(person.page.locator("html[data-ready]")).to_be_attached(timeout=SLOW_MS)


async def look(person: Person, name: str) -> None:
    """Accessible, not wider than a phone of 320 px, and pictured at 360x640 and 1280x800."""
    await ready(person)
    await assert_accessible(person.page, name)
    await shoot(person.page, name)
    overflow = await sideways_overflow(person.page, width=NARROW_PX)
    assert overflow <= 0, f"{name} is {overflow} px wider than {NARROW_PX} px"


@dataclass
class Assembly:
    """The people of one meeting, and what its parts are called."""

    server: Server
    people: dict[str, Person] = field(default_factory=dict)
    meeting: str = ""
    election: str = ""

    @property
    def chair(self) -> Person:
        """The chair."""
        return self.people["chair"]

    @property
    def secretary(self) -> Person:
        """Secretary and registrar."""
        return self.people["secretary"]

    @property
    def tellers(self) -> list[Person]:
        """The three tellers, in the order of the links."""
        return [person for name, person in self.people.items() if name.startswith("teller")]

    @property
    def officers(self) -> list[Person]:
        """Everyone who cosigns: chair, secretary, tellers."""
        return [self.chair, self.secretary, *self.tellers]

    @property
    def voters(self) -> list[Person]:
        """Everyone on the roll: all but the auditor."""
        return [person for name, person in self.people.items() if name != "auditor"]

    async def open_page(self, person: Person, rest: str = "") -> None:
        """Go to a page of the meeting."""
        await person.page.goto(f"{self.server.url}/meetings/{self.meeting}{rest}")


async def enrol(person: Person, link: str) -> None:
    """Open the one-time link and make a passkey."""
    await person.page.goto(link)
    await click(person, "enrol-button")
    await see(person, "enrol-done")


async def gather_people(server: Server, new_person: NewPerson, *, members: int = 0, auditor: bool = True) -> Assembly:
    """Enrol chair, secretary, three tellers, some members and the auditor, each in a browser context."""
    assembly = Assembly(server)
    wanted = [("chair", "chair", 0), ("secretary", "secretary", 0)]
    wanted += [(f"teller-{number + 1}", "teller", number) for number in range(3)]
    wanted += [(f"member-{number + 1}", "member", number) for number in range(members)]
    if auditor:
        wanted.append(("auditor", "auditor", 0))
    for name, role, number in wanted:
        size = DESKTOP if name in {"chair", "secretary", "auditor"} else PHONE
        person = await new_person(server.url, name, size=size)
        await enrol(person, server.link(role, number))
        assembly.people[name] = person
    return assembly


async def sign_in(person: Person, server: Server) -> None:
    """Sign in with the passkey made at enrolment, unless the session is still there."""
    await person.page.goto(f"{server.url}/")
    await click(person, "sign-in-button")
    await see(person, "home")


async def prepare_meeting(assembly: Assembly) -> None:
    """The secretary makes a meeting with two items and a question, convenes it and freezes the roll."""
    secretary = assembly.secretary
    page = secretary.page
    await page.goto(f"{assembly.server.url}/meetings/new")
    await by(page, "meeting-title").fill("Annual general meeting")
    await by(page, "agenda-item-0").fill("Budget")
    if await by(page, "agenda-item-1").count() == 0:
        await click(secretary, "agenda-add")
    await by(page, "agenda-item-1").fill("Any other business")
    await click(secretary, "meeting-create")
    await page.wait_for_url("**/meetings/*/prepare", timeout=SLOW_MS)
    assembly.meeting = page.url.split("/meetings/")[1].split("/")[0]
    await by(page, "question-title").fill("Budget 2027")
    await by(page, "question-text").fill("Shall the budget for 2027 be adopted?")
    await click(secretary, "question-save")
    assembly.election = str(await by(page, "question").first.get_attribute("data-election", timeout=SLOW_MS))
    await click(secretary, "convene")
    await confirm_passkeys(assembly)
    await click(secretary, "look-roll")
    await see(secretary, "roll-exceptions")
    await click(secretary, "freeze-roll")
    await see(secretary, "roll-frozen")
    await click(secretary, "begin-check-in")
    await expect(by(page, "begin-check-in")).to_have_count(0, timeout=SLOW_MS)  # leaving stops it
    await assembly.open_page(secretary)
    await attribute(secretary, "meeting", "data-state", "checking-in")


async def confirm_passkeys(assembly: Assembly) -> None:
    """The chair confirms everyone's passkey as second officer but the own, which the secretary confirms."""
    for officer in (assembly.chair, assembly.secretary):
        await assembly.open_page(officer, "/prepare")
        await click(officer, "confirm-passkeys")
        await expect(by(officer.page, "confirm-passkeys")).to_have_count(0, timeout=SLOW_MS)


async def check_in(assembly: Assembly, person: Person, *, media: bool) -> None:
    """Check in by passkey and land in the room, with or without camera and microphone."""
    await assembly.open_page(person, "/check-in")
    for testid in ("check-in-mic", "check-in-camera"):
        await by(person.page, testid).set_checked(media, timeout=SLOW_MS)
    await click(person, "check-in-button")
    await see(person, "room")


async def make_key(assembly: Assembly) -> None:
    """The three tellers make the key, compare the code aloud and confirm it; all officers name cosigner keys."""
    for teller in assembly.tellers:
        await click(teller, "panel-teller")
        make = by(teller.page, "teller-make-key")
        begun = by(teller.page, "teller-waiting")
        await expect(make.or_(begun).first).to_be_visible(timeout=SLOW_MS)
        if await make.count():
            await click(teller, "teller-make-key")
    codes = []
    for teller in assembly.tellers:
        await see(teller, "teller-code")
        codes.append((await by(teller.page, "teller-code").first.inner_text()).strip())
    assert len(set(codes)) == 1, f"the tellers see different codes: {codes}"
    for teller in assembly.tellers:
        await click(teller, "teller-confirm-code")
    for teller in assembly.tellers:
        await see(teller, "teller-key-ready")
    for officer in assembly.officers:
        await click(officer, "cosigner-make-key")
        await see(officer, "cosigner-ready")


async def next_step(assembly: Assembly, step: str) -> None:
    """The chair presses the one next button, which must offer this step."""
    await click(assembly.chair, "panel-chair")
    await attribute(assembly.chair, "chair-next", "data-next", step)
    await click(assembly.chair, "chair-next")
    if step in ASKED_FIRST:
        await click(assembly.chair, "confirm-yes")


def booth_of(person: Person) -> FrameLocator:
    """The booth's page inside the room."""
    return person.page.frame_locator('[data-testid="booth-frame"]')


async def choose(person: Person, option: int) -> Locator:
    """Open the booth and choose; return the chosen option."""
    await click(person, "vote-open")
    chosen = booth_of(person).get_by_test_id(f"booth-option-{option}")
    await chosen.click(timeout=SLOW_MS)
    return chosen


async def review_and_cast(person: Person, *, before_cast: Callable[[], Awaitable[None]] | None = None) -> str:
    """Review what is chosen, cast it, go back to the room; return the tracker."""
    booth = booth_of(person)
    await booth.get_by_test_id("booth-review").click()
    if before_cast is not None:
        await before_cast()
    await booth.get_by_test_id("booth-cast").click(timeout=SLOW_MS)
    await expect(booth.get_by_test_id("booth-done")).to_be_visible(timeout=SLOW_MS)
    tracker = (await booth.get_by_test_id("tracker").inner_text()).strip()
    await click(person, "booth-close")
    return tracker


async def vote(person: Person, option: int, *, before_cast: Callable[[], Awaitable[None]] | None = None) -> str:
    """Vote in the booth; return the tracker."""
    await choose(person, option)
    return await review_and_cast(person, before_cast=before_cast)


async def cosign(assembly: Assembly, people: Sequence[Person]) -> None:
    """Each signs the closing checkpoint."""
    for person in people:
        await click(person, "cosign-button")
    for person in people:
        await expect(by(person.page, "cosign-button")).to_have_count(0, timeout=SLOW_MS)


async def open_box(assembly: Assembly, tellers: Sequence[Person]) -> None:
    """The tellers' pages decrypt the sum; afterwards the chair can declare."""
    for teller in tellers:
        await click(teller, "panel-teller")
        button = by(teller.page, f"teller-count-{assembly.election}")
        await expect(button).to_be_enabled(timeout=SLOW_MS)
        await button.click()

    async def signed() -> bool:
        states = [await by(teller.page, "teller-signed").count() for teller in tellers]
        return all(states)

    await until(signed, "the tellers sign the tally", deadline_s=60)


async def sees_and_hears(person: Person, *, deadline_s: float = 40) -> None:
    """Wait until, within a second, new pictures are decoded and new sound has energy on this page.

    Counters start anew with each rebuilt connection, so two samples are compared, never an old total.
    """
    last = await person.media()

    async def rising() -> bool:
        nonlocal last
        now = await person.media()
        before, last = last, now
        return now.frames_decoded > before.frames_decoded + 3 and now.audio_energy > before.audio_energy

    await until(rising, f"{person.name} sees pictures and hears sound", deadline_s=deadline_s, every_s=1.0)


async def download(person: Person, testid: str, folder: Path, suffix: str = ".zip") -> Path:
    """Press a download button; return the file."""
    async with person.page.expect_download() as waiting:
        await click(person, testid)
    target = folder / f"{testid}{suffix}"
    await (await waiting.value).save_as(target)
    return target


async def audit(assembly: "Assembly", folder: Path) -> tuple[Path, Path, Path]:
    """Make the auditor's key, download bundle and annex, see that they verify; return bundle, annex and identity."""
    auditor = assembly.people["auditor"]
    await assembly.open_page(auditor, "/audit")
    identity = await make_auditor_key(auditor, folder)
    bundle = await download(auditor, "download-bundle", folder)
    annex = await download(auditor, "download-annex", folder, ".age")
    report = await asyncio.to_thread(verify, bundle, annex, identity)
    assert (report["verdict"], report["exit"]) == ("ok", 0), report
    return bundle, annex, identity


async def make_auditor_key(auditor: Person, folder: Path) -> Path:
    """Make the auditor's key on the page, save its file, register it; return the file."""
    await click(auditor, "auditor-key-make")
    identity = await download(auditor, "auditor-key-file", folder, ".txt")
    await click(auditor, "auditor-key-use")
    await attribute(auditor, "auditor-key", "data-state", "known")
    return identity


def verify(bundle: Path, *annex_and_identity: Path) -> dict[str, object]:
    """Run the offline verifier; return its report with the exit code under "exit"."""
    tool = str(Path(sys.executable).parent / "folkmoot-verify")
    options = zip(("--annex", "--identity"), map(str, annex_and_identity), strict=False)
    command = [tool, str(bundle), *(word for option in options for word in option), "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert answer.stdout, answer.stderr
    report: dict[str, object] = json.loads(answer.stdout)
    report["exit"] = answer.returncode
    return report
