"""Founds the demonstration organisation with one meeting already written down: something to see on every screen."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from folkmoot_server.commands import agenda, elections, floor, meetings, motions, papers
from folkmoot_server.commands.organisation import bootstrap_organisation
from folkmoot_server.demo.organisation import DEMO_NAME, DEMO_PEOPLE, DEMO_UNITS
from folkmoot_server.domain.identity import SessionInfo
from folkmoot_server.domain.ids import Rng
from folkmoot_server.domain.motions import Span
from folkmoot_server.domain.papers import Paper, PaperClass, Type
from folkmoot_server.domain.speaking import Rules
from folkmoot_server.storage import meetings as stored
from folkmoot_server.storage import motions as stored_motions
from folkmoot_server.storage import units
from folkmoot_server.storage.paper_files import PaperFiles
from folkmoot_voting.manifest import ONCE, REJECTED, SECRET
from folkmoot_voting.questions import one_of_n, yes_no_abstain

TITLE = "Annual general meeting"
REPORT, BUDGET, AUDITOR = AGENDA = ("Report of the board", "Budget 2027", "Election of the auditor")
ROOF = "Roof of the community hall"
MINUTES: Final = {REPORT: 20, BUDGET: 25, AUDITOR: 15}
BELOW_REPORT: Final = (agenda.Wanted("Accounts of 2026", 10, False), agenda.Wanted(ROOF, 30, False))
INTERNAL: Final = agenda.Wanted("Members who have not paid their fee", 10, True)
STARTS_IN_S: Final = 3 * 86_400
NOTICE_DAYS: Final = 2
SPEAKING: Final = Rules(turn_s=180, group_s=900, order_s=60)
SECONDERS: Final = 1
MOTION: Final = """The cooperative renews the roof of the community hall.

The board asks three firms for an offer and chooses one of them by the end of April.

