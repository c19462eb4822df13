"""Speaking turns: their life as a table, their clocks, and the order of the queue as a pure function.

All times are the server's, in seconds UTC. A clock runs from `resumed_at` while a turn is speaking; what ran before
stands in `spoken_s`, so that a pause costs nobody anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from folkmoot_server.domain.errors import BadInput, WrongState

TURN_MAX_S: Final = 3600
GROUP_MAX_S: Final = 86_400
EXTEND_MIN_S: Final = 15
EXTEND_MAX_S: Final = 600
CATEGORIES: Final = 6


class Kind(StrEnum):
    """What somebody wants to speak for."""

    CONTRIBUTION = "contribution"
    PRO = "pro"
    CONTRA = "contra"
    ORDER = "point-of-order"
    REPLY = "reply"


class TurnState(StrEnum):
    """Where a turn stands."""

    QUEUED = "queued"
    SPEAKING = "speaking"
    PAUSED = "paused"
    DONE = "done"
    WITHDRAWN = "withdrawn"


class Step(StrEnum):
    """Everything that can happen to a turn."""

    GRANT = "grant"
    PAUSE = "pause"
    RESUME = "resume"
    EXTEND = "extend"
    END = "end"
    WITHDRAW = "withdraw"


NEXT: Final[Mapping[tuple[TurnState, Step], TurnState]] = MappingProxyType(
    {
        (TurnState.QUEUED, Step.GRANT): TurnState.SPEAKING,
        (TurnState.QUEUED, Step.WITHDRAW): TurnState.WITHDRAWN,
        (TurnState.SPEAKING, Step.PAUSE): TurnState.PAUSED,
        (TurnState.SPEAKING, Step.EXTEND): TurnState.SPEAKING,
        (TurnState.SPEAKING, Step.END): TurnState.DONE,
        (TurnState.PAUSED, Step.RESUME): TurnState.SPEAKING,
        (TurnState.PAUSED, Step.EXTEND): TurnState.PAUSED,
        (TurnState.PAUSED, Step.END): TurnState.DONE,
    }
)
OPEN: Final = (TurnState.QUEUED, TurnState.SPEAKING, TurnState.PAUSED)
ON_FLOOR: Final = (TurnState.SPEAKING, TurnState.PAUSED)


def follow(state: TurnState, step: Step) -> TurnState:
    """Return the state after `step`.

    Raises:
        WrongState: the table has no such step.
    """
    following = NEXT.get((state, step))
    if following is None:
        raise WrongState("floor.wrong-state", f"Nobody can {step} a turn that is {state}.")
    return following


@dataclass(frozen=True, slots=True)
class Rules:
    """Seconds of a turn, of a group in one agenda item and of a point of order; 0 stands for no limit."""

    turn_s: int = 0
    group_s: int = 0
    order_s: int = 0
    queue_open: bool = True


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who speaks: a member or a visitor, with the group whose time it is (a unit, or "")."""

    person: str
    name: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks to speak for; only a point of order has a category, 0 the most urgent."""

    kind: Kind = Kind.CONTRIBUTION
    category: int = 0


def check_wish(wish: Wish) -> None:
    """Refuse a wish that says nothing clear.

    Raises:
        BadInput: a category that there is not, or one of something else than a point of order.
    """
    if not 0 <= wish.category < CATEGORIES or (wish.category and wish.kind is not Kind.ORDER):
        raise BadInput("floor.bad-category", "Only a point of order has a category, from 0 to 5.")


@dataclass(frozen=True, slots=True)
class Turn:
    """One wish to speak and what became of it; `number` counts the turns of a meeting from 1."""

    number: int
    speaker: Speaker
    wish: Wish
    item: str
    state: TurnState
    asked_at: int
    begun_at: int = 0
    limit_s: int = 0
    spoken_s: int = 0
    resumed_at: int = 0

    @property
    def id(self) -> str:
        """The turn's name in events and answers."""
        return str(self.number)

    @property
    def person(self) -> str:
        """Who speaks."""
        return self.speaker.person

    @property
    def counts(self) -> bool:
        """Whether it uses its group's time; points of order do not."""
        return self.wish.kind is not Kind.ORDER

    def spoken_at(self, now: int) -> int:
        """Return the seconds spoken until `now`, pauses left out."""
        return self.spoken_s + (max(0, now - self.resumed_at) if self.state is TurnState.SPEAKING else 0)

    def grant(self, limit_s: int, now: int) -> Turn:
        """Begin to speak.

        Raises:
            WrongState: it is not queued.
        """
        state = follow(self.state, Step.GRANT)
        return replace(self, state=state, begun_at=now, resumed_at=now, limit_s=limit_s)

    def pause(self, now: int) -> Turn:
        """Stop the clock.

        Raises:
            WrongState: it does not run.
        """
        state = follow(self.state, Step.PAUSE)
        return replace(self, state=state, spoken_s=self.spoken_at(now), resumed_at=0)

    def resume(self, now: int) -> Turn:
        """Let the clock run again.

        Raises:
            WrongState: it does not stand still.
        """
        return replace(self, state=follow(self.state, Step.RESUME), resumed_at=now)

    def extend(self, seconds: int) -> Turn:
        """Add to the limit.

        Raises:
            WrongState: the turn is not on the floor, or has no limit.
            BadInput: fewer or more seconds than one may add at once.
        """
        state = follow(self.state, Step.EXTEND)
        if not EXTEND_MIN_S <= seconds <= EXTEND_MAX_S:
            raise BadInput("floor.bad-extension", f"A turn is extended by {EXTEND_MIN_S} to {EXTEND_MAX_S} seconds.")
        if not self.limit_s:
            raise WrongState("floor.no-limit", "This turn has no limit that could be extended.")
        return replace(self, state=state, limit_s=self.limit_s + seconds)

    def end(self, now: int) -> Turn:
        """Return the floor.

        Raises:
            WrongState: the turn does not have it.
        """
        state = follow(self.state, Step.END)
        return replace(self, state=state, spoken_s=self.spoken_at(now), resumed_at=0)

    def withdraw(self) -> Turn:
        """Leave the queue.

        Raises:
            WrongState: it is not in it.
        """
        return replace(self, state=follow(self.state, Step.WITHDRAW))


