"""Tables of the speakers: a meeting's rules and its turns."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table, Text

from folkmoot_server.storage.schema import key, metadata

speaking_rules = Table(
    "speaking_rules",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    Column("turn_s", Integer, nullable=False),
    Column("group_s", Integer, nullable=False),
    Column("order_s", Integer, nullable=False),
    Column("queue_open", Integer, nullable=False),
)
# Every wish to speak, by its number in the meeting. A person is a member or a visitor; "group" is a unit or empty.
turn = Table(
    "turn",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("person", String, nullable=False),
    Column("name", Text, nullable=False),
    Column("group", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("category", Integer, nullable=False),
    Column("item", String, nullable=False),
    Column("state", String, nullable=False),
    Column("asked_at", Integer, nullable=False),
    Column("begun_at", Integer, nullable=False),
    Column("limit_s", Integer, nullable=False),
    Column("spoken_s", Integer, nullable=False),
    Column("resumed_at", Integer, nullable=False),
    Index("turn_state", "meeting", "state"),
    Index("turn_item", "meeting", "item"),
)
