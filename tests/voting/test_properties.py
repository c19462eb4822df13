"""Properties that hold for all inputs: encodings, group, Merkle proofs, sharing, rules."""

from __future__ import annotations

import hashlib
import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from folkmoot_voting import encoding, group, merkle_log, signing
from folkmoot_voting.errors import EncodingError, GroupError, LogInvalid

scalars = st.binary(min_size=64, max_size=64).map(group.reduce)
seeds = st.binary(min_size=32, max_size=32)
texts = st.text(st.characters(exclude_categories=["Cs"])).map(lambda t: unicodedata.normalize("NFC", t))
values = st.recursive(
    st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=70))
@settings(deadline=None)
def test_base64url_goes_there_and_back(data: bytes) -> None:
    text = encoding.b64u(data)
    assert encoding.unb64u(text) == data
    for bad in (text + "=", text + "\n", "+" + text[1:]):
        if bad != text:
            with pytest.raises(EncodingError):
                encoding.unb64u(bad)


@given(st.lists(st.binary(max_size=8), max_size=4), st.lists(st.binary(max_size=8), max_size=4))
@settings(deadline=None)
def test_tagged_hashes_tell_fields_apart(left: list[bytes], right: list[bytes]) -> None:
    assert (encoding.h("t", *left) == encoding.h("t", *right)) == (left == right)


@given(values)
@settings(deadline=None)
def test_canonical_json_is_a_fixed_point(value: object) -> None:
    raw = encoding.jcs(value)
    assert encoding.strict_json(raw) == value
    assert encoding.jcs(json.loads(raw)) == raw


@given(values)
@settings(deadline=None)
def test_other_spellings_of_json_are_refused(value: object) -> None:
    spaced = json.dumps({"value": value}, ensure_ascii=False).encode()
    with pytest.raises(EncodingError):
        encoding.strict_json(spaced)


@given(scalars, scalars, scalars)
@settings(max_examples=50, deadline=None)
def test_group_laws(a: bytes, b: bytes, c: bytes) -> None:
    left, right = group.mult_base(a), group.mult_base(b)
    assert group.add(left, right) == group.mult_base(group.scalar_add(a, b))
    assert group.sub(group.add(left, right), right) == left
    assert group.mult(c, left) == group.mult_base(group.scalar_mul(c, a))
    assert group.sub(left, left) == group.IDENTITY


@given(st.binary(min_size=32, max_size=32))
@settings(deadline=None)
def test_identity_results_are_not_errors_and_bad_points_are(data: bytes) -> None:
    assert group.mult(group.ZERO, group.BASE) == group.IDENTITY
    assert group.mult(group.ONE, group.IDENTITY) == group.IDENTITY
    if not group.is_point(data):
        for call in (group.add, group.sub):
            with pytest.raises(GroupError):
                call(group.BASE, data)


@given(st.binary(max_size=31))
@settings(deadline=None)
def test_short_bytes_never_reach_libsodium(data: bytes) -> None:
    for call in (group.add, group.mult, group.scalar_add, group.scalar_mul):
        with pytest.raises(GroupError):
            call(data, group.BASE)
    assert not signing.is_valid(data, b"", bytes(64))
    assert not signing.is_valid(bytes(32), b"", data)


@given(st.lists(scalars, min_size=1, max_size=4), st.permutations([1, 2, 3, 4, 5]))
@settings(max_examples=40, deadline=None)
def test_any_threshold_of_shares_gives_the_secret(coefficients: list[bytes], order: list[int]) -> None:
    chosen = order[: len(coefficients)]
    points = [group.mult_base(one) for one in coefficients]
    total = group.ZERO
    for index, factor in zip(chosen, group.lagrange_at_zero(chosen), strict=True):
        share = group.evaluate(coefficients, index)
        assert group.mult_base(share) == group.evaluate_points(points, index)
        total = group.scalar_add(total, group.scalar_mul(factor, share))
    assert total == coefficients[0]


@given(st.integers(0, 40))
@settings(deadline=None)
def test_small_logarithms(number: int) -> None:
    point = group.mult_base(group.scalar_int(number))
    assert group.small_log(point, 40) == number
    assert group.small_log(point, number - 1) is None


