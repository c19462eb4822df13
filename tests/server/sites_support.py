"""Halls for tests: written down, tested and heard, with a kiosk at which members use their own passkeys."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any, Protocol

from tests.server.support import House

from folkmoot_server.commands import sites
from folkmoot_server.demo.client import Person
from folkmoot_server.storage.database import Database
from folkmoot_voting import challenges, roll, signing
from folkmoot_voting.encoding import b64u, jcs, unb64u

GOOD_LINE = {
    "rtt_ms": 90,
    "loss_permille": 4,
    "up_kbps": 480,
    "down_kbps": 500,
    "clock_ms": -120,
    "sound": True,
    "picture": True,
}


class Meeting(Protocol):
    """Where the hall is: what both kinds of running test server have."""

    meeting: str

    def path(self, rest: str) -> str:
        """Return the path of something about the meeting."""


async def add(where: Meeting, officer: Person, custodian: str, name: str = "Hall 7", **changes: Any) -> str:
    """Write a hall down; return its id."""
    body = {"name": name, "custodian": custodian, "expected": 12, "profile": 128, **changes}
    return str((await officer.post(where.path("/sites"), body))["site"])


async def open_hall(where: Meeting, database: Database, officer: Person, custodian: Person, now: int) -> str:
    """Write a hall down, test its line and let it be heard; return its id."""
    site = await add(where, officer, custodian.member)
    await custodian.post(where.path(f"/sites/{site}/test"), GOOD_LINE)
    await hear(where, database, custodian, site, now)
    return site


async def hear(where: Meeting, database: Database, custodian: Person, site: str, now: int) -> None:
    """Let the hall's page be heard, as its socket does."""
    meeting = where.meeting
    await database.write(lambda tx: sites.lease(tx, meeting, site, custodian.member, now))


async def states(house: House) -> dict[str, str]:
    """The state of every site."""
    return {one["site"]: one["state"] for one in (await house.people["lan"].get(house.path("/sites")))["sites"]}


async def hall_of(house: House, custodian: str = "paul") -> str:
    """A hall that is connected; return its id."""
    person = house.people[custodian]
    return await open_hall(house, house.context.database, house.people["jonas"], person, house.clock.at)


async def keep_alive(house: House, site: str, custodian: str = "paul") -> None:
    """Let the hall's page be heard now."""
    await hear(house, house.context.database, house.people[custodian], site, house.clock.at)


async def check_in_body(where: Meeting, begun: dict[str, Any], member: Person, **changes: Any) -> dict[str, Any]:
    """The body of a finished check-in that the member's passkey signs; changed parts go into the challenge too."""
    core = roll.verify_statement(begun["roll"])
    wanted = {
        "meeting": where.meeting,
        "site": begun["site"],
        "credential": signing.public_key(secrets.token_bytes(32)),
        "checkpoint": begun["checkpoint"],
        "nonce": begun["nonce"],
        **changes,
    }
    challenge = challenges.checkin(
        wanted["meeting"],
        core.hash,
        wanted["site"],
        wanted["credential"],
        wanted["checkpoint"],
        unb64u(wanted["nonce"]),
    )
    return {
        "credential": b64u(wanted["credential"]),
        **{name: wanted[name] for name in ("site", "checkpoint", "nonce")},
        **member.assertion(challenge),
    }


async def check_in_at(where: Meeting, member: Person, site: str, code: str) -> dict[str, Any]:
    """Check in at a site with the own device and the site's code; return the answer."""
    begun = await member.post(where.path("/check-in/begin"), {"site": site, "code": code})
    assert begun["site"] == site
    body = await check_in_body(where, begun, member)
    return dict(await member.post(where.path("/check-in/finish"), body))


async def code_of(where: Meeting, officer: Person, site: str) -> str:
    """The code that the site shows now."""
    return str((await officer.get(where.path(f"/sites/{site}/code")))["code"])


async def check_in_at_kiosk(where: Meeting, custodian: Person, member: Person, site: str) -> dict[str, Any]:
    """Check a member in at the browser of a hall; return the answer."""
    kiosk = where.path(f"/sites/{site}/kiosk")
    begun = await custodian.post(f"{kiosk}/begin")
    return dict(await custodian.post(f"{kiosk}/finish", await check_in_body(where, begun, member)))


async def sign_in_at_kiosk(where: Meeting, custodian: Person, member: Person, site: str) -> dict[str, Any]:
    """Sign a member in at the browser of a hall for a vote; return the answer."""
    kiosk = where.path(f"/sites/{site}/kiosk/sign-in")
    begun = await custodian.post(f"{kiosk}/begin")
    credential = member.authenticator.authenticate(challenges.sign_in(begun["rp_id"], unb64u(begun["nonce"])))
    return dict(await custodian.post(f"{kiosk}/finish", {"nonce": begun["nonce"], "credential": credential}))


async def at_kiosk(
    custodian: Person, token: str, method: str, path: str, body: object = None, scheme: str = "Kiosk"
) -> tuple[int, dict[str, Any]]:
    """One request of the browser of a hall in the name of the member whose token it holds."""
    headers = {"Origin": custodian.origin, "Sec-Fetch-Site": "same-origin", "Authorization": f"{scheme} {token}"}
    url = f"{custodian.origin}{path}"
    async with custodian._http.request(method, url, headers=headers, json=body) as answer:
        return answer.status, json.loads(await answer.read())


def seats_action(where: Meeting, site: str, listed: list[str]) -> dict[str, Any]:
    """What a custodian signs of a seat list."""
    digest = b64u(hashlib.sha256(jcs(listed)).digest())
    return {"type": "sign-seats", "meeting": where.meeting, "site": site, "hash": digest}
