"""What a relay shows of the meeting while it is alone: the newest common snapshot with a member's own part; pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from folkmoot_server.domain.audience import UNSEEN, is_unseen
from folkmoot_voting.encoding import JsonObject

NO_PLACE: Final = {"lineage": "", "credential": "", "weight": 0, "seq": 0}


def own_part(member: str, *, entitled: bool) -> JsonObject:
    """Return `me` of somebody of whom the relay keeps no snapshot."""
    return {
        "member": member,
        "checked_in": False,
        "removed": False,
        "visitor": "",
        "trustee": 0,
        "cosigner": "",
        "roles": [],
        "notice": None,
        "drafts": [],
        "entitled": entitled,
        "credential": None,
    }


def unseen(event: JsonObject) -> JsonObject | None:
    """Return what of an event goes to who is no member; None when that is all of it."""
    return {**event, "body": dict(UNSEEN)} if is_unseen(event["type"], event["body"]) else None


def snapshot(
    state: JsonObject, kept: JsonObject | None, me: JsonObject, present: Collection[str], *, queued: bool
) -> JsonObject:
    """Return Meeting of wire.md for one member from the newest common snapshot.

    Args:
        state: as the feed gave it.
        kept: the snapshot that the member was given last, None when there is none.
        me: the member's own part, from `kept` or `own_part`.
        present: ids of members who are checked in at the site.
        queued: whether a check-in of the member waits in the outbox; they are here, and `me.waiting` says so.
    """
    if "elections" not in state:  # all that there is of a meeting from outside of a closed session
        return {**state, "me": {**me, "drafts": []}}
    before: dict[str, Any] = {} if kept is None else {one["election"]: one for one in kept.get("elections", [])}
    elections = [
        {**one, **{name: before.get(one["election"], {}).get(name, none) for name, none in _OWN.items()}}
        for one in state["elections"]
    ]
    removed = any(one["member"] == me["member"] for one in state.get("removed", []))
    here = queued or me["member"] in present
    own = {**me, "checked_in": here or bool(me["checked_in"]), "waiting": queued, "removed": removed}
    return {**state, "elections": elections, "me": own}


def together(state: JsonObject, own: JsonObject) -> JsonObject:
    """Return the snapshot of one member from the common one and what the hub says is another one for them."""
    votes = own.get("elections", [{}] * len(state["elections"]))
    elections = [{**one, **more} for one, more in zip(state["elections"], votes, strict=True)]
    return {**state, **own, "elections": elections}


_OWN: Final[dict[str, Any]] = {"voted": False, "me": NO_PLACE}


def manifest(part: JsonObject, place: JsonObject | None = None) -> JsonObject:
    """Return the answer of GET manifest for somebody who was given none before the cut.

    `place` is where they stand, None for who knows the own key: a page that has checked in.
    """
    return {**part, "me": {**NO_PLACE, "prev": "", **(place or {})}}
