"""Relays are enrolled by a code, start with their key, hold the lease of their hall and are revoked (relay.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from folkmoot_server.commands import hall_presence, rights
from folkmoot_server.commands import sites as site_commands
from folkmoot_server.domain import relays as domain
from folkmoot_server.domain.attendance import REMOTE
from folkmoot_server.domain.errors import BadInput, Conflict, FolkmootError, Forbidden, NotFound, NotSignedIn
from folkmoot_server.domain.ids import Rng, b64u, new_id, token_hash
from folkmoot_server.domain.meetings import FINAL, ROOM_STATES, Meeting
from folkmoot_server.domain.relays import Alert, Cursor, Session, State, Verb, follow
from folkmoot_server.domain.roles import Action
from folkmoot_server.domain.sites import HEARD_STATES, lease_end
from folkmoot_server.storage import events, meetings, relays, rolls, sites
from folkmoot_server.storage.relays import Place, Relay, Start
from folkmoot_voting import signing

ALERTS = (Alert.TWICE, Alert.CLOCK, Alert.FORKED, Alert.REWOUND)


@dataclass(frozen=True, slots=True)
class StartRequest:
    """A start as the relay signed it; epoch and upto are the last and the largest that it has heard of."""

    relay: str
    at: int
    nonce: bytes
    epoch: int
    upto: int
    sig: bytes


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A new relay."""

    relay: str
    meeting: str
    site: str
    origin: str


def make_code(
    tx: Connection,
    meeting_id: str,
    site: str,
    actor: str,
    origin: str,
    own_origins: tuple[str, ...],
    rp_id: str,
    *,
    now: int,
    rng: Rng,
) -> tuple[str, int]:
    """Return a code that enrols a relay for a site, and until when it is taken; an earlier code is void.

    Raises:
        Forbidden: the actor is neither chair nor secretary.
        NotFound, WrongState: no such site, or the meeting is over.
        BadInput: members by themselves have no relay.
        Refused: the origin does not fit the relying party.
        Conflict: a new origin after the roll was frozen, or the eighth.
    """
    meeting = _managed(tx, meeting_id, site, actor, now)
    if site == REMOTE:
        raise BadInput("relay.no-hall", "Members by themselves have no relay.")
    origin = domain.check_origin(origin, rp_id)
    origin = "" if origin in own_origins else origin
    _require_listed(tx, meeting.id, site, origin)
    code = domain.new_code(rng)
    until = now + domain.CODE_S
    relays.save_code(tx, Place(meeting.id, site, origin, until), token_hash(code.encode()))
    return domain.shown_code(code), until


def _require_listed(tx: Connection, meeting: str, site: str, origin: str) -> None:
    """Refuse an origin that the roll does not list, or that it could not list."""
    if not origin:
        return
    found = rolls.find(tx, meeting)
    if found is not None and found.statement is not None:
        if origin not in found.core["rp"]["origins"]:
            raise Conflict(
                "relay.roll-frozen",
                "The roll is frozen, and passkeys that answer at this address would not count. "
                "Name the addresses of relays before the roll is frozen.",
            )
        return
    others = {one for other, one in relays.origins(tx, meeting).items() if other != site}
    if len(others | {origin}) > domain.RELAYS_MAX:
        raise Conflict("relay.too-many", f"At most {domain.RELAYS_MAX} relays of a meeting have their own address.")


def _managed(tx: Connection, meeting_id: str, site: str, actor: str, now: int) -> Meeting:
    meeting = meetings.get(tx, meeting_id)
    rights.require(tx, actor, Action.MANAGE_RELAYS, meeting.unit, now)
    if meeting.state in FINAL:
        raise Conflict("meeting.wrong-state", "The meeting is over.")
    sites.get(tx, meeting_id, site)
    return meeting


