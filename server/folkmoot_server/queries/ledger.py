"""Proofs about the installation's log."""

from __future__ import annotations

from sqlalchemy import Connection

from folkmoot_server.domain.errors import NotFound
from folkmoot_server.storage import ledger
from folkmoot_voting.encoding import b64u
from folkmoot_voting.merkle_log import consistency_proof


def consistency(tx: Connection, old: int, new: int) -> list[str]:
    """The RFC 6962 proof that the log of `new` leaves continues that of `old`; empty when old is 0 or new.

    Raises:
        NotFound: the ledger never had these sizes.
    """
    leaves = ledger.hashes(tx)
    if not 0 <= old <= new <= len(leaves):
        raise NotFound("ledger.no-such-size", "The ledger never had this size.")
    return [b64u(one) for one in consistency_proof(leaves[:new], old)]
