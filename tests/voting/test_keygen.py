"""Key generation accepts messages in order, refuses every wrong one, and judges complaints."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from tests.vectors import make_keys
from tests.vectors.key_faults import MESSAGE_FAULTS, bend
from tests.vectors.make_keys import ATTEMPT, MEETING, ROLL_HASH, lying_shares, make_trustees, seeded, state_before

from folkmoot_voting import boxes, complaints, group, keygen
from folkmoot_voting.encoding import JsonObject, b64u, unb64u
from folkmoot_voting.errors import KeyGenerationError
from folkmoot_voting.keygen import NO_KEY, KeyGeneration
from folkmoot_voting.trustee import Trustee, run_key_generation


def make(seed: str = "test", attempt: int = ATTEMPT) -> list[Trustee]:
    return make_trustees(seeded(seed), attempt)


def empty(threshold: int = 2, count: int = 3, attempt: int = ATTEMPT) -> KeyGeneration:
    return KeyGeneration(MEETING, ROLL_HASH, attempt, threshold, count)


def refused(state: KeyGeneration, message: JsonObject) -> str:
    with pytest.raises(KeyGenerationError) as caught:
        state.accept(message)
    return caught.value.code


def body_of(message: JsonObject) -> JsonObject:
    return {name: value for name, value in message.items() if name != "sig"}


@pytest.mark.parametrize(("count", "threshold"), [(2, 2), (3, 2), (3, 3), (5, 3), (9, 5)])
def test_every_threshold_opens(count: int, threshold: int) -> None:
    trustees = make_trustees(seeded("test", count), threshold=threshold)
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
    for threshold, count, attempt in ((1, 3, 1), (4, 3, 1), (2, 10, 1), (0, 0, 1), (2, 3, 0), (2, 3, 21)):
        with pytest.raises(KeyGenerationError) as caught:
            empty(threshold, count, attempt)
        assert caught.value.code == "voting.keygen-numbers"
    assert empty(2, 9, 20).round == "register"


def test_the_same_message_again_changes_nothing_a_different_one_is_refused() -> None:
    trustees = make()
    state = state_before("commit", trustees)
    known = state.messages("register")[0]
    assert state.accept(known) is state
    other = replace(trustees[0], box_private=bytes(range(1, 33))).register()
    assert refused(state, other) == "voting.keygen-second"


def test_rounds_wait_for_each_other() -> None:
    trustees = make()
    full = run_key_generation(trustees)
    for round_, earlier in itertools.pairwise(reversed(keygen.ROUNDS)):
        late = full.messages(round_)[0]
        assert refused(state_before(earlier, trustees), late) == "voting.keygen-order"
        assert state_before(round_, trustees).round == round_
    with pytest.raises(KeyGenerationError):
        trustees[0].shares(state_before("reveal", trustees))
    with pytest.raises(KeyGenerationError):
        trustees[0].reveal_salt(state_before("shares", trustees))
    with pytest.raises(KeyGenerationError):
        assert state_before("salt", trustees).spoken_code


@pytest.fixture(scope="module")
def vector() -> JsonObject:
    return make_keys.refused_messages()


@pytest.mark.parametrize("fault", MESSAGE_FAULTS, ids=[f"{one[0]} {one[1]}" for one in MESSAGE_FAULTS])
def test_wrong_messages_are_refused_and_the_good_one_is_not(
    vector: JsonObject, fault: tuple[str, str, object, bool]
) -> None:
    kind, name = fault[0], fault[1]
    case = next(one for one in vector["cases"] if (one["round"], one["name"]) == (kind, name))
    trustees = make_trustees(seeded("keys"))
    state = state_before(kind, trustees)
    full = KeyGeneration.from_json(vector["keygen"], ROLL_HASH)
    good = trustees[0].complain(3) if kind == keygen.COMPLAINT else full.messages(kind)[0]
    assert state.accept(good) != state
    assert refused(state, case["message"]) == case["code"]
    assert case["code"] != "ok"


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
    state = empty().accept(trustees[0].register())
    for twin in (
        replace(trustees[1], seed=trustees[0].seed),
        replace(trustees[1], box_private=trustees[0].box_private),
    ):
        assert refused(state, twin.register()) == "voting.keygen-same-key"


def test_messages_of_another_attempt_are_refused() -> None:
    for kind in keygen.ROUNDS:
        other = run_key_generation(make(attempt=ATTEMPT + 1)).messages(kind)[0]
        assert refused(state_before(kind, make()), other) == "voting.keygen-foreign"
    assert run_key_generation(make()).transcript != run_key_generation(make(attempt=3)).transcript


def test_boxes_open_in_no_other_attempt() -> None:
    trustees = make()
    state = run_key_generation(trustees)
    with pytest.raises(KeyGenerationError, match="does not open"):
        trustees[0].secret_share(replace(state, attempt=ATTEMPT + 1))


def test_a_wrong_share_stops_its_receiver_and_nobody_else() -> None:
    trustees = make()
    state = lying_shares(trustees, lambda key, aad: boxes.seal(key, group.ONE, aad))
    with pytest.raises(KeyGenerationError, match="trustee 1 is wrong"):
        trustees[1].reveal_salt(state)
    assert trustees[2].reveal_salt(state)["trustee"] == 3


def test_a_box_opens_for_nobody_else_and_in_no_other_key_generation() -> None:
    trustees = make()
    state = run_key_generation(trustees)
    other = run_key_generation(make("other"))
    moved = replace(state, received=(*state.received[:2], other.received[2], *state.received[3:]))
    with pytest.raises(KeyGenerationError, match="does not open"):
        trustees[0].secret_share(moved)
    stranger = replace(trustees[0], box_private=bytes(range(5, 37)))
    with pytest.raises(KeyGenerationError, match="does not open"):
        stranger.secret_share(state)


def test_small_order_box_keys_are_refused() -> None:
    with pytest.raises(KeyGenerationError):
        boxes.box_key(bytes(range(32)), bytes(32), MEETING, 1, 1, 2)


def test_the_spoken_code_covers_transcript_and_every_salt() -> None:
    state = run_key_generation(make())
    salts = [unb64u(message["salt"]) for message in state.messages("salt")]
    code = state.spoken_code
    assert len(code) == 7
    assert code[3] == "-"
    assert keygen.spoken_code(state.transcript, salts) == code
    assert keygen.spoken_code(bytes(32), salts) != code
    for place in range(3):
        changed = [bytes(32) if index == place else salt for index, salt in enumerate(salts)]
        assert keygen.spoken_code(state.transcript, changed) != code


def test_a_complaint_ends_the_attempt() -> None:
    trustees = make()
    state = state_before("salt", trustees)
    complaint = trustees[1].complain(1)
    over = state.accept(complaint)
    assert over.round is None
    assert over.result is None
    assert over.accept(complaint) is over
    assert over.all_messages()[-1] == complaint
    assert refused(over, trustees[0].reveal_salt(state)) == "voting.keygen-over"
    assert refused(over, trustees[2].complain(1)) == "voting.keygen-over"
    assert refused(over, trustees[1].complain(3)) == "voting.keygen-second"
    with pytest.raises(KeyGenerationError):
        KeyGeneration.from_json(over.to_json(), ROLL_HASH)


def test_a_complaint_comes_after_the_shares_and_before_ones_certification() -> None:
    trustees = make()
    assert refused(state_before("shares", trustees), trustees[1].complain(1)) == "voting.keygen-order"
    state = state_before("certify", trustees)
    assert state.accept(trustees[1].complain(1)).complaint is not None
    state = state.accept(trustees[1].certify(state))
    assert refused(state, trustees[1].complain(1)) == "voting.keygen-order"
    assert state.accept(trustees[2].complain(1)).complaint is not None


def test_complaints_are_judged_from_public_messages() -> None:
    reasons = {}
    for case in make_keys.complaint_vectors()["cases"]:
        state = empty()
        for message in case["messages"]:
            state = state.accept(message)
        found = complaints.judge(state, case["complaint"])
        assert vars(found) == case["judgement"]
        assert complaints.judge(state.accept(case["complaint"])) == found
        reasons[found.reason] = found.at_fault
    assert reasons == {"share": 1, "box": 1, "box-key": 1, "unfounded": 2}


def test_nobody_is_judged_without_a_complaint_or_by_a_forged_one() -> None:
    trustees = make()
    state = state_before("salt", trustees)
    with pytest.raises(KeyGenerationError):
        complaints.judge(state)
    forged = keygen.sign_message(body_of(trustees[1].complain(1)), trustees[2].seed)
    with pytest.raises(KeyGenerationError):
        complaints.judge(state, forged)
    bent = {**body_of(trustees[1].complain(1)), "box_secret": bend(b64u(trustees[1].box_private))}
    with pytest.raises(KeyGenerationError):
        complaints.judge(state, keygen.sign_message(bent, trustees[1].seed))


def test_keygen_json_is_whole_or_empty() -> None:
    state = run_key_generation(make())
    data = state.to_json()
    assert KeyGeneration.from_json(data, ROLL_HASH) == state
    assert not keygen.is_empty(data)
    assert keygen.is_empty(keygen.empty_json(MEETING))
    for name in ("attempt", "threshold", "count", "messages"):
        with pytest.raises(KeyGenerationError) as caught:
            keygen.is_empty({**data, name: keygen.empty_json(MEETING)[name]})
        assert caught.value.code == "voting.keygen-numbers"
    for bad in (
        {**data, "messages": data["messages"][:-1]},
        {**data, "messages": data["messages"][::-1]},
        {**data, "attempt": ATTEMPT + 1},
        {**data, "note": ""},
    ):
        with pytest.raises(KeyGenerationError):
            KeyGeneration.from_json(bad, ROLL_HASH)
    assert NO_KEY.to_json() == {
        "attempt": 0,
        "threshold": 0,
        "count": 0,
        "transcript": "",
        "key": "",
        "verification_keys": [],
        "sign_keys": [],
    }


def test_form_alone_passes_where_points_are_wrong() -> None:
    data = run_key_generation(make()).to_json()
    certify = data["messages"][-1]
    wrong = keygen.sign_message({**body_of(certify), "key": b64u(group.BASE)}, make()[2].seed)
    bad = {**data, "messages": [*data["messages"][:-1], wrong]}
    assert KeyGeneration.from_json(bad, ROLL_HASH, form_only=True).round is None
    with pytest.raises(KeyGenerationError) as caught:
        KeyGeneration.from_json(bad, ROLL_HASH)
    assert caught.value.about_points
