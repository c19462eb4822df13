"""A rehearsal: a meeting marked as one, with a practice question and a key to throw away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from folkmoot_server.commands import elections, meetings
from folkmoot_server.domain.errors import WrongState
from folkmoot_server.domain.identity import SessionInfo
from folkmoot_server.domain.ids import Rng
from folkmoot_server.domain.members import TEXT_MAX
from folkmoot_server.storage import meetings as stored
from folkmoot_voting.manifest import ONCE, REJECTED, SECRET
from folkmoot_voting.questions import yes_no_abstain


@dataclass(frozen=True, slots=True)
class _Words:
    prefix: str
    item: str
    question: str


# A rehearsal is written down in the language of who asks for it, as people write down their own meetings.
_WORDS: Final[Mapping[str, _Words]] = {
    "en": _Words("Rehearsal: ", "Practice vote", "Did everybody find their way?"),
    "vi": _Words("Diễn tập: ", "Bỏ phiếu thử", "Mọi người đã làm quen được với cách họp này chưa?"),
}


def rehearse(
    tx: Connection, meeting: str, session: SessionInfo, language: str, grace_s: int, now: int, rng: Rng
) -> str:
    """Draft a rehearsal of a meeting, with its unit and quorum, one item and one question; return its id.

    `language` is that of the title, the item and the question, "en" or "vi"; `grace_s` that of its vote.

    Raises:
        NotFound: no such meeting.
        Forbidden: the caller is neither chair nor secretary of its unit.
        WrongState: it is a rehearsal itself.
    """
    facts = stored.get(tx, meeting)
    if facts.rehearsal:
        raise WrongState("meeting.is-rehearsal", "A rehearsal is not rehearsed.")
    words = _WORDS[language]
    room = TEXT_MAX - len(words.prefix.encode())
    title = facts.title.encode()[:room].decode(errors="ignore").rstrip()
    wanted = meetings.Draft(
        title=words.prefix + title,
        unit=facts.unit,
        starts_at=now,
        time_zone=facts.time_zone,
        agenda=(words.item,),
        quorum_num=facts.quorum_num,
        quorum_den=facts.quorum_den,
        challenge_days=0,
        rehearsal=True,
    )
    made = meetings.draft(tx, session.member_id, wanted, now=now, rng=rng)
    practice = elections.Draft(
        agenda_item=stored.items(tx, made)[0].id,
        title=words.item,
        questions=(yes_no_abstain(words.question),),
        secrecy=SECRET,
        voting_again=ONCE,
        majority=("simple", "cast"),
        tie=REJECTED,
        closes_after_s=0,
        kiosk=False,
        grace_s=grace_s,
    )
    elections.draft_election(tx, made, session, practice, now, rng)
    return made
