"""The life of a meeting as one table, from draft to closed or cancelled; meeting_states.md is its picture."""

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
    RECESS = "recess"
    QUORUM_LOST = "quorum-lost"
    ADJOURNED = "adjourned"
    CLOSED = "closed"
    CANCELLED = "cancelled"


class Act(StrEnum):
    """Everything that can be done to a meeting; commands of wire.md and conduct.md have their names."""

    CONVENE = "convene"
    WAIVE_NOTICE = "waive-notice"
    RESCHEDULE = "reschedule"
    CANCEL = "cancel"
    CONFIRM_RECEIPT = "confirm-receipt"
    EXCUSE = "excuse"
    FREEZE_ROLL = "freeze-roll"
    BEGIN_CHECK_IN = "begin-check-in"
    OPEN = "open"
    RECESS = "recess"
    RESUME = "resume"
    LOSE_QUORUM = "lose-quorum"
    REGAIN_QUORUM = "regain-quorum"
    ADJOURN = "adjourn"
    CLOSE = "close"
    EDIT_AGENDA = "edit-agenda"
    WRITE_QUESTION = "write-question"
    REFER_MOTION = "refer-motion"
    CHECK_IN = "check-in"
    LEAVE = "leave"
    MAKE_KEY = "make-key"
    START_ITEM = "start-item"
    DEFER_ITEM = "defer-item"
    CHANGE_CHAIR = "change-chair"
    SET_FLOOR_MODE = "set-floor-mode"
    RAISE_HAND = "raise-hand"
    LOWER_HAND = "lower-hand"
    GRANT_FLOOR = "grant-floor"
    WITHDRAW_FLOOR = "withdraw-floor"
    MUTE = "mute"
    UNMUTE = "unmute"
    MUTE_ALL = "mute-all"
    CLOSE_SESSION = "close-session"
    REMOVE = "remove"
    READMIT = "readmit"
    OPEN_ELECTION = "open-election"
    CLOSE_ELECTION = "close-election"
    ABORT_ELECTION = "abort-election"
    SET_VOTE_TIMER = "set-vote-timer"


IN_SESSION: Final = (State.OPENED, State.QUORUM_LOST, State.RECESS)
ROOM_STATES: Final = (State.CHECKING_IN, *IN_SESSION)
FINAL: Final = (State.CLOSED, State.CANCELLED)
# Where the floor is given.
_TALKING: Final = (State.CHECKING_IN, State.OPENED, State.QUORUM_LOST)
# Between the notice and the end.
_CALLED: Final = (State.CONVENED, *ROOM_STATES, State.ADJOURNED)
_NOT_OVER: Final = (State.DRAFT, *_CALLED)

# Where a motion is disposed of without a vote: a meeting that sits does so with its quorum only.
_DECIDING: Final = (State.DRAFT, State.CONVENED, State.CHECKING_IN, State.OPENED)

# Acts that leave a meeting where it is, with the states in which they may be done.
_STAY: Final[Mapping[Act, tuple[State, ...]]] = MappingProxyType(
    {
        Act.WAIVE_NOTICE: (State.DRAFT, State.CONVENED),
        Act.RESCHEDULE: (State.DRAFT, State.CONVENED),
        Act.CONFIRM_RECEIPT: _CALLED,
        Act.EXCUSE: _CALLED,
        Act.FREEZE_ROLL: (State.DRAFT, State.CONVENED),
        Act.EDIT_AGENDA: _NOT_OVER,
        Act.WRITE_QUESTION: _NOT_OVER,
        Act.REFER_MOTION: _DECIDING,
        Act.CHECK_IN: ROOM_STATES,
        Act.LEAVE: ROOM_STATES,
        Act.MAKE_KEY: ROOM_STATES,
        Act.SET_FLOOR_MODE: ROOM_STATES,
        Act.RAISE_HAND: _TALKING,
        Act.LOWER_HAND: ROOM_STATES,
        Act.GRANT_FLOOR: _TALKING,
        Act.WITHDRAW_FLOOR: ROOM_STATES,
        Act.MUTE: ROOM_STATES,
        Act.UNMUTE: ROOM_STATES,
        Act.MUTE_ALL: ROOM_STATES,
        Act.CLOSE_SESSION: IN_SESSION,
        Act.REMOVE: ROOM_STATES,
        Act.READMIT: ROOM_STATES,
        Act.START_ITEM: (State.OPENED, State.QUORUM_LOST),
        Act.DEFER_ITEM: (State.OPENED, State.QUORUM_LOST),
        Act.CHANGE_CHAIR: IN_SESSION,
        Act.OPEN_ELECTION: (State.OPENED,),
        Act.CLOSE_ELECTION: IN_SESSION,
        Act.ABORT_ELECTION: (*IN_SESSION, State.ADJOURNED),
        Act.SET_VOTE_TIMER: IN_SESSION,
    }
)

NEXT: Final[Mapping[tuple[State, Act], State]] = MappingProxyType(
    {
        (State.DRAFT, Act.CONVENE): State.CONVENED,
        (State.DRAFT, Act.CANCEL): State.CANCELLED,
        (State.CONVENED, Act.CANCEL): State.CANCELLED,
        (State.CONVENED, Act.BEGIN_CHECK_IN): State.CHECKING_IN,
        (State.CHECKING_IN, Act.OPEN): State.OPENED,
        # A hall that never fills is sent home.
        (State.CHECKING_IN, Act.ADJOURN): State.ADJOURNED,
        (State.OPENED, Act.RECESS): State.RECESS,
        (State.QUORUM_LOST, Act.RECESS): State.RECESS,
        (State.RECESS, Act.RESUME): State.OPENED,
        (State.OPENED, Act.LOSE_QUORUM): State.QUORUM_LOST,
        (State.QUORUM_LOST, Act.REGAIN_QUORUM): State.OPENED,
        **{(state, Act.ADJOURN): State.ADJOURNED for state in IN_SESSION},
        (State.ADJOURNED, Act.BEGIN_CHECK_IN): State.CHECKING_IN,
        **{(state, Act.CLOSE): State.CLOSED for state in IN_SESSION},
        # Nobody has to come back only to close.
        (State.ADJOURNED, Act.CLOSE): State.CLOSED,
        **{(state, act): state for act, states in _STAY.items() for state in states},
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
    rehearsal decides counts for nothing. `until` is when a recess or an adjournment ends, as announced, or 0.
    `presiding`, `offered_to` and `lost_chair` are members or empty: who presides, to whom the chair is offered, and
    whose link was lost while presiding.
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
    notice_days: int = 0
    binding: bool = False
    waived: bool = False
    calendar_seq: int = 0
    reason: str = ""
    until: int = 0
    presiding: str = ""
    offered_to: str = ""
    lost_chair: str = ""


def drafted(
    meeting_id: str,
    *,
    unit: str,
    title: str,
    starts_at: int,
    time_zone: str,
    quorum: tuple[int, int],
    rehearsal: bool,
    challenge_s: int,
    notice_days: int,
    binding: bool,
) -> Meeting:
    """Return a meeting of which nothing has happened yet; `quorum` is numerator and denominator."""
    return Meeting(
        id=meeting_id,
        unit=unit,
        title=title,
        state=State.DRAFT,
        starts_at=starts_at,
        time_zone=time_zone,
        quorum_num=quorum[0],
        quorum_den=quorum[1],
        quorum_met=False,
        floor_mode=FloorMode.OPEN,
        opened_at=None,
        closed_at=None,
        last_seq=0,
        version=0,
        rehearsal=rehearsal,
        challenge_s=challenge_s,
        notice_days=notice_days,
        binding=binding,
    )
