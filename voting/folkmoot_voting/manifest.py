"""The manifest of section 5."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import fields, group
from .assertion import RelyingParty
from .electorate import check_classes, electorate_hash, parse_electorate
from .encoding import JsonObject, b64u, h, jcs
from .errors import EncodingError, ManifestInvalid
from .keygen import NO_KEY, TrusteesKey
from .questions import Question, check_questions
from .roll import RP, RollCore, rp_json

PROTOCOL = "fm1-ristretto255-sha512"
MAX_MANIFEST = 200 * 1024
MAX_COSIGNERS = 15
MAX_TOTAL = 10**8
LIARS = 2
LEAST_ELECTORATE = 3
DEFAULT_LEAST_ELECTORATE = 5
DEFAULT_CHALLENGE_S = 30 * 86_400
SECRET, OPEN, ROLL_CALL = "trustees", "open", "roll-call"
ONCE, LAST_COUNTS = "once", "last-counts"
REJECTED, CASTING_VOTE = "rejected", "casting-vote"
MAJORITIES = ("simple", "absolute", "two-thirds", "three-quarters")
BASES = ("cast", "decided", "present", "roll")

_COSIGNER = re.compile(r"[a-z]{1,20}(-[1-9][0-9]?)?\Z")
_WORD = fields.text(64)
_NUMBER = fields.integer()
_LIST = 10_000

QUESTION = fields.record(
    type=_WORD,
    text=fields.text(2000, line_feed=True),
    options=fields.items(fields.text(), 0, _LIST),
    min=_NUMBER,
    max=_NUMBER,
    blank=fields.boolean,
    score=_NUMBER,
    ranks=_NUMBER,
    seats=_NUMBER,
)
SHAPE = fields.record(
    v=fields.const(1),
    protocol=_WORD,
    organisation=fields.record(id=fields.ident, name=fields.text()),
    meeting=fields.ident,
    election=fields.ident,
    title=fields.text(),
    rehearsal=fields.boolean,
    questions=fields.items(QUESTION, 0, _LIST),
    secrecy=_WORD,
    voting_again=_WORD,
    kiosk=fields.boolean,
    rules=fields.record(
        quorum=fields.record(num=_NUMBER, den=_NUMBER, by=_WORD, in_=_WORD),
        majority=fields.record(kind=_WORD, of=_WORD),
        tie=_WORD,
    ),
    roll=fields.hash32,
    roll_size=_NUMBER,
    roll_weight=_NUMBER,
    present=_NUMBER,
    present_weight=_NUMBER,
    excluded=_NUMBER,
    exceptions=_NUMBER,
    electorate=fields.hash32,
    electorate_size=_NUMBER,
    electorate_weight=_NUMBER,
    least_electorate=_NUMBER,
    repeats=fields.items(fields.ident, 0, _LIST),
    trustees=fields.record(
        attempt=_NUMBER,
        threshold=_NUMBER,
        count=_NUMBER,
        transcript=fields.empty_or(fields.hash32),
        key=fields.empty_or(fields.hash32),
        verification_keys=fields.items(fields.hash32, 0, _LIST),
        sign_keys=fields.items(fields.hash32, 0, _LIST),
    ),
    cosigners=fields.items(fields.record(name=_WORD, key=fields.key32), 0, _LIST),
    cosign_quorum=_NUMBER,
    board=fields.record(origin=fields.text(400), key=fields.key32),
    ledger=fields.record(origin=fields.text(400), key=fields.key32),
    rp=RP,
    opened_at=fields.moment,
    closes_at=fields.moment,
    grace_s=_NUMBER,
    time_limit=fields.moment,
    challenge_s=_NUMBER,
)


@dataclass(frozen=True)
class Rules:
    """Quorum num/den of the roll, counted by and in what; the majority's kind and base; what a tie does."""

    quorum_num: int
    quorum_den: int
    majority: str
    base: str
    quorum_by: str = "present"
    quorum_in: str = "members"
    tie: str = REJECTED

    def to_json(self) -> JsonObject:
        """Return the manifest's `rules`."""
        return {
            "quorum": {
                "num": self.quorum_num,
                "den": self.quorum_den,
                "by": self.quorum_by,
                "in": self.quorum_in,
            },
            "majority": {"kind": self.majority, "of": self.base},
            "tie": self.tie,
        }


