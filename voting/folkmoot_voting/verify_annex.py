"""Checks V23 to V28: who stands behind credentials, trustees and cosigners, from the auditors' annex."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import challenges, roll
from .assertion import verify_assertion
from .encoding import JsonObject, unb64u
from .errors import RollInvalid
from .merkle_log import prefix_roots, verify_note
from .verify_context import Context, require, within


def check_roll_entries(context: Context) -> None:
    """V23."""
    entries, core = context.annex_list("roll"), context.roll
    roll.check_entries(entries)
    require(len(entries) == core.size, "another number of entries")
    require(roll.entries_root(entries) == core.root, "another root")
    exceptions = sum(1 for entry in entries if entry["exception"])
    require(exceptions == core.exceptions, "another number of exceptions")


def check_voters(context: Context) -> None:
    """V24."""
    voters = _voters(context)
    seen = set()
    for one in context.annex_list("checkins"):
        credential = unb64u(one["credential"])
        if credential not in voters:
            continue
        require(credential not in seen, "a voter's credential has two check-ins")
        seen.add(credential)
        _check_checkin(context, one)
    require(seen == voters, "a voter's credential has no check-in")


def check_non_voters(context: Context) -> None:
    """V25."""
    voters = _voters(context)
    pairs: set[tuple[str, str]] = set()
    seen = set()
    for one in context.annex_list("checkins"):
        credential = unb64u(one["credential"])
        require(credential not in seen, "a credential has two check-ins")
        seen.add(credential)
        for election in set(one["elections"]):
            require((one["member"], election) not in pairs, "a member has two credentials in an electorate")
            pairs.add((one["member"], election))
        if credential not in voters:
            _check_checkin(context, one)


def check_checkpoints(context: Context) -> None:
    """V26."""
    ledger = context.bundle.ledger
    rolls = [one["index"] for one in ledger["entries"] if one["entry"]["type"] == "roll"]
    require(len(rolls) == 1, "the ledger has no roll")
    texts = {one["checkpoint"] for one in context.annex_list("checkins")}
    heads = [verify_note(text, ledger["origin"], context.server_key).checkpoint for text in sorted(texts)]
    roots = prefix_roots(context.ledger_leaves, (head.size for head in heads))
    for head in heads:
        require(roots.get(head.size) == head.root, "a check-in's ledger is not a prefix of the ledger")
        require(rolls[0] < head.size, "a check-in's ledger does not hold the roll")


def check_trustees(context: Context) -> None:
    """V27."""
    statements = context.annex_list("trustees")
    registers = {one["trustee"]: one for one in context.bundle.keygen["messages"] if one["type"] == "register"}
    indices = [one["trustee"] for one in statements]
    require(sorted(indices) == sorted(registers), "not exactly one statement per trustee")
    require(len({one["member"] for one in statements}) == len(statements), "a member holds two shares")
    for one in statements:
        with within(f"trustee {one['trustee']}"):
            register = registers[one["trustee"]]
            same = (one["sign_key"], one["box_key"]) == (register["sign_key"], register["box_key"])
            require(same, "the statement is for other keys")
            keys = unb64u(one["sign_key"]), unb64u(one["box_key"])
            nonce = unb64u(one["nonce"])
            meeting = context.roll.meeting
            _check_passkey(
                context,
                one,
                challenges.trustee(meeting, context.roll.hash, one["trustee"], *keys, nonce),
            )


def check_cosigners(context: Context) -> None:
    """V28."""
    statements = context.annex_list("cosigners")
    members = {(one["name"], unb64u(one["key"])): one["member"] for one in statements}
    require(len(members) == len(statements), "a cosigner's key is stated twice")
    named = set()
    for name, election in context.elections.items():
        pairs = set(election.manifest.cosigners.items())
        require(pairs <= members.keys(), f"{name}: a cosigner has no statement")
        people = {members[pair] for pair in pairs}
        require(len(people) == len(pairs), f"{name}: a member cosigns twice")
        named |= pairs
    require(named == members.keys(), "a statement of someone who is no cosigner")
    for one in statements:
        key, nonce = unb64u(one["key"]), unb64u(one["nonce"])
        meeting = context.roll.meeting
        with within(one["name"]):
            _check_passkey(context, one, challenges.cosign(meeting, context.roll.hash, one["name"], key, nonce))


def _voters(context: Context) -> set[bytes]:
    return {one.credential for election in context.elections.values() for one in election.ballots}


def _check_checkin(context: Context, one: JsonObject) -> None:
    challenge = challenges.checkin(
        context.roll.meeting,
        context.roll.hash,
        one["site"],
        unb64u(one["credential"]),
        one["checkpoint"],
        unb64u(one["nonce"]),
    )
    with within(f"check-in of {one['member']}"):
        _check_passkey(context, one, challenge)


def _check_passkey(context: Context, statement: JsonObject, challenge: bytes) -> None:
    entry = context.entries_by_member.get(statement["member"])
    if entry is None:
        raise RollInvalid("the member is not on the roll", code="voting.roll-member")
    key = roll.passkey_of(entry, unb64u(statement["passkey"]))
    verify_assertion(context.roll.rp, challenge, key, statement["assertion"])


CHECKS: Mapping[str, Callable[[Context], None]] = {
    "V23": check_roll_entries,
    "V24": check_voters,
    "V25": check_non_voters,
    "V26": check_checkpoints,
    "V27": check_trustees,
    "V28": check_cosigners,
}
