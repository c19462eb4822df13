"""The entries of a board, one line at a time.

Nearly every line is a ballot, and nearly every ballot is written as the specification says. Such a line is taken
apart by one pattern that admits nothing but canonical JSON of the right form; every other line goes through the
strict parser, which also says what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from folkmoot_voting import board
from folkmoot_voting.ballot import Ballot
from folkmoot_voting.encoding import JsonObject, unb64u
from folkmoot_voting.errors import EncodingError
from folkmoot_voting.merkle_log import leaf_hash

from .archive import MAX_LINE
from .files import shaped

_HEAD, _TAIL = b'{"ballot":', b',"type":"ballot"}'
_B64U = rb"[A-Za-z0-9_-]"
_HASH = _B64U + rb"{43}"
_COUNT = rb"(0|[1-9][0-9]{0,14})"
_BALLOT = re.compile(
    rb'\{"ballot":\{"choices":\[("%(b)b*"(?:,"%(b)b*"){0,7})\],"credential":"(%(h)b)","manifest":"(%(h)b)",'
    rb'"prev":"(%(b)b*)","seq":%(n)b,"sig":"(%(b)b{86})","v":1,"weight":%(n)b\},"type":"ballot"\}'
    % {b"b": _B64U, b"h": _HASH, b"n": _COUNT}
)


@dataclass(frozen=True)
class OtherLine:
    """An entry that is no ballot, and its leaf hash."""

    entry: JsonObject
    leaf: bytes


Line = Ballot | OtherLine


def read_lines(lines: Iterator[bytes], name: str) -> Iterator[Line]:
    """Yield the entries of board.jsonl.

    Raises:
        BundleMalformed: a line is not a well-formed entry (V01).
    """
    for number, line in enumerate(lines, 1):
        ballot = _fast(line)
        yield ballot if ballot is not None else _slow(line, f"{name} line {number}")


def read_ballots(lines: Iterator[bytes]) -> Iterator[tuple[int, Ballot]]:
    """Yield (place on the board, ballot) of a board whose form was checked before."""
    for place, line in enumerate(lines):
        if line.startswith(_HEAD):
            ballot = _fast(line)
            found = ballot if ballot is not None else _slow(line, "board.jsonl")
            if isinstance(found, Ballot):
                yield place, found


def _fast(line: bytes) -> Ballot | None:
    match = _BALLOT.fullmatch(line)
    if match is None:
        return None
    choices, credential, manifest, prev, seq, sig, weight = match.groups()
    try:
        ballot = Ballot(
            json={"sig": sig.decode()},
            manifest=unb64u(manifest.decode()),
            credential=unb64u(credential.decode()),
            weight=int(weight),
            seq=int(seq),
            prev=unb64u(prev.decode()),
            choices=tuple(unb64u(one) for one in choices[1:-1].decode().split('","')),
            sig=unb64u(sig.decode()),
        )
    except EncodingError:
        return None
    return ballot.with_raw(line[len(_HEAD) : -len(_TAIL)])


def _slow(line: bytes, place: str) -> Line:
    entry = shaped(line, board.check_entry, place, MAX_LINE)
    if entry["type"] == "ballot":
        return Ballot.from_json(entry["ballot"]).with_raw(line[len(_HEAD) : -len(_TAIL)])
    return OtherLine(entry, leaf_hash(line))
