"""From the last teller's click to the count: what the teller's page computes, and what the server does.

    .venv/bin/python loadtests/tally.py [--ballots 300] [--json FILE]

The server is a real one over a real database in --folder (on a real disk), the members software authenticators that
enrol, check in and vote over HTTP. Every page has verified the board while the vote was open. The click sends an
intent and a share; the answer to the share comes when the box is open and the count durable (state `counted`). The
page's part is `web_client/test/bench_tally.mjs` under Node. Wall clock, since that is what a hall waits for, and CPU,
since the machine may have other work.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.server import votes_support as support
from tests.server.common import Clock
from tests.server.votes_support import Hall

from folkmoot_server.commands import counting
from folkmoot_server.commands.organisation import NewPerson
from folkmoot_server.demo import votes
from folkmoot_voting import tally
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.merkle_log import parse_note

TOGETHER = 20
WEB_CLIENT = Path(__file__).resolve().parents[1] / "web_client"


async def some_at_a_time(work: list[Awaitable[Any]]) -> None:
    """Await all, a few at once."""
    for start in range(0, len(work), TOGETHER):
        await asyncio.gather(*work[start : start + TOGETHER])


async def prepare(hall: Hall, voters: int) -> support.Ready:
    """Enrol and check in so many members, the five officers among them; open the meeting."""
    others = tuple(NewPerson(f"Member {number}", None, ()) for number in range(voters - len(support.OFFICERS)))
    await support.enrol_everybody(hall, (*support.OFFICERS, *others))
    await support.convene(hall)
    await votes.freeze_roll(hall.secretary, hall.meeting)
    await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
    await support.check_in(hall, hall.people)
    tellers = await votes.make_key(hall.tellers, hall.meeting)
    cosigners = [await votes.name_cosigner(person, hall.meeting) for person in hall.officers]
    await hall.chair.post(hall.path("/commands"), {"command": "open"})
    return support.Ready(tellers, cosigners)


async def cast(hall: Hall, manifest: Manifest, number: int) -> None:
    """One member votes."""
    person = hall.people[number]
    ballot = support.seal(hall, person, manifest, number % 3)
    await person.post(hall.election_path(manifest.election, "/ballots"), {"ballot": ballot})


async def measure(folder: Path, voters: int) -> dict[str, float]:
    """Hold the vote; return milliseconds of wall clock and CPU of the server's part."""
    async with support.serve(folder, Clock()) as hall:
        ready = await prepare(hall, voters)
        manifest = await votes.open_election(hall.chair, hall.meeting, await support.draft(hall))
        await some_at_a_time([cast(hall, manifest, number) for number in range(voters)])
        await hall.settle(hall.settings.publish_every_s)
        await support.close(hall, manifest.election)
        await support.cosign(hall, manifest, ready.cosigners)
        await hall.settle()  # the server keeps the sums of a closed box by itself
        total, closing = await aggregate(hall, manifest)
        path = hall.election_path(manifest.election, "")
        first, last = ready.tellers[:2]
        await first.person.post(f"{path}/intents", {"entry": support.intent(first, manifest, closing, total.hash)})
        await first.person.post(f"{path}/shares", {"entry": support.share(first, manifest, total)})
        intent, share = support.intent(last, manifest, closing, total.hash), support.share(last, manifest, total)
        clicked, cpu = time.perf_counter(), time.process_time()
        await last.person.post(f"{path}/intents", {"entry": intent})
        posted, posted_cpu = time.perf_counter(), time.process_time()
        await last.person.post(f"{path}/shares", {"entry": share})
        counted, counted_cpu = time.perf_counter(), time.process_time()
        view = (await hall.view(hall.chair))["elections"][0]
        assert (view["state"], sum(view["result"]["counts"][0])) == ("counted", voters)
    return {
        "intent_and_share_ms": (counted - clicked) * 1e3,
        "intent_and_share_cpu_ms": (counted_cpu - cpu) * 1e3,
        "share_to_counted_ms": (counted - posted) * 1e3,
        "share_to_counted_cpu_ms": (counted_cpu - posted_cpu) * 1e3,
    }


async def aggregate(hall: Hall, manifest: Manifest) -> tuple[tally.Aggregate, bytes]:
    """The sums as the server keeps them, and the hash of the closing checkpoint."""
    view = await support.whole_board(hall, manifest.election)
    total = await hall.read(lambda tx: counting.aggregate(tx, hall.meeting, manifest.election))
    return total, parse_note(view["closing"]).checkpoint.hash()


def page(voters: int) -> dict[str, Any]:
    """What the teller's page does, under Node."""
    node = shutil.which("node")
    if node is None:
        raise SystemExit("error: Node is needed for the teller's page")
    command = [node, "--no-warnings", "test/bench_tally.mjs", str(voters)]
    found = subprocess.run(command, cwd=WEB_CLIENT, capture_output=True, text=True, check=True)
    return dict(json.loads(found.stdout))


def main() -> None:
    """Print the figures, and write them as JSON when asked."""
    parser = argparse.ArgumentParser(description="Measure the way from the last teller's click to the count.")
    parser.add_argument("--ballots", type=int, default=300, help="number of voters, at least 7")
    parser.add_argument("--folder", type=Path, help="where the database is put (default: a temporary folder)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="folkmoot-tally-", dir=options.folder) as name:
        figures: dict[str, Any] = {"server": asyncio.run(measure(Path(name), options.ballots))}
    figures["page"] = page(options.ballots)
    slowest = max(one["wall_ms"] for one in figures["page"]["clicks"])
    figures["click_to_count_ms"] = slowest + figures["server"]["intent_and_share_ms"]
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
