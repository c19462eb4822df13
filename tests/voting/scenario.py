"""A whole meeting in software, deterministic from a seed: the good bundle and annex that tests then spoil."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.voting.seeded import SeededRng

from folkmoot_server.demo.authenticator import SoftwareAuthenticator
from folkmoot_voting import (
    ballot,
    board,
    bundle,
    challenges,
    keygen,
    manifest,
    merkle_log,
    roll,
    signing,
    tally,
    trustee,
)
from folkmoot_voting.assertion import RelyingParty
from folkmoot_voting.encoding import JsonObject, b64u
from folkmoot_voting.manifest import Manifest, Question, Rules, one_of_n, yes_no_abstain
from folkmoot_voting.tally import Aggregate

RP = RelyingParty("localhost", ("http://localhost:8080",))
ORGANISATION = ("org-1", "Hội đồng hợp tác xã")
MEETING = ("meeting-1", "Spring meeting")
FIRST = 1_800_000_000
SIMPLE = Rules(1, 2, "simple", "cast")


@dataclass
class Person:
    """A member with an authenticator and the seeds that their browser would hold."""

    member: str
    authenticator: SoftwareAuthenticator
    credential: bytes
    cosigner: bytes
    entry: JsonObject = field(default_factory=dict)

    @property
    def passkey(self) -> str:
        return b64u(self.authenticator.credential_id)


@dataclass
class Election:
    """One finished election."""

    manifest: Manifest
    ballots: list[JsonObject]
    entries: list[JsonObject]
    opening: str
    closing: str
    final: str
    tally: JsonObject
    aggregate: Aggregate

    def files(self) -> bundle.ElectionFiles:
        return bundle.ElectionFiles(self.entries, self.opening, self.closing, self.final, self.tally)


class Meeting:
    """Runs a meeting step by step; `bundle()` and `annex()` give the files."""

    def __init__(self, seed: str = "meeting", members: int = 7, count: int = 3, threshold: int = 2) -> None:
        self.rng = SeededRng(seed)
        self.server = self.rng(32)
        self.threshold, self.count = threshold, count
        names = ["chair", "secretary", *(f"teller-{i}" for i in range(1, count + 1))]
        self.cosigner_names = names
        self.persons = [self._person(f"m-{index:03d}") for index in range(members)]
        self.ledger_entries: list[JsonObject] = []
        self.elections: list[Election] = []
        self.checkins: list[JsonObject] = []
        self._freeze_roll()
        self._make_key()
        self.cosigner_statements = [
            self._cosigner(name, person) for name, person in zip(names, self.persons, strict=False)
        ]

    def _person(self, member: str) -> Person:
        authenticator = SoftwareAuthenticator(RP.origins[0], self.rng)
        authenticator.register(RP.id, member.encode(), self.rng(32))
        return Person(member, authenticator, self.rng(32), self.rng(32))

    def _freeze_roll(self) -> None:
        registrar = self.persons[1].authenticator
        for index, person in enumerate(self.persons):
            device = person.authenticator
            person.entry = roll.make_entry(
                person.member,
                f"Member {index} Nguyễn",
                [(device.credential_id, device.cose_key)],
                self.rng(32),
                "replaced passkey, two officers" if index == 6 else "",
            )
        self.entries, self.roll = roll.build_core(
            [person.entry for person in self.persons],
            meeting=MEETING[0],
            organisation=ORGANISATION[0],
            frozen_at=FIRST,
            rp=RP,
            registrar=(registrar.credential_id, registrar.cose_key),
        )
        nonce = self.rng(32)
        assertion = registrar.assertion(challenges.registrar(self.roll.hash, nonce))
        self.statement = roll.make_statement(self.roll, nonce, assertion)
        self.record("roll", FIRST, self.roll.hash)

    def _make_key(self) -> None:
        self.trustees = [
            trustee.Trustee.create(
                meeting=MEETING[0],
                roll_hash=self.roll.hash,
                index=index,
                threshold=self.threshold,
                count=self.count,
                rng=self.rng,
            )
            for index in range(1, self.count + 1)
        ]
        self.keygen = trustee.run_key_generation(self.trustees)
        result = self.keygen.result
        assert result is not None
        self.key: keygen.TrusteesKey = result
        self.record("key", FIRST + 60, self.key.transcript)
        self.trustee_statements = [self._trustee(one) for one in self.trustees]

    def _trustee(self, one: trustee.Trustee) -> JsonObject:
        person, nonce = self.persons[one.index + 1], self.rng(32)
        challenge = challenges.trustee(MEETING[0], self.roll.hash, one.index, one.sign_key, one.box_key, nonce)
        return {
            "member": person.member,
            "trustee": one.index,
            "sign_key": b64u(one.sign_key),
            "box_key": b64u(one.box_key),
            "nonce": b64u(nonce),
            "passkey": person.passkey,
            "assertion": person.authenticator.assertion(challenge),
        }

    def _cosigner(self, name: str, person: Person) -> JsonObject:
        key, nonce = signing.public_key(person.cosigner), self.rng(32)
        challenge = challenges.cosign(MEETING[0], self.roll.hash, name, key, nonce)
        return {
            "member": person.member,
            "name": name,
            "key": b64u(key),
            "nonce": b64u(nonce),
            "passkey": person.passkey,
            "assertion": person.authenticator.assertion(challenge),
        }

    def record(self, kind: str, at: int, digest: bytes) -> None:
        """Append a ledger entry, with an entry of another meeting before it."""
        self.ledger_entries.append(board.ledger_entry("opened", at, self.rng(32)))
        self.ledger_entries.append(board.ledger_entry(kind, at, digest))

    def ledger_checkpoint(self) -> str:
        leaves = board.entry_leaves(self.ledger_entries)
        head = merkle_log.Checkpoint(f"{RP.id}/ledger", len(leaves), merkle_log.tree_hash(leaves))
        return merkle_log.sign_checkpoint(head, self.server).text()

    def check_in(self, person: Person, at: int) -> JsonObject:
        """Sign the person's credential with their passkey and keep the check-in."""
        nonce, checkpoint = self.rng(32), self.ledger_checkpoint()
        key = signing.public_key(person.credential)
        challenge = challenges.checkin(MEETING[0], self.roll.hash, "main", key, checkpoint, nonce)
        record: JsonObject = {
            "member": person.member,
            "credential": b64u(key),
            "site": "main",
            "checkpoint": checkpoint,
            "nonce": b64u(nonce),
            "passkey": person.passkey,
            "assertion": person.authenticator.assertion(challenge),
            "at": at,
            "elections": [],
        }
        self.checkins.append(record)
        return record

    def open(self, name: str, questions: list[Question], rules: Rules, at: int) -> Manifest:
        electorate = manifest.make_electorate(signing.public_key(person.credential) for person in self.present())
        for record in self.checkins:
            record["elections"].append(name)
        cosigners = [(one["name"], signing.public_key(person.cosigner)) for one, person in self.cosigners()]
        return manifest.build_manifest(
            organisation=ORGANISATION,
            election=name,
            title="Vote " + name,
            questions=questions,
            rules=rules,
            roll=self.roll,
            present=len(electorate),
            electorate=electorate,
            trustees=self.key,
            cosigners=cosigners,
            server_key=signing.public_key(self.server),
            opened_at=at,
            grace_s=15,
            time_limit=at + 86_400,
        )

    def present(self) -> list[Person]:
        members = {record["member"] for record in self.checkins}
        return [person for person in self.persons if person.member in members]

    def cosigners(self) -> list[tuple[JsonObject, Person]]:
        return list(zip(self.cosigner_statements, self.persons, strict=False))

    def vote(
        self,
        name: str,
        questions: list[Question],
        choices: list[list[int]],
        rules: Rules = SIMPLE,
        at: int = FIRST + 600,
    ) -> Election:
        """Hold one election; choices are those of the first members present, the others do not vote."""
        opened = self.open(name, questions, rules, at)
        ballots = [
            ballot.make_ballot(opened, person.credential, choice, self.rng)
            for person, choice in zip(self.present(), choices, strict=False)
        ]
        return self.finish(opened, ballots, at)

    def finish(
        self,
        opened: Manifest,
        ballots: list[JsonObject],
        at: int,
        spoil: Mapping[str, Callable[[Any], Any]] | None = None,
    ) -> Election:
        """Close, cosign, count and sign.

        `spoil` changes what a dishonest server or trustee would: "board" (ballots), "cast" (number in
        the closing entry), "closing" (note with cosignatures), "box" (intents and shares), "core", "tally".
        """
        touch = spoil or {}
        entries = [board.opening_entry(opened.json)]
        opening = self._checkpoint(opened, entries)
        self.record("opened", at, opening.checkpoint.hash())
        entries += [board.ballot_entry(one) for one in touch.get("board", _same)(ballots)]
        cast = touch.get("cast", _same)(len(ballots))
        entries.append(board.closing_entry(cast, at + 60))
        closing = self._checkpoint(opened, entries)
        for statement, person in self.cosigners()[: opened.cosign_quorum]:
            line = merkle_log.cosign(closing.checkpoint, statement["name"], person.cosigner, at + 70)
            closing = closing.with_signature(line)
        closing = touch.get("closing", _same)(closing)
        self.record("closed", at + 60, closing.checkpoint.hash())
        decoded = [ballot.decode_answers(opened, ballot.Ballot.from_json(one)) for one in ballots]
        total = tally.aggregate(opened, decoded)
        box, shares = self._open_box(opened, closing, total) if len(ballots) >= 3 else ([], {})
        entries += touch.get("box", _same)(box)
        counts = tally.combine(opened, total, shares, len(ballots)) if shares else []
        core = tally.make_core(
            opened,
            closing=closing.checkpoint.hash(),
            total=total if shares else None,
            cast=len(ballots),
            counts=counts,
            trustees=sorted(shares),
            counted_at=at + 90,
        )
        core = touch.get("core", _same)(core)
        digest = tally.tally_hash(core)
        signed = touch.get("tally", _same)(self.sign_tally(core))
        entries.append(board.tally_entry(digest))
        final = self._checkpoint(opened, entries)
        self.record("tally", at + 90, digest)
        election = Election(opened, ballots, entries, opening.text(), closing.text(), final.text(), signed, total)
        self.elections.append(election)
        return election

    def sign_tally(self, core: JsonObject) -> JsonObject:
        digest = tally.tally_hash(core)
        return tally.make_tally(
            core,
            server=signing.sign(self.server, digest),
            chair=signing.sign(self.persons[0].cosigner, digest),
            trustees={index: self.trustees[index - 1].sign(digest) for index in core["trustees"]},
        )

    def _checkpoint(self, opened: Manifest, entries: list[JsonObject]) -> merkle_log.Note:
        leaves = board.entry_leaves(entries)
        head = merkle_log.Checkpoint(opened.board_origin, len(leaves), merkle_log.tree_hash(leaves))
        return merkle_log.sign_checkpoint(head, self.server)

    def _open_box(
        self,
        opened: Manifest,
        closing: merkle_log.Note,
        total: tally.Aggregate,
    ) -> tuple[list[JsonObject], dict[int, list[list[JsonObject]]]]:
        entries, shares = [], {}
        for one in self.trustees[1 : self.threshold + 1]:
            head = closing.checkpoint.hash()
            entries.append(board.intent_entry(one.index, opened.hash, head, total.hash, one.seed))
            parts = tally.partial_decrypt(opened, total, one.index, one.secret_share(self.keygen), self.rng)
            entries.append(board.share_entry(one.index, opened.hash, total.hash, parts, one.seed))
            shares[one.index] = parts
        return entries, shares

    def bundle(self) -> bundle.Bundle:
        leaves = board.entry_leaves(self.ledger_entries)
        return bundle.Bundle(
            info=bundle.make_info(
                organisation=ORGANISATION,
                meeting=MEETING,
                server_key=signing.public_key(self.server),
                elections=[one.manifest.election for one in self.elections],
            ),
            roll=self.statement,
            keygen=self.keygen.to_json(),
            ledger=bundle.make_ledger(
                f"{RP.id}/ledger",
                self.ledger_checkpoint(),
                leaves,
                list(enumerate(self.ledger_entries))[1::2],
            ),
            elections={one.manifest.election: one.files() for one in self.elections},
        )

    def annex(self) -> JsonObject:
        return bundle.make_annex(
            meeting=MEETING[0],
            roll=self.entries,
            checkins=self.checkins,
            trustees=self.trustee_statements,
            cosigners=self.cosigner_statements,
        )


def _same(value: Any) -> Any:
    return value


def small_meeting() -> Meeting:
    """Seven members, six present, three elections: yes/no/abstain, two questions, too few."""
    meeting = Meeting()
    for offset, person in enumerate(meeting.persons[:6]):
        meeting.check_in(person, FIRST + 300 + offset)
    meeting.vote("vote-1", [yes_no_abstain("Thông qua ngân sách?")], [[0], [0], [1], [0], [2]])
    meeting.vote(
        "vote-2",
        [one_of_n("Treasurer", ["An", "Bình", "Chi", "nobody"]), yes_no_abstain("Accept the report?")],
        [[1, 0], [1, 1], [0, 0], [1, 2], [3, 0], [2, 1]],
        Rules(2, 3, "absolute", "roll"),
        FIRST + 1200,
    )
    meeting.vote("vote-3", [yes_no_abstain("Close early?")], [[0], [1]], at=FIRST + 1800)
    return meeting
