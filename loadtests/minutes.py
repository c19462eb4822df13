"""How long the minutes of a large meeting take: 300 members, 25 items, 120 speaking turns, 12 elections.

.venv/bin/python loadtests/minutes.py [--members 300] [--rounds 9] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from folkmoot_server.domain.minutes import draft
from folkmoot_server.domain.minutes_course import HANDLERS
from folkmoot_server.domain.minutes_forms import as_html
from folkmoot_server.domain.minutes_words import LANGUAGES
from folkmoot_server.storage.events import StoredEvent

START = 1_800_000_000
YES_NO = {"type": "yes-no-abstain", "text": "Shall it be adopted?", "options": ["yes", "no", "abstain"]}
QUORUM = {"num": 1, "den": 2}


class Log:
    """Events as the server would have written them, ten seconds apart."""

    def __init__(self) -> None:
        """Begin with no event."""
        self.events: list[StoredEvent] = []

    def add(self, kind: str, /, **body: Any) -> None:
        """Append an event."""
        seq = len(self.events) + 1
        self.events.append(StoredEvent(seq, "m", seq, kind, START + 10 * seq, body))


def large(members: int, items: int = 25, turns: int = 120, elections: int = 12) -> list[StoredEvent]:
    """Return the log of a meeting of this size; every member's connection is lost and found twice."""
    log = Log()
    log.add(
        "MeetingDrafted",
        title="Congress",
        organisation="Folk",
        unit="North",
        starts_at=START,
        time_zone="UTC",
        quorum=QUORUM,
    )
    for item in range(items):
        log.add("AgendaItemAdded", item=f"i{item}", title=f"Item {item}")
    for member in range(members):
        log.add("MemberCheckedIn", member=f"p{member}", name=f"Person {member}", site="main")
    log.add("MeetingOpened", present=members, roll=members)
    for _ in range(2):
        for member in range(members):
            log.add("MemberDeparted", member=f"p{member}", reason="lost", until=START + 10 * len(log.events))
            log.add("MemberReturned", member=f"p{member}")
    for item in range(items):
        log.add("AgendaItemStarted", item=f"i{item}", title=f"Item {item}")
        for turn in range(turns * item // items, turns * (item + 1) // items):
            who = f"p{turn % members}"
            log.add("FloorGranted", member=who, turn=f"t{turn}", kind="contribution", limit_s=180)
            log.add("FloorWithdrawn", member=who, turn=f"t{turn}", spoken_s=90)
        for vote in range(elections * item // items, elections * (item + 1) // items):
            election(log, f"e{vote}", members)
    log.add("MeetingClosed")
    return log.events


def election(log: Log, name: str, members: int) -> None:
    """Append a vote from its opening to its result."""
    log.add("ElectionOpened", election=name, manifest="", present=members, title=f"Vote {name}", secrecy="trustees")
    for count in range(members):
        log.add("BallotAccepted", election=name, count=count + 1)
    log.add("ElectionClosed", election=name, cast=members)
    outcome = {"kind": "carried", "options": [0], "tied": [], "votes": [members, 0, 0]}
    log.add(
        "ResultDeclared",
        election=name,
        title=f"Vote {name}",
        questions=[YES_NO],
        outcome=[outcome],
        majority={"kind": "simple", "of": "cast"},
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    events = large(args.members)
    figures: dict[str, float] = {"events": len(events)}
    for language, words in LANGUAGES.items():
        spent = []
        for _ in range(args.rounds):
            began = time.process_time()
            page = as_html(draft(events, words, ZoneInfo("Asia/Ho_Chi_Minh"), HANDLERS), words)
            spent.append(time.process_time() - began)
        figures[f"{language}_cpu_s"] = statistics.median(spent)
        figures[f"{language}_bytes"] = len(page.encode())
    for name, value in figures.items():
        print(f"{name:20} {value:12.4f}" if isinstance(value, float) else f"{name:20} {value:12}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
