"""Elections, their electorates' lists, exclusions, cosignatures, evidence and tally signatures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from folkmoot_server.domain.elections import RUNNING, Phase
from folkmoot_server.domain.errors import Conflict, NotFound
from folkmoot_server.storage import schema
from folkmoot_server.storage.schema_conduct import vote_timer
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.questions import Question
from folkmoot_voting.tally import BoardNumbers

# A national electorate's list is large and seldom needed: it has a function of its own.
_COLUMNS = [column for column in schema.election.c if column.name != "electorate"]
_NUMBERS = ("ballots", "cast", "cast_weight", "replacements", "kiosk", "voids")


@dataclass(frozen=True, slots=True)
class Clock:
    """When things are due in one election, in seconds UTC; 0 for what is not set."""

    meeting: str
    election: str
    state: Phase
    closes_at: int
    grace_until: int
    time_limit: int
    secret: bool
    cast: int
    summed: bool


@dataclass(frozen=True, slots=True)
class StoredElection:
    """One election as stored; columns that are not filled yet are empty strings or 0."""

    id: str
    meeting: str
    agenda_item: str
    title: str
    questions: tuple[Question, ...]
    secrecy: str
    voting_again: str
    majority: dict[str, str]
    tie: str
    kiosk_allowed: bool
    grace_s: int
    closes_after_s: int
    state: Phase
    position: int
    manifest_text: str
    time_limit: int
    closes_at: int
    ended_at: int
    grace_until: int
    aggregate_text: str
    counts_text: str
    tally_text: str
    opening_checkpoint: str
    closing_checkpoint: str
    checkpoint: str
    numbers: BoardNumbers
    version: int

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest of an election that was opened.

        Raises:
            NotFound: it is still a draft.
        """
        return dict(self.opened.json)

    @property
    def opened(self) -> Manifest:
        """The manifest, parsed; the same object for the same text.

        Raises:
            NotFound: it is still a draft.
        """
        if not self.manifest_text:
            raise NotFound("election.not-opened", "This election has not been opened.")
        return _parsed(self.manifest_text)

    @property
    def aggregate(self) -> dict[str, Any] | None:
        """{"pairs", "hash"} once computed from the closed board."""
        return dict(json.loads(self.aggregate_text)) if self.aggregate_text else None

    @property
    def counts(self) -> dict[str, Any] | None:
        """{"counts", "aggregate"} once the box was opened."""
        return dict(json.loads(self.counts_text)) if self.counts_text else None

    @property
    def tally(self) -> dict[str, Any] | None:
        """{"core", "server"} once counted and every tie decided."""
        return dict(json.loads(self.tally_text)) if self.tally_text else None


@lru_cache(maxsize=64)
def _parsed(text: str) -> Manifest:
    return Manifest.from_json(json.loads(text))


