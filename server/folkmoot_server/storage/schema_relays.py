"""Tables of relays: their codes, keys, starts, what was taken from their outboxes, and halls a vote did not reach.

Of an entry its head is kept and no more. The head covers a random salt that only the relay has: nobody who reads this
database can try out which ballot of a board came when.
"""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, LargeBinary, String, Table, Text, UniqueConstraint

from folkmoot_server.storage.schema import key, metadata

# The address of the hall's pages, and the code that is out for its next relay (empty hash: none).
relay_place = Table(
    "relay_place",
    metadata,
    key("meeting", "meeting.id", primary_key=True),
    Column("site", String, primary_key=True),
    Column("origin", Text, nullable=False),
    Column("code_hash", LargeBinary, nullable=False),
    Column("code_until", Integer, nullable=False),
    Index("relay_place_code", "code_hash"),
)
# One row for each key that was ever enrolled; upto, head, last_at are the cursor of its outbox, rewound the largest
# number that a start or lease has named beyond it, caught_* what came of the cut that is being caught up with.
relay = Table(
    "relay",
    metadata,
    Column("id", String, primary_key=True),
    key("meeting", "meeting.id"),
    Column("site", String, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("origin", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("enrolled_at", Integer, nullable=False),
    Column("epoch", Integer, nullable=False, default=0),
    Column("upto", Integer, nullable=False, default=0),
    Column("head", LargeBinary, nullable=False, default=b""),
    Column("last_at", Integer, nullable=False, default=0),
    Column("rewound", Integer, nullable=False, default=0),
    Column("caught_entries", Integer, nullable=False, default=0),
    Column("caught_refused", Integer, nullable=False, default=0),
    Column("caught_from", Integer, nullable=False, default=0),
    Index("relay_site", "meeting", "site"),
)
# A start; used: its token has come back, so its answer was heard. clock_told: its clock was told of already.
relay_session = Table(
    "relay_session",
    metadata,
    key("relay", "relay.id", primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("token_hash", LargeBinary, nullable=False),
    Column("started_at", Integer, nullable=False),
    Column("used", Integer, nullable=False, default=0),
    Column("clock_told", Integer, nullable=False, default=0),
    UniqueConstraint("token_hash"),
)
# Seconds with milliseconds behind the point; whole ones in a database of an earlier version, whose column takes both.
relay_lease = Table(
    "relay_lease",
    metadata,
    key("relay", "relay.id", primary_key=True),
    Column("at", Float, nullable=False),
)
# Nonces that starts brought, and those of a seed that entries have used.
relay_nonce = Table(
    "relay_nonce",
    metadata,
    key("relay", "relay.id", primary_key=True),
    Column("nonce", LargeBinary, primary_key=True),
)
relay_twice = Table(
    "relay_twice",
    metadata,
    Column("id", Integer, primary_key=True),
    key("relay", "relay.id"),
    Column("at", Integer, nullable=False),
)
relay_entry = Table(
    "relay_entry",
    metadata,
    key("relay", "relay.id", primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("head", LargeBinary, nullable=False),
    Column("refused", String, nullable=False, default=""),
)
# Halls that were cut off at the end of a vote's grace, or whose relay brought ballots after it.
election_hall = Table(
    "election_hall",
    metadata,
    key("election", "election.id", primary_key=True),
    Column("site", String, primary_key=True),
    Column("name", Text, nullable=False),
    Column("ballots", Integer, nullable=False, default=0),
)
# Ballots that came after the grace and are on no board; each is counted once.
late_ballot = Table(
    "late_ballot",
    metadata,
    key("election", "election.id", primary_key=True),
    Column("leaf", LargeBinary, primary_key=True),
    sqlite_with_rowid=False,
)
