"""What one member could do to everybody's vote: flood it, hold it open, empty a batch around another's ballot."""

from __future__ import annotations

import secrets

import pytest
from tests.server import votes_support as support
from tests.server.test_votes_flow import downloads
from tests.server.test_votes_setup import check_in_body
from tests.server.votes_support import NO, YES, Hall, opened, refused

from folkmoot_server.commands.publishing import due_work
from folkmoot_server.demo import votes
from folkmoot_server.domain.elections import BALLOTS_MAX, REPLACEMENTS_MAX, Verb
from folkmoot_server.queries import board as board_queries
from folkmoot_voting import casting, challenges, signing
from folkmoot_voting.encoding import b64u
from folkmoot_voting.merkle_log import cosign, parse_note
from folkmoot_voting.verify import verify_bundle

AGAIN = {"secrecy": "open", "voting_again": "last-counts"}


async def test_a_voter_cannot_fill_the_record_with_ballots(hall: Hall) -> None:
    _, manifest = await opened(hall, **AGAIN)
    path = hall.election_path(manifest.election, "/ballots")
    for _ in range(BALLOTS_MAX):
        standing = await votes.place(hall.chair, hall.meeting, manifest)
        last = support.seal(hall, hall.chair, manifest, YES, standing)
        await hall.chair.post(path, {"ballot": last})
    standing = await votes.place(hall.chair, hall.meeting, manifest)
    more = support.seal(hall, hall.chair, manifest, NO, standing)
    assert await refused(hall, hall.chair, path, {"ballot": more}) == (429, "ballot.too-many")
    # A retry of the last one is no further ballot, and others vote as before.
    assert "promise" in await hall.chair.post(path, {"ballot": last})
    await support.send(hall, hall.secretary, support.seal(hall, hall.secretary, manifest, NO))


async def test_a_voter_cannot_fill_the_annex_with_replacements(hall: Hall) -> None:
    _, manifest = await opened(hall, **AGAIN)
    key = hall.credentials[hall.chair.member]
    for _ in range(REPLACEMENTS_MAX):
        key = await votes.replace_credential(hall.chair, hall.meeting, manifest, key)
    with pytest.raises(Exception, match=r"replacement\.too-many"):
        await votes.replace_credential(hall.chair, hall.meeting, manifest, key)
    standing = await votes.place(hall.chair, hall.meeting, manifest)
    ballot = casting.make_ballot(manifest, key, support.cells(manifest, YES), secrets.token_bytes, standing)
    assert await support.send(hall, hall.chair, ballot)


async def test_entries_of_one_voter_make_no_batch_around_anothers_ballot(hall: Hall) -> None:
    _, manifest = await opened(hall, **AGAIN)
    path = hall.election_path(manifest.election, "/ballots")
    await hall.settle()
    await support.send(hall, hall.secretary, support.seal(hall, hall.secretary, manifest, NO))
    for _ in range(5):
        standing = await votes.place(hall.chair, hall.meeting, manifest)
        await hall.chair.post(path, {"ballot": support.seal(hall, hall.chair, manifest, YES, standing)})
    await hall.settle(hall.settings.publish_every_s)
    assert (await support.whole_board(hall, manifest.election))["size"] == 1
    teller = hall.tellers[0]
    await support.send(hall, teller, support.seal(hall, teller, manifest, NO))  # the third voter makes the batch
    await hall.settle(hall.settings.publish_every_s)
    assert (await support.whole_board(hall, manifest.election))["size"] == 8


async def test_late_requests_do_not_hold_up_the_end_of_a_vote(hall: Hall) -> None:
    _, manifest = await opened(hall)
    election = manifest.election
    await hall.chair.act(hall.election_path(election, "/close"), support.step_up("close-election", hall, election))
    grace_until = hall.clock() + hall.settings.closing_grace_s
    arrivals, now = hall.context.arrivals, grace_until + 1

    async def due() -> list[Verb]:
        steps = await hall.read(lambda tx: due_work(tx, now, hall.settings.publish_batch_min, arrivals.count))
        return [step.verb for step in steps]

    with arrivals.one(election, grace_until + 1):
        assert await due() == [Verb.SEAL]
        with arrivals.one(election, grace_until):  # the control: what came in time is waited for
            assert await due() == []