def add_draft(tx: Connection, values: dict[str, Any]) -> None:
    """Store a drafted election; `questions` is a list of JSON objects."""
    position = tx.execute(
        select(func.count()).select_from(schema.election).where(schema.election.c.meeting == values["meeting"])
    ).scalar_one()
    tx.execute(
        schema.election.insert().values(
            **{**values, "questions": json.dumps(values["questions"], ensure_ascii=False)},
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


def by_manifest(tx: Connection, manifest_hash: bytes) -> StoredElection:
    """Load the election with this manifest hash.

    Raises:
        NotFound: there is none.
    """
    row = tx.execute(select(*_COLUMNS).where(schema.election.c.manifest_hash == manifest_hash)).first()
    if row is None:
        raise NotFound("election.unknown-manifest", "There is no election with this manifest here.")
    return _election(row)


def clocks(tx: Connection, *states: Phase) -> list[Clock]:
    """The times of every election in these states."""
    table = schema.election.c
    columns = (table.closes_at, table.grace_until, table.time_limit, table.secrecy, table.cast, table.aggregate)
    rows = tx.execute(
        select(table.meeting, table.id, table.state, *columns).where(
            table.state.in_([state.value for state in states])
        )
    )
    return [
        Clock(
            row.meeting,
            row.id,
            Phase(row.state),
            row.closes_at or 0,
            row.grace_until or 0,
            row.time_limit or 0,
            row.secrecy == "trustees",
            row.cast,
            row.aggregate is not None,
        )
        for row in rows
    ]


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
    for name in ("manifest", "electorate", "aggregate", "counts", "tally"):
        if name in changes:
            changes[name] = json.dumps(changes[name], sort_keys=True, ensure_ascii=False)
    done = tx.execute(
        update(schema.election)
        .where(schema.election.c.id == election.id, schema.election.c.version == election.version)
        .values(state=state.value, version=election.version + 1, **changes)
    )
    if done.rowcount != 1:
        raise Conflict("election.changed", "The election has just been changed; load it again.")


def add_numbers(tx: Connection, election: str, **more: int) -> None:
    """Count accepted entries up: ballots, cast, cast_weight, replacements, kiosk or voids."""
    table = schema.election
    values = {name: table.c[name] + number for name, number in more.items()}
    tx.execute(update(table).where(table.c.id == election).values(values))


def keep_aggregate(tx: Connection, election: str, aggregate: dict[str, Any]) -> None:
    """Keep the sums of a closed box, which nothing changes any more."""
    text = json.dumps(aggregate, sort_keys=True)
    tx.execute(update(schema.election).where(schema.election.c.id == election).values(aggregate=text))


def timer(tx: Connection, election: str) -> int:
    """Until when a vote stays open as announced, or 0."""
    return tx.execute(select(vote_timer.c.ends_at).where(vote_timer.c.election == election)).scalar() or 0


def set_timer(tx: Connection, election: str, ends_at: int) -> None:
    """Store until when a vote stays open, as announced."""
    tx.execute(delete(vote_timer).where(vote_timer.c.election == election))
    tx.execute(vote_timer.insert().values(election=election, ends_at=ends_at))


def exclusions(tx: Connection, election: str) -> dict[str, str]:
    """Members left out for a conflict of interest, with the reason."""
    table = schema.exclusion.c
    rows = tx.execute(select(table.member, table.reason).where(table.election == election).order_by(table.member))
    return {row.member: row.reason for row in rows}


def applied_exclusions(tx: Connection, election: str) -> list[dict[str, str]]:
    """The exclusions that count in an opened election, as the annex has them."""
    table = schema.exclusion.c
    query = select(table.member, table.reason).where(table.election == election, table.applied == 1)
    rows = tx.execute(query.order_by(table.member))
    return [{"election": election, "member": row.member, "reason": row.reason} for row in rows]


def set_exclusion(tx: Connection, election: str, member: str, reason: str | None) -> None:
    """Leave a member out, or not any more when there is no reason."""
    table = schema.exclusion
    tx.execute(delete(table).where(table.c.election == election, table.c.member == member))
    if reason is not None:
        tx.execute(table.insert().values(election=election, member=member, reason=reason))


def apply_exclusions(tx: Connection, election: str, members: list[str]) -> None:
    """Mark who was left out although present when the election was opened."""
    table = schema.exclusion
    here = (table.c.election == election, table.c.member.in_(members))
    tx.execute(update(table).where(*here).values(applied=1))


def rejected_shares(tx: Connection, election: str) -> list[bytes]:
    """The JCS bytes of the shares kept as evidence, in the tally's order."""
    table = schema.rejected_share.c
    rows = tx.execute(select(table.entry).where(table.election == election).order_by(table.trustee, table.hash))
    return [bytes(row.entry) for row in rows]


def count_rejected(tx: Connection, election: str, trustee: int) -> int:
    """How many shares of a trustee are kept as evidence."""
    table = schema.rejected_share.c
    query = select(func.count()).select_from(schema.rejected_share)
    return int(tx.execute(query.where(table.election == election, table.trustee == trustee)).scalar_one())


def add_rejected(tx: Connection, election: str, trustee: int, digest: str, entry: bytes) -> bool:
    """Keep a share as evidence; False when it is kept already."""
    table = schema.rejected_share
    known = select(table.c.hash).where(table.c.election == election, table.c.hash == digest)
    if tx.execute(known).first() is not None:
        return False
    tx.execute(table.insert().values(election=election, trustee=trustee, hash=digest, entry=entry))
    return True


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
        questions=tuple(Question(**{**one, "options": tuple(one["options"])}) for one in json.loads(row.questions)),
        secrecy=row.secrecy,
        voting_again=row.voting_again,
        majority={"kind": row.majority_kind, "of": row.majority_of},
        tie=row.tie,
        kiosk_allowed=bool(row.kiosk_allowed),
        grace_s=row.grace_s,
        closes_after_s=row.closes_after_s,
        state=Phase(row.state),
        position=row.position,
        manifest_text=row.manifest or "",
        time_limit=row.time_limit or 0,
        closes_at=row.closes_at or 0,
        ended_at=row.ended_at or 0,
        grace_until=row.grace_until or 0,
        aggregate_text=row.aggregate or "",
        counts_text=row.counts or "",
        tally_text=row.tally or "",
        opening_checkpoint=row.opening_checkpoint or "",
        closing_checkpoint=row.closing_checkpoint or "",
        checkpoint=row.checkpoint or "",
        numbers=BoardNumbers(*(getattr(row, name) for name in _NUMBERS)),
        version=row.version,
    )
