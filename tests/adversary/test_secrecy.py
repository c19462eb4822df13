"""What a whole meeting leaves behind, its database, files and logs and t - 1 shares, says nobody's choice.

The meeting has replacements, a kiosk, votes cast again, audited ballots, announcements and weights.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.server import votes_support as support
from tests.server.test_votes_secrecy import Meeting, found_in, links, opened_with, secrets_of, stored_bytes
from tests.server.votes_support import ABSTAIN, NO, YES, Hall

from folkmoot_server.demo import votes
from folkmoot_server.demo.client import Person
from folkmoot_voting import casting, signing
from folkmoot_voting.ballot import sealed_hash
from folkmoot_voting.encoding import JsonObject, b64u
from folkmoot_voting.manifest import Manifest

CHOICES = (YES, NO, ABSTAIN)


class Everything(Meeting):
    """A meeting in which every way of voting is taken; it remembers what only pages and people knew.

    Attributes:
        seeds: of credentials and of audited ballots, by a name.
        credentials: every one that a member ever had in the vote.
        sealed: every ballot on the board with the choice in it.
    """

    def __init__(self, hall: Hall, ready: support.Ready, manifest: Manifest) -> None:
        super().__init__(hall, ready, manifest)
        self.seeds: dict[str, bytes] = {}
        self.known: dict[str, list[str]] = {}
        self.sealed: list[tuple[JsonObject, int]] = []

    def use(self, person: Person, seed: bytes) -> None:
        """From now on this is the member's key."""
        self.hall.credentials[person.member] = seed
        self.seeds[f"credential {len(self.seeds)}"] = seed
        self.known.setdefault(person.member, []).append(b64u(signing.public_key(seed)))

    async def cast(self, person: Person, choice: int) -> None:
        """Seal with remembered randomness, announce and cast, a minute after the one before."""
        self.hall.clock.at += 61
        seed = self.hall.credentials[person.member]
        standing = await votes.place(person, self.hall.meeting, self.manifest)
        cells = support.cells(self.manifest, choice)
        unsigned = casting.seal(self.manifest, signing.public_key(seed), cells, self.draw, standing)
        await self.announce(person, unsigned)
        ballot = casting.sign_ballot(unsigned, seed)
        await person.post(self.hall.election_path(self.manifest.election, "/ballots"), {"ballot": ballot})
        self.ballots[person.member], self.cast_at[person.member] = ballot, self.hall.clock.at
        self.sealed.append((ballot, choice))
        await self.hall.settle()

    async def announce(self, person: Person, unsigned: JsonObject) -> None:
        seed = self.hall.credentials[person.member]
        body = casting.make_announcement(self.manifest, seed, sealed_hash(unsigned))
        await person.post(self.hall.election_path(self.manifest.election, "/seals"), body)

    async def audit(self, person: Person, choice: int) -> None:
        """Announce a ballot and give it up; its seed goes to a second device alone."""
        seed = self.hall.credentials[person.member]
        page = self.seeds[f"audited {len(self.seeds)}"] = secrets.token_bytes(32)
        standing = await votes.place(person, self.hall.meeting, self.manifest)
        cells, draws = support.cells(self.manifest, choice), casting.SeededDraws(page)
        unsigned = casting.seal(self.manifest, signing.public_key(seed), cells, draws, standing)
        await self.announce(person, unsigned)
        entry = casting.make_void(self.manifest, seed, unsigned)
        await person.post(self.hall.election_path(self.manifest.election, "/voids"), {"entry": entry})

    async def replace(self, person: Person, *, kiosk: bool = False) -> None:
        """A new phone, or the hall's kiosk, takes over."""
        old = self.hall.credentials[person.member]
        self.use(person, await votes.replace_credential(person, self.hall.meeting, self.manifest, old, kiosk=kiosk))


