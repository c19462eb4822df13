"""What the checks of section 10 work on: the files, both readings of each board, and values that checks share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

from folkmoot_voting import attendance, keygen, rules, tally
from folkmoot_voting.encoding import JsonObject, unb64u
from folkmoot_voting.errors import VotingError
from folkmoot_voting.keygen import KeyGeneration, TrusteesKey
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.merkle_log import Note, parse_note, verify_note
from folkmoot_voting.roll import RollCore

from .files import AnnexFiles, BundleFiles, ElectionFiles
from .members import People
from .proofs import Proofs
from .survey import Survey


class CheckFailed(VotingError):
    """A check of section 10 does not hold."""

    code = "voting.check-failed"


class NotApplicable(Exception):
    """A check of section 10 has nothing to look at in a record of an earlier version; says why."""


@dataclass
class Election:
    """One election: its files, what reading its board gave, and its manifest.

    Attributes:
        prove: does the second reading.
    """

    manifest: Manifest
    files: ElectionFiles
    survey: Survey
    prove: Callable[[Election], Proofs]

    @cached_property
    def proofs(self) -> Proofs:
        """What the second reading found; done when first asked for."""
        return self.prove(self)

    @property
    def core(self) -> JsonObject:
        """The tally's core."""
        core: JsonObject = self.files.tally["core"]
        return core

    @property
    def too_few(self) -> bool:
        """Whether the box stays shut."""
        return rules.too_few(self.manifest, self.survey.cast)

    @property
    def closing_hash(self) -> bytes:
        """Hash of the closing checkpoint; raises LogInvalid."""
        return parse_note(self.files.closing).checkpoint.hash()

    @property
    def total(self) -> tally.Aggregate:
        """The recomputed sums of a secret vote."""
        if self.proofs.total is None:
            raise CheckFailed("there is no aggregate")
        return self.proofs.total

    @property
    def closing(self) -> JsonObject:
        """The closing entry."""
        if self.survey.closing is None:
            raise CheckFailed("the board is not closed")
        return self.survey.closing

    @cached_property
    def names(self) -> dict[bytes, str]:
        """The electors' names by first credential; empty but in a roll-call."""
        return dict(zip(self.files.electors.all_credentials(), self.files.electors.names, strict=False))

    def note(self, text: str) -> Note:
        """Return a checkpoint of this board signed by the server; raises LogInvalid."""
        return verify_note(text, self.manifest.board_origin, self.manifest.server_key)


@dataclass
class Context:
    """Everything the checks read; `elections` and `roll_core` are set by V02."""

    bundle: BundleFiles
    annex: AnnexFiles | None
    surveys: dict[str, Survey]
    prove: Callable[[str, Election], Proofs]
    elections: dict[str, Election] = field(default_factory=dict)
    roll_core: RollCore | None = None
    people: People = field(default_factory=People)

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
    def meeting(self) -> str:
        """The meeting's id."""
        return str(self.bundle.info["meeting"]["id"])

    @property
    def has_key(self) -> bool:
        """Whether the meeting has a trustees' key; raises KeyGenerationError for half of one."""
        return not keygen.is_empty(self.bundle.keygen)

    @cached_property
    def key(self) -> TrusteesKey | None:
        """The certified key of keygen.json; raises KeyGenerationError."""
        if not self.has_key:
            return None
        return KeyGeneration.from_json(self.bundle.keygen, self.roll.hash).result

    def at_closing(self, election: str) -> JsonObject | None:
        """Return who was present when a vote was closed: "met", "present", "present_weight"; None without a log."""
        for mark in self.bundle.marks:
            if mark["election"] == election and mark["when"] == attendance.CLOSING:
                return {name: mark[name] for name in ("met", "present", "present_weight")}
        return None

    @property
    def annex_is_short(self) -> bool:
        """Whether the annex was read once and is kept."""
        return self.annex is None or self.annex.is_short

    def items(self, name: str) -> Iterator[JsonObject]:
        """Return the items of one of the annex's lists, none without an annex."""
        return self.annex.items(name) if self.annex is not None else iter(())


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
