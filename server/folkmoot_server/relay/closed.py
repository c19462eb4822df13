"""Closed sessions at a relay: what it holds of one goes when its hall is not, or no longer, admitted (conduct.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from folkmoot_server.domain.audience import WITHHELD
from folkmoot_server.domain.closed_sessions import BEGAN, CHANGES, ENDED, History, fold, from_outside, hall, is_inside
from folkmoot_server.domain.relays import kiosk_outside
from folkmoot_server.relay import kept, store
from folkmoot_voting.encoding import JsonObject

_EVENTS: Final = "closed"
_BEFORE: Final = "papers.before"
_PAPERS: Final = "papers"
_KIOSK: Final = "kiosk"


@dataclass(frozen=True, slots=True)
class _Told:
    """An event of a closed session as the feed tells it."""

    seq: int
    type: str
    at: int
    body: dict[str, Any]


def history(tx: Connection) -> History:
    """Return the closed sessions that this relay has heard of."""
    return fold(_events(tx))


def _events(tx: Connection) -> list[_Told]:
    return [_Told(**one) for one in store.find(tx, _EVENTS) or []]


def is_outside(found: History, site: str) -> bool:
    """Say whether a closed session runs to which this hall is not admitted."""
    return found.running is not None and not is_inside(hall(site), found.running)


def follow(tx: Connection, site: str, state: JsonObject | None, new: Sequence[JsonObject]) -> bool:
    """Take up what a snapshot, and new events that are stored, say of closed sessions; return whether that is new.

    While the hall is outside, nothing stays of what it was given inside, and of the snapshot only what goes outside.
    A hub that was put back from a backup gives a snapshot of before: what was heard behind it has not happened there,
    and the numbers are given again.
    """
    before = _events(tx)
    after = [one for one in before if state is None or one.seq <= state["seq"]]
    after += _of_state(after, state)
    last = after[-1].seq if after else 0
    told = [one for one in new if one["type"] in CHANGES and one["seq"] > last]
    after += [_Told(one["seq"], one["type"], one["at"], one["body"]) for one in told]
    changed, found = after != before, fold(after)
    if changed:
        store.put(tx, _EVENTS, [{"seq": one.seq, "type": one.type, "at": one.at, "body": one.body} for one in after])
        _note_papers(tx, found, began=fold(before).running is None)
    if is_outside(found, site):
        _shut_state(tx, found, next(one.at for one in reversed(after) if one.type == BEGAN))
        store.drop_value(tx, "part.manifest")
        _shut_kiosk(tx)
        if changed:
            _forget(tx)
    return changed


def _of_state(before: list[_Told], state: JsonObject | None) -> list[_Told]:
    """Return what a snapshot that comes without the events before it has to tell, as an event of its number."""
    if state is None:
        return []
    closed, running = state.get("closed_session"), fold(before).running
    if closed is None:
        return [] if running is None else [_Told(state["seq"], ENDED, 0, {})]
    if running is not None and running.sites == set(closed["sites"]):
        return []
    return [_Told(state["seq"], BEGAN, closed["since"], {"sites": closed["sites"], "visitors": []})]


def _note_papers(tx: Connection, found: History, *, began: bool) -> None:
    """Remember, while a closed session runs, which papers there were before it."""
    if found.running is None:
        store.drop_value(tx, _BEFORE)
    elif began:
        store.put(tx, _BEFORE, store.find(tx, f"part.{_PAPERS}"))


def _shut_state(tx: Connection, found: History, since: int) -> None:
    state, running = store.state(tx), found.running
    if state is not None and running is not None:
        closed = {"since": since, "sites": sorted(running.sites)}
        store.put(tx, "state", from_outside({**state, "closed_session": closed}))


def _shut_kiosk(tx: Connection) -> None:
    part = store.find(tx, f"part.{_KIOSK}")
    if part is not None and kiosk_outside(part) != part:
        store.set_parts(tx, {_KIOSK: kiosk_outside(part)})


def _forget(tx: Connection) -> None:
    """Forget what members were given, and the papers that came in the session."""
    kept.drop_own(tx)
    before = store.find(tx, _BEFORE)
    if before is None:
        store.drop_value(tx, f"part.{_PAPERS}")
    else:
        store.set_parts(tx, {_PAPERS: before})


def withheld(event: JsonObject) -> JsonObject:
    """Return what stands in the place of an event for who is outside."""
    return {**event, "type": WITHHELD, "body": {}}
