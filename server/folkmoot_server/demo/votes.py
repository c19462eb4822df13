"""The vote steps of the scripted meeting: what the pages of voters, tellers and cosigners do, in Python."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from folkmoot_server.demo.client import DemoError, Person
from folkmoot_voting import board, casting, challenges, merkle_log, roll, signing, tally
from folkmoot_voting.ballot import Ballot, ballot_leaf, check_ballot, sealed_hash
from folkmoot_voting.electorate import parse_electorate
from folkmoot_voting.encoding import b64u, unb64u
from folkmoot_voting.keygen import ROUNDS, KeyGeneration
from folkmoot_voting.lineages import Lineages, Voids, take
from folkmoot_voting.manifest import Manifest, check_electorate
from folkmoot_voting.trustee import Trustee

WAIT_S = 180.0
STEP_S = 0.1


@dataclass(frozen=True)
class Teller:
    """A teller with the secrets of this meeting."""

    person: Person
    trustee: Trustee
    state: KeyGeneration


@dataclass(frozen=True)
class Cosigner:
    """A cosigner's person, name and signing seed."""

    person: Person
    name: str
    seed: bytes


def _path(meeting: str, rest: str) -> str:
    return f"/api/meetings/{meeting}{rest}"


async def freeze_roll(registrar: Person, meeting: str) -> None:
    """The registrar signs the roll after recomputing its hash."""
    prepared = await registrar.post(_path(meeting, "/roll/prepare"))
    core = roll.RollCore.from_json(prepared["core"])
    signed = await registrar.signed("roll", lambda nonce: challenges.registrar(core.hash, nonce))
    await registrar.post(_path(meeting, "/roll/freeze"), {"roll_hash": b64u(core.hash), "signed": signed})


async def begin_check_in(person: Person, meeting: str, seed: bytes, where: dict[str, str] | None) -> dict[str, Any]:
    """Begin to check in with the credential of a seed; return the body that finishes it.

    `where` names a site and its code.
    """
    begun = await person.post(_path(meeting, "/check-in/begin"), where)
    core = roll.verify_statement(begun["roll"])
    credential = signing.public_key(seed)
    challenge = challenges.checkin(
        meeting, core.hash, begun["site"], credential, begun["checkpoint"], unb64u(begun["nonce"])
    )
    fields = {name: begun[name] for name in ("site", "checkpoint", "nonce")}
    return {"credential": b64u(credential), **fields, **person.assertion(challenge)}


async def check_in(person: Person, meeting: str, seed: bytes = b"", where: dict[str, str] | None = None) -> bytes:
    """Check in with a credential bound by the passkey, a fresh one unless its seed is given; return the seed."""
    seed = seed or secrets.token_bytes(32)
    await person.post(_path(meeting, "/check-in/finish"), await begin_check_in(person, meeting, seed, where))
    return seed


async def _roll_hash(person: Person, meeting: str) -> bytes:
    statement = (await person.get(_path(meeting, "/roll")))["statement"]
    return roll.verify_statement(statement).hash


async def make_key(persons: Sequence[Person], meeting: str) -> list[Teller]:
    """Run the rounds among the tellers and compare the code; return the tellers by index."""
    roll_hash = await _roll_hash(persons[0], meeting)
    view = await persons[0].get(_path(meeting, "/keygen"))
    by_member = {person.member: person for person in persons}
    people = [by_member[one["member"]] for one in sorted(view["trustees"], key=lambda one: int(one["index"]))]
    state = KeyGeneration(meeting, roll_hash, view["attempt"], view["threshold"], view["count"])
    trustees = [
        Trustee.create(
            meeting=meeting,
            roll_hash=roll_hash,
            attempt=view["attempt"],
            index=index,
            threshold=view["threshold"],
            count=view["count"],
            rng=secrets.token_bytes,
        )
        for index in range(1, len(people) + 1)
    ]
    for kind in ROUNDS:
        messages = []
        for person, trustee in zip(people, trustees, strict=True):
            message = trustee.message(kind, state)
            body: dict[str, Any] = {"message": message}
            if kind == "register":
                body["statement"] = await _trustee_statement(person, trustee)
            await person.post(_path(meeting, "/keygen/messages"), body)
            messages.append(message)
        for message in messages:
            state = state.accept(message)
    code = (await persons[0].get(_path(meeting, "/keygen")))["code"]
    if code != state.spoken_code:
        raise DemoError(f"The tellers' code is {state.spoken_code}, the server says {code}.")
    return [Teller(person, trustee, state) for person, trustee in zip(people, trustees, strict=True)]


async def _trustee_statement(person: Person, trustee: Trustee) -> dict[str, Any]:
    return await person.signed("trustee", trustee.challenge)


