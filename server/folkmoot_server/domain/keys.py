"""Who holds the meeting's key and who cosigns: officers chosen from dated roles by a fixed rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from folkmoot_server.domain.errors import Refused

TELLERS_MIN = 3
TELLERS_MAX = 9
OBSERVERS_MAX = 2
OFFICES = frozenset({"chair", "secretary", "teller", "observer"})


@dataclass(frozen=True, slots=True)
class Officer:
    """A member on the roll with the roles that hold in the meeting's unit."""

    member: str
    code: str
    roles: frozenset[str]


@dataclass(frozen=True, slots=True)
class Assignment:
    """`trustees[i]` has index i + 1; `cosigners` maps a cosigner's name to a member, all distinct people."""

    trustees: tuple[str, ...]
    cosigners: dict[str, str]


def threshold(trustees: int) -> int:
    """How many of `trustees` open the box: a majority, 2 of 3 by default."""
    return trustees // 2 + 1


def assign(officers: Sequence[Officer]) -> Assignment:
    """Choose chair, secretary, three to nine tellers and up to two observers, in the order of their member codes.

    Raises:
        Refused: fewer than three tellers, or no chair or secretary who is none of the other officers.
    """
    ordered = sorted(officers, key=lambda officer: officer.code)
    cosigners: dict[str, str] = {}
    for name in ("chair", "secretary"):
        # Prefer a person with no other duty here, so that one who is chair and teller does not empty both.
        candidates = sorted(
            (officer for officer in ordered if name in officer.roles and officer.member not in cosigners.values()),
            key=lambda officer: len(officer.roles & OFFICES),
        )
        if not candidates:
            raise Refused("roll.no-officer", f"The roll needs a {name} with a passkey and no other office.")
        cosigners[name] = candidates[0].member
    tellers = [
        officer.member
        for officer in ordered
        if "teller" in officer.roles and officer.member not in cosigners.values()
    ][:TELLERS_MAX]
    if len(tellers) < TELLERS_MIN:
        raise Refused("roll.too-few-tellers", f"The roll needs at least {TELLERS_MIN} tellers with passkeys.")
    cosigners.update({f"teller-{index}": member for index, member in enumerate(tellers, 1)})
    observers = [
        officer.member
        for officer in ordered
        if "observer" in officer.roles and officer.member not in cosigners.values()
    ][:OBSERVERS_MAX]
    cosigners.update({f"observer-{index}": member for index, member in enumerate(observers, 1)})
    return Assignment(tuple(tellers), cosigners)
