"""What a relay takes into its outbox: the hub's own checks, as far as a hall that is cut off can make them.

The hub checks everything again, from the beginning; here a page learns at once what can never count.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection

from folkmoot_server.commands.ballots import Arrival
from folkmoot_server.domain.elections import BALLOTS_MAX, REPLACEMENTS_MAX, SEALS_MAX
from folkmoot_server.domain.errors import Conflict, Forbidden, Refused, TooMany, WrongState
from folkmoot_server.domain.identity import Purpose
from folkmoot_server.domain.ledger import protocol_checked
from folkmoot_server.domain.relays import Kind
from folkmoot_server.relay import chains, outbox, passed_votes, people
from folkmoot_server.relay.hall import Hall, OpenVote
from folkmoot_server.relay.outbox import Place
from folkmoot_server.relay.outbox_chain import Wish
from folkmoot_server.relay.people import HallSession
from folkmoot_server.web.handlers_identity import AuthenticationJSON
from folkmoot_voting import challenges, signing
from folkmoot_voting.assertion import verify_assertion
from folkmoot_voting.ballot import Ballot, CheckedBallot, check_signature
from folkmoot_voting.board import check_entry
from folkmoot_voting.casting import MAX_VOIDS, announcement_hash
from folkmoot_voting.encoding import JsonObject, b64u, unb64u
from folkmoot_voting.errors import ReplacementRefused
from folkmoot_voting.lineages import Lineage, check_void
from folkmoot_voting.manifest import ONCE
from folkmoot_voting.roll import RollCore, passkey_of

HANDS_MAX: Final = 200  # of a member in all cuts
CHECK_INS_MAX: Final = 20  # of a member in all cuts


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and when (seconds UTC)."""

    session: HallSession
    now: int

    @property
    def member(self) -> str:
        """The member's id."""
        return self.session.member


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a voter stands by the entries that wait here; what the hub had before the cut is not known.

    Attributes:
        lineage: its credential that acts now, ballots and last leaf; `known` says whether a ballot of it waits here.
        sealed: what was announced last and not cast since.
        used: hashes of sealed ballots that were cast or audited.
    """

    lineage: Lineage
    known: bool = False
    sealed: bytes = b""
    used: frozenset[bytes] = frozenset()
    seals: int = 0
    voids: int = 0


def check_in(tx: Connection, hall: Hall, caller: Caller, site: str, fields: JsonObject) -> tuple[Wish, Place]:
    """Judge the body of check-in/finish; its nonce is spent.

    Raises:
        Forbidden: not on the list of the hall.
        Refused: nonce, site, checkpoint, passkey or assertion does not fit.
        TooMany: twenty check-ins of the member wait.
    """
    roll, member = require_member(hall, caller.member)
    if fields["site"] != site:
        raise Refused("check-in.site", "This is the relay of another site.")
    if fields["checkpoint"] != hall.checkpoint:
        raise Refused("check-in.old-checkpoint", "The checkpoint is too old; begin again.")
    nonce = unb64u(fields["nonce"])
    people.take_nonce(tx, nonce, Purpose.CHECK_IN, caller.session.token_hash, caller.now)
    credential = unb64u(fields["credential"])
    signed = challenges.checkin(roll.meeting, roll.hash, site, credential, fields["checkpoint"], nonce)
    with protocol_checked():
        key = passkey_of(member, unb64u(fields["passkey"]))
        verify_assertion(roll.rp, signed, key, fields["assertion"])
    if outbox.count(tx, caller.member, (Kind.CHECK_IN,)) >= CHECK_INS_MAX:
        raise TooMany("request.too-many", "Too many check-ins wait here; one is enough.")
    return Wish(Kind.CHECK_IN, caller.member, fields), Place(credential=fields["credential"])


def require_member(hall: Hall, member: str) -> tuple[RollCore, JsonObject]:
    """Return the roll and the member's line in the list of the hall.

    Raises:
        WrongState: the roll is not frozen, as far as is known here.
        Forbidden: the member is not on the list.
    """
    if hall.roll is None or not hall.checkpoint:
        raise WrongState("roll.not-frozen", "As far as is known here the roll of this meeting is not frozen.")
    found = hall.members.get(member)
    if found is None:
        raise Forbidden("check-in.not-on-roll", "You are not on the list of this hall.")
    return hall.roll, found


def signed_in(hall: Hall, rp_id: str, nonce: bytes, credential: AuthenticationJSON) -> JsonObject:
    """Return the line of the member who has signed in, in the list of the hall.

    Raises:
        Refused: not a passkey of the hall, or it has not signed this.
    """
    member, response = hall.member_of(credential.id), credential.response
    if member is None or hall.roll is None:
        raise Refused("passkey.unknown", "This passkey is not registered here.")
    assertion: JsonObject = {
        "authenticator_data": b64u(response.authenticatorData),
        "client_data_json": b64u(response.clientDataJSON),
        "signature": b64u(response.signature),
    }
    key = passkey_of(member, unb64u(credential.id))
    with protocol_checked():
        verify_assertion(hall.roll.rp, challenges.sign_in(rp_id, nonce), key, assertion)
    return member


def hand(tx: Connection, hall: Hall, caller: Caller, body: JsonObject) -> tuple[Wish, Place]:
    """Judge a hand that is raised or lowered, or a wish to speak.

    Raises:
        WrongState: the member is not here.
        TooMany: too many of the member wait.
    """
    if not is_here(tx, hall, caller.member):
        raise WrongState("attendance.not-checked-in", "The member has not checked in to this meeting.")
    if outbox.count(tx, caller.member, outbox.HANDS) >= HANDS_MAX:
        raise TooMany("request.too-many", "Too many requests of yours wait here.")
    return Wish(Kind.SPEAK if "kind" in body else Kind.HAND, caller.member, body), Place()


def is_here(tx: Connection, hall: Hall, member: str) -> bool:
    """Say whether a member is checked in at the site, or has a check-in that waits here."""
    return member in hall.present or outbox.count(tx, member, (Kind.CHECK_IN,)) > 0


def seal(tx: Connection, hall: Hall, caller: Caller, election: str, body: JsonObject) -> tuple[Wish, Place]:
    """Judge the announcement of a sealed ballot.

    Raises:
        FolkmootError: as commands.lineages.announce does.
    """
    vote = hall.require_vote(election, caller.now)
    standing = _standing(tx, vote, caller, body["credential"])
    sealed = unb64u(body["sealed"])
    announced = announcement_hash(vote.manifest.hash, sealed)
    if not signing.is_valid(unb64u(body["credential"]), announced, unb64u(body["sig"])):
        raise Refused("ballot.announcement-unsigned", "The announcement is not signed by your voting key.")
    if standing.known and vote.manifest.voting_again == ONCE:
        raise Conflict("ballot.already-cast", "A ballot was already cast with this credential.")
    if sealed in standing.used:
        raise Conflict("ballot.sealed-used", "This sealed ballot was cast or made void already.")
    if standing.seals >= SEALS_MAX:
        raise TooMany("ballot.too-many-seals", f"At most {SEALS_MAX} sealed ballots can be announced.")
    return Wish(Kind.SEAL, "", {"election": election, **body}), Place(election, body["credential"])


def receive(tx: Connection, hall: Hall, caller: Caller, election: str, ballot: JsonObject) -> Arrival:
    """Look at a ballot before its proofs are checked.

    Raises:
        FolkmootError: as commands.ballots.receive does.
    """
    vote = hall.require_vote(election, caller.now)
    with protocol_checked():
        parsed = Ballot.from_json(ballot)
        check_signature(parsed)  # whoever does not hold the key hears nothing of what waits here of it
    _require_place(_standing(tx, vote, caller, ballot["credential"]), vote, parsed)
    return Arrival(vote.manifest, parsed, None)


def cast(tx: Connection, hall: Hall, caller: Caller, election: str, checked: CheckedBallot) -> tuple[Wish, Place]:
    """Judge a ballot whose proofs hold.

    Raises:
        FolkmootError: as commands.ballots.cast does.
    """
    vote = hall.require_vote(election, caller.now)
    ballot = checked.ballot
    credential = ballot.json["credential"]
    _require_place(_standing(tx, vote, caller, credential), vote, ballot)
    if not outbox.add_points(tx, election, checked.points):
        raise Refused("ballot.point-repeated", "A part of this ballot is copied from another ballot.")
    return Wish(Kind.BALLOT, "", {"election": election, "ballot": ballot.json}), Place(election, credential)


def void(tx: Connection, hall: Hall, caller: Caller, election: str, entry: JsonObject) -> tuple[Wish, Place]:
    """Judge the void of an audited ballot.

    Raises:
        FolkmootError: as commands.lineages.make_void does.
    """
    vote = hall.require_vote(election, caller.now)
    with protocol_checked():
        check_entry(entry)
        if entry["type"] != "void":
            raise Refused("voting.board-malformed", "This is no void entry.")
        sealed = check_void(vote.manifest, entry)
    standing = _standing(tx, vote, caller, entry["credential"])
    if sealed in standing.used:
        raise Conflict("ballot.sealed-used", "This sealed ballot was cast or made void already.")
    if standing.voids >= MAX_VOIDS:
        raise TooMany("ballot.too-many-voids", f"At most {MAX_VOIDS} ballots can be audited.")
    return Wish(Kind.VOID, "", {"election": election, "entry": entry}), Place(election, entry["credential"])


def replacement(tx: Connection, hall: Hall, caller: Caller, election: str, body: JsonObject) -> tuple[Wish, Place]:
    """Judge a replacement; its nonce is spent.

    Raises:
        FolkmootError: as commands.lineages.replace_credential does.
    """
    vote = hall.require_vote(election, caller.now)
    roll, member = require_member(hall, caller.member)
    if outbox.count_replacements(tx, election, caller.member) >= REPLACEMENTS_MAX:
        raise TooMany("replacement.too-many", f"At most {REPLACEMENTS_MAX} times can another device take over.")
    standing = _standing(tx, vote, caller, body["old"])
    old, new = unb64u(body["old"]), unb64u(body["new"])
    try:
        standing.lineage.check_replacement(vote.manifest, old, kiosk=body["kiosk"])
    except ReplacementRefused as error:
        raise Conflict(error.code, error.detail[:1].upper() + error.detail[1:] + ".") from error
    line = chains.chain(tx, election, caller.member, body["old"])
    if vote.manifest.voting_again == ONCE and chains.is_cast(tx, election, line):
        raise Conflict("voting.replacement-voted", "This member has already cast a ballot.")
    nonce = unb64u(body["nonce"])
    people.take_nonce(tx, nonce, Purpose.REPLACE, caller.session.token_hash, caller.now)
    with protocol_checked():
        key = passkey_of(member, unb64u(body["passkey"]))
        signed = challenges.replacement(vote.manifest.hash, old, new, body["kiosk"], nonce)
        verify_assertion(roll.rp, signed, key, body["assertion"])
    known = body["new"] in passed_votes.replaced(tx, election) or outbox.is_named(tx, election, body["new"])
    if new in vote.electorate or known:
        raise Conflict("voting.replacement-new", "This credential was in use before.")
    return Wish(Kind.REPLACEMENT, caller.member, {"election": election, **body}), Place(election, body["old"])


def _require_place(standing: Standing, vote: OpenVote, ballot: Ballot) -> None:
    lineage, once = standing.lineage, vote.manifest.voting_again == ONCE
    if standing.known and once:
        raise Conflict("ballot.already-cast", "A ballot was already cast with this credential.")
    if lineage.seq >= BALLOTS_MAX:
        raise TooMany("ballot.too-many", f"At most {BALLOTS_MAX} ballots can be cast; the last one counts.")
    if not standing.known and not once:  # how many the hub had before the cut only the hub knows
        lineage = replace(lineage, seq=max(0, ballot.seq - 1), prev=ballot.prev)
    with protocol_checked():
        lineage.check_ballot(vote.manifest, ballot)
    if ballot.sealed in standing.used:
        raise Refused("ballot.void", "This ballot was audited and is void; seal a new one.")
    if standing.sealed and standing.sealed != ballot.sealed:
        raise Conflict("ballot.not-announced", "This is not the ballot that was sealed last.")


def _standing(tx: Connection, vote: OpenVote, caller: Caller, credential: str) -> Standing:
    """Fold the entries of a voter that wait here; the credential must be the one that acts now.

    Whose it is only the hub knows, as the electorate names no member. So no other member's word about a credential
    counts; what a seal, ballot or void says, the credential has signed.

    Raises:
        Refused: it may not vote here, or another device does now.
    """
    standing = _fold(tx, vote, caller.member, credential)
    if standing.lineage.current != unb64u(credential):
        raise Refused("ballot.replaced", "Another device votes for you in this election now.")
    return standing


def _fold(tx: Connection, vote: OpenVote, member: str, credential: str) -> Standing:
    election = vote.manifest.election
    chain = chains.chain(tx, election, member, credential)
    elector = vote.electorate.get(unb64u(chain[0]))
    if elector is None:
        raise Refused("ballot.not-elector", "This credential may not vote in this election.")
    lineage = Lineage(elector.credential, elector.credential, elector.weight)
    standing = Standing(lineage)
    for acting, entry in outbox.of_voter(tx, election, member, chain):
        kind, body = entry["kind"], entry["body"]
        if chain.index(acting) < chain.index(b64u(standing.lineage.current)):
            continue  # its time was over
        if kind != Kind.REPLACEMENT or body["new"] in chain:  # else the hub took another one
            standing = _step(_passed_to(standing, acting), kind, body)
    return _passed_to(standing, chain[-1])


def _passed_to(standing: Standing, credential: str) -> Standing:
    """Let a credential act; what another one announced is no more."""
    if b64u(standing.lineage.current) == credential:
        return standing
    return replace(standing, lineage=standing.lineage.replaced_by(unb64u(credential)), sealed=b"")


def place_of(tx: Connection, vote: OpenVote, member: str, credential: str) -> JsonObject:
    """Return `me` of GET manifest for the member whose credential this is or was.

    Raises:
        Refused: it may not vote here.
    """
    line = _fold(tx, vote, member, credential).lineage
    place = {"lineage": b64u(line.first), "credential": b64u(line.current), "weight": line.weight, "seq": line.seq}
    return {**place, "prev": b64u(line.prev)}


def _step(standing: Standing, kind: str, body: JsonObject) -> Standing:
    if kind == Kind.SEAL:
        return replace(standing, sealed=unb64u(body["sealed"]), seals=standing.seals + 1)
    if kind == Kind.VOID:
        used = standing.used | {unb64u(body["entry"]["sealed"])}
        return replace(standing, used=used, voids=standing.voids + 1)
    if kind == Kind.REPLACEMENT:
        return _passed_to(standing, body["new"])
    ballot = Ballot.from_json(body["ballot"])
    lineage = replace(standing.lineage, seq=ballot.seq, prev=ballot.leaf)
    return replace(standing, lineage=lineage, known=True, sealed=b"", used=standing.used | {ballot.sealed})
