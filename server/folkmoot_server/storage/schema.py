"""Tables. Only the tables whose name starts with `annex_` link a member to a credential."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()


def key(name: str, target: str, *, nullable: bool = False, primary_key: bool = False) -> Column[str]:
    """Return a column that names a row of another table, `target` as "table.column"."""
    return Column(name, String, ForeignKey(target), nullable=nullable, primary_key=primary_key)


setting = Table("setting", metadata, Column("name", String, primary_key=True), Column("value", Text, nullable=False))

unit = Table(
    "unit",
    metadata,
    Column("id", String, primary_key=True),
    key("parent", "unit.id", nullable=True),
    Column("name", Text, nullable=False),
)
unit_closure = Table(
    "unit_closure",
    metadata,
    key("ancestor", "unit.id", primary_key=True),
    key("descendant", "unit.id", primary_key=True),
    Column("depth", Integer, nullable=False),
)
member = Table(
    "member",
    metadata,
    Column("id", String, primary_key=True),
    Column("code", String, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    key("unit", "unit.id"),
    Column("user_handle", LargeBinary, nullable=False, unique=True),
    Column("joined_at", Integer, nullable=False),
    Column("left_at", Integer),
    Column("weight", Integer, nullable=False, default=1),
    Column("weight_evidence", Text, nullable=False, default=""),
)
role_grant = Table(
    "role_grant",
    metadata,
    Column("id", String, primary_key=True),
    key("member", "member.id"),
    Column("role", String, nullable=False),
    key("unit", "unit.id"),
    Column("valid_from", Integer, nullable=False),
    Column("valid_until", Integer, nullable=False),
    Column("granted_by", String, nullable=False),
    Column("evidence", Text, nullable=False, default=""),
    Index("role_grant_member", "member"),
)
passkey = Table(
    "passkey",
    metadata,
    Column("id", String, primary_key=True),
    key("member", "member.id"),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", Integer, nullable=False),
    Column("backup_eligible", Integer, nullable=False),
    Column("backed_up", Integer, nullable=False),
    Column("added_at", Integer, nullable=False),
    Column("used_at", Integer),
    # How it came: by a link ("first", "replaced") or by its owner ("added"); root is the link's passkey behind it.
    Column("kind", String, nullable=False),
    Column("root", String, nullable=False),
    Column("made_by", String, nullable=False, default=""),
    Column("confirmed_by", String, nullable=False, default=""),
    Column("evidence", Text, nullable=False, default=""),
    Column("rolled_at", Integer),  # when a roll listed it first; rehearsals do not count
    Column("ended_at", Integer),
    Index("passkey_member", "member"),
)
enrolment = Table(
    "enrolment",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    key("member", "member.id"),
    Column("expires_at", Integer, nullable=False),
    Column("used_at", Integer),
    Column("kind", String, nullable=False),
    Column("made_by", String, nullable=False),
)
auditor_key = Table(
    "auditor_key",
    metadata,
    key("member", "member.id", primary_key=True),
    Column("recipient", Text, nullable=False),
    Column("at", Integer, nullable=False),
    Column("evidence", Text, nullable=False),
)
session = Table(
    "session",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    key("member", "member.id"),
    Column("passkey", String, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("used_at", Integer, nullable=False),
    Column("expires_at", Integer, nullable=False),
    Column("carried", Text, nullable=False, default=""),  # "<meeting>/<site>" of every relay that did, by blanks
)
nonce = Table(
    "nonce",
    metadata,
    Column("nonce", LargeBinary, primary_key=True),
    Column("purpose", String, nullable=False),
    Column("binding", LargeBinary, nullable=False),
    Column("expires_at", Integer, nullable=False),
    Index("nonce_purpose", "purpose", "binding", "expires_at"),
)
socket_ticket = Table(
    "socket_ticket",
    metadata,
    Column("ticket_hash", LargeBinary, primary_key=True),
    Column("session", LargeBinary, nullable=False),
    Column("meeting", String, nullable=False),
    Column("expires_at", Integer, nullable=False),
)

meeting = Table(
    "meeting",
    metadata,
    Column("id", String, primary_key=True),
    key("unit", "unit.id"),
    Column("title", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("starts_at", Integer, nullable=False),
    Column("time_zone", String, nullable=False),
    Column("quorum_num", Integer, nullable=False),
    Column("quorum_den", Integer, nullable=False),
    Column("quorum_met", Integer, nullable=False, default=0),
    Column("floor_mode", String, nullable=False),
    Column("opened_at", Integer),
    Column("closed_at", Integer),
    Column("last_seq", Integer, nullable=False, default=0),
    Column("version", Integer, nullable=False, default=0),
    Column("rehearsal", Integer, nullable=False, default=0),
    Column("challenge_s", Integer, nullable=False, default=0),
    Column("notice_days", Integer, nullable=False, default=0),
    Column("binding", Integer, nullable=False, default=0),
    Column("waived", Integer, nullable=False, default=0),
    Column("calendar_seq", Integer, nullable=False, default=0),
    Column("reason", Text, nullable=False, default=""),  # why it was cancelled
    Column("until", Integer, nullable=False, default=0),  # announced end of a recess or an adjournment
    Column("presiding", String, nullable=False, default=""),
    Column("offered_to", String, nullable=False, default=""),
    Column("lost_chair", String, nullable=False, default=""),
)
agenda_item = Table(
    "agenda_item",
    metadata,
    Column("id", String, primary_key=True),
    key("meeting", "meeting.id"),
    Column("position", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("state", String, nullable=False),
    key("parent", "agenda_item.id", nullable=True),
    Column("minutes", Integer, nullable=False, default=0),
    Column("internal", Integer, nullable=False, default=0),
    Column("carried_from", Text, nullable=False, default=""),
    Column("source", String, nullable=False, default=""),  # the item that it was carried over from
    Column("version", Integer, nullable=False, default=0),
)
seat = Table(
    "seat",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    key("member", "member.id", primary_key=True),
    Column("site", String, nullable=False),
    Column("removed", Integer, nullable=False, default=0),
    Column("muted", Integer, nullable=False, default=0),
    Column("lease_epoch", Integer, nullable=False, default=0),
    Column("lease_at", Integer, nullable=False, default=0),
    Column("away", Integer, nullable=False, default=0),
    Column("kiosk", Integer, nullable=False, default=0),  # checked in at the hall's own browser: no own lease
    Column("departed", String, nullable=False, default=""),  # why the last interval ended; "" while one is open
)
attendance_interval = Table(
    "attendance_interval",
    metadata,
    Column("id", Integer, primary_key=True),
    key("meeting", "meeting.id"),
    key("member", "member.id"),
    Column("site", String, nullable=False),
    Column("from_at", Integer, nullable=False),
    Column("until_at", Integer),
    Index("attendance_open", "meeting", "until_at"),
)
event = Table(
    "event",
    metadata,
    Column("id", Integer, primary_key=True),
    key("meeting", "meeting.id"),
    Column("seq", Integer, nullable=False),
    Column("type", String, nullable=False),
    Column("at", Integer, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("meeting", "seq"),
)

ledger_leaf = Table(
    "ledger_leaf",
    metadata,
    Column("index", Integer, primary_key=True, autoincrement=False),
    Column("meeting", String, nullable=False),
    Column("election", String, nullable=False, default=""),
    Column("type", String, nullable=False),
    Column("at", Integer, nullable=False),
    Column("entry", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)
ledger_head = Table(
    "ledger_head",
    metadata,
    Column("size", Integer, primary_key=True, autoincrement=False),
    Column("checkpoint", Text, nullable=False),
)
roll = Table(
    "roll",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    Column("core", Text, nullable=False),
    Column("roll_hash", LargeBinary, nullable=False),
    Column("statement", Text),
    Column("registrar", String),
)
annex_roll_entry = Table(
    "annex_roll_entry",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    key("member", "member.id", primary_key=True),
    Column("entry", Text, nullable=False),
)
annex_check_in = Table(
    "annex_check_in",
    metadata,
    Column("id", Integer, primary_key=True),
    key("meeting", "meeting.id"),
    key("member", "member.id"),
    Column("credential", String, nullable=False),
    Column("statement", Text, nullable=False),
    UniqueConstraint("meeting", "credential"),
)
# Statements of trustees (kind "trustee", name = index), of ended attempts at the key (kind "trustee <attempt>"),
# and of cosigners (kind "cosigner", name = "name key").
annex_statement = Table(
    "annex_statement",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    Column("kind", String, primary_key=True),
    Column("name", String, primary_key=True),
    key("member", "member.id"),
    Column("statement", Text, nullable=False),
)
trustee = Table(
    "trustee",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    Column("index", Integer, primary_key=True),
    key("member", "member.id"),
)
key_message = Table(
    "key_message",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("trustee", Integer, primary_key=True),
    Column("message", Text, nullable=False),
)
# Attempts at the key that were broken off; the one that runs has the next number.
ended_attempt = Table(
    "ended_attempt",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("at", Integer, nullable=False),
    Column("evidence", Text, nullable=False),
)
# A trustee's sealed copy of the own secrets, which only the trustee's passkey opens.
share_copy = Table(
    "share_copy",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    Column("trustee", Integer, primary_key=True),
    Column("copy", Text, nullable=False),
)
share_destroyed = Table(
    "share_destroyed",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    Column("trustee", Integer, primary_key=True),
    Column("statement", Text, nullable=False),
)
cosigner = Table(
    "cosigner",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    Column("name", String, primary_key=True),
    key("member", "member.id"),
    Column("key", String, nullable=False, default=""),
)

election = Table(
    "election",
    metadata,
    Column("id", String, primary_key=True),
    key("meeting", "meeting.id"),
    key("agenda_item", "agenda_item.id"),
    Column("title", Text, nullable=False),
    Column("questions", Text, nullable=False),
    Column("secrecy", String, nullable=False),
    Column("voting_again", String, nullable=False),
    Column("majority_kind", String, nullable=False),
    Column("majority_of", String, nullable=False),
    Column("tie", String, nullable=False),
    Column("kiosk_allowed", Integer, nullable=False),
    Column("grace_s", Integer, nullable=False),
    Column("closes_after_s", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("position", Integer, nullable=False),
    Column("manifest", Text),
    Column("manifest_hash", LargeBinary),
    Column("electorate", Text),
    Column("time_limit", Integer),
    Column("closes_at", Integer),
    Column("ended_at", Integer),
    Column("grace_until", Integer),
    Column("aggregate", Text),
    Column("counts", Text),
    Column("tally", Text),
    Column("opening_checkpoint", Text),
    Column("closing_checkpoint", Text),
    Column("checkpoint", Text),
    # What was accepted so far; counted up with each entry, so that nobody counts a whole box again.
    Column("ballots", Integer, nullable=False, default=0),
    Column("cast", Integer, nullable=False, default=0),
    Column("cast_weight", Integer, nullable=False, default=0),
    Column("replacements", Integer, nullable=False, default=0),
    Column("kiosk", Integer, nullable=False, default=0),
    Column("voids", Integer, nullable=False, default=0),
    Column("version", Integer, nullable=False, default=0),
    Index("election_manifest", "manifest_hash"),
)
# Members left out of an electorate for a conflict of interest; applied: present when the election was opened.
exclusion = Table(
    "exclusion",
    metadata,
    key("election", "election.id", primary_key=True),
    key("member", "member.id", primary_key=True),
    Column("reason", Text, nullable=False),
    Column("applied", Integer, nullable=False, default=0),
)
# One row for each lineage of the electorate, keyed by its first credential. It holds no ballot and no time; prev is
# the leaf of its last ballot, sealed the last announced one that is not cast yet, steps its entries so far.
electorate_seat = Table(
    "electorate_seat",
    metadata,
    key("election", "election.id", primary_key=True),
    Column("first", String, primary_key=True),
    Column("current", String, nullable=False),
    Column("weight", Integer, nullable=False),
    Column("seq", Integer, nullable=False, default=0),
    Column("prev", LargeBinary),
    Column("steps", Integer, nullable=False, default=0),
    Column("seals", Integer, nullable=False, default=0),
    Column("sealed", LargeBinary),
    Column("voids", Integer, nullable=False, default=0),
    Index("electorate_seat_sealed", "election", "sealed"),
    Index("electorate_seat_prev", "election", "prev"),
    sqlite_with_rowid=False,
)
# Every credential of an election, replaced ones too, and the first one of its lineage.
seat_credential = Table(
    "seat_credential",
    metadata,
    key("election", "election.id", primary_key=True),
    Column("credential", String, primary_key=True),
    Column("first", String, nullable=False),
    sqlite_with_rowid=False,
)
annex_replacement = Table(
    "annex_replacement",
    metadata,
    key("election", "election.id", primary_key=True),
    Column("credential", String, primary_key=True),
    key("member", "member.id"),
    Column("statement", Text, nullable=False),
    sqlite_with_rowid=False,
)
# Sealed ballots that were cast (void 0) or made void (void 1), with the leaf of the entry.
used_seal = Table(
    "used_seal",
    metadata,
    key("election", "election.id", primary_key=True),
    Column("sealed", LargeBinary, primary_key=True),
    Column("void", Integer, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
# A ballot, replacement or void waiting for its batch. The key is its leaf hash, so that row order says nothing;
# step counts the entries of one lineage, whose order stays.
pending_entry = Table(
    "pending_entry",
    metadata,
    key("election", "election.id", primary_key=True),
    Column("leaf", LargeBinary, primary_key=True),
    Column("type", String, nullable=False),
    Column("entry", LargeBinary, nullable=False),
    Column("lineage", String, nullable=False),
    Column("step", Integer, nullable=False),
    sqlite_with_rowid=False,
)
ballot_point = Table(
    "ballot_point",
    metadata,
    key("election", "election.id", primary_key=True),
    Column("point", LargeBinary, primary_key=True),
    sqlite_with_rowid=False,
)
promise = Table(
    "promise",
    metadata,
    key("election", "election.id", primary_key=True),
    Column("leaf", LargeBinary, primary_key=True),
    Column("promise", Text, nullable=False),
    sqlite_with_rowid=False,
)
board_entry = Table(
    "board_entry",
    metadata,
    key("election", "election.id", primary_key=True),
    Column("index", Integer, primary_key=True),
    Column("type", String, nullable=False),
    Column("entry", LargeBinary, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Index("board_entry_leaf", "election", "leaf"),
)
# Shares that are signed and proved wrongly, kept as evidence.
rejected_share = Table(
    "rejected_share",
    metadata,
    key("election", "election.id", primary_key=True),
    Column("hash", String, primary_key=True),
    Column("trustee", Integer, nullable=False),
    Column("entry", LargeBinary, nullable=False),
)
cosignature = Table(
    "cosignature",
    metadata,
    key("election", "election.id", primary_key=True),
    Column("name", String, primary_key=True),
    Column("line", Text, nullable=False),
)
tally_signature = Table(
    "tally_signature",
    metadata,
    key("election", "election.id", primary_key=True),
    Column("signer", String, primary_key=True),
    Column("sig", String, nullable=False),
)
