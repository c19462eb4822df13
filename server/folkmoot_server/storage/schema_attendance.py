"""Tables of the attendance log (voting.md section 9): how far its chain is, and what votes have signed of it."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, String, Table, Text

from folkmoot_server.storage.schema import key, metadata

# The lines themselves follow from the events up to `seq`; without the salt a published head tells nobody anything.
attendance_log = Table(
    "attendance_log",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("count", Integer, nullable=False),
    Column("head", LargeBinary, nullable=False),
)
attendance_mark = Table(
    "attendance_mark",
    metadata,
    key("election", "election.id", primary_key=True),
    Column("moment", String, primary_key=True),
    key("meeting", "meeting.id"),
    Column("mark", Text, nullable=False),
    Index("attendance_mark_by_meeting", "meeting"),
)
