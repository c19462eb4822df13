"""The first reading of a board: form, order, roots, lineages and voids; all that needs no group arithmetic.

What goes wrong is noted, not raised, because which check of section 10 counts is decided when everything is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from folkmoot_voting.ballot import Ballot
from folkmoot_voting.board import ORDER
from folkmoot_voting.electorate import Elector
from folkmoot_voting.encoding import JsonObject, unb64u
from folkmoot_voting.errors import ManifestInvalid, VotingError
from folkmoot_voting.lineages import Lineage, Lineages, Voids
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.merkle_log import Frontier

from .entries import Line, OtherLine

# More than trustees or questions can be: whoever keeps so many has seen one of them twice.
_KEPT: Final = 10
_BOX: Final = ("intent", "share", "casting")


@dataclass
class Survey:
    """What the first reading found.

    Attributes:
        manifest: of the first opening entry; None when it is malformed, and `manifest_fault` says why.
        box: the first intents, shares and castings, in order; more of a type than can be right are not kept.
        roots: (size, root) when the opening, the closing entry and the last entry had been read.
        faults: first fault of V08, V10 and V29 by id.
        counted: leaves of the ballots that count.
        verified_root: root at the size that was asked for, None when the board is shorter.
    """

    manifest: Manifest | None = None
    manifest_fault: str = "the board has no manifest"
    closing: JsonObject | None = None
    tally: JsonObject | None = None
    box: list[JsonObject] = field(default_factory=list)
    replaced: list[JsonObject] = field(default_factory=list)
    roots: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    size: int = 0
    ballots: int = 0
    replacements: int = 0
    kiosk: int = 0
    voids: int = 0
    lineages: Lineages | None = None
    counted: frozenset[bytes] = frozenset()
    verified_root: bytes | None = None

    def of_type(self, kind: str) -> list[JsonObject]:
        """Return the kept intents, shares or castings, in order."""
        return [entry for entry in self.box if entry["type"] == kind]

    @property
    def cast(self) -> int:
        """Number of lineages that voted."""
        return self.lineages.cast if self.lineages else 0

    @property
    def cast_weight(self) -> int:
        """Their weight."""
        return self.lineages.cast_weight if self.lineages else 0


class Surveyor:
    """Folds the entries of one board into a `Survey`."""

    def __init__(self, electors: Mapping[bytes, Elector], verified_sizes: Mapping[bytes, int]) -> None:
        """Begin; `verified_sizes` gives for manifests seen before the size of which the root is wanted."""
        self.survey = Survey()
        self._electors = electors
        self._verified_sizes = verified_sizes
        self._wanted_size = 0
        self._phase = "empty"
        self._frontier = Frontier()
        self._voids: Voids | None = None
        self._kept = dict.fromkeys(_BOX, 0)

    def run(self, lines: Iterator[Line], progress: Callable[[int], None]) -> Survey:
        """Read all entries; raises what reading them raises (V01). Every 1000 entries progress is told."""
        survey = self.survey
        for line in lines:
            if survey.size % 1000 == 0:
                progress(survey.size)
            self._frontier.append(line.leaf)
            survey.size += 1
            kind = "ballot" if isinstance(line, Ballot) else str(line.entry["type"])
            self._order(kind)
            if isinstance(line, Ballot):
                self._ballot(line)
            else:
                self._other(kind, line)
            if survey.size == self._wanted_size:
                survey.verified_root = self._frontier.root()
        if self._phase != "done":
            self._fault("V08", "the board does not end with a tally")
        survey.roots["final"] = self._head()
        if survey.lineages is not None:
            survey.counted = survey.lineages.counted()
        return survey

    def _head(self) -> tuple[int, bytes]:
        return self.survey.size, self._frontier.root()

    def _fault(self, check: str, detail: str) -> None:
        self.survey.faults.setdefault(check, detail)

    def _order(self, kind: str) -> None:
        if "V08" in self.survey.faults:
            return
        if kind not in ORDER[self._phase]:
            self._fault("V08", f"entry {self.survey.size - 1}: {kind} may not follow in an {self._phase} board")
            return
        self._phase = ORDER[self._phase][kind]

    def _ballot(self, ballot: Ballot) -> None:
        survey = self.survey
        survey.ballots += 1
        if survey.lineages is None or self._voids is None:
            return
        try:
            self._voids.add_ballot(ballot.sealed)
        except VotingError as error:
            self._fault("V29", f"ballot {survey.ballots}: {error.detail}")
        if "V10" not in survey.faults:
            try:
                survey.lineages.add_ballot(ballot, ballot.leaf)
            except VotingError as error:
                self._fault("V10", f"ballot {survey.ballots}: {error.detail}")

    def _other(self, kind: str, line: OtherLine) -> None:
        survey, entry = self.survey, line.entry
        if kind == "opening":
            self._opening(entry)
        elif kind == "closing":
            survey.closing = survey.closing or entry
            survey.roots.setdefault("closing", self._head())
        elif kind == "tally":
            survey.tally = entry
        elif kind in _BOX:
            self._kept[kind] += 1
            if self._kept[kind] <= _KEPT:
                survey.box.append(entry)
        elif kind == "replacement":
            self._replacement(entry)
        else:
            self._void(entry)

    def _opening(self, entry: JsonObject) -> None:
        survey = self.survey
        if "opening" in survey.roots:
            return
        survey.roots["opening"] = self._head()
        try:
            survey.manifest = manifest = Manifest.from_json(entry["manifest"])
        except ManifestInvalid as error:
            survey.manifest_fault = error.detail
            return
        survey.lineages = Lineages(manifest, self._electors)
        self._voids = Voids(manifest)
        self._wanted_size = self._verified_sizes.get(manifest.hash, 0)

    def _replacement(self, entry: JsonObject) -> None:
        survey = self.survey
        survey.replacements += 1
        survey.kiosk += int(entry["kiosk"])
        survey.replaced.append(entry)
        if survey.lineages is not None and "V10" not in survey.faults:
            try:
                survey.lineages.add_replacement(entry)
            except VotingError as error:
                self._fault("V10", f"replacement {survey.replacements}: {error.detail}")

    def _void(self, entry: JsonObject) -> None:
        survey = self.survey
        survey.voids += 1
        if survey.lineages is None or self._voids is None:
            return
        lineage = survey.lineages.find(unb64u(entry["credential"]))
        if "V10" not in survey.faults:
            try:
                survey.lineages.add_void(entry)
            except VotingError as error:
                self._fault("V10", f"void {survey.voids}: {error.detail}")
        credential = unb64u(entry["credential"])
        try:
            self._voids.add_void(lineage or Lineage(credential, credential, 0), entry)
        except VotingError as error:
            self._fault("V29", f"void {survey.voids}: {error.detail}")
