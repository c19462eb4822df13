"""Motions and amendments from the first word to the vote: who may write, join, admit and put them to the vote."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from folkmoot_server.commands import elections, motion_votes, presiding, rights
from folkmoot_server.domain import agenda
from folkmoot_server.domain.errors import Conflict, Forbidden, NotFound, TooMany, WrongState
from folkmoot_server.domain.identity import SessionInfo
from folkmoot_server.domain.ids import Rng, new_id
from folkmoot_server.domain.meetings import Act, Meeting, advance
from folkmoot_server.domain.members import TEXT_MAX
from folkmoot_server.domain.motions import (
    AMENDMENTS_MAX,
    LIVE,
    MOTIONS_MAX,
    OWN_MAX,
    Backer,
    Motion,
    MotionState,
    Span,
    Verb,
    check_edit,
    clean,
    drafted,
    follow,
    may_admit,
    text_hash,
)
from folkmoot_server.domain.roles import Action
from folkmoot_server.storage import events, meetings, members, motions
from folkmoot_server.storage.elections import of_meeting as elections_of
from folkmoot_server.storage.motions import Vote
from folkmoot_voting.questions import yes_no_abstain

DRAFTS_MAX = 10
CHANGED = "The text has been changed since; look at the new one first."


@dataclass(frozen=True, slots=True)
class Place:
    """Which paragraphs of a base an amendment replaces, as they stand in the text with this hash."""

    base_hash: str
    span: Span


@dataclass(frozen=True, slots=True)
class Ballot:
    """How a motion is voted on; majority is (kind, base)."""

    secrecy: str
    majority: tuple[str, str]
    tie: str
    grace_s: int


def write(
    tx: Connection, meeting_id: str, member: str, item: str, title: str, text: str, *, now: int, rng: Rng
) -> str:
    """Write a motion on an agenda item as a draft that nobody else sees; return its id.

    Raises:
        NotFound: no such meeting or agenda item.
        Forbidden: neither entitled to vote here nor chair or secretary, or removed.
        WrongState: the meeting is over.
        BadInput: the text does not fit.
        TooMany: ten drafts already.
    """
    meeting = _may_write(tx, meeting_id, member, now)
    if agenda.find(meetings.items(tx, meeting_id), item).internal:
        raise NotFound("agenda.unknown-item", "There is no such agenda item in this meeting.")
    return _add(tx, meeting, member, drafted(new_id(rng), meeting_id, item, title, clean(text)))


def amend(
    tx: Connection,
    meeting_id: str,
    member: str,
    base_id: str,
    place: Place,
    title: str,
    text: str,
    *,
    now: int,
    rng: Rng,
) -> str:
    """Write an amendment to a motion as a draft that nobody else sees; return its id.

    Raises:
        NotFound: no such meeting or motion.
        Forbidden: neither entitled to vote here nor chair or secretary, or removed.
        WrongState: the meeting is over, or the motion is itself an amendment, not submitted, or decided.
        Conflict: the motion has another text.
        BadInput: the text or the paragraphs do not fit.
        TooMany: ten drafts already.
    """
    meeting = _may_write(tx, meeting_id, member, now)
    base = visible(tx, meeting_id, base_id, member)
    if base.base:
        raise WrongState(
            "motion.amends-amendment", "An amendment cannot be amended; write another one to the motion."
        )
    text = clean(text, may_be_empty=not place.span.inserts)
    made = drafted(new_id(rng), meeting_id, base.item, title, text, base.id)
    return _add(tx, meeting, member, _placed(tx, made, base, place))


def _placed(tx: Connection, amendment: Motion, base: Motion, place: Place) -> Motion:
    """Return the amendment at these paragraphs of its base, whose text is kept."""
    follow(base.state, Verb.AMEND)
    if place.base_hash != base.hash:
        raise Conflict("motion.text-changed", CHANGED)
    placed = replace(amendment, span=place.span, base_hash=base.hash, collides=False)
    check_edit(placed.edit, base.text)
    motions.keep_text(tx, base)
    return placed


def _add(tx: Connection, meeting: Meeting, member: str, motion: Motion) -> str:
    if len(motions.drafts_of(tx, meeting.id, member)) >= DRAFTS_MAX:
        raise TooMany(
            "motion.too-many-drafts", f"You have {DRAFTS_MAX} drafts already; submit or withdraw one first."
        )
    motions.add(tx, replace(motion, movers=(Backer(member, members.get(tx, member).name),)))
    return motion.id


def _taking_part(tx: Connection, meeting_id: str, member: str) -> Meeting:
    meeting = meetings.get(tx, meeting_id)
    advance(meeting.state, Act.WRITE_QUESTION)
    rights.require_not_removed(tx, meeting_id, member)
    return meeting


def _may_write(tx: Connection, meeting_id: str, member: str, now: int) -> Meeting:
    meeting = _taking_part(tx, meeting_id, member)
    if not rights.is_entitled(tx, meeting, member, now):
        rights.require(tx, member, Action.WRITE_QUESTION, meeting.unit, now)
    return meeting


def visible(tx: Connection, meeting_id: str, motion_id: str, member: str) -> Motion:
    """Return a motion that the member may know of: a draft is its movers' own.

    Raises:
        NotFound: there is none.
    """
    motion = motions.get(tx, meeting_id, motion_id)
    if not may_see(motion, member):
        raise NotFound("motion.unknown", "There is no such motion in this meeting.")
    return motion


def may_see(motion: Motion, member: str) -> bool:
    """Say whether a member may know of a motion; one that was withdrawn as a draft never became public."""
    return motion.number != "" or motion.moved_by(member)


def _own(tx: Connection, meeting_id: str, motion_id: str, member: str) -> Motion:
    _taking_part(tx, meeting_id, member)
    motion = visible(tx, meeting_id, motion_id, member)
    if not motion.moved_by(member):
        raise Forbidden("motion.not-mover", "Only the mover of a motion may do this.")
    return motion


def change(
    tx: Connection,
    meeting_id: str,
    member: str,
    motion_id: str,
    version: int,
    title: str,
    text: str,
    place: Place | None,
    now: int,
) -> int:
    """Change an own motion before it is admitted; return its new version. Another text or title has no seconders yet.

    Raises:
        NotFound, Forbidden, WrongState: no such motion, not the mover, too late, or a place given for no amendment.
        Conflict: somebody changed it meanwhile, it has amendments, or its base has another text.
        BadInput: the text or the paragraphs do not fit.
    """
    motion = _own(tx, meeting_id, motion_id, member)
    follow(motion.state, Verb.CHANGE)
    if motion.version != version:
        raise motions.changed()
    text = clean(text, may_be_empty=bool(motion.base))
    after = replace(motion, title=title, text=text, hash=text_hash(text))
    if motion.base:
        after = _fitted(tx, after, place)
    elif place is not None:
        raise WrongState("motion.no-amendment", "Only an amendment replaces paragraphs of another text.")
    elif after.hash != motion.hash and any(one.state in LIVE for one in motions.amendments(tx, motion)):
        raise Conflict("motion.amendments-open", "There are amendments to this text; it changes through them now.")
    if after == motion:
        return motion.version
    if (after.title, after.hash, after.span) != (motion.title, motion.hash, motion.span):
        motions.clear_seconders(tx, motion.id)
    after = motions.save(tx, after)
    _tell_change(tx, after, now)
    return after.version


def _fitted(tx: Connection, amendment: Motion, place: Place | None) -> Motion:
    base = motions.get(tx, amendment.meeting, amendment.base)
    if place is not None:
        return _placed(tx, amendment, base, place)
    if not amendment.collides and amendment.base_hash == base.hash:
        check_edit(amendment.edit, base.text)
    return amendment


def _tell_change(tx: Connection, motion: Motion, now: int) -> None:
    if motion.state is not MotionState.DRAFT:
        body = {"motion": motion.id, "title": motion.title, "hash": motion.hash, "version": motion.version}
        events.append(tx, motion.meeting, "MotionChanged", now, body)


def submit(tx: Connection, meeting_id: str, member: str, motion_id: str, now: int) -> None:
    """Make an own draft public, under the next number.

    Raises:
        NotFound, Forbidden, WrongState: no such motion, not the mover, submitted already, or its base is decided.
        Conflict: the base has another text now.
        TooMany: a hundred motions, or amendments to this one; or twenty of a member who is no chair or secretary.
    """
    motion = _own(tx, meeting_id, motion_id, member)
    state = follow(motion.state, Verb.SUBMIT)
    everything = [one for one in motions.of_meeting(tx, meeting_id) if one.number]
    public = [one for one in everything if one.base == motion.base]
    if len(public) >= (AMENDMENTS_MAX if motion.base else MOTIONS_MAX):
        raise TooMany("motion.too-many", "There are a hundred of these already.")
    unit = meetings.get(tx, meeting_id).unit
    if sum(one.moved_by(member) for one in everything) >= OWN_MAX and not rights.allowed(
        tx, member, Action.WRITE_QUESTION, unit, now
    ):
        raise TooMany("motion.too-many-own", f"You have submitted {OWN_MAX} motions to this meeting already.")
    number = f"M{len(public) + 1}"
    if motion.base:
        base = motions.get(tx, meeting_id, motion.base)
        follow(base.state, Verb.AMEND)
        if motion.collides or motion.base_hash != base.hash:
            raise Conflict("motion.text-changed", CHANGED)
        number = f"{base.number}-A{len(public) + 1}"
    needed = motions.seconders_needed(tx, meeting_id)
    motion = replace(motion, state=state, number=number, seconders_needed=needed)
    motions.save(tx, motion)
    body = {
        "motion": motion.id,
        "number": number,
        "base": motion.base,
        "item": motion.item,
        "title": motion.title,
        "hash": motion.hash,
        "movers": [{"member": one.member, "name": one.name} for one in motion.movers],
        "seconders_needed": needed,
    }
    events.append(tx, meeting_id, "MotionSubmitted", now, body)


def second(tx: Connection, meeting_id: str, member: str, motion_id: str, now: int) -> None:
    """Join a motion; the last one who is needed makes it seconded.

    Raises:
        NotFound, WrongState: no such motion, the meeting is over, or it is not submitted or admitted already.
        Forbidden: not entitled to vote here, removed, or its mover.
        Conflict: joined already.
    """
    meeting = _taking_part(tx, meeting_id, member)
    motion = visible(tx, meeting_id, motion_id, member)
    if not rights.is_entitled(tx, meeting, member, now):
        raise Forbidden("motion.not-entitled", "Only members who may vote here join a motion.")
    if motion.moved_by(member):
        raise Forbidden("motion.own-motion", "The mover cannot second the own motion.")
    follow(motion.state, Verb.SECOND)
    if any(one.member == member for one in motion.seconders):
        raise Conflict("motion.seconded-already", "You have seconded this motion already.")
    backer = Backer(member, members.get(tx, member).name)
    motions.add_seconder(tx, motion, backer)
    motions.save(tx, _completed(replace(motion, seconders=(*motion.seconders, backer))))
    body = {"motion": motion.id, "member": member, "name": backer.name}
    events.append(tx, meeting_id, "MotionSeconded", now, body)


def _completed(motion: Motion) -> Motion:
    enough = len(motion.seconders) >= max(1, motion.seconders_needed) and not motion.collides
    if motion.state is MotionState.SUBMITTED and enough:
        return replace(motion, state=follow(motion.state, Verb.COMPLETE))
    return motion


def withdraw(tx: Connection, meeting_id: str, member: str, motion_id: str, now: int) -> None:
    """Take an own motion back, and what was to amend it.

    Raises:
        NotFound, Forbidden, WrongState: no such motion, not the mover, or it is being voted on or decided.
    """
    _end(tx, _own(tx, meeting_id, motion_id, member), Verb.WITHDRAW, now)


def admit(tx: Connection, meeting_id: str, member: str, motion_id: str, now: int) -> None:
    """Let a motion be dealt with (chair).

    Raises:
        NotFound, Forbidden, WrongState: no such motion, no chair, too few seconders, or it does not fit its base.
    """
    motion = _led(tx, meeting_id, member, motion_id, now)
    may_admit(motion)
    motions.save(tx, replace(motion, state=follow(motion.state, Verb.ADMIT)))
    events.append(tx, meeting_id, "MotionAdmitted", now, {"motion": motion.id})


def refer(tx: Connection, meeting_id: str, member: str, motion_id: str, now: int) -> None:
    """Refer a motion to others without a decision, and what was to amend it (chair).

    Raises:
        NotFound, Forbidden, WrongState: no such motion, not the chair, it is being voted on or decided, or the
            meeting is interrupted or has lost its quorum.
    """
    motion = _led(tx, meeting_id, member, motion_id, now)
    advance(meetings.get(tx, meeting_id).state, Act.REFER_MOTION)
    _end(tx, motion, Verb.REFER, now)


def _led(tx: Connection, meeting_id: str, member: str, motion_id: str, now: int) -> Motion:
    meeting = meetings.get(tx, meeting_id)
    presiding.require_chair(tx, meeting, member, now)
    advance(meeting.state, Act.WRITE_QUESTION)
    return visible(tx, meeting_id, motion_id, member)


def _end(tx: Connection, motion: Motion, verb: Verb, now: int) -> None:
    state = follow(motion.state, verb)
    amendments = [one for one in motions.amendments(tx, motion) if one.state in LIVE]
    if any(one.state is MotionState.VOTING for one in amendments):
        raise Conflict("motion.another-voting", "An amendment to this motion is being voted on.")
    kind = "MotionWithdrawn" if verb is Verb.WITHDRAW else "MotionReferred"
    for one in [*amendments, motion]:
        motions.save(tx, replace(one, state=state))
        if one.number:
            events.append(tx, motion.meeting, kind, now, {"motion": one.id})


def rebase(tx: Connection, meeting_id: str, member: str, motion_id: str, now: int) -> None:
    """Say that an own amendment, as it stands, is meant for the new text of its base.

    Raises:
        NotFound, Forbidden, WrongState: no such motion, not the mover, no amendment, or one of them is decided.
        BadInput: the new text has no such paragraphs.
    """
    motion = _own(tx, meeting_id, motion_id, member)
    if not motion.base:
        raise WrongState("motion.no-amendment", "Only an amendment replaces paragraphs of another text.")
    follow(motion.state, Verb.REBASE)
    base = motions.get(tx, meeting_id, motion.base)
    fitted = _placed(tx, motion, base, Place(base.hash, motion.span))
    _tell_change(tx, motions.save(tx, _completed(fitted)), now)


def declare_conflict(tx: Connection, meeting_id: str, member: str, motion_id: str, declared: bool, now: int) -> None:
    """Declare an own conflict of interest in a motion, or take that back before the vote is open.

    Raises:
        NotFound, WrongState: no such motion, or it is a draft or decided.
        Forbidden: not entitled to vote here, or removed.
    """
    meeting = _taking_part(tx, meeting_id, member)
    motion = visible(tx, meeting_id, motion_id, member)
    if not rights.is_entitled(tx, meeting, member, now):
        raise Forbidden("motion.not-entitled", "Only members who may vote here have a vote to stay away from.")
    if motion.state is MotionState.DRAFT:  # the event would tell everybody of it
        raise WrongState("motion.wrong-state", "Submit this motion first.")
    if motion.state not in LIVE:
        raise WrongState("motion.wrong-state", "This motion is decided already.")
    if (member in motion.conflicts) is declared:
        return
    motions.set_conflict(tx, motion.id, member, declared)
    body = {"motion": motion.id, "member": member, "name": members.get(tx, member).name, "declared": declared}
    events.append(tx, meeting_id, "ConflictDeclared", now, body)
    for one in [motion, *motions.amendments(tx, motion)]:
        for vote in motions.votes_of(tx, [one.id]):
            motion_votes.exclude_conflicts(tx, motions.get(tx, meeting_id, one.id), vote, now)


def put_to_vote(
    tx: Connection, meeting_id: str, session: SessionInfo, motion_id: str, wanted: Ballot, now: int, rng: Rng
) -> str:
    """Draft the vote on a motion in one step; return the election's id.

    Raises:
        NotFound, Forbidden: no such motion, or the actor is neither chair nor secretary.
        WrongState: the motion is not admitted.
        Conflict: its amendments are undecided, its text does not fit, or there is such a draft already.
        BadInput: majority and tie rule do not fit together.
    """
    motion = visible(tx, meeting_id, motion_id, session.member_id)
    follow(motion.state, Verb.PUT)
    motion_votes.check_votable(tx, motion)
    _refuse_twice(tx, motion, wanted)
    name = f"{motion.number}: {motion.title}"
    election = elections.draft_election(
        tx,
        meeting_id,
        session,
        elections.Draft(
            agenda_item=motion.item,
            title=_cut(name),
            questions=(yes_no_abstain(f"{name} (SHA-256: {motion.hash})"),),
            secrecy=wanted.secrecy,
            voting_again="once",
            majority=wanted.majority,
            tie=wanted.tie,
            closes_after_s=0,
            kiosk=False,
            grace_s=wanted.grace_s,
            motion=motion.id,
        ),
        now,
        rng,
    )
    vote = Vote(election, motion.id, motion.hash)
    motions.cite(tx, vote)
    motion_votes.exclude_conflicts(tx, motion, vote, now)
    return election


def _refuse_twice(tx: Connection, motion: Motion, wanted: Ballot) -> None:
    cited = {vote.election for vote in motions.votes_of(tx, [motion.id]) if vote.hash == motion.hash}
    for one in elections_of(tx, motion.meeting):
        rules = Ballot(one.secrecy, (one.majority["kind"], one.majority["of"]), one.tie, one.grace_s)
        if one.id in cited and not one.manifest_text and rules == wanted:
            raise Conflict("motion.put-already", "This vote is drafted already; open it.", {"election": one.id})


def _cut(text: str) -> str:
    """Return a title that fits into an election's."""
    raw = text.encode("utf-8")
    return text if len(raw) <= TEXT_MAX else raw[: TEXT_MAX - 3].decode("utf-8", "ignore") + "…"


def set_seconders_needed(tx: Connection, meeting_id: str, member: str, seconders: int, now: int) -> None:
    """Set how many seconders motions need that are submitted from now on (chair, secretary).

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, or the meeting is over.
    """
    meeting = meetings.get(tx, meeting_id)
    rights.require(tx, member, Action.WRITE_QUESTION, meeting.unit, now)
    advance(meeting.state, Act.WRITE_QUESTION)
    motions.set_seconders_needed(tx, meeting_id, seconders)
    events.append(tx, meeting_id, "MotionRulesSet", now, {"seconders": seconders})
