"""The bundle and the annex of a meeting, as the offline verifier reads them (voting.md section 9)."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection

from folkmoot_server.commands.keys import key_generation
from folkmoot_server.domain.elections import FINISHED
from folkmoot_server.domain.errors import NotFound
from folkmoot_server.queries.board import closing_note
from folkmoot_server.queries.elections import signatures
from folkmoot_server.storage import board, elections, ledger, meetings, rolls
from folkmoot_server.storage.elections import StoredElection
from folkmoot_voting import bundle
from folkmoot_voting.encoding import unb64u


def write_meeting(tx: Connection, meeting: str) -> tuple[bytes, bytes]:
    """Return (bundle.zip, annex.zip) of a meeting with at least one declared election.

    Raises:
        NotFound: no such meeting, or nothing was declared yet.
    """
    finished = _finished(tx, meeting)
    return _bundle(tx, meeting, finished), _annex(tx, meeting, finished)


def write_bundle(tx: Connection, meeting: str) -> bytes:
    """Return bundle.zip alone; raises as `write_meeting`."""
    return _bundle(tx, meeting, _finished(tx, meeting))


def write_annex(tx: Connection, meeting: str) -> bytes:
    """Return annex.zip alone, which names members; raises as `write_meeting`."""
    return _annex(tx, meeting, _finished(tx, meeting))


def _finished(tx: Connection, meeting: str) -> list[StoredElection]:
    meetings.get(tx, meeting)
    order = {leaf.election: leaf.index for leaf in ledger.of_meeting(tx, meeting) if leaf.type == "opened"}
    finished = [one for one in elections.of_meeting(tx, meeting) if one.state in FINISHED]
    if not finished:
        raise NotFound("export.nothing-declared", "No election of this meeting has a declared result yet.")
    return sorted(finished, key=lambda one: order[one.id])


def _bundle(tx: Connection, meeting: str, finished: list[StoredElection]) -> bytes:
    manifest = finished[0].manifest
    roll = rolls.frozen(tx, meeting)
    exported = {"", *(one.id for one in finished)}
    entries = [
        (leaf.index, json.loads(leaf.entry)) for leaf in ledger.of_meeting(tx, meeting) if leaf.election in exported
    ]
    return bundle.write_bundle(
        bundle.Bundle(
            info=bundle.make_info(
                organisation=(manifest["organisation"]["id"], manifest["organisation"]["name"]),
                meeting=(meeting, meetings.get(tx, meeting).title),
                server_key=unb64u(manifest["board"]["key"]),
                elections=[one.id for one in finished],
            ),
            roll=roll.statement or {},
            keygen=key_generation(tx, meeting).to_json(),
            ledger=bundle.make_ledger(
                manifest["ledger"]["origin"], ledger.latest_checkpoint(tx), ledger.hashes(tx), entries
            ),
            elections={one.id: _files(tx, one) for one in finished},
        )
    )


def _files(tx: Connection, stored: StoredElection) -> bundle.ElectionFiles:
    counted = stored.tally or {}
    return bundle.ElectionFiles(
        board=[json.loads(one.entry) for one in board.entries(tx, stored.id)],
        opening=stored.opening_checkpoint,
        closing=closing_note(tx, stored),
        final=stored.checkpoint,
        tally={"core": counted["core"], "signatures": signatures(tx, stored, counted)},
    )


def _annex(tx: Connection, meeting: str, finished: list[StoredElection]) -> bytes:
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
            roll=rolls.entries(tx, meeting),
            checkins=checkins,
            trustees=rolls.statements(tx, meeting, "trustee"),
            cosigners=[
                one for one in rolls.statements(tx, meeting, "cosigner") if (one["name"], one["key"]) in named
            ],
        )
    )