def enrol(tx: Connection, code: str, key: bytes, sig: bytes, *, now: int, rng: Rng) -> Enrolled:
    """Let a key speak for the site of a code; the relay that did so before ends.

    Raises:
        Forbidden: no such code now, the key has not signed, or it was enrolled before.
    """
    plain = domain.plain_code(code)
    signed = signing.is_valid(key, domain.enrol_hash(plain, key), sig)
    place = relays.take_code(tx, token_hash(plain.encode()), now) if plain and signed else None
    if place is None or relays.has_key(tx, key):
        raise Forbidden("relay.code", "This code is not known here, was used or is too old; ask for a new one.")
    before = relays.of_site(tx, place.meeting, place.site, State.ENROLLED, State.REVOKED, State.TWICE)
    for old in before:
        relays.change(tx, old.id, state=follow(old.state, Verb.REPLACE).value)
        if old.state is State.ENROLLED:
            _tell(tx, old, "RelayRevoked", now)
    new = Relay(
        new_id(rng), place.meeting, place.site, key, place.origin, State.ENROLLED, 0, Cursor(0, b""), 0, (0, 0, 0)
    )
    relays.add(tx, new, now)
    _settle(tx, new)
    _tell(tx, new, "RelayEnrolled", now)
    return Enrolled(new.id, new.meeting, new.site, new.origin)


def revoke(tx: Connection, meeting_id: str, site: str, actor: str, now: int) -> None:
    """End what the relay of a site may do; an unused code is void too.

    Raises:
        Forbidden: the actor is neither chair nor secretary.
        NotFound: no such site, or it has neither relay nor code.
    """
    _managed(tx, meeting_id, site, actor, now)
    found = relays.of_site(tx, meeting_id, site, State.ENROLLED, State.TWICE)
    place = relays.place(tx, meeting_id, site)
    if not found and (place is None or place.code_until <= now):
        raise NotFound("relay.none", "This site has no relay.")
    if place is not None:
        relays.save_code(tx, Place(meeting_id, site, place.origin, 0), b"")
    for relay in found:
        relays.change(tx, relay.id, state=follow(relay.state, Verb.REVOKE).value)
        _settle(tx, relay)
        _tell(tx, relay, "RelayRevoked", now)


def start(
    tx: Connection, wanted: StartRequest, secret: bytes, *, now: int, rng: Rng
) -> dict[str, Any] | FolkmootError:
    """Begin a new epoch and return the answer of relay.md section 1, or the refusal of a key that two computers use.

    That refusal is returned, not raised: that it happened is kept.

    Raises:
        Forbidden: no such relay, it has not signed, or it may not speak any more.
        Conflict: the nonce was taken before.
    """
    relay = relays.find(tx, wanted.relay)
    digest = domain.start_hash(wanted.relay, wanted.at, wanted.nonce, wanted.epoch, wanted.upto)
    if relay is None or not signing.is_valid(relay.key, digest, wanted.sig):
        raise Forbidden("relay.unknown", "There is no such relay, or this is not its key.")
    require_state(relay.state)
    if not relays.take_nonce(tx, relay.id, wanted.nonce):
        raise Conflict("relay.replayed", "This start was taken already.")
    if domain.is_twice(wanted.epoch, relays.newest_used(tx, relay.id)):
        _tell(tx, relay, "RelayTwice", now, Alert.TWICE)
        if relays.add_twice(tx, relay.id, now, domain.TWICE_WITHIN_S) >= domain.TWICE_MAX:
            relays.change(tx, relay.id, state=follow(relay.state, Verb.FIND_TWICE).value)
            return refusal(State.TWICE)
    find_rewound(tx, relay, wanted.upto, wanted.epoch, now)
    epoch = max(relay.epoch, wanted.epoch) + 1
    off_s = domain.clock_off(wanted.at, now)
    token = rng(32)
    begun = Start(relay.id, epoch, now, used=False, clock_told=off_s != 0)
    relays.add_start(tx, begun, token_hash(token))
    if off_s:
        tell_clock(tx, relay, off_s, now)
    roll = rolls.find(tx, relay.meeting)
    return {
        "token": b64u(token),
        "epoch": epoch,
        "now": now,
        "seed": b64u(domain.seed(secret, relay.id, epoch)),
        "seed_until": now + domain.SESSION_S,
        "upto": relay.cursor.upto,
        "head": b64u(relay.cursor.head),
        "origin": relay.origin,
        "roll": None if roll is None else roll.statement,
    }


