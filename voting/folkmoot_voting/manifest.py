"""The manifest and the electorate of section 5."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from . import fields, group
from .assertion import RelyingParty
from .encoding import JsonObject, b64u, h, jcs, unb64u
from .errors import EncodingError, ManifestInvalid
from .keygen import TrusteesKey
from .roll import RP, RollCore, rp_json

PROTOCOL = "fm1-ristretto255-sha512"
MAX_MANIFEST = 200 * 1024
MAX_QUESTIONS, MAX_OPTIONS, MAX_COSIGNERS = 8, 32, 15
LIARS = 2
LEAST_ELECTORATE = 3
DEFAULT_LEAST_ELECTORATE = 5
YES_NO_ABSTAIN = ("yes", "no", "abstain")
MAJORITIES = ("simple", "absolute", "two-thirds", "three-quarters")
BASES = ("cast", "present", "roll")

_COSIGNER = re.compile(r"[a-z]{1,20}(-[1-9][0-9]?)?\Z")
_WORD = fields.text(64)
_NUMBER = fields.integer()

SHAPE = fields.record(
    v=fields.const(1),
    protocol=_WORD,
    organisation=fields.record(id=fields.ident, name=fields.text()),
    meeting=fields.ident,
    election=fields.ident,
    title=fields.text(),
    questions=fields.items(
        fields.record(
            type=_WORD,
            text=fields.text(2000, line_feed=True),
            options=fields.items(fields.text(), 0, 1000),
        ),
        0,
        100,
    ),
    secrecy=_WORD,
    voting_again=_WORD,
    rules=fields.record(
        quorum=fields.record(num=_NUMBER, den=_NUMBER, of=_WORD),
        majority=fields.record(kind=_WORD, of=_WORD),
        tie=_WORD,
    ),
    roll=fields.hash32,
    roll_size=_NUMBER,
    present=_NUMBER,
    electorate=fields.hash32,
    electorate_size=_NUMBER,
    exceptions=_NUMBER,
    trustees=fields.record(
        threshold=_NUMBER,
        count=_NUMBER,
        transcript=fields.hash32,
        key=fields.hash32,
        verification_keys=fields.items(fields.hash32, 0, 100),
        sign_keys=fields.items(fields.hash32, 0, 100),
    ),
    cosigners=fields.items(fields.record(name=_WORD, key=fields.key32), 0, 100),
    cosign_quorum=_NUMBER,
    board=fields.record(origin=fields.text(400), key=fields.key32),
    ledger=fields.record(origin=fields.text(400), key=fields.key32),
    rp=RP,
    opened_at=fields.moment,
    grace_s=_NUMBER,
    time_limit=fields.moment,
)


@dataclass(frozen=True)
class Question:
    """One question: its type, text and options."""

    type: str
    text: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Rules:
    """Quorum num/den of the roll, and the majority's kind and base."""

    quorum_num: int
    quorum_den: int
    majority: str
    base: str


@dataclass(frozen=True)
class Manifest:
    """A well-formed manifest, its JSON and its hash mh."""

    json: JsonObject
    hash: bytes
    organisation: str
    meeting: str
    election: str
    questions: tuple[Question, ...]
    rules: Rules
    roll: bytes
    roll_size: int
    present: int
    electorate: bytes
    electorate_size: int
    exceptions: int
    trustees: TrusteesKey
    cosigners: Mapping[str, bytes]
    cosign_quorum: int
    board_origin: str
    ledger_origin: str
    server_key: bytes
    rp: RelyingParty
    opened_at: int
    grace_s: int
    time_limit: int

    @property
    def key(self) -> bytes:
        """The trustees' key Y."""
        return self.trustees.key

    @classmethod
    def from_json(cls, data: JsonObject) -> Manifest:
        """Check form and meaning of a manifest and compute mh.

        Raises:
            ManifestInvalid: with the first fault.
        """
        try:
            parts = SHAPE(data)
            raw = jcs(data)
        except EncodingError as error:
            raise ManifestInvalid(f"manifest: {error.detail}", code="voting.manifest-malformed") from error
        if len(raw) > MAX_MANIFEST:
            raise _bad("longer than 200 KiB")
        for check in (_check_words, _check_questions, _check_numbers, _check_trustees, _check_cosigners):
            check(parts)
        _check_logs(parts)
        return cls._build(data, parts)

    @classmethod
    def _build(cls, data: JsonObject, parts: dict[str, Any]) -> Manifest:
        quorum, majority, trustees = parts["rules"]["quorum"], parts["rules"]["majority"], parts["trustees"]
        same = ("meeting", "election", "roll", "roll_size", "present", "electorate", "electorate_size")
        return cls(
            json=data,
            hash=h("fm1/manifest", jcs(data)),
            organisation=parts["organisation"]["id"],
            questions=tuple(Question(one["type"], one["text"], tuple(one["options"])) for one in parts["questions"]),
            rules=Rules(quorum["num"], quorum["den"], majority["kind"], majority["of"]),
            trustees=TrusteesKey(
                trustees["threshold"],
                trustees["count"],
                trustees["transcript"],
                trustees["key"],
                tuple(trustees["verification_keys"]),
                tuple(trustees["sign_keys"]),
            ),
            cosigners={one["name"]: one["key"] for one in parts["cosigners"]},
            board_origin=parts["board"]["origin"],
            ledger_origin=parts["ledger"]["origin"],
            server_key=parts["board"]["key"],
            rp=RelyingParty(parts["rp"]["id"], tuple(parts["rp"]["origins"])),
            exceptions=parts["exceptions"],
            cosign_quorum=parts["cosign_quorum"],
            opened_at=parts["opened_at"],
            grace_s=parts["grace_s"],
            time_limit=parts["time_limit"],
            **{name: parts[name] for name in same},
        )


