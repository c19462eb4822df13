"""Write tests/vectors/fm1/: deterministic vectors of docs/spec/voting.md; make_keys writes sections 2 to 4.

Run from the checkout: `python -m tests.vectors.make_fm1`. Byte strings are b64u, draws are the 64-byte (or
shorter) strings taken from the generator, in order. Secrets in these files are for tests alone.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import pathlib
from typing import Any

from tests.voting import scenario
from tests.voting.seeded import SeededRng

from folkmoot_voting import ballot, board, bundle, encoding, group, merkle_log, rules, signing, tally
from folkmoot_voting.encoding import JsonObject, b64u, h, h512, jcs, lp
from folkmoot_voting.errors import VotingError
from folkmoot_voting.manifest import Manifest, one_of_n, yes_no_abstain

OUT = pathlib.Path(__file__).parent / "fm1"


def main() -> None:
    """Write every file."""
    OUT.mkdir(exist_ok=True)
    meeting = scenario.small_meeting()
    first = meeting.elections[0]
    _write("encodings", encodings())
    _write("ballot", ballot_vectors(meeting))
    _write("board", board_vectors(meeting))
    _write("shares", share_vectors(meeting))
    _write("tally", {"tally": first.tally, "hash": b64u(tally.tally_hash(first.tally["core"]))})
    _write("rules", rule_vectors(first.manifest))
    (OUT / "bundle.zip").write_bytes(bundle.write_bundle(meeting.bundle()))
    (OUT / "annex.zip").write_bytes(bundle.write_annex(meeting.annex()))


def _write(name: str, data: Any) -> None:
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
        "tracker": [{"leaf": b64u(_bytes(32, 7)), "tracker": ballot.tracker(_bytes(32, 7))}],
    }


def ballot_vectors(meeting: scenario.Meeting) -> JsonObject:
    """Section 7: ballots with the draws that make them, and ballots that are refused."""
    cases, refused = [], []
    for number, election in enumerate(meeting.elections[:2]):
        opened = election.manifest
        combinations = itertools.product(*(range(len(one.options)) for one in opened.questions))
        seed = meeting.persons[0].credential
        cases += [_ballot_case(opened, seed, list(choices)) for choices in list(combinations)[:4]]
        if number == 0:
            refused = _refused(opened, cases[0]["ballot"], election.ballots[1])
    return {
        "manifests": [
            {"manifest": one.manifest.json, "hash": b64u(one.manifest.hash)} for one in meeting.elections[:2]
        ],
        "cases": cases,
        "refused": refused,
    }


def _ballot_case(opened: Manifest, seed: bytes, choices: list[int]) -> JsonObject:
    rng = SeededRng(f"ballot {choices}")
    made = ballot.make_ballot(opened, seed, choices, rng)
    parsed = ballot.Ballot.from_json(made)
    answers = ballot.decode_answers(opened, parsed)
    checked = ballot.check_ballot(opened, {parsed.credential}, parsed)
    return {
        "manifest": b64u(opened.hash),
        "seed": b64u(seed),
        "choices": choices,
        "draws": [b64u(one) for one in rng.drawn],
        "challenge": b64u(ballot.ballot_challenge(opened, parsed, answers)),
        "signed_hash": b64u(ballot.signed_hash(made)),
        "ballot": made,
        "leaf": b64u(checked.leaf),
        "tracker": checked.tracker,
    }


def resigned(made: JsonObject, seed: bytes, **changes: Any) -> JsonObject:
    """Return the ballot with changed fields and a fresh signature."""
    changed = {**made, **changes}
    return {**changed, "sig": b64u(signing.sign(seed, ballot.signed_hash(changed)))}


def _refused(opened: Manifest, good: JsonObject, other: JsonObject) -> list[JsonObject]:
    seed = scenario.small_meeting().persons[0].credential
    raw = encoding.unb64u(good["choices"][0])

    def at(offset: int, new: bytes) -> JsonObject:
        spoiled = raw[:offset] + new + raw[offset + len(new) :]
        return resigned(good, seed, choices=[b64u(spoiled)])

    other_manifest = b64u(hashlib.sha256(b"other").digest())
    changed = group.scalar_add(raw[192:224], group.ONE)
    cases = {
        "other manifest": resigned(good, seed, manifest=other_manifest),
        "weight 2": resigned(good, seed, weight=2),
        "seq 2": resigned(good, seed, seq=2),
        "prev": resigned(good, seed, prev="AAAA"),
        "signature": {**good, "sig": other["sig"]},
        "too short": resigned(good, seed, choices=[b64u(raw[:-1])]),
        "no answer": resigned(good, seed, choices=[]),
        "identity alpha": at(0, bytes(32)),
        "identity commitment": at(64, bytes(32)),
        "point not canonical": at(32, b"\x01" + bytes(31)),
        "scalar not canonical": at(192, group.ORDER.to_bytes(32, "little")),
        "challenge split": at(192, changed),
        "response": at(224, group.scalar_add(raw[224:256], group.ONE)),
        "sum response": at(len(raw) - 32, group.scalar_add(raw[-32:], group.ONE)),
        "sum commitment": at(len(raw) - 96, group.BASE),
        "proof of another voter": resigned(good, seed, choices=other["choices"]),
        "unknown field": {**good, "note": "x"},
        "missing field": {name: value for name, value in good.items() if name != "prev"},
    }
    out = []
    for name, spoiled in cases.items():
        try:
            parsed = ballot.Ballot.from_json(spoiled)
            ballot.check_ballot(opened, {parsed.credential}, parsed)
            raise AssertionError(name)
        except VotingError as error:
            out.append({"name": name, "ballot": spoiled, "code": error.code})
    return out


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


def share_vectors(meeting: scenario.Meeting) -> JsonObject:
    """Section 8: aggregate and one trustee's share with its draws."""
    election, one = meeting.elections[0], meeting.trustees[1]
    opened, total = election.manifest, election.aggregate
    rng = SeededRng("share")
    secret = one.secret_share(meeting.keygen)
    parts = tally.partial_decrypt(opened, total, one.index, secret, rng)
    closing = merkle_log.parse_note(election.closing).checkpoint.hash()
    return {
        "manifest": opened.json,
        "ballots": election.ballots,
        "aggregate": b64u(total.hash),
        "sums": [[[b64u(point) for point in pair] for pair in row] for row in total.pairs],
        "trustee": one.index,
        "seed": b64u(one.seed),
        "secret": b64u(secret),
        "draws": [b64u(draw) for draw in rng.drawn],
        "parts": parts,
        "closing": b64u(closing),
        "intent": board.intent_entry(one.index, opened.hash, closing, total.hash, one.seed),
        "share": board.share_entry(one.index, opened.hash, total.hash, parts, one.seed),
        "counts": election.tally["core"]["counts"],
    }


