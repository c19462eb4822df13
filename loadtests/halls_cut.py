"""A secret vote across a long cut: a hall goes on while its relay is killed, another one comes back too late."""

from __future__ import annotations

import argparse
import asyncio
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from random import Random  # noqa: TID251  moments of the script; never keys
from typing import Any, Final

from loadtests import halls_proof as proof
from loadtests.halls_meeting import Assembly, Hall
from loadtests.halls_phone import Figures, Phone, until

from folkmoot_voting.manifest import Manifest

THIN: Final = {"kbit": 64, "delay_ms": 300, "loss": 0.0, "cut": False}
NOTICED_S: Final = 9.0  # a relay is alone after 8 s
ACTS_END: Final = 0.85
CLOSE_BEFORE_S: Final = 10.0
SITE_LOST_S: Final = 20
AIM_S: Final = 60.0
BURST_STEP_S: Final = 0.1
QUORUM_LIMIT_S: Final = 2.0
PLANTED: Final = 2
Happening = Callable[["Course"], Coroutine[Any, Any, None]]


@dataclass
class Kill:
    """One power cut of a relay: when, who waited for an answer, and what it held before and after."""

    at_s: float
    waiting: int
    receipts: int
    entries_after: int
    back_s: float


@dataclass
class Course:
    """What the steps of the cut share."""

    assembly: Assembly
    manifest: Manifest
    options: argparse.Namespace
    rng: Random
    began: float = 0.0
    kills: list[Kill] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    acting: int = 0

    @property
    def hall(self) -> Hall:
        """The hall that comes back in time."""
        return self.assembly.halls[0]

    @property
    def in_time(self) -> int:
        """How many ballots must count: those of officers, of members alone, and of the hall that comes back."""
        pages = len(self.hall.on_pages) + self.assembly.pages_alone
        return len(self.assembly.officers) + len(self.assembly.alone) + len(self.hall.phones) + pages

    @property
    def length_s(self) -> float:
        """How long its line is cut."""
        return float(self.options.cut_s)

    def elapsed(self) -> float:
        """Seconds since the cut."""
        return time.monotonic() - self.began

    async def at(self, moment: float) -> None:
        """Wait for a moment of the cut."""
        await asyncio.sleep(max(0.0, moment - self.elapsed()))

    def sometime(self, first: float = 0.0, last: float = 1.0) -> float:
        """Return a moment within a part of the time in which the halls act."""
        start, end = NOTICED_S, max(NOTICED_S + 1, self.length_s * ACTS_END)
        return start + (end - start) * self.rng.uniform(first, last)

    async def act(self, moment: float, kind: str, work: Callable[[], Awaitable[int]]) -> None:
        """Do something in a hall at a moment."""
        await self.at(moment)
        self.acting += 1
        try:
            self.statuses[f"{kind} {await work()}"] += 1
        finally:
            self.acting -= 1


async def power_cut(course: Course) -> None:
    """Kill the relay, start it again, and see what it holds."""
    place, killed, waiting = course.hall.place, course.elapsed(), course.acting
    await place.relay.end(signal.SIGKILL)
    receipts = len({one.receipt["seq"] for one in course.hall.receipts()})
    began = time.monotonic()
    await place.relay.start()
    back = round(time.monotonic() - began, 1)
    course.kills.append(Kill(round(killed, 1), waiting, receipts, place.entries(), back))


