"""Entries of an outbox into what they say: each body is held to the form of the request that it stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

from folkmoot_server.commands.lineages import Announcement, Replacement
from folkmoot_server.commands.outbox import About, CheckIn, Hand, Here, Queued
from folkmoot_server.domain.errors import BadInput
from folkmoot_server.domain.ids import b64u
from folkmoot_server.domain.relays import ENTRIES_MAX, Kind, read_entry
from folkmoot_server.domain.speaking import Kind as WishKind
from folkmoot_server.domain.speaking import Wish
from folkmoot_server.web.handlers_meetings import RaiseHand
from folkmoot_server.web.parsing import Bytes, Bytes32, Id, Strict, Time
from folkmoot_server.web.votes_bodies import (
    BallotBody,
    CheckInBody,
    EntryBody,
    ReplacementBody,
    SealBody,
    assertion_json,
    signed_json,
)
from folkmoot_voting.encoding import jcs
from folkmoot_voting.errors import EncodingError

HERE_MAX: Final = 10_000
Number = Annotated[int, Field(ge=0, le=2**40)]
Head = Annotated[Bytes, Field(max_length=32)]
Signature = Annotated[Bytes, Field(min_length=64, max_length=64)]


class OutboxEntry(Strict):
    """An entry, whatever its body says."""

    v: Literal[1]
    relay: Id
    epoch: Number
    seq: Number
    prev: Annotated[str, Field(pattern=r"^([A-Za-z0-9_-]{43})?$")]
    at: Time
    cut: bool
    salt: Bytes32
    kind: Kind
    member: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,64}$")]
    body: dict[str, Any]
    sig: Signature


class OutboxBody(Strict):
    """POST /api/relay/outbox; each entry is read by itself, for its signed bytes count."""

    entries: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=ENTRIES_MAX)]
    left: Number


class _Lower(Strict):
    command: Literal["lower-hand"]


class _Raise(Strict):
    command: Literal["raise-hand"]


class _Here(Strict):
    members: Annotated[list[Id], Field(max_length=HERE_MAX)]


class _Seal(SealBody):
    election: Id


class _Ballot(BallotBody):
    election: Id


class _Void(EntryBody):
    election: Id


class _Replacement(ReplacementBody):
    election: Id


class _CheckIn(CheckInBody):
    kiosk: bool = False


def _check_in(body: Mapping[str, Any]) -> CheckIn:
    read = _CheckIn.model_validate(body)
    given = {"credential": b64u(read.credential), "site": read.site, "checkpoint": read.checkpoint}
    return CheckIn({**given, **signed_json(read)}, kiosk=read.kiosk)


def _hand(body: Mapping[str, Any]) -> Hand:
    if body.get("command") == "lower-hand":
        _Lower.model_validate(body)
        return Hand(None)
    _Raise.model_validate(body)
    return Hand(Wish())


def _speak(body: Mapping[str, Any]) -> Hand:
    read = RaiseHand.model_validate(body)
    return Hand(Wish(WishKind(read.kind), read.category))


def _seal(body: Mapping[str, Any]) -> About:
    read = _Seal.model_validate(body)
    return About(read.election, Announcement(read.credential, read.sealed, read.sig))


def _ballot(body: Mapping[str, Any]) -> About:
    read = _Ballot.model_validate(body)
    return About(read.election, read.ballot)


def _void(body: Mapping[str, Any]) -> About:
    read = _Void.model_validate(body)
    return About(read.election, read.entry)


def _replacement(body: Mapping[str, Any]) -> About:
    read = _Replacement.model_validate(body)
    what = Replacement(read.old, read.new, read.kiosk, read.nonce, read.passkey, assertion_json(read.assertion))
    return About(read.election, what)


def _here(body: Mapping[str, Any]) -> Here:
    return Here(tuple(_Here.model_validate(body).members))


READ: Final[Mapping[Kind, Callable[[Mapping[str, Any]], CheckIn | Hand | About | Here]]] = {
    Kind.CHECK_IN: _check_in,
    Kind.HAND: _hand,
    Kind.SPEAK: _speak,
    Kind.SEAL: _seal,
    Kind.BALLOT: _ballot,
    Kind.VOID: _void,
    Kind.REPLACEMENT: _replacement,
    Kind.HERE: _here,
}


def queued(raw: dict[str, Any]) -> Queued:
    """Return an entry with what its body says; a body of another form says nothing, and is refused when taken.

    Raises:
        BadInput: the entry itself has another form.
    """
    try:
        OutboxEntry.model_validate_json(jcs(raw))
        entry = read_entry(raw)
    except (ValidationError, EncodingError) as error:
        raise BadInput("input.malformed", "An entry of the outbox is not as it should be.") from error
    try:
        return Queued(entry, READ[entry.kind](entry.body))
    except (ValidationError, BadInput):
        return Queued(entry, None)
