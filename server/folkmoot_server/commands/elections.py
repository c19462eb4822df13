"""Elections are drafted, opened and closed; opening and closing are signed by the chair's passkey."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from folkmoot_server.commands import attendance_log, motion_votes
from folkmoot_server.commands.electorates import Facts, build, collect, secret_repeats
from folkmoot_server.commands.identity import StepUp as StepUp
from folkmoot_server.commands.identity import signed_action
from folkmoot_server.commands.presiding import require_chair
from folkmoot_server.commands.rights import require
from folkmoot_server.domain.elections import GRACE_MAX_S, OPEN_MAX_S, Phase, Verb, follow
from folkmoot_server.domain.errors import BadInput, Conflict, NotFound, WrongState
from folkmoot_server.domain.identity import SessionInfo
from folkmoot_server.domain.ids import Rng, new_id
from folkmoot_server.domain.ledger import Notary
from folkmoot_server.domain.meetings import Act, advance
from folkmoot_server.domain.roles import Action
from folkmoot_server.storage import board, elections, events, ledger, lineages, meetings, members, rolls
from folkmoot_voting.board import entry_leaf, opening_entry
from folkmoot_voting.encoding import JsonObject, b64u, jcs
from folkmoot_voting.errors import ManifestInvalid
from folkmoot_voting.manifest import Rules, check_majority
from folkmoot_voting.questions import Question, check_questions

ELECTIONS_MAX = 100


@dataclass(frozen=True, slots=True)
class Draft:
    """An election as it was written; texts are cleaned, majority is (kind, base), motion a motion's id or empty.

    For `grace_s` seconds after the end of the vote ballots are still taken, as from a hall that was cut off.
    """

    agenda_item: str
    title: str
    questions: tuple[Question, ...]
    secrecy: str
    voting_again: str
    majority: tuple[str, str]
    tie: str
    closes_after_s: int
    kiosk: bool
    grace_s: int
    motion: str = ""


def draft_election(tx: Connection, meeting: str, session: SessionInfo, draft: Draft, now: int, rng: Rng) -> str:
    """Write questions for an agenda item and return the id of their election.

    Raises:
        Forbidden: the caller is neither chair nor secretary.
        NotFound: no such agenda item in this meeting.
        BadInput: questions or rules do not fit together, or the meeting has a hundred elections.
    """
    facts = meetings.get(tx, meeting)
    require(tx, session.member_id, Action.WRITE_QUESTION, facts.unit, now)
    advance(facts.state, Act.WRITE_QUESTION)
    _check_draft(draft)
    if draft.agenda_item not in {item.id for item in meetings.items(tx, meeting)}:
        raise NotFound("agenda.unknown-item", "There is no such agenda item in this meeting.")
    if len(elections.of_meeting(tx, meeting)) >= ELECTIONS_MAX:
        raise BadInput("question.too-many", f"A meeting has at most {ELECTIONS_MAX} elections.")
    election = new_id(rng)
    elections.add_draft(
        tx,
        {
            "id": election,
            "meeting": meeting,
            "agenda_item": draft.agenda_item,
            "title": draft.title,
            "questions": [one.to_json() for one in draft.questions],
            "secrecy": draft.secrecy,
            "voting_again": draft.voting_again,
            "majority_kind": draft.majority[0],
            "majority_of": draft.majority[1],
            "tie": draft.tie,
            "kiosk_allowed": int(draft.kiosk),
            "closes_after_s": draft.closes_after_s,
            "grace_s": draft.grace_s,
        },
    )
    body = {"election": election, "title": draft.title, "item": draft.agenda_item, "motion": draft.motion}
    events.append(tx, meeting, "ElectionDrafted", now, body)
    return election


def _check_draft(draft: Draft) -> None:
    try:
        check_questions(draft.questions)
        check_majority(draft.questions, Rules(0, 1, *draft.majority, tie=draft.tie))
    except ManifestInvalid as error:
        reason = error.detail.removeprefix("manifest: ")
        raise BadInput("question.invalid", f"The question cannot be asked like this: {reason}.") from error
    if not 0 <= draft.closes_after_s <= OPEN_MAX_S:
        raise BadInput("question.closes-after", "A vote closes by itself within 31 days, or not by itself.")
    if not 0 <= draft.grace_s <= GRACE_MAX_S:
        raise BadInput("question.grace", "Ballots are taken for an hour after the end of a vote at most.")


def exclude(
    tx: Connection, meeting: str, election: str, session: SessionInfo, member: str, reason: str | None, now: int
) -> None:
    """Leave a member out of a drafted election for a conflict of interest, or take them in again without a reason.

    Raises:
        Forbidden: the caller is neither chair nor secretary.
        WrongState: the election is no draft.
        NotFound: the member is not on the roll.
    """
    facts = meetings.get(tx, meeting)
    require(tx, session.member_id, Action.WRITE_QUESTION, facts.unit, now)
    stored = elections.get(tx, meeting, election)
    state = follow(stored.state, Verb.EXCLUDE)
    rolls.frozen(tx, meeting)
    if rolls.entry(tx, meeting, member) is None:
        raise NotFound("roll.unknown-member", "This member is not on the roll of the meeting.")
    elections.set_exclusion(tx, election, member, reason)
    elections.save(tx, stored, state)
    name = members.get(tx, member).name
    body = {"election": election, "member": member, "name": name, "excluded": reason is not None}
    events.append(tx, meeting, "ElectorExcluded", now, body)


def open_election(
    tx: Connection,
    meeting: str,
    election: str,
    session: SessionInfo,
    step_up: StepUp,
    *,
    notary: Notary,
    electorate_min: int,
    now: int,
    rng: Rng,
) -> JsonObject:
    """Freeze the electorate from those present now, publish the manifest and return it.

    Raises:
        Forbidden: the caller is not chair, or does not preside.
        WrongState: meeting not opened, key or cosigners missing, another election open, or not a draft.
        Conflict: the chair has not seen which earlier votes this one repeats.
        Refused: the step-up does not fit, or the electorate is too small or tells the vote of a weight.
    """
    facts = meetings.get(tx, meeting)
    require_chair(tx, facts, session.member_id, now)
    stored = elections.get(tx, meeting, election)
    state = follow(stored.state, Verb.OPEN)
    advance(facts.state, Act.OPEN_ELECTION)
    if any(one.state in (Phase.OPEN, Phase.CLOSING) for one in elections.of_meeting(tx, meeting)):
        raise WrongState("election.another-open", "Close the open election first.")
    found = collect(tx, stored)
    repeats = secret_repeats(tx, stored, found, electorate_min)
    shown = step_up.action.get("repeats")
    if isinstance(shown, list) and shown != repeats:
        raise Conflict(
            "election.repeats",
            "This vote repeats an earlier one with almost the same electors; look at the list and confirm it.",
            {"repeats": repeats},
        )
    expected = {"type": "open-election", "meeting": meeting, "election": election, "repeats": repeats}
    signed_action(tx, step_up.rp, session, expected, step_up.action, step_up.signed, now)
    manifest = build(tx, stored, Facts(facts, found, repeats), notary=notary, least=electorate_min, now=now)
    opening = opening_entry(manifest.json)
    leaf = entry_leaf(opening)
    board.append(tx, election, [("opening", jcs(opening), leaf)])
    note = notary.checkpoint(manifest.board_origin, [leaf])
    elections.save(
        tx,
        stored,
        state,
        manifest=manifest.json,
        manifest_hash=manifest.hash,
        electorate=found.electorate,
        time_limit=manifest.time_limit,
        closes_at=manifest.closes_at,
        opening_checkpoint=note.text(),
        checkpoint=note.text(),
    )
    elections.apply_exclusions(tx, election, found.excluded)
    lineages.add_electorate(tx, election, found.electorate)
    ledger.append(
        tx, notary, kind="opened", meeting=meeting, election=election, digest=note.checkpoint.hash(), now=now
    )
    attendance_log.mark_opening(tx, meeting, manifest, now, notary=notary, rng=rng)
    told = {"title": stored.title, "secrecy": stored.secrecy}
    body = {"election": election, "manifest": b64u(manifest.hash), "present": manifest.present, **told}
    events.append(tx, meeting, "ElectionOpened", now, body)
    motion_votes.begin(tx, stored, now)
    return manifest.json


def close_election(
    tx: Connection, meeting: str, election: str, session: SessionInfo, step_up: StepUp, *, now: int
) -> None:
    """Begin closing: ballots are still accepted for the grace, then the scheduler seals the board.

    Raises:
        Forbidden: the caller is not chair, or does not preside.
        WrongState: the election is not open, closes by itself later, or was announced to stay open longer.
        Refused: the step-up does not fit.
    """
    facts = meetings.get(tx, meeting)
    require_chair(tx, facts, session.member_id, now)
    advance(facts.state, Act.CLOSE_ELECTION)
    stored = elections.get(tx, meeting, election)
    follow(stored.state, Verb.CLOSE)
    if now < stored.closes_at:
        raise WrongState("election.closes-by-itself", "This vote closes by itself at the time that it names.")
    if now < elections.timer(tx, election):
        raise WrongState("election.timer-running", "It was announced that this vote stays open longer.")
    expected = {"type": "close-election", "meeting": meeting, "election": election}
    signed_action(tx, step_up.rp, session, expected, step_up.action, step_up.signed, now)
    begin_closing(tx, stored, now)


def begin_closing(tx: Connection, stored: elections.StoredElection, now: int) -> None:
    """End the vote; the grace of its manifest begins.

    Raises:
        WrongState: it is not open.
    """
    state = follow(stored.state, Verb.CLOSE)
    elections.save(tx, stored, state, ended_at=now, grace_until=now + stored.opened.grace_s)
