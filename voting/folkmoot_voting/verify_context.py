"""What the checks of section 10 work on: the parsed files, and values that several checks share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from . import ballot, board, tally
from .ballot import Answer, Ballot
from .bundle import Bundle, ElectionFiles
from .encoding import JsonObject, unb64u
from .errors import VotingError
from .manifest import Manifest
from .merkle_log import Note, verify_note
from .roll import RollCore


class CheckFailed(VotingError):
    """A check of section 10 does not hold."""

    code = "voting.check-failed"


@dataclass
class Election:
    """One election's files with everything derived from them, computed once."""

    manifest: Manifest
    files: ElectionFiles

    def of_type(self, kind: str) -> list[JsonObject]:
        """Return the board entries of a type, in order."""
        return [entry for entry in self.files.board if entry["type"] == kind]

    @cached_property
    def leaves(self) -> list[bytes]:
        """Leaf hashes of the board."""
        return board.entry_leaves(self.files.board)

    @cached_property
    def ballots(self) -> list[Ballot]:
        """The ballots on the board."""
        return [Ballot.from_json(entry["ballot"]) for entry in self.of_type("ballot")]

    @property
    def cast(self) -> int:
        """Number of ballots on the board."""
        return len(self.ballots)

    @cached_property
    def answers(self) -> list[tuple[Answer, ...]]:
        """Decoded choices of every ballot; raises BallotBytesInvalid."""
        return [ballot.decode_answers(self.manifest, one) for one in self.ballots]

    @cached_property
    def challenges(self) -> list[bytes]:
        """The challenge scalar of every ballot."""
        pairs = zip(self.ballots, self.answers, strict=True)
        return [ballot.ballot_challenge(self.manifest, one, answers) for one, answers in pairs]

    @cached_property
    def aggregate(self) -> tally.Aggregate:
        """The recomputed sums."""
        return tally.aggregate(self.manifest, self.answers)

    @property
    def core(self) -> JsonObject:
        """The tally's core."""
        core: JsonObject = self.files.tally["core"]
        return core

    def note(self, text: str) -> Note:
        """Return a checkpoint of this board signed by the server; raises LogInvalid."""
        return verify_note(text, self.manifest.board_origin, self.manifest.server_key)


@dataclass
class Context:
    """Everything the checks read; `elections`, `roll` are set by V02."""

    bundle: Bundle
    annex: JsonObject | None
    elections: dict[str, Election] = field(default_factory=dict)
    roll_core: RollCore | None = None

    @property
    def roll(self) -> RollCore:
        """The roll's core, once V02 has passed."""
        if self.roll_core is None:
            raise CheckFailed("the roll was not read")
        return self.roll_core

    @property
    def server_key(self) -> bytes:
        """The server key that bundle.json names."""
        return unb64u(self.bundle.info["server_key"])

    @property
    def ledger_leaves(self) -> list[bytes]:
        """The ledger's leaf hashes."""
        return [unb64u(leaf) for leaf in self.bundle.ledger["leaves"]]

    @property
    def some_manifest(self) -> Manifest:
        """The first election's manifest; what all share may be read from it."""
        return next(iter(self.elections.values())).manifest

    @cached_property
    def entries_by_member(self) -> dict[str, JsonObject]:
        """The annex's roll entries by member."""
        return {entry["member"]: entry for entry in self.annex_list("roll")}

    def annex_list(self, name: str) -> list[Any]:
        """Return a list of the annex, empty without one."""
        return list(self.annex[name]) if self.annex is not None else []


def require(condition: bool, detail: str) -> None:
    """Raise CheckFailed with this sentence unless the condition holds."""
    if not condition:
        raise CheckFailed(detail)


@contextmanager
def within(place: str) -> Iterator[None]:
    """Name the place in the detail of whatever fails inside."""
    try:
        yield
    except VotingError as error:
        raise CheckFailed(f"{place}: {error.detail}") from error


def each_election(check: Callable[[Context, Election], None]) -> Callable[[Context], None]:
    """Turn a check of one election into a check of all."""

    def run(context: Context) -> None:
        for name, election in context.elections.items():
            with within(name):
                check(context, election)

    return run