async def power_cuts(course: Course, phones: Sequence[Phone]) -> None:
    """Kill the relay at random moments, and in the middle of a burst of ballots."""
    others = course.options.kills - 1
    before, after = others // 2 + others % 2, others // 2
    for moment in sorted(course.sometime(0.1, 0.4) for _ in range(before)):
        await course.at(moment)
        await power_cut(course)
    await course.at(course.sometime(0.5, 0.5))
    kind, start = "ballot in the burst", course.elapsed()
    asked = [
        asyncio.create_task(course.act(start + BURST_STEP_S * number, kind, partial(phone.cast, course.manifest)))
        for number, phone in enumerate(phones)
    ]

    async def some() -> bool:
        cast = sum(any(one.kind == "ballot" for one in phone.receipts) for phone in phones)
        return cast >= max(1, len(phones) // 3) and (course.acting > 0 or all(one.done() for one in asked))

    await until(some, "the first third of the burst", every_s=0.01)
    await power_cut(course)
    await asyncio.gather(*asked)
    for moment in sorted(course.sometime(0.7, 0.95) for _ in range(after)):
        await course.at(moment)
        await power_cut(course)


def acts(course: Course) -> tuple[list[Coroutine[Any, Any, None]], list[Phone]]:
    """Return what the members of both halls do at random moments, and who cast in the burst."""
    hall, options = course.hall, course.options
    voters = hall.phones[options.before_cut :]
    bursting, single = voters[: options.burst], voters[options.burst :]
    found = [course.act(course.sometime(), "ballot", partial(one.cast, course.manifest)) for one in single]
    found += [course.act(course.sometime(), "hand", one.raise_hand) for one in hall.phones[::3]]
    found += [course.act(course.sometime(), "check-in", partial(one.come, hall.doors)) for one in hall.late]
    for other in course.assembly.halls[1:]:
        found += [course.act(course.sometime(), "ballot", partial(one.cast, course.manifest)) for one in other.phones]
    return found, bursting


async def come_back(course: Course, hall: Hall) -> Figures:
    """Give a hall its line back and wait until the hub has all; return how long that took."""
    assembly, before = course.assembly, await hall.place.link.emulator.order()
    relay, had = assembly.relay_row(hall)
    leased = assembly.rows("SELECT at FROM relay_lease WHERE relay = ?", relay)
    began = time.monotonic()
    await hall.place.link.emulator.both(**THIN)

    async def heard() -> bool:
        return assembly.rows("SELECT at FROM relay_lease WHERE relay = ?", relay) != leased

    await until(heard, "the relay's first lease")
    first = time.monotonic() - began
    entries = 0

    async def all_there() -> bool:
        nonlocal entries
        entries = hall.place.entries()
        return assembly.relay_row(hall)[1] == entries

    await until(all_there, "the whole outbox at the hub", 300)
    took, after = time.monotonic() - began, await hall.place.link.emulator.order()
    size = sum(len(text) for (text,) in hall.place.rows("SELECT text FROM entry"))
    return {
        "first lease after_s": round(first, 1),
        "all at the hub after_s": round(took, 1),
        "entries": entries - had,
        "octets of the entries": size,
        "octets up": after["up"]["octets"] - before["up"]["octets"],
    }


def quorum(course: Course, wall: float, leases: dict[str, float]) -> Figures:
    """Return when the chair's page heard of the loss of the halls, against their last lease and its grace."""
    halls: Figures = {}
    heard = [(at, event) for at, event in course.assembly.chair.heard if at >= wall]
    for hall in course.assembly.halls:
        members = {phone.member for phone in hall.phones}
        gone = [
            at
            for at, event in heard
            if event["type"] == "MemberDeparted"
            and event["body"]["reason"] == "cut"
            and event["body"]["member"] in members
        ]
        sites = {
            event["type"]: round(at - wall, 1)
            for at, event in reversed(heard)
            if event["type"] in ("SiteDegraded", "SiteLost") and event["body"]["site"] == hall.site
        }
        due = leases[hall.site] + SITE_LOST_S
        halls[hall.place.origin] = {
            "after the cut_s": sites,
            "departed": len(gone),
            "first after lease and grace_s": round(min(gone) - due, 2) if gone else None,
            "last after lease and grace_s": round(max(gone) - due, 2) if gone else None,
        }
    changed = [(at, one) for at, one in heard if one["type"].startswith("Quorum")]
    return {"halls": halls, "events": [(round(at - wall, 1), one["type"], one["body"]) for at, one in changed]}


async def nothing(course: Course) -> None:
    """Nothing happens beside."""
    del course


async def hold(
    assembly: Assembly, options: argparse.Namespace, during: Happening = nothing, back: Happening = nothing
) -> Figures:
    """Hold the vote; return what became of everything."""
    grace = int(CLOSE_BEFORE_S + options.grace_after)
    manifest = await assembly.open_vote("Budget", grace)
    course = Course(assembly, manifest, options, Random(options.seed))
    result: Figures = {"linked": await linked(course)}
    wall, leases = await cut(course)
    doing, bursting = acts(course)
    doing.append(during(course))
    cuts = asyncio.create_task(power_cuts(course, bursting))
    closing = asyncio.create_task(close(course, cuts))
    await asyncio.gather(cuts, *doing)
    result["acts ended_s"] = round(course.elapsed(), 1)
    await course.at(course.length_s)
    result["cut_s"] = round(course.elapsed(), 1)
    result["back"] = await come_back(course, course.hall)
    for phone in course.hall.late:
        phone.stay()
    await back(course)
    closed_s = await closing
    result["closing checkpoint after the cut_s"] = round(closed_s, 1)
    result["too late"] = [await come_back(course, hall) for hall in assembly.halls[1:]]
    core = await assembly.count(manifest)
    result["kills"] = [asdict(one) for one in course.kills]
    result["answers"] = dict(sorted(course.statuses.items()))
    result["asked again"] = sum(phone.asked_again for hall in assembly.halls for phone in hall.everybody)
    result["quorum"] = quorum(course, wall, leases)
    result["tally"] = {"cast": core["cast"], "halls": proof.halls_named(core)}
    result["outbox"] = {hall.place.origin: await proof.outbox(assembly, hall) for hall in assembly.halls}
    result["board"] = await proof.board(assembly, manifest, course.hall.receipts())
    result["board"]["in time"] = course.in_time
    result["people"] = await proof.people(assembly, course.hall)
    return result


async def linked(course: Course) -> Figures:
    """Let officers, members alone and a few in the hall vote while the line holds."""
    assembly, options = course.assembly, course.options
    for hall in assembly.halls:
        await hall.place.link.emulator.both(**THIN)
    for line in assembly.lines:
        await line.emulator.both(**THIN)
    took: dict[str, list[float]] = {"officers": [], "alone": [], "hall 1": []}
    groups = (assembly.officers, assembly.alone, course.hall.phones[: options.before_cut])
    for name, group in zip(took, groups, strict=True):
        for phone in group:
            began = time.monotonic()
            await phone.cast(course.manifest)
            took[name].append(round(time.monotonic() - began, 2))
    return {"announce and cast_s": took}


async def cut(course: Course) -> tuple[float, dict[str, float]]:
    """Cut the lines of all halls; return when, and the last lease of each by the hub's clock."""
    wall, course.began = time.time(), time.monotonic()
    for hall in course.assembly.halls:
        await hall.place.link.emulator.both(cut=True)
    await asyncio.sleep(1)
    leases = {}
    for hall in course.assembly.halls:
        relay, _ = course.assembly.relay_row(hall)
        ((leases[hall.site],),) = course.assembly.rows("SELECT at FROM relay_lease WHERE relay = ?", relay)
    return wall, leases


async def close(course: Course, cuts: asyncio.Task[None]) -> float:
    """Let the chair close the vote before the lines are back; return when its grace was over.

    Not before the relay's last power cut is over: on a slow machine the grace would go by while the relay starts.
    """
    await course.at(course.length_s - CLOSE_BEFORE_S)
    await asyncio.wait((cuts,))
    await course.assembly.close_vote(course.manifest)
    return course.elapsed()


def problems(result: Figures) -> list[str]:
    """Return what of the figures is not as it must be."""
    back, board, people = result["back"]["all at the hub after_s"], result["board"], result["people"]
    found = [f"all records were at the hub after {back} s, not {AIM_S:g}"] if back > AIM_S else []
    for name, one in result["outbox"].items():
        if one["lost"] or one["doubled"] or not one["chain at the hub as in the relay"]:
            found.append(f"{name}: {one}")
        if len(one["control, receipts never given"]) != PLANTED:
            found.append(f"{name}: planted receipts were not noticed")
    if board["ballots"] != board["in time"]:
        found.append(f"{board['ballots']} ballots are on the board, not {board['in time']}")
    whole = {**board, **people}
    found += [f"{name}: {count}" for name, count in whole.items() if name.endswith(("lost", "doubled")) and count]
    found += [
        f"a killed relay lost what it had acknowledged: {one}"
        for one in result["kills"]
        if one["entries_after"] < one["receipts"]
    ]
    if [state for _, state, _ in result["tally"]["halls"]] != ["late"] * len(result["too late"]):
        found.append(f"the tally names {result['tally']['halls']}")
    lasts = [one["last after lease and grace_s"] for one in result["quorum"]["halls"].values()]
    found += [
        f"members of a lost hall left the quorum {last} s after its grace"
        for last in lasts
        if last is None or last > QUORUM_LIMIT_S
    ]
    return found