def require_state(state: State) -> None:
    """Refuse a relay that may not speak for its hall any more.

    Raises:
        Forbidden: it is so.
    """
    if state is not State.ENROLLED:
        raise refusal(state)


def refusal(state: State) -> Forbidden:
    """Return what a relay hears that may not speak any more."""
    if state is State.TWICE:
        return Forbidden("relay.twice", "Two computers use this relay's key; the chair must admit a relay anew.")
    return Forbidden("relay.revoked", "This relay does not belong to the meeting any more.")


def session_of(tx: Connection, token: bytes, now: int) -> Session:
    """Return the relay behind a token.

    Raises:
        NotSignedIn: unknown, or older than twelve hours.
        Forbidden: the relay was revoked or refused, or its site was removed.
        Conflict: it has started anew since.
    """
    begun = relays.start_of(tx, token_hash(token))
    relay = None if begun is None else relays.find(tx, begun.relay)
    if begun is None or relay is None or now >= begun.started_at + domain.SESSION_S:
        raise NotSignedIn("relay.no-session", "The relay must start anew.")
    require_state(relay.state)
    if sites.find(tx, relay.meeting, relay.site) is None:
        raise refusal(State.REVOKED)
    if begun.epoch != relay.epoch:
        raise Conflict("relay.superseded", "This relay has started again since; only its newest start counts.")
    return Session(
        relay.id, relay.meeting, relay.site, relay.key, relay.origin, begun.epoch, begun.started_at, begun.used
    )


def mark_used(tx: Connection, session: Session) -> None:
    """Note that the answer to a start was heard."""
    found = relays.start_at(tx, session.relay, session.epoch)
    if found is not None and found.epoch == session.epoch:
        relays.mark(tx, found, used=1)


def current(tx: Connection, session: Session) -> Relay:
    """Return the relay of a session in a transaction that writes, if it still may.

    Raises:
        Forbidden, Conflict: revoked, refused or superseded since the session was looked at.
    """
    relay = relays.find(tx, session.relay)
    if relay is None:
        raise Forbidden("relay.unknown", "There is no such relay.")
    require_state(relay.state)
    if relay.epoch != session.epoch:
        raise Conflict("relay.superseded", "This relay has started again since; only its newest start counts.")
    return relay


def lease(tx: Connection, session: Session, here: list[str], upto: int, now: int, ms: int = 0) -> dict[str, Any]:
    """Renew the lease of a hall and of the members whose phones are connected to its relay.

    `ms` are the milliseconds that `now` leaves out.

    Raises:
        Forbidden, Conflict: as `current`.
    """
    relay = current(tx, session)
    find_rewound(tx, relay, upto, session.epoch, now)
    relays.set_lease(tx, relay.id, now, ms)
    state = meetings.get(tx, relay.meeting).state
    if state in HEARD_STATES:
        site_commands.heard(tx, relay.meeting, relay.site, now, ms)
    if state in ROOM_STATES:
        hall_presence.renew(tx, relay.meeting, relay.site, here, now)
    return {"upto": relay.cursor.upto, "head": b64u(relay.cursor.head), "now": now}


def find_rewound(tx: Connection, relay: Relay, upto: int, epoch: int, now: int) -> None:
    """Tell the chair once when a relay has heard of more than this database knows: it was put back from a backup."""
    known = max(relay.rewound, relay.cursor.upto)
    if upto > known or epoch > relay.epoch:
        relays.change(tx, relay.id, rewound=max(upto, known))
        _tell(tx, relay, "RelayRewound", now, Alert.REWOUND)


def is_put_back(tx: Connection, session: Session, seq: int, at: int) -> bool:
    """Say whether a relay has heard of an event, of second `at`, that is none here or another one.

    Time goes on: what is told under the same number after the database was put back is of a later second.
    """
    found = events.of_meeting(tx, session.meeting, seq - 1, 1)
    return not found or found[0].at != at


