"""Main room, halls and members by themselves: the states of a site as one table, its line test, its codes.

See docs/spec/sites.md sections 1 and 2.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from folkmoot_server.domain.attendance import REMOTE
from folkmoot_server.domain.errors import WrongState
from folkmoot_server.domain.meetings import FINAL, ROOM_STATES
from folkmoot_server.domain.meetings import State as MeetingState

MAIN: Final = "main"
FIXED: Final = (MAIN, REMOTE)
SITES_MAX: Final = 64
EXPECTED_MAX: Final = 100_000
CODE_S: Final = 600
CODE_LENGTH: Final = 10
KIOSK_S: Final = 300  # how long a member is signed in at the browser of a hall
SCREENS_MAX: Final = 64  # of a meeting
MOVES_S: Final = 600  # a second move within so many seconds is disputed
# A line on which people can talk to each other; anything worse needs somebody who accepts it.
RTT_MAX_MS: Final = 3000
LOSS_MAX_PERMILLE: Final = 300
# When halls are heard: before the meeting, for the line test, and on every day of it.
HEARD_STATES: Final = (MeetingState.CONVENED, *ROOM_STATES, MeetingState.ADJOURNED)


class SiteKind(StrEnum):
    """What a site is."""

    MAIN = "main"
    HALL = "hall"
    REMOTE = "remote"


class SiteState(StrEnum):
    """Where a site stands."""

    INVITED = "invited"
    TESTED = "tested"
    CONNECTED = "connected"
    DEGRADED = "degraded"
    LOST = "lost"
    REJOINED = "rejoined"
    CLOSED = "closed"


class SiteAct(StrEnum):
    """What happens to a site; `lease` is every sign of life of its page or relay."""

    PASS = "pass"  # noqa: S105 - a word, no secret
    LEASE = "lease"
    DEGRADE = "degrade"
    RECOVER = "recover"
    LOSE = "lose"


# Closed is what every site of a meeting that is over is shown as: nothing leads there, and nothing away from it.
NEXT: Final[Mapping[tuple[SiteState, SiteAct], SiteState]] = MappingProxyType(
    {
        (SiteState.INVITED, SiteAct.PASS): SiteState.TESTED,
        (SiteState.INVITED, SiteAct.LEASE): SiteState.INVITED,
        (SiteState.TESTED, SiteAct.LEASE): SiteState.CONNECTED,
        (SiteState.CONNECTED, SiteAct.LEASE): SiteState.CONNECTED,
        (SiteState.CONNECTED, SiteAct.DEGRADE): SiteState.DEGRADED,
        (SiteState.CONNECTED, SiteAct.LOSE): SiteState.LOST,
        (SiteState.DEGRADED, SiteAct.LEASE): SiteState.DEGRADED,
        (SiteState.DEGRADED, SiteAct.RECOVER): SiteState.CONNECTED,
        (SiteState.DEGRADED, SiteAct.LOSE): SiteState.LOST,
        (SiteState.LOST, SiteAct.LEASE): SiteState.REJOINED,
        (SiteState.REJOINED, SiteAct.LEASE): SiteState.CONNECTED,
        (SiteState.REJOINED, SiteAct.DEGRADE): SiteState.DEGRADED,
        (SiteState.REJOINED, SiteAct.LOSE): SiteState.LOST,
        # A later test, passed or not, changes nothing but the figures.
        **{(state, SiteAct.PASS): state for state in SiteState if state not in (SiteState.INVITED, SiteState.CLOSED)},
    }
)
EVENTS: Final[Mapping[SiteState, str]] = MappingProxyType(
    {
        SiteState.CONNECTED: "SiteConnected",
        SiteState.DEGRADED: "SiteDegraded",
        SiteState.LOST: "SiteLost",
        SiteState.REJOINED: "SiteRejoined",
    }
)
# In these a hall holds its members: its page or relay was heard within `site_lost_s`.
LIVE: Final = (SiteState.CONNECTED, SiteState.DEGRADED, SiteState.REJOINED)


def advance(state: SiteState, act: SiteAct) -> SiteState:
    """Return the state after `act`.

    Raises:
        WrongState: the table does not allow it.
    """
    following = NEXT.get((state, act))
    if following is None:
        raise WrongState("site.wrong-state", f"This cannot be done: the site is {state.value}.")
    return following


@dataclass(frozen=True, slots=True)
class LineTest:
    """What a custodian measured and confirmed; loss is None where no media could be tried."""

    at: int
    rtt_ms: int
    loss_permille: int | None
    up_kbps: int
    down_kbps: int
    clock_ms: int
    sound: bool
    picture: bool

    @property
    def passed(self) -> bool:
        """Whether people there can be heard and hear; the clock never counts."""
        return self.sound and self.rtt_ms <= RTT_MAX_MS and (self.loss_permille or 0) <= LOSS_MAX_PERMILLE


@dataclass(frozen=True, slots=True)
class SeatList:
    """Who is in a hall, as its custodian has signed; members ascending, `at` in seconds UTC, hash as b64u."""

    members: tuple[str, ...]
    at: int
    hash: str


@dataclass(frozen=True, slots=True)
class Site:
    """A place from which members take part; `since` is when its state began, seconds UTC, or 0."""

    meeting: str
    id: str
    name: str
    kind: SiteKind
    custodian: str = ""
    expected: int = 0
    profile: int = 0
    state: SiteState = SiteState.INVITED
    since: int = 0
    tested: LineTest | None = None
    seats: SeatList | None = None

    @property
    def live(self) -> bool:
        """Whether it was heard within the time after which it is lost."""
        return self.state in LIVE


def fixed(meeting: str, site: str) -> Site:
    """Return the main room or the members by themselves as they are before anybody wrote anything."""
    return Site(meeting, site, "", SiteKind(site))


def shown(site: Site, meeting: MeetingState) -> SiteState:
    """Return the state that people are shown: closed with the meeting."""
    return SiteState.CLOSED if meeting in FINAL else site.state


def lease_end(lease_ms: int, watching_since: int, lost_s: int) -> int:
    """Return when a site is lost of which nothing more is heard, in milliseconds.

    Args:
        lease_ms: its last sign of life, in milliseconds.
        watching_since: since when the server listens, in seconds; while it was away nothing could be heard.
        lost_s: seconds of silence.
    """
    return max(lease_ms, watching_since * 1000) + lost_s * 1000


def code(secret: bytes, period: int) -> str:
    """Return the code of a site in one period of ten minutes: fifty bits as a–z and 2–7."""
    digest = hmac.new(secret, b"fm1/site-code " + str(period).encode(), hashlib.sha256).digest()
    return base64.b32encode(digest).decode().lower()[:CODE_LENGTH]


def takes(secret: bytes, given: str, now: int) -> bool:
    """Say whether a code is the site's of now or of the ten minutes before."""
    periods = (now // CODE_S, now // CODE_S - 1)
    matches = [hmac.compare_digest(code(secret, period).encode(), given.encode()) for period in periods]
    return any(matches)


def differences(listed: Iterable[str], here: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return who is in a seat list and not checked in there, and the other way round, ascending."""
    names, present = set(listed), set(here)
    return sorted(names - present), sorted(present - names)
