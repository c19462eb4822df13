"""A rehearsal: a meeting marked as one, with a practice question and a key to throw away."""

from __future__ import annotations

from sqlalchemy import Connection

from folkmoot_server.commands import elections, meetings
from folkmoot_server.domain.errors import WrongState
from folkmoot_server.domain.identity import SessionInfo
from folkmoot_server.domain.ids import Rng
from folkmoot_server.domain.members import TEXT_MAX
from folkmoot_server.storage import meetings as stored
from folkmoot_voting.manifest import ONCE, REJECTED, SECRET
from folkmoot_voting.questions import yes_no_abstain

PREFIX = "Rehearsal: "
ITEM = "Practice vote"
QUESTION = "Did everybody find their way?"


def rehearse(tx: Connection, meeting: str, session: SessionInfo, now: int, rng: Rng) -> str:
    """Draft a rehearsal of a meeting, with its unit and quorum, one item and one question; return its id.

    Raises:
        NotFound: no such meeting.
        Forbidden: the caller is neither chair nor secretary of its unit.
        WrongState: it is a rehearsal itself.
    """
    facts = stored.get(tx, meeting)
    if facts.rehearsal:
        raise WrongState("meeting.is-rehearsal", "A rehearsal is not rehearsed.")
    room = TEXT_MAX - len(PREFIX)
    title = facts.title.encode()[:room].decode(errors="ignore").rstrip()
    wanted = meetings.Draft(
        title=PREFIX + title,
        unit=facts.unit,
        starts_at=now,
        time_zone=facts.time_zone,
        agenda=(ITEM,),
        quorum_num=facts.quorum_num,
        quorum_den=facts.quorum_den,
        challenge_days=0,
        rehearsal=True,
    )
    made = meetings.draft(tx, session.member_id, wanted, now=now, rng=rng)
    practice = elections.Draft(
        agenda_item=stored.items(tx, made)[0].id,
        title=ITEM,
        questions=(yes_no_abstain(QUESTION),),
        secrecy=SECRET,
        voting_again=ONCE,
        majority=("simple", "cast"),
        tie=REJECTED,
        closes_after_s=0,
        kiosk=False,
    )
    elections.draft_election(tx, made, session, practice, now, rng)
    return made