The work begins in May and costs at most 180,000."""
AMENDED: Final = "The board asks three firms of the valley for an offer; the members choose one of them in April."
PAPER_NAME: Final = "Accounts of 2026.pdf"
PAPER_LINES: Final = (
    "Valley Cooperative",
    "Accounts of 2026",
    "",
    "Income",
    "   Fees of 412 members                          61,800",
    "   Rent of the community hall                   23,450",
    "   Sale of power                               118,200",
    "Spending",
    "   Maintenance                                  74,900",
    "   Wages                                        88,300",
    "   Insurance and taxes                          19,650",
    "Kept for the roof                               20,600",
)


def seed_demo(tx: Connection, *, now: int, rng: Rng, files: PaperFiles | None = None) -> None:
    """Found the organisation and draft a meeting, unless there is an organisation already.

    With `files` it has a paper too, whose pages are made when the server starts.
    """
    links = bootstrap_organisation(
        tx, name=DEMO_NAME, units=DEMO_UNITS, people=DEMO_PEOPLE, now=now, rng=rng, only_if_empty=True
    )
    if not links:
        return
    who = {link.name.split()[0]: link.member for link in links}
    chair, secretary = who["Lan"], who["Jonas"]
    root = next(unit.id for unit in units.everything(tx) if unit.parent is None)
    starts_at = now - now % 3600 + 3600 + STARTS_IN_S
    wanted = meetings.Draft(TITLE, root, starts_at, "Europe/Berlin", AGENDA, 1, 2, notice_days=NOTICE_DAYS)
    meeting = meetings.draft(tx, secretary, wanted, now=now, rng=rng)
    items = _write_agenda(tx, meeting, secretary, now, rng)
    acting = SessionInfo(b"", secretary, "", now, now)  # no session yet: the founding script acts for the secretary
    _draft_votes(tx, meeting, acting, items, now, rng)
    floor.set_speaking_rules(tx, meeting, chair, SPEAKING, now)
    _move(tx, meeting, secretary, (who["Rui"], who["Greta"]), items[ROOF], now, rng)
    if files is not None:
        _bring_accounts(tx, files, meeting, acting, items[BELOW_REPORT[0].title], now, rng)


def _write_agenda(tx: Connection, meeting: str, secretary: str, now: int, rng: Rng) -> dict[str, str]:
    """Make a tree of the agenda, with durations and an item that members do not see; return ids by title."""
    items = {item.title: item for item in stored.items(tx, meeting)}
    ids = {title: item.id for title, item in items.items()}
    for title, minutes in MINUTES.items():
        said = agenda.Wanted(title, minutes, False)
        agenda.change_item(tx, meeting, secretary, ids[title], items[title].version, said, now)
    last = ""
    for below in BELOW_REPORT:
        last = agenda.add_item(tx, meeting, secretary, below, ids[REPORT], last, now=now, rng=rng)
        ids[below.title] = last
    agenda.add_item(tx, meeting, secretary, INTERNAL, "", ids[BUDGET], now=now, rng=rng)
    return ids


def _draft_votes(
    tx: Connection, meeting: str, acting: SessionInfo, items: dict[str, str], now: int, rng: Rng
) -> None:
    choose = yes_no_abstain("Shall the budget for 2027 be adopted as presented?")
    elect = one_of_n("Who shall audit the accounts of 2027?", ("Greta Weber", "Rui Costa", "Claire Dubois"))
    for item, title, question in ((BUDGET, "Budget 2027", choose), (AUDITOR, "Auditor for 2027", elect)):
        draft = elections.Draft(
            agenda_item=items[item],
            title=title,
            questions=(question,),
            secrecy=SECRET,
            voting_again=ONCE,
            majority=("simple", "cast"),
            tie=REJECTED,
            closes_after_s=0,
            kiosk=False,
            grace_s=2,
        )
        elections.draft_election(tx, meeting, acting, draft, now, rng)


def _move(
    tx: Connection, meeting: str, secretary: str, movers: tuple[str, str], item: str, now: int, rng: Rng
) -> None:
    """One member submits a motion, another one an amendment to its second paragraph."""
    motions.set_seconders_needed(tx, meeting, secretary, SECONDERS, now)
    base = motions.write(tx, meeting, movers[0], item, "Renew the roof", MOTION, now=now, rng=rng)
    motions.submit(tx, meeting, movers[0], base, now)
    place = motions.Place(stored_motions.get(tx, meeting, base).hash, Span(1, 2))
    change = motions.amend(tx, meeting, movers[1], base, place, "Members choose", AMENDED, now=now, rng=rng)
    motions.submit(tx, meeting, movers[1], change, now)


def _bring_accounts(
    tx: Connection, files: PaperFiles, meeting: str, acting: SessionInfo, item: str, now: int, rng: Rng
) -> None:
    content = pdf(PAPER_LINES)
    (sha256,) = files.put([content])
    arrived = papers.Arrived(sha256, len(content), Type.PDF)
    paper = Paper("", meeting, item, PAPER_NAME, PaperClass.MEMBERS, 0)
    papers.bring(tx, meeting, acting, paper, arrived, now=now, rng=rng)


def pdf(lines: tuple[str, ...]) -> bytes:
    """Return a PDF of one A4 page with these lines of Latin text, the first two as titles."""
    text = ["BT /F2 18 Tf 56 780 Td 24 TL"]
    for number, line in enumerate(lines):
        escaped = line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        text.append(f"({escaped}) Tj T*")
        if number == 1:
            text.append("/F1 11 Tf 20 TL")
    stream = "\n".join([*text, "ET"])
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /{} /Encoding /WinAnsiEncoding >>"
    objects = (
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        " /Resources << /Font << /F1 5 0 R /F2 6 0 R >> >> >>",
        f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
        font.format("Courier"),
        font.format("Helvetica-Bold"),
    )
    made, places = "%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(made))
        made += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    made += f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R >>\n"
    return f"{made}startxref\n{made.index('xref')}\n%%EOF\n".encode("latin-1")
