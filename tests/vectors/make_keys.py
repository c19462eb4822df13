"""Write the vectors of sections 2, 3 and 4: challenges, roll, key generation, complaints, copies, destruction.

Run from the checkout: `python -m tests.vectors.make_keys`. The same conventions as in make_fm1.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.vectors.key_faults import CORE_FAULTS, ENTRY_FAULTS, MESSAGE_FAULTS, OFFICERS, bend
from tests.voting.seeded import SeededRng

from folkmoot_server.demo.authenticator import SoftwareAuthenticator
from folkmoot_voting import (
    boxes,
    challenges,
    complaints,
    copies,
    destruction,
    encoding,
    group,
    keygen,
    merkle_log,
    roll,
    trustee,
)
from folkmoot_voting.assertion import RelyingParty, verify_assertion
from folkmoot_voting.encoding import JsonObject, b64u
from folkmoot_voting.errors import VotingError
from folkmoot_voting.keygen import KeyGeneration
from folkmoot_voting.roll import RollException
from folkmoot_voting.trustee import Trustee

OUT = pathlib.Path(__file__).parent / "fm1"
RP = RelyingParty("localhost", ("http://localhost:8080",))
MEETING = "meeting-1"
FROZEN_AT = 1_800_000_000
ROLL_HASH = bytes(range(32))
ATTEMPT = 2

EXCEPTIONS = {
    2: RollException("first", "known to both officers for years", OFFICERS),
    3: RollException("replaced", "lost phone; identity card seen", OFFICERS),
    4: RollException("added", "", ()),
}


def main() -> None:
    """Write every file."""
    OUT.mkdir(exist_ok=True)
    for name, data in vectors().items():
        text = json.dumps(data, ensure_ascii=False, indent=1, sort_keys=True)
        (OUT / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def vectors() -> dict[str, JsonObject]:
    """Return the content of each file by its name."""
    return {
        "challenges": challenge_vectors(),
        "roll": roll_vectors(),
        "keys": key_vectors(),
        "keys_refused": refused_messages(),
        "keys_complaints": complaint_vectors(),
        "keys_copies": copy_vectors(),
        "keys_destroyed": destruction_vectors(),
    }


def code_of(run: Callable[..., object], *arguments: Any, **named: Any) -> str:
    """Return the code of the error that `run` raises, "ok" when it raises none."""
    try:
        run(*arguments, **named)
    except VotingError as error:
        return error.code
    return "ok"


def _bytes(count: int, start: int = 0) -> bytes:
    return bytes((start + index) % 256 for index in range(count))


def challenge_vectors() -> JsonObject:
    """Section 2: every challenge, and assertions good and bad."""
    handle, nonce, key, box, other = _bytes(16), _bytes(32, 1), _bytes(32, 2), _bytes(32, 3), _bytes(32, 4)
    action = {"type": "open-election", "meeting": MEETING, "election": "vote-1", "repeats": []}
    head = merkle_log.Checkpoint("localhost/ledger", 1, merkle_log.tree_hash([merkle_log.leaf_hash(b"x")]))
    checkpoint = merkle_log.sign_checkpoint(head, _bytes(32, 9)).text()
    common = {"meeting": MEETING, "roll_hash": b64u(ROLL_HASH), "nonce": b64u(nonce)}
    made: dict[str, tuple[JsonObject, bytes]] = {
        "enrol": (
            {"rp_id": "localhost", "user_handle": b64u(handle), "nonce": b64u(nonce)},
            challenges.enrol("localhost", handle, nonce),
        ),
        "sign_in": ({"rp_id": "localhost", "nonce": b64u(nonce)}, challenges.sign_in("localhost", nonce)),
        "action": ({"action": action, "nonce": b64u(nonce)}, challenges.action(action, nonce)),
        "registrar": (
            {"roll_hash": b64u(ROLL_HASH), "nonce": b64u(nonce)},
            challenges.registrar(ROLL_HASH, nonce),
        ),
        "checkin": (
            {**common, "site": "main", "credential": b64u(key), "checkpoint": checkpoint},
            challenges.checkin(MEETING, ROLL_HASH, "main", key, checkpoint, nonce),
        ),
        "trustee": (
            {**common, "attempt": 3, "index": 2, "sign_key": b64u(key), "box_key": b64u(box)},
            challenges.trustee(MEETING, ROLL_HASH, 3, 2, key, box, nonce),
        ),
        "cosign": (
            {**common, "name": "teller-1", "key": b64u(key)},
            challenges.cosign(MEETING, ROLL_HASH, "teller-1", key, nonce),
        ),
    }
    for kiosk in (False, True):
        made["replacement_kiosk" if kiosk else "replacement"] = (
            {"manifest": b64u(other), "old": b64u(key), "new": b64u(box), "kiosk": kiosk, "nonce": b64u(nonce)},
            challenges.replacement(other, key, box, kiosk, nonce),
        )
    return {
        "challenges": {name: {"input": given, "challenge": b64u(out)} for name, (given, out) in made.items()},
        "assertions": _assertions(),
    }


def _assertions() -> list[JsonObject]:
    rng = SeededRng("assertions")
    device = SoftwareAuthenticator(RP.origins[0], rng)
    device.register(RP.id, b"user", rng(32))
    elsewhere = SoftwareAuthenticator("https://evil.example", SeededRng("assertions"))
    elsewhere.register(RP.id, b"user", rng(32))
    challenge = rng(32)
    good = device.assertion(challenge)
    data = encoding.unb64u(good["authenticator_data"])
    cases = {
        "good": good,
        "other challenge": device.assertion(rng(32)),
        "other origin": elsewhere.assertion(challenge),
        "cross origin": device.assertion(challenge, crossOrigin=True),
        "top origin": device.assertion(challenge, topOrigin="https://evil.example"),
        "user not verified": {**good, "authenticator_data": b64u(data[:32] + b"\x01" + data[33:])},
        "other rp": {**good, "authenticator_data": b64u(bytes(32) + data[32:])},
        "signature of another message": {**good, "signature": device.assertion(rng(32))["signature"]},
    }
    return [
        {
            "name": name,
            "rp": {"id": RP.id, "origins": list(RP.origins)},
            "challenge": b64u(challenge),
            "key": b64u(device.cose_key),
            "assertion": assertion,
            "code": code_of(verify_assertion, RP, challenge, device.cose_key, assertion),
        }
        for name, assertion in cases.items()
    ]


@dataclass(frozen=True)
class Roll:
    """A roll of six members with its registrar's statement."""

    entries: list[JsonObject]
    core: roll.RollCore
    statement: JsonObject


