"""Founds the demonstration organisation with one meeting already written down."""

from __future__ import annotations

from sqlalchemy import Connection

from folkmoot_server.commands import elections, meetings
from folkmoot_server.commands.organisation import bootstrap_organisation
from folkmoot_server.demo.organisation import DEMO_NAME, DEMO_PEOPLE, DEMO_UNITS
from folkmoot_server.domain.identity import SessionInfo
from folkmoot_server.domain.ids import Rng
from folkmoot_server.storage import meetings as stored
from folkmoot_server.storage import units
from folkmoot_voting.manifest import ONCE, REJECTED, SECRET
from folkmoot_voting.questions import one_of_n, yes_no_abstain

TITLE = "Annual general meeting"
AGENDA = ("Report of the board", "Budget 2027", "Election of the auditor")


def seed_demo(tx: Connection, *, now: int, rng: Rng) -> None:
    """Found the organisation and draft a meeting with two questions, unless there is an organisation already."""
    links = bootstrap_organisation(
        tx, name=DEMO_NAME, units=DEMO_UNITS, people=DEMO_PEOPLE, now=now, rng=rng, only_if_empty=True
    )
    if not links:
        return
    secretary = next(link.member for link in links if link.role == "secretary")
    root = next(unit.id for unit in units.everything(tx) if unit.parent is None)
    meeting = meetings.draft(
        tx,
        secretary,
        meetings.Draft(TITLE, root, now - now % 3600 + 3600, "Europe/Berlin", AGENDA, 1, 2),
        now=now,
        rng=rng,
    )
    acting = SessionInfo(b"", secretary, "", now, now)  # no session yet: the founding script acts for the secretary
    budget, auditor = (item.id for item in stored.items(tx, meeting)[1:])
    choose = yes_no_abstain("Shall the budget for 2027 be adopted as presented?")
    elect = one_of_n("Who shall audit the accounts of 2027?", ("Greta Weber", "Rui Costa", "Claire Dubois"))
    for item, title, question in ((budget, "Budget 2027", choose), (auditor, "Auditor for 2027", elect)):
        draft = elections.Draft(
            agenda_item=item,
            title=title,
            questions=(question,),
            secrecy=SECRET,
            voting_again=ONCE,
            majority=("simple", "cast"),
            tie=REJECTED,
            closes_after_s=0,
            kiosk=False,
        )
        elections.draft_election(tx, meeting, acting, draft, now, rng)
