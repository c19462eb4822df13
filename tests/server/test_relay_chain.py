"""Random weather between a hall and its hub: none of the queued entries is lost, none counts twice, the chain holds.

The relay queues votes, hands, check-ins and what must be refused; it sends any part, again, twice at once, and loses
answers; the hub dies between and comes back on the same folder. Planted faults show that the play would see them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, func, select
from tests.server import votes_support
from tests.server.relay_support import Village, check_in_by_relay, head, open_village
from tests.server.votes_support import NO, YES, seal
from tests.voting.seeded import SeededRng

from folkmoot_server.commands import outbox
from folkmoot_server.demo.client import Person
from folkmoot_server.storage import relays as store
from folkmoot_server.storage import schema
from folkmoot_server.storage.schema_relays import relay as relay_table
from folkmoot_server.storage.schema_relays import relay_entry
from folkmoot_voting.ballot import ballot_leaf
from folkmoot_voting.casting import FIRST, Place

T = TypeVar("T")
STEPS = 60
DO = ("vote", "vote", "wrong", "hand", "here", "check-in", "send", "send", "send", "restart")
OPEN = {"secrecy": "open", "voting_again": "last-counts"}


class Dice:
    """The same throws for the same name."""

    def __init__(self, name: str) -> None:
        self._rng = SeededRng(name)

    def between(self, least: int, most: int) -> int:
        return least + int.from_bytes(self._rng(8), "big") % (most - least + 1)

    def choice(self, items: Sequence[T]) -> T:
        return items[self.between(0, len(items) - 1)]


@dataclass
class Weather:
    """A village whose hub can die; `expected` says of each entry whether it is to be taken."""

    folder: Path
    village: Village
    dice: Dice
    stack: AsyncExitStack
    expected: list[bool] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    raised: set[str] = field(default_factory=set)
    hands: int = 0

    async def restart(self) -> None:
        """Stop the hub wherever it is and open another one on its folder."""
        old = self.village.hall
        people, old.people = old.people, []
        port = int(old.settings.public_url.rsplit(":", 1)[1])
        await self.stack.aclose()
        fresh = await self.stack.enter_async_context(votes_support.serve(self.folder, old.clock, old.seed, port))
        fresh.people, fresh.meeting, fresh.item, fresh.credentials = people, old.meeting, old.item, old.credentials
        self.village.hall = fresh

    def somebody(self) -> Person:
        return self.dice.choice(self.village.there)

    def cast(self, *, well: bool) -> None:
        """Queue a ballot that follows the voter's last one, or one that does not."""
        person = self.somebody()
        place = self.places.get(person.member, FIRST)
        if not well:
            place = Place(place.weight, place.seq + 1, b"x" * 32)
        ballot = seal(self.village.hall, person, self.village.manifest, self.dice.choice([YES, NO]), place)
        self.village.queue("ballot", ballot=ballot)
        self.expected.append(well and place.seq <= 20)
        if well and place.seq <= 20:
            self.places[person.member] = Place(place.weight, place.seq + 1, ballot_leaf(ballot))

    def hand(self) -> None:
        person = self.somebody()
        up = person.member not in self.raised
        command = {"command": "raise-hand" if up else "lower-hand"}
        self.village.relay.write("hand", command, self.village.hall.clock(), person.member)
        self.raised ^= {person.member}
        self.hands += 1
        self.expected.append(True)

    async def check_in(self) -> None:
        """A check-in anew: its nonce is good once. The vote that is open goes on with the credential before."""
        hall, person = self.village.hall, self.somebody()
        kept = hall.credentials[person.member]
        await check_in_by_relay(hall, self.village.relay, self.village.site, person, hall.clock())
        hall.credentials[person.member] = kept
        self.expected.append(True)

    def here(self) -> None:
        members = [person.member for person in self.village.there]
        self.village.relay.write("here", {"members": members}, self.village.hall.clock())
        self.expected.append(True)

    async def send(self) -> None:
        """Send some entries from where the relay believes the hub to be, or from further back."""
        relay = self.village.relay
        if not relay.log:
            return
        first = self.dice.between(max(1, relay.upto - 5), min(relay.upto + 1, len(relay.log)))
        last = self.dice.between(first, min(len(relay.log), first + 20))
        body = {"entries": relay.log[first - 1 : last], "left": len(relay.log) - last}
        sending = [relay.raw("POST", "/api/relay/outbox", body) for _ in range(self.dice.choice([1, 1, 2]))]
        fate = self.dice.choice(["heard", "heard", "lost", "died"])
        tasks = [asyncio.create_task(one) for one in sending]
        if fate == "died":
            for _ in range(self.dice.between(0, 40)):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.restart()
            return
        for status, answer in await asyncio.gather(*tasks):
            assert status == 200, answer
            if fate == "heard":
                relay.upto = max(relay.upto, answer["upto"])

    async def play(self) -> None:
        """Some steps of weather, then everything that is left."""
        for _ in range(STEPS):
            self.village.hall.clock.at += self.dice.between(0, 9)
            step = self.dice.choice(DO)
            if step in ("vote", "wrong"):
                self.cast(well=step == "vote")
            elif step == "hand":
                self.hand()
            elif step == "here":
                self.here()
            elif step == "check-in":
                await self.check_in()
            elif step == "send":
                await self.send()
            else:
                await self.restart()
        relay = self.village.relay
        while relay.upto < len(relay.log):
            await relay.send(relay.upto + 1, min(len(relay.log), relay.upto + 50))

    async def whole(self) -> None:
        """Play and judge."""
        await self.play()
        await self.village.hall.read(self.judge)

    def judge(self, tx: Connection) -> None:
        """Compare the hub's whole record with what was queued."""
        log, before = self.village.relay.log, len(self.village.relay.log) - len(self.expected)
        row = tx.execute(select(relay_table).where(relay_table.c.id == self.village.relay.id)).one()
        assert (row.upto, row.head) == (len(log), head(log[-1]))
        taken = tx.execute(select(relay_entry).order_by(relay_entry.c.seq)).all()
        assert [(one.seq, one.head) for one in taken] == [(number, head(one)) for number, one in enumerate(log, 1)]
        assert [not one.refused for one in taken[before:]] == self.expected
        cast = [one["body"]["ballot"] for one, good in zip(log[before:], self.expected, strict=True)
                if good and one["kind"] == "ballot"]  # fmt: skip
        kept = {bytes(leaf) for leaf in tx.scalars(select(schema.promise.c.leaf))}
        assert kept == {ballot_leaf(one) for one in cast}
        election = tx.execute(select(schema.election)).one()
        assert (election.ballots, election.cast) == (len(cast), len(self.places))
        told = select(func.count()).where(schema.event.c.type.in_(["HandRaised", "HandLowered"]))
        assert tx.execute(told).scalar_one() == self.hands
        arrived = [one for one in log if one["kind"] == "check-in"]
        told = select(func.count()).where(
            schema.event.c.type == "MemberCheckedIn", schema.event.c.body.contains(self.village.site)
        )
        assert tx.execute(told).scalar_one() == len(arrived)


