"""Asking those present whether they are still there; whoever does not answer keeps the seat."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from sqlalchemy import Connection

from folkmoot_server.commands import presiding
from folkmoot_server.commands.identity import evidence_of, verify_signed
from folkmoot_server.domain.attendance import fold
from folkmoot_server.domain.errors import BadInput, Conflict, Forbidden, WrongState
from folkmoot_server.domain.identity import Purpose, SessionInfo, Signed
from folkmoot_server.domain.ids import Rng, from_b64u, new_id
from folkmoot_server.domain.meetings import ROOM_STATES
from folkmoot_server.domain.presence import WITHIN_MAX_S, WITHIN_MIN_S, Ask, count_missed
from folkmoot_server.storage import events, meetings, presence, rolls, seats, sites
from folkmoot_server.webauthn_policy import RelyingParty
from folkmoot_voting import challenges

NO_LIMIT = -1


def ask(
    tx: Connection,
    meeting_id: str,
    actor: str,
    wanted: Collection[str],
    site: str,
    within_s: int,
    *,
    now: int,
    rng: Rng,
) -> str:
    """Ask some members who are present, or all at a site or everywhere, and return the asking's id.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting or site, the actor does not preside, or it has no room now.
        BadInput: members and a site are named, or the time is not 60 to 600 seconds.
        Conflict: an asking runs, somebody named is not present, or nobody is.
    """
    meeting = meetings.get(tx, meeting_id)
    presiding.require_chair(tx, meeting, actor, now)
    if meeting.state not in ROOM_STATES:
        raise WrongState("meeting.wrong-state", f"This cannot be done while the meeting is {meeting.state.value}.")
    if wanted and site:
        raise BadInput("presence.members-and-site", "Ask members by name, or all at a site.")
    if not WITHIN_MIN_S <= within_s <= WITHIN_MAX_S:
        raise BadInput("presence.within", f"Members have {WITHIN_MIN_S} to {WITHIN_MAX_S} seconds to answer.")
    if site:
        sites.get(tx, meeting_id, site)
    if presence.running(tx, meeting_id):
        raise Conflict("presence.running", "Members are being asked already.")
    here = {seat.member for seat in seats.present(tx, meeting_id) if site in ("", seat.site)}
    if not here.issuperset(wanted):
        raise Conflict("presence.not-present", "Only who is present can be asked.")
    asked = set(wanted) or here
    if not asked:
        raise Conflict("presence.nobody", "Nobody is present there.")
    found = Ask(new_id(rng), meeting_id, site, now, now + within_s, 0, 0, dict.fromkeys(asked, 0))
    presence.add(tx, found)
    body = {"presence": found.id, "site": site, "asked": len(asked), "until": found.until}
    events.append(tx, meeting_id, "PresenceAsked", now, body)
    return found.id


def confirm(
    tx: Connection,
    rp: RelyingParty,
    meeting_id: str,
    presence_id: str,
    session: SessionInfo,
    signed: Signed,
    now: int,
) -> None:
    """Take a member's passkey as the answer; answering again changes nothing.

    Raises:
        NotFound: no such asking.
        Forbidden: the member was not asked.
        WrongState: it is over.
        Refused: the nonce, the passkey or its answer does not fit.
    """
    found = presence.get(tx, meeting_id, presence_id)
    member = session.member_id
    if member not in found.answers:
        raise Forbidden("presence.not-asked", "You were not asked.")
    if found.over_at or now >= found.until:
        raise WrongState("presence.over", "The time to answer is over.")
    credential = rolls.newest_credential(tx, meeting_id, member) or ""

    def challenge(nonce: bytes) -> bytes:
        return challenges.presence(meeting_id, presence_id, from_b64u(credential), nonce)

    verify_signed(tx, rp, session, Purpose.PRESENCE, challenge, signed, now)
    if found.answers[member]:
        return
    said = {"type": "presence", "meeting": meeting_id, "presence": presence_id, "credential": credential}
    presence.confirm(tx, presence_id, member, now, evidence_of(said, signed))


def due(tx: Connection, now: int) -> list[Ask]:
    """Return the askings of which the log has something to tell."""
    return [one for one in presence.running(tx) if _is_over(one, now) or one.confirmed > one.told]


def _is_over(one: Ask, now: int) -> bool:
    return now >= one.until or one.confirmed == len(one.answers)


def tell(tx: Connection, now: int) -> None:
    """Tell how many have confirmed, and end what is over. Sent by the scheduler every second."""
    for one in due(tx, now):
        if meetings.get(tx, one.meeting).state not in ROOM_STATES:
            presence.end(tx, [one.id], now)  # everybody has gone, and nobody has missed it
            continue
        if one.confirmed > one.told:
            presence.set_told(tx, one.id, one.confirmed)
            body = {"presence": one.id, "confirmed": one.confirmed}
            events.append(tx, one.meeting, "PresenceConfirmed", now, body)
        if _is_over(one, now):
            _end(tx, one, now)


def _end(tx: Connection, one: Ask, now: int) -> None:
    presence.end(tx, [one.id], now)
    lost = count_missed(replace(one, over_at=now), fold(events.of_meeting(tx, one.meeting, 0, NO_LIMIT)))
    if lost:
        events.append(tx, one.meeting, "PresenceMissed", now, {"presence": one.id, "missed": lost})
