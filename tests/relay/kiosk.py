"""The browser of a hall behind its relay: its custodian's cookie, and members who step up with their own passkeys."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any

from tests.relay.rig import Phone, Rig, until
from tests.server.sites_support import GOOD_LINE

from folkmoot_voting import casting, challenges, signing
from folkmoot_voting.ballot import sealed_hash
from folkmoot_voting.encoding import JsonObject, b64u, unb64u
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.questions import cells_of_one
from folkmoot_voting.roll import verify_statement

Answer = tuple[int, dict[str, Any]]


async def connect(made: Rig) -> None:
    """The custodian tests the hall's line; its relay is heard from then on."""
    await made.phones["binh"].post(made.path(f"/sites/{made.site}/test"), GOOD_LINE)

    async def connected() -> bool:
        sites = (await made.hall.view(made.hall.chair))["sites"]
        return any(one["site"] == made.site and one["state"] == "connected" for one in sites)

    await until(connected, "a connected hall")


async def held(made: Rig, count: int) -> None:
    """Wait until the relay knows the credentials of those at the kiosk, and shows by itself that a vote is open."""
    found: list[dict[str, str]] = []

    async def known() -> bool:
        rows = made.relay.rows("SELECT text FROM value WHERE name = 'part.kiosk'")
        found[:] = json.loads(rows[0][0])["members"] if rows else []
        state = json.loads(made.relay.rows("SELECT text FROM value WHERE name = 'state'")[0][0])
        shown = any(one["state"] == "open" for one in state["elections"])
        return shown and [bool(one["credential"]) for one in found] == [True] * count

    try:
        await until(known, "who is at the kiosk")
    except AssertionError as late:
        late.add_note(f"The relay has {found}; {(await made.hall.view(made.hall.chair))['present']}")
        raise


@dataclass
class Ballot:
    """What the kiosk's page holds while one member votes."""

    seed: bytes
    json: JsonObject


@dataclass
class Kiosk:
    """One member before the hall's browser; `token` as the page holds it, "" while nobody is signed in."""

    made: Rig
    custodian: Phone
    voter: Phone
    token: str = ""

    def path(self, rest: str) -> str:
        return self.made.path(f"/sites/{self.made.site}/kiosk/{rest}")

    async def ask(self, method: str, path: str, body: object = None, scheme: str = "Kiosk") -> Answer:
        """One request in the member's name, beside the custodian's cookie."""
        authorization = {"Authorization": f"{scheme} {self.token}"}
        status, answer, _ = await self.custodian.ask(method, path, body, **authorization)
        return status, answer

    async def code(self, method: str, path: str, body: object = None, scheme: str = "Kiosk") -> tuple[int, str]:
        """Status and code of a refusal, "" of what is taken."""
        status, answer = await self.ask(method, path, body, scheme)
        return status, str(answer["error"]["code"]) if "error" in answer else ""

    async def check_in_body(self) -> JsonObject:
        """What the member's passkey signs at the hall's browser."""
        begun = await self.custodian.post(self.path("begin"))
        assert "mine" not in begun
        core, key = verify_statement(begun["roll"]), signing.public_key(secrets.token_bytes(32))
        nonce = unb64u(begun["nonce"])
        signed = challenges.checkin(self.made.hall.meeting, core.hash, begun["site"], key, begun["checkpoint"], nonce)
        fields = {name: begun[name] for name in ("site", "checkpoint", "nonce")}
        return {"credential": b64u(key), **fields, **self.voter.sign(signed)}

    async def check_in(self, status: int = 200) -> dict[str, Any]:
        return await self.custodian.post(self.path("finish"), await self.check_in_body(), status)

    async def sign_in(self) -> dict[str, Any]:
        begun = await self.custodian.post(self.path("sign-in/begin"))
        credential = self.voter.authenticate(begun["rp_id"], unb64u(begun["nonce"]))
        body = {"nonce": begun["nonce"], "credential": credential}
        found = await self.custodian.post(self.path("sign-in/finish"), body)
        assert (found["member"], found["name"]) == (self.voter.member, self.voter.person.name)
        self.token = found["token"]
        return found

    async def leave(self) -> Answer:
        return await self.ask("POST", self.path("sign-out"), {})

    async def replacement(self, manifest: Manifest, seed: bytes, *, kiosk: bool = True) -> JsonObject:
        """What the member's passkey signs before the vote: a fresh key in the place of the one of the check-in."""
        status, answer = await self.ask("GET", self.made.vote("/manifest"))
        assert status == 200, answer
        status, given = await self.ask("POST", "/api/nonce", {"purpose": "replace"})
        assert status == 200, given
        old, new = unb64u(answer["me"]["credential"]), signing.public_key(seed)
        signed = challenges.replacement(manifest.hash, old, new, kiosk, unb64u(given["nonce"]))
        body = {"old": b64u(old), "new": b64u(new), "kiosk": kiosk, "nonce": given["nonce"]}
        return {**body, **self.voter.sign(signed)}

    async def seal(self, manifest: Manifest, choice: int, status: int = 200) -> Ballot:
        """Name a fresh key, seal a choice with it and announce that."""
        seed = secrets.token_bytes(32)
        found = await self.ask("POST", self.made.vote("/replacements"), await self.replacement(manifest, seed))
        assert found[0] == status, found
        me = (await self.ask("GET", self.made.vote("/manifest")))[1]["me"]
        assert me["credential"] == b64u(signing.public_key(seed))
        standing = casting.Place(me["weight"], me["seq"] + 1, unb64u(me["prev"]))
        cells = [cells_of_one(manifest.questions[0], choice)]
        draws = casting.SeededDraws(secrets.token_bytes(32))
        sealed = casting.seal(manifest, signing.public_key(seed), cells, draws, standing)
        announced = casting.make_announcement(manifest, seed, sealed_hash(sealed))
        found = await self.ask("POST", self.made.vote("/seals"), announced)
        assert found[0] == status, found
        return Ballot(seed, casting.sign_ballot(sealed, seed))

    async def cast(self, ballot: Ballot) -> Answer:
        return await self.ask("POST", self.made.vote("/ballots"), {"ballot": ballot.json})