leaf_lists = st.integers(1, 40).map(lambda count: [hashlib.sha256(bytes([index])).digest() for index in range(count)])


@given(leaf_lists, st.data())
@settings(deadline=None)
def test_inclusion_proofs(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof, root = merkle_log.inclusion_proof(leaves, index), merkle_log.tree_hash(leaves)
    size = len(leaves)
    assert merkle_log.verify_inclusion(leaves[index], index, size, proof, root)
    assert not merkle_log.verify_inclusion(bytes(32), index, size, proof, root)
    assert not merkle_log.verify_inclusion(leaves[index], index, size, [*proof, bytes(32)], root)
    if proof:
        assert not merkle_log.verify_inclusion(leaves[index], index, size, proof[1:], root)
    other = data.draw(st.integers(-1, size))
    if other != index:
        assert not merkle_log.verify_inclusion(leaves[index], other, size, proof, root)


@given(leaf_lists, st.data())
@settings(deadline=None)
def test_consistency_proofs(leaves: list[bytes], data: st.DataObject) -> None:
    old, new = data.draw(st.integers(0, len(leaves))), len(leaves)
    roots = merkle_log.prefix_roots(leaves, (old, new))
    proof = merkle_log.consistency_proof(leaves, old)
    assert roots == {old: merkle_log.tree_hash(leaves[:old]), new: merkle_log.tree_hash(leaves)}
    assert merkle_log.verify_consistency(old, new, roots[old], roots[new], proof)
    assert not merkle_log.verify_consistency(old, new, bytes(32), roots[new], proof)
    assert not merkle_log.verify_consistency(old, new, roots[old], roots[new], [*proof, bytes(32)])
    if old not in (0, new):
        assert not merkle_log.verify_consistency(old, new, roots[old], bytes(32), proof)
        assert not merkle_log.verify_consistency(old, new, roots[old], roots[new], proof[:-1])


@given(st.integers(0, 10**9), seeds, st.integers(0, 2**53 - 1))
@settings(max_examples=50, deadline=None)
def test_checkpoints_go_there_and_back(size: int, seed: bytes, time: int) -> None:
    head = merkle_log.Checkpoint("example.org/ledger", size, hashlib.sha256(seed).digest())
    line = merkle_log.cosign(head, "chair", seed, time)
    note = merkle_log.sign_checkpoint(head, seed).with_signature(line)
    key = signing.public_key(seed)
    assert merkle_log.parse_note(note.text()) == note
    assert merkle_log.verify_note(note.text(), "example.org/ledger", key) == note
    assert merkle_log.parse_signature_line(str(line)) == line
    assert merkle_log.valid_cosigners(note, {"chair": key}) == {"chair": time}
    assert merkle_log.valid_cosigners(note, {"secretary": key}) == {}
    for origin, other in (("example.org/x", key), ("example.org/ledger", bytes(32))):
        with pytest.raises(LogInvalid):
            merkle_log.verify_note(note.text(), origin, other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\n\n\n",
        "a\n01\n{root}\n\n{line}",
        "a\n1\n{root}\n\n{line}x",
        "a\n1\n{root}\nextension\n\n{line}",
        "a b\n1\n{root}\n\n{line}",
        "a\n-1\n{root}\n\n{line}",
        "a\n1\n{root}=\n\n{line}",
        "a\n1\n{root}\n\n- a AAAAAAA=\n",
        "a\n1\n{root}\n\n\u2014 a+b AAAAAAA=\n",
        "a\n1\n{root}\n\n\u2014 a AAAA\n",
        "a\n1\n{root}\n\n\u2014 a AAAAAAB=\n",
        "a\r\n1\n{root}\n\n{line}",
        "\ud800\n1\n{root}\n\n{line}",
    ],
)
def test_malformed_notes_are_refused(text: str) -> None:
    good = "a\n1\n{root}\n\n{line}"
    fill = {"root": "A" * 43 + "=", "line": "\u2014 a AAAAAAA=\n"}
    assert merkle_log.parse_note(good.format(**fill)).checkpoint.size == 1
    with pytest.raises(LogInvalid):
        merkle_log.parse_note(text.format(**fill))
