"""The outbox on disk: entries in their chain, each wish once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects.sqlite import insert

from folkmoot_server.domain.errors import TooMany
from folkmoot_server.domain.relays import Kind
from folkmoot_server.relay import schema, store
from folkmoot_server.relay.outbox_chain import (
    ENTRIES_MAX,
    Head,
    Signer,
    Wish,
    head_of,
    make_entry,
    receipt,
    wish_digest,
)
from folkmoot_voting.ballot import ballot_leaf
from folkmoot_voting.board import verify_promise
from folkmoot_voting.encoding import JsonObject, b64u, jcs
from folkmoot_voting.errors import VotingError

HANDS: Final = (Kind.HAND, Kind.SPEAK)  # the same bytes may come again and mean something new


class OutboxFullError(TooMany):
    """The outbox holds all that it can; nothing was taken."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When and in which state of the link an entry is made; `salt` is 32 random bytes."""

    at: int
    cut: bool
    salt: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """Under what an entry is found again: its vote and the voting credential that acts, empty where there is none."""

    election: str = ""
    credential: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry as far as this relay knows what became of it.

    Attributes:
        refused: the hub's code, "" while it has not refused it.
        promise: the hub's for a ballot, None while it is not known.
    """

    seq: int
    receipt: JsonObject
    refused: str
    promise: JsonObject | None


def head(tx: Connection) -> Head:
    """Return the end of the chain."""
    table = schema.entry.c
    row = tx.execute(select(table.seq, table.head).order_by(table.seq.desc()).limit(1)).first()
    if row is not None:
        return Head(row.seq, row.head)
    ended = store.over(tx)
    return Head() if ended is None else ended[1]


def head_at(tx: Connection, seq: int) -> Head:
    """Return the chain's head at an entry, `Head()` for 0 or an entry that is not there."""
    found = tx.execute(select(schema.entry.c.head).where(schema.entry.c.seq == seq)).scalar()
    if found is not None:
        return Head(seq, found)
    last = head(tx)
    return last if last.seq == seq else Head()


def again(tx: Connection, wish: Wish) -> JsonObject | None:
    """Return the receipt of an entry that holds the same wish, None when this one is new.

    Raises:
        EncodingError: the wish cannot be written in JCS.
    """
    table = schema.entry.c
    query = select(table.text, table.digest).order_by(table.seq.desc()).limit(1)
    if wish.kind in HANDS:
        query = query.where(table.member == wish.member, table.kind.in_(HANDS))
    else:
        query = query.where(table.digest == wish_digest(wish))
    row = tx.execute(query).first()
    if row is None or wish.kind is Kind.HERE or row.digest != wish_digest(wish):
        return None
    return receipt(json.loads(row.text))


def find(tx: Connection, wish: Wish) -> Waiting | None:
    """Return what is known here of the entry that holds a wish, None when there is none; not for hands.

    Raises:
        EncodingError: the wish cannot be written in JCS.
    """
    table = schema.entry.c
    row = tx.execute(select(table.seq, table.text, table.refused).where(table.digest == wish_digest(wish))).first()
    if row is None:
        return None
    given = tx.execute(select(schema.promise.c.text).where(schema.promise.c.seq == row.seq)).scalar()
    return Waiting(row.seq, receipt(json.loads(row.text)), row.refused, None if given is None else json.loads(given))


def waits(tx: Connection, after: int, election: str, credential: str) -> bool:
    """Say whether an entry after a number is of a credential in a vote, or lets it act there."""
    table = schema.entry.c
    rows = tx.execute(
        select(table.credential, table.kind, table.text).where(table.seq > after, table.election == election)
    )
    return any(
        row.credential == credential
        or (row.kind == Kind.REPLACEMENT and json.loads(row.text)["body"]["new"] == credential)
        for row in rows
    )


def keep_promises(tx: Connection, given: Iterable[JsonObject], hub_key: bytes) -> int:
    """Keep the hub's promises for ballots of the outbox; return how many it has not signed, which are not kept.

    `given`: {"seq", "publish_by", "sig"}; the rest of a promise stands in the entry.
    """
    table, wrong = schema.entry.c, 0
    for one in given:
        text = tx.scalars(select(table.text).where(table.seq == one["seq"], table.kind == Kind.BALLOT)).first()
        if text is None:  # forgotten, as the meeting is over
            continue
        ballot = json.loads(text)["body"]["ballot"]
        leaf = b64u(ballot_leaf(ballot))
        promise = {"manifest": ballot.get("manifest", ""), "leaf": leaf, "publish_by": one["publish_by"]}
        promise["sig"] = one["sig"]
        try:
            verify_promise(promise, hub_key)
        except VotingError:
            wrong += 1
            continue
        statement = insert(schema.promise).values(seq=one["seq"], text=json.dumps(promise))
        tx.execute(statement.on_conflict_do_nothing())
    return wrong


