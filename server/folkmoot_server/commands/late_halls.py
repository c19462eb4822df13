"""Halls that a vote did not reach at its end, and those whose ballots came after it: the tally's `halls`."""

from __future__ import annotations

from sqlalchemy import Connection

from folkmoot_server.domain.elections import Phase
from folkmoot_server.domain.relays import DEGRADED_S
from folkmoot_server.storage import elections, halls, lineages, relays, sites
from folkmoot_server.storage.elections import StoredElection
from folkmoot_voting.ballot import Ballot, CheckedBallot
from folkmoot_voting.encoding import b64u
from folkmoot_voting.errors import VotingError

# Until the count is made; nothing is said in it of what comes after it.
UNCOUNTED = (Phase.CLOSING, Phase.CLOSED, Phase.COUNTING, Phase.TIED)


def find_unreachable(tx: Connection, stored: StoredElection) -> None:
    """Note the halls whose relay was heard, but not in the last seconds of the grace; call it to seal the box."""
    for relay in relays.of_meeting(tx, stored.meeting):
        heard_at = relays.lease_at(tx, relay.id)
        if 0 < heard_at < stored.grace_until - DEGRADED_S:
            halls.add(tx, stored.id, relay.site, _name(tx, stored.meeting, relay.site))


def note(tx: Connection, meeting: str, election: str, site: str, checked: CheckedBallot) -> None:
    """Count a ballot that would have been taken but for the end of the grace, once, until the count is made."""
    stored = elections.get(tx, meeting, election)
    if stored.state not in UNCOUNTED or not _would_count(tx, stored, checked.ballot):
        return
    if halls.is_new(tx, election, checked.leaf):
        halls.add(tx, election, site, _name(tx, meeting, site), ballots=1)


def _would_count(tx: Connection, stored: StoredElection, ballot: Ballot) -> bool:
    seat = lineages.find(tx, stored.id, b64u(ballot.credential))
    if seat is None or seat.lineage.current != ballot.credential:
        return False
    if seat.lineage.voted and stored.opened.voting_again == "once":
        return False
    try:
        seat.lineage.check_ballot(stored.opened, ballot)
    except VotingError:
        return False
    return True


def _name(tx: Connection, meeting: str, site: str) -> str:
    found = sites.find(tx, meeting, site)
    return "" if found is None else found.name