@dataclass(frozen=True)
class Manifest:
    """A well-formed manifest, its JSON and its hash mh."""

    json: JsonObject
    hash: bytes
    organisation: str
    meeting: str
    election: str
    title: str
    rehearsal: bool
    questions: tuple[Question, ...]
    secrecy: str
    voting_again: str
    kiosk: bool
    rules: Rules
    roll: bytes
    roll_size: int
    roll_weight: int
    present: int
    present_weight: int
    excluded: int
    exceptions: int
    electorate: bytes
    electorate_size: int
    electorate_weight: int
    least_electorate: int
    repeats: tuple[str, ...]
    trustees: TrusteesKey
    cosigners: Mapping[str, bytes]
    cosign_quorum: int
    board_origin: str
    ledger_origin: str
    server_key: bytes
    rp: RelyingParty
    opened_at: int
    closes_at: int
    grace_s: int
    time_limit: int
    challenge_s: int

    @property
    def key(self) -> bytes:
        """The trustees' key Y; empty in an open or roll-call vote."""
        return self.trustees.key

    @property
    def secret(self) -> bool:
        """Whether ballots are sealed."""
        return self.secrecy == SECRET

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
        made = cls._build(data, parts)
        for check in _CHECKS:
            check(made)
        _check_logs(made, parts)
        return made

    @classmethod
    def _build(cls, data: JsonObject, parts: dict[str, Any]) -> Manifest:
        quorum, majority = parts["rules"]["quorum"], parts["rules"]["majority"]
        trustees = {**parts["trustees"]}
        for name in ("transcript", "key"):
            trustees[name] = trustees[name] or b""
        for name in ("verification_keys", "sign_keys"):
            trustees[name] = tuple(trustees[name])
        cosigners = [(one["name"], one["key"]) for one in parts["cosigners"]]
        if len({name for name, _ in cosigners}) != len(cosigners):
            raise _bad("two cosigners of one name")
        return cls(
            json=data,
            hash=h("fm1/manifest", jcs(data)),
            organisation=parts["organisation"]["id"],
            questions=tuple(Question(**{**one, "options": tuple(one["options"])}) for one in parts["questions"]),
            rules=Rules(
                quorum["num"],
                quorum["den"],
                majority["kind"],
                majority["of"],
                quorum["by"],
                quorum["in"],
                parts["rules"]["tie"],
            ),
            repeats=tuple(parts["repeats"]),
            trustees=TrusteesKey(**trustees),
            cosigners=dict(cosigners),
            board_origin=parts["board"]["origin"],
            ledger_origin=parts["ledger"]["origin"],
            server_key=parts["board"]["key"],
            rp=RelyingParty(parts["rp"]["id"], tuple(parts["rp"]["origins"])),
            **{name: parts[name] for name in _SAME},
        )


_SAME = (
    "meeting", "election", "title", "rehearsal", "secrecy", "voting_again", "kiosk",
    "roll", "roll_size", "roll_weight", "present", "present_weight", "excluded", "exceptions",
    "electorate", "electorate_size", "electorate_weight", "least_electorate",
    "cosign_quorum", "opened_at", "closes_at", "grace_s", "time_limit", "challenge_s",
)  # fmt: skip


def least_cosign_quorum(cosigners: int) -> int:
    """Return the least q with 2q > w + 2."""
    return (cosigners + LIARS) // 2 + 1


