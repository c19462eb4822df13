"""Sites, their leases, codes and alerts, and the moves and disputes of seats."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.dialects.sqlite import insert

from folkmoot_server.domain.errors import NotFound
from folkmoot_server.domain.sites import FIXED, LineTest, SeatList, Site, SiteKind, SiteState, fixed
from folkmoot_server.storage import schema_sites as schema


@dataclass(frozen=True, slots=True)
class Alert:
    """What chair and secretary are told of a site until they put it aside."""

    site: str
    kind: str
    at: int


@dataclass(frozen=True, slots=True)
class Dispute:
    """A member who was claimed at several sites; `decision` is empty until the chair decides."""

    id: str
    meeting: str
    member: str
    sites: tuple[str, ...]
    at: int
    decision: str


def _site(row: Row[Any]) -> Site:
    listed = json.loads(row.seats) if row.seats else None
    return Site(
        meeting=row.meeting,
        id=row.id,
        name=row.name,
        kind=SiteKind(row.kind),
        custodian=row.custodian,
        expected=row.expected,
        profile=row.profile,
        state=SiteState(row.state),
        since=row.since,
        tested=LineTest(**json.loads(row.tested)) if row.tested else None,
        seats=SeatList(tuple(listed["members"]), row.seats_at, listed["hash"]) if listed else None,
    )


def of_meeting(tx: Connection, meeting: str) -> list[Site]:
    """Return every site: the main room, the halls in the order in which they came, members by themselves."""
    table = schema.site
    query = select(table).where(table.c.meeting == meeting).order_by(table.c.position, table.c.id)
    stored = {row.id: _site(row) for row in tx.execute(query)}
    main, remote = (stored.get(name) or fixed(meeting, name) for name in FIXED)
    return [main, *(site for site in stored.values() if site.id not in FIXED), remote]


def in_states(tx: Connection, states: Collection[SiteState]) -> list[Site]:
    """Return the sites of all meetings that are in one of these states."""
    table = schema.site
    query = select(table).where(table.c.state.in_([state.value for state in states]))
    return [_site(row) for row in tx.execute(query.order_by(table.c.meeting, table.c.position))]


def find(tx: Connection, meeting: str, site: str) -> Site | None:
    """Return a site of a meeting, or None."""
    table = schema.site
    row = tx.execute(select(table).where(table.c.meeting == meeting, table.c.id == site)).first()
    if row is not None:
        return _site(row)
    return fixed(meeting, site) if site in FIXED else None


def get(tx: Connection, meeting: str, site: str) -> Site:
    """Return a site of a meeting.

    Raises:
        NotFound: there is none.
    """
    found = find(tx, meeting, site)
    if found is None:
        raise NotFound("site.unknown", "There is no such site.")
    return found


def save(tx: Connection, site: Site) -> None:
    """Insert or replace a site; a new one comes after all others. The evidence of its seat list stays."""
    table = schema.site
    last = select(func.coalesce(func.max(table.c.position), 0)).where(table.c.meeting == site.meeting)
    values = {
        "name": site.name,
        "kind": site.kind.value,
        "custodian": site.custodian,
        "expected": site.expected,
        "profile": site.profile,
        "state": site.state.value,
        "since": site.since,
        "tested": "" if site.tested is None else json.dumps(asdict(site.tested)),
        "seats": "" if site.seats is None else json.dumps({"members": site.seats.members, "hash": site.seats.hash}),
        "seats_at": 0 if site.seats is None else site.seats.at,
    }
    statement = insert(table).values(meeting=site.meeting, id=site.id, position=last.scalar_subquery() + 1, **values)
    tx.execute(statement.on_conflict_do_update(index_elements=["meeting", "id"], set_=values))


def keep_evidence(tx: Connection, meeting: str, site: str, evidence: str) -> None:
    """Keep the custodian's signature under the seat list."""
    table = schema.site
    tx.execute(update(table).where(table.c.meeting == meeting, table.c.id == site).values(seats_evidence=evidence))


def remove(tx: Connection, meeting: str, site: str) -> None:
    """Delete a site with everything that is about it alone."""
    table = schema.site
    tx.execute(table.delete().where(table.c.meeting == meeting, table.c.id == site))
    for about in (schema.site_lease, schema.site_secret, schema.site_alert):
        tx.execute(about.delete().where(about.c.meeting == meeting, about.c.site == site))


def lease_at(tx: Connection, meeting: str, site: str) -> int:
    """Return when the site's page or relay was heard last, or 0."""
    return lease_ms(tx, meeting, site) // 1000


def lease_ms(tx: Connection, meeting: str, site: str) -> int:
    """Return when the site's page or relay was heard last, in milliseconds, or 0."""
    table = schema.site_lease.c
    at = tx.execute(select(table.at).where(table.meeting == meeting, table.site == site)).scalar() or 0
    return round(at * 1000)


