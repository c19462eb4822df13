"""The code makes exactly the published fm1 vectors, and outside vectors hold."""

from __future__ import annotations

import json

import pytest
from tests.vectors import make_fm1
from tests.vectors.read import external, published

from folkmoot_voting import group, merkle_log, signing
from folkmoot_voting.encoding import jcs, strict_json, unb64u
from folkmoot_voting.errors import EncodingError, VotingError


def test_vectors_are_what_the_code_makes() -> None:
    for name, data in make_fm1.made_vectors().items():
        assert published(name) == data, name


def test_bad_forms_are_refused() -> None:
    data = published("encodings")
    for text in data["b64u_bad"]:
        with pytest.raises(EncodingError):
            unb64u(text)
    for text in data["json_bad"]:
        with pytest.raises(EncodingError):
            strict_json(unb64u(text))
    for case in data["jcs"]:
        assert strict_json(unb64u(case["bytes"])) == case["value"]


def test_ristretto255_of_rfc_9496() -> None:
    data = external("ristretto255_rfc9496")
    for number, encoded in enumerate(data["multiples"]):
        assert group.mult_base(group.scalar_int(number)).hex() == encoded
        assert group.is_point(bytes.fromhex(encoded))
    assert len(data["bad"]) == 29
    for encoded in data["bad"]:
        assert not group.is_point(bytes.fromhex(encoded))
        with pytest.raises(VotingError):
            group.mult(group.ONE, bytes.fromhex(encoded))


def test_a_point_has_no_second_encoding_with_bit_255_set() -> None:
    for encoded in external("ristretto255_rfc9496")["multiples"]:
        good = bytes.fromhex(encoded)
        second = good[:31] + bytes([good[31] | 0x80])
        assert not group.is_point(second)
        for call in (
            lambda point: group.mult(group.ONE, point),
            lambda point: group.add(point, group.BASE),
            lambda point: group.add(group.BASE, point),
            lambda point: group.sub(group.BASE, point),
        ):
            call(good)
            with pytest.raises(VotingError):
                call(second)


def test_ed25519_of_rfc_8032_and_wycheproof() -> None:
    for one in external("rfc8032_ed25519")["tests"]:
        seed, message = bytes.fromhex(one["seed"]), bytes.fromhex(one["msg"])
        assert signing.public_key(seed).hex() == one["key"]
        assert signing.sign(seed, message).hex() == one["sig"]
    tests = external("ed25519_wycheproof")["tests"]
    assert {one["result"] for one in tests} == {"valid", "invalid"}
    for one in tests:
        key, message, signature = (bytes.fromhex(one[name]) for name in ("key", "msg", "sig"))
        assert signing.is_valid(key, message, signature) == (one["result"] == "valid"), one["id"]


def test_merkle_trees_of_rfc_6962() -> None:
    data = external("rfc6962_merkle")
    leaves = [merkle_log.leaf_hash(bytes.fromhex(leaf)) for leaf in data["leaves"]]
    assert [merkle_log.tree_hash(leaves[:n]).hex() for n in range(9)] == data["roots"]
    for one in data["inclusion"]:
        proof = merkle_log.inclusion_proof(leaves[: one["size"]], one["index"])
        assert [node.hex() for node in proof] == one["proof"]
    for one in data["consistency"]:
        proof = merkle_log.consistency_proof(leaves[: one["new"]], one["old"])
        assert [node.hex() for node in proof] == one["proof"]


def test_canonical_json_of_rfc_8785() -> None:
    for one in external("rfc8785_jcs")["cases"]:
        assert jcs(json.loads(one["input"])) == one["output"].encode()
        assert strict_json(one["output"].encode()) == json.loads(one["input"])


def test_secret_sharing_of_rfc_9591() -> None:
    data = external("frost_rfc9591")
    coefficients = [bytes.fromhex(one) for one in (data["secret"], *data["coefficients"])]
    shares = [group.evaluate(coefficients, index).hex() for index in (1, 2, 3)]
    assert shares == data["shares"]
    assert group.mult_base(coefficients[0]).hex() == data["public"]
    total = group.ZERO
    for factor, share in zip(group.lagrange_at_zero([1, 3]), (shares[0], shares[2]), strict=True):
        total = group.scalar_add(total, group.scalar_mul(factor, bytes.fromhex(share)))
    assert total.hex() == data["secret"]
