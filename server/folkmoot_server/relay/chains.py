"""Which credentials have acted for a voter: what the hub took at the kiosk, joined with what waits in the outbox."""

from __future__ import annotations

from sqlalchemy import Connection

from folkmoot_server.relay import outbox, passed_votes


def chain(tx: Connection, election: str, member: str, credential: str) -> list[str]:
    """Return the credentials that have acted for a member in a vote, in order; this one is among them.

    Of what waits here the member's own replacements count alone: whose the `old` of another's is, only the hub knows.
    """
    taken = passed_votes.replaced(tx, election)
    following = {body["old"]: body["new"] for body in outbox.replacements(tx, election, member)}
    following |= {old: new for new, old in taken.items()}
    before = {new: old for old, new in following.items()}
    found = [credential]
    while (old := before.get(found[0])) is not None and old not in found:
        found.insert(0, old)
    while (new := following.get(found[-1])) is not None and new not in found:
        found.append(new)
    return found


def is_cast(tx: Connection, election: str, found: list[str]) -> bool:
    """Say whether the hub took a ballot of one of these credentials at the kiosk."""
    return any(passed_votes.is_cast(tx, election, one) for one in found)


def must_wait(tx: Connection, election: str, member: str, credential: str) -> bool:
    """Say whether a member at the kiosk votes on only when the line is back: the hub has a ballot, or may have."""
    found = chain(tx, election, member, credential)
    return is_cast(tx, election, found) or passed_votes.in_doubt(tx, election, (member, *found))