async def held(hall: Hall) -> Everything:
    """Hold the meeting up to its declared result."""
    await support.enrol_everybody(hall)
    for person in hall.tellers:
        action = {"type": "set-weight", "member": person.member, "weight": 4}
        await hall.secretary.act(f"/api/members/{person.member}/weight", action, weight=4)
    ready = await support.prepare(hall)
    await support.check_in(hall, [hall.plain])
    election = await support.draft(hall, voting_again="last-counts", kiosk=True)
    meeting = Everything(hall, ready, await votes.open_election(hall.chair, hall.meeting, election))
    voters = [*hall.officers, hall.plain]
    for person in voters:
        meeting.use(person, hall.credentials[person.member])
    await meeting.audit(hall.chair, NO)
    await meeting.cast(hall.chair, YES)
    await meeting.replace(hall.secretary)
    await meeting.replace(hall.tellers[0], kiosk=True)
    for number, person in enumerate(voters[1:]):
        await meeting.cast(person, CHOICES[number % 3])
    await meeting.replace(hall.tellers[1])
    await meeting.cast(hall.tellers[1], YES)
    await meeting.audit(hall.chair, YES)
    await meeting.cast(hall.chair, NO)
    await hall.settle(hall.settings.publish_every_s)
    await support.close(hall, election)
    await support.cosign(hall, meeting.manifest, ready.cosigners)
    await votes.count(ready.tellers[:2], hall.meeting, meeting.manifest)
    core = await votes.declare(ready.cosigners[0], hall.meeting, meeting.manifest)
    told = tuple(core[name] for name in ("ballots", "cast", "cast_weight", "replacements", "kiosk", "voids"))
    assert told == (8, 6, 15, 3, 1, 2)
    return meeting


@pytest.fixture
async def meeting(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Everything]:
    caplog.set_level(logging.DEBUG)
    async with support.serve(tmp_path, electorate_min=3) as hall:
        yield await held(hall)


def wanted(meeting: Everything) -> dict[str, bytes]:
    """Everything that would open a ballot, sign one or decrypt the box."""
    return secrets_of(meeting) | meeting.seeds


async def test_no_file_and_no_log_holds_what_opens_a_ballot(
    meeting: Everything, caplog: pytest.LogCaptureFixture
) -> None:
    assert (meeting.hall.settings.data / "folkmoot.db-wal").stat().st_size > 0
    assert found_in(stored_bytes(meeting), wanted(meeting)) == []
    logged = caplog.text.encode()
    assert found_in(logged, wanted(meeting)) == []
    public = [one for keys in meeting.known.values() for one in keys] + [str(one["sig"]) for one, _ in meeting.sealed]
    assert [one for one in (*public, *meeting.known) if one.encode() in logged] == []

    # Planted leaks: an audited ballot's seed in the database, still in its write-ahead log alone, and in a log file.
    name, seed = next((name, seed) for name, seed in meeting.seeds.items() if name.startswith("audited"))
    with support.connect(meeting.hall) as raw:
        raw.execute("CREATE TABLE debug (note TEXT)")
        raw.execute("INSERT INTO debug VALUES (?)", (json.dumps({"seed": b64u(seed)}),))
    raw.close()
    assert found_in((meeting.hall.settings.data / "folkmoot.db-wal").read_bytes(), wanted(meeting)) == [name]
    assert found_in(stored_bytes(meeting), wanted(meeting)) == [name]
    logging.getLogger("folkmoot").warning("ballot refused: %s", meeting.drawn[0].hex())
    assert found_in(caplog.text.encode(), wanted(meeting)) == ["drawn bytes 0"]


async def test_one_share_opens_no_ballot_of_the_board(meeting: Everything) -> None:
    """Replaced and earlier ballots included; two shares open every one of them, which is the control."""
    assert len(meeting.sealed) == 8
    for ballot, choice in meeting.sealed:
        assert [opened_with(meeting, [index], ballot) for index in (1, 2, 3)] == [[None] * 3] * 3
        assert opened_with(meeting, [1, 3], ballot) == [int(option == choice) for option in range(3)]


async def test_no_public_table_ties_a_member_to_a_key_that_voted(meeting: Everything) -> None:
    """Order, time, kiosk, weight and lineage: followed from value to value, none leads from a member to a ballot."""
    tables = support.rows(meeting.hall)
    for which in (0, -1):
        keys = {member: known[which] for member, known in meeting.known.items()}
        assert links(tables, keys) == set()
        opened = {name.removeprefix("annex_"): content for name, content in tables.items()}
        assert links(opened, keys) >= set(keys.items()), "control: with the annex, it is seen"
    # A weight is shared by three voters at least, so that it points at nobody.
    entries = [
        json.loads(one) for one in (await support.whole_board(meeting.hall, meeting.manifest.election))["entries"]
    ]
    weights = {one["ballot"]["weight"] for one in entries if one["type"] == "ballot"}
    seats = (await meeting.hall.chair.get(meeting.hall.election_path(meeting.manifest.election, "/manifest")))[
        "electorate"
    ]
    assert {weight: sum(one["weight"] == weight for one in seats) for weight in weights} == {1: 3, 4: 3}
    # Planted: the kiosk's session is written beside the key that it made.
    member = meeting.hall.tellers[0].member
    tables["kiosk_session"] = [(member, meeting.known[member][-1])]
    assert (member, meeting.known[member][-1]) in links(
        tables, {one: known[-1] for one, known in meeting.known.items()}
    )
