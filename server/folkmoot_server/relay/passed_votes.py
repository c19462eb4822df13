"""What the hub has taken of votes at the kiosk through this relay: where a voter stands when the line is cut then.

A kiosk forgets its voter, so nobody else in the hall knows. Credentials alone, each vote apart, as one of a
check-in may vote in several; wiped with everything of the meeting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from folkmoot_server.relay import store
from folkmoot_voting.encoding import JsonObject


@dataclass(frozen=True, slots=True)
class Request:
    """What the hub is asked to take: `new` in the place of a credential, or a ballot of it where `new` is empty.

    Attributes:
        number: of this request alone.
        who: the member who acts, or the credential where the relay does not know that.
    """

    election: str
    number: str
    who: str
    credential: str
    new: str = ""


def begin(tx: Connection, request: Request) -> None:
    """Note that the hub is asked: until it has answered, nobody here knows where the voter stands."""
    name = _doubt(request.election)
    store.put(tx, name, {**(store.find(tx, name) or {}), request.number: request.who})


def settle(tx: Connection, request: Request, *, taken: bool) -> None:
    """Note what the hub has answered; a request whose answer is lost stays in doubt until it says more."""
    _put_doubts(tx, request.election, lambda number, _who: number != request.number)
    if taken and request.new:
        note_replaced(tx, request.election, request.credential, request.new)
    elif taken:
        note_cast(tx, request.election, request.credential)


def learn(tx: Connection, election: str, member: str, place: JsonObject) -> None:
    """Take over where the hub says that a member stands (`me` of the manifest); with that no doubt is left."""
    known = replaced(tx, election)
    following = {old: new for new, old in known.items()}
    line = [place["lineage"]]
    while (new := following.get(line[-1])) is not None and new not in line:
        line.append(new)
    acting = place["credential"]
    if acting not in line and acting not in known:  # by another way than this relay's pages
        note_replaced(tx, election, line[-1], acting)
    if place["seq"]:
        note_cast(tx, election, acting)
    _put_doubts(tx, election, lambda _number, who: who not in {member, acting, *line})


def in_doubt(tx: Connection, election: str, names: Iterable[str]) -> bool:
    """Say whether the answer to a request of one of these members or credentials was lost, or is on its way."""
    return not set((store.find(tx, _doubt(election)) or {}).values()).isdisjoint(names)


def note_replaced(tx: Connection, election: str, old: str, new: str) -> None:
    """Note that the hub lets `new` act in the place of `old`."""
    store.put(tx, _replaced(election), {**replaced(tx, election), new: old})


def note_cast(tx: Connection, election: str, credential: str) -> None:
    """Note that the hub has a ballot of a credential."""
    store.put(tx, _cast(election), sorted({*(store.find(tx, _cast(election)) or []), credential}))


def replaced(tx: Connection, election: str) -> dict[str, str]:
    """Return the credentials that took the place of others, each with the one that it replaced."""
    return store.find(tx, _replaced(election)) or {}


def is_cast(tx: Connection, election: str, credential: str) -> bool:
    """Say whether the hub has a ballot of a credential, as far as this relay knows."""
    return credential in (store.find(tx, _cast(election)) or [])


def _put_doubts(tx: Connection, election: str, stays: Callable[[str, str], bool]) -> None:
    name = _doubt(election)
    before: dict[str, str] = store.find(tx, name) or {}
    after = {number: who for number, who in before.items() if stays(number, who)}
    if after:
        store.put(tx, name, after)
    elif before:
        store.drop_value(tx, name)


def _doubt(election: str) -> str:
    return f"kiosk.doubt.{election}"


def _replaced(election: str) -> str:
    return f"kiosk.replaced.{election}"


def _cast(election: str) -> str:
    return f"kiosk.cast.{election}"