@asynccontextmanager
async def weather(folder: Path, seed: int) -> AsyncIterator[Weather]:
    async with AsyncExitStack() as stack, AsyncExitStack() as kept:
        hall = await stack.enter_async_context(votes_support.serve(folder))
        await votes_support.enrol_everybody(hall)
        village = await kept.enter_async_context(open_village(hall, **OPEN))
        made = Weather(folder, village, Dice(f"weather {seed}"), stack)
        try:
            yield made
        finally:
            for person in made.village.hall.people:
                await person.__aexit__(None, None, None)
            made.village.hall.people = []


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whatever_the_weather_each_entry_counts_once(tmp_path: Path, seed: int) -> None:
    async with weather(tmp_path, seed) as found:
        await found.whole()
        assert found.expected.count(True) > 10
        assert False in found.expected


def dropping(outcome: Callable[..., str]) -> Callable[..., str]:
    """A hub that moves on without doing what every fifth entry says."""

    def planted(tx: Connection, taking: Any, one: Any, begun: Any, at: int) -> str:
        return "" if one.entry.seq % 5 == 0 else outcome(tx, taking, one, begun, at)

    return planted


def forgetting(_fresh: Callable[..., Any]) -> Callable[..., Any]:
    """A hub that takes what comes as new, whatever it has taken."""

    def planted(_tx: Connection, _relay: Any, queued: Any) -> list[Any]:
        return [one.entry for one in queued]

    return planted


def turning(fresh: Callable[..., Any]) -> Callable[..., Any]:
    """A hub that takes only the first of several new entries, and believes to have them all."""

    def planted(tx: Connection, relay: Any, queued: Any) -> list[Any]:
        found = fresh(tx, relay, queued)
        return [found[0], *found[2:]] if len(found) > 2 else found

    return planted


def overwriting(tx: Connection, relay: str, seq: int, digest: bytes, refused: str) -> None:
    tx.execute(relay_entry.delete().where(relay_entry.c.relay == relay, relay_entry.c.seq == seq))
    tx.execute(relay_entry.insert().values(relay=relay, seq=seq, head=digest, refused=refused))


@pytest.mark.parametrize(("name", "fault"), [("_outcome", dropping), ("_fresh", forgetting), ("_fresh", turning)])
async def test_control_the_play_sees_a_hub_that_loses_or_doubles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, fault: Callable[..., Any]
) -> None:
    async with weather(tmp_path, 1) as found:
        monkeypatch.setattr(outbox, name, fault(getattr(outbox, name)))
        monkeypatch.setattr(store, "add_entry", overwriting)
        with pytest.raises(AssertionError):
            await found.whole()
