"""Ballots on their way: checked in batches, each with its own verdict, and waited for when the grace ends."""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from tests.server import votes_support as support
from tests.server.votes_support import NO, YES, Hall, opened

from folkmoot_server.commands import ballots
from folkmoot_server.commands.ballots import Arrival, Verdict
from folkmoot_server.realtime.arrivals import Arrivals
from folkmoot_server.web import proof_pool
from folkmoot_voting import batch
from folkmoot_voting.ballot import Ballot, CheckedBallot
from folkmoot_voting.errors import BallotRejected
from folkmoot_voting.tally import make_aggregate


class Gate:
    """Stands before the real check, so that a test can hold ballots there; remembers the batches."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.sizes: list[int] = []
        self._there = threading.Event()

    async def reached(self) -> None:
        """Wait until a batch stands before the gate."""
        assert await asyncio.to_thread(self._there.wait, 20)

    def __call__(self, arrivals: Sequence[Arrival], rng: Any) -> list[Verdict]:
        self._there.set()
        assert self.open.wait(20)
        self.sizes.append(len(arrivals))
        return ballots.check_batch(arrivals, rng)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    made = Gate()
    monkeypatch.setattr(proof_pool, "check_batch", made)
    return made


async def test_ballots_that_come_together_are_checked_together(hall: Hall, gate: Gate) -> None:
    _, manifest = await opened(hall)
    path = hall.election_path(manifest.election, "/ballots")
    sent = [support.seal(hall, person, manifest, YES) for person in hall.officers]
    bad = {**sent[2], "choices": [support.flip(sent[2]["choices"][0], 224)]}
    bad["sig"] = support.b64u(
        support.signing.sign(hall.credentials[hall.officers[2].member], Ballot.from_json(bad).signed_hash)
    )
    bodies = [*sent[:2], bad, *sent[3:]]
    answers = await asyncio.gather(
        *(support.refusal(person, path, {"ballot": one}) for person, one in zip(hall.officers, bodies, strict=True))
    )
    good = (200, "accepted")
    assert answers == [good, good, (422, "voting.ballot-option-proof"), good, good]
    assert sum(gate.sizes) == 5
    assert len(gate.sizes) < 5
    assert hall.context.arrivals.count(manifest.election, hall.clock()) == 0


async def test_a_ballot_that_arrived_in_time_is_taken_although_its_proofs_wait(hall: Hall, gate: Gate) -> None:
    _, manifest = await opened(hall)
    path = hall.election_path(manifest.election, "/ballots")
    await hall.chair.act(
        hall.election_path(manifest.election, "/close"), support.step_up("close-election", hall, manifest.election)
    )
    hall.clock.at += hall.settings.closing_grace_s
    gate.open.clear()
    ballot = support.seal(hall, hall.chair, manifest, YES)
    sending = asyncio.create_task(hall.chair.post(path, {"ballot": ballot}))
    await gate.reached()
    # The grace is over now, but the box waits for what is on its way; what comes later is too late.
    await hall.settle(5)
    assert (await support.whole_board(hall, manifest.election))["closing"] == ""
    late = support.seal(hall, hall.secretary, manifest, NO)
    assert await support.refusal(hall.secretary, path, {"ballot": late}) == (409, "ballot.election-not-open")
    gate.open.set()
    assert "promise" in await sending
    await hall.settle()
    view = await support.whole_board(hall, manifest.election)
    assert view["closing"]
    assert json.loads(view["entries"][-1])["cast"] == 1


async def test_control_without_the_wait_the_box_would_be_sealed(hall: Hall, gate: Gate) -> None:
    """The guard removed: the same ballot is refused, so the test above can fail."""
    _, manifest = await opened(hall)
    path = hall.election_path(manifest.election, "/ballots")
    await hall.chair.act(
        hall.election_path(manifest.election, "/close"), support.step_up("close-election", hall, manifest.election)
    )
    gate.open.clear()
    sending = asyncio.create_task(
        support.refusal(hall.chair, path, {"ballot": support.seal(hall, hall.chair, manifest, YES)})
    )
    await gate.reached()
    hall.context.arrivals._under_way.clear()
    await hall.settle(hall.settings.closing_grace_s + 1)
    assert (await support.whole_board(hall, manifest.election))["closing"]
    gate.open.set()
    assert await sending == (409, "ballot.election-not-open")


async def test_the_aggregate_is_computed_once(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    ready, manifest = await opened(hall)
    await support.cast_all(hall, manifest, [YES, NO, YES])
    made: list[str] = []
    monkeypatch.setattr(batch, "make_aggregate", lambda *given: made.append("sum") or make_aggregate(*given))
    await support.close(hall, manifest.election)
    assert made == ["sum"], "the clock sums a closed box up before the tellers come"
    await hall.settle()
    await support.cosign(hall, manifest, ready.cosigners)
    total, closing = await support.own_aggregate(hall, manifest)
    made.clear()
    for teller in ready.tellers:
        path = hall.election_path(manifest.election, "/intents")
        await teller.person.post(path, {"entry": support.intent(teller, manifest, closing.hash(), total.hash)})
    assert made == []


async def test_a_batch_keeps_verdicts_in_order_over_several_elections(hall: Hall) -> None:
    _, first = await opened(hall)
    one = [support.seal(hall, person, first, YES) for person in hall.officers[:3]]
    await support.close(hall, first.election)
    election = await support.draft(hall)
    second = await support.votes.open_election(hall.chair, hall.meeting, election)
    two = [support.seal(hall, person, second, NO) for person in hall.officers[:3]]
    bad = Ballot.from_json({**two[0], "sig": one[0]["sig"]})
    arrivals = [
        Arrival(first, Ballot.from_json(one[0]), None),
        Arrival(second, bad, None),
        Arrival(first, Ballot.from_json(one[1]), None),
        Arrival(second, Ballot.from_json(two[2]), None),
    ]
    verdicts = ballots.check_batch(arrivals, secrets.token_bytes)
    assert [isinstance(verdict, CheckedBallot) for verdict in verdicts] == [True, False, True, True]
    assert isinstance(verdicts[1], BallotRejected)
    assert verdicts[3].ballot == arrivals[3].ballot if isinstance(verdicts[3], CheckedBallot) else False


def test_arrivals_forget_what_is_done() -> None:
    arrivals = Arrivals()
    with arrivals.one("e", 5), arrivals.one("e", 5), arrivals.one("e", 6), arrivals.one("f", 5):
        assert [arrivals.count("e", until) for until in (4, 5, 6)] == [0, 2, 3]
        assert (arrivals.count("f", 5), arrivals.count("g", 5)) == (1, 0)
    with pytest.raises(KeyError), arrivals.one("e", 5):
        raise KeyError
    assert not arrivals._under_way
