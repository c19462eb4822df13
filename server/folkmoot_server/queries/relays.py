"""What a relay is given: news of its meeting, and those parts of its feed that it does not have (relay.md)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import Connection, Select, select

from folkmoot_server.commands import closed_sessions
from folkmoot_server.domain.attendance import RETURNING
from folkmoot_server.domain.audience import Audience, Listener
from folkmoot_server.domain.closed_sessions import from_outside, hall
from folkmoot_server.domain.elections import Phase
from folkmoot_server.domain.errors import NotFound
from folkmoot_server.domain.papers import PaperClass, State
from folkmoot_server.domain.relays import kiosk_outside
from folkmoot_server.queries import papers as papers_queries
from folkmoot_server.queries.meetings import Picture
from folkmoot_server.storage import (
    elections,
    events,
    ledger,
    lineages,
    meetings,
    papers,
    rolls,
    schema,
    schema_papers,
    seats,
    sites,
)
from folkmoot_server.storage.elections import StoredElection
from folkmoot_voting.encoding import b64u, jcs

EVENTS_MAX: Final = 500
BEHIND_MAX: Final = 5000  # events; who is further behind gets the state
DIGEST: Final = 22
# What a hall gets that is outside of a closed session.
PARTS_OUTSIDE: Final = frozenset({"present", "kiosk", "members", "roll", "checkpoint"})
LEAVES_MAX: Final = 256


def digest(part: Any) -> str:
    """Return by which name a relay says that it holds a part."""
    return b64u(hashlib.sha256(jcs(part)).digest())[:DIGEST]


def needs_state(after: int, last: int) -> bool:
    """Say whether the state is told instead of the events since `after`."""
    return after == 0 or after > last or last - after > BEHIND_MAX


def events_after(tx: Connection, meeting: str, site: str, after: int) -> list[dict[str, Any]]:
    """Return at most 500 events after number `after` as halls get them: a relay serves everybody there.

    Of closed sessions those to which the hall was admitted.
    """
    listener = Listener(Audience.HALLS, hall(site))
    return [event.wire(listener) for event in events.of_meeting(tx, meeting, after, EVENTS_MAX)]


def parts(tx: Connection, meeting: str, site: str, have: Collection[str]) -> dict[str, Any]:
    """Return the parts of the feed that there are and that `have` does not name."""
    found: dict[str, Any] = {
        "kiosk": {"members": _kiosk(tx, meeting, site)},
        "present": [seat.member for seat in seats.present(tx, meeting) if seat.site == site],
        "members": _members(tx, meeting, site),
        "papers": papers_queries.for_members(tx, meeting, [item.id for item in meetings.items(tx, meeting)]),
    }
    roll = rolls.find(tx, meeting)
    if roll is not None and roll.statement is not None:
        found["roll"] = roll.statement
        found["checkpoint"] = ledger.latest_checkpoint(tx)
    manifest = _manifest(tx, meeting)
    if manifest is not None:
        found["manifest"] = manifest
    if closed_sessions.is_hall_outside(tx, meeting, site):
        found = {name: part for name, part in found.items() if name in PARTS_OUTSIDE}
        found["kiosk"] = kiosk_outside(found["kiosk"])
    return {name: part for name, part in found.items() if digest(part) not in have}


def _members(tx: Connection, meeting: str, site: str) -> list[dict[str, Any]]:
    """Return whom a relay may have to recognise: its seat list, and who has checked in there, of the roll."""
    interval = schema.attendance_interval.c
    query = select(interval.member).where(interval.meeting == meeting, interval.site == site).distinct()
    here = set(tx.scalars(query))
    stored = sites.find(tx, meeting, site)
    if stored is not None and stored.seats is not None:
        here |= set(stored.seats.members)
    entries = [entry for member in sorted(here) if (entry := rolls.entry(tx, meeting, member)) is not None]
    return [{"member": one["member"], "name": one["name"], "passkeys": one["passkeys"]} for one in entries]


def _kiosk(tx: Connection, meeting: str, site: str) -> list[dict[str, str]]:
    """Return who is there by the hall's kiosk, each with the first credential in the vote that takes ballots.

    Their keys are forgotten, so in a cut nobody in the hall could say in whose place a fresh one votes.
    """
    found = []
    vote = _open_vote(tx, meeting)
    for seat in seats.at_kiosk(tx, meeting, site):
        if (seat.present or seat.departed in RETURNING) and not seat.removed:
            own = {} if vote is None else lineages.of_owner(tx, meeting, rolls.credentials(tx, meeting, seat.member))
            lineage = None if vote is None else own.get(vote.id)
            found.append({"member": seat.member, "credential": "" if lineage is None else lineage.first})
    return found


def _open_vote(tx: Connection, meeting: str) -> StoredElection | None:
    taking = (one for one in elections.of_meeting(tx, meeting) if one.state in (Phase.OPEN, Phase.CLOSING))
    return next(taking, None)


def _manifest(tx: Connection, meeting: str) -> dict[str, Any] | None:
    """Return manifest and electorate of the election that takes ballots."""
    stored = _open_vote(tx, meeting)
    return (
        None if stored is None else {"manifest": stored.manifest, "electorate": elections.electorate(tx, stored.id)}
    )


def may_fetch(tx: Connection, meeting: str, sha256: str) -> bool:
    """Say whether bytes are of a paper, a page or its words that every member of the meeting may read."""
    version = schema_papers.paper_version.c
    if tx.execute(_ready(meeting).where(version.sha256 == sha256).limit(1)).first() is not None:
        return True
    for table in (schema_papers.paper_page, schema_papers.paper_text):
        part = table.c
        shown = _ready(meeting).join(table, (part.paper == version.paper) & (part.version == version.number))
        if tx.execute(shown.where(part.sha256 == sha256).limit(1)).first() is not None:
            return True
    return False


def pages(tx: Connection, meeting: str, paper_id: str, number: int) -> list[dict[str, str]]:
    """Return the files of the pages of a version that every member of the meeting may read.

    Raises:
        NotFound: there is no such version.
    """
    version = schema_papers.paper_version.c
    query = _ready(meeting).where(version.paper == paper_id, version.number == number)
    if tx.execute(query).first() is None:
        raise NotFound("paper.unknown", "There is no such paper.")
    return [{"sha256": one.page, "text": one.text} for one in papers.pages(tx, paper_id, number)]


def _ready(meeting: str) -> Select[tuple[str]]:
    paper, version = schema_papers.paper.c, schema_papers.paper_version.c
    ready = select(version.paper).join(schema_papers.paper, paper.id == version.paper)
    return ready.where(
        paper.meeting == meeting,
        paper.removed_at.is_(None),
        paper["class"].in_([PaperClass.OPEN.value, PaperClass.MEMBERS.value]),
        version.state == State.READY.value,
    )


def leaves(tx: Connection, first: int, size: int) -> list[str]:
    """Return the leaf hashes of the ledger of `size` leaves from number `first` on, at most 256.

    Raises:
        NotFound: the ledger never had these sizes.
    """
    found = ledger.hashes(tx)
    if not 0 <= first <= size <= len(found):
        raise NotFound("ledger.no-such-size", "The ledger never had this size.")
    return [b64u(one) for one in found[first : min(size, first + LEAVES_MAX)]]


def state(tx: Connection, drawn: Picture, site: str) -> dict[str, Any]:
    """Return Meeting of wire.md without `me`, as it is the same for everybody who may read it.

    A hall that is outside of a closed session gets what goes outside.
    """
    whole: dict[str, Any] = json.loads(drawn.text + "}")
    whole["agenda"] = json.loads(drawn.agenda)
    whole["motions"] = json.loads(drawn.motions_outside)
    whole["elections"] = [{**json.loads(one.text + "}"), "excluded": []} for one in drawn.elections]
    return from_outside(whole) if closed_sessions.is_hall_outside(tx, whole["id"], site) else whole
