"""What became of all that a relay acknowledged: receipts against the hub's outbox, board and attendance."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import secrets
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from loadtests.halls_meeting import Assembly, Hall
from loadtests.halls_net import ROOT
from loadtests.halls_phone import Acknowledged, Figures

from folkmoot_server.domain.relays import entry_hash
from folkmoot_voting import signing
from folkmoot_voting.encoding import b64u, unb64u
from folkmoot_voting.manifest import Manifest


def unkept(receipts: Sequence[Acknowledged], heads: dict[int, bytes], key: bytes) -> list[str]:
    """Return what is wrong with receipts when the hub holds these heads of the outbox signed by `key`."""
    wrong = []
    for one in receipts:
        seq, head = int(one.receipt["seq"]), unb64u(one.receipt["head"])
        if not signing.is_valid(key, entry_hash(head), unb64u(one.receipt["sig"])):
            wrong.append(f"{one.kind} {seq}: not signed by the relay")
        elif heads.get(seq) != head:
            wrong.append(f"{one.kind} {seq}: not at the hub")
    return wrong


def planted(receipts: Sequence[Acknowledged], entries: int) -> list[Acknowledged]:
    """Return receipts that nobody was given: of an entry that never was, and of another head in an entry's place."""
    one = receipts[-1]
    never = replace(one, receipt={**one.receipt, "seq": entries + 1})
    other = replace(one, receipt={**one.receipt, "head": b64u(secrets.token_bytes(32))})
    return [never, other]


async def outbox(assembly: Assembly, hall: Hall) -> Figures:
    """Compare a hall's receipts with what the hub has of its relay; both controls must be noticed."""
    relay, upto = assembly.relay_row(hall)
    ((key,),) = assembly.rows("SELECT key FROM relay WHERE id = ?", relay)
    rows = assembly.rows("SELECT seq, head, refused FROM relay_entry WHERE relay = ? ORDER BY seq", relay)
    heads = {int(seq): bytes(head) for seq, head, _ in rows}
    receipts, entries = hall.receipts(), hall.place.entries()
    own = {int(seq): bytes(head) for seq, head in hall.place.rows("SELECT seq, head FROM entry")}
    return {
        "receipts": len(receipts),
        "of kinds": dict(Counter(one.kind for one in receipts)),
        "entries in the relay": entries,
        "entries at the hub": upto,
        "lost": unkept(receipts, heads, key),
        "doubled": len(heads) - len(set(heads.values())),
        "chain at the hub as in the relay": heads == own,
        "refused": dict(Counter(code for _, _, code in rows if code)),
        "control, receipts never given": unkept(planted(receipts, entries), heads, key) if receipts else [],
    }


async def board(assembly: Assembly, manifest: Manifest, receipts: Sequence[Acknowledged]) -> Figures:
    """Compare the acknowledged ballots with the board."""
    leaves = Counter(await assembly.leaves(manifest))
    wanted = [one.leaf for one in receipts if one.leaf]
    return {
        "ballots": sum(leaves.values()),
        "acknowledged by relays": len(wanted),
        "lost": sum(leaves[leaf] == 0 for leaf in wanted),
        "doubled": sum(count - 1 for count in leaves.values()),
    }


