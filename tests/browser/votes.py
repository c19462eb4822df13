"""A meeting on a real server with members in software; browsers only for the pages under test."""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, expect
from tests import drafts
from tests.browser import serving, steps, support
from tests.browser.support import Person

from folkmoot_server.demo import votes
from folkmoot_server.demo.client import Person as Soft
from folkmoot_server.demo.officers import confirm_everybody
from folkmoot_voting.keygen import ROUNDS, KeyGeneration
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.roll import verify_statement
from folkmoot_voting.trustee import Trustee

SETTINGS = {
    "FOLKMOOT_ELECTORATE_MIN": "3",
    "FOLKMOOT_PUBLISH_EVERY_S": "1",
    "FOLKMOOT_PUBLISH_BATCH_MIN": "1",
    "FOLKMOOT_CLOSING_GRACE_S": "1",
    # Members in software hold no socket: their check-in alone keeps them present.
    "FOLKMOOT_LEASE_AWAY_S": "600",
    "FOLKMOOT_LEASE_LOST_S": "3600",
}
ROLES = (("chair", 0), ("secretary", 0), ("teller", 0), ("teller", 1), ("teller", 2))
MEMBERS = ("Binh", "Greta", "Rui", "Claire")
OFFICERS = tuple(f"{role}-{number}" for role, number in ROLES)
Choices = Sequence[Sequence[int]]


def software(server: serving.Server, name: str) -> Soft:
    """A member without a browser, who trusts the test authority."""
    return Soft(server.url, name, serving.connector(server.origin.authority))


async def hand_over(soft: Soft, person: Person) -> None:
    """Put the member's passkey into the person's authenticator, in place of what it held."""
    await person.new_authenticator()
    one = soft.authenticator
    credential = {
        "credentialId": base64.b64encode(one.credential_id).decode(),
        "isResidentCredential": True,
        "rpId": one.rp_id,
        "privateKey": base64.b64encode(one.private_key).decode(),
        "userHandle": base64.b64encode(one.user_handle).decode(),
        "signCount": one.sign_count,
    }
    await import_credential(person, credential)


async def import_credential(person: Person, credential: Mapping[str, Any]) -> None:
    """Give the person's authenticator a passkey, as CDP describes it."""
    await person.cdp.send(
        "WebAuthn.addCredential", {"authenticatorId": person.authenticator, "credential": dict(credential)}
    )


@dataclass
class Hall:
    """One server, one meeting, its people in software by first name or role, and browsers of some of them."""

    server: serving.Server
    browser: Browser
    stack: AsyncExitStack
    people: dict[str, Soft] = field(default_factory=dict)
    browsers: dict[str, Person] = field(default_factory=dict)
    seeds: dict[str, bytes] = field(default_factory=dict)
    tellers: list[votes.Teller] = field(default_factory=list)
    cosigners: list[votes.Cosigner] = field(default_factory=list)
    meeting: str = ""
    item: str = ""

    @property
    def chair(self) -> Soft:
        """The chair."""
        return self.people["chair-0"]

    @property
    def secretary(self) -> Soft:
        """Secretary and registrar."""
        return self.people["secretary-0"]

    @property
    def officers(self) -> list[Soft]:
        """Chair, secretary and the three tellers, but for those who have only a page."""
        return [self.people[name] for name in OFFICERS if name in self.people]

    def path(self, rest: str) -> str:
        """An API path of the meeting."""
        return f"/api/meetings/{self.meeting}{rest}"

    async def enrol_everybody(self, on_page: str = "") -> None:
        """Enrol all officers and members in software, one of them perhaps on a page, with a passkey that has the PRF;
        second officers confirm them.
        """
        wanted = [(f"{role}-{number}", self.server.link(role, number)) for role, number in ROLES]
        first = {link["name"].split()[0]: link["url"] for link in self.server.links()}
        wanted += [(name, first[name]) for name in MEMBERS]
        for name, url in wanted:
            if name == on_page:
                self.browsers[name] = await self.browser_of(name, passkey=False)
                await self.browsers[name].new_authenticator(prf=True)
                await steps.enrol(self.browsers[name], url)
                continue
            person = await self.stack.enter_async_context(software(self.server, name))
            await person.enrol(url)
            self.people[name] = person
        await confirm_everybody(self.chair, self.secretary)

    async def weigh(self, weight: int, *names: str) -> None:
        """Give these members a weight, from the next roll on."""
        for name in names:
            member = self.people[name].member
            action = {"type": "set-weight", "member": member, "weight": weight}
            await self.secretary.act(f"/api/members/{member}/weight", action, weight=weight)

    async def browser_of(self, name: str, device: str = "", *, passkey: bool = True) -> Person:
        """A new browser with the member's passkey, signed in."""
        person = await support.new_person(self.browser, self.server.url, f"{name}{device}", media=False)
        self.stack.push_async_callback(person.close)
        if passkey:
            await hand_over(self.people[name], person)
            await steps.sign_in(person, self.server)
        return person

    async def convene(self, **changes: Any) -> None:
        """Write down a meeting, freeze its roll and begin check-in."""
        self.meeting = await drafts.meeting(self.secretary, ("Votes",), **changes)
        self.item = (await self.secretary.get(self.path("")))["agenda"][0]["id"]
        await self.secretary.post(self.path("/commands"), {"command": "convene"})
        await votes.freeze_roll(self.secretary, self.meeting)
        await self.chair.post(self.path("/commands"), {"command": "begin-check-in"})

    async def check_in(self, *names: str) -> None:
        """Check these members in, in software."""
        for name in names:
            self.seeds[name] = await votes.check_in(self.people[name], self.meeting)

    async def check_in_browser(self, person: Person) -> None:
        """Check in on the page, without camera and microphone."""
        await steps.check_in(steps.Assembly(self.server, meeting=self.meeting), person, media=False)

    async def seat(self, *names: str) -> None:
        """Give each of them a browser and check in there."""
        for name in names:
            self.browsers[name] = await self.browser_of(name)
            await self.check_in_browser(self.browsers[name])

    async def begin(self) -> None:
        """Make the tellers' and cosigners' keys in software and open the meeting."""
        self.tellers = await votes.make_key(self.officers[2:], self.meeting)
        await self.open_meeting()

    async def open_meeting(self) -> None:
        """All officers name cosigner keys; the chair opens the meeting."""
        self.cosigners = [await votes.name_cosigner(person, self.meeting) for person in self.officers]
        await self.chair.post(self.path("/commands"), {"command": "open"})

    async def open_vote(self, **changes: Any) -> Manifest:
        """Draft a vote and open it; one that an earlier test left open is closed first, since only one may be."""
        for election in (await self.chair.get(self.path("")))["elections"]:
            if election["state"] == "open":
                await votes.close_election(self.chair, self.meeting, election["election"])
        drafted = await self.secretary.post(self.path("/questions"), drafts.question(self.item, **changes))
        return await votes.open_election(self.chair, self.meeting, str(drafted["election"]))

    async def cast(self, manifest: Manifest, choices: Choices, *names: str) -> list[dict[str, Any]]:
        """These members vote in software, all the same; return the server's promises."""
        return [
            await votes.cast(self.people[name], self.meeting, manifest, self.seeds[name], choices) for name in names
        ]

    async def close_vote(self, manifest: Manifest) -> None:
        """The chair closes, the officers cosign."""
        await votes.close_election(self.chair, self.meeting, manifest.election)
        await votes.cosign(self.cosigners, self.meeting, manifest)

    async def trustees(self) -> list[dict[str, Any]]:
        """Who holds which part of the key."""
        return list((await self.chair.get(self.path("/keygen")))["trustees"])

    async def declare(self, manifest: Manifest) -> dict[str, Any]:
        """The chair signs the tally; return its core."""
        return await votes.declare(self.cosigners[0], self.meeting, manifest)

    async def finish(self, manifest: Manifest) -> dict[str, Any]:
        """Close, cosign, open the box with two tellers, declare; return the tally core."""
        await self.close_vote(manifest)
        if manifest.secret:
            await votes.count(self.tellers[:2], self.meeting, manifest)
        else:
            await votes.wait_for_count(self.chair, self.meeting, manifest)
        return await self.declare(manifest)

    async def open_booth(self, person: Person, manifest: Manifest, *, kiosk: bool = False) -> None:
        """Go to the booth's own page for this vote; the blank page between makes the address count as a new one."""
        await person.page.goto("about:blank")
        way = "kiosk/" if kiosk else ""
        await person.page.goto(f"{self.server.url}/booth.html#{way}{self.meeting}/{manifest.election}")


