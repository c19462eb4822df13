"""Tables of sites, presence, disputes and room screens."""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, LargeBinary, String, Table, Text

from folkmoot_server.storage.schema import key, metadata

# The sites main and remote have a row only once somebody wrote one; `tested` and `seats` are JSON or "".
site = Table(
    "site",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    Column("id", String, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", String, nullable=False),
    Column("custodian", String, nullable=False),
    Column("expected", Integer, nullable=False),
    Column("profile", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("since", Integer, nullable=False),
    Column("tested", Text, nullable=False, default=""),
    Column("seats", Text, nullable=False, default=""),
    Column("seats_at", Integer, nullable=False, default=0),
    Column("seats_evidence", Text, nullable=False, default=""),
)
# When the hall's page, or its relay, was heard last. Apart from `site`, because it changes without anybody's picture.
# `at` is as in relay_lease.
site_lease = Table(
    "site_lease",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    Column("site", String, primary_key=True),
    Column("at", Float, nullable=False),
)
# What the codes of a site are made from.
site_secret = Table(
    "site_secret",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    Column("site", String, primary_key=True),
    Column("secret", LargeBinary, nullable=False),
)
# What chair and secretary are told about a site until they put it aside; one of a kind.
site_alert = Table(
    "site_alert",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    Column("site", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("at", Integer, nullable=False),
)
seat_move = Table(
    "seat_move",
    metadata,
    Column("id", Integer, primary_key=True),
    key("meeting", "meeting.id"),
    key("member", "member.id"),
    Column("from_site", String, nullable=False),
    Column("to_site", String, nullable=False),
    Column("at", Integer, nullable=False),
    Index("seat_move_member", "meeting", "member", "at"),
)
# `sites` is a JSON list; `decision` is empty while the chair has not decided.
dispute = Table(
    "dispute",
    metadata,
    Column("id", String, primary_key=True),
    key("meeting", "meeting.id"),
    key("member", "member.id"),
    Column("sites", Text, nullable=False),
    Column("at", Integer, nullable=False),
    Column("decision", String, nullable=False, default=""),
    Index("dispute_meeting", "meeting", "decision"),
)
# An asking; `told` is how many confirmations the log has told of, `over_at` when it ended, or 0.
presence_ask = Table(
    "presence_ask",
    metadata,
    Column("id", String, primary_key=True),
    key("meeting", "meeting.id"),
    Column("site", String, nullable=False),
    Column("at", Integer, nullable=False),
    Column("until", Integer, nullable=False),
    Column("over_at", Integer, nullable=False, default=0),
    Column("told", Integer, nullable=False, default=0),
    Index("presence_ask_meeting", "meeting", "at"),
)
presence_answer = Table(
    "presence_answer",
    metadata,
    key("presence", "presence_ask.id", primary_key=True),
    key("member", "member.id", primary_key=True),
    Column("confirmed_at", Integer, nullable=False, default=0),
    Column("evidence", Text, nullable=False, default=""),
)
room_screen = Table(
    "room_screen",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    key("meeting", "meeting.id"),
    Column("site", String, nullable=False),
    key("made_by", "member.id"),
    Column("made_at", Integer, nullable=False),
    Index("room_screen_meeting", "meeting"),
)
# A member at a hall's shared browser: opens what votes need, beside the custodian's own session.
kiosk_session = Table(
    "kiosk_session",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("custodian", LargeBinary, nullable=False),  # hash of the session beside which it was begun
    key("meeting", "meeting.id"),
    Column("site", String, nullable=False),
    key("member", "member.id"),
    Column("passkey", String, nullable=False),
    Column("created_at", Integer, nullable=False),
)
