"""Relays, their codes and starts, and how far their outboxes were taken."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.dialects.sqlite import insert

from folkmoot_server.domain.relays import Cursor, State
from folkmoot_server.storage import schema_relays as schema


@dataclass(frozen=True, slots=True)
class Place:
    """Where the relay of a site serves its pages (empty: nowhere of its own), and until when its code is taken."""

    meeting: str
    site: str
    origin: str
    code_until: int


@dataclass(frozen=True, slots=True)
class Relay:
    """A relay as enrolled."""

    id: str
    meeting: str
    site: str
    key: bytes
    origin: str
    state: State
    epoch: int
    cursor: Cursor
    rewound: int
    caught: tuple[int, int, int]  # entries, refused ones, and since when


@dataclass(frozen=True, slots=True)
class Start:
    """A start of a relay."""

    relay: str
    epoch: int
    started_at: int
    used: bool
    clock_told: bool


def place(tx: Connection, meeting: str, site: str) -> Place | None:
    """Return what is known of a site's relay before it is enrolled."""
    table = schema.relay_place
    row = tx.execute(select(table).where(table.c.meeting == meeting, table.c.site == site)).first()
    return None if row is None else Place(row.meeting, row.site, row.origin, row.code_until)


def save_code(tx: Connection, wanted: Place, code_hash: bytes) -> None:
    """Keep a site's address and its new code in place of the old ones."""
    table = schema.relay_place
    values = {"origin": wanted.origin, "code_hash": code_hash, "code_until": wanted.code_until}
    statement = insert(table).values(meeting=wanted.meeting, site=wanted.site, **values)
    tx.execute(statement.on_conflict_do_update(index_elements=["meeting", "site"], set_=values))


def take_code(tx: Connection, code_hash: bytes, now: int) -> Place | None:
    """Use a code up and return its site; None when it is unknown, used or late."""
    table = schema.relay_place
    row = tx.execute(
        update(table)
        .where(table.c.code_hash == code_hash, table.c.code_until > now)
        .values(code_hash=b"", code_until=0)
        .returning(table.c.meeting, table.c.site, table.c.origin)
    ).first()
    return None if row is None else Place(row.meeting, row.site, row.origin, 0)


def origins(tx: Connection, meeting: str) -> dict[str, str]:
    """Return the address of each site of a meeting whose relay has one, by site."""
    table = schema.relay_place.c
    query = select(table.site, table.origin).where(table.meeting == meeting, table.origin != "")
    return {row.site: row.origin for row in tx.execute(query.order_by(table.site))}


def _relay(row: Row[Any]) -> Relay:
    return Relay(
        row.id,
        row.meeting,
        row.site,
        bytes(row.key),
        row.origin,
        State(row.state),
        row.epoch,
        Cursor(row.upto, bytes(row.head), row.last_at),
        row.rewound,
        (row.caught_entries, row.caught_refused, row.caught_from),
    )


def add(tx: Connection, relay: Relay, now: int) -> None:
    """Insert a relay that was enrolled just now."""
    tx.execute(
        schema.relay.insert().values(
            id=relay.id,
            meeting=relay.meeting,
            site=relay.site,
            key=relay.key,
            origin=relay.origin,
            state=relay.state.value,
            enrolled_at=now,
        )
    )


def find(tx: Connection, relay: str) -> Relay | None:
    """Return a relay, whatever its state."""
    row = tx.execute(select(schema.relay).where(schema.relay.c.id == relay)).first()
    return None if row is None else _relay(row)


def has_key(tx: Connection, key: bytes) -> bool:
    """Say whether a relay was enrolled with this key before."""
    return tx.execute(select(schema.relay.c.id).where(schema.relay.c.key == key).limit(1)).first() is not None


def of_site(tx: Connection, meeting: str, site: str, *states: State) -> list[Relay]:
    """Return the relays of a site in these states."""
    table = schema.relay
    where = (table.c.meeting == meeting, table.c.site == site, table.c.state.in_([state.value for state in states]))
    return [_relay(row) for row in tx.execute(select(table).where(*where).order_by(table.c.id))]


def of_meeting(tx: Connection, meeting: str) -> list[Relay]:
    """Return the relays of a meeting that are enrolled, by site."""
    table = schema.relay
    where = (table.c.meeting == meeting, table.c.state == State.ENROLLED.value)
    return [_relay(row) for row in tx.execute(select(table).where(*where).order_by(table.c.site))]


