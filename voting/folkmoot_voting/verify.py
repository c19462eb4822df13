"""The offline verifier: every check of section 10 over a bundle and, for auditors, its annex."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO

from .encoding import JsonObject
from .errors import BundleMalformed, BundleUnreadable, VotingError
from .verifier import attendance, boards, meeting, people
from .verifier.archive import Archive
from .verifier.context import Context, Election, NotApplicable
from .verifier.entries import read_lines
from .verifier.files import BundleFiles, read_annex, read_bundle, require_annex
from .verifier.proofs import Proofs, prove
from .verifier.survey import Survey, Surveyor

TITLES: Mapping[str, str] = {
    "V01": "files are those of the specification, strict canonical JSON",
    "V02": "manifests are well-formed and of one organisation, meeting and server",
    "V03": "ledger: root and size, signed by the server",
    "V04": "ledger: roll, key, and opening, closing and tally of each vote, in order",
    "V05": "roll: signed by the registrar's passkey and named by the manifests",
    "V06": "key generation: all messages signed, in order, points and salts as committed",
    "V07": "key generation: proofs, keys and transcript as certified",
    "V08": "board: order of entries, signed checkpoints, roots recomputed",
    "V09": "electorate: the list gives hash, size and weight; no small classes; repeats",
    "V10": "ballots, replacements and voids follow each other in every lineage",
    "V11": "ballots: signatures",
    "V12": "ballots: canonical bytes",
    "V13": "ballots: every number is in its range",
    "V14": "ballots: every sum is in its range",
    "V15": "ballots: nothing copied between ballots",
    "V16": "closing: numbers, times, enough cosignatures",
    "V17": "intents: signed, for this box, before the shares",
    "V18": "shares: signed, for this box, one per trustee",
    "V19": "shares: proofs of correct decryption",
    "V20": "counts follow from the shares or the plain ballots",
    "V21": "quorum and outcome recomputed; casting votes where a tie asks for them",
    "V22": "tally: fields, times, hash on the board, signatures",
    "V23": "annex: the roll's entries give its root, size and weight",
    "V24": "annex: each voter's credential is signed by a passkey of the roll; the electorate is theirs",
    "V25": "annex: one lineage per member; non-voters' check-ins too",
    "V26": "annex: check-ins hold a signed, consistent ledger with the roll",
    "V27": "annex: trustees' statements are signed by passkeys of the roll",
    "V28": "annex: cosigners' statements are signed by passkeys of the roll",
    "V29": "audited ballots: signed, at most five of a voter, none of them cast",
    "V30": "rejected shares: signed by their trustee, wrongly proved, named in the tally",
    "V31": "destroyed shares: signed, after the challenge period, in the ledger",
    "V32": "annex: each replacement is signed by a passkey of the voter",
    "V33": "annex: exceptions have two officers, exclusions and names are the roll's",
    "V34": "annex: the attendance log gives what each opening and closing signed of it, and who was present",
}
ANNEX_CHECKS = ("V23", "V24", "V25", "V26", "V27", "V28", "V32", "V33", "V34")
PROVED = ("V08", "V10", "V11", "V12", "V13", "V14")

_ALL = tuple(TITLES)
_AFTER_BOARD = tuple(f"V{number:02d}" for number in range(9, 23))
_TALLY = tuple(f"V{number:02d}" for number in range(16, 23))

# failed check -> checks that it leaves without meaning
VOIDS: Mapping[str, tuple[str, ...]] = {
    "V01": _ALL[1:],
    "V02": _ALL[2:],
    "V06": ("V07", "V31"),
    "V08": (*_AFTER_BOARD, "V24", "V25", "V29", "V30", "V32"),
    "V09": ("V10", *_TALLY, "V24", "V25", "V30", "V32"),
    "V10": (*_TALLY, "V30", "V32"),
    "V12": ("V13", "V14", "V15", "V17", "V18", "V19", "V20", "V30"),
    "V23": ("V24", "V25", "V27", "V28", "V32", "V33", "V34"),
}
RUN: Mapping[str, Callable[[Context], None]] = {
    **meeting.CHECKS,
    **boards.CHECKS,
    **people.CHECKS,
    **attendance.CHECKS,
}

_FROM_MANIFEST = (
    "title", "secrecy", "rehearsal", "questions", "roll_size", "present", "electorate_size", "exceptions",
    "excluded", "repeats",
)  # fmt: skip
_FROM_CORE = (
    "ballots", "cast", "cast_weight", "replacements", "kiosk", "voids", "counts", "rejected", "quorum", "outcome",
    "halls",
)  # fmt: skip


@dataclass(frozen=True)
class Verified:
    """How far a board was verified by an earlier run: its size then and the root of so many entries."""

    size: int
    root: bytes


@dataclass(frozen=True)
class Progress:
    """How far a run is: entries or ballots of one board that were read."""

    election: str
    stage: str
    done: int


@dataclass(frozen=True)
class Check:
    """One numbered check; ok is None when it was not checked."""

    id: str
    title: str
    ok: bool | None
    detail: str = ""

    def to_json(self) -> JsonObject:
        """Return the JSON form of section 10; `detail` only where there is one."""
        form: JsonObject = {"id": self.id, "ok": self.ok, "title": self.title}
        return {**form, "detail": self.detail} if self.detail else form


@dataclass(frozen=True)
class Report:
    """The verdict, "ok", "failed" or "unreadable", and every check.

    Attributes:
        context: what was read, for reports in words; None when nothing could be.
        verified: by manifest hash, what a later run need not prove again.
    """

    verdict: str
    checks: tuple[Check, ...]
    detail: str = ""
    context: Context | None = field(default=None, repr=False, compare=False)
    verified: Mapping[bytes, Verified] = field(default_factory=dict, repr=False, compare=False)

    @property
    def exit_code(self) -> int:
        """0, 1 or 2."""
        return {"ok": 0, "failed": 1, "unreadable": 2}[self.verdict]

    @property
    def elections(self) -> list[JsonObject]:
        """What section 10 says of each election, in order of opening; empty unless V02 passed."""
        if self.context is None or not self.passed("V02"):
            return []
        return [_summary(self.context, one) for one in self.context.elections.values()]

    def passed(self, name: str) -> bool:
        """Say whether this check was run and holds."""
        return any(check.id == name and check.ok is True for check in self.checks)

    def to_json(self) -> JsonObject:
        """Return the JSON form of section 10."""
        checks = [check.to_json() for check in self.checks]
        form: JsonObject = {"verdict": self.verdict, "checks": checks, "elections": self.elections}
        return {**form, "detail": self.detail} if self.detail else form


def verify_bundle(
    bundle: bytes | BinaryIO,
    annex: bytes | BinaryIO | None = None,
    *,
    strict: bool = False,
    known: Mapping[bytes, Verified] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Run every check over bundle.zip and annex.zip; never raises for what they hold.

    Args:
        bundle: its bytes, or a file that can be read and sought, which keeps memory small.
        annex: likewise, in clear; None when there is none.
        strict: check every equation alone through libsodium.
        known: by manifest hash, what an earlier run has verified; proofs of ballots before are not checked again
            when the root is the same.
        progress: told now and then how far the reading is.
    """
    try:
        context = _read(bundle, annex, {} if known is None else known, strict, progress or _silent)
    except BundleUnreadable as error:
        return unreadable(error)
    except BundleMalformed as error:
        later = [Check(name, TITLES[name], None, "not checked: V01 failed") for name in VOIDS["V01"]]
        return Report("failed", (Check("V01", TITLES["V01"], False, error.detail), *later))
    checks = [Check("V01", TITLES["V01"], True)]
    void: dict[str, str] = {}
    if annex is None:
        void = dict.fromkeys(ANNEX_CHECKS, "not checked: no annex given")
    for name in _ALL[1:]:
        check = _run(name, RUN[name], context, void)
        checks.append(check)
        if check.ok is False:
            for other in VOIDS.get(name, ()):
                void.setdefault(other, f"not checked: {name} failed")
    failed = any(check.ok is False for check in checks)
    proved = {check.id for check in checks if check.ok} >= set(PROVED)
    verified = _verified(context) if proved else {}
    return Report("failed" if failed else "ok", tuple(checks), context=context, verified=verified)


