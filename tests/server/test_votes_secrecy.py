"""What the server keeps says nobody's choice, and only annex tables tell whose credential is whose."""

from __future__ import annotations

import base64
import json
import logging
import re
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.server import votes_support as support
from tests.server.votes_support import Hall

from folkmoot_server.demo import votes
from folkmoot_voting import group
from folkmoot_voting.ballot import Ballot, decode_answers
from folkmoot_voting.casting import make_ballot
from folkmoot_voting.encoding import JsonObject, b64u
from folkmoot_voting.manifest import Manifest

CHOICES = [0, 1, 0, 2, 0]
# A ballot draws r, w, c_f, z_f for each of three options and then w_s; c_f and z_f are published in the proofs.
DRAWS, SHOWN = 13, (2, 3, 6, 7, 10, 11)
TOUCH_S = 61  # longer than a session may go without being marked as used
Tables = dict[str, list[Any]]
UNORDERED = (
    "pending_entry",
    "promise",
    "ballot_point",
    "electorate_seat",
    "seat_credential",
    "used_seal",
    "annex_replacement",
)


class Meeting:
    """A finished meeting, with everything that only voters and trustees knew."""

    def __init__(self, hall: Hall, ready: support.Ready, manifest: Manifest) -> None:
        self.hall, self.ready, self.manifest = hall, ready, manifest
        self.drawn: list[bytes] = []
        self.ballots: dict[str, JsonObject] = {}
        self.cast_at: dict[str, int] = {}

    @property
    def members(self) -> dict[str, str]:
        """Member id -> credential, which only the annex may tell."""
        return {member: ballot["credential"] for member, ballot in self.ballots.items()}

    def draw(self, count: int) -> bytes:
        """Randomness of a voter's page, remembered."""
        self.drawn.append(secrets.token_bytes(count))
        return self.drawn[-1]


@pytest.fixture
async def meeting(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Meeting]:
    """Five members vote one after the other, a minute apart, so that a stored time could betray them."""
    caplog.set_level(logging.DEBUG)
    async with support.enrolled(tmp_path) as hall:
        ready = await support.prepare(hall)
        election = await support.draft(hall)
        held = Meeting(hall, ready, await votes.open_election(hall.chair, hall.meeting, election))
        for person, choice in zip(hall.officers, CHOICES, strict=True):
            hall.clock.at += TOUCH_S
            ballot = make_ballot(
                held.manifest, hall.credentials[person.member], support.cells(held.manifest, choice), held.draw
            )
            await person.post(hall.election_path(election, "/ballots"), {"ballot": ballot})
            held.ballots[person.member], held.cast_at[person.member] = ballot, hall.clock.at
            await hall.settle()
        await support.close(hall, election)
        await support.cosign(hall, held.manifest, ready.cosigners)
        await votes.count(ready.tellers[:2], hall.meeting, held.manifest)
        await votes.declare(ready.cosigners[0], hall.meeting, held.manifest)
        yield held


def spellings(secret: bytes) -> list[bytes]:
    """A secret as it could stand in a file."""
    return [secret, secret.hex().encode(), b64u(secret).encode(), base64.b64encode(secret).rstrip(b"=")]


def secrets_of(meeting: Meeting) -> dict[str, bytes]:
    """Everything that would open a ballot, sign one or decrypt the box."""
    found = {f"randomness {n}": group.reduce(raw) for n, raw in enumerate(meeting.drawn) if n % DRAWS not in SHOWN}
    found |= {f"drawn bytes {n}": raw for n, raw in enumerate(meeting.drawn)}
    found |= {f"credential of {member}": seed for member, seed in meeting.hall.credentials.items()}
    for teller in meeting.ready.tellers:
        found[f"share {teller.trustee.index}"] = teller.trustee.secret_share(teller.state)
        found[f"coefficient {teller.trustee.index}"] = teller.trustee.coefficients[0]
        found[f"sign key {teller.trustee.index}"] = teller.trustee.seed
    found |= {f"cosigning key {one.name}": one.seed for one in meeting.ready.cosigners}
    return found


def found_in(content: bytes, wanted: dict[str, bytes]) -> list[str]:
    return [name for name, secret in wanted.items() if any(spelling in content for spelling in spellings(secret))]


