"""Elections, their electorates, cosignatures and tally signatures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from folkmoot_server.domain.elections import RUNNING, Phase
from folkmoot_server.domain.errors import Conflict, NotFound
from folkmoot_server.storage import schema

# A national electorate's list is large and seldom needed: it has a function of its own.
_COLUMNS = [column for column in schema.election.c if column.name != "electorate"]


@dataclass(frozen=True, slots=True)
class Clock:
    """When things are due in one election, in seconds UTC."""

    meeting: str
    election: str
    state: Phase
    closes_at: int
    time_limit: int


@dataclass(frozen=True, slots=True)
class StoredElection:
    """One election as stored; columns that are not filled yet are empty strings or 0."""

    id: str
    meeting: str
    agenda_item: str
    title: str
    type: str
    text: str
    options: list[str]
    majority: dict[str, str]
    state: Phase
    position: int
    manifest_text: str
    time_limit: int
    closes_at: int
    aggregate_text: str
    tally_text: str
    opening_checkpoint: str
    closing_checkpoint: str
    checkpoint: str
    version: int

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest of an election that was opened.

        Raises:
            NotFound: it is still a draft.
        """
        if not self.manifest_text:
            raise NotFound("election.not-opened", "This election has not been opened.")
        return dict(json.loads(self.manifest_text))

    @property
    def aggregate(self) -> dict[str, Any] | None:
        """{"pairs", "hash"} once computed from the closed board."""
        return dict(json.loads(self.aggregate_text)) if self.aggregate_text else None

    @property
    def tally(self) -> dict[str, Any] | None:
        """{"core", "server"} once counted."""
        return dict(json.loads(self.tally_text)) if self.tally_text else None


def add_draft(tx: Connection, values: dict[str, Any]) -> None:
    """Store a drafted question as an election; `options` is a list."""
    position = tx.execute(
        select(func.count()).select_from(schema.election).where(schema.election.c.meeting == values["meeting"])
    ).scalar_one()
    tx.execute(
        schema.election.insert().values(
            **{**values, "options": json.dumps(values["options"], ensure_ascii=False)},
            state=Phase.DRAFT.value,
            position=int(position) + 1,
        )
    )


def get(tx: Connection, meeting: str, election: str) -> StoredElection:
    """Load one election of a meeting.

    Raises:
        NotFound: the meeting has no such election.
    """
    row = tx.execute(
        select(*_COLUMNS).where(schema.election.c.id == election, schema.election.c.meeting == meeting)
    ).first()
    if row is None:
        raise NotFound("election.unknown", "There is no such election in this meeting.")
    return _election(row)


def electorate(tx: Connection, election: str) -> list[dict[str, Any]]:
    """The list behind the manifest's electorate hash; empty for a draft."""
    text = tx.execute(select(schema.election.c.electorate).where(schema.election.c.id == election)).scalar()
    return list(json.loads(text)) if text else []


def of_meeting(tx: Connection, meeting: str) -> list[StoredElection]:
    """All elections of a meeting in the order of drafting."""
    rows = tx.execute(
        select(*_COLUMNS).where(schema.election.c.meeting == meeting).order_by(schema.election.c.position)
    )
    return [_election(row) for row in rows]


def clocks(tx: Connection, *states: Phase) -> list[Clock]:
    """The times of every election in these states, 0 for one not set."""
    table = schema.election.c
    rows = tx.execute(
        select(table.meeting, table.id, table.state, table.closes_at, table.time_limit).where(
            table.state.in_([state.value for state in states])
        )
    )
    return [Clock(row.meeting, row.id, Phase(row.state), row.closes_at or 0, row.time_limit or 0) for row in rows]


def is_running(tx: Connection, meeting: str) -> bool:
    """Whether an election of the meeting is opened and not yet declared."""
    return (
        tx.execute(
            select(schema.election.c.id)
            .where(
                schema.election.c.meeting == meeting,
                schema.election.c.state.in_([state.value for state in RUNNING]),
            )
            .limit(1)
        ).first()
        is not None
    )


