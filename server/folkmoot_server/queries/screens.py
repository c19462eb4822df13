"""What a room screen shows: a part of the picture that all members share, without ids of people."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import Connection

from folkmoot_server.commands import closed_sessions
from folkmoot_server.domain.elections import RUNNING, Phase
from folkmoot_server.domain.papers import PaperClass, Type
from folkmoot_server.queries.meetings import Picture
from folkmoot_server.storage import papers

_TURN: Final = ("name", "spoken_s", "resumed_at", "state", "limit_s")
_SITE: Final = ("site", "name", "kind", "state", "present")
_RESULT: Final = (
    "title",
    "questions",
    "secrecy",
    "majority",
    "tie",
    "weighted",
    "electorate_size",
    "present_weight",
    "roll_weight",
)
_PLAIN: Final = ("seq", "title", "state", "until", "time_zone", "quorum")
NEXT_MAX: Final = 5
# What a wall shows that is outside of a closed session.
_OUTSIDE: Final = (*_PLAIN, "now", "site", "sites")
_DECIDED: Final = (Phase.DECLARED.value, Phase.TOO_FEW.value)


def screen_view(
    tx: Connection, drawn: Picture, meeting_id: str, site_id: str, ways: Collection[str], now: int
) -> dict[str, Any]:
    """Return what the screen at a site shows of a meeting; `ways` are the halls through which it gets it."""
    whole = json.loads(drawn.text + "}")
    agenda = json.loads(drawn.agenda)
    public = {item["id"] for item in agenda}
    votes = [json.loads(one.text + "}") for one in drawn.elections]
    # A vote on an internal item has no place on a wall.
    votes = [vote for vote in votes if vote["agenda_item"] in public]
    current = next((item for item in agenda if item["state"] == "current"), None)
    speaking = whole["speaking"]
    site = next((one for one in whole["sites"] if one["site"] == site_id), None)
    view = {
        **_part(whole, _PLAIN),
        "now": now,
        "site": "" if site is None else site["name"],
        "item": None if current is None else _part(current, ("number", "title")),
        "next": _next(agenda, current),
        "speaking": None if speaking["now"] is None else _part(speaking["now"], _TURN),
        "floor": [one["name"] for one in whole["present"] if one["floor"]],
        "queue": [turn["name"] for turn in speaking["queue"]],
        "vote": _running(votes),
        "result": None if current is None else _result(votes, current["id"]),
        "sites": [_part(one, _SITE) for one in whole["sites"]],
        "presented": _presented(tx, meeting_id),
    }
    closed = is_shut_out(tx, meeting_id, ways)
    return {**(_from_outside(view) if closed else view), "closed": closed}


def is_shut_out(tx: Connection, meeting_id: str, ways: Collection[str]) -> bool:
    """Say whether one of these halls, through which a wall gets what it shows, is outside of a closed session."""
    return any(closed_sessions.is_hall_outside(tx, meeting_id, site) for site in ways)


def _from_outside(view: dict[str, Any]) -> dict[str, Any]:
    return {name: value if name in _OUTSIDE else _nothing(value) for name, value in view.items()}


def _nothing(value: Any) -> list[Any] | None:
    return [] if isinstance(value, list) else None


def _part(whole: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: whole[name] for name in names}


def _next(agenda: list[dict[str, Any]], current: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return what waits behind the current item, or from the beginning where there is none."""
    behind = agenda if current is None else agenda[agenda.index(current) + 1 :]
    return [_part(item, ("number", "title")) for item in behind if item["state"] == "waiting"][:NEXT_MAX]


def _running(votes: list[dict[str, Any]]) -> dict[str, Any] | None:
    running = [vote for vote in votes if vote["state"] in {phase.value for phase in RUNNING}]
    if not running:
        return None
    vote = running[-1]
    shown = _part(vote, ("title", "state", "cast", "electorate_size"))
    return {**shown, "ends_at": vote["closes_at"] or vote["ends_at"]}


def _result(votes: list[dict[str, Any]], item: str) -> dict[str, Any] | None:
    decided = [vote for vote in votes if vote["agenda_item"] == item and vote["state"] in _DECIDED]
    if not decided:
        return None
    return {**_part(decided[-1], _RESULT), "core": decided[-1]["result"]}


def _presented(tx: Connection, meeting_id: str) -> dict[str, Any] | None:
    shown = papers.shown(tx, meeting_id)
    paper = None if shown is None else papers.find(tx, meeting_id, shown[0])
    if shown is None or paper is None or paper.paper_class is not PaperClass.OPEN:
        return None
    return {"paper": shown[0], "version": shown[1], "page": shown[2], "name": paper.name}


def presented_page(tx: Connection, meeting_id: str, ways: Collection[str]) -> tuple[str, Type] | None:
    """Return the SHA-256 of the page of an open paper that is shown to everybody, and the paper's type; else None."""
    shown, named = papers.shown(tx, meeting_id), _presented(tx, meeting_id)
    if shown is None or named is None or is_shut_out(tx, meeting_id, ways):
        return None
    version = papers.version(tx, shown[0], shown[1])
    files = papers.page(tx, *shown)
    return None if files is None or version is None else (files.page, version.type)
