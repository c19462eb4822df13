"""The bundle and the annex (section 9): written deterministically, read within limits."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import board, fields, keygen, manifest, roll, tally
from .assertion import ASSERTION, CREDENTIAL_ID
from .encoding import JsonObject, b64u, jcs, strict_json
from .errors import BundleMalformed, BundleUnreadable, VotingError

MAX_ZIP = 256 * 2**20
MAX_UNPACKED = 2**30
MAX_FILES = 10_000
MAX_LINE = 256 * 1024
MAX_README = 64 * 1024
MAX_NOTE = 16 * 1024
MAX_ELECTIONS = 100

TOP_FILES = ("README.txt", "bundle.json", "keygen.json", "ledger.json", "roll.json")
ELECTION_FILES = ("board.jsonl", "closing.txt", "final.txt", "opening.txt", "tally.json")

INFO = fields.record(
    v=fields.const(1),
    protocol=fields.text(64),
    organisation=fields.record(id=fields.ident, name=fields.text()),
    meeting=fields.record(id=fields.ident, title=fields.text()),
    server_key=fields.key32,
    elections=fields.items(fields.ident, 1, MAX_ELECTIONS),
)
LEDGER = fields.record(
    origin=fields.text(400),
    checkpoint=fields.raw_text(MAX_NOTE),
    leaves=fields.items(fields.hash32, 0, 10_000_000),
    entries=fields.items(fields.record(index=fields.integer(), entry=board.LEDGER_ENTRY), 0, 1000),
)
_SIGNED = {"nonce": fields.hash32, "passkey": CREDENTIAL_ID, "assertion": ASSERTION}
CHECKIN = fields.record(
    member=fields.ident,
    credential=fields.key32,
    site=fields.ident,
    checkpoint=fields.raw_text(MAX_NOTE),
    at=fields.moment,
    elections=fields.items(fields.ident, 0, MAX_ELECTIONS),
    **_SIGNED,
)
ANNEX = fields.record(
    v=fields.const(1),
    meeting=fields.ident,
    roll=fields.items(roll.ENTRY, 0, 1_000_000),
    checkins=fields.items(CHECKIN, 0, 1_000_000),
    trustees=fields.items(
        fields.record(
            member=fields.ident,
            trustee=fields.index,
            sign_key=fields.key32,
            box_key=fields.key32,
            **_SIGNED,
        ),
        0,
        100,
    ),
    cosigners=fields.items(
        fields.record(member=fields.ident, name=fields.text(64), key=fields.key32, **_SIGNED), 0, 1000
    ),
)

README = """Folkmoot: record of the secret votes of one meeting.

Check it offline, without the server that made it:

    folkmoot-verify bundle.zip
    folkmoot-verify bundle.zip --annex annex.zip

The first checks that every published ballot is valid and that the counts, quorum and outcome follow from
them. The second, for auditors, also checks that each ballot belongs to a member on the registrar's roll.

