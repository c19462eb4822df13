"""What happens to ballots: each once, each checked, each in time; a refusal changes nothing."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.server import votes_support as support
from tests.server.votes_support import NO, YES, Hall, act, flip, opened, refused

from folkmoot_server.demo.client import Person
from folkmoot_server.web import limits
from folkmoot_voting import signing
from folkmoot_voting.ballot import ballot_leaf, signed_hash
from folkmoot_voting.casting import make_ballot
from folkmoot_voting.encoding import JsonObject, b64u, unb64u


async def test_one_ballot_for_each_credential_and_the_same_bytes_get_the_same_promise(hall: Hall) -> None:
    _, manifest = await opened(hall)
    path = hall.election_path(manifest.election, "/ballots")
    ballot = support.seal(hall, hall.chair, manifest, YES)
    first = await hall.chair.post(path, {"ballot": ballot})
    before = support.fingerprint(hall)
    assert await hall.chair.post(path, {"ballot": ballot}) == first
    assert support.fingerprint(hall) == before
    second = support.seal(hall, hall.chair, manifest, NO)
    assert await refused(hall, hall.chair, path, {"ballot": second}) == (409, "ballot.already-cast")
    # Published and closed: the retry of an answer that was lost still gets it.
    await support.cast_all(hall, manifest, [])
    await support.close(hall, manifest.election)
    assert await hall.chair.post(path, {"ballot": ballot}) == first
    assert await refused(hall, hall.chair, path, {"ballot": second}) == (409, "ballot.election-not-open")


async def test_ballots_with_foreign_or_unknown_credentials_are_refused(hall: Hall) -> None:
    _, manifest = await opened(hall)
    path = hall.election_path(manifest.election, "/ballots")
    seeds = hall.credentials
    borrowed = make_ballot(manifest, seeds[hall.secretary.member], support.cells(manifest, YES), secrets.token_bytes)
    assert await refused(hall, hall.chair, path, {"ballot": borrowed}) == (403, "ballot.foreign-credential")
    made_up = make_ballot(manifest, secrets.token_bytes(32), support.cells(manifest, YES), secrets.token_bytes)
    assert await refused(hall, hall.chair, path, {"ballot": made_up}) == (403, "ballot.foreign-credential")
    # Checked in after the opening: present, but not of this electorate; nor is a credential made anew.
    await support.check_in(hall, [hall.plain, hall.chair])
    for person in (hall.plain, hall.chair):
        late = support.seal(hall, person, manifest, YES)
        assert await refused(hall, person, path, {"ballot": late}) == (422, "ballot.not-elector")


def resigned(ballot: JsonObject, seed: bytes, **changes: Any) -> JsonObject:
    """The ballot with changed fields and a signature that fits them."""
    changed = {**ballot, **changes}
    return {**changed, "sig": b64u(signing.sign(seed, signed_hash(changed)))}


def swap_options(text: str) -> str:
    raw = unb64u(text)
    return b64u(raw[288:576] + raw[:288] + raw[576:])


BROKEN: list[tuple[str, Callable[[JsonObject, bytes], JsonObject], str]] = [
    ("signature", lambda b, _: {**b, "sig": flip(b["sig"], 5)}, "voting.ballot-signature"),
    ("other manifest", lambda b, s: resigned(b, s, manifest=b64u(bytes(32))), "voting.ballot-foreign"),
    ("weight", lambda b, s: resigned(b, s, weight=2), "voting.ballot-weight"),
    ("seq", lambda b, s: resigned(b, s, seq=2), "voting.ballot-seq"),
    ("no choices", lambda b, s: resigned(b, s, choices=[]), "voting.ballot-bytes"),
    ("short", lambda b, s: resigned(b, s, choices=[b64u(unb64u(b["choices"][0])[:-32])]), "voting.ballot-bytes"),
    ("point", lambda b, s: resigned(b, s, choices=[flip(b["choices"][0], 0)]), "voting.ballot-bytes"),
    ("scalar", lambda b, s: resigned(b, s, choices=[flip(b["choices"][0], 192)]), "voting.ballot-option-proof"),
    ("sum", lambda b, s: resigned(b, s, choices=[flip(b["choices"][0], 3 * 288 + 64)]), "voting.ballot-sum-proof"),
    ("swapped", lambda b, s: resigned(b, s, choices=[swap_options(b["choices"][0])]), "voting.ballot-option-proof"),
    ("surplus field", lambda b, s: resigned(b, s, note="x"), "voting.ballot-malformed"),
    ("float", lambda b, _: {**b, "weight": 1.0}, "voting.ballot-malformed"),
    ("null", lambda b, _: {**b, "prev": None}, "voting.ballot-malformed"),
    ("choice in the clear", lambda b, s: resigned(b, s, choices=["yes"]), "voting.ballot-bytes"),
]


async def test_a_ballot_that_fails_a_check_is_refused_with_its_reason_and_may_be_sent_again(hall: Hall) -> None:
    _, manifest = await opened(hall)
    path = hall.election_path(manifest.election, "/ballots")
    seed = hall.credentials[hall.chair.member]
    ballot = support.seal(hall, hall.chair, manifest, YES)
    for name, breaker, code in BROKEN:
        answer = await refused(hall, hall.chair, path, {"ballot": breaker(ballot, seed)})
        assert answer == (422, code), name
    assert "promise" in await hall.chair.post(path, {"ballot": ballot})


async def test_a_member_reads_boards_often_and_not_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "READER_MAX", 80)
    async with support.enrolled(tmp_path) as hall:
        _, manifest = await opened(hall)
        ballot = support.seal(hall, hall.chair, manifest, YES)
        await hall.chair.post(hall.election_path(manifest.election, "/ballots"), {"ballot": ballot})
        await hall.settle(hall.settings.publish_every_s)
        reads = [
            hall.election_path(manifest.election, rest)
            for rest in ("/board?from=0", f"/inclusion?leaf={b64u(ballot_leaf(ballot))}", "/manifest", "/tally")
        ]

        async def answers(person: Person) -> set[int]:
            return {(await person.raw("GET", path))[0] for path in reads}

        usual = await answers(hall.chair)
        assert 429 not in usual
        for _ in range(80 // len(reads)):
            last = await answers(hall.chair)
        assert last == {429}
        assert 429 not in await answers(hall.secretary)  # each member is counted alone
        assert (await hall.chair.raw("GET", hall.path("")))[0] == 200  # and the meeting goes on
        hall.clock.at += limits.WINDOW_S
        assert await answers(hall.chair) == usual


async def test_a_copied_ciphertext_is_refused(hall: Hall) -> None:
    """The proof of another voter's ballot does not fit, whoever signs; a repeated point is refused by itself."""
    _, manifest = await opened(hall)
    path = hall.election_path(manifest.election, "/ballots")
    ballot = support.seal(hall, hall.chair, manifest, YES)
    await hall.chair.post(path, {"ballot": ballot})
    seed = hall.credentials[hall.secretary.member]
    copied = resigned(ballot, seed, credential=b64u(signing.public_key(seed)))
    answer = await refused(hall, hall.secretary, path, {"ballot": copied})
    assert answer == (422, "voting.ballot-option-proof")
    # The same random numbers in two voters' hands give valid proofs with points that repeat.
    stream = [secrets.token_bytes(64) for _ in range(13)]
    one, two = iter(stream), iter(stream)
    first = make_ballot(manifest, seed, support.cells(manifest, NO), lambda _: next(one))
    teller = hall.tellers[0]
    second = make_ballot(manifest, hall.credentials[teller.member], support.cells(manifest, NO), lambda _: next(two))
    await hall.secretary.post(path, {"ballot": first})
    assert await refused(hall, teller, path, {"ballot": second}) == (422, "ballot.point-repeated")