async def test_a_page_of_the_board_is_bounded_in_bytes(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    ready, manifest = await opened(hall)
    await support.cast_all(hall, manifest, [YES] * 5)
    await support.close(hall, manifest.election)
    whole = await support.whole_board(hall, manifest.election)
    assert len(whole["entries"]) == whole["size"] == 7
    for bound in (1, 2 * len(whole["entries"][1]) + 100):
        monkeypatch.setattr(board_queries, "PAGE_BYTES", bound)
        found: list[str] = []
        while len(found) < whole["size"]:
            path = hall.election_path(manifest.election, f"/board?from={len(found)}")
            page = (await hall.chair.get(path))["entries"]
            assert page
            assert len(page) == 1 or sum(map(len, page)) <= bound
            found += page
        assert found == whole["entries"]
    assert ready


async def test_no_intent_or_share_reaches_the_board_of_a_box_that_stays_shut(hall: Hall) -> None:
    """One teller could otherwise make the whole record fail: nothing may stand between closing and tally (V17)."""
    ready, manifest = await opened(hall)
    await support.cast_all(hall, manifest, [YES])
    await support.close(hall, manifest.election)
    total, checkpoint = await support.own_aggregate(hall, manifest)
    teller = ready.tellers[0]
    intent = support.intent(teller, manifest, checkpoint.hash(), total.hash)
    path = hall.election_path(manifest.election, "/intents")
    early = await refused(hall, teller.person, path, {"entry": intent})
    assert early == (409, "election.wrong-state")
    await support.cosign(hall, manifest, ready.cosigners)
    assert (await hall.view(hall.chair))["elections"][-1]["state"] == "counted"
    assert await refused(hall, teller.person, path, {"entry": intent}) == (409, "election.box-stays-shut")
    share = support.share(teller, manifest, total)
    path = hall.election_path(manifest.election, "/shares")
    assert await refused(hall, teller.person, path, {"entry": share}) == (409, "election.box-stays-shut")
    await votes.declare(ready.cosigners[0], hall.meeting, manifest)
    report = verify_bundle(*await downloads(hall))
    assert report.verdict == "ok", [check for check in report.checks if check.ok is False]


async def test_nobody_opens_a_box_of_ballots_that_all_can_read(hall: Hall) -> None:
    ready, manifest = await opened(hall, secrecy="open")
    await support.close(hall, manifest.election)  # with no ballot at all
    teller = ready.tellers[0]
    zeros = b64u(bytes(32))
    entry = {"type": "intent", "trustee": teller.trustee.index, "manifest": b64u(manifest.hash),
             "closing": zeros, "aggregate": zeros, "sig": b64u(bytes(64))}  # fmt: skip
    path = hall.election_path(manifest.election, "/intents")
    assert await refused(hall, teller.person, path, {"entry": entry}) == (409, "election.wrong-state")
    await support.cosign(hall, manifest, ready.cosigners)
    await hall.settle()
    assert await refused(hall, teller.person, path, {"entry": entry}) == (409, "election.box-stays-shut")


async def test_a_cosignature_of_a_time_that_pages_cannot_read_is_refused(hall: Hall) -> None:
    """It would stay in the closing note for ever, which every teller's page then refuses (section 10: 2^53 - 1)."""
    ready, manifest = await opened(hall)
    await support.cast_all(hall, manifest, [YES] * 3)
    await support.close(hall, manifest.election)
    note = parse_note((await support.whole_board(hall, manifest.election))["closing"])
    path = hall.election_path(manifest.election, "/cosignatures")
    one = ready.cosigners[-1]
    for time in (2**53, 2**64 - 1):
        line = str(cosign(note.checkpoint, one.name, one.seed, time))
        expected = (422, "voting.log-cosignature")
        assert await refused(hall, one.person, path, {"line": line}) == expected
    line = str(cosign(note.checkpoint, one.name, one.seed, 2**53 - 1))
    assert await one.person.post(path, {"line": line}) == {"cosignatures": 1}


async def test_a_credential_read_off_the_board_is_nobody_elses(hall: Hall) -> None:
    """Checked in by another, it would lock the member's new device out of the rest of the meeting."""
    ready, manifest = await opened(hall, kiosk=True)
    new = await votes.replace_credential(hall.chair, hall.meeting, manifest, hall.credentials[hall.chair.member])
    key = signing.public_key(new)
    taken = await check_in_body(hall, hall.secretary, credential=key)
    finish = hall.path("/check-in/finish")
    assert await refused(hall, hall.secretary, finish, taken) == (409, "check-in.credential-known")
    hall.credentials[hall.chair.member] = new
    await support.cast_all(hall, manifest, [YES] * 4)
    await support.close(hall, manifest.election)
    await support.cosign(hall, manifest, ready.cosigners)
    await votes.count(ready.tellers[:2], hall.meeting, manifest)
    await votes.declare(ready.cosigners[0], hall.meeting, manifest)
    # Nor may another take it in the next vote, while its member still may.
    again = await votes.open_election(hall.chair, hall.meeting, await support.draft(hall))
    old = signing.public_key(hall.credentials[hall.secretary.member])
    signed = await hall.secretary.signed(
        "replace", lambda nonce: challenges.replacement(again.hash, old, key, False, nonce)
    )
    body = {"old": b64u(old), "new": b64u(key), "kiosk": False, **signed}
    path = hall.election_path(again.election, "/replacements")
    assert await refused(hall, hall.secretary, path, body) == (409, "voting.replacement-new")
    own = await check_in_body(hall, hall.chair, credential=key)
    assert (await hall.chair.post(finish, own))["credential"] == b64u(key)
