"""Write tests/vectors/fm1/: deterministic vectors of docs/spec/voting.md; make_keys writes sections 2 to 4.

Run from the checkout: `python -m tests.vectors.make_fm1`. Byte strings are b64u, draws are the 64-byte (or
shorter) strings taken from the generator, in order. Secrets in these files are for tests alone.
"""

from __future__ import annotations

import json
import pathlib
from typing import Any

from tests.vectors import fm1_tally, fm1_votes
from tests.voting import record, scenario, votes

from folkmoot_voting import ballot, board, group, merkle_log, signing
from folkmoot_voting.encoding import JsonObject, b64u, h, h512, jcs, lp

OUT = pathlib.Path(__file__).parent / "fm1"


def main() -> None:
    """Write every file."""
    OUT.mkdir(exist_ok=True)
    for name, data in made_vectors().items():
        _write(name, data)
    for name, raw in made_zips().items():
        (OUT / name).write_bytes(raw)


def made_zips() -> dict[str, bytes]:
    """Return bundle and annex of a meeting with three votes, one of them with too few ballots, by name."""
    made, annex = record.write(votes.small_meeting())
    return {"bundle.zip": made, "annex.zip": annex}


def made_vectors() -> dict[str, Any]:
    """Return the content of every JSON file by name."""
    meeting = votes.small_meeting()
    vote_meeting, opened = fm1_votes.all_votes()
    return {
        "encodings": encodings(),
        "board": board_vectors(meeting),
        "manifest": fm1_votes.manifest_vectors(opened),
        "electorate": fm1_votes.electorate_vectors(opened),
        "ballot": fm1_votes.ballot_vectors(vote_meeting, opened),
        "lineages": fm1_tally.lineage_vectors(),
        "closing": fm1_tally.closing_vectors(),
        "box": fm1_tally.box_vectors(),
        "rules": fm1_tally.rule_vectors(),
    }


def _write(name: str, data: Any) -> None:
    if isinstance(data, list):
        lines = [json.dumps(one, ensure_ascii=False, sort_keys=True) for one in data]
        text = "[\n" + ",\n".join(lines) + "\n]"
    else:
        text = json.dumps(data, ensure_ascii=False, indent=1, sort_keys=True)
    (OUT / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def _bytes(count: int, start: int = 0) -> bytes:
    return bytes((start + index) % 256 for index in range(count))


def encodings() -> JsonObject:
    """Section 1: good and bad forms."""
    values: list[Any] = [
        {},
        [],
        {"b": 1, "a": [True, False, "x"], "": -1},
        {"text": 'Nguyễn "quoted" \\ / \u2028 \U0001f5f3'},
        {"text": "\b\t\n\f\r\u0001\u001f\u007f"},
        {"n": [0, -1, 2**53 - 1, -(2**53 - 1)]},
    ]
    bad = [
        b'{"a": 1}',
        b'{"b":1,"a":1}',
        b'{"a":1,"a":1}',
        b'{"a":1.0}',
        b'{"a":1e2}',
        b'{"a":-0}',
        b'{"a":01}',
        b'{"a":9007199254740992}',
        b'{"a":null}',
        b'{"a":NaN}',
        '{"a":"e\u0301"}'.encode(),
        b'{"a":"\\u0041"}',
        b'{"a":"\\ud800"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":1}\n',
        b'{"a":"\xff"}',
        b"[" * 17 + b"]" * 17,
        b"[" * 17 + b"0" + b"]" * 17,
        b"",
    ]
    wide = [bytes(64), _bytes(64), b"\xff" * 64, group.ORDER.to_bytes(64, "little")]
    return {
        "b64u": [{"bytes_hex": _bytes(n, 250).hex(), "text": b64u(_bytes(n, 250))} for n in range(6)],
        "b64u_bad": ["A", "AA==", "AB", "AA+A", "AA/A", "AA A", "AAB", "AAAAA", "A\n"],
        "lp": [{"text": text, "lp_hex": lp(text).hex()} for text in ("", "fm1", "Hội")],
        "h": [
            {"tag": tag, "fields": [b64u(one) for one in parts], "h": b64u(h(tag, *parts))}
            for tag, parts in (("fm1/x", []), ("fm1/x", [b""]), ("fm1/x", [b"ab", b"c"]), ("fm1/x", [b"a", b"bc"]))
        ],
        "h512": [{"tag": "fm1/x", "fields": [b64u(b"ab"), ""], "h512": b64u(h512("fm1/x", b"ab", b""))}],
        "scalar": [{"wide": b64u(one), "scalar": b64u(group.reduce(one))} for one in wide],
        "scalar_bad": [b64u(group.ORDER.to_bytes(32, "little")), b64u(b"\xff" * 32), b64u(bytes(31))],
        "jcs": [{"value": one, "bytes": b64u(jcs(one))} for one in values],
        "json_bad": [b64u(one) for one in bad],
        "tracker": [{"leaf": b64u(_bytes(32, 7)), "tracker": ballot.spoken_code(_bytes(32, 7))}],
    }


def board_vectors(meeting: scenario.Meeting) -> JsonObject:
    """Section 6: hashing, proofs, checkpoints, cosignatures, entries, promise."""
    leaves = [merkle_log.leaf_hash(bytes([n])) for n in range(9)]
    election = meeting.elections[0]
    key, cosigner = meeting.server, meeting.persons[0].cosigner
    head = merkle_log.Checkpoint("localhost/ledger", 9, merkle_log.tree_hash(leaves))
    leaf = ballot.ballot_leaf(election.ballots[0])
    line = merkle_log.cosign(head, "chair", cosigner, scenario.FIRST)
    return {
        "leaf_data": [b64u(bytes([n])) for n in range(9)],
        "roots": [b64u(merkle_log.tree_hash(leaves[:n])) for n in range(10)],
        "inclusion": [
            {"size": n, "index": i, "proof": [b64u(one) for one in merkle_log.inclusion_proof(leaves[:n], i)]}
            for n in range(1, 10)
            for i in range(n)
        ],
        "consistency": [
            {"old": m, "new": n, "proof": [b64u(one) for one in merkle_log.consistency_proof(leaves[:n], m)]}
            for n in range(1, 10)
            for m in range(1, n + 1)
        ],
        "checkpoint": {
            "seed": b64u(key),
            "key": b64u(signing.public_key(key)),
            "note": merkle_log.sign_checkpoint(head, key).text(),
            "hash": b64u(head.hash()),
        },
        "cosignature": {
            "seed": b64u(cosigner),
            "key": b64u(signing.public_key(cosigner)),
            "name": "chair",
            "time": scenario.FIRST,
            "line": str(line),
        },
        "entries": [{"entry": one, "leaf": b64u(board.entry_leaf(one))} for one in election.entries],
        "closing": election.closing,
        "promise": board.make_promise(election.manifest.hash, leaf, scenario.FIRST, key),
    }


if __name__ == "__main__":
    main()