def least_cosign_quorum(cosigners: int) -> int:
    """Return the least q with q > (w + 2) / 2."""
    return (cosigners + LIARS) // 2 + 1


def make_electorate(credentials: Iterable[bytes]) -> list[JsonObject]:
    """Return the electorate list for these credentials, sorted by their b64u form.

    Raises:
        ManifestInvalid: a credential comes twice or is not 32 bytes.
    """
    names = sorted(b64u(credential) for credential in credentials)
    electorate: list[JsonObject] = [{"credential": name, "weight": 1} for name in names]
    parse_electorate(electorate)
    return electorate


_ELECTORATE = fields.items(fields.record(credential=fields.key32, weight=fields.const(1)))


def parse_electorate(electorate: Sequence[JsonObject]) -> frozenset[bytes]:
    """Return the credentials of an electorate list.

    Raises:
        ManifestInvalid: malformed, unsorted or with duplicates.
    """
    try:
        _ELECTORATE(electorate)
    except EncodingError as error:
        raise ManifestInvalid(f"electorate: {error.detail}", code="voting.electorate") from error
    names = [one["credential"] for one in electorate]
    if any(left >= right for left, right in pairwise(names)):
        raise ManifestInvalid("the electorate is not sorted or has duplicates", code="voting.electorate")
    return frozenset(unb64u(name) for name in names)


def electorate_hash(electorate: Sequence[JsonObject]) -> bytes:
    """Return the hash that the manifest carries."""
    return h("fm1/electorate", jcs(list(electorate)))


def build_manifest(
    *,
    organisation: tuple[str, str],
    election: str,
    title: str,
    questions: Sequence[Question],
    rules: Rules,
    roll: RollCore,
    present: int,
    electorate: Sequence[JsonObject],
    trustees: TrusteesKey,
    cosigners: Sequence[tuple[str, bytes]],
    server_key: bytes,
    opened_at: int,
    grace_s: int,
    time_limit: int,
    cosign_quorum: int | None = None,
    least_electorate: int = DEFAULT_LEAST_ELECTORATE,
) -> Manifest:
    """Build the manifest of one election; organisation is (id, name).

    Raises:
        ManifestInvalid: a value breaks section 5, or the electorate is below `least_electorate`.
    """
    if len(electorate) < max(least_electorate, LEAST_ELECTORATE):
        raise ManifestInvalid(
            f"a secret vote needs at least {max(least_electorate, LEAST_ELECTORATE)} electors",
            code="voting.electorate-too-small",
        )
    parse_electorate(electorate)
    return Manifest.from_json(
        {
            "v": 1,
            "protocol": PROTOCOL,
            "organisation": {"id": organisation[0], "name": organisation[1]},
            "meeting": roll.meeting,
            "election": election,
            "title": title,
            "questions": [{"type": one.type, "text": one.text, "options": list(one.options)} for one in questions],
            "secrecy": "trustees",
            "voting_again": "once",
            "rules": {
                "quorum": {"num": rules.quorum_num, "den": rules.quorum_den, "of": "roll"},
                "majority": {"kind": rules.majority, "of": rules.base},
                "tie": "rejected",
            },
            "roll": b64u(roll.hash),
            "roll_size": roll.size,
            "present": present,
            "electorate": b64u(electorate_hash(electorate)),
            "electorate_size": len(electorate),
            "exceptions": roll.exceptions,
            "trustees": trustees.to_json(),
            "cosigners": [{"name": name, "key": b64u(key)} for name, key in cosigners],
            "cosign_quorum": least_cosign_quorum(len(cosigners)) if cosign_quorum is None else cosign_quorum,
            "board": {"origin": f"{roll.rp.id}/{roll.meeting}/{election}", "key": b64u(server_key)},
            "ledger": {"origin": f"{roll.rp.id}/ledger", "key": b64u(server_key)},
            "rp": rp_json(roll.rp),
            "opened_at": opened_at,
            "grace_s": grace_s,
            "time_limit": time_limit,
        }
    )