def make_roll() -> Roll:
    """Six members: weights 1 and 20, every kind of exception, one member without and one with two passkeys."""
    rng = SeededRng("roll")
    devices = [SoftwareAuthenticator(RP.origins[0], rng) for _ in range(6)]
    for index, device in enumerate(devices):
        device.register(RP.id, f"m-{index}".encode(), rng(32))
    keys = [[(device.credential_id, device.cose_key)] for device in devices]
    keys[4], keys[5] = [*keys[4], *keys[5]], []
    entries = [
        roll.make_entry(
            f"m-{index}",
            f"Member {index} Nguyễn",
            keys[index],
            rng(32),
            weight=20 if index == 1 else 1,
            exception=EXCEPTIONS.get(index, roll.NO_EXCEPTION),
        )
        for index in range(6)
    ]
    registrar = devices[1]
    entries, core = roll.build_core(
        reversed(entries),
        meeting=MEETING,
        organisation="org-1",
        frozen_at=FROZEN_AT,
        rp=RP,
        registrar=(registrar.credential_id, registrar.cose_key),
    )
    nonce = rng(32)
    statement = roll.make_statement(core, nonce, registrar.assertion(challenges.registrar(core.hash, nonce)))
    return Roll(entries, core, statement)


def check_entries(entries: list[JsonObject]) -> None:
    """Run every check of section 3 on entries."""
    roll.check_entries(entries)
    roll.check_exceptions(entries)


def roll_vectors() -> JsonObject:
    """Section 3: a roll, and entries and statements that are refused."""
    made = make_roll()
    faults = []
    for name, change in ENTRY_FAULTS.items():
        entries = change(made.entries)
        faults.append({"name": name, "entries": entries, "code": code_of(check_entries, entries)})
    cores = []
    for name, changes in CORE_FAULTS.items():
        statement = {**made.statement, "core": {**made.core.json, **changes}}
        code = code_of(roll.verify_statement, statement)
        cores.append({"name": name, "statement": statement, "code": code})
    return {
        "entries": made.entries,
        "leaves": [b64u(merkle_log.leaf_hash(encoding.jcs(entry))) for entry in made.entries],
        "statement": made.statement,
        "roll_hash": b64u(made.core.hash),
        "refused_entries": faults,
        "refused_statements": cores,
    }


def seeded(seed: str, count: int = 3) -> list[SeededRng]:
    """Return a generator for each trustee, named by seed and index."""
    return [SeededRng(f"{seed} {index}") for index in range(1, count + 1)]


def make_trustees(generators: list[SeededRng], attempt: int = ATTEMPT, threshold: int = 2) -> list[Trustee]:
    """Return one software trustee per generator."""
    return [
        Trustee.create(
            meeting=MEETING,
            roll_hash=ROLL_HASH,
            attempt=attempt,
            index=index,
            threshold=threshold,
            count=len(generators),
            rng=rng,
        )
        for index, rng in enumerate(generators, 1)
    ]