async def make_part(person: Soft, meeting: str) -> votes.Teller:
    """One teller in software makes the key together with others, software or not; return the teller."""
    view = await person.get(f"/api/meetings/{meeting}/keygen")
    index = next(one["index"] for one in view["trustees"] if one["member"] == person.member)
    statement = (await person.get(f"/api/meetings/{meeting}/roll"))["statement"]
    attempt, threshold, count = view["attempt"], view["threshold"], view["count"]
    state = KeyGeneration(meeting, verify_statement(statement).hash, attempt, threshold, count)
    trustee = Trustee.create(
        meeting=meeting,
        roll_hash=state.roll_hash,
        attempt=attempt,
        index=index,
        threshold=threshold,
        count=count,
        rng=secrets.token_bytes,
    )
    for kind in ROUNDS:
        body: dict[str, Any] = {"message": trustee.message(kind, state)}
        if kind == "register":
            body["statement"] = await person.signed("trustee", trustee.challenge)
        await person.post(f"/api/meetings/{meeting}/keygen/messages", body)

        async def whole_round(kind: str = kind) -> list[dict[str, Any]]:
            messages = (await person.get(f"/api/meetings/{meeting}/keygen"))["messages"]
            found = [message for message in messages if message["type"] == kind]
            return found if len(found) == count else []

        for message in await support.until(whole_round, f"the round {kind}", deadline_s=steps.SLOW_MS / 1000):
            state = state.accept(message)
    return votes.Teller(person, trustee, state)


async def at_step(person: Person, step: str) -> None:
    """Wait until the booth is at this step."""
    await steps.attribute(person, "booth", "data-step", step)


async def review(person: Person) -> None:
    """Press "Review my vote" and wait until the ballot is sealed and announced."""
    await steps.click(person, "booth-review")
    await at_step(person, "review")
    await expect(steps.by(person.page, "booth-cast")).to_be_enabled(timeout=steps.SLOW_MS)


async def cast(person: Person) -> None:
    """Cast the sealed ballot and wait for the promise."""
    await steps.click(person, "booth-cast")
    await steps.see(person, "booth-done")


async def vote(person: Person, option: int) -> None:
    """Choose one option of the only question, review and cast."""
    await steps.click(person, f"booth-option-{option}")
    await review(person)
    await cast(person)


@asynccontextmanager
async def served(
    origin: serving.Origin, browser: Browser, folder: Path, settings: Mapping[str, str] = SETTINGS
) -> AsyncIterator[Hall]:
    """A hall with a server of its own in `folder`; nobody has enrolled yet."""
    server = serving.Server(origin, folder, settings=settings)
    async with AsyncExitStack() as stack:
        await server.start()
        stack.push_async_callback(server.stop)
        yield Hall(server, browser, stack)