def yes_no_abstain(text: str) -> Question:
    """Return a yes/no/abstain question."""
    return Question("yes-no-abstain", text, YES_NO_ABSTAIN)


def one_of_n(text: str, options: Sequence[str]) -> Question:
    """Return a question with exactly one of several options."""
    return Question("one-of-n", text, tuple(options))


def _bad(why: str) -> ManifestInvalid:
    return ManifestInvalid(f"manifest: {why}")


def _check_words(parts: dict[str, Any]) -> None:
    rules = parts["rules"]
    expected = (
        (parts["protocol"], (PROTOCOL,), "another protocol"),
        (parts["secrecy"], ("trustees",), "this kind of secrecy is refused in this version"),
        (parts["voting_again"], ("once",), "voting again is refused in this version"),
        (rules["quorum"]["of"], ("roll",), "the quorum is of the roll"),
        (rules["majority"]["kind"], MAJORITIES, "unknown majority"),
        (rules["majority"]["of"], BASES, "unknown base of the majority"),
        (rules["tie"], ("rejected",), "unknown rule for a tie"),
    )
    for value, allowed, why in expected:
        if value not in allowed:
            raise _bad(why)


def _check_questions(parts: dict[str, Any]) -> None:
    questions = parts["questions"]
    if not 1 <= len(questions) <= MAX_QUESTIONS:
        raise _bad("1 to 8 questions")
    for one in questions:
        options = one["options"]
        if one["type"] not in ("yes-no-abstain", "one-of-n"):
            raise _bad("unknown type of question")
        if not 2 <= len(options) <= MAX_OPTIONS or len(set(options)) != len(options):
            raise _bad("2 to 32 distinct options")
        if one["type"] == "yes-no-abstain" and tuple(options) != YES_NO_ABSTAIN:
            raise _bad("the options of yes-no-abstain are fixed")


def _check_numbers(parts: dict[str, Any]) -> None:
    quorum = parts["rules"]["quorum"]
    if not (quorum["num"] <= quorum["den"] <= 10**6 and quorum["den"] >= 1):
        raise _bad("the quorum is not a fraction")
    if not LEAST_ELECTORATE <= parts["electorate_size"] <= parts["present"] <= parts["roll_size"]:
        raise _bad("3 <= electorate <= present <= roll")
    if parts["opened_at"] >= parts["time_limit"] or parts["grace_s"] > 3600:
        raise _bad("times")


def _check_trustees(parts: dict[str, Any]) -> None:
    trustees = parts["trustees"]
    count, keys = trustees["count"], trustees["verification_keys"]
    if not 2 <= trustees["threshold"] <= count <= 9:
        raise _bad("2 <= threshold <= trustees <= 9")
    if len(keys) != count or len(trustees["sign_keys"]) != count:
        raise _bad("a key for each trustee")
    if len(set(trustees["sign_keys"])) != count:
        raise _bad("two trustees share a key")
    if any(key == group.IDENTITY or not group.is_point(key) for key in (trustees["key"], *keys)):
        raise _bad("a trustees' key is not a point")


def _check_cosigners(parts: dict[str, Any]) -> None:
    cosigners, quorum = parts["cosigners"], parts["cosign_quorum"]
    names = {one["name"] for one in cosigners}
    if len(cosigners) > MAX_COSIGNERS or len(names) != len(cosigners):
        raise _bad("at most 15 cosigners with distinct names")
    if not names >= {"chair", "secretary"} or not all(_COSIGNER.match(name) for name in names):
        raise _bad("names of cosigners")
    if len({one["key"] for one in cosigners}) != len(cosigners):
        raise _bad("two cosigners share a key")
    if not least_cosign_quorum(len(cosigners)) <= quorum <= len(cosigners):
        raise _bad("the quorum of cosigners is not safe")


def _check_logs(parts: dict[str, Any]) -> None:
    rp_id = parts["rp"]["id"]
    if parts["board"]["origin"] != f"{rp_id}/{parts['meeting']}/{parts['election']}":
        raise _bad("origin of the board")
    if parts["ledger"]["origin"] != f"{rp_id}/ledger" or parts["ledger"]["key"] != parts["board"]["key"]:
        raise _bad("origin or key of the ledger")
