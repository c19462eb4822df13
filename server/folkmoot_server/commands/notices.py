"""What follows a notice: a waived notice period, receipts, excuses."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from folkmoot_server.commands import rights
from folkmoot_server.commands.identity import StepUp, evidence_of, signed_action
from folkmoot_server.domain.errors import Conflict, Forbidden, NotFound
from folkmoot_server.domain.identity import SessionInfo
from folkmoot_server.domain.meetings import Act, advance
from folkmoot_server.domain.notices import Receipt
from folkmoot_server.domain.roles import Action
from folkmoot_server.storage import events, meetings, members, notices


def waive(tx: Connection, meeting_id: str, session: SessionInfo, reason: str, step_up: StepUp, now: int) -> None:
    """Let a meeting be convened, or moved, without its notice period; the signed reason is kept.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, or check-in has begun.
        Conflict: it was waived already.
        Refused: the step-up does not fit.
    """
    meeting = meetings.get(tx, meeting_id)
    rights.require(tx, session.member_id, Action.CONVENE, meeting.unit, now)
    advance(meeting.state, Act.WAIVE_NOTICE)
    if meeting.waived:
        raise Conflict("notice.waived-already", "The notice period of this meeting was waived already.")
    expected = {"type": "waive-notice", "meeting": meeting_id, "reason": reason}
    signed_action(tx, step_up.rp, session, expected, step_up.action, step_up.signed, now)
    evidence = evidence_of(expected, step_up.signed)
    notices.keep_signed(tx, meeting_id, session.member_id, "waive-notice", now, evidence)
    meetings.save(tx, replace(meeting, waived=True))
    events.append(tx, meeting_id, "NoticeWaived", now, {"reason": reason})


def confirm(tx: Connection, meeting_id: str, member: str, receipt: Receipt, now: int) -> None:
    """Keep when a notice reached a member, or was read; the first time stays.

    Raises:
        NotFound, WrongState: no such meeting, not convened yet, or over.
        Forbidden: the member was not called.
    """
    advance(meetings.get(tx, meeting_id).state, Act.CONFIRM_RECEIPT)
    notice = notices.find(tx, meeting_id, member)
    if notice is None:
        raise Forbidden("notice.not-called", "You were not called to this meeting.")
    confirmed = notice.confirmed(receipt, now)
    if confirmed != notice:
        notices.save(tx, meeting_id, confirmed)


def excuse(tx: Connection, meeting_id: str, actor: str, member: str, excused: bool, reason: str, now: int) -> None:
    """Note that a member cannot come, or can after all; the reason is for the officers alone.

    Raises:
        NotFound, WrongState: no such meeting, not convened yet, or over; or the member was not called.
        Forbidden: somebody else, and the actor is neither chair nor secretary.
    """
    meeting = meetings.get(tx, meeting_id)
    if member != actor:
        rights.require(tx, actor, Action.CONVENE, meeting.unit, now)
    advance(meeting.state, Act.EXCUSE)
    notice = notices.find(tx, meeting_id, member)
    if notice is None:
        raise NotFound("notice.unknown-member", "This member was not called to the meeting.")
    notices.save(tx, meeting_id, replace(notice, excused=excused, reason=reason if excused else ""))
    if notice.excused is not excused:
        kind = "MemberExcused" if excused else "ExcuseWithdrawn"
        body = {"member": member, "name": members.get(tx, member).name}
        events.append(tx, meeting_id, kind, now, body)
