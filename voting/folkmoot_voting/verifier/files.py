"""The files of a bundle and of an annex (section 9): their form, and what is kept of them."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from folkmoot_voting import attendance, board, destruction, electorate, fields, keygen, roll, tally
from folkmoot_voting.assertion import ASSERTION, CREDENTIAL_ID
from folkmoot_voting.encoding import JsonObject, lp, strict_json, u32, unb64u
from folkmoot_voting.errors import BundleMalformed, BundleUnreadable, EncodingError, ManifestInvalid, VotingError

from .archive import MAX_UNPACKED, Archive
from .long_json import MAX_ITEM, read_again, read_list, read_object

MAX_FILE: Final = 2**20
MAX_README: Final = 64 * 1024
MAX_NOTE: Final = 16 * 1024
MAX_ELECTIONS: Final = 100
MAX_REJECTED: Final = 100
MANY: Final = 10_000_000
# An annex of some 1,700 members is parsed once and kept.
MAX_KEPT: Final = 4 * 2**20

TOP_FILES: Final = ("README.txt", "bundle.json", "destroyed.json", "keygen.json", "ledger.json", "roll.json")
# Not in a record of a server that kept no attendance log.
MARKS_FILE: Final = "attendance.json"
LOG_FILE: Final = "attendance.jsonl"
ELECTION_FILES: Final = (
    "board.jsonl",
    "closing.txt",
    "electorate.json",
    "final.txt",
    "opening.txt",
    "rejected.jsonl",
    "tally.json",
)

INFO = fields.record(
    v=fields.const(1),
    protocol=fields.text(64),
    organisation=fields.record(id=fields.ident, name=fields.text()),
    meeting=fields.record(id=fields.ident, title=fields.text(), rehearsal=fields.boolean),
    server_key=fields.key32,
    elections=fields.items(fields.ident, 1, MAX_ELECTIONS),
)
LEDGER_ENTRY = fields.record(index=fields.integer(), entry=board.LEDGER_ENTRY)
_SIGNED = {"nonce": fields.hash32, "passkey": CREDENTIAL_ID, "assertion": ASSERTION}
CHECKIN = fields.record(
    member=fields.ident,
    credential=fields.key32,
    site=fields.ident,
    checkpoint=fields.raw_text(MAX_NOTE),
    at=fields.moment,
    salt=fields.hash32,
    elections=fields.items(fields.ident, 0, MAX_ELECTIONS),
    **_SIGNED,
)
REPLACEMENT = fields.record(
    election=fields.ident,
    member=fields.ident,
    old=fields.key32,
    new=fields.key32,
    kiosk=fields.boolean,
    salt=fields.hash32,
    **_SIGNED,
)
EXCLUSION = fields.record(election=fields.ident, member=fields.ident, reason=fields.text())
TRUSTEE = fields.record(
    member=fields.ident, trustee=fields.index, sign_key=fields.key32, box_key=fields.key32, **_SIGNED
)
COSIGNER = fields.record(member=fields.ident, name=fields.text(64), key=fields.key32, **_SIGNED)


def any_object(value: Any) -> Any:
    """An object that is not looked into; raises EncodingError for anything else."""
    if not isinstance(value, dict):
        raise EncodingError("an object is expected")
    return value


ATTEMPT = fields.record(attempt=fields.integer(), reason=fields.text(), messages=fields.items(any_object))
ANNEX_FIELDS: Final[dict[str, fields.Shape]] = {
    "v": fields.const(1),
    "meeting": fields.ident,
    "made_at": fields.moment,
    "keep_until": fields.moment,
    "auditors": fields.items(fields.text(), 0, 1000),
}
ANNEX_LISTS: Final[dict[str, tuple[fields.Shape, int]]] = {
    "roll": (roll.ENTRY, MANY),
    "checkins": (CHECKIN, MANY),
    "replacements": (REPLACEMENT, MANY),
    "exclusions": (EXCLUSION, MANY),
    "trustees": (TRUSTEE, 1000),
    "cosigners": (COSIGNER, 1000),
    "attempts": (ATTEMPT, 1000),
}


@dataclass
class Ledger:
    """ledger.json; `leaves` are the hashes one after the other."""

    origin: str
    checkpoint: str
    leaves: bytearray
    entries: list[JsonObject]

    def __len__(self) -> int:
        return len(self.leaves) // 32

    def leaf(self, index: int) -> bytes:
        """Return one leaf hash."""
        return bytes(self.leaves[32 * index : 32 * index + 32])

    def all_leaves(self) -> Iterator[bytes]:
        """Return every leaf hash in order."""
        return (self.leaf(index) for index in range(len(self)))


@dataclass
class Electors:
    """electorate.json: credentials one after the other, weights, and names when there are any.

    Attributes:
        fault: what is wrong with order, weights or repetition; empty when nothing is.
    """

    credentials: bytearray
    weights: array[int]
    names: list[str]
    hash: bytes
    fault: str = ""

    def __len__(self) -> int:
        return len(self.weights)

    def credential(self, index: int) -> bytes:
        """Return the first credential of a lineage."""
        return bytes(self.credentials[32 * index : 32 * index + 32])

    def all_credentials(self) -> Iterator[bytes]:
        """Return every first credential in order."""
        return (self.credential(index) for index in range(len(self)))

    def by_credential(self) -> dict[bytes, electorate.Elector]:
        """Return the electors by first credential."""
        names = self.names or [""] * len(self)
        listed = zip(self.all_credentials(), self.weights, names, strict=True)
        return {one[0]: electorate.Elector(*one) for one in listed}


@dataclass
class ElectionFiles:
    """The files of one election but its board, which is read as a stream."""

    opening: str
    closing: str
    final: str
    tally: JsonObject
    rejected: list[JsonObject]
    electors: Electors


@dataclass
class BundleFiles:
    """What is kept of a bundle."""

    archive: Archive
    info: JsonObject
    roll: JsonObject
    keygen: JsonObject
    destroyed: JsonObject
    ledger: Ledger
    elections: dict[str, ElectionFiles]
    attendance: JsonObject | None = None

    @property
    def marks(self) -> list[JsonObject]:
        """What the votes vouch for of the attendance log, in the ledger's order; empty without a log."""
        return [] if self.attendance is None else list(self.attendance["marks"])

    def board_lines(self, election: str) -> Iterator[bytes]:
        """Yield the lines of an election's board; raises as `Archive.lines`."""
        return self.archive.lines(f"elections/{election}/board.jsonl")


