"""Tables of motions: texts, who stands behind them, the votes on them, and the register of resolutions."""

from __future__ import annotations

from sqlalchemy import DDL, Column, Index, Integer, String, Table, Text, UniqueConstraint, event

from folkmoot_server.storage.schema import key, metadata

# An amendment names its base and the paragraphs it replaces, counted from 0, as they stand in the text of base_hash.
motion = Table(
    "motion",
    metadata,
    Column("id", String, primary_key=True),
    key("meeting", "meeting.id"),
    key("item", "agenda_item.id"),
    key("base", "motion.id", nullable=True),
    Column("position", Integer, nullable=False),
    Column("number", String, nullable=False),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("hash", String, nullable=False),
    Column("first", Integer, nullable=False),
    Column("last", Integer, nullable=False),
    Column("base_hash", String, nullable=False),
    Column("seconders_needed", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("collides", Integer, nullable=False, default=0),
    Column("version", Integer, nullable=False, default=1),
    Index("motion_meeting", "meeting", "position"),
)
# kind: "mover" or "seconder".
motion_backer = Table(
    "motion_backer",
    metadata,
    key("motion", "motion.id", primary_key=True),
    key("member", "member.id", primary_key=True),
    Column("kind", String, nullable=False),
    Column("place", Integer, nullable=False),
    Column("name", Text, nullable=False),
)
motion_conflict = Table(
    "motion_conflict",
    metadata,
    key("motion", "motion.id", primary_key=True),
    key("member", "member.id", primary_key=True),
)
# A vote on a motion, with the hash of the text that it cites.
motion_election = Table(
    "motion_election",
    metadata,
    key("election", "election.id", primary_key=True),
    key("motion", "motion.id"),
    Column("hash", String, nullable=False),
)
motion_rules = Table(
    "motion_rules",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    Column("seconders", Integer, nullable=False),
)
# Texts that amendments refer to, by their hash, also after the motion has got another one.
motion_text = Table(
    "motion_text",
    metadata,
    key("motion", "motion.id", primary_key=True),
    Column("hash", String, primary_key=True),
    Column("text", Text, nullable=False),
)
resolution = Table(
    "resolution",
    metadata,
    key("motion", "motion.id", primary_key=True),
    key("unit", "unit.id"),
    Column("year", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    key("meeting", "meeting.id"),
    key("election", "election.id"),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("hash", String, nullable=False),
    Column("adopted_at", Integer, nullable=False),
    UniqueConstraint("unit", "year", "number"),
)
for _change in ("UPDATE", "DELETE"):
    event.listen(
        resolution,
        "after_create",
        DDL(  # type: ignore[no-untyped-call]
            f"CREATE TRIGGER resolution_stays_{_change.lower()} BEFORE {_change} ON resolution "
            "BEGIN SELECT RAISE(ABORT, 'a resolution never changes'); END"
        ),
    )
