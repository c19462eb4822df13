"""Tables of messages; their texts are in no event, so that a hidden one is gone."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table, Text

from folkmoot_server.storage.schema import key, metadata

message = Table(
    "message",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    Column("id", Integer, primary_key=True),
    Column("person", String, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", String, nullable=False),
    Column("to", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("at", Integer, nullable=False),
    Column("hidden", Integer, nullable=False, default=0),
    Column("hidden_by", String, nullable=False, default=""),
    Column("reason", Text, nullable=False, default=""),
    Column("votes", Integer, nullable=False, default=0),
    Column("seq", Integer, nullable=False, default=0),  # of the event that told of it
    Index("message_person", "meeting", "person", "at"),
)
message_support = Table(
    "message_support",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    Column("message", Integer, primary_key=True),
    Column("person", String, primary_key=True),
)
message_rules = Table(
    "message_rules",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    Column("chat", Integer, nullable=False),
    Column("questions", Integer, nullable=False),
    Column("visitors", Integer, nullable=False),
)