def build_manifest(
    *,
    organisation: tuple[str, str],
    election: str,
    title: str,
    questions: Sequence[Question],
    rules: Rules,
    roll: RollCore,
    present: int,
    present_weight: int,
    electorate: Sequence[JsonObject],
    cosigners: Sequence[tuple[str, bytes]],
    server_key: bytes,
    opened_at: int,
    grace_s: int,
    time_limit: int,
    trustees: TrusteesKey | None = None,
    secrecy: str = SECRET,
    voting_again: str = ONCE,
    kiosk: bool = False,
    rehearsal: bool = False,
    excluded: int = 0,
    repeats: Sequence[str] = (),
    cosign_quorum: int | None = None,
    least_electorate: int = DEFAULT_LEAST_ELECTORATE,
    closes_at: int = 0,
    challenge_s: int = DEFAULT_CHALLENGE_S,
) -> Manifest:
    """Build the manifest of one election and check that it can be held.

    organisation is (id, name); electorate and repeats are what `electorate.make_electorate` and `find_repeats`
    give; trustees, the meeting's key, is left out of open and roll-call votes, and so is least_electorate, which is
    at least 3; times are Unix seconds, closes_at 0 when the chair closes.

    Raises:
        ManifestInvalid: a value breaks section 5; "voting.electorate-too-small" and "voting.weight-leak" when the
            electorate is too small for a secret vote.
    """
    secret = secrecy == SECRET
    least = max(least_electorate, LEAST_ELECTORATE) if secret else 1
    electors = parse_electorate(electorate)
    if len(electors) < least:
        raise ManifestInvalid(f"at least {least} electors are needed", code="voting.electorate-too-small")
    made = Manifest.from_json(
        {
            "v": 1,
            "protocol": PROTOCOL,
            "organisation": {"id": organisation[0], "name": organisation[1]},
            "election": election,
            "title": title,
            "rehearsal": rehearsal,
            "questions": [one.to_json() for one in questions],
            "secrecy": secrecy,
            "voting_again": voting_again,
            "kiosk": kiosk,
            "rules": rules.to_json(),
            **_of_roll(roll, election, b64u(server_key)),
            "present": present,
            "present_weight": present_weight,
            "excluded": excluded,
            "electorate": b64u(electorate_hash(electorate)),
            "electorate_size": len(electors),
            "electorate_weight": sum(one.weight for one in electors.values()),
            "least_electorate": least,
            "repeats": list(repeats),
            "trustees": (trustees if secret and trustees else NO_KEY).to_json(),
            "cosigners": [{"name": name, "key": b64u(key)} for name, key in cosigners],
            "cosign_quorum": least_cosign_quorum(len(cosigners)) if cosign_quorum is None else cosign_quorum,
            "opened_at": opened_at,
            "closes_at": closes_at,
            "grace_s": grace_s,
            "time_limit": time_limit,
            "challenge_s": challenge_s,
        }
    )
    check_electorate(made, electorate)
    return made


def _of_roll(roll: RollCore, election: str, server_key: str) -> JsonObject:
    """Return the fields that follow from the roll."""
    return {
        "meeting": roll.meeting,
        "roll": b64u(roll.hash),
        "roll_size": roll.size,
        "roll_weight": roll.weight,
        "exceptions": roll.exceptions,
        "board": {"origin": f"{roll.rp.id}/{roll.meeting}/{election}", "key": server_key},
        "ledger": {"origin": f"{roll.rp.id}/ledger", "key": server_key},
        "rp": rp_json(roll.rp),
    }


def check_electorate(manifest: Manifest, electorate: Sequence[JsonObject]) -> None:
    """Check an electorate list against the manifest (V09 without repeats).

    Raises:
        ManifestInvalid: another hash, size or weight, a name where none belongs, or a weight that occurs too seldom.
    """
    electors = parse_electorate(electorate)
    if electorate_hash(electorate) != manifest.electorate:
        raise ManifestInvalid("another electorate than the manifest's", code="voting.electorate")
    weight = sum(one.weight for one in electors.values())
    if (len(electors), weight) != (manifest.electorate_size, manifest.electorate_weight):
        raise ManifestInvalid("another size or weight of the electorate", code="voting.electorate")
    named = manifest.secrecy == ROLL_CALL
    if any(bool(one.name) != named for one in electors.values()):
        raise ManifestInvalid("electors are named in a roll-call vote and in no other", code="voting.electorate")
    check_classes(electors, manifest.least_electorate)


def _bad(why: str) -> ManifestInvalid:
    return ManifestInvalid(f"manifest: {why}")


