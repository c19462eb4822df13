"""What the secretary of a test meeting writes down; whatever a test wants otherwise is given as a change."""

from __future__ import annotations

from typing import Any

from folkmoot_server.demo.client import Person
from folkmoot_voting.questions import yes_no_abstain


async def root_unit(person: Person) -> str:
    """The id of the organisation's topmost unit."""
    units = (await person.get("/api/organisation"))["units"]
    return str(next(unit["id"] for unit in units if unit["parent"] is None))


async def meeting(secretary: Person, agenda: tuple[str, ...], **changes: Any) -> str:
    """Write down a meeting of the whole organisation; return its id."""
    body = {
        "title": "General assembly",
        "unit": await root_unit(secretary),
        "starts_at": 1_800_000_000,
        "time_zone": "Europe/Berlin",
        "agenda": [{"title": title} for title in agenda],
        "quorum": {"num": 1, "den": 2},
        **changes,
    }
    return str((await secretary.post("/api/meetings", body))["id"])


def question(item: str, **changes: Any) -> dict[str, Any]:
    """The body of POST questions: a secret vote in favour, against or neither, on this agenda item."""
    body = {
        "agenda_item": item,
        "title": "Budget",
        "questions": [yes_no_abstain("Shall the budget be adopted?").to_json()],
        "secrecy": "trustees",
        "voting_again": "once",
        "majority": {"kind": "simple", "of": "cast"},
        "tie": "rejected",
        "closes_after_s": 0,
        "kiosk": False,
    }
    return {**body, **changes}