def tell_put_back(tx: Connection, session: Session, now: int) -> None:
    """Tell the chair that a relay has heard of events that this database does not know.

    Raises:
        Forbidden, Conflict: as `current`.
    """
    _tell(tx, current(tx, session), "RelayRewound", now, Alert.REWOUND)


def tell_clock(tx: Connection, relay: Relay, off_s: int, now: int) -> None:
    """Tell the chair that a relay's clock is wrong by `off_s` seconds."""
    sites.raise_alert(tx, relay.meeting, relay.site, Alert.CLOCK.value, now)
    events.append(tx, relay.meeting, "RelayClock", now, {"site": relay.site, "off_s": off_s})


def tell_forked(tx: Connection, relay: Relay, now: int) -> None:
    """Tell the chair that a relay has told two stories under one number."""
    _tell(tx, relay, "RelayForked", now, Alert.FORKED)


def _tell(tx: Connection, relay: Relay, kind: str, now: int, alert: Alert | None = None) -> None:
    if alert is not None:
        sites.raise_alert(tx, relay.meeting, relay.site, alert.value, now)
    events.append(tx, relay.meeting, kind, now, {"site": relay.site})


def _settle(tx: Connection, relay: Relay) -> None:
    for alert in ALERTS:
        sites.dismiss_alert(tx, relay.meeting, relay.site, alert.value)


def lease_ends(tx: Connection, lost_s: int, watching_since: int) -> list[tuple[Relay, int]]:
    """Return the relays of meetings in session that were heard once, and when each is silent, in milliseconds."""
    found = []
    for meeting in meetings.in_states(tx, ROOM_STATES):
        for relay in relays.of_meeting(tx, meeting.id):
            heard_ms = relays.lease_ms(tx, relay.id)
            if heard_ms:
                found.append((relay, lease_end(heard_ms, watching_since, lost_s)))
    return found


def silent(tx: Connection, now: int, lost_s: int, watching_since: int, ms: int = 0) -> list[tuple[Relay, int]]:
    """Return the relays of meetings in session that were heard once and not for `lost_s`, and when last."""
    return [
        (relay, relays.lease_at(tx, relay.id))
        for relay, end in lease_ends(tx, lost_s, watching_since)
        if now * 1000 + ms >= end
    ]


def quiet(tx: Connection, now: int, watching_since: int, ms: int = 0) -> set[tuple[str, str]]:
    """Return meeting and site of each relay that was not heard for so long that its hall is degraded."""
    return {(relay.meeting, relay.site) for relay, _ in silent(tx, now, domain.DEGRADED_S, watching_since, ms)}


def some_lost(tx: Connection, now: int, lost_s: int, watching_since: int, ms: int = 0) -> bool:
    """Say whether `lose` would end anybody's interval."""
    return any(
        hall_presence.lost_with(tx, relay.meeting, relay.site, heard_at)
        for relay, heard_at in silent(tx, now, lost_s, watching_since, ms)
    )


def lose(tx: Connection, now: int, lost_s: int, watching_since: int, ms: int = 0) -> None:
    """End the intervals of those in halls whose relay is silent for `lost_s`, and of whom nothing was heard since.

    Sent by the scheduler. `watching_since` is when this server began to listen.
    """
    for relay, heard_at in silent(tx, now, lost_s, watching_since, ms):
        hall_presence.cut_off(tx, relay.meeting, relay.site, heard_at, now)


def require_from_hall(
    tx: Connection, meeting: str, site: str, carried_by: Session | None, now: int, lost_s: int
) -> None:
    """Refuse the code of a hall that comes from elsewhere, or tell the chair while its relay cannot say.

    Raises:
        Forbidden: the hall's relay is there, and has not passed this on.
    """
    if carried_by is not None and (carried_by.meeting, carried_by.site) == (meeting, site):
        return
    for relay in relays.of_site(tx, meeting, site, State.ENROLLED):
        heard_at = relays.lease_at(tx, relay.id)
        if not relay.origin or not heard_at:
            continue
        if now - heard_at < lost_s:
            raise Forbidden("relay.elsewhere", "This hall's code is taken from the hall's own network alone.")
        site_commands.tell_stray_code(tx, meeting, site, now)