def _read(
    bundle: bytes | BinaryIO,
    annex: bytes | BinaryIO | None,
    known: Mapping[bytes, Verified],
    strict: bool,
    progress: Callable[[Progress], None],
) -> Context:
    """Read everything once; what cannot be unpacked goes before what has a wrong form."""
    archive = Archive(bundle)
    archive.examine()
    annex_archive = None
    if annex is not None:
        annex_archive = Archive(annex)
        annex_archive.examine()
        require_annex(annex_archive)
    files = read_bundle(archive)
    surveys = {name: _survey(files, name, known, progress) for name in files.elections}
    proving = partial(_prove, files, known, strict, progress)
    return Context(files, read_annex(annex_archive) if annex_archive else None, surveys, proving)


def _survey(
    files: BundleFiles, name: str, known: Mapping[bytes, Verified], progress: Callable[[Progress], None]
) -> Survey:
    sizes = {manifest: one.size for manifest, one in known.items()}
    surveyor = Surveyor(files.elections[name].electors.by_credential(), sizes)
    lines = read_lines(files.board_lines(name), f"elections/{name}/board.jsonl")
    return surveyor.run(lines, lambda done: progress(Progress(name, "read", done)))


def _prove(
    files: BundleFiles,
    known: Mapping[bytes, Verified],
    strict: bool,
    progress: Callable[[Progress], None],
    name: str,
    election: Election,
) -> Proofs:
    before = known.get(election.manifest.hash)
    same = before is not None and before.root == election.survey.verified_root
    return prove(
        election.manifest,
        election.survey,
        lambda: files.board_lines(name),
        strict=strict,
        skip=before.size if before is not None and same and not strict else 0,
        progress=lambda done: progress(Progress(name, "check", done)),
    )


def _verified(context: Context) -> dict[bytes, Verified]:
    return {one.manifest.hash: Verified(*one.survey.roots["final"]) for one in context.elections.values()}


def _summary(context: Context, election: Election) -> JsonObject:
    manifest, core = election.manifest, election.core
    return {
        "election": manifest.election,
        "at_closing": context.at_closing(manifest.election),
        **{name: manifest.json[name] for name in _FROM_MANIFEST},
        **{name: core[name] for name in _FROM_CORE},
    }


def unreadable(error: VotingError) -> Report:
    """Return the report on a record that cannot be opened."""
    checks = tuple(Check(name, title, None, "not checked: unreadable") for name, title in TITLES.items())
    return Report("unreadable", checks, error.detail)


def _run(name: str, run: Callable[[Context], None], context: Context, void: Mapping[str, str]) -> Check:
    if name in void:
        return Check(name, TITLES[name], None, void[name])
    try:
        run(context)
    except NotApplicable as error:
        return Check(name, TITLES[name], None, f"not applicable: {error}")
    except VotingError as error:
        return Check(name, TITLES[name], False, error.detail)
    return Check(name, TITLES[name], True)


def _silent(_progress: Progress) -> None:
    """Say nothing."""
