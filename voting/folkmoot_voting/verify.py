"""The offline verifier: every check of section 10 over a bundle and, for auditors, its annex."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from . import verify_annex, verify_board, verify_meeting
from .bundle import read_annex, read_bundle
from .encoding import JsonObject
from .errors import BundleMalformed, BundleUnreadable, VotingError
from .verify_context import Context

TITLES: Mapping[str, str] = {
    "V01": "files are those of the specification, strict canonical JSON",
    "V02": "manifests are well-formed and of one organisation, meeting and server",
    "V03": "ledger: root and size, signed by the server",
    "V04": "ledger: roll, key, and opening, closing and tally of each vote, in order",
    "V05": "roll: signed by the registrar's passkey and named by the manifests",
    "V06": "key generation: all messages signed, in order, points as committed",
    "V07": "key generation: proofs, keys and transcript as certified",
    "V08": "board: order of entries, signed checkpoints, roots recomputed",
    "V09": "electorate: no more voters than electors",
    "V10": "ballots: for this vote, one per credential",
    "V11": "ballots: signatures",
    "V12": "ballots: canonical bytes",
    "V13": "ballots: every option is 0 or 1",
    "V14": "ballots: exactly one option per question",
    "V15": "ballots: nothing copied between ballots",
    "V16": "closing: number of ballots, enough cosignatures",
    "V17": "intents: signed, for this box, before the shares",
    "V18": "shares: signed, for this box, one per trustee",
    "V19": "shares: proofs of correct decryption",
    "V20": "counts follow from the shares and sum to the ballots cast",
    "V21": "quorum and outcome recomputed",
    "V22": "tally: fields, times, hash on the board, signatures",
    "V23": "annex: the roll's entries give its root and size",
    "V24": "annex: each voter's credential is signed by a passkey of the roll",
    "V25": "annex: one credential per member; non-voters' check-ins too",
    "V26": "annex: check-ins hold a signed, consistent ledger with the roll",
    "V27": "annex: trustees' statements are signed by passkeys of the roll",
    "V28": "annex: cosigners' statements are signed by passkeys of the roll",
}
ANNEX_CHECKS = ("V23", "V24", "V25", "V26", "V27", "V28")

_BOARD = tuple(f"V{number:02d}" for number in range(9, 23))
_ALL = tuple(TITLES)

# failed check -> checks that it leaves without meaning
VOIDS: Mapping[str, tuple[str, ...]] = {
    "V01": _ALL[1:],
    "V02": _ALL[2:],
    "V06": ("V07",),
    "V08": (*_BOARD, "V24", "V25"),
    "V12": ("V13", "V14", "V15", "V17", "V18", "V19", "V20"),
    "V23": ("V24", "V25", "V27", "V28"),
}
RUN: Mapping[str, Callable[[Context], None]] = {
    **verify_meeting.CHECKS,
    **verify_board.CHECKS,
    **verify_annex.CHECKS,
}


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
    """The verdict, "ok", "failed" or "unreadable", and every check."""

    verdict: str
    checks: tuple[Check, ...]
    detail: str = ""

    @property
    def exit_code(self) -> int:
        """0, 1 or 2."""
        return {"ok": 0, "failed": 1, "unreadable": 2}[self.verdict]

    def to_json(self) -> JsonObject:
        """Return the JSON form of section 10."""
        form: JsonObject = {"verdict": self.verdict, "checks": [check.to_json() for check in self.checks]}
        return {**form, "detail": self.detail} if self.detail else form


def verify_bundle(bundle: bytes, annex: bytes | None = None) -> Report:
    """Run every check over the bytes of bundle.zip and annex.zip; never raises for what they hold."""
    try:
        context = Context(read_bundle(bundle), read_annex(annex) if annex is not None else None)
    except BundleUnreadable as error:
        return _unreadable(error)
    except BundleMalformed as error:
        later = [Check(name, TITLES[name], None, "not checked: V01 failed") for name in VOIDS["V01"]]
        return Report("failed", (Check("V01", TITLES["V01"], False, error.detail), *later))
    checks = [Check("V01", TITLES["V01"], True)]
    void: dict[str, str] = {}
    if annex is None:
        void = dict.fromkeys(ANNEX_CHECKS, "not checked: no annex given")
    for name, run in RUN.items():
        check = _run(name, run, context, void)
        checks.append(check)
        if check.ok is False:
            for other in VOIDS.get(name, ()):
                void.setdefault(other, f"not checked: {name} failed")
    failed = any(check.ok is False for check in checks)
    return Report("failed" if failed else "ok", tuple(checks))


def _unreadable(error: VotingError) -> Report:
    checks = tuple(Check(name, title, None, "not checked: unreadable") for name, title in TITLES.items())
    return Report("unreadable", checks, error.detail)


def _run(name: str, run: Callable[[Context], None], context: Context, void: Mapping[str, str]) -> Check:
    if name in void:
        return Check(name, TITLES[name], None, void[name])
    try:
        run(context)
    except VotingError as error:
        return Check(name, TITLES[name], False, error.detail)
    return Check(name, TITLES[name], True)