def append(tx: Connection, signer: Signer, wish: Wish, place: Place, moment: Moment) -> JsonObject:
    """Put a checked wish at the end of the chain and return its receipt.

    If we crash before the commit nothing is there and nobody was answered; the next entry takes the same number.

    Raises:
        OutboxFullError: it holds 10,000 entries.
        EncodingError: the wish cannot be written in JCS.
    """
    last = head(tx)
    if last.seq >= ENTRIES_MAX:
        raise OutboxFullError("relay.outbox-full", "The relay's outbox is full.")
    entry = make_entry(signer, last, wish, at=moment.at, cut=moment.cut, salt=moment.salt)
    tx.execute(
        schema.entry.insert().values(
            seq=entry["seq"],
            kind=wish.kind,
            member=wish.member,
            election=place.election,
            credential=place.credential,
            digest=wish_digest(wish),
            head=head_of(entry),
            text=jcs(entry).decode(),
        )
    )
    return receipt(entry)


def count(tx: Connection, member: str, kinds: Sequence[str]) -> int:
    """Return how many entries of these kinds a member has."""
    table = schema.entry.c
    return len(tx.scalars(select(table.seq).where(table.member == member, table.kind.in_(kinds))).all())


def at_kiosk(tx: Connection, after: int) -> set[str]:
    """Return the members whose newest check-in after an entry was made at the hall's kiosk."""
    table = schema.entry.c
    query = select(table.member, table.text).where(table.seq > after, table.kind == Kind.CHECK_IN).order_by(table.seq)
    newest = {row.member: bool(json.loads(row.text)["body"].get("kiosk")) for row in tx.execute(query)}
    return {member for member, kiosk in newest.items() if kiosk}


def page(tx: Connection, after: int, bytes_max: int, entries_max: int) -> list[JsonObject]:
    """Return entries after a number, ascending, at least one when there is one, together about `bytes_max`."""
    table = schema.entry.c
    found: list[JsonObject] = []
    size = 0
    for text in tx.scalars(select(table.text).where(table.seq > after).order_by(table.seq).limit(entries_max)):
        size += len(text)
        if found and size > bytes_max:
            break
        found.append(json.loads(text))
    return found


def refuse(tx: Connection, refused: Iterable[tuple[int, str]]) -> None:
    """Note which entries the hub refused, with its codes."""
    for seq, code in refused:
        tx.execute(update(schema.entry).where(schema.entry.c.seq == seq).values(refused=code))


def replacements(tx: Connection, election: str, member: str) -> list[JsonObject]:
    """Return the bodies of a member's replacements in a vote, in order, without those that the hub refused."""
    table = schema.entry.c
    query = select(table.text).where(table.member == member, table.election == election, table.refused == "")
    query = query.where(table.kind == Kind.REPLACEMENT).order_by(table.seq)
    return [json.loads(text)["body"] for text in tx.scalars(query)]


def of_voter(tx: Connection, election: str, member: str, credentials: Sequence[str]) -> list[tuple[str, JsonObject]]:
    """Return the entries of a vote by these credentials of a member, in order, each with its credential.

    Without replacements that another member signed, or that the hub refused: they say nothing of this voter.
    """
    table = schema.entry.c
    query = select(table.credential, table.text).where(table.election == election)
    own = (table.member == member) & (table.refused == "")
    query = query.where(table.credential.in_(credentials), own | (table.kind != Kind.REPLACEMENT))
    return [(row.credential, json.loads(row.text)) for row in tx.execute(query.order_by(table.seq))]


def count_replacements(tx: Connection, election: str, member: str) -> int:
    """Return how many replacements a member has in a vote, of whomever they are."""
    table = schema.entry.c
    query = select(func.count()).where(table.member == member, table.election == election)
    return int(tx.execute(query.where(table.kind == Kind.REPLACEMENT)).scalar() or 0)


def is_named(tx: Connection, election: str, credential: str) -> bool:
    """Say whether some replacement in a vote lets a credential act."""
    table = schema.entry.c
    query = select(table.text).where(table.election == election, table.kind == Kind.REPLACEMENT)
    return any(json.loads(text)["body"]["new"] == credential for text in tx.scalars(query))


def add_points(tx: Connection, election: str, points: Iterable[bytes]) -> bool:
    """Note the points of a ballot; False when one of them is another ballot's."""
    for point in points:
        statement = insert(schema.point).values(election=election, point=point).on_conflict_do_nothing()
        if tx.execute(statement).rowcount == 0:
            return False
    return True
