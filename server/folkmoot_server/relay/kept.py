"""Answers of the hub that a relay keeps for the cut, each for the member who was given it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.sqlite import insert

from folkmoot_server.relay import schema

ANSWER_MAX: Final = 8 * 1024 * 1024
ALL_MAX: Final = 512 * 1024 * 1024
EVERYBODY: Final = ""
_FREE: Final = re.compile(r"/api/(info|manifests/[A-Za-z0-9_-]+)")
_OWN: Final = re.compile(
    r"/api/meetings(/{m}(/(roll|sites|papers|papers/[^/]+/[^/]+/(file|pages/[0-9]+)|elections/[^/]+/manifest))?)?"
)


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer's media type and bytes."""

    type: str
    data: bytes


def owner(path: str, meeting: str, member: str) -> str | None:
    """Say for whom the answer to a GET is kept: everybody, the member, or nobody (None)."""
    if _FREE.fullmatch(path):
        return EVERYBODY
    if member and _OWN.fullmatch(path.replace(f"/api/meetings/{meeting}", "/api/meetings/{m}", 1)):
        return member
    return None


def keep(tx: Connection, owner: str, path: str, answer: Kept) -> bool:
    """Keep an answer in the place of the one before; False when it is too large or the relay is full."""
    digest, size = hashlib.sha256(answer.data).digest(), len(answer.data)
    table, blob = schema.kept, schema.blob
    before = tx.execute(select(table.c.body).where(table.c.member == owner, table.c.path == path)).scalar()
    if before == digest:
        return True
    if size > ANSWER_MAX or int(tx.execute(select(func.sum(blob.c.size))).scalar() or 0) + size > ALL_MAX:
        return False
    tx.execute(insert(blob).values(digest=digest, size=size, data=answer.data).on_conflict_do_nothing())
    values = {"type": answer.type, "body": digest}
    statement = insert(table).values(member=owner, path=path, **values)
    tx.execute(statement.on_conflict_do_update(index_elements=["member", "path"], set_=values))
    if before is not None:
        used = select(table.c.body).where(table.c.body == before)
        tx.execute(delete(blob).where(blob.c.digest == before, ~used.exists()))
    return True


def drop(tx: Connection, owner: str, path: str) -> None:
    """Forget an answer: the hub gives it no more."""
    table, blob = schema.kept, schema.blob
    before = tx.execute(select(table.c.body).where(table.c.member == owner, table.c.path == path)).scalar()
    if before is None:
        return
    tx.execute(delete(table).where(table.c.member == owner, table.c.path == path))
    used = select(table.c.body).where(table.c.body == before)
    tx.execute(delete(blob).where(blob.c.digest == before, ~used.exists()))


def drop_own(tx: Connection) -> None:
    """Forget every answer that was given to one member alone."""
    table, blob = schema.kept, schema.blob
    tx.execute(delete(table).where(table.c.member != EVERYBODY))
    tx.execute(delete(blob).where(blob.c.digest.not_in(select(table.c.body))))


def find(tx: Connection, owner: str, path: str) -> Kept | None:
    """Return a kept answer."""
    table, blob = schema.kept.c, schema.blob.c
    query = select(table.type, blob.data).join(schema.blob, blob.digest == table.body)
    row = tx.execute(query.where(table.member == owner, table.path == path)).first()
    return None if row is None else Kept(row.type, row.data)