def stored_bytes(meeting: Meeting) -> bytes:
    """Every file of the data folder, write-ahead log included, and what their base64url strings hold."""
    files = b"\n".join(path.read_bytes() for path in meeting.hall.settings.data.iterdir() if path.is_file())
    words = {word for word in re.findall(rb"[A-Za-z0-9_-]{40,}", files) if len(word) % 4 != 1}
    return files + b"\n".join(base64.urlsafe_b64decode(word + b"=" * (-len(word) % 4)) for word in words)


async def test_no_secret_of_a_voter_or_trustee_is_in_any_file(meeting: Meeting) -> None:
    content = stored_bytes(meeting)
    assert found_in(content, secrets_of(meeting)) == []
    assert found_in(
        content, {"a ballot's signature": support.unb64u(meeting.ballots[meeting.hall.chair.member]["sig"])}
    )


async def test_control_a_kept_random_number_is_found(meeting: Meeting) -> None:
    planted = meeting.hall.settings.data / "debug.txt"
    planted.write_text(f"r={b64u(group.reduce(meeting.drawn[4]))}")
    assert found_in(stored_bytes(meeting), secrets_of(meeting)) == ["randomness 4"]


async def test_no_secret_credential_name_or_ballot_is_logged(
    meeting: Meeting, caplog: pytest.LogCaptureFixture
) -> None:
    logged = caplog.text.encode()
    assert found_in(logged, secrets_of(meeting)) == []
    for member, ballot in meeting.ballots.items():
        assert member.encode() not in logged
        assert ballot["credential"].encode() not in logged
        assert ballot["sig"].encode() not in logged
    assert b"Lan Nguyen" not in logged


def opened_with(meeting: Meeting, indices: Sequence[int], ballot: JsonObject) -> list[int | None]:
    """Decrypt one ballot with these trustees' shares: per option 0 or 1, None when it makes no sense."""
    answers = decode_answers(meeting.manifest, Ballot.from_json(ballot))
    shares = {one.trustee.index: one.trustee.secret_share(one.state) for one in meeting.ready.tellers}
    weights = group.lagrange_at_zero(list(indices))
    result = []
    for cell in answers[0].cells:
        rest = cell.beta
        for index, weight in zip(indices, weights, strict=True):
            rest = group.sub(rest, group.mult(weight, group.mult(shares[index], cell.alpha)))
        result.append(group.small_log(rest, 1))
    return result


async def test_fewer_shares_than_the_threshold_open_no_ballot(meeting: Meeting) -> None:
    for ballot, choice in zip(meeting.ballots.values(), CHOICES, strict=True):
        for index in (1, 2, 3):
            assert opened_with(meeting, [index], ballot) == [None, None, None]
        # Control: the threshold does open it, so the test above can tell.
        plain = [int(option == choice) for option in range(3)]
        assert opened_with(meeting, [1, 3], ballot) == plain


def atoms(value: Any) -> Iterator[str]:
    """Every value in a cell, JSON taken apart, long numbers and times as text."""
    if isinstance(value, bytes):
        yield b64u(value)
        try:
            value = value.decode()
        except UnicodeDecodeError:
            return
    if isinstance(value, str):
        parsed = None
        if value[:1] in "{[" and value:
            try:
                parsed = json.loads(value)
            except ValueError:
                parsed = None
        if parsed is None:
            yield value
            return
        value = parsed
    if isinstance(value, dict):
        for item in value.values():
            yield from atoms(item)
    elif isinstance(value, list):
        for item in value:
            yield from atoms(item)
    elif isinstance(value, int) and abs(value) > 10**6:  # small numbers are counts and flags
        yield str(value)


def links(tables: Tables, members: dict[str, str]) -> set[tuple[str, str]]:
    """(member, credential) pairs that public tables tie together, directly or through values in between.

    A value belongs to a member when it stands in a row with the member's id, or with a value that belongs to
    that member, and with no other member's. Values belong to credentials in the same way. A value that belongs
    to both is a link. Rows with all credentials (the manifest's electorate) tell nothing about one.
    """
    public = [content for name, content in tables.items() if not name.startswith("annex_")]
    rows = [set(atoms(list(row))) for content in public for row in content]
    telling = [row for row in rows if not set(members.values()) <= row]
    of_member = owners(telling, set(members))
    of_credential = owners(telling, set(members.values()))
    return {(of_member[atom], of_credential[atom]) for atom in of_member.keys() & of_credential.keys()}


