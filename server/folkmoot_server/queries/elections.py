"""What members see of elections: summaries, manifest, board, inclusion proofs and tally."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from folkmoot_server.domain.errors import NotFound
from folkmoot_server.storage import board, elections, rolls
from folkmoot_server.storage.elections import StoredElection
from folkmoot_voting.encoding import b64u
from folkmoot_voting.tally import tally_hash


def summaries(tx: Connection, meeting: str, member: str) -> list[dict[str, Any]]:
    """Every election of a meeting as ElectionSummary of wire.md, as `member` sees it."""
    owned = rolls.credentials(tx, meeting, member)
    return [_summary(tx, stored, owned) for stored in elections.of_meeting(tx, meeting)]


def manifest(tx: Connection, meeting: str, election: str) -> dict[str, Any]:
    """{"manifest", "electorate"} of an opened election.

    Raises:
        NotFound: no such election, or it was not opened.
    """
    stored = elections.get(tx, meeting, election)
    return {"manifest": stored.manifest, "electorate": elections.electorate(tx, election)}


def tally(tx: Connection, meeting: str, election: str) -> dict[str, Any]:
    """{"core", "tally_hash", "signatures", "entries"} of a counted election; absent signatures are "".

    Raises:
        NotFound: no such election, or it was not counted.
    """
    stored = elections.get(tx, meeting, election)
    counted = stored.tally
    if counted is None:
        raise NotFound("tally.not-counted", "This election has not been counted yet.")
    return {
        "core": counted["core"],
        "tally_hash": b64u(tally_hash(counted["core"])),
        "signatures": signatures(tx, stored, counted),
        "entries": board.size(tx, election),
    }


def signatures(tx: Connection, stored: StoredElection, counted: dict[str, Any]) -> dict[str, Any]:
    """The `signatures` of tally.json as far as they are there."""
    given = elections.tally_signatures(tx, stored.id)
    return {
        "server": counted["server"],
        "chair": given.get("chair", ""),
        "trustees": [
            {"trustee": index, "sig": given[f"trustee-{index}"]}
            for index in counted["core"]["trustees"]
            if f"trustee-{index}" in given
        ],
    }


def _summary(tx: Connection, stored: StoredElection, owned: list[str]) -> dict[str, Any]:
    counted = stored.tally
    return {
        "election": stored.id,
        "agenda_item": stored.agenda_item,
        "title": stored.title,
        "type": stored.type,
        "text": stored.text,
        "options": stored.options,
        "majority": stored.majority,
        "state": stored.state.value,
        "electorate_size": stored.manifest["electorate_size"] if stored.manifest_text else 0,
        "cast": elections.cast_count(tx, stored.id),
        "voted": any(elections.seat_leaf(tx, stored.id, credential)[1] is not None for credential in owned),
        "result": None if counted is None else counted["core"],
    }
