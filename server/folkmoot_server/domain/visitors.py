"""Observers and guests: how they come in, and that they are never members (conduct.md, section 8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from folkmoot_server.domain.errors import WrongState

LINKS_MAX: Final = 200  # of a meeting
NAME_MAX: Final = 80  # characters


class Kind(StrEnum):
    """Who visits."""

    GUEST = "guest"
    OBSERVER = "observer"


class State(StrEnum):
    """Where a visitor stands."""

    WAITING = "waiting"
    ADMITTED = "admitted"
    REFUSED = "refused"
    LEFT = "left"
    REMOVED = "removed"


class Act(StrEnum):
    """What can be done about a visitor; the first three by the chair."""

    ADMIT = "admit"
    REFUSE = "refuse"
    REMOVE = "remove"
    ASK = "ask"
    LEAVE = "leave"


NEXT: Final[Mapping[tuple[State, Act], State]] = MappingProxyType(
    {
        (State.WAITING, Act.ADMIT): State.ADMITTED,
        (State.REFUSED, Act.ADMIT): State.ADMITTED,
        (State.REMOVED, Act.ADMIT): State.ADMITTED,
        (State.WAITING, Act.REFUSE): State.REFUSED,
        (State.ADMITTED, Act.REMOVE): State.REMOVED,
        (State.WAITING, Act.ASK): State.WAITING,
        (State.ADMITTED, Act.ASK): State.WAITING,
        (State.LEFT, Act.ASK): State.WAITING,
        (State.WAITING, Act.LEAVE): State.LEFT,
        (State.ADMITTED, Act.LEAVE): State.LEFT,
    }
)
EVENTS: Final[Mapping[Act, str]] = MappingProxyType(
    {
        Act.ADMIT: "VisitorAdmitted",
        Act.REFUSE: "VisitorRefused",
        Act.REMOVE: "VisitorRemoved",
        Act.ASK: "LobbyEntered",
        Act.LEAVE: "VisitorLeft",
    }
)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who visits a meeting; an observer's id is the member's, a guest's is their own.

    `back` is the state that a visitor returns to whose connection was lost, `since` the number of the event with
    which they were admitted last (a guest reads nothing before it), `seen_at` their last lease in seconds UTC.
    """

    meeting: str
    id: str
    kind: Kind
    name: str
    state: State
    at: int
    invited: str = ""
    back: str = ""
    since: int = 0
    seen_at: int = 0

    @property
    def here(self) -> bool:
        """Whether they wait or are in."""
        return self.state in (State.WAITING, State.ADMITTED)


def advance(state: State, act: Act) -> State:
    """Return the state after `act`.

    Raises:
        WrongState: the table does not allow it.
    """
    following = NEXT.get((state, act))
    if following is None:
        raise WrongState("lobby.wrong-state", f"This cannot be done: the visitor is {state.value}.")
    return following
