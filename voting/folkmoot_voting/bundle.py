"""The bundle and the annex (section 9): written deterministically; `verifier` reads them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from . import attendance, manifest
from .encoding import JsonObject, b64u, jcs
from .verifier.archive import MAX_FILES, MAX_LINE, MAX_UNPACKED, MAX_ZIP, Archive

__all__ = [
    "MAX_FILES",
    "MAX_LINE",
    "MAX_UNPACKED",
    "MAX_ZIP",
    "Bundle",
    "ElectionFiles",
    "make_annex",
    "make_info",
    "make_ledger",
    "pack",
    "unpack",
    "write_annex",
    "write_bundle",
]

README = """Folkmoot: record of the votes of one meeting.

Check it offline, without the server that made it:

    folkmoot-verify bundle.zip --report report.html
    folkmoot-verify bundle.zip --annex annex.age --identity key.txt

The first checks that every published ballot is valid and that the counts, quorum and outcome follow from
them. The second, for auditors, also checks that each ballot belongs to a member on the registrar's roll.

Not shown by this record: that nobody was coerced, that voters' devices and the pages they were served were
honest, and that sealed ballots stay sealed against a future quantum computer. Departures from the meeting
are the server's statement.
"""


@dataclass(frozen=True)
class ElectionFiles:
    """The files of one election; notes are texts; `rejected` are share entries kept as evidence."""

    board: Sequence[JsonObject]
    electorate: Sequence[JsonObject]
    opening: str
    closing: str
    final: str
    tally: JsonObject
    rejected: Sequence[JsonObject] = ()


@dataclass(frozen=True)
class Bundle:
    """The content of bundle.zip; `marks` are those of the attendance log, where there is one."""

    info: JsonObject
    roll: JsonObject
    keygen: JsonObject
    destroyed: JsonObject
    ledger: JsonObject
    elections: Mapping[str, ElectionFiles]
    readme: str = README
    marks: Sequence[JsonObject] = ()


def make_info(
    *,
    organisation: tuple[str, str],
    meeting: tuple[str, str],
    rehearsal: bool,
    server_key: bytes,
    elections: Iterable[str],
) -> JsonObject:
    """Return bundle.json; organisation is (id, name), meeting is (id, title)."""
    return {
        "v": 1,
        "protocol": manifest.PROTOCOL,
        "organisation": {"id": organisation[0], "name": organisation[1]},
        "meeting": {"id": meeting[0], "title": meeting[1], "rehearsal": rehearsal},
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
    made_at: int,
    keep_until: int,
    auditors: Sequence[str],
    roll: Sequence[JsonObject],
    checkins: Sequence[JsonObject],
    replacements: Sequence[JsonObject] = (),
    exclusions: Sequence[JsonObject] = (),
    trustees: Sequence[JsonObject] = (),
    cosigners: Sequence[JsonObject] = (),
    attempts: Sequence[JsonObject] = (),
) -> JsonObject:
    """Return annex.json from records in the form of section 9; times are Unix seconds."""
    return {
        "v": 1,
        "meeting": meeting,
        "made_at": made_at,
        "keep_until": keep_until,
        "auditors": list(auditors),
        "roll": list(roll),
        "checkins": list(checkins),
        "replacements": list(replacements),
        "exclusions": list(exclusions),
        "trustees": list(trustees),
        "cosigners": list(cosigners),
        "attempts": list(attempts),
    }


def write_bundle(bundle: Bundle) -> bytes:
    """Return the bytes of bundle.zip; the same content gives the same bytes."""
    files = {
        "README.txt": bundle.readme.encode(),
        "bundle.json": jcs(bundle.info),
        "destroyed.json": jcs(bundle.destroyed),
        "keygen.json": jcs(bundle.keygen),
        "ledger.json": jcs(bundle.ledger),
        "roll.json": jcs(bundle.roll),
    }
    if bundle.marks:
        files["attendance.json"] = jcs(attendance.make_file(bundle.info["meeting"]["id"], list(bundle.marks)))
    for election, content in bundle.elections.items():
        folder = f"elections/{election}/"
        files[folder + "board.jsonl"] = _lines(content.board)
        files[folder + "closing.txt"] = content.closing.encode()
        files[folder + "electorate.json"] = jcs(list(content.electorate))
        files[folder + "final.txt"] = content.final.encode()
        files[folder + "opening.txt"] = content.opening.encode()
        files[folder + "rejected.jsonl"] = _lines(content.rejected)
        files[folder + "tally.json"] = jcs(content.tally)
    return pack(files)


def write_annex(annex: JsonObject, log: Sequence[JsonObject] = ()) -> bytes:
    """Return the bytes of annex.zip; `log` are the lines of the attendance log, the first included, or none."""
    return pack({"annex.json": jcs(annex), **({"attendance.jsonl": _lines(log)} if log else {})})


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
    archive = Archive(raw)
    return {name: b"".join(archive.chunks(name)) for name in archive.members}


def _lines(entries: Iterable[JsonObject]) -> bytes:
    return b"".join(jcs(entry) + b"\n" for entry in entries)


def _first(pair: tuple[int, JsonObject]) -> int:
    return pair[0]
