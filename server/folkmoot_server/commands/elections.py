"""Elections are drafted, opened and closed; opening and closing are signed by the chair's passkey."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from folkmoot_server.commands.attendance import presence
from folkmoot_server.commands.identity import signed_action
from folkmoot_server.commands.keys import key_generation
from folkmoot_server.commands.rights import require
from folkmoot_server.domain.elections import TIME_LIMIT_S, Phase, Verb, follow, require_options
from folkmoot_server.domain.errors import BadInput, NotFound, WrongState
from folkmoot_server.domain.identity import SessionInfo, Signed
from folkmoot_server.domain.ids import Rng, new_id
from folkmoot_server.domain.ledger import Notary, protocol_checked
from folkmoot_server.domain.meetings import Act, advance
from folkmoot_server.domain.roles import Action
from folkmoot_server.storage import board, elections, events, keys, ledger, meetings, rolls, settings
from folkmoot_server.storage.elections import StoredElection
from folkmoot_server.webauthn_policy import RelyingParty
from folkmoot_voting.board import entry_leaf, opening_entry
from folkmoot_voting.encoding import JsonObject, b64u, jcs, unb64u
from folkmoot_voting.keygen import TrusteesKey
from folkmoot_voting.manifest import (
    Manifest,
    Question,
    Rules,
    build_manifest,
    least_cosign_quorum,
    make_electorate,
)
from folkmoot_voting.roll import RollCore

ELECTIONS_MAX = 100


@dataclass(frozen=True, slots=True)
class Draft:
    """A question as it was written; texts are cleaned, majority is (kind, base)."""

    agenda_item: str
    title: str
    type: str
    text: str
    options: tuple[str, ...]
    majority: tuple[str, str]


@dataclass(frozen=True, slots=True)
class StepUp:
    """A signed action as it arrived, and the relying party that must have seen it."""

    rp: RelyingParty
    action: JsonObject
    signed: Signed


def draft_election(tx: Connection, meeting: str, session: SessionInfo, draft: Draft, now: int, rng: Rng) -> str:
    """Write a question for an agenda item and return the id of its election.

    Raises:
        Forbidden: the caller is neither chair nor secretary.
        NotFound: no such agenda item in this meeting.
        BadInput: options do not fit the type, or the meeting has a hundred elections.
    """
    facts = meetings.get(tx, meeting)
    require(tx, session.member_id, Action.WRITE_QUESTION, facts.unit, now)
    advance(facts.state, Act.WRITE_QUESTION)
    require_options(draft.type, draft.options)
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
            "type": draft.type,
            "text": draft.text,
            "options": list(draft.options),
            "majority_kind": draft.majority[0],
            "majority_of": draft.majority[1],
        },
    )
    events.append(tx, meeting, "ElectionDrafted", now, {"election": election})
    return election


def open_election(
    tx: Connection,
    meeting: str,
    election: str,
    session: SessionInfo,
    step_up: StepUp,
    *,
    notary: Notary,
    electorate_min: int,
    grace_s: int,
    now: int,
) -> JsonObject:
    """Freeze the electorate from those present now, publish the manifest and return it.

    Raises:
        Forbidden: the caller is not chair.
        WrongState: meeting not opened, key or cosigners missing, another election open, or not a draft.
        Refused: the step-up does not fit, or fewer than `electorate_min` are present.
    """
    facts = meetings.get(tx, meeting)
    require(tx, session.member_id, Action.OPEN_ELECTION, facts.unit, now)
    stored = elections.get(tx, meeting, election)
    state = follow(stored.state, Verb.OPEN)
    advance(facts.state, Act.OPEN_ELECTION)
    if any(one.state in (Phase.OPEN, Phase.CLOSING) for one in elections.of_meeting(tx, meeting)):
        raise WrongState("election.another-open", "Close the open election first.")
    _check_step_up(tx, "open-election", meeting, election, session, step_up, now)
    manifest, electorate = _build(tx, stored, notary, electorate_min, grace_s, now)
    opening = opening_entry(manifest.json)
    leaf = entry_leaf(opening)
    board.append(tx, election, [("opening", jcs(opening), leaf)])
    note = notary.checkpoint(manifest.board_origin, [leaf])
    elections.save(
        tx,
        stored,
        state,
        manifest=manifest.json,
        electorate=electorate,
        time_limit=manifest.time_limit,
        opening_checkpoint=note.text(),
        checkpoint=note.text(),
    )
    elections.add_electorate(tx, election, [one["credential"] for one in electorate])
    ledger.append(
        tx, notary, kind="opened", meeting=meeting, election=election, digest=note.checkpoint.hash(), now=now
    )
    body = {"election": election, "manifest": b64u(manifest.hash), "present": manifest.present}
    events.append(tx, meeting, "ElectionOpened", now, body)
    return manifest.json


def close_election(
    tx: Connection, meeting: str, election: str, session: SessionInfo, step_up: StepUp, *, grace_s: int, now: int
) -> None:
    """Begin closing: ballots are still accepted for the grace, then the scheduler seals the board.

    Raises:
        Forbidden: the caller is not chair.
        WrongState: the election is not open.
        Refused: the step-up does not fit.
    """
    facts = meetings.get(tx, meeting)
    require(tx, session.member_id, Action.CLOSE_ELECTION, facts.unit, now)
    advance(facts.state, Act.CLOSE_ELECTION)
    stored = elections.get(tx, meeting, election)
    state = follow(stored.state, Verb.CLOSE)
    _check_step_up(tx, "close-election", meeting, election, session, step_up, now)
    elections.save(tx, stored, state, closes_at=now + grace_s)


def _check_step_up(
    tx: Connection, kind: str, meeting: str, election: str, session: SessionInfo, step_up: StepUp, now: int
) -> None:
    expected = {"type": kind, "meeting": meeting, "election": election}
    signed_action(tx, step_up.rp, session, expected, step_up.action, step_up.signed, now)


def _build(
    tx: Connection, stored: StoredElection, notary: Notary, electorate_min: int, grace_s: int, now: int
) -> tuple[Manifest, list[JsonObject]]:
    meeting = stored.meeting
    facts = meetings.get(tx, meeting)
    roll = RollCore.from_json(rolls.frozen(tx, meeting).core)
    present = presence(tx, meeting)
    credentials = [rolls.newest_credential(tx, meeting, member) for member in present]
    with protocol_checked():
        electorate = make_electorate(unb64u(one) for one in credentials if one is not None)
        manifest = build_manifest(
            organisation=(roll.organisation, settings.get(tx, settings.ORGANISATION_NAME) or ""),
            election=stored.id,
            title=stored.title,
            questions=[Question(stored.type, stored.text, tuple(stored.options))],
            rules=Rules(facts.quorum_num, facts.quorum_den, stored.majority["kind"], stored.majority["of"]),
            roll=roll,
            present=len(present),
            electorate=electorate,
            trustees=_key(tx, meeting),
            cosigners=_cosigners(tx, meeting),
            server_key=notary.key,
            opened_at=now,
            grace_s=grace_s,
            time_limit=now + TIME_LIMIT_S,
            least_electorate=electorate_min,
        )
    return manifest, electorate


def _key(tx: Connection, meeting: str) -> TrusteesKey:
    key = key_generation(tx, meeting).result
    if key is None:
        raise WrongState("election.no-key", "The tellers have not finished the meeting's key.")
    return key


def _cosigners(tx: Connection, meeting: str) -> list[tuple[str, bytes]]:
    """Those who have registered a key: chair and secretary among them, and a quorum of all who were named."""
    named = keys.cosigners(tx, meeting)
    ready = [(one.name, unb64u(one.key)) for one in named if one.key]
    if not {"chair", "secretary"} <= {name for name, _ in ready} or len(ready) < least_cosign_quorum(len(named)):
        raise WrongState(
            "election.too-few-cosigners", "Chair, secretary and tellers must register as cosigners before a vote."
        )
    return ready
