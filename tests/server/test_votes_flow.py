"""Whole votes over the real HTTP handlers, verified offline at the end."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from pyrage import decrypt, x25519
from tests.server import votes_support as support
from tests.server.votes_support import ABSTAIN, NO, YES, Hall

from folkmoot_server.demo import votes
from folkmoot_server.queries.export import write_meeting
from folkmoot_voting import board as boards
from folkmoot_voting import bundle as bundles
from folkmoot_voting import merkle_log
from folkmoot_voting.encoding import b64u, unb64u
from folkmoot_voting.questions import one_of_n
from folkmoot_voting.verify import verify_bundle


async def downloads(hall: Hall) -> tuple[bytes, bytes]:
    status, bundle = await hall.plain.raw("GET", hall.path("/bundle.zip"))
    assert status == 200
    return bundle, await opened_annex(hall)


async def opened_annex(hall: Hall) -> bytes:
    """The annex as the auditor gets it, opened with the key registered for it."""
    identity = x25519.Identity.generate()
    recipient = str(identity.to_public())
    action = {"type": "set-auditor-key", "recipient": recipient}
    await hall.auditor.act("/api/auditor-key", action, recipient=recipient)
    status, sealed = await hall.auditor.raw("GET", hall.path("/annex.age"))
    assert status == 200
    return bytes(decrypt(sealed, [identity]))


def failed(report: Any) -> list[str]:
    return [check.id for check in report.checks if check.ok is False]


async def test_a_whole_vote_verifies_with_and_without_the_annex(hall: Hall) -> None:
    ready = await support.prepare(hall)
    manifest = await support.hold_vote(hall, ready, [YES, YES, YES, NO, ABSTAIN])

    view = (await hall.view(hall.chair))["elections"][0]
    assert (view["state"], view["cast"], view["voted"]) == ("declared", 5, True)
    assert view["result"]["counts"] == [[3, 1, 1]]
    assert view["result"]["outcome"] == [{"kind": "carried", "options": [0], "tied": [], "votes": [3, 1, 1]}]
    bundle, annex = await downloads(hall)
    public, full = verify_bundle(bundle), verify_bundle(bundle, annex)
    assert (public.verdict, failed(public)) == ("ok", [])
    assert (full.verdict, failed(full)) == ("ok", [])
    assert all(check.ok is True for check in full.checks)
    assert manifest.cosign_quorum == 4
    again = await hall.read(lambda tx: write_meeting(tx, hall.meeting, hall.clock()))
    assert [bundles.unpack(one) for one in again] == [bundles.unpack(bundle), bundles.unpack(annex)]

    spoiled = verify_bundle(mutated(bundle, f"elections/{manifest.election}/tally.json", b"[[3,", b"[[4,"), annex)
    assert spoiled.verdict == "failed"


def mutated(bundle: bytes, name: str, old: bytes, new: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(bundle)) as source, zipfile.ZipFile(out, "w") as target:
        for member in source.infolist():
            content = source.read(member)
            if member.filename == name:
                assert old in content
                content = content.replace(old, new)
            target.writestr(member.filename, content)
    return out.getvalue()


async def test_two_votes_of_one_meeting_share_the_key_and_one_bundle(hall: Hall) -> None:
    ready = await support.prepare(hall)
    first = await support.hold_vote(hall, ready, [YES, NO, NO, NO, YES])
    # A new device between the votes: the new credential votes in the second election only.
    await support.check_in(hall, [hall.tellers[0]])
    second = await support.hold_vote(
        hall, ready, [0, 1, 1, 1, 1], questions=[one_of_n("Who shall speak?", ["Ana", "Binh"]).to_json()]
    )
    assert first.trustees == second.trustees
    elections = (await hall.view(hall.plain))["elections"]
    assert [one["result"]["outcome"][0]["kind"] for one in elections] == ["rejected", "elected"]
    bundle, annex = await downloads(hall)
    report = verify_bundle(bundle, annex)
    assert (report.verdict, failed(report)) == ("ok", [])


async def test_too_few_ballots_are_never_opened(hall: Hall) -> None:
    ready = await support.prepare(hall)
    manifest = await support.hold_vote(hall, ready, [YES, NO])
    view = (await hall.view(hall.chair))["elections"][0]
    assert (view["state"], view["result"]["counts"]) == ("too-few", [])
    assert view["result"]["outcome"] == [{"kind": "too-few", "options": [], "tied": [], "votes": []}]
    entries = (await support.whole_board(hall, manifest.election))["entries"]
    assert [json.loads(entry)["type"] for entry in entries] == ["opening", "ballot", "ballot", "closing", "tally"]
    bundle, annex = await downloads(hall)
    report = verify_bundle(bundle, annex)
    assert (report.verdict, failed(report)) == ("ok", [])


async def test_the_voter_gets_a_promise_and_then_an_inclusion_proof(hall: Hall) -> None:
    await support.prepare(hall)
    election = await support.draft(hall)
    manifest = await votes.open_election(hall.chair, hall.meeting, election)
    ballots = [support.seal(hall, person, manifest, YES) for person in hall.officers]
    first, second = [await support.send(hall, person, ballots[i]) for i, person in enumerate(hall.officers[:2])]
    for promise in (first, second):
        boards.verify_promise(promise, manifest.server_key)
        assert promise["publish_by"] == manifest.time_limit
    await hall.settle(hall.settings.publish_every_s)
    path = hall.election_path(election, f"/inclusion?leaf={first['leaf']}")
    assert await support.refusal(hall.chair, path, method="GET") == (404, "board.not-published")

    await support.send(hall, hall.officers[2], ballots[2])
    await hall.settle(hall.settings.publish_every_s)
    proof = await hall.chair.get(path)
    note = merkle_log.verify_note(proof["checkpoint"], manifest.board_origin, manifest.server_key)
    assert note.checkpoint.size == proof["size"] == 4
    arguments = (proof["index"], proof["size"], [unb64u(one) for one in proof["proof"]], note.checkpoint.root)
    assert merkle_log.verify_inclusion(unb64u(first["leaf"]), *arguments)
    assert not merkle_log.verify_inclusion(unb64u(second["leaf"]), *arguments)


async def test_events_tell_counts_and_never_who(hall: Hall) -> None:
    ready = await support.prepare(hall)
    manifest = await support.hold_vote(hall, ready, [YES] * 5)
    accepted = [event["body"] for event in await hall.events("BallotAccepted")]
    assert accepted == [{"election": manifest.election, "count": count} for count in range(1, 6)]
    kinds = {event["type"] for event in (await hall.chair.get(hall.path("/events?after=0")))["events"]}
    assert kinds >= {
        "RollFrozen",
        "MemberCheckedIn",
        "KeyMessagePosted",
        "KeyGenerated",
        "CosignerNamed",
        "ElectionDrafted",
        "ElectionOpened",
        "BoardPublished",
        "ElectionClosed",
        "ClosingCosigned",
        "IntentPosted",
        "SharePosted",
        "TallyComputed",
        "TallySigned",
        "ResultDeclared",
    }
    opened = (await hall.events("ElectionOpened"))[0]["body"]
    assert opened == {
        "election": manifest.election,
        "manifest": b64u(manifest.hash),
        "present": 5,
        "title": "Budget",
        "secrecy": "trustees",
    }