def _check_words(made: Manifest) -> None:
    rules = made.rules
    expected = (
        (made.json["protocol"], (PROTOCOL,), "another protocol"),
        (made.secrecy, (SECRET, OPEN, ROLL_CALL), "unknown secrecy"),
        (made.voting_again, (ONCE, LAST_COUNTS), "unknown rule for voting again"),
        (rules.quorum_by, ("present", "cast"), "the quorum counts members present or ballots cast"),
        (rules.quorum_in, ("members", "votes"), "the quorum counts members or votes"),
        (rules.majority, MAJORITIES, "unknown majority"),
        (rules.base, BASES, "unknown base of the majority"),
        (rules.tie, (REJECTED, CASTING_VOTE), "unknown rule for a tie"),
    )
    for value, allowed, why in expected:
        if value not in allowed:
            raise _bad(why)


def check_majority(questions: Sequence[Question], rules: Rules) -> None:
    """Check that the questions can be decided by this majority and tie rule.

    Raises:
        ManifestInvalid: they cannot.
    """
    types = {one.type for one in questions}
    if rules.majority == "simple":
        return
    if types & {"score", "borda"}:
        raise _bad("points are counted by simple majority alone")
    if rules.tie == CASTING_VOTE and "yes-no-abstain" in types:
        raise _bad("a casting vote on yes or no needs the simple majority")


def _check_questions(made: Manifest) -> None:
    check_questions(made.questions)
    check_majority(made.questions, made.rules)


def _check_numbers(made: Manifest) -> None:
    rules = made.rules
    if not (rules.quorum_num <= rules.quorum_den <= 10**6 and rules.quorum_den >= 1):
        raise _bad("the quorum is not a fraction")
    if not made.electorate_size + made.excluded <= made.present <= made.roll_size:
        raise _bad("electorate and excluded <= present <= roll")
    if not made.electorate_weight <= made.present_weight <= made.roll_weight:
        raise _bad("weights: electorate <= present <= roll")
    if made.roll_weight * max(one.score for one in made.questions) > MAX_TOTAL:
        raise _bad("votes beyond 100,000,000 cannot be counted")
    if made.secret and not LEAST_ELECTORATE <= made.least_electorate <= made.electorate_size:
        raise _bad("3 <= least electorate <= electorate")
    if not made.secret and (made.least_electorate != 1 or made.electorate_size < 1):
        raise _bad("least electorate is 1 where ballots are not secret")
    if made.opened_at >= made.time_limit or made.grace_s > 3600 or made.challenge_s > 31_536_000:
        raise _bad("times")
    if made.closes_at and not made.opened_at < made.closes_at < made.time_limit:
        raise _bad("closing lies between opening and time limit")


def _check_trustees(made: Manifest) -> None:
    key = made.trustees
    if not made.secret:
        if key != NO_KEY:
            raise _bad("trustees where ballots are not secret")
        return
    if not 1 <= key.attempt <= 20 or not 2 <= key.threshold <= key.count <= 9:
        raise _bad("attempt 1 to 20, 2 <= threshold <= trustees <= 9")
    if len(key.transcript) != 32 or len(key.verification_keys) != key.count or len(key.sign_keys) != key.count:
        raise _bad("a key for each trustee")
    if len(set(key.sign_keys)) != key.count:
        raise _bad("two trustees share a key")
    if any(one == group.IDENTITY or not group.is_point(one) for one in (key.key, *key.verification_keys)):
        raise _bad("a trustees' key is not a point")


def _check_cosigners(made: Manifest) -> None:
    names, quorum = made.cosigners.keys(), made.cosign_quorum
    if len(names) > MAX_COSIGNERS:
        raise _bad("at most 15 cosigners")
    if not names >= {"chair", "secretary"} or not all(_COSIGNER.match(name) for name in names):
        raise _bad("names of cosigners")
    if len(set(made.cosigners.values())) != len(names):
        raise _bad("two cosigners share a key")
    if not least_cosign_quorum(len(names)) <= quorum <= len(names):
        raise _bad("the quorum of cosigners is not safe")


_CHECKS = (_check_words, _check_questions, _check_numbers, _check_trustees, _check_cosigners)


def _check_logs(made: Manifest, parts: dict[str, Any]) -> None:
    if made.board_origin != f"{made.rp.id}/{made.meeting}/{made.election}":
        raise _bad("origin of the board")
    if made.ledger_origin != f"{made.rp.id}/ledger" or parts["ledger"]["key"] != made.server_key:
        raise _bad("origin or key of the ledger")
