"""Checks V23 to V28, V32 and V33: who stands behind credentials and keys, from the auditors' annex.

The check-ins are read once and what is wrong with them is noted: which check counts is decided afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from folkmoot_voting import board, challenges, roll
from folkmoot_voting.assertion import verify_assertion
from folkmoot_voting.encoding import JsonObject, unb64u
from folkmoot_voting.errors import RollInvalid, VotingError
from folkmoot_voting.manifest import ROLL_CALL
from folkmoot_voting.merkle_log import prefix_roots, verify_note

from .context import CheckFailed, Context, require, within
from .members import People

_STATEMENT = ("assertion", "kiosk", "member", "new", "nonce", "old", "passkey")


def check_roll_entries(context: Context) -> None:
    """V23."""
    found, core = context.people.roll, context.roll
    roll.check_order(found.read(context.items("roll"), many=not context.annex_is_short))
    require(found.tree.size == core.size, "another number of entries")
    require(found.weight == core.weight, "another weight")
    require(found.tree.root() == core.root, "another root")
    require(found.exceptions == core.exceptions, "another number of exceptions")


def read_checkins(context: Context) -> People:
    """Read the check-ins once and note what is wrong with them."""
    people = context.people
    if people.read:
        return people
    people.read = True
    names = list(context.elections)
    seats = dict.fromkeys(names, 0)
    sitting: dict[str, int] = {}
    voters = {one.first for each in context.elections.values() for one in each.survey.lineages or () if one.voted}
    missing = len(voters)
    for one in context.items("checkins"):
        credential, member = unb64u(one["credential"]), one["member"]
        check = "V24" if credential in voters else "V25"
        if credential in people.member_of:
            people.fault(check, "a credential has two check-ins")
            continue
        people.member_of[credential] = member
        missing -= check == "V24"
        for name in (name for name in one["elections"] if name in seats):
            place = 1 << names.index(name)
            if sitting.get(member, 0) & place:
                people.fault("V25", "a member has two lineages in an electorate")
            sitting[member] = sitting.get(member, 0) | place
        for name in set(one["elections"]) & seats.keys():
            seats[name] += 1
            _check_seat(context, name, credential, member)
        try:
            _check_checkin(context, one, credential)
        except VotingError as error:
            people.fault(check, error.detail)
    if missing:
        people.fault("V24", "a voter's first credential has no check-in")
    for name, number in seats.items():
        if number != len(context.elections[name].files.electors):
            people.fault("V24", f"{name}: there are more or fewer check-ins than electors")
    return people


def _check_seat(context: Context, name: str, credential: bytes, member: str) -> None:
    """Compare a check-in with the electorate that it says it belongs to."""
    people, election = context.people, context.elections[name]
    lineage = election.survey.lineages.find(credential) if election.survey.lineages else None
    if lineage is None or lineage.first != credential:
        people.fault("V24", f"{name}: a check-in that is not in the electorate")
        return
    try:
        entry = people.roll.entry(member)
    except RollInvalid as error:
        people.fault("V24", f"{name}: {error.detail}")
        return
    if entry["weight"] != lineage.weight:
        people.fault("V24", f"{name}: an elector has another weight than in the roll")
    if election.manifest.secrecy == ROLL_CALL and entry["name"] != election.names.get(credential):
        people.fault("V33", f"{name}: an elector has another name than in the roll")


def _check_checkin(context: Context, one: JsonObject, credential: bytes) -> None:
    challenge = challenges.checkin(
        context.roll.meeting,
        context.roll.hash,
        one["site"],
        credential,
        one["checkpoint"],
        unb64u(one["nonce"]),
    )
    with within(f"check-in of {one['member']}"):
        _check_passkey(context, one, challenge)


def _check_passkey(context: Context, statement: JsonObject, challenge: bytes) -> None:
    entry = context.people.roll.entry(statement["member"])
    key = roll.passkey_of(entry, unb64u(statement["passkey"]))
    verify_assertion(context.roll.rp, challenge, key, statement["assertion"])


def check_checkpoints(context: Context) -> None:
    """V26."""
    ledger = context.bundle.ledger
    rolls = [one["index"] for one in ledger.entries if one["entry"]["type"] == "roll"]
    require(len(rolls) == 1, "the ledger has no roll")
    texts = sorted(context.annex.checkpoints) if context.annex else []
    heads = [verify_note(text, ledger.origin, context.server_key).checkpoint for text in texts]
    roots = prefix_roots(list(ledger.all_leaves()), (head.size for head in heads))
    for head in heads:
        require(roots.get(head.size) == head.root, "a check-in's ledger is not a prefix of the ledger")
        require(rolls[0] < head.size, "a check-in's ledger does not hold the roll")


def check_trustees(context: Context) -> None:
    """V27."""
    statements = list(context.items("trustees"))
    registers = {one["trustee"]: one for one in context.bundle.keygen["messages"] if one["type"] == "register"}
    indices = [one["trustee"] for one in statements]
    require(sorted(indices) == sorted(registers), "not exactly one statement per trustee")
    require(len({one["member"] for one in statements}) == len(statements), "a member holds two shares")
    attempt = context.bundle.keygen["attempt"]
    for one in statements:
        with within(f"trustee {one['trustee']}"):
            register = registers[one["trustee"]]
            same = (one["sign_key"], one["box_key"]) == (register["sign_key"], register["box_key"])
            require(same, "the statement is for other keys")
            keys = unb64u(one["sign_key"]), unb64u(one["box_key"])
            where = context.roll.meeting, context.roll.hash, attempt, one["trustee"]
            _check_passkey(context, one, challenges.trustee(*where, *keys, unb64u(one["nonce"])))


def check_cosigners(context: Context) -> None:
    """V28."""
    statements = list(context.items("cosigners"))
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


def check_replacements(context: Context) -> None:
    """V32."""
    people = read_checkins(context)
    wanted = {
        (name, unb64u(entry["statement"])): entry
        for name, election in context.elections.items()
        for entry in election.survey.replaced
    }
    number = sum(len(election.survey.replaced) for election in context.elections.values())
    require(len(wanted) == number, "two replacements cite one statement")
    for one in context.items("replacements"):
        digest = board.statement_hash(unb64u(one["salt"]), {name: one[name] for name in _STATEMENT})
        with within(f"{one['election']}: replacement by {one['member']}"):
            entry = wanted.pop((one["election"], digest), None)
            if entry is None:
                raise CheckFailed("no such replacement is on the board")
            same = all(one[name] == entry[name] for name in ("old", "new", "kiosk"))
            require(same, "the statement is for other credentials")
            _check_replacement(context, people, one)
    require(not wanted, "a replacement has no statement")


def _check_replacement(context: Context, people: People, one: JsonObject) -> None:
    election = context.elections[one["election"]]
    old, new = unb64u(one["old"]), unb64u(one["new"])
    lineage = election.survey.lineages.find(new) if election.survey.lineages else None
    member = people.member_of.get(lineage.first) if lineage else None
    require(member == one["member"], "the statement is another member's")
    nonce = unb64u(one["nonce"])
    _check_passkey(context, one, challenges.replacement(election.manifest.hash, old, new, one["kiosk"], nonce))


def check_exceptions(context: Context) -> None:
    """V33."""
    people = read_checkins(context)
    roll.check_exceptions(context.items("roll"))
    excluded: dict[str, set[str]] = {name: set() for name in context.elections}
    for one in context.items("exclusions"):
        members = excluded.get(one["election"])
        if members is not None:
            require(one["member"] not in members, f"{one['election']}: a member is excluded twice")
            people.roll.entry(one["member"])
            members.add(one["member"])
    for name, election in context.elections.items():
        require(len(excluded[name]) == election.manifest.excluded, f"{name}: another number of exclusions")
        for credential in election.files.electors.all_credentials() if excluded[name] else ():
            require(people.member_of.get(credential) not in excluded[name], f"{name}: an excluded member is in it")
    _noted(people, "V33")


def _noted(people: People, check: str) -> None:
    if check in people.faults:
        raise CheckFailed(people.faults[check])


def _noted_check(check: str) -> Callable[[Context], None]:
    return lambda context: _noted(read_checkins(context), check)


CHECKS: Mapping[str, Callable[[Context], None]] = {
    "V23": check_roll_entries,
    "V24": _noted_check("V24"),
    "V25": _noted_check("V25"),
    "V26": check_checkpoints,
    "V27": check_trustees,
    "V28": check_cosigners,
    "V32": check_replacements,
    "V33": check_exceptions,
}
