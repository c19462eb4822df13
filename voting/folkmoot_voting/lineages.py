"""Lineages (sections 6 and 7): a fold over ballots, replacements and voids that says which may come next.

Server, verifier and tellers' pages follow the same rules. `Lineage` alone is enough to judge one arriving message;
`Lineages` folds a whole board. Signatures and proofs are checked elsewhere (`ballot`, `check_void`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from . import signing
from .ballot import Ballot, check_manifest
from .casting import MAX_VOIDS, void_hash
from .electorate import Elector
from .encoding import JsonObject, unb64u
from .errors import (
    BallotAlreadyCast,
    BallotForeign,
    BallotNotElector,
    BallotRejected,
    ReplacementRefused,
    VoidRefused,
)
from .manifest import ONCE, Manifest


@dataclass(frozen=True)
class Lineage:
    """One member's place in an election.

    Attributes:
        first: the credential in the electorate.
        current: the credential that may act now.
        weight: votes that its counted ballot has.
        seq: ballots so far.
        prev: leaf of the last of them, empty before the first.
    """

    first: bytes
    current: bytes
    weight: int
    seq: int = 0
    prev: bytes = b""

    @property
    def voted(self) -> bool:
        """Whether it has a ballot."""
        return self.seq > 0

    def check_ballot(self, manifest: Manifest, ballot: Ballot) -> None:
        """Check credential, weight, seq and prev of the next ballot.

        Raises:
            BallotAlreadyCast: a second ballot where one votes once.
            BallotForeign: another manifest, weight, seq or prev.
        """
        check_manifest(manifest, ballot)
        if ballot.credential != self.current:
            raise BallotNotElector("another device votes for this member now", code="voting.ballot-replaced")
        if manifest.voting_again == ONCE and self.voted:
            raise BallotAlreadyCast("this member has already cast a ballot")
        if ballot.weight != self.weight:
            raise BallotForeign("the ballot has another weight than its voter", code="voting.ballot-weight")
        if (ballot.seq, ballot.prev) != (self.seq + 1, self.prev):
            raise BallotForeign("the ballot does not follow the voter's last one", code="voting.ballot-seq")

    def check_replacement(self, manifest: Manifest, old: bytes, *, kiosk: bool) -> None:
        """Check that another credential may take over; that it is new is for the caller to know.

        Raises:
            ReplacementRefused: `old` is not the current one, no kiosk is allowed, or the one vote is cast.
        """
        if old != self.current:
            raise ReplacementRefused("another device votes for this member now", code="voting.replacement-old")
        if kiosk and not manifest.kiosk:
            raise ReplacementRefused("there is no kiosk in this election", code="voting.replacement-kiosk")
        if manifest.voting_again == ONCE and self.voted:
            raise ReplacementRefused("this member has already cast a ballot", code="voting.replacement-voted")

    def with_ballot(self, leaf: bytes) -> Lineage:
        """Return the lineage after one more ballot."""
        return replace(self, seq=self.seq + 1, prev=leaf)

    def replaced_by(self, new: bytes) -> Lineage:
        """Return the lineage with another current credential."""
        return replace(self, current=new)


class Lineages:
    """All lineages of an election; a refused entry changes nothing."""

    def __init__(self, manifest: Manifest, electors: Mapping[bytes, Elector]) -> None:
        self.manifest = manifest
        self._by_first = {
            one.credential: Lineage(one.credential, one.credential, one.weight) for one in electors.values()
        }
        self._first_of = {credential: credential for credential in electors}
        self.ballots = self.replacements = self.kiosk = self.voids = 0

    def __iter__(self) -> Iterator[Lineage]:
        return iter(self._by_first.values())

    @property
    def firsts(self) -> Collection[bytes]:
        """The first credentials, those of the electorate."""
        return self._by_first.keys()

    def find(self, credential: bytes) -> Lineage | None:
        """Return the lineage that this is or was a credential of."""
        first = self._first_of.get(credential)
        return None if first is None else self._by_first[first]

    def current(self, credential: bytes) -> Lineage:
        """Return the lineage whose current credential this is.

        Raises:
            BallotNotElector: unknown, or replaced (code "voting.ballot-replaced").
        """
        lineage = self.find(credential)
        if lineage is None:
            raise BallotNotElector("this credential may not vote in this election")
        if lineage.current != credential:
            raise BallotNotElector("another device votes for this member now", code="voting.ballot-replaced")
        return lineage

    def add_ballot(self, ballot: Ballot, leaf: bytes) -> Lineage:
        """Take a ballot (V10) and return its lineage afterwards.

        Raises:
            BallotRejected: a subclass names the reason.
        """
        lineage = self.current(ballot.credential)
        lineage.check_ballot(self.manifest, ballot)
        self.ballots += 1
        return self._put(lineage.with_ballot(leaf))

    def add_replacement(self, entry: JsonObject) -> Lineage:
        """Take a well-formed replacement entry (V10) and return its lineage afterwards.

        Raises:
            ReplacementRefused: with the reason.
        """
        old, new, kiosk = unb64u(entry["old"]), unb64u(entry["new"]), entry["kiosk"]
        lineage = self.find(old)
        if lineage is None:
            raise ReplacementRefused("this credential may not vote in this election", code="voting.replacement-old")
        lineage.check_replacement(self.manifest, old, kiosk=kiosk)
        if new in self._first_of:
            raise ReplacementRefused("this credential was in use before", code="voting.replacement-new")
        self._first_of[new] = lineage.first
        self.replacements += 1
        self.kiosk += int(kiosk)
        return self._put(lineage.replaced_by(new))

    def add_void(self, entry: JsonObject) -> Lineage:
        """Take a well-formed void entry (V10; what V29 asks is in `Voids`) and return its lineage.

        Raises:
            BallotNotElector: the credential is no lineage's current one.
        """
        lineage = self.current(unb64u(entry["credential"]))
        self.voids += 1
        return lineage

    @property
    def cast(self) -> int:
        """Number of lineages that voted."""
        return sum(lineage.voted for lineage in self)

    @property
    def cast_weight(self) -> int:
        """Weight of the lineages that voted."""
        return sum(lineage.weight for lineage in self if lineage.voted)

    def counted(self) -> frozenset[bytes]:
        """Return the leaves of the ballots that count: the last of each lineage."""
        return frozenset(lineage.prev for lineage in self if lineage.voted)

    def _put(self, lineage: Lineage) -> Lineage:
        self._by_first[lineage.first] = lineage
        return lineage


class Voids:
    """Audited ballots of an election (V29): at most five of a lineage, and none is ever cast."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self._count: dict[bytes, int] = {}
        self._sealed: set[bytes] = set()
        self._cast: set[bytes] = set()

    def add_void(self, lineage: Lineage, entry: JsonObject) -> None:
        """Take a void of this lineage.

        Raises:
            VoidRefused: unsigned, the sixth of the lineage, or of a ballot that is void or cast already.
        """
        sealed = check_void(self.manifest, entry)
        if sealed in self._sealed or sealed in self._cast:
            raise VoidRefused("this ballot is void or cast already", code="voting.void-second")
        if self._count.get(lineage.first, 0) >= MAX_VOIDS:
            raise VoidRefused("at most five ballots can be audited", code="voting.void-many")
        self._count[lineage.first] = self._count.get(lineage.first, 0) + 1
        self._sealed.add(sealed)

    def add_ballot(self, sealed: bytes) -> None:
        """Take a ballot by its `sealed`.

        Raises:
            BallotRejected: "voting.ballot-void".
        """
        if sealed in self._sealed:
            raise BallotRejected("this ballot was audited and is void", code="voting.ballot-void")
        self._cast.add(sealed)


def take(lineages: Lineages, voids: Voids, entry: JsonObject, leaf: bytes) -> None:
    """Take a well-formed ballot, replacement or void, or leave both folds as they were.

    Raises:
        BallotRejected, ReplacementRefused, VoidRefused: with the reason.
    """
    if entry["type"] == "ballot":
        ballot = Ballot.from_json(entry["ballot"])
        lineages.current(ballot.credential).check_ballot(lineages.manifest, ballot)
        voids.add_ballot(ballot.sealed)
        lineages.add_ballot(ballot, leaf)
    elif entry["type"] == "void":
        voids.add_void(lineages.current(unb64u(entry["credential"])), entry)
        lineages.add_void(entry)
    else:
        lineages.add_replacement(entry)


def check_void(manifest: Manifest, entry: JsonObject) -> bytes:
    """Check the signature of a well-formed void entry and return its `sealed`.

    Raises:
        VoidRefused: it does not verify.
    """
    sealed = unb64u(entry["sealed"])
    if not signing.is_valid(unb64u(entry["credential"]), void_hash(manifest.hash, sealed), unb64u(entry["sig"])):
        raise VoidRefused("the void is not signed by its credential", code="voting.void-unsigned")
    return sealed
