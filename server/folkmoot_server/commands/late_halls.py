"""Halls that a vote did not reach at its end, and those whose ballots came after it: the tally's `halls`."""

from __future__ import annotations

from sqlalchemy import Connection

from folkmoot_server.domain.elections import Phase
from folkmoot_server.domain.relays import DEGRADED_S
from folkmoot_server.storage import elections, halls, relays, sites
from folkmoot_server.storage.elections import StoredElection
from folkmoot_voting.ballot import CheckedBallot

# Until the count is made; nothing is said in it of what comes after it.
UNCOUNTED = (Phase.CLOSING, Phase.CLOSED, Phase.COUNTING, Phase.TIED)


def find_unreachable(tx: Connection, stored: StoredElection) -> None:
    """Note the halls whose relay was heard, but not in the last seconds of the grace; call it to seal the box."""
    for relay in relays.of_meeting(tx, stored.meeting):
        heard_at = relays.lease_at(tx, relay.id)
        if 0 < heard_at < stored.grace_until - DEGRADED_S:
            halls.add(tx, stored.id, relay.site, _name(tx, stored.meeting, relay.site))


def note(tx: Connection, meeting: str, election: str, site: str, checked: CheckedBallot) -> None:
    """Count a ballot that is in order but came after the grace, once, until the count is made."""
    stored = elections.get(tx, meeting, election)
    if stored.state in UNCOUNTED and halls.is_new(tx, election, checked.leaf):
        halls.add(tx, election, site, _name(tx, meeting, site), ballots=1)


def _name(tx: Connection, meeting: str, site: str) -> str:
    found = sites.find(tx, meeting, site)
    return "" if found is None else found.name
