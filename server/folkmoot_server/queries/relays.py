"""What a relay is given: news of its meeting, and those parts of its feed that it does not have (relay.md)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import Connection, select

from folkmoot_server.domain.audience import Audience
from folkmoot_server.domain.elections import Phase
from folkmoot_server.domain.papers import PaperClass, State
from folkmoot_server.queries.meetings import Picture
from folkmoot_server.storage import elections, events, ledger, rolls, schema, schema_papers, seats, sites
from folkmoot_voting.encoding import b64u, jcs

EVENTS_MAX: Final = 500
BEHIND_MAX: Final = 5000  # events; who is further behind gets the state
DIGEST: Final = 22


def digest(part: Any) -> str:
    """Return by which name a relay says that it holds a part."""
    return b64u(hashlib.sha256(jcs(part)).digest())[:DIGEST]


def needs_state(after: int, last: int) -> bool:
    """Say whether the state is told instead of the events since `after`."""
    return after == 0 or after > last or last - after > BEHIND_MAX


def events_after(tx: Connection, meeting: str, after: int) -> list[dict[str, Any]]:
    """Return at most 500 events after number `after`, as observers get them: a relay serves everybody in its hall."""
    return [event.wire(Audience.OBSERVERS) for event in events.of_meeting(tx, meeting, after, EVENTS_MAX)]


def parts(tx: Connection, meeting: str, site: str, have: Collection[str]) -> dict[str, Any]:
    """Return the parts of the feed that there are and that `have` does not name."""
    found: dict[str, Any] = {
        "present": [seat.member for seat in seats.present(tx, meeting) if seat.site == site],
        "members": _members(tx, meeting, site),
    }
    roll = rolls.find(tx, meeting)
    if roll is not None and roll.statement is not None:
        found["roll"] = roll.statement
        found["checkpoint"] = ledger.latest_checkpoint(tx)
    manifest = _manifest(tx, meeting)
    if manifest is not None:
        found["manifest"] = manifest
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


def _manifest(tx: Connection, meeting: str) -> dict[str, Any] | None:
    """Return manifest and electorate of the election that takes ballots."""
    for stored in elections.of_meeting(tx, meeting):
        if stored.state in (Phase.OPEN, Phase.CLOSING):
            return {"manifest": stored.manifest, "electorate": elections.electorate(tx, stored.id)}
    return None


def may_fetch(tx: Connection, meeting: str, sha256: str) -> bool:
    """Say whether bytes are of a paper, or of a page of one, that every member of the meeting may read."""
    paper, version, page = schema_papers.paper.c, schema_papers.paper_version.c, schema_papers.paper_page.c
    ready = select(version.paper).join(schema_papers.paper, paper.id == version.paper)
    ready = ready.where(
        paper.meeting == meeting,
        paper.removed_at.is_(None),
        paper["class"].in_([PaperClass.OPEN.value, PaperClass.MEMBERS.value]),
        version.state == State.READY.value,
    )
    if tx.execute(ready.where(version.sha256 == sha256).limit(1)).first() is not None:
        return True
    shown = ready.join(schema_papers.paper_page, (page.paper == version.paper) & (page.version == version.number))
    return tx.execute(shown.where(page.sha256 == sha256).limit(1)).first() is not None


def state(drawn: Picture) -> dict[str, Any]:
    """Return Meeting of wire.md without `me`, as it is the same for everybody who may read it."""
    whole: dict[str, Any] = json.loads(drawn.text + "}")
    whole["agenda"] = json.loads(drawn.agenda)
    whole["motions"] = json.loads(drawn.motions_outside)
    whole["elections"] = [{**json.loads(one.text + "}"), "excluded": []} for one in drawn.elections]
    return whole
