"""Checks V02 to V07 and V31: manifests, ledger, roll, key generation and destruction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from folkmoot_voting import attendance, board, destruction, keygen, roll, tally
from folkmoot_voting.encoding import JsonObject, b64u, unb64u
from folkmoot_voting.keygen import KeyGeneration
from folkmoot_voting.manifest import PROTOCOL
from folkmoot_voting.merkle_log import parse_note, tree_hash, verify_note

from .context import CheckFailed, Context, Election, require, within


def check_manifests(context: Context) -> None:
    """V02."""
    info, files = context.bundle.info, context.bundle
    require(info["protocol"] == PROTOCOL, "bundle.json: another protocol")
    context.roll_core = roll.RollCore.from_json(files.roll["core"])
    for name in info["elections"]:
        with within(name):
            context.elections[name] = _read_election(context, name)
    require(context.roll.meeting == context.meeting, "roll.json: another meeting")
    require(context.roll.organisation == info["organisation"]["id"], "roll.json: another organisation")
    for label, data in (("keygen.json", files.keygen), ("destroyed.json", files.destroyed)):
        require(data["meeting"] == context.meeting, f"{label}: another meeting")
    if files.attendance is not None:
        require(files.attendance["meeting"] == context.meeting, "attendance.json: another meeting")
    if context.annex is not None:
        require(context.annex.short["meeting"] == context.meeting, "annex.json: another meeting")
    if keygen.is_empty(files.keygen):
        secret = [name for name, one in context.elections.items() if one.manifest.secret]
        require(not secret, "a secret vote, and no key was made")
    else:
        KeyGeneration(context.meeting, b"", files.keygen["attempt"], files.keygen["threshold"], files.keygen["count"])


def _read_election(context: Context, name: str) -> Election:
    info, survey = context.bundle.info, context.surveys[name]
    manifest = survey.manifest
    if manifest is None:
        raise CheckFailed(survey.manifest_fault)
    require(manifest.election == name, "the manifest is of another election")
    require(manifest.json["organisation"] == info["organisation"], "the manifest is of another organisation")
    require(manifest.meeting == context.meeting, "the manifest is of another meeting")
    require(manifest.rehearsal == info["meeting"]["rehearsal"], "the manifest has another rehearsal mark")
    require(manifest.server_key == context.server_key, "the manifest names another server key")
    require(manifest.ledger_origin == context.bundle.ledger.origin, "the manifest names another ledger")
    require(manifest.rp == context.roll.rp, "the manifest names another relying party than the roll")
    return Election(manifest, context.bundle.elections[name], survey, partial(context.prove, name))


def check_ledger(context: Context) -> None:
    """V03."""
    ledger = context.bundle.ledger
    head = verify_note(ledger.checkpoint, ledger.origin, context.server_key).checkpoint
    require(head.size == len(ledger), "the ledger has another size")
    require(head.root == tree_hash(ledger.all_leaves()), "the ledger has another root")


def check_ledger_entries(context: Context) -> None:
    """V04."""
    place, destroyed = _places(context)
    some = next(iter(context.elections.values())).manifest
    roll_key = [("roll", some.roll)]
    if context.has_key:
        keys = [one.manifest.trustees.transcript for one in context.elections.values() if one.manifest.secret]
        found = [digest for kind, digest in place if kind == "key"]
        require(len(found) == 1 and all(key == found[0] for key in keys), "the ledger records another key")
        roll_key.append(("key", found[0]))
    marks = _marks(context)
    order = [roll_key, [mark for pair in marks.values() for mark in pair]]
    opened = []
    for name, election in context.elections.items():
        with within(name):
            order.append([*roll_key, *_election_entries(election, marks.get(name, []))])
        opened.append(("opened", parse_note(election.files.opening).checkpoint.hash()))
    order.append(opened)
    expected = {pair for chain in order for pair in chain}
    require(place.keys() == expected, "ledger entries are not the expected")
    for chain in order:
        indices = [place[pair] for pair in chain]
        require(indices == sorted(set(indices)), "ledger entries are in another order")
    require(len(destroyed) == len(context.bundle.destroyed["statements"]), "ledger entries are not the expected")
    require(all(index > place[roll_key[-1]] for index in destroyed), "ledger entries are in another order")


def _places(context: Context) -> tuple[dict[tuple[str, bytes], int], list[int]]:
    """Return the index of each entry by type and hash, and those of type destroyed."""
    ledger = context.bundle.ledger
    place: dict[tuple[str, bytes], int] = {}
    destroyed: list[int] = []
    last = -1
    for one in ledger.entries:
        index, entry = one["index"], one["entry"]
        require(last < index < len(ledger), "ledger entries are not ascending or beyond the ledger")
        require(board.entry_leaf(entry) == ledger.leaf(index), f"ledger entry {index} is not the ledger's")
        last = index
        if entry["type"] == "destroyed":
            destroyed.append(index)
            continue
        pair = (entry["type"], unb64u(entry["hash"]))
        require(pair not in place, "ledger entries are not the expected")
        place[pair] = index
    return place, destroyed


def _marks(context: Context) -> dict[str, list[tuple[str, bytes]]]:
    """Return the ledger's entries of the attendance by election, that of its opening first."""
    found: dict[str, list[tuple[str, bytes]]] = {}
    marks = context.bundle.marks
    for one in marks:
        digest = attendance.mark_hash(context.meeting, one)
        found.setdefault(one["election"], []).append(("attendance", digest))
    said = [(one["election"], one["when"]) for one in marks]
    # Once a server keeps a log it keeps it: votes without marks are those before the first with them.
    marked = list(context.elections)[len(context.elections) - len(found) :]
    wanted = [(name, when) for name in marked for when in (attendance.OPENING, attendance.CLOSING)]
    require(said == wanted, "attendance marks are not one of each opening and closing")
    return found


