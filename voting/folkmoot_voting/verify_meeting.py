"""Checks V02 to V07: manifests, ledger, roll and key generation."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import board, bundle, roll, tally
from .encoding import unb64u
from .keygen import KeyGeneration
from .manifest import PROTOCOL, Manifest
from .merkle_log import parse_note, tree_hash, verify_note
from .verify_context import Context, Election, require, within


def check_manifests(context: Context) -> None:
    """V02."""
    info = context.bundle.info
    require(info["protocol"] == PROTOCOL, "bundle.json: another protocol")
    context.roll_core = roll.RollCore.from_json(context.bundle.roll["core"])
    for name, files in context.bundle.elections.items():
        with within(name):
            context.elections[name] = _read_election(context, name, files)
    meeting = info["meeting"]["id"]
    require(context.roll.meeting == meeting, "roll.json: another meeting")
    require(context.roll.organisation == info["organisation"]["id"], "roll.json: another organisation")
    require(context.bundle.keygen["meeting"] == meeting, "keygen.json: another meeting")
    numbers = context.bundle.keygen["threshold"], context.bundle.keygen["count"]
    require(2 <= numbers[0] <= numbers[1] <= 9, "keygen.json: 2 <= threshold <= trustees <= 9")
    require(context.annex is None or context.annex["meeting"] == meeting, "annex.json: another meeting")


def _read_election(context: Context, name: str, files: bundle.ElectionFiles) -> Election:
    info = context.bundle.info
    openings = [entry for entry in files.board if entry["type"] == "opening"]
    require(bool(openings), "the board has no manifest")
    manifest = Manifest.from_json(openings[0]["manifest"])
    require(manifest.election == name, "the manifest is of another election")
    require(manifest.json["organisation"] == info["organisation"], "the manifest is of another organisation")
    require(manifest.meeting == info["meeting"]["id"], "the manifest is of another meeting")
    require(manifest.server_key == context.server_key, "the manifest names another server key")
    require(manifest.ledger_origin == context.bundle.ledger["origin"], "the manifest names another ledger")
    require(manifest.rp == context.roll.rp, "the manifest names another relying party than the roll")
    return Election(manifest, files)


def check_ledger(context: Context) -> None:
    """V03."""
    ledger = context.bundle.ledger
    head = verify_note(ledger["checkpoint"], ledger["origin"], context.server_key).checkpoint
    leaves = context.ledger_leaves
    require(head.size == len(leaves), "the ledger has another size")
    require(head.root == tree_hash(leaves), "the ledger has another root")


def check_ledger_entries(context: Context) -> None:
    """V04."""
    leaves, entries = context.ledger_leaves, context.bundle.ledger["entries"]
    place: dict[tuple[str, bytes], int] = {}
    last = -1
    for one in entries:
        index, entry = one["index"], one["entry"]
        require(last < index < len(leaves), "ledger entries are not ascending or beyond the ledger")
        require(board.entry_leaf(entry) == leaves[index], f"ledger entry {index} is not the ledger's")
        place[(entry["type"], unb64u(entry["hash"]))] = last = index
    manifest = context.some_manifest
    wanted = [("roll", manifest.roll), ("key", manifest.trustees.transcript)]
    order = [wanted]
    opened = []
    for name, election in context.elections.items():
        with within(name):
            order.append([*wanted, *_election_entries(election)])
        opened.append(order[-1][2])
    order.append(opened)
    expected = {pair for chain in order for pair in chain}
    require(len(entries) == len(expected) and place.keys() == expected, "ledger entries are not the expected")
    for chain in order:
        indices = [place[pair] for pair in chain]
        require(indices == sorted(indices), "ledger entries are in another order")


def _election_entries(election: Election) -> list[tuple[str, bytes]]:
    return [
        ("opened", parse_note(election.files.opening).checkpoint.hash()),
        ("closed", parse_note(election.files.closing).checkpoint.hash()),
        ("tally", tally.tally_hash(election.core)),
    ]


def check_roll(context: Context) -> None:
    """V05."""
    core = roll.verify_statement(context.bundle.roll)
    for name, election in context.elections.items():
        manifest = election.manifest
        require(manifest.roll == core.hash, f"{name}: the manifest names another roll")
        require(manifest.roll_size == core.size, f"{name}: the manifest names another size of the roll")
        require(manifest.exceptions == core.exceptions, f"{name}: the manifest hides exceptions")


def check_key_messages(context: Context) -> None:
    """V06."""
    KeyGeneration.from_json(context.bundle.keygen, context.roll.hash, form_only=True)


def check_key_points(context: Context) -> None:
    """V07."""
    result = KeyGeneration.from_json(context.bundle.keygen, context.roll.hash).result
    for name, election in context.elections.items():
        require(election.manifest.trustees == result, f"{name}: the manifest names another key")


CHECKS: Mapping[str, Callable[[Context], None]] = {
    "V02": check_manifests,
    "V03": check_ledger,
    "V04": check_ledger_entries,
    "V05": check_roll,
    "V06": check_key_messages,
    "V07": check_key_points,
}