async def name_cosigner(person: Person, meeting: str) -> Cosigner:
    """Make a cosigning key and have the passkey sign it."""
    roll_hash = await _roll_hash(person, meeting)
    name = (await person.get(_path(meeting, "")))["me"]["cosigner"]
    seed = secrets.token_bytes(32)
    key = signing.public_key(seed)
    signed = await person.signed("cosign", lambda nonce: challenges.cosign(meeting, roll_hash, name, key, nonce))
    await person.post(_path(meeting, "/cosigners"), {"name": name, "key": b64u(key), **signed})
    return Cosigner(person, name, seed)


async def open_election(chair: Person, meeting: str, election: str) -> Manifest:
    """The chair opens the vote, knowing which earlier ones it repeats; return the manifest."""
    repeats = (await chair.get(_path(meeting, f"/elections/{election}/preview")))["repeats"]
    action = {"type": "open-election", "meeting": meeting, "election": election, "repeats": repeats}
    answer = await chair.act(_path(meeting, f"/elections/{election}/open"), action)
    return Manifest.from_json(answer["manifest"])


async def place(person: Person, meeting: str, manifest: Manifest) -> casting.Place:
    """Where the person's next ballot stands in its lineage."""
    me = (await person.get(_path(meeting, f"/elections/{manifest.election}/manifest")))["me"]
    return casting.Place(me["weight"], me["seq"] + 1, unb64u(me["prev"]))


async def cast(
    person: Person, meeting: str, manifest: Manifest, seed: bytes, choices: Sequence[Sequence[int]]
) -> dict[str, Any]:
    """Seal, announce and cast a ballot; return the checked promise. Choices are the cells of each question."""
    path = _path(meeting, f"/elections/{manifest.election}")
    standing = await place(person, meeting, manifest)
    key = signing.public_key(seed)
    sealed = casting.seal(manifest, key, choices, casting.SeededDraws(secrets.token_bytes(32)), standing)
    await person.post(f"{path}/seals", casting.make_announcement(manifest, seed, sealed_hash(sealed)))
    ballot = casting.sign_ballot(sealed, seed)
    promise: dict[str, Any] = (await person.post(f"{path}/ballots", {"ballot": ballot}))["promise"]
    board.verify_promise(promise, manifest.server_key)
    if promise["leaf"] != b64u(ballot_leaf(ballot)):
        raise DemoError(f"{person.name}: the promise is for another ballot.")
    return promise


async def replace_credential(
    person: Person, meeting: str, manifest: Manifest, old: bytes, *, kiosk: bool = False
) -> bytes:
    """Let a new device take over from the one with this seed; return the new seed."""
    seed = secrets.token_bytes(32)
    keys = (signing.public_key(old), signing.public_key(seed))
    signed = await person.signed("replace", lambda nonce: challenges.replacement(manifest.hash, *keys, kiosk, nonce))
    path = _path(meeting, f"/elections/{manifest.election}/replacements")
    await person.post(path, {"old": b64u(keys[0]), "new": b64u(keys[1]), "kiosk": kiosk, **signed})
    return seed


async def close_election(chair: Person, meeting: str, election: str) -> None:
    """The chair closes the vote; return when the closing checkpoint is there."""
    action = {"type": "close-election", "meeting": meeting, "election": election}
    await chair.act(_path(meeting, f"/elections/{election}/close"), action)
    await _until(chair, meeting, election, lambda view: bool(view["closing"]), "the closing checkpoint")


async def whole_board(person: Person, meeting: str, election: str) -> dict[str, Any]:
    """The whole board, its texts, and the entries decoded."""
    entries: list[str] = []
    while True:
        path = _path(meeting, f"/elections/{election}/board?from={len(entries)}")
        view: dict[str, Any] = await person.get(path)
        entries += view["entries"]
        if len(entries) >= view["size"] or not view["entries"]:
            return {**view, "entries": [json.loads(entry) for entry in entries]}


async def _until(person: Person, meeting: str, election: str, ready: Any, what: str) -> dict[str, Any]:
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        view = await whole_board(person, meeting, election)
        if ready(view):
            return view
        await asyncio.sleep(STEP_S)
    raise DemoError(f"Waited {WAIT_S:.0f} s in vain for {what}.")


