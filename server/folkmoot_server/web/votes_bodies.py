"""Bodies of the vote's requests, and what their handlers share."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import Field
from sqlalchemy import Connection

from folkmoot_server.domain.attendance import REMOTE
from folkmoot_server.domain.elections import GRACE_MAX_S, OPEN_MAX_S
from folkmoot_server.domain.ids import b64u
from folkmoot_server.domain.ledger import Notary
from folkmoot_server.queries.access import readable
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.middleware import current
from folkmoot_server.web.parsing import (
    AssertionBody,
    Bytes,
    Bytes32,
    Id,
    LongText,
    PasskeyId,
    SignedBody,
    Strict,
    Text,
)
from folkmoot_voting.encoding import JsonObject
from folkmoot_voting.questions import Question

Object = Annotated[dict[str, Any], Field(max_length=32)]
Number = Annotated[int, Field(ge=0, le=1000)]
Signature = Annotated[Bytes, Field(min_length=64, max_length=64)]
Checkpoint = Annotated[str, Field(max_length=16 * 1024)]


class FreezeBody(Strict):
    """POST roll/freeze."""

    roll_hash: Bytes32
    signed: SignedBody


class CheckInBegin(Strict):
    """POST check-in/begin; a site other than the members' own places wants its code."""

    site: Id = REMOTE
    code: Annotated[str, Field(max_length=64)] = ""


class CheckInBody(Strict):
    """POST check-in/finish."""

    credential: Bytes32
    site: Id
    checkpoint: Checkpoint
    nonce: Bytes32
    passkey: PasskeyId
    assertion: AssertionBody


class KeyMessageBody(Strict):
    """POST keygen/messages; the protocol checks the message itself."""

    message: Object
    statement: SignedBody | None = None


class RestartBody(Strict):
    """POST keygen/restart."""

    reason: Text
    action: Object
    signed: SignedBody


class CopyBody(Strict):
    """PUT keygen/copy; the protocol checks the copy itself."""

    copy_: Annotated[Object, Field(alias="copy")]


class StatementBody(Strict):
    """POST keygen/destroyed; the protocol checks the statement itself."""

    statement: Object


class CosignerBody(Strict):
    """POST cosigners."""

    name: Id
    key: Bytes32
    nonce: Bytes32
    passkey: PasskeyId
    assertion: AssertionBody


class MajorityBody(Strict):
    """A majority: its kind and what it is counted of."""

    kind: Literal["simple", "absolute", "two-thirds", "three-quarters"]
    of: Literal["cast", "decided", "present", "roll"]


class QuestionBody(Strict):
    """One question of POST questions, as the manifest will have it; the protocol checks how its fields fit."""

    type: Literal["yes-no-abstain", "one-of-n", "m-of-n", "multi-seat", "approval", "score", "borda"]
    text: LongText
    options: Annotated[list[Text], Field(min_length=2, max_length=32)]
    min: Number
    max: Number
    blank: bool
    score: Number
    ranks: Number
    seats: Number

    def domain(self) -> Question:
        """Return it as the protocol's value."""
        return Question(**{**self.model_dump(), "options": tuple(self.options)})


class DraftBody(Strict):
    """POST questions."""

    agenda_item: Id
    title: Text
    questions: Annotated[list[QuestionBody], Field(min_length=1, max_length=8)]
    secrecy: Literal["trustees", "open", "roll-call"]
    voting_again: Literal["once", "last-counts"]
    majority: MajorityBody
    tie: Literal["rejected", "casting-vote"]
    closes_after_s: Annotated[int, Field(ge=0, le=OPEN_MAX_S)]
    kiosk: bool
    grace_s: Annotated[int, Field(ge=0, le=GRACE_MAX_S)] | None = None


class ExclusionBody(Strict):
    """POST exclusions; the reason is empty when the member is taken in again."""

    member: Id
    excluded: bool
    reason: Annotated[str, Field(max_length=400)]


class SealBody(Strict):
    """POST seals."""

    credential: Bytes32
    sealed: Bytes32
    sig: Signature


class ReplacementBody(Strict):
    """POST replacements."""

    old: Bytes32
    new: Bytes32
    kiosk: bool
    nonce: Bytes32
    passkey: PasskeyId
    assertion: AssertionBody


class StepUpBody(Strict):
    """POST open and close."""

    action: Object
    signed: SignedBody


class BallotBody(Strict):
    """POST ballots; the protocol checks the ballot itself."""

    ballot: Object


class LineBody(Strict):
    """POST cosignatures."""

    line: Annotated[str, Field(max_length=1024)]


class EntryBody(Strict):
    """POST voids, intents, shares and casting; the protocol checks the entry itself."""

    entry: Object


class TallySignatureBody(Strict):
    """POST tally/signatures; trustee is 0 for the chair."""

    signer: Literal["chair", "trustee"]
    trustee: Annotated[int, Field(ge=0, le=9)]
    sig: Signature


def assertion_json(body: AssertionBody) -> JsonObject:
    """Return an assertion in the JSON form of voting.md section 2."""
    return {
        "authenticator_data": b64u(body.authenticator_data),
        "client_data_json": b64u(body.client_data_json),
        "signature": b64u(body.signature),
    }


def signed_json(body: SignedBody | CheckInBody | CosignerBody) -> JsonObject:
    """Return {"nonce", "passkey", "assertion"} as statements carry them."""
    return {"nonce": b64u(body.nonce), "passkey": body.passkey, "assertion": assertion_json(body.assertion)}


def notary(request: web.Request) -> Notary:
    """Return the server's key as the owner of logs."""
    context = request.app[CONTEXT]
    return Notary(context.server_key, context.settings.rp_id)


def place(request: web.Request) -> tuple[str, str]:
    """Return the ids of meeting and election in the path."""
    return request.match_info["meeting"], request.match_info["election"]


def require_reader(tx: Connection, meeting: str, request: web.Request) -> str:
    """Return the caller's member id if the caller may read this meeting.

    Raises:
        NotSignedIn: there is no session.
        NotFound: no such meeting, or none that the caller may know of.
    """
    member = current(request).member_id
    readable(tx, meeting, member, request.app[CONTEXT].now())
    return member
