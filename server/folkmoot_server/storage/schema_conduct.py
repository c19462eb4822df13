"""Tables of notice, agenda templates, the chair and interventions in an open vote."""

from __future__ import annotations

from sqlalchemy import Column, Integer, String, Table, Text

from folkmoot_server.storage.schema import key, metadata

# One row for each member called; times are 0 until then. A reason that is empty without `excused` says nothing.
notice = Table(
    "notice",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    key("member", "member.id", primary_key=True),
    Column("sent_at", Integer, nullable=False),
    Column("delivered_at", Integer, nullable=False, default=0),
    Column("read_at", Integer, nullable=False, default=0),
    Column("excused", Integer, nullable=False, default=0),
    Column("reason", Text, nullable=False, default=""),
)
# Signed actions of the conduct of a meeting, kept as evidence: waivers, hand-overs, aborted votes.
signed_act = Table(
    "signed_act",
    metadata,
    Column("id", Integer, primary_key=True),
    key("meeting", "meeting.id"),
    key("member", "member.id"),
    Column("kind", String, nullable=False),
    Column("at", Integer, nullable=False),
    Column("evidence", Text, nullable=False),
)
agenda_template = Table(
    "agenda_template",
    metadata,
    Column("id", String, primary_key=True),
    key("unit", "unit.id"),
    Column("name", Text, nullable=False),
    Column("made_by", String, nullable=False),
    Column("at", Integer, nullable=False),
)
# Reading order; depth 0 is the top.
agenda_template_item = Table(
    "agenda_template_item",
    metadata,
    key("template", "agenda_template.id", primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("depth", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("minutes", Integer, nullable=False),
    Column("internal", Integer, nullable=False),
)
# The events of closed sessions once more, to be found quickly, with the reason, which is in no event.
closed_session = Table(
    "closed_session",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("type", String, nullable=False),
    Column("at", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("reason", Text, nullable=False, default=""),
)
# Until when a vote without closes_at stays open, as announced.
vote_timer = Table(
    "vote_timer",
    metadata,
    key("election", "election.id", primary_key=True),
    Column("ends_at", Integer, nullable=False),
)