@dataclass
class AnnexFiles:
    """annex.json: its short fields, and a way to read each long list.

    Attributes:
        places: where each list begins that is not empty.
        log_start: the first line of the attendance log; None without one.
        checkpoints: the different texts that check-ins cite.
        kept: the items of each list when the file is short; a long one is read again.
    """

    archive: Archive
    short: JsonObject
    places: dict[str, int]
    checkpoints: set[str]
    kept: dict[str, list[JsonObject]]
    log_start: JsonObject | None = None

    @property
    def has_log(self) -> bool:
        """Whether there is an attendance log."""
        return self.log_start is not None

    def log_lines(self) -> Iterator[tuple[bytes, JsonObject]]:
        """Yield the lines of the attendance log after the first, as bytes and parsed."""
        lines = self.archive.lines(LOG_FILE) if self.has_log else iter(())
        for line in islice(lines, 1, None):
            yield line, json.loads(line)

    @property
    def is_short(self) -> bool:
        """Whether the items are kept."""
        return self.archive.members["annex.json"].size <= MAX_KEPT

    def items(self, name: str) -> Iterator[JsonObject]:
        """Yield the items of one of its lists; nobody changes them."""
        if self.is_short:
            yield from self.kept.get(name, ())
        elif name in self.places:
            yield from read_again(self.archive.chunks("annex.json", self.places[name]))


def read_bundle(archive: Archive) -> BundleFiles:
    """Read everything but the boards: form only, nothing is verified.

    Raises:
        BundleUnreadable: a file is missing (exit 2).
        BundleMalformed: a file's form is wrong (V01).
    """
    _require(archive, TOP_FILES)
    info = _json(archive, "bundle.json", INFO)
    elections = info["elections"]
    names = [f"elections/{one}/{name}" for one in elections for name in ELECTION_FILES]
    _require(archive, names)
    if len(set(elections)) != len(elections):
        raise BundleMalformed("bundle.json: an election is listed twice")
    surplus = sorted(archive.members.keys() - {*TOP_FILES, MARKS_FILE, *names})
    if surplus:
        raise BundleMalformed(f"surplus file {surplus[0][:100]!r}")
    _text(archive, "README.txt", MAX_README)
    return BundleFiles(
        archive=archive,
        info=info,
        roll=_json(archive, "roll.json", roll.STATEMENT),
        keygen=_json(archive, "keygen.json", keygen.KEYGEN),
        destroyed=_json(archive, "destroyed.json", destruction.FILE),
        ledger=_read_ledger(archive),
        elections={one: _read_election(archive, f"elections/{one}/") for one in elections},
        attendance=_json(archive, MARKS_FILE, attendance.FILE) if MARKS_FILE in archive.members else None,
    )


def read_annex(archive: Archive) -> AnnexFiles:
    """Read annex.json once: form only.

    Raises:
        BundleUnreadable: it is missing (exit 2).
        BundleMalformed: its form is wrong, or another file is there (V01).
    """
    require_annex(archive)
    if archive.members.keys() - {"annex.json", LOG_FILE}:
        raise BundleMalformed("surplus file in the annex")
    found = AnnexFiles(archive, {}, {}, set(), {})
    try:
        for name, value in read_object(archive.chunks("annex.json"), ANNEX_FIELDS, ANNEX_LISTS, found.places):
            if name in ANNEX_FIELDS:
                found.short[name] = value
                continue
            if name == "checkins":
                found.checkpoints.add(value["checkpoint"])
            if found.is_short:
                found.kept.setdefault(name, []).append(value)
    except EncodingError as error:
        raise BundleMalformed(f"annex.json: {error.detail}") from error
    if LOG_FILE in archive.members:
        found.log_start = _read_log(archive)
    return found


