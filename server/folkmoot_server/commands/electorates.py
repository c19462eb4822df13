"""Who may vote in an election: present, not excluded, one lineage each; and the manifest that says so."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from folkmoot_server.commands import motion_votes
from folkmoot_server.commands.attendance import presence
from folkmoot_server.commands.keys import key_generation
from folkmoot_server.domain.elections import TIME_LIMIT_S
from folkmoot_server.domain.errors import FolkmootError, WrongState
from folkmoot_server.domain.ledger import Notary, protocol_checked
from folkmoot_server.domain.meetings import Meeting
from folkmoot_server.storage import elections, keys, lineages, rolls, settings
from folkmoot_server.storage.elections import StoredElection
from folkmoot_voting.electorate import EarlierVote, Elector, find_repeats, make_electorate
from folkmoot_voting.encoding import JsonObject, unb64u
from folkmoot_voting.keygen import TrusteesKey
from folkmoot_voting.manifest import ROLL_CALL, SECRET, Manifest, Rules, build_manifest, least_cosign_quorum
from folkmoot_voting.roll import RollCore


@dataclass(frozen=True, slots=True)
class Present:
    """Those present now, as an election would see them.

    Attributes:
        excluded: members present who may not vote.
        electorate: the list of voting.md section 5.
    """

    count: int
    weight: int
    excluded: list[str]
    electorate: list[JsonObject]

    @property
    def credentials(self) -> list[bytes]:
        """First credentials of the electorate."""
        return [unb64u(one["credential"]) for one in self.electorate]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a manifest is built from besides the draft."""

    meeting: Meeting
    present: Present
    repeats: list[str]


def collect(tx: Connection, stored: StoredElection) -> Present:
    """Find who is present with a credential and may vote.

    Raises:
        NotFound: the roll is not frozen.
    """
    rolls.frozen(tx, stored.meeting)
    listed = {entry["member"]: entry for entry in rolls.entries(tx, stored.meeting)}
    members = [one for one in presence(tx, stored.meeting) if one in listed]
    excluded = [one for one in members if one in elections.exclusions(tx, stored.id)]
    electors = []
    for member in members:
        credential = rolls.newest_credential(tx, stored.meeting, member)
        if credential is not None and member not in excluded:
            name = listed[member]["name"] if stored.secrecy == ROLL_CALL else ""
            electors.append(Elector(unb64u(credential), listed[member]["weight"], name))
    with protocol_checked():
        electorate = make_electorate(electors)
    weight = sum(int(listed[member]["weight"]) for member in members)
    return Present(len(members), weight, excluded, electorate)


def secret_repeats(tx: Connection, stored: StoredElection, present: Present, least: int) -> list[str]:
    """Return the earlier secret elections whose results beside this one's could tell a few people's choices."""
    if stored.secrecy != SECRET:
        return []
    opened = [one for one in elections.of_meeting(tx, stored.meeting) if one.manifest_text and one.id != stored.id]
    earlier = [
        EarlierVote(one.id, one.questions, lineages.firsts(tx, one.id))
        for one in sorted(opened, key=lambda one: (one.opened.opened_at, one.position))
        if one.secrecy == SECRET
    ]
    return find_repeats(stored.questions, present.credentials, least, earlier)


def build(tx: Connection, stored: StoredElection, facts: Facts, *, notary: Notary, least: int, now: int) -> Manifest:
    """Build the manifest of an election that is opened now.

    Raises:
        WrongState: key or cosigners are missing.
        Refused: the electorate is too small or tells the vote of a weight.
    """
    meeting, present = facts.meeting, facts.present
    roll = RollCore.from_json(rolls.frozen(tx, meeting.id).core)
    key = _key(tx, meeting.id) if stored.secrecy == SECRET else None
    closes_at = now + stored.closes_after_s if stored.closes_after_s else 0
    with protocol_checked():
        return build_manifest(
            organisation=(roll.organisation, settings.get(tx, settings.ORGANISATION_NAME) or ""),
            election=stored.id,
            title=stored.title,
            questions=stored.questions,
            rules=Rules(
                meeting.quorum_num,
                meeting.quorum_den,
                stored.majority["kind"],
                stored.majority["of"],
                tie=stored.tie,
            ),
            roll=roll,
            present=present.count,
            present_weight=present.weight,
            electorate=present.electorate,
            cosigners=_cosigners(tx, meeting.id),
            server_key=notary.key,
            opened_at=now,
            grace_s=stored.grace_s,
            time_limit=max(now, closes_at) + TIME_LIMIT_S,
            trustees=key,
            secrecy=stored.secrecy,
            voting_again=stored.voting_again,
            kiosk=stored.kiosk_allowed,
            rehearsal=meeting.rehearsal,
            excluded=len(present.excluded),
            repeats=facts.repeats,
            least_electorate=least,
            closes_at=closes_at,
            challenge_s=meeting.challenge_s,
        )


def refusal(tx: Connection, stored: StoredElection, facts: Facts, *, notary: Notary, least: int, now: int) -> str:
    """Return the code with which opening this election now would be refused, or an empty string."""
    try:
        motion_votes.require_votable(tx, stored.id, stored.meeting)
        build(tx, stored, facts, notary=notary, least=least, now=now)
    except FolkmootError as error:
        return error.code
    return ""


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
