"""Tables of visitors. A guest is in no table of members, so nothing that counts members can count a guest."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, String, Table, Text

from folkmoot_server.storage.schema import key, metadata

guest_link = Table(
    "guest_link",
    metadata,
    Column("id", String, primary_key=True),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    key("meeting", "meeting.id"),
    Column("name", Text, nullable=False),
    key("made_by", "member.id"),
    Column("made_at", Integer, nullable=False),
    Column("visitor", String, nullable=False, default=""),
    Index("guest_link_meeting", "meeting"),
)
visitor = Table(
    "visitor",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("name", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("at", Integer, nullable=False),
    Column("invited", Text, nullable=False, default=""),
    Column("back", String, nullable=False, default=""),
    Column("since", Integer, nullable=False, default=0),
    Column("seen_at", Integer, nullable=False, default=0),
)
guest_session = Table(
    "guest_session",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    key("meeting", "meeting.id"),
    Column("visitor", String, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("used_at", Integer, nullable=False),
    Column("carried", Text, nullable=False, default=""),  # as of `session`
    Index("guest_session_visitor", "visitor"),
)
