"""Key generation accepts messages in order and refuses every wrong one with its own code."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.voting.seeded import SeededRng

from folkmoot_voting import group, keygen
from folkmoot_voting.encoding import JsonObject, b64u, unb64u
from folkmoot_voting.errors import KeyGenerationError
from folkmoot_voting.keygen import KeyGeneration
from folkmoot_voting.trustee import Trustee, box_cipher, run_key_generation

ROLL = bytes(range(32))


def make(count: int = 3, threshold: int = 2, seed: str = "keys") -> list[Trustee]:
    rng = SeededRng(seed)
    return [
        Trustee.create(meeting="m", roll_hash=ROLL, index=i, threshold=threshold, count=count, rng=rng)
        for i in range(1, count + 1)
    ]


def state_before(kind: str, trustees: list[Trustee]) -> KeyGeneration:
    full = run_key_generation(trustees)
    state = KeyGeneration("m", ROLL, full.threshold, full.count)
    for name in keygen.ROUNDS[: keygen.ROUNDS.index(kind)]:
        for message in full.messages(name):
            state = state.accept(message)
    return state


def refused(state: KeyGeneration, message: JsonObject) -> str:
    with pytest.raises(KeyGenerationError) as caught:
        state.accept(message)
    return caught.value.code


@pytest.mark.parametrize(("count", "threshold"), [(2, 2), (3, 2), (3, 3), (5, 3), (9, 5)])
def test_every_threshold_opens(count: int, threshold: int) -> None:
    trustees = make(count, threshold)
    state = run_key_generation(trustees)
    result = state.result
    assert result is not None
    secrets = {one.index: one.secret_share(state) for one in trustees}
    for index, secret in secrets.items():
        assert group.mult_base(secret) == result.verification_keys[index - 1]
    for chosen in itertools.islice(itertools.combinations(secrets, threshold), 5):
        factors = group.lagrange_at_zero(list(chosen))
        key = group.total(
            group.mult(factor, result.verification_keys[i - 1]) for i, factor in zip(chosen, factors, strict=True)
        )
        assert key == result.key


def test_numbers_are_bounded() -> None:
    for threshold, count in ((1, 3), (4, 3), (2, 10), (0, 0)):
        with pytest.raises(KeyGenerationError):
            KeyGeneration("m", ROLL, threshold, count)


def test_the_same_message_again_changes_nothing_a_different_one_is_refused() -> None:
    trustees = make()
    state = state_before("commit", trustees)
    known = state.messages("register")[0]
    assert state.accept(known) is state
    other = replace(trustees[0], box_private=bytes(range(1, 33))).register()
    assert refused(state, other) == "voting.keygen-second"


def test_rounds_wait_for_each_other() -> None:
    trustees = make()
    empty = KeyGeneration("m", ROLL, 2, 3)
    assert refused(empty, trustees[0].commit()) == "voting.keygen-order"
    assert refused(state_before("commit", trustees), trustees[0].reveal()) == "voting.keygen-order"
    assert state_before("shares", trustees).round == "shares"
    with pytest.raises(KeyGenerationError):
        trustees[0].shares(state_before("reveal", trustees))


def change(name: str, to: Callable[[Any], Any]) -> Callable[[JsonObject], JsonObject]:
    return lambda message: {**message, name: to(message[name])}


def bend(text: str) -> str:
    raw = bytearray(unb64u(text))
    raw[3] ^= 1
    return b64u(bytes(raw))


WRONG: list[tuple[str, str, Callable[[JsonObject], JsonObject], str]] = [
    ("register", "other meeting", change("meeting", lambda _: "x"), "voting.keygen-foreign"),
    ("register", "no such trustee", change("trustee", lambda _: 4), "voting.keygen-foreign"),
    ("register", "other roll", change("roll", bend), "voting.keygen-roll"),
    ("commit", "other key's signature", change("trustee", lambda _: 2), "voting.keygen-unsigned"),
    ("reveal", "other points", change("points", lambda p: p[::-1]), "voting.keygen-commitment"),
    ("reveal", "one point", change("points", lambda p: p[:1]), "voting.keygen-commitment"),
    ("reveal", "response", change("pop", lambda p: {**p, "z": b64u(bytes(32))}), "voting.keygen-pop"),
    ("reveal", "commitment", change("pop", lambda p: {**p, "r": b64u(group.BASE)}), "voting.keygen-pop"),
    ("reveal", "no point", change("pop", lambda p: {**p, "r": b64u(b"\x01" * 32)}), "voting.keygen-points"),
    ("reveal", "no scalar", change("pop", lambda p: {**p, "z": b64u(b"\xff" * 32)}), "voting.keygen-points"),
    ("shares", "short box", change("boxes", lambda b: [b[0], b[1][:-4], b[2]]), "voting.keygen-boxes"),
    ("shares", "box for oneself", change("boxes", lambda b: [b[1], b[1], b[2]]), "voting.keygen-boxes"),
    ("shares", "two boxes", change("boxes", lambda b: b[:2]), "voting.keygen-boxes"),
    ("certify", "other transcript", change("transcript", bend), "voting.keygen-certify"),
    ("certify", "other key", change("key", lambda _: b64u(group.BASE)), "voting.keygen-certify"),
    ("certify", "keys reversed", change("verification_keys", lambda k: k[::-1]), "voting.keygen-certify"),
    ("commit", "unknown field", lambda m: {**m, "note": 1}, "voting.keygen-malformed"),
    ("commit", "unknown type", change("type", lambda _: "vote"), "voting.keygen-malformed"),
    ("commit", "trustee as text", change("trustee", lambda _: "1"), "voting.keygen-malformed"),
]


@pytest.mark.parametrize(("kind", "name", "spoil", "code"), WRONG, ids=[f"{w[0]} {w[1]}" for w in WRONG])
def test_wrong_messages_are_refused(
    kind: str, name: str, spoil: Callable[[JsonObject], JsonObject], code: str
) -> None:
    trustees = make()
    good = run_key_generation(trustees).messages(kind)[0]
    state = state_before(kind, trustees)
    assert state.accept(good) != state
    unsigned = spoil({key: value for key, value in good.items() if key != "sig"})
    if code == "voting.keygen-malformed":
        wrong = {**unsigned, "sig": good["sig"]}
    else:
        wrong = keygen.sign_message(unsigned, trustees[0].seed)
    assert refused(state, wrong) == code
    if code != "voting.keygen-malformed":
        assert refused(state, {**good, "sig": bend(good["sig"])}) == "voting.keygen-unsigned"


def test_identity_and_copied_points_are_refused() -> None:
    trustees = make()
    zero = replace(trustees[0], coefficients=(group.ZERO, trustees[0].coefficients[1]))
    state = state_before("commit", trustees)
    for one in (zero, *trustees[1:]):
        state = state.accept(one.commit())
    assert refused(state, zero.reveal()) == "voting.keygen-points"
    copied = replace(trustees[1], coefficients=trustees[0].coefficients)
    state = state_before("commit", trustees)
    for one in (trustees[0], copied, trustees[2]):
        state = state.accept(one.commit())
    state = state.accept(trustees[0].reveal())
    assert refused(state, copied.reveal()) == "voting.keygen-points"


def test_two_trustees_cannot_share_keys() -> None:
    trustees = make()
    state = KeyGeneration("m", ROLL, 2, 3).accept(trustees[0].register())
    for twin in (
        replace(trustees[1], seed=trustees[0].seed),
        replace(trustees[1], box_private=trustees[0].box_private),
    ):
        assert refused(state, twin.register()) == "voting.keygen-same-key"


def test_a_wrong_share_stops_its_receiver_and_nobody_else() -> None:
    trustees = make()
    before = state_before("shares", trustees)
    good = trustees[0].shares(before)
    cipher = box_cipher(trustees[0].box_private, before.box_key(2), "m", 1, 2)
    lie = b64u(cipher.encrypt(bytes(12), group.ONE, before.reveals_hash))
    boxes = ["", lie, good["boxes"][2]]
    body = {key: value for key, value in good.items() if key != "sig"}
    state = before.accept(keygen.sign_message({**body, "boxes": boxes}, trustees[0].seed))
    for one in trustees[1:]:
        state = state.accept(one.shares(before))
    with pytest.raises(KeyGenerationError, match="trustee 1 is wrong"):
        trustees[1].certify(state)
    assert trustees[2].certify(state)["trustee"] == 3


def test_a_box_opens_for_nobody_else_and_in_no_other_key_generation() -> None:
    trustees = make()
    state = run_key_generation(trustees)
    other = run_key_generation(make(seed="other"))
    moved = replace(state, received=(*state.received[:2], other.received[2], *state.received[3:]))
    with pytest.raises(KeyGenerationError, match="does not open"):
        trustees[0].secret_share(moved)
    stranger = replace(trustees[0], box_private=bytes(range(5, 37)))
    with pytest.raises(KeyGenerationError, match="does not open"):
        stranger.secret_share(state)


def test_small_order_box_keys_are_refused() -> None:
    with pytest.raises(KeyGenerationError):
        box_cipher(bytes(range(32)), bytes(32), "m", 1, 2)


def test_the_spoken_code_changes_with_the_transcript() -> None:
    first, second = run_key_generation(make()), run_key_generation(make(seed="other"))
    assert first.spoken_code != second.spoken_code
    assert len(first.spoken_code) == 7
    assert first.spoken_code[3] == "-"