async def cosign(cosigners: Sequence[Cosigner], meeting: str, manifest: Manifest) -> None:
    """All but the last officer check the board against the closing checkpoint and cosign it."""
    for cosigner in cosigners[: manifest.cosign_quorum]:
        view = await whole_board(cosigner.person, meeting, manifest.election)
        note = merkle_log.verify_note(view["closing"], manifest.board_origin, manifest.server_key)
        leaves = board.entry_leaves(view["entries"][: note.checkpoint.size])
        if merkle_log.tree_hash(leaves) != note.checkpoint.root:
            raise DemoError(f"{cosigner.name}: the board is not the one of its closing checkpoint.")
        line = merkle_log.cosign(note.checkpoint, cosigner.name, cosigner.seed, int(time.time()))
        path = _path(meeting, f"/elections/{manifest.election}/cosignatures")
        await cosigner.person.post(path, {"line": str(line)})


def counted_sum(
    manifest: Manifest, electorate: list[dict[str, Any]], entries: Sequence[dict[str, Any]]
) -> tally.Aggregate:
    """Check every ballot, replacement and void of a board, as a teller's page does; return the counted ballots' sum.

    Raises:
        VotingError: something on the board may not be there.
    """
    check_electorate(manifest, electorate)
    lines, voids = Lineages(manifest, parse_electorate(electorate)), Voids(manifest)
    points: set[bytes] = set()
    answers = {}
    for entry in entries:
        if entry["type"] in ("ballot", "replacement", "void"):
            leaf = board.entry_leaf(entry)
            take(lines, voids, entry, leaf)
            if entry["type"] == "ballot":
                checked = check_ballot(manifest, Ballot.from_json(entry["ballot"]), seen_points=points)
                points |= checked.points
                answers[leaf] = (checked.ballot.weight, checked.answers)
    return tally.aggregate(manifest, [answers[leaf] for leaf in sorted(lines.counted())])


async def count(tellers: Sequence[Teller], meeting: str, manifest: Manifest) -> None:
    """Each teller checks every ballot, decrypts the sum once, and signs the tally."""
    prepared = []
    path = _path(meeting, f"/elections/{manifest.election}")
    for teller in tellers:
        view = await whole_board(teller.person, meeting, manifest.election)
        listed = (await teller.person.get(f"{path}/manifest"))["electorate"]
        total = counted_sum(manifest, listed, view["entries"])
        note = merkle_log.parse_note(view["closing"])
        if len(merkle_log.valid_cosigners(note, manifest.cosigners)) < manifest.cosign_quorum:
            raise DemoError(f"{teller.person.name}: the closing checkpoint lacks cosignatures.")
        index, seed = teller.trustee.index, teller.trustee.seed
        intent = board.intent_entry(index, manifest.hash, note.checkpoint.hash(), total.hash, seed)
        await teller.person.post(f"{path}/intents", {"entry": intent})
        prepared.append((teller, total))
    for teller, total in prepared:
        index, seed = teller.trustee.index, teller.trustee.seed
        secret = teller.trustee.secret_share(teller.state)
        parts = tally.partial_decrypt(manifest, total, index, secret, secrets.token_bytes)
        share = board.share_entry(index, manifest.hash, total.hash, parts, seed)
        await teller.person.post(f"{path}/shares", {"entry": share})
    await wait_for_count(tellers[0].person, meeting, manifest)  # other tellers may be on their way with shares
    for teller, total in prepared:
        digest = await _tally_hash(teller.person, meeting, manifest, b64u(total.hash))
        signature = {
            "signer": "trustee",
            "trustee": teller.trustee.index,
            "sig": b64u(signing.sign(teller.trustee.seed, digest)),
        }
        await teller.person.post(f"{path}/tally/signatures", signature)


async def _tally_hash(person: Person, meeting: str, manifest: Manifest, aggregate: str) -> bytes:
    core = (await person.get(_path(meeting, f"/elections/{manifest.election}/tally")))["core"]
    if core["manifest"] != b64u(manifest.hash) or (aggregate and core["aggregate"] != aggregate):
        raise DemoError(f"{person.name}: the tally is not of this election.")
    return tally.tally_hash(core)


async def wait_for_count(person: Person, meeting: str, manifest: Manifest) -> None:
    """Wait until the server has counted ballots that all can read."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        listed = (await person.get(_path(meeting, "")))["elections"]
        if next(one["state"] for one in listed if one["election"] == manifest.election) == "counted":
            return
        await asyncio.sleep(STEP_S)
    raise DemoError(f"Waited {WAIT_S:.0f} s in vain for the count.")


async def declare(chair: Cosigner, meeting: str, manifest: Manifest) -> dict[str, Any]:
    """The chair signs the tally; return its core."""
    path = _path(meeting, f"/elections/{manifest.election}/tally")
    digest = await _tally_hash(chair.person, meeting, manifest, "")
    signature = {"signer": "chair", "trustee": 0, "sig": b64u(signing.sign(chair.seed, digest))}
    await chair.person.post(f"{path}/signatures", signature)
    core: dict[str, Any] = (await chair.person.get(path))["core"]
    return core