def rule_vectors(good: Manifest) -> list[JsonObject]:
    """Section 8: outcomes by exact integers."""
    yes_no = yes_no_abstain("?")
    three = one_of_n("?", ["a", "b", "c"])
    table = [
        (yes_no, [3, 2, 1]), (yes_no, [2, 2, 2]), (yes_no, [4, 2, 0]), (yes_no, [4, 0, 2]),
        (yes_no, [3, 1, 2]), (yes_no, [6, 0, 0]), (yes_no, [0, 0, 6]), (yes_no, [5, 1, 0]),
        (three, [3, 2, 1]), (three, [3, 3, 0]), (three, [4, 1, 1]), (three, [0, 0, 6]), (three, [5, 0, 1]),
    ]  # fmt: skip
    out = []
    for question, votes in table:
        for kind, base in itertools.product(
            ("simple", "absolute", "two-thirds", "three-quarters"), ("cast", "present", "roll")
        ):
            out.append(_rule(good, [question], [votes], sum(votes), (1, 2), kind, base, 7, 9))
    out.append(_rule(good, [yes_no], [[6, 0, 0]], 6, (4, 5), "simple", "cast", 7, 9))
    out.append(_rule(good, [yes_no], [[6, 0, 0]], 6, (7, 9), "simple", "cast", 7, 9))
    out.append(_rule(good, [yes_no, three], [], 2, (1, 2), "simple", "cast", 7, 9))
    out.append(_rule(good, [yes_no], [], 0, (9, 9), "simple", "cast", 7, 9))
    return out


def _rule(
    good: Manifest, questions: list[Any], counts: list[list[int]], cast: int, quorum: tuple[int, int],
    kind: str, base: str, present: int, size: int,
) -> JsonObject:  # fmt: skip
    changed = json.loads(json.dumps(good.json))
    changed["questions"] = [{"type": one.type, "text": one.text, "options": list(one.options)} for one in questions]
    changed["rules"]["quorum"].update(num=quorum[0], den=quorum[1])
    changed["rules"]["majority"].update(kind=kind, of=base)
    changed.update(present=present, roll_size=size)
    opened = Manifest.from_json(changed)
    return {
        "questions": [{"type": one.type, "options": len(one.options)} for one in questions],
        "counts": counts,
        "cast": cast,
        "present": present,
        "roll": size,
        "rules": changed["rules"],
        "met": rules.quorum_met(opened),
        "outcome": [one.to_json() for one in rules.evaluate(opened, counts, cast)],
    }


if __name__ == "__main__":
    main()