async def test_ballots_are_taken_in_the_grace_and_not_after_it(hall: Hall) -> None:
    _, manifest = await opened(hall)
    path = hall.election_path(manifest.election, "/ballots")
    plain = hall.election_path(manifest.election, "/close")
    body = await act(hall, hall.secretary, manifest.election, "close")
    assert await refused(hall, hall.secretary, plain, body) == (403, "role.missing")
    await hall.chair.act(plain, support.step_up("close-election", hall, manifest.election))
    hall.clock.at += hall.settings.closing_grace_s
    await hall.settle()
    assert (await support.whole_board(hall, manifest.election))["closing"] == ""
    await hall.chair.post(path, {"ballot": support.seal(hall, hall.chair, manifest, YES)})
    hall.clock.at += 1
    late = {"ballot": support.seal(hall, hall.secretary, manifest, YES)}
    assert await refused(hall, hall.secretary, path, late) == (409, "ballot.election-not-open")
    await hall.settle()
    view = await support.whole_board(hall, manifest.election)
    assert view["closing"]
    assert json.loads(view["entries"][-1])["cast"] == 1
    assert await refused(hall, hall.secretary, path, late) == (409, "ballot.election-not-open")


async def test_two_ballots_sent_at_once_count_once(hall: Hall) -> None:
    _, manifest = await opened(hall)
    path = hall.election_path(manifest.election, "/ballots")
    different = [support.seal(hall, hall.chair, manifest, choice) for choice in (YES, NO)]
    answers = await asyncio.gather(*(support.refusal(hall.chair, path, {"ballot": one}) for one in different))
    assert sorted(answers) == [(200, "accepted"), (409, "ballot.already-cast")]
    same = support.seal(hall, hall.secretary, manifest, NO)
    promises = await asyncio.gather(*(hall.secretary.post(path, {"ballot": same}) for _ in range(4)))
    assert all(promise == promises[0] for promise in promises)
    assert [event["body"]["count"] for event in await hall.events("BallotAccepted")] == [1, 2]
    assert (await hall.view(hall.chair))["elections"][0]["cast"] == 2


async def test_an_election_is_found_only_in_its_own_meeting(hall: Hall) -> None:
    _, manifest = await opened(hall)
    ballot = support.seal(hall, hall.chair, manifest, YES)
    await support.convene(hall)
    for rest, body in (("/ballots", {"ballot": ballot}), ("/cosignatures", {"line": "x"})):
        answer = await refused(hall, hall.chair, hall.election_path(manifest.election, rest), body)
        assert answer == (404, "election.unknown")
    path = f"/api/meetings/none/elections/{manifest.election}/ballots"
    assert (await refused(hall, hall.chair, path, {"ballot": ballot}))[0] == 404
