"""Three hundred votes in ten seconds (M17) in a hall behind a relay: over a wide line, in a cut, over a thin line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final

from loadtests.halls_cut import THIN
from loadtests.halls_meeting import Assembly, Hall
from loadtests.halls_phone import Figures, Phone, alone, until
from loadtests.l0_link import media

from folkmoot_server.demo.client import DemoError
from folkmoot_voting.ballot import ballot_leaf
from folkmoot_voting.encoding import b64u
from folkmoot_voting.manifest import Manifest

MEDIA_KBIT: Final = 51.0  # what the worker gives to media of 64 kbit/s
WIDE_KBIT: Final = 2000.0
SALVO_S: Final = 10.0
PROMISED: Final = 200
ARRIVE_S: Final = 600.0
PRESENT_S: Final = 60.0
BALLOT_S: Final = 6.0  # for each, where media leave 13 kbit/s
LAST_S: Final = 30.0
AGAIN_S: Final = 15.0  # web_client/src/booth/done.tsx: a ballot that waits in the hall is sent again


def spread(found: list[float]) -> Figures:
    """Return median, p95 and the longest, in seconds."""
    ordered = sorted(found)
    return {
        "p50_s": round(ordered[len(ordered) // 2], 2),
        "p95_s": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 2),
        "longest_s": round(ordered[-1], 2),
    }


class Salvo:
    """Everybody in a hall casts, evenly over ten seconds; ballots are sealed before."""

    def __init__(self, assembly: Assembly, hall: Hall, manifest: Manifest) -> None:
        self.assembly, self.hall, self.manifest = assembly, hall, manifest
        self.answers: list[tuple[int, float]] = []
        self.leaves: list[str] = []
        self.sealed: list[tuple[Phone, Figures]] = []
        self.began = 0.0
        self._heard = len(assembly.chair.heard)
        self._asked_before = sum(phone.asked_again for phone in hall.phones)

    async def fire(self) -> None:
        """Cast all, and wait for every answer."""
        self.sealed = sealed = [(phone, phone.ballot(self.manifest)[1]) for phone in self.hall.phones]
        self.leaves = [b64u(ballot_leaf(ballot)) for _, ballot in sealed]
        before = await self.hall.place.link.emulator.order()
        self.began = time.monotonic()
        every = SALVO_S / len(sealed)
        await asyncio.gather(*(self._one(phone, one, n * every) for n, (phone, one) in enumerate(sealed)))
        after = await self.hall.place.link.emulator.order()
        self.octets = after["up"]["octets"] - before["up"]["octets"]

    async def _one(self, phone: Phone, ballot: Figures, moment: float) -> None:
        await asyncio.sleep(max(0.0, self.began + moment - time.monotonic()))
        asked = time.monotonic()
        path = f"/elections/{self.manifest.election}/ballots"
        status, answer = await phone.insist(path, {"ballot": ballot})
        phone.note("ballot", status, answer)
        self.answers.append((status, time.monotonic() - asked))

    async def arrived(self, since: float) -> Figures:
        """Wait until the board shows all; return how long it took since a moment, and what is wrong with it."""
        wanted = set(self.leaves)

        async def there() -> bool:
            sizes = [
                int(event["body"]["size"])
                for _, event in self.assembly.chair.heard[self._heard :]
                if event["type"] == "BoardPublished" and event["body"]["election"] == self.manifest.election
            ]
            return bool(sizes) and sizes[-1] >= len(wanted)

        await until(there, "all ballots on the board", max(ARRIVE_S, BALLOT_S * len(wanted)))
        took = time.monotonic() - since
        found = Counter(await self.assembly.leaves(self.manifest))
        if any(found[leaf] == 0 for leaf in wanted):  # the board counts more than ballots: the last may be on the way
            await asyncio.sleep(LAST_S)
            took = time.monotonic() - since
            found = Counter(await self.assembly.leaves(self.manifest))
        return {
            "all on the board after_s": round(took, 1),
            "lost": sum(found[leaf] == 0 for leaf in wanted),
            "doubled": sum(count - 1 for count in found.values()),
        }

    async def promised(self, since: float) -> Figures:
        """Let every page send its ballot again, as pages do, until it has the promise; return how long it took."""
        path, asked = f"/elections/{self.manifest.election}/ballots", 0

        async def one(number: int, phone: Phone, ballot: Figures) -> float:
            nonlocal asked
            await asyncio.sleep(number * AGAIN_S / len(self.sealed))
            while True:
                asked += 1
                status, _ = await phone.insist(path, {"ballot": ballot})
                if status == PROMISED:
                    return time.monotonic() - since
                await asyncio.sleep(AGAIN_S)

        took = await asyncio.gather(*(one(number, *held) for number, held in enumerate(self.sealed)))
        return {"promise": spread(list(took)), "asked for it": asked}

    def figures(self) -> Figures:
        """Return how the hall was answered."""
        return {
            "ballots": len(self.leaves),
            "answers": dict(Counter(str(status) for status, _ in self.answers)),
            "answer": spread([took for _, took in self.answers]),
            "asked again": sum(phone.asked_again for phone in self.hall.phones) - self._asked_before,
            "octets up until all were answered": self.octets,
        }


async def everybody(assembly: Assembly, hall: Hall) -> None:
    """Wait until all of a hall are present: who is not when a vote opens is not among its electors.

    Raises:
        DemoError: some stay away.
    """
    wanted = {phone.member for phone in hall.phones}
    away = set(wanted)

    async def there() -> bool:
        nonlocal away
        away = wanted - {one["member"] for one in (await assembly.chair.get(assembly.path()))["present"]}
        return not away

    try:
        await until(there, "the hall to be present", PRESENT_S, 1.0)
    except DemoError:
        names = [phone.name for phone in hall.phones if phone.member in away]
        raise DemoError(f"Not present again: {names[:5]} of {len(names)}.") from None


async def linked(assembly: Assembly, hall: Hall, settings: dict[str, Any], media_kbit: float) -> Figures:
    """Everybody votes while the line holds."""
    await everybody(assembly, hall)
    manifest = await assembly.open_vote("Linked", 0)
    salvo = Salvo(assembly, hall, manifest)
    await hall.place.link.emulator.both(**settings)
    async with media(hall.place.link, media_kbit) if media_kbit else contextlib.nullcontext():
        await asyncio.sleep(2)
        await salvo.fire()
        found = {**salvo.figures(), **await salvo.arrived(salvo.began)}
    await assembly.close_vote(manifest)
    return found


async def cut(assembly: Assembly, hall: Hall) -> Figures:
    """Everybody votes while the line is cut; then it is back, thin and full of media."""
    await everybody(assembly, hall)
    manifest = await assembly.open_vote("Cut", 0)
    salvo = Salvo(assembly, hall, manifest)
    emulator = hall.place.link.emulator
    await emulator.both(cut=True)
    await alone(hall.custodian)
    await salvo.fire()
    before = await emulator.order()
    async with media(hall.place.link, MEDIA_KBIT):
        back = time.monotonic()
        await emulator.both(**THIN)
        arrived, promised = await asyncio.gather(salvo.arrived(back), salvo.promised(back))
        found = {**salvo.figures(), **arrived, **promised}
    after = await emulator.order()
    found["octets up until all were on the board, with media"] = after["up"]["octets"] - before["up"]["octets"]
    await assembly.close_vote(manifest)
    return found


async def hold(assembly: Assembly) -> Figures:
    """Hold the three votes."""
    hall = assembly.halls[0]
    wide = {**THIN, "kbit": WIDE_KBIT}
    parts: tuple[tuple[str, Callable[[], Awaitable[Figures]]], ...] = (
        ("during a cut, then over 64 kbit/s with media", lambda: cut(assembly, hall)),
        ("over 2000 kbit/s", lambda: linked(assembly, hall, wide, 0.0)),
        ("over 64 kbit/s with media", lambda: linked(assembly, hall, THIN, MEDIA_KBIT)),
    )
    found: Figures = {}
    for name, part in parts:
        found[name] = await part()
        print(json.dumps({name: found[name]}, indent=1), flush=True)
    return found


def problems(result: Figures) -> list[str]:
    """Return what of the figures is not as it must be: every vote accepted, none lost, none doubled."""
    return [f"{name}: {one}" for name, one in result.items() if one["lost"] or one["doubled"]]