def _read_log(archive: Archive) -> JsonObject:
    """Check the form of every line of the attendance log and return the first."""
    start: JsonObject | None = None
    for number, line in enumerate(archive.lines(LOG_FILE), 1):
        shape = attendance.event if number > 1 else attendance.START
        value = shaped(line, shape, f"{LOG_FILE} line {number}", MAX_ITEM)
        start = start or value
    if start is None:
        raise BundleMalformed(f"{LOG_FILE}: empty")
    return start


def require_annex(archive: Archive) -> None:
    """Raise BundleUnreadable unless annex.json is there."""
    _require(archive, ("annex.json",))


def shaped(raw: bytes, shape: Callable[[Any], Any], label: str, limit: int) -> JsonObject:
    """Return strict JSON of a shape; raises BundleMalformed naming the place."""
    try:
        value: JsonObject = strict_json(raw, limit)
        shape(value)
    except VotingError as error:
        raise BundleMalformed(f"{label}: {error.detail}") from error
    return value


def _require(archive: Archive, names: tuple[str, ...] | list[str]) -> None:
    for name in names:
        if name not in archive.members:
            raise BundleUnreadable(f"{name} is missing")


def _json(archive: Archive, name: str, shape: fields.Shape) -> JsonObject:
    return shaped(archive.read(name, MAX_FILE), shape, name, MAX_FILE)


def _text(archive: Archive, name: str, limit: int) -> str:
    try:
        return archive.read(name, limit).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleMalformed(f"{name}: not UTF-8") from error


def _read_ledger(archive: Archive) -> Ledger:
    ledger = Ledger("", "", bytearray(), [])
    lists = {"leaves": (fields.hash32, MANY), "entries": (LEDGER_ENTRY, 1000)}
    short = {"origin": fields.text(400), "checkpoint": fields.raw_text(MAX_NOTE)}
    try:
        for name, value in read_object(archive.chunks("ledger.json"), short, lists):
            if name == "leaves":
                ledger.leaves += unb64u(value)
            elif name == "entries":
                ledger.entries.append(value)
            else:
                setattr(ledger, name, value)
    except EncodingError as error:
        raise BundleMalformed(f"ledger.json: {error.detail}") from error
    return ledger


def _read_election(archive: Archive, folder: str) -> ElectionFiles:
    return ElectionFiles(
        opening=_text(archive, folder + "opening.txt", MAX_NOTE),
        closing=_text(archive, folder + "closing.txt", MAX_NOTE),
        final=_text(archive, folder + "final.txt", MAX_NOTE),
        tally=_json(archive, folder + "tally.json", tally.TALLY),
        rejected=_read_rejected(archive, folder + "rejected.jsonl"),
        electors=_read_electors(archive, folder + "electorate.json"),
    )


def _read_rejected(archive: Archive, name: str) -> list[JsonObject]:
    found = []
    for number, line in enumerate(archive.lines(name), 1):
        if number > MAX_REJECTED:
            raise BundleMalformed(f"{name}: more than {MAX_REJECTED} lines")
        entry = shaped(line, board.check_entry, f"{name} line {number}", MAX_ITEM)
        if entry["type"] != "share":
            raise BundleMalformed(f"{name} line {number}: not a share")
        found.append(entry)
    return found


def _one_elector(value: Any) -> None:
    electorate.SHAPE([value])


def _read_electors(archive: Archive, name: str) -> Electors:
    member = archive.members[name]
    digest = hashlib.sha256(lp("fm1/electorate") + u32(min(member.size, MAX_UNPACKED)))
    electors = Electors(bytearray(), array("L"), [], b"")
    window: list[JsonObject] = []

    def hashed() -> Iterator[bytes]:
        for chunk in archive.chunks(name):
            digest.update(chunk)
            yield chunk

    try:
        for one in read_list(hashed(), _one_elector, MANY):
            electors.credentials += unb64u(one["credential"])
            electors.weights.append(min(one["weight"], 2**32 - 1))
            electors.names.append(one["name"])
            window.append(one)
            if len(window) == 1000:
                _check_window(electors, window)
                window = window[-1:]
    except EncodingError as error:
        raise BundleMalformed(f"{name}: {error.detail}") from error
    _check_window(electors, window)
    electors.hash = digest.digest()
    if not any(electors.names):
        electors.names = []
    return electors


def _check_window(electors: Electors, window: list[JsonObject]) -> None:
    """Note what is wrong in a run of entries that begins with the last of the run before."""
    try:
        electorate.parse_electorate(window)
    except ManifestInvalid as error:
        electors.fault = electors.fault or error.detail
