"""A whole meeting in software, deterministic from a seed: the good bundle and annex that tests then spoil."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.voting.seeded import SeededRng

from folkmoot_server.demo.authenticator import SoftwareAuthenticator
from folkmoot_voting import attendance, board, challenges, destruction, keygen, merkle_log, roll, signing, trustee
from folkmoot_voting.assertion import RelyingParty
from folkmoot_voting.encoding import JsonObject, b64u, h, jcs, unb64u
from folkmoot_voting.manifest import Manifest, Rules

if TYPE_CHECKING:
    from tests.voting.votes import Election, Vote

RP = RelyingParty("localhost", ("http://localhost:8080",))
ORGANISATION = ("org-1", "Hội đồng hợp tác xã")
MEETING = ("meeting-1", "Spring meeting")
FIRST = 1_800_000_000
SIMPLE = Rules(1, 2, "simple", "cast")


@dataclass
class Person:
    """A member with an authenticator and the seeds that their browser would hold.

    Attributes:
        credential: seed of the current credential; a replacement changes it for one election alone.
    """

    member: str
    name: str
    weight: int
    authenticator: SoftwareAuthenticator
    credential: bytes
    cosigner: bytes
    entry: JsonObject = field(default_factory=dict)

    @property
    def passkey(self) -> str:
        return b64u(self.authenticator.credential_id)

    @property
    def first(self) -> bytes:
        return signing.public_key(self.credential)


class Meeting:
    """Roll, key, check-ins and ledger of a meeting; `votes.open_vote` holds its elections."""

    def __init__(
        self,
        seed: str = "meeting",
        members: int = 7,
        count: int = 3,
        threshold: int = 2,
        weights: Sequence[int] = (),
        forge: Callable[[list[JsonObject]], None] | None = None,
    ) -> None:
        """`forge` changes the roll's entries before a dishonest registrar signs them."""
        self.rng = SeededRng(seed)
        self._forge = forge
        self.server = self.rng(32)
        self.threshold, self.count = threshold, count
        names = ["chair", "secretary", *(f"teller-{i}" for i in range(1, max(count, 3) + 1))]
        self.cosigner_names = names
        filled = [*weights, *[1] * (members - len(weights))]
        self.persons = [self._person(index, filled[index]) for index in range(members)]
        self.ledger_entries: list[JsonObject] = []
        self.votes: list[Vote] = []
        self.elections: list[Election] = []
        self.checkins: list[JsonObject] = []
        self.replacements: list[JsonObject] = []
        self.exclusions: list[JsonObject] = []
        self.destroyed: list[JsonObject] = []
        self.log: list[JsonObject] = []
        self.cited: dict[int, JsonObject] = {}
        self.marks: list[JsonObject] = []
        self.keeps_log = True
        self.gone: set[str] = set()
        self.log_salt = signing.public_key(self.server)  # any 32 bytes, without drawing them
        self.evidence: list[JsonObject] | None = None
        self._freeze_roll()
        self.trustees: list[trustee.Trustee] = []
        self.trustee_statements: list[JsonObject] = []
        self.keygen: keygen.KeyGeneration | None = None
        self.key = keygen.NO_KEY
        if count:
            self._make_key()
        self.cosigner_statements = [
            self._cosigner(name, person) for name, person in zip(names, self.persons, strict=False)
        ]

    def _person(self, index: int, weight: int) -> Person:
        member = f"m-{index:03d}"
        authenticator = SoftwareAuthenticator(RP.origins[0], self.rng)
        authenticator.register(RP.id, member.encode(), self.rng(32))
        return Person(member, f"Member {index} Nguyễn", weight, authenticator, self.rng(32), self.rng(32))

    def _freeze_roll(self) -> None:
        registrar = self.persons[1].authenticator
        replaced = roll.RollException("replaced", "known to both officers", ("Chi Lê", "Đức Trần"))
        for index, person in enumerate(self.persons):
            device = person.authenticator
            person.entry = roll.make_entry(
                person.member,
                person.name,
                [(device.credential_id, device.cose_key)],
                self.rng(32),
                weight=person.weight,
                exception=replaced if index == 6 else roll.NO_EXCEPTION,
            )
        self.entries, self.roll = roll.build_core(
            [person.entry for person in self.persons],
            meeting=MEETING[0],
            organisation=ORGANISATION[0],
            frozen_at=FIRST,
            rp=RP,
            registrar=(registrar.credential_id, registrar.cose_key),
        )
        if self._forge is not None:
            self._forge(self.entries)
            root = {"root": b64u(roll.entries_root(self.entries)), "exceptions": roll.exceptions_of(self.entries)}
            self.roll = roll.RollCore.from_json({**self.roll.json, **root, "size": len(self.entries)})
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
        self.key = result
        self.record("key", FIRST + 60, self.key.transcript)
        self.trustee_statements = [self._trustee(one) for one in self.trustees]

    def _trustee(self, one: trustee.Trustee) -> JsonObject:
        person, nonce = self.persons[one.index + 1], self.rng(32)
        keys = (one.sign_key, one.box_key)
        challenge = challenges.trustee(MEETING[0], self.roll.hash, one.attempt, one.index, *keys, nonce)
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

    def record(self, kind: str, at: int, digest: bytes, other: bytes = b"") -> None:
        """Append a ledger entry, with an entry of another meeting before it, drawn unless it is given."""
        self.ledger_entries.append(board.ledger_entry("opened", at, other or self.rng(32)))
        self.ledger_entries.append(board.ledger_entry(kind, at, digest))

    def ledger_checkpoint(self) -> str:
        leaves = board.entry_leaves(self.ledger_entries)
        head = merkle_log.Checkpoint(f"{RP.id}/ledger", len(leaves), merkle_log.tree_hash(leaves))
        return merkle_log.sign_checkpoint(head, self.server).text()

    def check_in(self, person: Person, at: int) -> JsonObject:
        """Sign the person's credential with their passkey and keep the check-in."""
        nonce, checkpoint, salt = self.rng(32), self.ledger_checkpoint(), self.rng(32)
        challenge = challenges.checkin(MEETING[0], self.roll.hash, "main", person.first, checkpoint, nonce)
        record: JsonObject = {
            "member": person.member,
            "credential": b64u(person.first),
            "site": "main",
            "checkpoint": checkpoint,
            "nonce": b64u(nonce),
            "passkey": person.passkey,
            "assertion": person.authenticator.assertion(challenge),
            "at": at,
            "salt": b64u(salt),
            "elections": [],
        }
        self.checkins.append(record)
        self.arrive(record)
        return record

    def arrive(self, record: JsonObject, site: str = "main") -> None:
        """Tell that who made this check-in is there."""
        self.cited[len(self.log)] = record
        self.log.append(attendance.arrived(self._next(), record["member"], site, bytes(32)))
        self.gone.discard(record["member"])

    def depart(self, person: Person, reason: str = "lost") -> None:
        """Tell that somebody has gone."""
        self.log.append(attendance.departed(self._next(), person.member, reason))
        self.gone.add(person.member)

    def come_back(self, person: Person) -> None:
        """Tell that somebody who was lost is heard again."""
        self.log.append(attendance.returned(self._next(), person.member))
        self.gone.discard(person.member)

    def _next(self) -> int:
        """Return the number of the next event; others lie between."""
        return 3 * len(self.log) + 5

    def lines(self) -> list[JsonObject]:
        """Return the log's lines but the first; who forges a check-in cites it as it was forged."""
        lines = [dict(line) for line in self.log]
        for place, record in self.cited.items():
            signed = {name: value for name, value in record.items() if name not in ("at", "salt", "elections")}
            lines[place]["statement"] = b64u(board.statement_hash(unb64u(record["salt"]), signed))
        return lines

    def head(self) -> bytes:
        """Return the head of the attendance log."""
        head = attendance.first_head(MEETING[0], self.log_salt)
        for line in self.lines():
            head = attendance.next_head(head, jcs(line))
        return head

    def make_mark(self, opened: Manifest, when: str) -> JsonObject:
        """Return what the server says of the attendance now."""
        here = self.present()
        weight = sum(person.weight for person in here)
        return attendance.make_mark(
            opened, when, count=len(self.log), head=self.head(), present=len(here), weight=weight
        )

    def sign_mark(self, mark: JsonObject, at: int) -> None:
        """Put a mark in the ledger."""
        if self.keeps_log:
            self.marks.append(mark)
            digest = attendance.mark_hash(MEETING[0], mark)
            self.record("attendance", at, digest, other=h("another meeting", digest))

    def check_in_all(self, count: int, at: int = FIRST + 300) -> None:
        """Check the first members in, a second apart."""
        for offset, person in enumerate(self.persons[:count]):
            self.check_in(person, at + offset)

    def replacement(
        self, opened_hash: bytes, election: str, person: Person, keys: tuple[bytes, bytes], kiosk: bool
    ) -> bytes:
        """Sign a replacement with the person's passkey, keep the statement and return its hash."""
        nonce, salt = self.rng(32), self.rng(32)
        challenge = challenges.replacement(opened_hash, *keys, kiosk, nonce)
        statement: JsonObject = {
            "member": person.member,
            "old": b64u(keys[0]),
            "new": b64u(keys[1]),
            "kiosk": kiosk,
            "nonce": b64u(nonce),
            "passkey": person.passkey,
            "assertion": person.authenticator.assertion(challenge),
        }
        self.replacements.append({"election": election, **statement, "salt": b64u(salt)})
        return board.statement_hash(salt, statement)

    def destroy_shares(self, at: int) -> None:
        """Let every trustee state that the share is deleted."""
        for one in self.trustees:
            made = one.destroyed(self.key.transcript, at)
            self.destroyed.append(made)
            self.record("destroyed", at, destruction.check_statement(made, MEETING[0], self.key))

    def present(self) -> list[Person]:
        members = {record["member"] for record in self.checkins} - self.gone
        return [person for person in self.persons if person.member in members]

    def cosigners(self) -> list[tuple[str, Person]]:
        return list(zip(self.cosigner_names, self.persons, strict=False))