def state_before(kind: str, trustees: list[Trustee]) -> KeyGeneration:
    """Return the state in which messages of this round (or a complaint, before any salt) are awaited."""
    full = trustee.run_key_generation(trustees)
    first = trustees[0]
    state = KeyGeneration(first.meeting, first.roll_hash, first.attempt, full.threshold, full.count)
    last = "salt" if kind == keygen.COMPLAINT else kind
    for name in keygen.ROUNDS[: keygen.ROUNDS.index(last)]:
        for message in full.messages(name):
            state = state.accept(message)
    return state


def key_vectors() -> JsonObject:
    """Section 4: a whole 2 of 3 key generation, its draws and secrets, and keygen.json without a key."""
    generators = seeded("keys")
    trustees = make_trustees(generators)
    state = trustee.run_key_generation(trustees)
    key = state.public_key()
    secrets = [
        {
            "index": one.index,
            "draws": [b64u(draw) for draw in rng.drawn],
            "seed": b64u(one.seed),
            "box_private": b64u(one.box_private),
            "salt": b64u(one.salt),
            "coefficients": [b64u(scalar) for scalar in one.coefficients],
            "w": b64u(one.pop_nonce),
            "share": b64u(one.secret_share(state)),
        }
        for one, rng in zip(trustees, generators, strict=True)
    ]
    return {
        "roll_hash": b64u(ROLL_HASH),
        "trustees": secrets,
        "keygen": state.to_json(),
        "reveals_hash": b64u(state.reveals_hash),
        "transcript": b64u(state.transcript),
        "spoken_code": state.spoken_code,
        "manifest_field": key.to_json(),
        "empty": keygen.empty_json(MEETING),
        "empty_manifest_field": keygen.NO_KEY.to_json(),
    }


def refused_messages() -> JsonObject:
    """Section 4: messages that are refused, each after the good ones of the rounds before."""
    trustees = make_trustees(seeded("keys"))
    full = trustee.run_key_generation(trustees)
    cases = []
    for kind, name, change, sign in MESSAGE_FAULTS:
        good = trustees[0].complain(3) if kind == keygen.COMPLAINT else full.messages(kind)[0]
        wrong = change(good)
        if sign:
            wrong = keygen.sign_message({k: v for k, v in wrong.items() if k != "sig"}, trustees[0].seed)
        state = state_before(kind, trustees)
        code = code_of(state.accept, wrong)
        cases.append({"round": kind, "name": name, "message": wrong, "code": code})
    return {"roll_hash": b64u(ROLL_HASH), "keygen": full.to_json(), "cases": cases}


def lying_shares(trustees: list[Trustee], make_box: Callable[[bytes, bytes], bytes]) -> KeyGeneration:
    """Return the state after shares in which trustee 1's box for trustee 2 is what make_box(key, aad) returns."""
    before = state_before("shares", trustees)
    liar = trustees[0]
    good = liar.shares(before)
    key = boxes.box_key(liar.box_private, before.box_key(2), MEETING, liar.attempt, 1, 2)
    body = {name: value for name, value in good.items() if name != "sig"}
    body["boxes"] = ["", b64u(make_box(key, before.reveals_hash)), *good["boxes"][2:]]
    state = before.accept(keygen.sign_message(body, liar.seed))
    for one in trustees[1:]:
        state = state.accept(one.shares(before))
    return state


def complaint_vectors() -> JsonObject:
    """Section 4: complaints that are justified in each way, and one that is not."""
    trustees = make_trustees(seeded("complaints"))
    states = {
        "wrong share": lying_shares(trustees, lambda key, aad: boxes.seal(key, group.ONE, aad)),
        "no scalar": lying_shares(trustees, lambda key, aad: boxes.seal(key, b"\xff" * 32, aad)),
        "box of other reveals": lying_shares(trustees, lambda key, _: boxes.seal(key, group.ONE, bytes(32))),
        "box of noise": lying_shares(trustees, lambda _key, _aad: _bytes(48)),
        "unfounded": state_before(keygen.COMPLAINT, trustees),
    }
    weak = weak_box_key()
    cases = [_complaint_case(name, state, trustees[1].complain(1)) for name, state in states.items()]
    cases.append(_complaint_case("box key of small order", *weak))
    return {"roll_hash": b64u(ROLL_HASH), "cases": cases}