def owners(rows: list[set[str]], starts: set[str]) -> dict[str, str]:
    """Value -> the one start it belongs to, found outwards step by step; shared values are left out."""
    by_atom: dict[str, list[set[str]]] = defaultdict(list)
    for row in rows:
        for atom in row:
            by_atom[atom].append(row)
    owner = {start: start for start in starts}
    settled, fresh = set(starts), set(starts)
    while fresh:
        claims: dict[str, set[str]] = defaultdict(set)
        for known in fresh:
            for row in by_atom[known]:
                for atom in row - settled:
                    claims[atom].add(owner[known])
        fresh = {atom for atom, claimants in claims.items() if len(claimants) == 1}
        owner |= {atom: next(iter(claims[atom])) for atom in fresh}
        settled |= claims.keys()
    return owner


async def test_only_annex_tables_link_a_member_to_a_credential(meeting: Meeting) -> None:
    tables = support.rows(meeting.hall)
    assert links(tables, meeting.members) == set()
    # The annex does link them, so the search can see a link when there is one.
    opened = {name.removeprefix("annex_"): content for name, content in tables.items()}
    assert links(opened, meeting.members) >= set(meeting.members.items())


def planted_name(meeting: Meeting, tables: Tables) -> None:
    """The promise names the member."""
    tables["promise"].append(("e", b"leaf", json.dumps({"member": meeting.hall.chair.member, "leaf": "L"})))
    tables["electorate_seat"].append(("e", meeting.members[meeting.hall.chair.member], "L"))


def planted_time(meeting: Meeting, tables: Tables) -> None:
    """The promise tells when the ballot came, and a session tells when its member was here."""
    member = meeting.hall.chair.member
    at = meeting.cast_at[member]
    tables["promise"].append(("e", b"leaf", json.dumps({"publish_by": at, "leaf": "L"})))
    tables["electorate_seat"].append(("e", meeting.members[member], "L"))
    tables["visit"] = [(member, at)]


def planted_event(meeting: Meeting, tables: Tables) -> None:
    """The event says who voted with what."""
    member = meeting.hall.tellers[1].member
    body = {"member": member, "credential": meeting.members[member]}
    tables["event"].append((999, "m", 99, "BallotAccepted", 1, json.dumps(body)))


@pytest.mark.parametrize("plant", [planted_name, planted_time, planted_event])
async def test_control_a_planted_link_is_found(meeting: Meeting, plant: Any) -> None:
    tables = support.rows(meeting.hall)
    plant(meeting, tables)
    assert links(tables, meeting.members) & set(meeting.members.items())


async def test_the_order_of_rows_says_nothing(meeting: Meeting) -> None:
    with support.connect(meeting.hall) as raw:
        declared = dict(raw.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
        columns = {table: raw.execute(f"PRAGMA table_info({table})").fetchall() for table in (*UNORDERED, "event")}
        sessions = raw.execute("SELECT count(DISTINCT used_at) FROM session").fetchone()[0]
        promised = {json.loads(row[0])["publish_by"] for row in raw.execute("SELECT promise FROM promise")}
    for table in UNORDERED:
        assert re.search(r"WITHOUT ROWID", declared[table]), table
        # Rows lie in the order of this key: names and hashes, never a count or a time.
        assert all(kind != "INTEGER" for _, _, kind, _, _, in_key in columns[table] if in_key), table
    assert any(kind == "INTEGER" for _, _, kind, _, _, in_key in columns["event"] if in_key)  # control
    assert "WITHOUT ROWID" not in declared["event"]  # control: the words are not in every declaration
    # Sessions do tell who came when; promises must not.
    assert sessions > 1
    assert promised == {meeting.manifest.time_limit}


async def test_a_batch_is_published_in_another_order_than_it_was_cast(tmp_path: Path) -> None:
    """Five ballots in one batch: over several votes their order on the board is not that of casting."""
    same = 0
    async with support.enrolled(tmp_path, publish_batch_min=5) as hall:
        ready = await support.prepare(hall)
        for _ in range(3):
            manifest = await support.hold_vote(hall, ready, CHOICES)
            view = await support.whole_board(hall, manifest.election)
            entries = [json.loads(entry) for entry in view["entries"]]
            board = [entry["ballot"]["credential"] for entry in entries if entry["type"] == "ballot"]
            own = [b64u(support.signing.public_key(hall.credentials[person.member])) for person in hall.officers]
            assert sorted(board) == sorted(own)
            same += board == own
    assert same < 3  # by chance once in 1.7 million runs
