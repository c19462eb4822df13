"""Motions, differences and resolutions as clients see them (conduct.md section 6)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from folkmoot_server.commands import closed_sessions, rights
from folkmoot_server.commands.motions import visible
from folkmoot_server.domain import diffs
from folkmoot_server.domain.audience import Audience
from folkmoot_server.domain.errors import NotFound, WrongState
from folkmoot_server.domain.identity import SessionInfo
from folkmoot_server.domain.meetings import Meeting
from folkmoot_server.domain.motions import Motion, collisions, paragraphs
from folkmoot_server.storage import closed_sessions as closed_session_store
from folkmoot_server.storage import meetings, motions
from folkmoot_server.storage.motions import Resolution


def motions_view(tx: Connection, meeting: str) -> list[dict[str, Any]]:
    """Return the public motions of a meeting without their texts."""
    everything = motions.of_meeting(tx, meeting)
    return _listed(tx, meeting, [one for one in everything if one.number], everything)


def motion_rules(tx: Connection, meeting: str) -> dict[str, int]:
    """Return the rule for seconders."""
    return {"seconders": motions.seconders_needed(tx, meeting)}


def without_conflicts(motion: dict[str, Any]) -> dict[str, Any]:
    """Return a motion as those see it who neither vote here nor hold an office."""
    return {**motion, "conflicts": []}


def drafts_view(tx: Connection, meeting: str, member: str) -> list[dict[str, Any]]:
    """Return the member's own drafts without their texts."""
    own = motions.drafts_of(tx, meeting, member)
    return _listed(tx, meeting, own, []) if own else []


def _listed(tx: Connection, meeting: str, chosen: Sequence[Motion], all_of: Sequence[Motion]) -> list[dict[str, Any]]:
    votes: dict[str, list[str]] = defaultdict(list)
    for vote in motions.votes_of(tx, [one.id for one in chosen]):
        votes[vote.motion].append(vote.election)
    adopted, meeting_each_other = motions.resolutions_of(tx, meeting), collisions(all_of)
    return [
        motion_json(one, votes[one.id], adopted.get(one.id), meeting_each_other.get(one.id, [])) for one in chosen
    ]


def motion_json(
    motion: Motion, votes: Sequence[str], resolution: Resolution | None, collides_with: Sequence[str]
) -> dict[str, Any]:
    """Return a motion of conduct.md section 6 without its text."""
    return {
        "motion": motion.id,
        "number": motion.number,
        "base": motion.base,
        "item": motion.item,
        "title": motion.title,
        "hash": motion.hash,
        "from": motion.span.first,
        "to": motion.span.last,
        "base_hash": motion.base_hash,
        "movers": [{"member": one.member, "name": one.name} for one in motion.movers],
        "seconders": [{"member": one.member, "name": one.name} for one in motion.seconders],
        "seconders_needed": motion.seconders_needed,
        "state": motion.state.value,
        "collides": motion.collides,
        "collides_with": list(collides_with),
        "conflicts": list(motion.conflicts),
        "elections": list(votes),
        "resolution": resolution.name if resolution else "",
        "version": motion.version,
    }


def motion_view(tx: Connection, meeting: Meeting, motion_id: str, member: str, now: int) -> dict[str, Any]:
    """Return one motion with its text.

    Raises:
        NotFound: no such motion for this member.
    """
    motion = visible(tx, meeting.id, motion_id, member)
    (listed,) = _listed(tx, meeting.id, [motion], motions.of_meeting(tx, meeting.id))
    if rights.audience(tx, meeting, member, now) is not Audience.MEMBERS:
        listed = without_conflicts(listed)
    return {**listed, "text": motion.text}


def diff_view(tx: Connection, meeting: str, motion_id: str, member: str) -> dict[str, Any]:
    """Return an amendment against the text that it was written for, or against the new one when it has to be fitted.

    Raises:
        NotFound: no such motion for this member.
        WrongState: it is no amendment.
    """
    motion = visible(tx, meeting, motion_id, member)
    if not motion.base:
        raise WrongState("motion.no-amendment", "Only an amendment differs from another text.")
    if motion.collides:
        base = motions.get(tx, meeting, motion.base).text
    else:
        base = motions.kept_text(tx, motion.base, motion.base_hash)
    old, span = paragraphs(base), motion.span
    inner = diffs.by_paragraphs(old[span.first : span.last], paragraphs(motion.text))
    before = [_line(diffs.Line(diffs.KEEP, place, text)) for place, text in enumerate(old[: span.first])]
    after = [_line(diffs.Line(diffs.KEEP, span.last + place, text)) for place, text in enumerate(old[span.last :])]
    return {"lines": [*before, *(_line(one, span.first) for one in inner), *after]}


def _line(line: diffs.Line, shift: int = 0) -> dict[str, Any]:
    return {
        "op": line.op,
        "paragraph": line.paragraph + shift,
        "text": line.text,
        "words": [{"op": run.op, "text": run.text} for run in line.words],
    }


def resolutions_view(tx: Connection, unit: str, session: SessionInfo, now: int) -> dict[str, Any]:
    """Return the register of a unit, the latest first.

    Raises:
        NotFound: no such unit for this member.
    """
    if not rights.may_read(tx, session.member_id, unit, now):
        raise NotFound("unit.unknown", "There is no such unit.")
    listed = motions.resolutions(tx, unit)
    shut = _shut(tx, listed, session, now)
    return {"resolutions": [_resolution(one) for one in listed if one.motion not in shut]}


def _shut(tx: Connection, listed: Sequence[Resolution], session: SessionInfo, now: int) -> set[str]:
    """Return those adopted in a closed session that still runs and to which the reader is not admitted."""
    found = set()
    for meeting, history in closed_session_store.histories(tx, {one.meeting for one in listed}).items():
        running = closed_session_store.running(tx, meeting) if history.running is not None else None
        if running is not None and closed_sessions.is_outside(tx, meetings.get(tx, meeting), session, now):
            found |= {one.motion for one in listed if one.meeting == meeting and one.adopted_at >= running.since}
    return found


def resolution_view(tx: Connection, motion: str, session: SessionInfo, now: int) -> dict[str, Any]:
    """Return a resolution with its text.

    Raises:
        NotFound: no such resolution for this member.
    """
    found = motions.resolution_of(tx, motion)
    if not rights.may_read(tx, session.member_id, found.unit, now) or _shut(tx, [found], session, now):
        raise NotFound("resolution.unknown", "There is no such resolution.")
    return {**_resolution(found), "text": found.text}


def _resolution(one: Resolution) -> Mapping[str, Any]:
    return {
        "id": one.motion,
        "resolution": one.name,
        "unit": one.unit,
        "title": one.title,
        "hash": one.hash,
        "meeting": one.meeting,
        "election": one.election,
        "adopted_at": one.adopted_at,
    }
