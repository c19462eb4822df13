"""Room screens: a wall in a hall shows the meeting without anybody's login, until the meeting is closed."""

from __future__ import annotations

from sqlalchemy import Connection

from folkmoot_server.commands import sites
from folkmoot_server.domain.errors import Forbidden, NotSignedIn, TooMany, WrongState
from folkmoot_server.domain.ids import Rng, token_hash
from folkmoot_server.domain.meetings import FINAL
from folkmoot_server.domain.sites import SCREENS_MAX
from folkmoot_server.storage import meetings, screens


def make(tx: Connection, meeting_id: str, site_id: str, actor: str, *, now: int, rng: Rng) -> bytes:
    """Return the token of a new screen, of which only the hash is kept.

    Raises:
        NotFound, Forbidden: no such meeting or site, or the actor does not look after it.
        WrongState: the meeting is over.
        TooMany: the meeting has 64.
    """
    sites.require_looks_after(tx, meeting_id, site_id, actor, now)
    state = meetings.get(tx, meeting_id).state
    if state in FINAL:
        raise WrongState("meeting.wrong-state", f"This cannot be done while the meeting is {state.value}.")
    if screens.count(tx, meeting_id) >= SCREENS_MAX:
        raise TooMany("screen.too-many", f"A meeting has at most {SCREENS_MAX} room screens.")
    token = rng(32)
    screens.add(tx, token_hash(token), meeting_id, site_id, actor, now)
    return token


def opened_by(tx: Connection, token: bytes) -> tuple[str, str]:
    """Return meeting and site of the screen with this token.

    Raises:
        NotSignedIn: there is none.
        Forbidden: the meeting is over.
    """
    found = screens.find(tx, token_hash(token))
    if found is None:
        raise NotSignedIn("screen.unknown", "This room screen is not known here; ask for a new link.")
    if meetings.get(tx, found[0]).state in FINAL:
        raise Forbidden("screen.over", "The meeting is over.")
    return found
