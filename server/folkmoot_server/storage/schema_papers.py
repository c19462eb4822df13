"""Tables of papers; bytes lie beside the database under their hashes (paper_files.py)."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table, Text

from folkmoot_server.storage.schema import key, metadata

paper = Table(
    "paper",
    metadata,
    Column("id", String, primary_key=True),
    key("meeting", "meeting.id"),
    key("item", "agenda_item.id", nullable=True),
    Column("name", Text, nullable=False),
    Column("class", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("removed_at", Integer),
    Index("paper_meeting", "meeting"),
)
paper_version = Table(
    "paper_version",
    metadata,
    key("paper", "paper.id", primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("sha256", String, nullable=False),
    Column("size", Integer, nullable=False),
    Column("type", String, nullable=False),
    Column("at", Integer, nullable=False),
    key("by", "member.id"),
    Column("pages", Integer, nullable=False, default=0),
    Column("state", String, nullable=False),
    Column("refusal", String, nullable=False, default=""),
    Column("shown", Integer, nullable=False, default=0),
    Index("paper_version_sha256", "sha256"),
)
paper_page = Table(
    "paper_page",
    metadata,
    key("paper", "paper.id", primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("page", Integer, primary_key=True),
    Column("sha256", String, nullable=False),
    Index("paper_page_sha256", "sha256"),
)
# What a page says, of those pages that say something.
paper_text = Table(
    "paper_text",
    metadata,
    key("paper", "paper.id", primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("page", Integer, primary_key=True),
    Column("sha256", String, nullable=False),
    Index("paper_text_sha256", "sha256"),
)
# Who read a restricted paper; a row is one reading of one version.
paper_read = Table(
    "paper_read",
    metadata,
    Column("id", Integer, primary_key=True),
    key("paper", "paper.id"),
    Column("version", Integer, nullable=False),
    key("member", "member.id"),
    Column("at", Integer, nullable=False),
    Column("until_at", Integer, nullable=False),
    Index("paper_read_paper", "paper", "member", "version"),
)
paper_shown = Table(
    "paper_shown",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    key("paper", "paper.id"),
    Column("version", Integer, nullable=False),
    Column("page", Integer, nullable=False),
)