async def people(assembly: Assembly, hall: Hall) -> Figures:
    """Compare late check-ins and hands of a hall with the events and the attendance list."""
    events = await assembly.events()
    arrived = Counter(one["body"]["member"] for one in events if one["type"] == "MemberCheckedIn")
    raised = Counter(one["body"]["member"] for one in events if one["type"] == "HandRaised")
    status, text = await assembly.secretary.raw("GET", assembly.path("/attendance.csv"))
    lines = list(csv.DictReader(io.StringIO(text.decode()))) if status == 200 else []
    late = {one.member for one in hall.receipts() if one.kind == "check-in"}
    relay, _ = assembly.relay_row(hall)
    codes = dict(assembly.rows("SELECT seq, refused FROM relay_entry WHERE relay = ?", relay))
    # The hub takes no hand of somebody whose phone has not found the hall again: its page is told so.
    away = {
        one.member
        for one in hall.receipts()
        if one.kind == "hand" and codes.get(int(one.receipt["seq"])) == "attendance.not-present"
    }
    hands = {one.member for one in hall.receipts() if one.kind == "hand"} - away
    here = {phone.name for phone in hall.everybody}
    return {
        "checked in during the cut": len(late),
        "check-ins lost": sum(arrived[member] == 0 for member in late),
        "check-ins doubled": sum(arrived[member] > 1 for member in late),
        "hands": len(hands),
        "hands refused, phone not back yet": len(away),
        "hands lost": sum(raised[member] == 0 for member in hands),
        "hands doubled": sum(raised[member] > 1 for member in hands),
        "lines of attendance, begun or joined in a cut": dict(
            Counter(line["cut"] or "no" for line in lines if line["name"] in here)
        ),
        "members with a line": len({line["name"] for line in lines} & here),
    }


async def record(assembly: Assembly, out: Path) -> Figures:
    """Write the record and let both verifiers judge it, and one from which a ballot was taken."""
    words = ["export", "--data", str(assembly.net.folder / "data"), "--meeting", assembly.meeting, "--out", str(out)]
    await asyncio.to_thread(_run, [sys.executable, "-m", "folkmoot_server.cli", *words, "--annex-in-clear"])
    damaged = out / "damaged.zip"
    taken = take_a_ballot(out / "bundle.zip", damaged)
    found: Figures = {"control: taken from a board": taken}
    tools = {
        "folkmoot-verify": [str(Path(sys.executable).parent / "folkmoot-verify")],
        "verify.mjs": ["node", str(ROOT / "web_client" / "tools" / "verify.mjs")],
    }
    for name, tool in tools.items():
        whole = [*tool, str(out / "bundle.zip"), "--annex", str(out / "annex.zip"), "--json"]
        found[name] = verdict(await asyncio.to_thread(_run, whole))
        found[f"{name}, control"] = verdict(await asyncio.to_thread(_run, [*tool, str(damaged), "--json"]))
    return found


def verdict(text: str) -> Figures:
    """Return what a verifier's report says: its verdict, how many checks passed, and which failed."""
    report = json.loads(text)
    return {
        "verdict": report["verdict"],
        "passed": sum(check["ok"] is True for check in report["checks"]),
        "failed": [check["id"] for check in report["checks"] if check["ok"] is False],
    }


def take_a_ballot(source: Path, target: Path) -> str:
    """Copy a bundle without one ballot of its first board that has one; return the file it was taken from."""
    taken = ""
    with zipfile.ZipFile(source) as whole, zipfile.ZipFile(target, "w") as less:
        for name in whole.namelist():
            data = whole.read(name)
            if name.endswith("board.jsonl") and not taken:
                lines = data.splitlines(keepends=True)
                ballots = [index for index, line in enumerate(lines) if json.loads(line)["type"] == "ballot"]
                if ballots:
                    taken = name
                    del lines[ballots[len(ballots) // 2]]
                    data = b"".join(lines)
            less.writestr(name, data)
    return taken


def _run(words: list[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=600)
    if not done.stdout:
        raise RuntimeError(done.stderr[-2000:])
    return done.stdout


def halls_named(core: Figures) -> list[tuple[Any, ...]]:
    """Return which halls a tally names, with their state and ballots."""
    return [(one["name"], one["state"], one["ballots"]) for one in core["halls"]]


def problems(result: Figures) -> list[str]:
    """Return what is wrong with the verifiers' reports."""
    found = []
    for name, one in result.items():
        if isinstance(one, dict) and (one["verdict"] == "ok") is name.endswith("control"):
            found.append(f"{name}: {one}")
    return found
