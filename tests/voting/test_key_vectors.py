"""The code makes the published vectors of sections 2 to 4, replays them, and agrees with outside ones."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.vectors import make_keys
from tests.vectors.read import external, published

from folkmoot_voting import boxes, copies, destruction, group, keygen, roll, trustee
from folkmoot_voting.encoding import unb64u
from folkmoot_voting.errors import CopyInvalid, DestructionInvalid, KeyGenerationError, RollInvalid


def test_vectors_are_what_the_code_makes() -> None:
    for name, data in make_keys.vectors().items():
        assert published(name) == data, name


def test_key_generation_replays_from_its_secrets() -> None:
    data = published("keys")
    trustees = [
        trustee.Trustee(
            make_keys.MEETING,
            unb64u(data["roll_hash"]),
            data["keygen"]["attempt"],
            one["index"],
            2,
            3,
            unb64u(one["seed"]),
            unb64u(one["box_private"]),
            unb64u(one["salt"]),
            tuple(unb64u(scalar) for scalar in one["coefficients"]),
            unb64u(one["w"]),
        )
        for one in data["trustees"]
    ]
    state = trustee.run_key_generation(trustees)
    assert state.to_json() == data["keygen"]
    assert keygen.KeyGeneration.from_json(data["keygen"], unb64u(data["roll_hash"])) == state
    assert state.spoken_code == data["spoken_code"]
    for one in data["trustees"]:
        draws = [unb64u(draw) for draw in one["draws"]]
        assert draws[:3] == [unb64u(one[name]) for name in ("seed", "box_private", "salt")]
        assert [group.reduce(draw) for draw in draws[3:]] == [
            unb64u(scalar) for scalar in (*one["coefficients"], one["w"])
        ]


def test_every_refused_vector_has_a_reason() -> None:
    for name, lists in {
        "roll": ("refused_entries", "refused_statements"),
        "keys_refused": ("cases",),
        "keys_copies": ("refused",),
        "keys_destroyed": ("refused",),
    }.items():
        for one in lists:
            assert "ok" not in {case["code"] for case in published(name)[one]}


def test_rolls_hold_weights_and_exceptions() -> None:
    made = make_keys.make_roll()
    assert made.core.weight == 25
    assert made.core.exceptions == 3
    assert roll.verify_statement(made.statement) == made.core
    with pytest.raises(RollInvalid) as caught:
        roll.build_core(
            [{**entry, "weight": 10**6, "member": f"x-{n}"} for n, entry in enumerate(made.entries[5:] * 101)],
            meeting="m",
            organisation="o",
            frozen_at=0,
            rp=make_keys.RP,
            registrar=(b"i", b"k"),
        )
    assert caught.value.code == "voting.roll-weight"


def test_copies_open_under_their_own_secret_alone() -> None:
    data = published("keys_copies")
    wanted = {name: unb64u(value) for name, value in data["secrets"].items()}
    by_kind = {case["kind"]: case for case in data["cases"]}
    assert set(by_kind) == {"passkey", "code"}
    for case in by_kind.values():
        assert vars(copies.open_copy(case["copy"], unb64u(case["ikm"]))) == wanted
        with pytest.raises(CopyInvalid):
            copies.open_copy(case["copy"], bytes(32))
    salt = unb64u(by_kind["code"]["copy"]["salt"])
    spaced = "-".join(data["code"][place : place + 4] for place in range(0, 16, 4)).lower()
    assert copies.code_ikm(spaced, salt) == unb64u(by_kind["code"]["ikm"])
    for bad in (data["code"][:-1], data["code"][:-1] + "U", "", data["code"] * 2):
        with pytest.raises(CopyInvalid):
            copies.code_ikm(bad, salt)


def test_destruction_is_signed_once_by_each() -> None:
    data = published("keys_destroyed")
    key = keygen.KeyGeneration.from_json(published("keys")["keygen"], make_keys.ROLL_HASH).public_key()
    file, at = data["destroyed"], data["not_before"]
    hashes = destruction.check_file(file, make_keys.MEETING, key, not_before=at)
    assert hashes == [unb64u(one) for one in data["hashes"]]
    first, second = file["statements"][:2]
    for statements in ([second, first], [first, first]):
        with pytest.raises(DestructionInvalid) as caught:
            destruction.check_file({**file, "statements": statements}, make_keys.MEETING, key)
        assert caught.value.code == "voting.destroyed-order"
    for bad in ({**file, "meeting": "x"}, {**file, "v": 2}, {**file, "statements": [{**first, "at": -1}]}):
        with pytest.raises(DestructionInvalid):
            destruction.check_file(bad, make_keys.MEETING, key)


def test_x25519_of_wycheproof() -> None:
    refused = set()
    for one in external("x25519_wycheproof")["tests"]:
        private, public = bytes.fromhex(one["private"]), bytes.fromhex(one["public"])
        try:
            assert boxes.exchange(private, public).hex() == one["shared"], one["id"]
        except KeyGenerationError:
            refused.add(one["id"])
            assert "ZeroSharedSecret" in one["flags"], one["id"]
    assert len(refused) == 31


def test_hkdf_sha256_of_wycheproof() -> None:
    tests = external("hkdf_sha256_wycheproof")["tests"]
    assert {one["result"] for one in tests} == {"valid", "invalid"}
    for one in tests:
        ikm, salt, info = (bytes.fromhex(one[name]) for name in ("ikm", "salt", "info"))
        if one["result"] == "valid":
            assert boxes.hkdf(ikm, salt, info, one["size"]).hex() == one["okm"], one["id"]
        else:
            with pytest.raises(ValueError, match="larger than"):
                boxes.hkdf(ikm, salt, info, one["size"])


def test_aes_256_gcm_of_wycheproof() -> None:
    for one in external("aes_256_gcm_wycheproof")["tests"]:
        key, nonce, extra, plain, sealed, tag = (
            bytes.fromhex(one[name]) for name in ("key", "iv", "aad", "msg", "ct", "tag")
        )
        if one["result"] == "valid":
            assert AESGCM(key).decrypt(nonce, sealed + tag, extra) == plain, one["id"]
            assert AESGCM(key).encrypt(nonce, plain, extra) == sealed + tag, one["id"]
        else:
            with pytest.raises(InvalidTag):
                AESGCM(key).decrypt(nonce, sealed + tag, extra)


def test_distributed_key_generation_of_frost() -> None:
    data = external("frost_dkg_ristretto255")
    trustees = {one["index"]: one for one in data["trustees"]}
    secrets = {}
    for index, one in trustees.items():
        coefficients = [bytes.fromhex(scalar) for scalar in one["coefficients"]]
        points = [bytes.fromhex(point) for point in one["points"]]
        assert [group.mult_base(scalar) for scalar in coefficients] == points
        for receiver in trustees.keys() - {index}:
            share = bytes.fromhex(trustees[receiver]["shares_from"][str(index)])
            assert group.evaluate(coefficients, receiver) == share
            assert group.mult_base(share) == group.evaluate_points(points, receiver)
        secret = group.evaluate(coefficients, index)
        for text in one["shares_from"].values():
            secret = group.scalar_add(secret, bytes.fromhex(text))
        assert secret.hex() == one["share"]
        assert group.mult_base(secret).hex() == one["verification_key"]
        secrets[index] = secret
    key = group.total(bytes.fromhex(one["points"][0]) for one in trustees.values())
    assert key.hex() == data["key"]
    for chosen in ((1, 2), (1, 3), (2, 3)):
        total = group.ZERO
        for factor, index in zip(group.lagrange_at_zero(list(chosen)), chosen, strict=True):
            total = group.scalar_add(total, group.scalar_mul(factor, secrets[index]))
        assert group.mult_base(total) == key
