"""The life of a meeting as one table: draft, convened, checking in, opened, closed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from folkmoot_server.domain.errors import WrongState


class State(StrEnum):
    """Where a meeting stands."""

    DRAFT = "draft"
    CONVENED = "convened"
    CHECKING_IN = "checking-in"
    OPENED = "opened"
    CLOSED = "closed"


class Act(StrEnum):
    """Everything that can be done to a meeting; commands of wire.md have their names."""

    CONVENE = "convene"
    FREEZE_ROLL = "freeze-roll"
    BEGIN_CHECK_IN = "begin-check-in"
    OPEN = "open"
    CLOSE = "close"
    WRITE_QUESTION = "write-question"
    CHECK_IN = "check-in"
    LEAVE = "leave"
    MAKE_KEY = "make-key"
    START_ITEM = "start-item"
    SET_FLOOR_MODE = "set-floor-mode"
    RAISE_HAND = "raise-hand"
    LOWER_HAND = "lower-hand"
    GRANT_FLOOR = "grant-floor"
    WITHDRAW_FLOOR = "withdraw-floor"
    MUTE = "mute"
    UNMUTE = "unmute"
    MUTE_ALL = "mute-all"
    REMOVE = "remove"
    READMIT = "readmit"
    OPEN_ELECTION = "open-election"
    CLOSE_ELECTION = "close-election"


_IN_ROOM: Final = (
    Act.CHECK_IN,
    Act.LEAVE,
    Act.MAKE_KEY,
    Act.SET_FLOOR_MODE,
    Act.RAISE_HAND,
    Act.LOWER_HAND,
    Act.GRANT_FLOOR,
    Act.WITHDRAW_FLOOR,
    Act.MUTE,
    Act.UNMUTE,
    Act.MUTE_ALL,
    Act.REMOVE,
    Act.READMIT,
)
ROOM_STATES: Final = (State.CHECKING_IN, State.OPENED)

NEXT: Final[Mapping[tuple[State, Act], State]] = MappingProxyType(
    {
        (State.DRAFT, Act.CONVENE): State.CONVENED,
        (State.DRAFT, Act.FREEZE_ROLL): State.DRAFT,
        (State.CONVENED, Act.FREEZE_ROLL): State.CONVENED,
        (State.CONVENED, Act.BEGIN_CHECK_IN): State.CHECKING_IN,
        (State.CHECKING_IN, Act.OPEN): State.OPENED,
        (State.OPENED, Act.CLOSE): State.CLOSED,
        (State.OPENED, Act.START_ITEM): State.OPENED,
        (State.OPENED, Act.OPEN_ELECTION): State.OPENED,
        (State.OPENED, Act.CLOSE_ELECTION): State.OPENED,
        **{(state, Act.WRITE_QUESTION): state for state in State if state is not State.CLOSED},
        **{(state, act): state for state in ROOM_STATES for act in _IN_ROOM},
    }
)


def advance(state: State, act: Act) -> State:
    """Return the state after `act`.

    Raises:
        WrongState: the table does not allow it in `state`.
    """
    following = NEXT.get((state, act))
    if following is None:
        raise WrongState("meeting.wrong-state", f"This cannot be done while the meeting is {state.value}.")
    return following


class FloorMode(StrEnum):
    """Whether everyone may be heard, or only the chair and who was given the floor."""

    OPEN = "open"
    CHAIRED = "chaired"


@dataclass(frozen=True, slots=True)
class Meeting:
    """A meeting as stored; times are seconds UTC.

    `challenge_s` is how long after its last tally the trustees keep their shares (voting.md section 4); what a
    rehearsal decides counts for nothing.
    """

    id: str
    unit: str
    title: str
    state: State
    starts_at: int
    time_zone: str
    quorum_num: int
    quorum_den: int
    quorum_met: bool
    floor_mode: FloorMode
    opened_at: int | None
    closed_at: int | None
    last_seq: int
    version: int
    rehearsal: bool = False
    challenge_s: int = 0
