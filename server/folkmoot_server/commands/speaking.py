"""The queue and the turns: what is done to them, whoever asked; rights are checked by the caller.

A person is a member or a visitor; both ask for the floor and get it in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import Connection

from folkmoot_server.domain.errors import Conflict, WrongState
from folkmoot_server.domain.speaking import (
    ON_FLOOR,
    Kind,
    Rules,
    Speaker,
    Turn,
    TurnState,
    Used,
    Wish,
    check_wish,
    limit,
    order,
    used,
)
from folkmoot_server.storage import events, meetings, speaking


def ask(tx: Connection, meeting: str, speaker: Speaker, wish: Wish, now: int) -> int:
    """Put somebody into the queue; return the event's seq, or the last one's when they wish for the same already.

    Raises:
        BadInput: a category that does not fit.
        Conflict: there is an open turn of another kind, or the queue is closed.
    """
    check_wish(wish)
    open_turn = speaking.open_turn(tx, meeting, speaker.person)
    if open_turn is not None:
        if open_turn.wish != wish:
            raise Conflict(
                "floor.queued-already", "You are in the queue or have the floor already; lower your hand first."
            )
        return meetings.get(tx, meeting).last_seq
    if not speaking.rules(tx, meeting).queue_open and wish.kind is not Kind.ORDER:
        raise Conflict("floor.queue-closed", "The queue is closed; it takes points of order only.")
    turn = _new(tx, meeting, speaker, wish, now)
    speaking.save(tx, meeting, turn)
    body = {**_about(turn), "kind": wish.kind.value, "category": wish.category, "name": speaker.name}
    return events.append(tx, meeting, "HandRaised", now, {**body, "group": speaker.group})


def lower(tx: Connection, meeting: str, person: str, now: int) -> int:
    """Take somebody out of the queue; return the event's seq, or the last one's when they are not in it."""
    turn = speaking.open_turn(tx, meeting, person)
    if turn is None or turn.state is not TurnState.QUEUED:
        return meetings.get(tx, meeting).last_seq
    return _withdraw(tx, meeting, turn, now)


def grant(tx: Connection, meeting: str, speaker: Speaker, now: int) -> int:
    """Give somebody the floor, queued or not, and end every other turn; return the last event's seq.

    Whose turn was paused goes on; who speaks already goes on too.
    """
    turn = speaking.open_turn(tx, meeting, speaker.person)
    if turn is not None and turn.state is TurnState.SPEAKING:
        return meetings.get(tx, meeting).last_seq
    if turn is not None and turn.state is TurnState.PAUSED:
        return resume(tx, meeting, now)
    for other in speaking.in_states(tx, meeting, ON_FLOOR):
        _end(tx, meeting, other, now, now)
    if turn is None:
        turn = _new(tx, meeting, speaker, Wish(), now)
    else:
        events.append(tx, meeting, "HandLowered", now, _about(turn))
    item = speaking.current_item(tx, meeting)
    limit_s = limit(turn, speaking.rules(tx, meeting), spent(tx, meeting, item))
    turn = replace(turn.grant(limit_s, now), item=item)
    speaking.save(tx, meeting, turn)
    body = {**_about(turn), "kind": turn.wish.kind.value, "limit_s": turn.limit_s, "name": speaker.name}
    return events.append(tx, meeting, "FloorGranted", now, {**body, "group": speaker.group})


def take(tx: Connection, meeting: str, person: str, now: int) -> int:
    """End somebody's turn on the floor; return the event's seq, or the last one's when they do not have it."""
    turn = speaking.open_turn(tx, meeting, person)
    if turn is None or turn.state not in ON_FLOOR:
        return meetings.get(tx, meeting).last_seq
    return _end(tx, meeting, turn, now, now)


def spent(tx: Connection, meeting: str, item: str) -> Used:
    """Return what was spoken in an agenda item."""
    return used(speaking.of_item(tx, meeting, item), item)


def in_order(tx: Connection, meeting: str) -> list[Turn]:
    """Return the queue in the order in which it is called."""
    done = spent(tx, meeting, speaking.current_item(tx, meeting))
    return order(speaking.in_states(tx, meeting, [TurnState.QUEUED]), speaking.rules(tx, meeting), done)


def running(tx: Connection, meeting: str) -> Turn:
    """Return the turn that has the floor.

    Raises:
        WrongState: nobody has it.
    """
    found = speaking.in_states(tx, meeting, ON_FLOOR)
    if not found:
        raise WrongState("floor.nobody-speaks", "Nobody has the floor.")
    return found[0]


