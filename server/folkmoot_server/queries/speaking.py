"""The queue, who speaks and how long each group has spoken, as everybody in the meeting sees it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from folkmoot_server.commands import speaking
from folkmoot_server.domain.speaking import ON_FLOOR, Turn
from folkmoot_server.storage import schema
from folkmoot_server.storage import speaking as store


def speaking_view(tx: Connection, meeting: str) -> dict[str, Any]:
    """Return the snapshot's "speaking" (conduct.md section 5)."""
    rules, item = store.rules(tx, meeting), store.current_item(tx, meeting)
    on_floor = store.in_states(tx, meeting, ON_FLOOR)
    spent = speaking.spent(tx, meeting, item)
    table = schema.unit.c
    names = {row.id: row.name for row in tx.execute(select(table.id, table.name).where(table.id.in_(spent.groups)))}
    return {
        "turn_s": rules.turn_s,
        "group_s": rules.group_s,
        "order_s": rules.order_s,
        "open": rules.queue_open,
        "queue": [turn_json(turn) for turn in speaking.in_order(tx, meeting)],
        "now": turn_json(on_floor[0]) if on_floor else None,
        "groups": [
            {"group": group, "name": names.get(group, ""), "spoken_s": seconds}
            for group, seconds in sorted(spent.groups.items())
        ],
        "pro": spent.pro,
        "contra": spent.contra,
    }


def turn_json(turn: Turn) -> dict[str, Any]:
    """Return a turn of conduct.md section 5."""
    return {
        "turn": turn.id,
        "person": turn.person,
        "name": turn.speaker.name,
        "kind": turn.wish.kind.value,
        "category": turn.wish.category,
        "group": turn.speaker.group,
        "state": turn.state.value,
        "asked_at": turn.asked_at,
        "begun_at": turn.begun_at,
        "limit_s": turn.limit_s,
        "spoken_s": turn.spoken_s,
        "resumed_at": turn.resumed_at,
    }
