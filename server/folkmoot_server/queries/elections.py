"""What members see of elections: summaries, manifest, their own place, tally; and the chair before opening."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from folkmoot_server.commands.electorates import Facts, collect, refusal, secret_repeats
from folkmoot_server.commands.rights import require
from folkmoot_server.domain.elections import SMALL, Verb, follow
from folkmoot_server.domain.errors import NotFound
from folkmoot_server.domain.ledger import Notary
from folkmoot_server.domain.roles import Action
from folkmoot_server.storage import board, elections, lineages, meetings, rolls
from folkmoot_server.storage.elections import StoredElection
from folkmoot_server.storage.lineages import Seat
from folkmoot_voting.encoding import b64u
from folkmoot_voting.manifest import SECRET
from folkmoot_voting.tally import tally_hash


@dataclass(frozen=True, slots=True)
class SharedSummary:
    """What ElectionSummary of wire.md says to everybody, as JSON text without the closing brace.

    `excluded` are members whose names are not for all.
    """

    election: str
    opened: bool
    text: str
    excluded: tuple[str, ...]


def shared_summaries(tx: Connection, meeting: str) -> tuple[SharedSummary, ...]:
    """Every election of a meeting as all members see it."""
    found = rolls.find(tx, meeting)
    roll = {"size": 0, "weight": 0} if found is None else found.core
    return tuple(
        SharedSummary(
            stored.id,
            bool(stored.manifest_text),
            json.dumps(_summary(tx, stored, roll), separators=(",", ":")).removesuffix("}"),
            tuple(sorted(elections.exclusions(tx, stored.id))),
        )
        for stored in elections.of_meeting(tx, meeting)
    )


def summaries(
    tx: Connection, meeting: str, shared: Sequence[SharedSummary], owned: list[str], weight: int, *, inside: bool
) -> list[str]:
    """ElectionSummary of wire.md as JSON texts for a member with these credentials and this weight on the roll.

    Only who votes or holds an office here, `inside`, learns who is left out.
    """
    seats = lineages.of_owner(tx, meeting, owned) if any(one.opened for one in shared) else {}
    texts = []
    for one in shared:
        seat = seats.get(one.election)
        own = {
            "voted": seat is not None and seat.lineage.voted,
            "excluded": one.excluded if inside else (),
            "me": _place(seat, 0 if one.opened else weight),
        }
        texts.append(f"{one.text},{json.dumps(own, separators=(',', ':')).removeprefix('{')}")
    return texts


def manifest(tx: Connection, meeting: str, election: str, member: str) -> dict[str, Any]:
    """{"manifest", "electorate", "me"} of an opened election.

    Raises:
        NotFound: no such election, or it was not opened.
    """
    stored = elections.get(tx, meeting, election)
    seat = _own_seat(tx, election, rolls.credentials(tx, meeting, member))
    me = _place(seat, 0)
    prev = "" if seat is None else b64u(seat.lineage.prev)
    return {
        "manifest": stored.manifest,
        "electorate": elections.electorate(tx, election),
        "me": {**me, "prev": prev},
    }


def by_hash(tx: Connection, manifest_hash: bytes) -> dict[str, Any]:
    """{"manifest"} with this hash.

    Raises:
        NotFound: there is none.
    """
    return {"manifest": elections.by_manifest(tx, manifest_hash).manifest}


def void_state(tx: Connection, manifest_hash: bytes, sealed: bytes) -> dict[str, Any]:
    """Whether the void of an audited ballot is recorded, and whether it is on the board already.

    Raises:
        NotFound: no election has this manifest.
    """
    election = elections.by_manifest(tx, manifest_hash).id
    used = lineages.seal_use(tx, election, sealed)
    recorded = used is not None and used[0]
    published = used is not None and recorded and board.find(tx, election, used[1]) is not None
    return {"recorded": recorded, "published": published}


def preview(
    tx: Connection, meeting: str, election: str, member: str, *, notary: Notary, least: int, now: int
) -> dict[str, Any]:
    """What opening the election now would come to, for chair and secretary; `refusal` is a code or empty.

    Raises:
        Forbidden: the member is neither.
        WrongState: it is no draft.
    """
    facts = meetings.get(tx, meeting)
    require(tx, member, Action.WRITE_QUESTION, facts.unit, now)
    stored = elections.get(tx, meeting, election)
    follow(stored.state, Verb.OPEN)
    found = collect(tx, stored)
    repeats = secret_repeats(tx, stored, found, least)
    weights: dict[str, int] = {}
    for one in found.electorate:
        weights[str(one["weight"])] = weights.get(str(one["weight"]), 0) + 1
    return {
        "electorate_size": len(found.electorate),
        "present": found.count,
        "excluded": len(found.excluded),
        "repeats": repeats,
        "small": stored.secrecy == SECRET and len(found.electorate) < SMALL,
        "weights": weights,
        "refusal": refusal(tx, stored, Facts(facts, found, repeats), notary=notary, least=least, now=now),
    }


def tally(tx: Connection, meeting: str, election: str) -> dict[str, Any]:
    """The answer of GET tally once the box was opened; absent signatures are "".

    While a casting vote is due, core is null and tally_hash empty.

    Raises:
        NotFound: no such election, or it was not counted.
    """
    stored = elections.get(tx, meeting, election)
    counted = stored.tally
    if counted is None and stored.counts is None:
        raise NotFound("tally.not-counted", "This election has not been counted yet.")
    none = {"server": "", "chair": "", "trustees": []}
    return {
        "core": None if counted is None else counted["core"],
        "tally_hash": "" if counted is None else b64u(tally_hash(counted["core"])),
        "signatures": none if counted is None else signatures(tx, stored, counted),
        "rejected": [raw.decode() for raw in elections.rejected_shares(tx, election)],
        "entries": board.size(tx, election),
    }


def signatures(tx: Connection, stored: StoredElection, counted: dict[str, Any]) -> dict[str, Any]:
    """The `signatures` of tally.json as far as they are there."""
    given = elections.tally_signatures(tx, stored.id)
    return {
        "server": counted["server"],
        "chair": given.get("chair", ""),
        "trustees": [
            {"trustee": index, "sig": given[f"trustee-{index}"]}
            for index in range(1, stored.opened.trustees.count + 1)
            if f"trustee-{index}" in given
        ],
    }


def _own_seat(tx: Connection, election: str, owned: list[str]) -> Seat | None:
    """The seat whose first credential is one of the member's check-ins."""
    for credential in owned:
        seat = lineages.find(tx, election, credential)
        if seat is not None and seat.first == credential:
            return seat
    return None