def set_lease(tx: Connection, meeting: str, site: str, at: int, ms: int = 0) -> None:
    """Note that a site was heard at `at` seconds and `ms` milliseconds."""
    exact = at + ms / 1000
    statement = insert(schema.site_lease).values(meeting=meeting, site=site, at=exact)
    tx.execute(statement.on_conflict_do_update(index_elements=["meeting", "site"], set_={"at": exact}))


def secret(tx: Connection, meeting: str, site: str) -> bytes | None:
    """Return what the codes of a site are made from, or None while nobody has asked for one."""
    table = schema.site_secret.c
    return tx.execute(select(table.secret).where(table.meeting == meeting, table.site == site)).scalar()


def secrets(tx: Connection, meeting: str) -> dict[str, bytes]:
    """Return what the codes of every site of a meeting are made from."""
    table = schema.site_secret.c
    rows = tx.execute(select(table.site, table.secret).where(table.meeting == meeting))
    return {row.site: row.secret for row in rows}


def add_secret(tx: Connection, meeting: str, site: str, value: bytes) -> None:
    """Keep what the codes of a site are made from."""
    tx.execute(schema.site_secret.insert().values(meeting=meeting, site=site, secret=value))


def alerts(tx: Connection, meeting: str) -> list[Alert]:
    """Return what nobody has put aside, the oldest first."""
    table = schema.site_alert
    query = select(table).where(table.c.meeting == meeting).order_by(table.c.at, table.c.site, table.c.kind)
    return [Alert(row.site, row.kind, row.at) for row in tx.execute(query)]


def raise_alert(tx: Connection, meeting: str, site: str, kind: str, at: int) -> bool:
    """Tell chair and secretary of something about a site; the newest of a kind takes the older one's place.

    Return whether there was none of the kind.
    """
    table = schema.site_alert.c
    known = select(table.at).where(table.meeting == meeting, table.site == site, table.kind == kind)
    new = tx.execute(known).first() is None
    statement = insert(schema.site_alert).values(meeting=meeting, site=site, kind=kind, at=at)
    tx.execute(statement.on_conflict_do_update(index_elements=["meeting", "site", "kind"], set_={"at": at}))
    return new


def dismiss_alert(tx: Connection, meeting: str, site: str, kind: str) -> bool:
    """Put an alert aside; return whether there was one."""
    table = schema.site_alert
    where = (table.c.meeting == meeting, table.c.site == site, table.c.kind == kind)
    return tx.execute(table.delete().where(*where)).rowcount > 0


def add_move(tx: Connection, meeting: str, member: str, sites: tuple[str, str], at: int) -> None:
    """Note that a member moved from one site to another."""
    before, after = sites
    tx.execute(
        schema.seat_move.insert().values(meeting=meeting, member=member, from_site=before, to_site=after, at=at)
    )


def moves_since(tx: Connection, meeting: str, member: str, at: int) -> list[tuple[str, str]]:
    """Return the moves of a member from a time on, as (from, to), the oldest first."""
    table = schema.seat_move
    where = (table.c.meeting == meeting, table.c.member == member, table.c.at >= at)
    return [(row.from_site, row.to_site) for row in tx.execute(select(table).where(*where).order_by(table.c.id))]


def _dispute(row: Row[Any]) -> Dispute:
    return Dispute(row.id, row.meeting, row.member, tuple(json.loads(row.sites)), row.at, row.decision)


def disputes(tx: Connection, meeting: str, members: Collection[str] = ()) -> list[Dispute]:
    """Return the disputes that the chair has not decided, of some members or of all, the oldest first."""
    table = schema.dispute
    query = select(table).where(table.c.meeting == meeting, table.c.decision == "")
    if members:
        query = query.where(table.c.member.in_(members))
    return [_dispute(row) for row in tx.execute(query.order_by(table.c.at, table.c.id))]


def dispute(tx: Connection, meeting: str, dispute_id: str) -> Dispute:
    """Return a dispute of a meeting.

    Raises:
        NotFound: there is none.
    """
    table = schema.dispute
    row = tx.execute(select(table).where(table.c.meeting == meeting, table.c.id == dispute_id)).first()
    if row is None:
        raise NotFound("dispute.unknown", "There is no such dispute.")
    return _dispute(row)


def add_dispute(tx: Connection, found: Dispute) -> None:
    """Insert a dispute."""
    tx.execute(schema.dispute.insert().values(**{**asdict(found), "sites": json.dumps(found.sites)}))


def decide(tx: Connection, dispute_id: str, decision: str) -> None:
    """Keep what the chair decided."""
    tx.execute(update(schema.dispute).where(schema.dispute.c.id == dispute_id).values(decision=decision))
