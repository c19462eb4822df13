"""What a relay knows of the meeting while it is alone, checked against the hub's key; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from folkmoot_server.domain.errors import FolkmootError, Refused, WrongState
from folkmoot_server.domain.ledger import protocol_checked
from folkmoot_server.relay.catalogue import Catalogue
from folkmoot_server.relay.store import Identity
from folkmoot_voting.electorate import Elector, parse_electorate
from folkmoot_voting.encoding import JsonObject
from folkmoot_voting.errors import VotingError
from folkmoot_voting.manifest import Manifest, check_electorate
from folkmoot_voting.merkle_log import verify_note
from folkmoot_voting.roll import RollCore, verify_statement


@dataclass(frozen=True, slots=True)
class OpenVote:
    """The election that takes ballots, under the manifest that the relay held before the cut."""

    manifest: Manifest
    electorate: Mapping[bytes, Elector] = field(repr=False)

    def require(self, election: str, now: int) -> None:
        """Refuse what is for another election or comes after its end.

        Raises:
            WrongState: it is so.
        """
        if election != self.manifest.election or (self.manifest.closes_at and now >= self.manifest.closes_at):
            raise WrongState("ballot.election-not-open", "As far as is known here this vote takes no ballots.")


@dataclass(frozen=True, slots=True)
class Hall:
    """The parts of the feed that are held.

    Attributes:
        members: by id, as the feed lists them.
        present: ids of members who are checked in at the site.
        kiosk: those of them who have done so at its kiosk, each with the first voting credential in the open vote,
            "" for who has none.
    """

    members: Mapping[str, JsonObject] = field(default_factory=dict, repr=False)
    present: frozenset[str] = frozenset()
    kiosk: Mapping[str, str] = field(default_factory=dict, repr=False)
    roll: RollCore | None = None
    statement: JsonObject | None = None
    checkpoint: str = ""
    vote: OpenVote | None = None

    def member_of(self, passkey: str) -> JsonObject | None:
        """Return the member whose passkey this is."""
        for member in self.members.values():
            if any(one["id"] == passkey for one in member["passkeys"]):
                return member
        return None

    def require_vote(self, election: str, now: int) -> OpenVote:
        """Return the vote that takes ballots.

        Raises:
            WrongState: it is another one, or none.
        """
        if self.vote is None:
            raise WrongState("ballot.election-not-open", "As far as is known here no vote takes ballots.")
        self.vote.require(election, now)
        return self.vote


def check_part(identity: Identity, name: str, part: Any) -> None:
    """Check a part of the feed against what enrolment gave.

    Raises:
        Refused: another hub's or meeting's, or of another form.
    """
    try:
        with protocol_checked():
            if name == "checkpoint":
                verify_note(part, identity.ledger_origin, identity.hub_key)
            elif name == "roll":
                _same_meeting(verify_statement(part).meeting, identity)
            elif name == "kiosk":
                _kiosk(part)
            elif name == "papers":
                Catalogue(part)
            elif name == "manifest":
                vote = _vote(part)
                _same_meeting(vote.manifest.meeting, identity)
                if vote.manifest.server_key != identity.hub_key:
                    raise Refused("relay.hub-key", "The vote is not signed by the hub's key.")
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise Refused("relay.hub-answer", f"The hub's {name} has another form.") from error


def build(parts: Mapping[str, Any]) -> Hall:
    """Return the hall of parts that were checked when they came."""
    statement = parts.get("roll")
    manifest = parts.get("manifest")
    return Hall(
        members={one["member"]: one for one in parts.get("members", [])},
        present=frozenset(parts.get("present", [])),
        kiosk=_kiosk(parts.get("kiosk", {"members": []})),
        roll=None if statement is None else RollCore.from_json(statement["core"]),
        statement=statement,
        checkpoint=parts.get("checkpoint", ""),
        vote=None if manifest is None else _vote(manifest),
    )


def problem(identity: Identity, parts: Mapping[str, Any]) -> FolkmootError | None:
    """Return what is wrong with parts of the feed, None when nothing is."""
    for name, part in parts.items():
        try:
            check_part(identity, name, part)
        except FolkmootError as error:
            return error
    return None


def _kiosk(part: Any) -> Mapping[str, str]:
    return {str(one["member"]): str(one["credential"]) for one in part["members"]}


def _vote(part: JsonObject) -> OpenVote:
    manifest = Manifest.from_json(part["manifest"])
    try:
        check_electorate(manifest, part["electorate"])
    except VotingError as error:
        raise Refused(error.code, "The hub's electorate is not the one of its manifest.") from error
    return OpenVote(manifest, parse_electorate(part["electorate"]))


def _same_meeting(meeting: str, identity: Identity) -> None:
    if meeting != identity.meeting:
        raise Refused("relay.hub-answer", "The hub has sent something of another meeting.")
