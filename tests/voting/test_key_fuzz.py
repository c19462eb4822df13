"""Seeded mutations of rolls, key generation, complaints, copies and destruction raise typed errors alone."""

from __future__ import annotations

import random  # noqa: TID251  # seeded test data, no secrets
from typing import Any

from tests.vectors.make_keys import ATTEMPT, MEETING, ROLL_HASH, check_entries, make_roll, make_trustees, seeded
from tests.voting.fuzzing import MUTATIONS, outcomes, spoil_value
from tests.voting.test_key_vectors import published

from folkmoot_voting import complaints, copies, destruction, keygen, roll
from folkmoot_voting.encoding import JsonObject, jcs, unb64u
from folkmoot_voting.errors import EncodingError, VotingError
from folkmoot_voting.keygen import KeyGeneration


def replayed() -> tuple[list[JsonObject], list[KeyGeneration]]:
    """Return the messages of keys.json and the state before each."""
    messages = published("keys")["keygen"]["messages"]
    states = [KeyGeneration(MEETING, ROLL_HASH, ATTEMPT, 2, 3)]
    for message in messages:
        states.append(states[-1].accept(message))
    return messages, states


def test_key_generation_messages() -> None:
    messages, states = replayed()

    def check(rng: random.Random) -> None:
        number = rng.randrange(len(messages))
        spoiled = spoil_value(rng, messages[number])
        states[number].accept(spoiled)
        assert spoiled == messages[number]

    assert outcomes(check)[1] > MUTATIONS * 0.9


def test_whole_key_generations() -> None:
    good = published("keys")["keygen"]

    def check(rng: random.Random) -> None:
        spoiled = spoil_value(rng, good)
        KeyGeneration.from_json(spoiled, ROLL_HASH)
        keygen.is_empty(spoiled)
        assert spoiled == good

    assert outcomes(check, 1000)[1] > 900


def test_complaints() -> None:
    case = published("keys_complaints")["cases"][0]
    state = KeyGeneration(MEETING, ROLL_HASH, ATTEMPT, 2, 3)
    for message in case["messages"]:
        state = state.accept(message)
    good = case["complaint"]
    trustees = make_trustees(seeded("complaints"))

    def check(rng: random.Random) -> None:
        spoiled = spoil_value(rng, good)
        try:
            signed = keygen.sign_message({k: v for k, v in spoiled.items() if k != "sig"}, trustees[1].seed)
        except (AttributeError, TypeError, EncodingError):
            signed = spoiled
        complaints.judge(state, signed)

    passed, refused = outcomes(check, 2000)
    assert passed + refused == 2000
    assert refused > 1000


def test_copies_and_statements_of_destruction() -> None:
    copy = published("keys_copies")
    case = copy["cases"][0]
    key = KeyGeneration.from_json(published("keys")["keygen"], ROLL_HASH).public_key()
    file = published("keys_destroyed")["destroyed"]

    def check(rng: random.Random) -> None:
        spoiled = spoil_value(rng, case["copy"])
        copies.open_copy(spoiled, unb64u(case["ikm"]))
        assert spoiled == case["copy"]

    def check_file(rng: random.Random) -> None:
        spoiled = spoil_value(rng, file)
        hashes = destruction.check_file(spoiled, MEETING, key)
        assert len(hashes) == len(spoiled["statements"])

    assert outcomes(check, 5000)[1] > 4500
    assert outcomes(check_file, 3000)[1] > 2500


def test_rolls() -> None:
    made = make_roll()

    def check(rng: random.Random) -> None:
        check_entries(spoil_value(rng, made.entries))

    def check_statement(rng: random.Random) -> None:
        spoiled = spoil_value(rng, made.statement)
        roll.verify_statement(spoiled)
        assert jcs(spoiled) == jcs(made.statement)

    assert outcomes(check)[1] > MUTATIONS * 0.4
    assert outcomes(check_statement)[1] > MUTATIONS * 0.9


def test_the_fuzzer_reaches_past_the_first_check() -> None:
    """A control: mutations of a valid message are not all refused for their form."""
    messages, states = replayed()
    codes = set()
    rng = random.Random(3)
    for _ in range(300):
        try:
            states[0].accept(spoil_value(rng, messages[0]))
        except VotingError as error:
            codes.add(error.code)
    assert {"voting.keygen-malformed", "voting.keygen-unsigned"} <= codes


def test_a_planted_crash_is_seen() -> None:
    """A control: an error without a type is not counted as refused."""

    def crash(_rng: random.Random) -> Any:
        raise KeyError("planted")

    try:
        outcomes(crash, 1)
    except KeyError:
        return
    raise AssertionError("the crash was swallowed")
