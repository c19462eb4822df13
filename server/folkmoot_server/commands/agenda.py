"""The agenda is written by chair and secretary, several at once; templates, series, and what is carried over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from folkmoot_server.commands import meetings as meeting_commands
from folkmoot_server.commands import rights
from folkmoot_server.domain import agenda
from folkmoot_server.domain.agenda import Item, ItemState
from folkmoot_server.domain.calendar import Every, series
from folkmoot_server.domain.errors import BadInput, Conflict, TooMany
from folkmoot_server.domain.ids import Rng, new_id
from folkmoot_server.domain.meetings import Act, Meeting, advance, drafted
from folkmoot_server.domain.roles import Action
from folkmoot_server.storage import agenda as store
from folkmoot_server.storage import events, meetings, units

TEMPLATES_MAX = 100
SERIES_MAX = 52


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an item is to say; minutes are planned ones, 0 for none."""

    title: str
    minutes: int
    internal: bool


def _edited(tx: Connection, meeting_id: str, actor: str, now: int) -> Meeting:
    meeting = meetings.get(tx, meeting_id)
    rights.require(tx, actor, Action.EDIT_AGENDA, meeting.unit, now)
    advance(meeting.state, Act.EDIT_AGENDA)
    return meeting


def add_item(
    tx: Connection, meeting_id: str, actor: str, wanted: Wanted, parent: str, after: str, *, now: int, rng: Rng
) -> str:
    """Write down an item below `parent` (empty for the top), after a sibling or first; return its id.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, parent or sibling, no right, or the meeting is over.
        BadInput: too many items, or too deep.
    """
    _edited(tx, meeting_id, actor, now)
    before = meetings.items(tx, meeting_id)
    new = Item(new_id(rng), wanted.title, ItemState.WAITING, parent, wanted.minutes, wanted.internal)
    items = agenda.add(before, new, after)
    meetings.save_items(tx, meeting_id, before, items)
    _tell_added(tx, meeting_id, items, {new.id}, now)
    return new.id


def change_item(
    tx: Connection, meeting_id: str, actor: str, item: str, version: int, wanted: Wanted, now: int
) -> int:
    """Let an item say something else, if nobody changed it since that version; return its new version.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting or item, no right, or the meeting is over.
        Conflict: somebody changed it; the details hold what it says now.
        Refused: it stands below an internal item.
    """
    _edited(tx, meeting_id, actor, now)
    before = meetings.items(tx, meeting_id)
    items = agenda.change(before, item, version, title=wanted.title, minutes=wanted.minutes, internal=wanted.internal)
    meetings.save_items(tx, meeting_id, before, items)
    _tell_changed(tx, meeting_id, before, items, now)
    return agenda.find(items, item).version


def move_item(tx: Connection, meeting_id: str, actor: str, item: str, parent: str, after: str, now: int) -> None:
    """Put an item, with what stands below it, in another place.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, item, parent or sibling, no right, or the meeting is over.
        Refused: below itself.
        BadInput: too deep.
    """
    _edited(tx, meeting_id, actor, now)
    before = meetings.items(tx, meeting_id)
    items = agenda.move(before, item, parent, after)
    if items == before:
        return
    meetings.save_items(tx, meeting_id, before, items)
    events.append(tx, meeting_id, "AgendaItemMoved", now, {"item": item, "parent": parent, "after": after})
    _tell_changed(tx, meeting_id, before, items, now)


def remove_item(tx: Connection, meeting_id: str, actor: str, item: str, now: int) -> None:
    """Strike an item that nothing hangs on.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting or item, no right, or the meeting is over.
        Conflict: it was taken up, or something stands below it or refers to it.
    """
    _edited(tx, meeting_id, actor, now)
    before = meetings.items(tx, meeting_id)
    if agenda.find(before, item).state is not ItemState.WAITING or store.is_referred_to(tx, item):
        raise Conflict("agenda.in-use", "This item was taken up, or items, papers, motions or votes belong to it.")
    meetings.save_items(tx, meeting_id, before, [one for one in before if one.id != item])
    events.append(tx, meeting_id, "AgendaItemRemoved", now, {"item": item})