def weak_box_key() -> tuple[KeyGeneration, JsonObject]:
    """Return a state in which trustee 1 registered an X25519 key of small order, and trustee 2's complaint."""
    trustees = make_trustees(seeded("weak"))
    register = {name: value for name, value in trustees[0].register().items() if name != "sig"}
    messages = [keygen.sign_message({**register, "box_key": b64u(bytes(32))}, trustees[0].seed)]
    messages += [one.register() for one in trustees[1:]]
    for make in (Trustee.commit, Trustee.reveal):
        messages += [make(one) for one in trustees]
    state = KeyGeneration(MEETING, ROLL_HASH, ATTEMPT, 2, 3)
    for message in messages:
        state = state.accept(message)
    for one in trustees:
        empty = [b64u(bytes(boxes.BOX_BYTES)) if j != one.index else "" for j in (1, 2, 3)]
        body = {"type": "shares", "meeting": MEETING, "attempt": ATTEMPT, "trustee": one.index, "boxes": empty}
        state = state.accept(keygen.sign_message(body, one.seed))
    return state, trustees[1].complain(1)


def _complaint_case(name: str, state: KeyGeneration, complaint: JsonObject) -> JsonObject:
    found = complaints.judge(state, complaint)
    return {
        "name": name,
        "messages": state.all_messages(),
        "complaint": complaint,
        "judgement": {
            "by": found.by,
            "against": found.against,
            "at_fault": found.at_fault,
            "reason": found.reason,
        },
    }


def copy_vectors() -> JsonObject:
    """Section 4: a copy of each kind, its draws and ikm, and copies that do not open."""
    trustees = make_trustees(seeded("keys"))
    state = trustee.run_key_generation(trustees)
    one, rng = trustees[0], SeededRng("copies")
    code, prf = copies.draw_code(rng), rng(32)
    secrets = copies.Secrets(one.seed, one.box_private, one.secret_share(state))
    place = copies.Place(MEETING, ATTEMPT, one.index)
    cases: list[JsonObject] = []
    for kind in copies.KINDS:
        draws = SeededRng(f"copy {kind}")
        salt = draws(32)
        ikm = prf if kind == "passkey" else copies.code_ikm(code, salt)
        made = copies.make_copy(place, secrets, kind, ikm, draws, salt)
        cases.append({"kind": kind, "draws": [b64u(draw) for draw in draws.drawn], "ikm": b64u(ikm), "copy": made})
    spoils: dict[str, JsonObject] = {
        "other meeting": {"meeting": "meeting-2"},
        "other attempt": {"attempt": ATTEMPT + 1},
        "other trustee": {"trustee": 2},
        "other kind": {"kind": "code"},
        "other salt": {"salt": b64u(bytes(32))},
        "changed data": {"data": bend(cases[0]["copy"]["data"])},
        "short data": {"data": b64u(bytes(27))},
        "attempt 21": {"attempt": 21},
        "unknown kind": {"kind": "paper"},
        "unknown field": {"note": ""},
    }
    refused = []
    for name, changes in spoils.items():
        copy = {**cases[0]["copy"], **changes}
        refused.append({"name": name, "copy": copy, "code": code_of(copies.open_copy, copy, prf)})
    return {
        "meeting": MEETING,
        "prf_input": b64u(copies.prf_input(MEETING)),
        "code": code,
        "secrets": {
            "sign_seed": b64u(secrets.sign_seed),
            "box_secret": b64u(secrets.box_secret),
            "share": b64u(secrets.share),
        },
        "cases": cases,
        "refused": refused,
    }


def destruction_vectors() -> JsonObject:
    """Section 4: statements of the key of keys.json, and statements that are refused."""
    trustees = make_trustees(seeded("keys"))
    key = trustee.run_key_generation(trustees).public_key()
    at = FROZEN_AT + 31 * 86_400
    statements = [one.destroyed(key.transcript, at + one.index) for one in trustees]
    good, file = statements[0], destruction.make_file(MEETING, statements)
    spoils: dict[str, JsonObject] = {
        "too early": trustees[0].destroyed(key.transcript, at - 1),
        "other time": {**good, "at": at + 9},
        "other meeting": {**good, "meeting": "meeting-2"},
        "other attempt": replace(trustees[0], attempt=ATTEMPT - 1).destroyed(key.transcript, at),
        "other transcript": trustees[0].destroyed(bytes(32), at),
        "as another trustee": {**good, "trustee": 2},
        "no such trustee": {**good, "trustee": 4},
        "other type": {**good, "type": "intent"},
        "unknown field": {**good, "note": ""},
    }
    refused = [
        {
            "name": name,
            "statement": statement,
            "code": code_of(destruction.check_statement, statement, MEETING, key, not_before=at),
        }
        for name, statement in spoils.items()
    ]
    return {
        "trustees": key.to_json(),
        "not_before": at,
        "destroyed": file,
        "hashes": [b64u(one) for one in destruction.check_file(file, MEETING, key, not_before=at)],
        "refused": refused,
    }


if __name__ == "__main__":
    main()