def pause(tx: Connection, meeting: str, now: int) -> int:
    """Stop the clock of who speaks; return the event's seq.

    Raises:
        WrongState: nobody has the floor, or the clock stands still already.
    """
    turn = running(tx, meeting).pause(now)
    speaking.save(tx, meeting, turn)
    return events.append(tx, meeting, "TurnPaused", now, {"turn": turn.id, "spoken_s": turn.spoken_s})


def resume(tx: Connection, meeting: str, now: int) -> int:
    """Let a stopped clock run again; return the event's seq.

    Raises:
        WrongState: nobody has the floor, or the clock runs.
    """
    turn = running(tx, meeting).resume(now)
    speaking.save(tx, meeting, turn)
    return events.append(tx, meeting, "TurnResumed", now, {"turn": turn.id})


def extend(tx: Connection, meeting: str, seconds: int, now: int) -> int:
    """Give who speaks more time; return the event's seq.

    Raises:
        WrongState: nobody has the floor, or the turn has no limit.
        BadInput: too few or too many seconds.
    """
    turn = running(tx, meeting).extend(seconds)
    speaking.save(tx, meeting, turn)
    return events.append(tx, meeting, "TurnExtended", now, {"turn": turn.id, "seconds": seconds})


def set_queue(tx: Connection, meeting: str, is_open: bool, now: int) -> int:
    """Open or close the queue; return the event's seq, or the last one's when it is so already."""
    rules = speaking.rules(tx, meeting)
    if rules.queue_open is is_open:
        return meetings.get(tx, meeting).last_seq
    speaking.save_rules(tx, meeting, replace(rules, queue_open=is_open))
    return events.append(tx, meeting, "QueueOpened" if is_open else "QueueClosed", now, {})


def set_rules(tx: Connection, meeting: str, wanted: Rules, now: int) -> int:
    """Set the seconds of a turn, a group and a point of order, for turns that begin from now on."""
    speaking.save_rules(tx, meeting, wanted)
    body = {"turn_s": wanted.turn_s, "group_s": wanted.group_s, "order_s": wanted.order_s}
    return events.append(tx, meeting, "SpeakingRulesSet", now, body)


def depart(tx: Connection, meeting: str, person: str, until: int, now: int) -> None:
    """Take hand and floor from somebody who was there until `until`, at most `now`."""
    turn = speaking.open_turn(tx, meeting, person)
    if turn is not None:
        _finish(tx, meeting, [turn], until, now)


def take_floor(tx: Connection, meeting: str, now: int) -> None:
    """End every turn on the floor, as for a recess; the queue stays."""
    _finish(tx, meeting, speaking.in_states(tx, meeting, ON_FLOOR), now, now)


def clear(tx: Connection, meeting: str, now: int) -> None:
    """End every turn and empty the queue, as when a meeting is adjourned or closed."""
    waiting = speaking.in_states(tx, meeting, [TurnState.QUEUED])
    _finish(tx, meeting, [*speaking.in_states(tx, meeting, ON_FLOOR), *waiting], now, now)


def leave_item(tx: Connection, meeting: str, now: int) -> None:
    """End what was spoken and queued for the current agenda item; call it before another one is taken up.

    Who asked before the first item was taken up stays in the queue.
    """
    if speaking.current_item(tx, meeting):
        clear(tx, meeting, now)


def _new(tx: Connection, meeting: str, speaker: Speaker, wish: Wish, now: int) -> Turn:
    number, item = speaking.next_number(tx, meeting), speaking.current_item(tx, meeting)
    return Turn(number, speaker, wish, item, TurnState.QUEUED, now)


def _about(turn: Turn) -> dict[str, str]:
    return {"member": turn.person, "turn": turn.id}


def _finish(tx: Connection, meeting: str, turns: Iterable[Turn], until: int, now: int) -> None:
    for turn in turns:
        if turn.state is TurnState.QUEUED:
            _withdraw(tx, meeting, turn, now)
        else:
            _end(tx, meeting, turn, until, now)


def _withdraw(tx: Connection, meeting: str, turn: Turn, now: int) -> int:
    speaking.save(tx, meeting, turn.withdraw())
    return events.append(tx, meeting, "HandLowered", now, _about(turn))


def _end(tx: Connection, meeting: str, turn: Turn, until: int, now: int) -> int:
    ended = turn.end(until)
    speaking.save(tx, meeting, ended)
    return events.append(tx, meeting, "FloorWithdrawn", now, {**_about(turn), "spoken_s": ended.spoken_s})
