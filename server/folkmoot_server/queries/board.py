"""The board of an election page by page, and proofs that a ballot is on it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from folkmoot_server.domain.elections import FINISHED
from folkmoot_server.domain.errors import NotFound
from folkmoot_server.storage import board, elections
from folkmoot_server.storage.elections import StoredElection
from folkmoot_voting.encoding import b64u
from folkmoot_voting.merkle_log import inclusion_proof, parse_note, parse_signature_line

PAGE = 500
# Five hundred of the longest ballots would be over 100 MB; whoever reads asks for the rest.
PAGE_BYTES = 4 * 1024 * 1024


def page(tx: Connection, meeting: str, election: str, start: int) -> dict[str, Any]:
    """Up to 500 entries as JCS text from index `start`, with the checkpoints (empty until they exist).

    Of long entries there are fewer: 4 MiB at most, but one entry at least.

    Raises:
        NotFound: no such election, or it was not opened.
    """
    stored = elections.get(tx, meeting, election)
    needed = stored.manifest["cosign_quorum"]
    return {
        "entries": [one.entry.decode() for one in board.entries(tx, election, start, PAGE, PAGE_BYTES)],
        "size": board.size(tx, election),
        "opening": stored.opening_checkpoint,
        "closing": closing_note(tx, stored),
        "cosignatures": len(elections.cosignature_lines(tx, election)),
        "needed": needed,
        "final": stored.checkpoint if stored.state in FINISHED else "",
    }


def closing_note(tx: Connection, stored: StoredElection) -> str:
    """The closing checkpoint with every cosignature, or an empty string before closing."""
    if not stored.closing_checkpoint:
        return ""
    note = parse_note(stored.closing_checkpoint)
    for line in elections.cosignature_lines(tx, stored.id).values():
        note = note.with_signature(parse_signature_line(line))
    return note.text()


def inclusion(tx: Connection, meeting: str, election: str, leaf: bytes) -> dict[str, Any]:
    """{"index", "size", "proof", "checkpoint"} for a published entry, against the newest signed checkpoint.

    Once the board is closed, an entry of the box is proved against the closing checkpoint with its cosignatures.

    Raises:
        NotFound: no such election, or the entry is not published yet.
    """
    stored = elections.get(tx, meeting, election)
    index = board.find(tx, election, leaf)
    if index is None:
        raise NotFound("board.not-published", "This entry is not on the board yet.")
    leaves, checkpoint = board.leaves(tx, election), stored.checkpoint
    closing = closing_note(tx, stored)
    closed = parse_note(closing).checkpoint.size if closing else 0
    if index < closed:
        leaves, checkpoint = leaves[:closed], closing
    return {
        "index": index,
        "size": len(leaves),
        "proof": [b64u(one) for one in inclusion_proof(leaves, index)],
        "checkpoint": checkpoint,
    }