def _place(seat: Seat | None, weight: int) -> dict[str, Any]:
    if seat is None:
        return {"lineage": "", "credential": "", "weight": weight, "seq": 0}
    line = seat.lineage
    return {"lineage": seat.first, "credential": b64u(line.current), "weight": line.weight, "seq": line.seq}


def _summary(tx: Connection, stored: StoredElection, roll: dict[str, Any]) -> dict[str, Any]:
    opened = stored.opened if stored.manifest_text else None
    counted = stored.tally
    return {
        "election": stored.id,
        "agenda_item": stored.agenda_item,
        "title": stored.title,
        "questions": [one.to_json() for one in stored.questions],
        "secrecy": stored.secrecy,
        "voting_again": stored.voting_again,
        "majority": stored.majority,
        "tie": stored.tie,
        "kiosk": stored.kiosk_allowed,
        "grace_s": stored.grace_s,
        "closes_at": stored.closes_at,
        "ends_at": elections.timer(tx, stored.id),
        "weighted": roll["weight"] != roll["size"]
        if opened is None
        else opened.electorate_weight != opened.electorate_size,
        "state": stored.state.value,
        "electorate_size": opened.electorate_size if opened else 0,
        "present_weight": opened.present_weight if opened else 0,
        "roll_weight": opened.roll_weight if opened else roll["weight"],
        "cast": stored.numbers.cast,
        "warnings": _warnings(stored),
        "result": None if counted is None else counted["core"],
    }


def _warnings(stored: StoredElection) -> list[str]:
    if not stored.manifest_text or not stored.opened.secret:
        return []
    small = ["small"] if stored.opened.electorate_size < SMALL else []
    return small + (["repeat"] if stored.opened.repeats else [])