Not shown by this record: that nobody was coerced, that voters' devices and the pages they were served were
honest, and that sealed ballots stay sealed against a future quantum computer. Departures from the meeting
are the server's statement.
"""


@dataclass(frozen=True)
class ElectionFiles:
    """The files of one election; notes are texts."""

    board: Sequence[JsonObject]
    opening: str
    closing: str
    final: str
    tally: JsonObject


@dataclass(frozen=True)
class Bundle:
    """The parsed content of bundle.zip."""

    info: JsonObject
    roll: JsonObject
    keygen: JsonObject
    ledger: JsonObject
    elections: Mapping[str, ElectionFiles]
    readme: str = README


def make_info(
    *, organisation: tuple[str, str], meeting: tuple[str, str], server_key: bytes, elections: Iterable[str]
) -> JsonObject:
    """Return bundle.json; organisation is (id, name), meeting is (id, title)."""
    return {
        "v": 1,
        "protocol": manifest.PROTOCOL,
        "organisation": {"id": organisation[0], "name": organisation[1]},
        "meeting": {"id": meeting[0], "title": meeting[1]},
        "server_key": b64u(server_key),
        "elections": list(elections),
    }


def make_ledger(
    origin: str, checkpoint: str, leaves: Iterable[bytes], entries: Iterable[tuple[int, JsonObject]]
) -> JsonObject:
    """Return ledger.json; entries are (index, entry) of this meeting."""
    return {
        "origin": origin,
        "checkpoint": checkpoint,
        "leaves": [b64u(leaf) for leaf in leaves],
        "entries": [{"index": index, "entry": entry} for index, entry in sorted(entries, key=_first)],
    }


def make_annex(
    *,
    meeting: str,
    roll: Sequence[JsonObject],
    checkins: Sequence[JsonObject],
    trustees: Sequence[JsonObject],
    cosigners: Sequence[JsonObject],
) -> JsonObject:
    """Return annex.json from records in the form of section 9."""
    return {
        "v": 1,
        "meeting": meeting,
        "roll": list(roll),
        "checkins": list(checkins),
        "trustees": list(trustees),
        "cosigners": list(cosigners),
    }


def write_bundle(bundle: Bundle) -> bytes:
    """Return the bytes of bundle.zip; the same content gives the same bytes."""
    files = {
        "README.txt": bundle.readme.encode(),
        "bundle.json": jcs(bundle.info),
        "keygen.json": jcs(bundle.keygen),
        "ledger.json": jcs(bundle.ledger),
        "roll.json": jcs(bundle.roll),
    }
    for election, content in bundle.elections.items():
        folder = f"elections/{election}/"
        files[folder + "board.jsonl"] = b"".join(jcs(entry) + b"\n" for entry in content.board)
        files[folder + "closing.txt"] = content.closing.encode()
        files[folder + "final.txt"] = content.final.encode()
        files[folder + "opening.txt"] = content.opening.encode()
        files[folder + "tally.json"] = jcs(content.tally)
    return pack(files)


def write_annex(annex: JsonObject) -> bytes:
    """Return the bytes of annex.zip."""
    return pack({"annex.json": jcs(annex)})


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return a zip of the files, sorted, with a fixed date."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system = 3
            member.external_attr = 0o644 << 16
            archive.writestr(member, files[name])
    return out.getvalue()


def unpack(raw: bytes) -> dict[str, bytes]:
    """Return the files of a zip.

    Raises:
        BundleUnreadable: not a zip, beyond a limit, a doubled name, encrypted, or another compression.
    """
    if len(raw) > MAX_ZIP:
        raise BundleUnreadable("the zip is larger than 256 MiB")
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = archive.infolist()
            _check_members(members)
            return {member.filename: archive.read(member) for member in members}
    except BundleUnreadable:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        OSError,
        RuntimeError,
        ValueError,
        KeyError,
        IndexError,
        OverflowError,
        MemoryError,
    ) as error:
        raise BundleUnreadable("not a readable zip") from error


def read_bundle(raw: bytes) -> Bundle:
    """Parse bundle.zip: form only, nothing is verified.

    Raises:
        BundleUnreadable: the zip cannot be read or a file is missing (exit 2).
        BundleMalformed: a file's form is wrong (V01).
    """
    files = unpack(raw)
    _require(files, TOP_FILES)
    info = _json(files, "bundle.json", INFO)
    elections = info["elections"]
    if len(set(elections)) != len(elections):
        raise BundleMalformed("bundle.json: an election is listed twice")
    names = [f"elections/{one}/{name}" for one in elections for name in ELECTION_FILES]
    _require(files, names)
    surplus = sorted(files.keys() - {*TOP_FILES, *names})
    if surplus:
        raise BundleMalformed(f"surplus file {surplus[0][:100]!r}")
    return Bundle(
        info=info,
        roll=_json(files, "roll.json", roll.STATEMENT),
        keygen=_json(files, "keygen.json", keygen.KEYGEN),
        ledger=_json(files, "ledger.json", LEDGER),
        elections={one: _read_election(files, f"elections/{one}/") for one in elections},
        readme=_text(files, "README.txt", MAX_README),
    )


def read_annex(raw: bytes) -> JsonObject:
    """Parse annex.zip: form only.

    Raises:
        BundleUnreadable: the zip cannot be read or annex.json is missing (exit 2).
        BundleMalformed: its form is wrong (V01).
    """
    files = unpack(raw)
    _require(files, ("annex.json",))
    if len(files) != 1:
        raise BundleMalformed("surplus file in the annex")
    return _json(files, "annex.json", ANNEX)


def _first(pair: tuple[int, JsonObject]) -> int:
    return pair[0]


def _check_members(members: Sequence[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_FILES or sum(member.file_size for member in members) > MAX_UNPACKED:
        raise BundleUnreadable("too many files or more than 1 GiB unpacked")
    if len({member.filename for member in members}) != len(members):
        raise BundleUnreadable("a name comes twice")
    for member in members:
        if member.flag_bits & 0x1 or member.is_dir():
            raise BundleUnreadable("encrypted members and directories are refused")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BundleUnreadable("only stored and deflated members are read")


def _require(files: Mapping[str, bytes], names: Iterable[str]) -> None:
    for name in names:
        if name not in files:
            raise BundleUnreadable(f"{name} is missing")


def _json(files: Mapping[str, bytes], name: str, shape: fields.Shape) -> JsonObject:
    return _shaped(files[name], shape, name, MAX_UNPACKED)


def _shaped(raw: bytes, shape: Callable[[Any], Any], label: str, limit: int) -> JsonObject:
    try:
        value: JsonObject = strict_json(raw, limit)
        shape(value)
    except VotingError as error:
        raise BundleMalformed(f"{label}: {error.detail}") from error
    return value


def _text(files: Mapping[str, bytes], name: str, limit: int) -> str:
    raw = files[name]
    if len(raw) > limit:
        raise BundleMalformed(f"{name}: too long")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleMalformed(f"{name}: not UTF-8") from error


def _read_election(files: Mapping[str, bytes], folder: str) -> ElectionFiles:
    lines = files[folder + "board.jsonl"].split(b"\n")
    if any(len(line) > MAX_LINE for line in lines):
        raise BundleUnreadable(f"{folder}board.jsonl: a line is longer than 256 KiB")
    if lines.pop() != b"":
        raise BundleMalformed(f"{folder}board.jsonl: the last line does not end")
    return ElectionFiles(
        board=[
            _shaped(line, board.check_entry, f"{folder}board.jsonl line {number}", MAX_LINE)
            for number, line in enumerate(lines, 1)
        ],
        opening=_text(files, folder + "opening.txt", MAX_NOTE),
        closing=_text(files, folder + "closing.txt", MAX_NOTE),
        final=_text(files, folder + "final.txt", MAX_NOTE),
        tally=_json(files, folder + "tally.json", tally.TALLY),
    )