def carry(tx: Connection, meeting_id: str, actor: str, source: str, *, now: int, rng: Rng) -> int:
    """Take over what another meeting has left waiting or put off, each item once; return how many.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right in both, or this one is over.
        BadInput: the same meeting, or too many items.
    """
    _edited(tx, meeting_id, actor, now)
    if source == meeting_id:
        raise BadInput("agenda.own-items", "Items are carried over from another meeting.")
    origin = meetings.get(tx, source)
    rights.require(tx, actor, Action.EDIT_AGENDA, origin.unit, now)
    before = meetings.items(tx, meeting_id)
    known = {item.source for item in before}
    left = [
        replace(item, carried_from=origin.title, source=item.id)
        for item in meetings.items(tx, source)
        if item.state in (ItemState.WAITING, ItemState.DEFERRED) and item.id not in known
    ]
    ids = {item.id: new_id(rng) for item in left}
    items = agenda.joined(before, agenda.copies(left, ids))
    meetings.save_items(tx, meeting_id, before, items)
    _tell_added(tx, meeting_id, items, set(ids.values()), now)
    return len(left)


def save_template(tx: Connection, actor: str, unit: str, name: str, meeting_id: str, *, now: int, rng: Rng) -> str:
    """Keep the agenda of a meeting as a template of a unit; return its id.

    Raises:
        NotFound, Forbidden: no such unit or meeting, or no right in both.
        TooMany: the unit has a hundred.
    """
    units.get(tx, unit)
    rights.require(tx, actor, Action.EDIT_AGENDA, unit, now)
    meeting = meetings.get(tx, meeting_id)
    rights.require(tx, actor, Action.EDIT_AGENDA, meeting.unit, now)
    if len(store.templates(tx, [unit])) >= TEMPLATES_MAX:
        raise TooMany("template.too-many", f"A unit has at most {TEMPLATES_MAX} agenda templates.")
    template = new_id(rng)
    store.add_template(tx, template, unit, name, meetings.items(tx, meeting_id), actor, now)
    return template


def remove_template(tx: Connection, actor: str, template: str, now: int) -> None:
    """Remove a template; agendas made from it stay.

    Raises:
        NotFound, Forbidden: no such template, or no right in its unit.
    """
    rights.require(tx, actor, Action.EDIT_AGENDA, store.template(tx, template).unit, now)
    store.remove_template(tx, template)


def make_series(
    tx: Connection, meeting_id: str, actor: str, every: Every, count: int, *, now: int, rng: Rng
) -> list[str]:
    """Draft the next meetings with the same agenda, rules and time on the wall; return their ids.

    Raises:
        NotFound, Forbidden: no such meeting, or no right.
        BadInput: no meeting, or more than a year's weeks.
    """
    first = meetings.get(tx, meeting_id)
    rights.require(tx, actor, Action.CREATE_MEETING, first.unit, now)
    if not 1 <= count <= SERIES_MAX:
        raise BadInput("series.bad-count", f"A series has 1 to {SERIES_MAX} more meetings.")
    items = [replace(item, carried_from="", source="") for item in meetings.items(tx, meeting_id)]
    made = []
    for starts_at in series(first.starts_at, first.time_zone, every, count):
        meeting = drafted(
            new_id(rng),
            unit=first.unit,
            title=first.title,
            starts_at=starts_at,
            time_zone=first.time_zone,
            quorum=(first.quorum_num, first.quorum_den),
            rehearsal=first.rehearsal,
            challenge_s=first.challenge_s,
            notice_days=first.notice_days,
            binding=first.binding,
        )
        copied = agenda.copies(items, {item.id: new_id(rng) for item in items})
        meeting_commands.put(tx, meeting, copied, now)
        made.append(meeting.id)
    return made


def _tell_added(tx: Connection, meeting_id: str, items: Sequence[Item], new: set[str], now: int) -> None:
    last: dict[str, str] = {}
    for item in items:
        if item.id in new:
            body = {
                "item": item.id,
                "parent": item.parent,
                "after": last.get(item.parent, ""),
                "title": item.public_title,
                "minutes": item.minutes,
                "internal": item.internal,
                "carried_from": "" if item.internal else item.carried_from,
            }
            events.append(tx, meeting_id, "AgendaItemAdded", now, body)
        last[item.parent] = item.id


def _tell_changed(tx: Connection, meeting_id: str, before: Sequence[Item], items: Sequence[Item], now: int) -> None:
    versions = {item.id: item.version for item in before}
    for item in items:
        if versions[item.id] != item.version:
            body = {
                "item": item.id,
                "title": item.public_title,
                "minutes": item.minutes,
                "internal": item.internal,
                "version": item.version,
            }
            events.append(tx, meeting_id, "AgendaItemChanged", now, body)
