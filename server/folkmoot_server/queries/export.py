"""The bundle and the annex of a meeting, as the offline verifier reads them (voting.md section 9)."""

from __future__ import annotations

import json
from typing import Any

from pyrage import encrypt, x25519
from sqlalchemy import Connection

from folkmoot_server.commands import attendance_log
from folkmoot_server.commands.keys import key_generation
from folkmoot_server.domain.elections import FINISHED
from folkmoot_server.domain.errors import Conflict, NotFound
from folkmoot_server.queries.board import closing_note
from folkmoot_server.queries.elections import signatures
from folkmoot_server.storage import attendance_log as attendance_marks
from folkmoot_server.storage import board, elections, keys, ledger, lineages, meetings, members, rolls, units
from folkmoot_server.storage.elections import StoredElection
from folkmoot_voting import attendance, bundle
from folkmoot_voting.encoding import JsonObject, b64u, unb64u
from folkmoot_voting.keygen import empty_json

KEEP_S = 365 * 86_400  # how long auditors keep an annex, unless the challenge period is longer


def write_meeting(tx: Connection, meeting: str, now: int) -> tuple[bytes, bytes]:
    """Return (bundle.zip, annex.zip in clear) of a meeting with at least one declared election.

    Raises:
        NotFound: no such meeting, or nothing was declared yet.
    """
    finished = _finished(tx, meeting)
    return _bundle(tx, meeting, finished), _annex(tx, meeting, finished, _auditors(tx, meeting, now), now)


def write_bundle(tx: Connection, meeting: str) -> bytes:
    """Return bundle.zip alone; raises as `write_meeting`."""
    return _bundle(tx, meeting, _finished(tx, meeting))


def write_sealed_annex(tx: Connection, meeting: str, now: int) -> bytes:
    """Return annex.zip, which names members, as an age file for the auditors who have registered a recipient.

    Raises:
        NotFound: no such meeting, or nothing was declared yet.
        Conflict: no auditor has registered one.
    """
    auditors = _auditors(tx, meeting, now)
    if not auditors:
        raise Conflict("annex.no-auditor", "No auditor of this meeting has registered a key for the annex.")
    plain = _annex(tx, meeting, _finished(tx, meeting), auditors, now)
    return bytes(encrypt(plain, [x25519.Recipient.from_str(recipient) for _, recipient in auditors]))


def _auditors(tx: Connection, meeting: str, now: int) -> list[tuple[str, str]]:
    lineage = units.lineage(tx, meetings.get(tx, meeting).unit)
    return [(member.name, recipient) for member, recipient in members.auditors(tx, lineage, now)]


def _finished(tx: Connection, meeting: str) -> list[StoredElection]:
    meetings.get(tx, meeting)
    order = {leaf.election: leaf.index for leaf in ledger.of_meeting(tx, meeting) if leaf.type == "opened"}
    finished = [one for one in elections.of_meeting(tx, meeting) if one.state in FINISHED]
    if not finished:
        raise NotFound("export.nothing-declared", "No election of this meeting has a declared result yet.")
    return sorted(finished, key=lambda one: order[one.id])


def _bundle(tx: Connection, meeting: str, finished: list[StoredElection]) -> bytes:
    manifest = finished[0].manifest
    roll, facts, key = rolls.frozen(tx, meeting), meetings.get(tx, meeting), key_generation(tx, meeting)
    exported = {"", *(one.id for one in finished)}
    entries = [
        (leaf.index, json.loads(leaf.entry)) for leaf in ledger.of_meeting(tx, meeting) if leaf.election in exported
    ]
    transcript = "" if key.result is None else b64u(key.transcript)
    # The ledger also holds a key that was made again before a vote was opened with it; the bundle has the last one.
    entries = [(index, entry) for index, entry in entries if entry["type"] != "key" or entry["hash"] == transcript]
    return bundle.write_bundle(
        bundle.Bundle(
            info=bundle.make_info(
                organisation=(manifest["organisation"]["id"], manifest["organisation"]["name"]),
                meeting=(meeting, facts.title),
                rehearsal=facts.rehearsal,
                server_key=unb64u(manifest["board"]["key"]),
                elections=[one.id for one in finished],
            ),
            roll=roll.statement or {},
            keygen=empty_json(meeting) if key.result is None else key.to_json(),
            destroyed={"v": 1, "meeting": meeting, "statements": keys.destroyed(tx, meeting)},
            ledger=bundle.make_ledger(
                manifest["ledger"]["origin"], ledger.latest_checkpoint(tx), ledger.hashes(tx), entries
            ),
            elections={one.id: _files(tx, one) for one in finished},
            marks=_marks(tx, meeting, finished),
        )
    )


def _marks(tx: Connection, meeting: str, finished: list[StoredElection]) -> list[JsonObject]:
    """Return what these votes have signed of the attendance log, in the ledger's order."""
    known = attendance_marks.marks(tx, meeting)
    wanted = [(one.id, when) for one in finished for when in (attendance.OPENING, attendance.CLOSING)]
    return [known[place] for place in wanted if place in known]


def _files(tx: Connection, stored: StoredElection) -> bundle.ElectionFiles:
    counted = stored.tally or {}
    return bundle.ElectionFiles(
        board=[json.loads(one.entry) for one in board.entries(tx, stored.id)],
        electorate=elections.electorate(tx, stored.id),
        opening=stored.opening_checkpoint,
        closing=closing_note(tx, stored),
        final=stored.checkpoint,
        tally={"core": counted["core"], "signatures": signatures(tx, stored, counted)},
        rejected=[json.loads(raw) for raw in elections.rejected_shares(tx, stored.id)],
    )


def _annex(
    tx: Connection, meeting: str, finished: list[StoredElection], auditors: list[tuple[str, str]], now: int
) -> bytes:
    electorates = {one.id: {seat["credential"] for seat in elections.electorate(tx, one.id)} for one in finished}
    checkins: list[dict[str, Any]] = [
        {
            **one.statement,
            "elections": [name for name, credentials in electorates.items() if one.credential in credentials],
        }
        for one in rolls.check_ins(tx, meeting)
    ]
    named = {(cosigner["name"], cosigner["key"]) for one in finished for cosigner in one.manifest["cosigners"]}
    return bundle.write_annex(
        bundle.make_annex(
            meeting=meeting,
            made_at=now,
            keep_until=now + max(KEEP_S, meetings.get(tx, meeting).challenge_s),
            auditors=[name for name, _ in auditors],
            roll=rolls.entries(tx, meeting),
            checkins=checkins,
            replacements=[one for election in finished for one in lineages.replacements(tx, election.id)],
            exclusions=[one for election in finished for one in elections.applied_exclusions(tx, election.id)],
            trustees=rolls.statements(tx, meeting, "trustee") if key_generation(tx, meeting).result else [],
            cosigners=[
                one for one in rolls.statements(tx, meeting, "cosigner") if (one["name"], one["key"]) in named
            ],
            attempts=keys.ended_attempts(tx, meeting),
        ),
        attendance_log.lines(tx, meeting, max((one["count"] for one in _marks(tx, meeting, finished)), default=0)),
    )