@dataclass(frozen=True, slots=True)
class Used:
    """What was spoken in one agenda item: seconds by group, and how many turns for and against have begun."""

    groups: Mapping[str, int]
    pro: int = 0
    contra: int = 0


def used(turns: Iterable[Turn], item: str) -> Used:
    """Add up what these turns have spoken in an item.

    The seconds of a turn count when it is over: so the order of the queue changes with events alone.
    """
    groups: dict[str, int] = {}
    sides = {Kind.PRO: 0, Kind.CONTRA: 0}
    for turn in turns:
        if turn.item != item or not turn.begun_at:
            continue
        if turn.counts and turn.speaker.group and turn.state not in ON_FLOOR:
            groups[turn.speaker.group] = groups.get(turn.speaker.group, 0) + turn.spoken_s
        if turn.wish.kind in sides:
            sides[turn.wish.kind] += 1
    return Used(groups, sides[Kind.PRO], sides[Kind.CONTRA])


def limit(turn: Turn, rules: Rules, spent: Used) -> int:
    """Return the seconds that a turn gets: its own limit, or less when its group has less left; 0 for no limit.

    Whose group has used its time up gets a whole turn all the same: the chair has decided so.
    """
    if turn.wish.kind is Kind.ORDER:
        return rules.order_s
    left = rules.group_s - spent.groups.get(turn.speaker.group, 0) if turn.speaker.group else 0
    return min((seconds for seconds in (rules.turn_s, left) if seconds > 0), default=0)


def order(queue: Iterable[Turn], rules: Rules, spent: Used) -> list[Turn]:
    """Return the queue in the order in which it is called.

    Points of order by category and time; then those whose group has time left, then those whose group has none.
    Among these the places of pro and contra go to the two sides in turn, beginning with the side that has had
    fewer turns in this item (as many: with who asked first); everybody else keeps the place of the time of asking.
    """
    waiting = sorted(queue, key=lambda turn: turn.number)
    urgent = [turn for turn in waiting if turn.wish.kind is Kind.ORDER]
    urgent.sort(key=lambda turn: turn.wish.category)
    rest = [turn for turn in waiting if turn.wish.kind is not Kind.ORDER]
    spare = [turn for turn in rest if _has_time(turn, rules, spent)]
    spoken = [turn for turn in rest if not _has_time(turn, rules, spent)]
    return [*urgent, *_in_turn(spare, spent), *_in_turn(spoken, spent)]


def _has_time(turn: Turn, rules: Rules, spent: Used) -> bool:
    group = turn.speaker.group
    return not (rules.group_s and group) or spent.groups.get(group, 0) < rules.group_s


def _in_turn(waiting: Sequence[Turn], spent: Used) -> list[Turn]:
    sides = {kind: [turn for turn in waiting if turn.wish.kind is kind] for kind in (Kind.PRO, Kind.CONTRA)}
    if not all(sides.values()):
        return list(waiting)
    had = {Kind.PRO: spent.pro, Kind.CONTRA: spent.contra}
    first = min(sides, key=lambda kind: (had[kind], sides[kind][0].number))
    second = Kind.CONTRA if first is Kind.PRO else Kind.PRO
    shorter = min(len(turns) for turns in sides.values())
    pairs = zip(sides[first], sides[second], strict=False)
    called = iter([*(turn for pair in pairs for turn in pair), *sides[first][shorter:], *sides[second][shorter:]])
    return [next(called) if turn.wish.kind in sides else turn for turn in waiting]