def change(tx: Connection, relay: str, **values: Any) -> None:
    """Store changed columns of a relay."""
    table = schema.relay
    tx.execute(update(table).where(table.c.id == relay).values(**values))


def add_start(tx: Connection, start: Start, token_hash: bytes) -> None:
    """Insert a start and make it the relay's newest."""
    tx.execute(
        schema.relay_session.insert().values(
            relay=start.relay,
            epoch=start.epoch,
            token_hash=token_hash,
            started_at=start.started_at,
            used=int(start.used),
            clock_told=int(start.clock_told),
        )
    )
    change(tx, start.relay, epoch=start.epoch)


def start_of(tx: Connection, token_hash: bytes) -> Start | None:
    """Return the start with this token."""
    table = schema.relay_session
    row = tx.execute(select(table).where(table.c.token_hash == token_hash)).first()
    return None if row is None else _start(row)


def start_at(tx: Connection, relay: str, epoch: int) -> Start | None:
    """Return the start of an epoch, or the newest before it where a backup knows no later one."""
    table = schema.relay_session
    query = select(table).where(table.c.relay == relay, table.c.epoch <= epoch).order_by(table.c.epoch.desc())
    row = tx.execute(query.limit(1)).first()
    return None if row is None else _start(row)


def newest_used(tx: Connection, relay: str) -> int:
    """Return the newest epoch whose token has come back, or 0."""
    table = schema.relay_session.c
    return tx.execute(select(func.max(table.epoch)).where(table.relay == relay, table.used == 1)).scalar() or 0


def mark(tx: Connection, start: Start, **values: int) -> None:
    """Note that a start's token came back (`used`), or that its clock was told of (`clock_told`)."""
    table = schema.relay_session
    tx.execute(update(table).where(table.c.relay == start.relay, table.c.epoch == start.epoch).values(**values))


def _start(row: Row[Any]) -> Start:
    return Start(row.relay, row.epoch, row.started_at, bool(row.used), bool(row.clock_told))


def take_nonce(tx: Connection, relay: str, nonce: bytes) -> bool:
    """Use up a nonce of a relay; False when it was used before."""
    table = schema.relay_nonce
    statement = insert(table).values(relay=relay, nonce=nonce)
    return tx.execute(statement.on_conflict_do_nothing()).rowcount == 1


def add_twice(tx: Connection, relay: str, now: int, within_s: int) -> int:
    """Note that a key was used by two computers; return how often within `within_s`."""
    table = schema.relay_twice
    tx.execute(table.insert().values(relay=relay, at=now))
    query = select(func.count()).where(table.c.relay == relay, table.c.at > now - within_s)
    return tx.execute(query).scalar_one()


def lease_at(tx: Connection, relay: str) -> int:
    """Return when a relay renewed its lease last, or 0."""
    return lease_ms(tx, relay) // 1000


def lease_ms(tx: Connection, relay: str) -> int:
    """Return when a relay renewed its lease last, in milliseconds, or 0."""
    table = schema.relay_lease.c
    return round((tx.execute(select(table.at).where(table.relay == relay)).scalar() or 0) * 1000)


def set_lease(tx: Connection, relay: str, at: int, ms: int = 0) -> None:
    """Note that a relay renewed its lease at `at` seconds and `ms` milliseconds."""
    exact = at + ms / 1000
    statement = insert(schema.relay_lease).values(relay=relay, at=exact)
    tx.execute(statement.on_conflict_do_update(index_elements=["relay"], set_={"at": exact}))


def heads(tx: Connection, relay: str, seqs: Iterable[int]) -> dict[int, bytes]:
    """Return the heads of those of these numbers that were taken."""
    table = schema.relay_entry.c
    rows = tx.execute(select(table.seq, table.head).where(table.relay == relay, table.seq.in_(list(seqs))))
    return {row.seq: bytes(row.head) for row in rows}


def refusals(tx: Connection, relay: str, first: int, last: int) -> list[dict[str, Any]]:
    """Return {"seq", "code"} of the entries from `first` to `last` that were refused."""
    table = schema.relay_entry.c
    where = (table.relay == relay, table.seq.between(first, last), table.refused != "")
    rows = tx.execute(select(table.seq, table.refused).where(*where).order_by(table.seq))
    return [{"seq": row.seq, "code": row.refused} for row in rows]


def add_entry(tx: Connection, relay: str, seq: int, head: bytes, refused: str) -> None:
    """Note that an entry was taken, with the code of its refusal or empty."""
    tx.execute(schema.relay_entry.insert().values(relay=relay, seq=seq, head=head, refused=refused))