def _election_entries(election: Election, marks: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Return the ledger's entries of an election in order; `marks` are none or two."""
    return [
        ("opened", parse_note(election.files.opening).checkpoint.hash()),
        *marks[:1],
        ("closed", parse_note(election.files.closing).checkpoint.hash()),
        *marks[1:],
        ("tally", tally.tally_hash(election.core)),
    ]


def check_roll(context: Context) -> None:
    """V05."""
    core = roll.verify_statement(context.bundle.roll)
    for name, election in context.elections.items():
        manifest = election.manifest
        require(manifest.roll == core.hash, f"{name}: the manifest names another roll")
        require(manifest.roll_size == core.size, f"{name}: the manifest names another size of the roll")
        require(manifest.roll_weight == core.weight, f"{name}: the manifest names another weight of the roll")
        require(manifest.exceptions == core.exceptions, f"{name}: the manifest hides exceptions")


def check_key_messages(context: Context) -> None:
    """V06."""
    if context.has_key:
        KeyGeneration.from_json(context.bundle.keygen, context.roll.hash, form_only=True)


def check_key_points(context: Context) -> None:
    """V07."""
    for name, election in context.elections.items():
        if election.manifest.secret:
            require(election.manifest.trustees == context.key, f"{name}: the manifest names another key")
    if context.has_key and context.key is not None:
        recorded = [one["entry"]["hash"] for one in context.bundle.ledger.entries if one["entry"]["type"] == "key"]
        require(recorded in ([], [b64u(context.key.transcript)]), "the ledger records another key")


def check_destruction(context: Context) -> None:
    """V31."""
    statements: list[JsonObject] = context.bundle.destroyed["statements"]
    if not statements:
        return
    if context.key is None:
        raise CheckFailed("a share of no key was destroyed")
    ends = [one.core["counted_at"] + one.manifest.challenge_s for one in context.elections.values()]
    hashes = destruction.check_file(context.bundle.destroyed, context.meeting, context.key, not_before=max(ends))
    entries = [one["entry"] for one in context.bundle.ledger.entries]
    recorded = [unb64u(one["hash"]) for one in entries if one["type"] == "destroyed"]
    require(sorted(recorded) == sorted(hashes), "the ledger records other statements")


CHECKS: Mapping[str, Callable[[Context], None]] = {
    "V02": check_manifests,
    "V03": check_ledger,
    "V04": check_ledger_entries,
    "V05": check_roll,
    "V06": check_key_messages,
    "V07": check_key_points,
    "V31": check_destruction,
}
