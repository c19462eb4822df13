"""Tables of a relay's own database; nothing in them is shared with a hub's."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, String, Table, Text

metadata: Final = MetaData()

value = Table("value", metadata, Column("name", String, primary_key=True), Column("text", Text, nullable=False))

event = Table("event", metadata, Column("seq", Integer, primary_key=True), Column("text", Text, nullable=False))

# `credential` and `election` are those of the body: what the rules of lineages need to be found by.
entry = Table(
    "entry",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("kind", String, nullable=False),
    Column("member", String, nullable=False),
    Column("election", String, nullable=False),
    Column("credential", String, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("head", LargeBinary, nullable=False),
    Column("text", Text, nullable=False),
    Column("refused", String, nullable=False, default=""),
    Index("entry_digest", "digest"),
    Index("entry_credential", "election", "credential"),
    Index("entry_member", "member"),
)

# Points of the queued ballots of an election: a copied part is found here, and again at the hub.
point = Table(
    "point",
    metadata,
    Column("election", String, primary_key=True),
    Column("point", LargeBinary, primary_key=True),
)

# The hub's promise for the ballot of an entry, as JSON; apart from `entry`, so that an older folder gets it too.
promise = Table("promise", metadata, Column("seq", Integer, primary_key=True), Column("text", Text, nullable=False))

nonce = Table(
    "nonce",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("purpose", String, nullable=False),
    Column("binding", LargeBinary, nullable=False),
    Column("expires_at", Integer, nullable=False),
)

# Leaf hashes of the hub's ledger, by the numbers of the leaves.
leaf = Table(
    "leaf", metadata, Column("number", Integer, primary_key=True), Column("hash", LargeBinary, nullable=False)
)

# Of a session's token only the SHA-256 is kept. `local` sessions began here while the link was cut.
session = Table(
    "session",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("member", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("used_at", Integer, nullable=False),
    Column("local", Integer, nullable=False),
    Column("follows", Integer, nullable=False),
)

kept = Table(
    "kept",
    metadata,
    Column("member", String, primary_key=True),
    Column("path", String, primary_key=True),
    Column("type", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("kept_body", "body"),
)
blob = Table(
    "blob",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
)
