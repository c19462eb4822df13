"""A meeting with people inside and outside of its closed sessions, and halls with relays."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import aiohttp
from tests.server import sites_support
from tests.server.relay_support import Relay, new_relay
from tests.server.support import House, at_check_in
from tests.server.votes_support import Hall

from folkmoot_server.demo.client import Person

ROLL = ("lan", "jonas", "ana", "paul", "amira", "karin", "binh")


@asynccontextmanager
async def closed_house(folder: Path, *, media_worker: bool = False) -> AsyncIterator[House]:
    """An opened meeting with two admitted guests, Gwen and Ned, and Greta, an admitted observer not on the roll."""
    async with at_check_in(folder, *ROLL, media_worker=media_worker) as house:
        await house.check_in("lan", "paul", "binh")
        await house.command("lan", "open")
        await house.enrol("greta")
        await house.greta.post(house.path("/lobby"))
        await house.lan.post(house.path(f"/lobby/{house.greta.member}"), {"act": "admit"})
        for name in ("gwen", "ned"):
            house.people[name] = await guest_of(house, name)
        yield house


async def guest_of(house: House, name: str) -> Person:
    """A guest whom the chair has admitted."""
    link = await house.jonas.post(house.path("/guest-links"), {"name": name})
    guest = house.stranger(name)
    token = str(link["url"]).split("#")[1]
    guest.session = await guest.post("/api/guests/enter", {"token": token, "name": name.capitalize()})
    await house.lan.post(house.path(f"/lobby/{guest.member}"), {"act": "admit"})
    return guest


async def close(house: House, *visitors: str, sites: tuple[str, ...] = (), reason: str = "A dismissal") -> int:
    """Begin a closed session in which these visitors stay."""
    ids = [house.people[name].member for name in visitors]
    return await house.command("lan", "begin-closed-session", reason=reason, sites=list(sites), visitors=ids)


async def relay_at(house: House, http: aiohttp.ClientSession) -> tuple[str, Relay]:
    """A hall that is heard, and its relay."""
    site = await sites_support.open_hall(house, house.context.database, house.jonas, house.paul, house.clock.at)
    relay = await new_relay(cast("Hall", house), site, http)
    await relay.lease()
    return site, relay


def carried(person: Person, relay: Relay | None) -> None:
    """Let a relay pass on what a person's browser asks from now on, or let it ask directly again."""
    if relay is None:
        del person._http.headers["Folkmoot-Relay"]
    else:
        person._http.headers["Folkmoot-Relay"] = relay.token


async def code(person: Person, path: str, body: Any = None, method: str = "POST") -> str:
    """The code of the refusal of a request, "" when it was answered."""
    status, answer = await person.raw(method, path, {} if body is None and method == "POST" else body)
    return "" if status == 200 else str(json.loads(answer)["error"]["code"])
