"""Opening the box of a share, and judging a complaint about it (section 4): anyone comes to the same answer."""

from __future__ import annotations

from dataclasses import dataclass

from . import boxes, group
from .encoding import JsonObject, unb64u
from .errors import KeyGenerationError
from .keygen import KeyGeneration


@dataclass(frozen=True)
class Judgement:
    """What the opened box says.

    Attributes:
        by: the trustee who complained.
        against: the trustee whose share was complained about.
        at_fault: one of the two.
        reason: "box-key" (no key can be agreed with `against`), "box" (it does not open), "share" (it is not
            the one that the points promise) or "unfounded" (the share passes).
    """

    by: int
    against: int
    at_fault: int
    reason: str


def open_share(state: KeyGeneration, box_private: bytes, sender: int, receiver: int) -> bytes:
    """Return f_sender(receiver) after checking it against the sender's points; the state has all shares.

    Raises:
        KeyGenerationError: with the first thing wrong.
    """
    key = boxes.box_key(box_private, state.box_key(sender), state.meeting, state.attempt, sender, receiver)
    box = unb64u(state.messages("shares")[sender - 1]["boxes"][receiver - 1])
    share = boxes.unseal(key, box, state.reveals_hash)
    if share is None:
        raise KeyGenerationError(f"the box of trustee {sender} does not open", code="voting.keygen-bad-box")
    if not group.is_scalar(share) or group.mult_base(share) != group.evaluate_points(state.points(sender), receiver):
        raise KeyGenerationError(
            f"the share of trustee {sender} is wrong", code="voting.keygen-bad-share", about_points=True
        )
    return share


_REASONS = {
    "voting.keygen-boxes": "box-key",
    "voting.keygen-bad-box": "box",
    "voting.keygen-bad-share": "share",
}


def judge(state: KeyGeneration, complaint: JsonObject | None = None) -> Judgement:
    """Say whose fault it is, from public messages alone: the sender's, or an unfounded complaint's.

    Args:
        state: a key generation that holds all shares.
        complaint: one that the state accepts; the state's own when left out.

    Raises:
        KeyGenerationError: there is no complaint, or the state does not accept it.
    """
    if complaint is not None:
        state = state.accept(complaint)
    found = state.complaint
    if found is None:
        raise KeyGenerationError("there is no complaint", code="voting.keygen-order")
    by, against = found["trustee"], found["against"]
    try:
        open_share(state, unb64u(found["box_secret"]), against, by)
    except KeyGenerationError as error:
        return Judgement(by, against, against, _REASONS[error.code])
    return Judgement(by, against, by, "unfounded")
