"""One voter, two ways to the box: the vote's own rule says which ballot counts, and the other one is listed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from tests.server import votes_support
from tests.server.common import refusal
from tests.server.relay_support import Village, open_village
from tests.server.votes_support import ABSTAIN, NO, YES, Hall

from folkmoot_server.demo import votes
from folkmoot_server.demo.client import Person
from folkmoot_voting.casting import FIRST, Place
from folkmoot_voting.encoding import JsonObject

ONCE, LAST = "once", "last-counts"


@dataclass
class Voter:
    """A member of the hall with a phone that reaches the server by itself and through the relay."""

    village: Village
    person: Person

    def sealed(self, choice: int, after: JsonObject | None = None) -> JsonObject:
        """A ballot of the voter, the first one unless it comes after another."""
        place = FIRST if after is None else Place(1, after["seq"] + 1, votes.ballot_leaf(after))
        return self.village.ballot(self.person, choice, place=place)

    async def direct(self, ballot: JsonObject) -> str:
        """Send it to the server; return the code of the refusal, or "accepted"."""
        path = self.village.hall.election_path(self.village.manifest.election, "/ballots")
        return (await refusal(self.person, path, {"ballot": ballot}))[1]

    async def by_relay(self, ballot: JsonObject) -> list[tuple[int, str]]:
        """Let the outbox bring it; return what the hub lists as refused: number of the entry and code."""
        entry = self.village.queue("ballot", ballot=ballot)
        answer = await self.village.relay.send()
        assert answer["upto"] == entry["seq"], "refused or not, it was taken"
        again = await self.village.relay.send(entry["seq"], entry["seq"])
        assert again["refused"] == answer["refused"], "it stays listed"
        assert [one["seq"] for one in answer["promises"]] == ([] if answer["refused"] else [entry["seq"]])
        return [(one["seq"] - entry["seq"], str(one["code"])) for one in answer["refused"]]


async def counted(village: Village) -> tuple[list[int], int]:
    """Let everybody else abstain, count, and return the counts and how many ballots were in the box."""
    hall, manifest, voter = village.hall, village.manifest, village.there[0]
    for person in hall.officers:
        if person is not voter:
            await votes_support.send(hall, person, village.ballot(person, ABSTAIN))
    await votes_support.close(hall, manifest.election)
    await votes_support.cosign(hall, manifest, village.ready.cosigners)
    await votes.count(village.ready.tellers[:2], hall.meeting, manifest)
    core = (await hall.chair.get(hall.election_path(manifest.election, "/tally")))["core"]
    return core["counts"][0], core["ballots"]


@pytest.mark.parametrize("first", ["direct", "relay"])
async def test_once_the_first_at_the_hub_counts_and_the_other_is_refused_and_listed(hall: Hall, first: str) -> None:
    async with open_village(hall, voting_again=ONCE) as village:
        voter = Voter(village, village.there[0])
        yes, no = voter.sealed(YES), voter.sealed(NO)
        if first == "direct":
            assert await voter.direct(yes) == "accepted"
            assert await voter.by_relay(no) == [(0, "ballot.already-cast")]
            assert await voter.by_relay(yes) == []  # the same bytes are the same ballot
        else:
            assert await voter.by_relay(no) == []
            assert await voter.direct(yes) == "ballot.already-cast"
            assert await voter.direct(no) == "accepted"
        assert await counted(village) == ([1, 0, 4] if first == "direct" else [0, 1, 4], 5)


@pytest.mark.parametrize("first", ["direct", "relay"])
async def test_last_counts_takes_the_highest_valid_number_by_whatever_way_it_comes(hall: Hall, first: str) -> None:
    async with open_village(hall, voting_again=LAST, kiosk=True) as village:
        voter = Voter(village, village.there[0])
        yes = voter.sealed(YES)
        after = voter.sealed(NO, yes)
        if first == "direct":
            assert await voter.direct(yes) == "accepted"
            assert await voter.by_relay(after) == []
        else:
            assert await voter.by_relay(yes) == []
            assert await voter.direct(after) == "accepted"
        assert await counted(village) == ([0, 1, 4], 6)


@pytest.mark.parametrize("first", ["direct", "relay"])
async def test_last_counts_refuses_and_lists_two_ballots_of_one_number(hall: Hall, first: str) -> None:
    """A phone that voted twice, either time without knowing of the other: the number that came first is taken."""
    async with open_village(hall, voting_again=LAST, kiosk=True) as village:
        voter = Voter(village, village.there[0])
        yes, no = voter.sealed(YES), voter.sealed(NO)
        if first == "direct":
            assert await voter.direct(yes) == "accepted"
            assert await voter.by_relay(no) == [(0, "voting.ballot-seq")]
        else:
            assert await voter.by_relay(no) == []
            assert await voter.direct(yes) == "voting.ballot-seq"
        assert await counted(village) == ([1, 0, 4] if first == "direct" else [0, 1, 4], 5)


async def test_the_chair_is_told_how_many_were_refused_and_nobody_is_told_which_vote_it_was(hall: Hall) -> None:
    async with open_village(hall, voting_again=ONCE) as village:
        voter = Voter(village, village.there[0])
        assert await voter.direct(voter.sealed(YES)) == "accepted"
        village.queue("ballot", ballot=voter.sealed(NO))
        assert len((await village.relay.send())["refused"]) == 1
        (told,) = [event["body"] for event in await hall.events("RelayCaughtUp")]
        assert told == {"site": village.site, "entries": 1, "refused": 1, "from": hall.clock()}