def save(tx: Connection, election: StoredElection, state: Phase, **changes: Any) -> None:
    """Store a new state and changed columns (JSON columns as values).

    Raises:
        Conflict: somebody else changed the election since it was loaded.
    """
    for name in ("manifest", "electorate", "aggregate", "tally"):
        if name in changes:
            changes[name] = json.dumps(changes[name], sort_keys=True, ensure_ascii=False)
    done = tx.execute(
        update(schema.election)
        .where(schema.election.c.id == election.id, schema.election.c.version == election.version)
        .values(state=state.value, version=election.version + 1, **changes)
    )
    if done.rowcount != 1:
        raise Conflict("election.changed", "The election has just been changed; load it again.")


def add_electorate(tx: Connection, election: str, credentials: list[str]) -> None:
    """Make one seat for each credential that may vote."""
    for credential in credentials:
        tx.execute(schema.electorate_seat.insert().values(election=election, credential=credential, leaf=None))


def seat_leaf(tx: Connection, election: str, credential: str) -> tuple[bool, bytes | None]:
    """Whether the credential may vote, and the leaf of the ballot it has cast."""
    row = tx.execute(
        select(schema.electorate_seat.c.leaf).where(
            schema.electorate_seat.c.election == election, schema.electorate_seat.c.credential == credential
        )
    ).first()
    if row is None:
        return False, None
    return True, None if row.leaf is None else bytes(row.leaf)


def take_seat(tx: Connection, election: str, credential: str, leaf: bytes) -> bool:
    """Record that the credential has voted; False when it had already or is unknown."""
    done = tx.execute(
        update(schema.electorate_seat)
        .where(
            schema.electorate_seat.c.election == election,
            schema.electorate_seat.c.credential == credential,
            schema.electorate_seat.c.leaf.is_(None),
        )
        .values(leaf=leaf)
    )
    return bool(done.rowcount == 1)


def cast_count(tx: Connection, election: str) -> int:
    """How many ballots were accepted."""
    return int(
        tx.execute(
            select(func.count())
            .select_from(schema.electorate_seat)
            .where(schema.electorate_seat.c.election == election, schema.electorate_seat.c.leaf.is_not(None))
        ).scalar_one()
    )


def cosignature_lines(tx: Connection, election: str) -> dict[str, str]:
    """The cosignature lines by cosigner's name."""
    rows = tx.execute(
        select(schema.cosignature.c.name, schema.cosignature.c.line)
        .where(schema.cosignature.c.election == election)
        .order_by(schema.cosignature.c.name)
    )
    return {row.name: row.line for row in rows}


def add_cosignature(tx: Connection, election: str, name: str, line: str) -> None:
    """Store one cosigner's line."""
    tx.execute(schema.cosignature.insert().values(election=election, name=name, line=line))


def tally_signatures(tx: Connection, election: str) -> dict[str, str]:
    """Signatures on the tally by signer: "chair" or a trustee's index as text."""
    rows = tx.execute(
        select(schema.tally_signature.c.signer, schema.tally_signature.c.sig).where(
            schema.tally_signature.c.election == election
        )
    )
    return {row.signer: row.sig for row in rows}


def add_tally_signature(tx: Connection, election: str, signer: str, sig: str) -> None:
    """Store one signature on the tally."""
    tx.execute(schema.tally_signature.insert().values(election=election, signer=signer, sig=sig))


def _election(row: Row[Any]) -> StoredElection:
    return StoredElection(
        id=row.id,
        meeting=row.meeting,
        agenda_item=row.agenda_item,
        title=row.title,
        type=row.type,
        text=row.text,
        options=json.loads(row.options),
        majority={"kind": row.majority_kind, "of": row.majority_of},
        state=Phase(row.state),
        position=row.position,
        manifest_text=row.manifest or "",
        time_limit=row.time_limit or 0,
        closes_at=row.closes_at or 0,
        aggregate_text=row.aggregate or "",
        tally_text=row.tally or "",
        opening_checkpoint=row.opening_checkpoint or "",
        closing_checkpoint=row.closing_checkpoint or "",
        checkpoint=row.checkpoint or "",
        version=row.version,
    )
