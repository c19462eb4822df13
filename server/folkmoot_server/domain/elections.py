"""The life of an election as a table of states and verbs, and the numbers that go with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeVar

from folkmoot_server.domain.errors import BadInput, WrongState

T = TypeVar("T")

TOO_FEW_BALLOTS = 3  # fewer cast ballots than this are never opened (voting.md section 8)
LIARS = 2  # dishonest cosigners that the closing quorum survives (voting.md section 5)
TIME_LIMIT_S = 24 * 3600  # from opening to the last moment at which a tally may be counted


class Phase(StrEnum):
    """Where an election stands, in the words of wire.md."""

    DRAFT = "draft"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"
    COUNTING = "counting"
    COUNTED = "counted"
    DECLARED = "declared"
    TOO_FEW = "too-few"
    VOID = "void"


class Verb(StrEnum):
    """What can happen to an election; each is a sentence's verb in a refusal."""

    OPEN = "open"
    CAST = "cast"
    PUBLISH = "publish"
    CLOSE = "close"
    SEAL = "seal"
    COSIGN = "cosign"
    START_COUNT = "start counting"
    FIND_TOO_FEW = "find too few ballots"
    POST_INTENT = "post an intent"
    POST_SHARE = "post a share"
    COUNT = "count"
    SIGN = "sign the tally"
    DECLARE = "declare"
    DECLARE_TOO_FEW = "declare too few"
    EXPIRE = "expire"


NEXT: Final[Mapping[tuple[Phase, Verb], Phase]] = MappingProxyType(
    {
        (Phase.DRAFT, Verb.OPEN): Phase.OPEN,
        (Phase.OPEN, Verb.CAST): Phase.OPEN,
        (Phase.OPEN, Verb.PUBLISH): Phase.OPEN,
        (Phase.OPEN, Verb.CLOSE): Phase.CLOSING,
        (Phase.CLOSING, Verb.CAST): Phase.CLOSING,
        (Phase.CLOSING, Verb.PUBLISH): Phase.CLOSING,
        (Phase.CLOSING, Verb.SEAL): Phase.CLOSED,
        (Phase.CLOSED, Verb.COSIGN): Phase.CLOSED,
        (Phase.CLOSED, Verb.START_COUNT): Phase.COUNTING,
        (Phase.CLOSED, Verb.FIND_TOO_FEW): Phase.COUNTED,
        (Phase.COUNTING, Verb.COSIGN): Phase.COUNTING,
        (Phase.COUNTING, Verb.POST_INTENT): Phase.COUNTING,
        (Phase.COUNTING, Verb.POST_SHARE): Phase.COUNTING,
        (Phase.COUNTING, Verb.COUNT): Phase.COUNTED,
        # A teller whose share was not needed any more may still post it; the tally entry comes last.
        (Phase.COUNTED, Verb.COSIGN): Phase.COUNTED,
        (Phase.COUNTED, Verb.POST_INTENT): Phase.COUNTED,
        (Phase.COUNTED, Verb.POST_SHARE): Phase.COUNTED,
        (Phase.COUNTED, Verb.SIGN): Phase.COUNTED,
        (Phase.COUNTED, Verb.DECLARE): Phase.DECLARED,
        (Phase.COUNTED, Verb.DECLARE_TOO_FEW): Phase.TOO_FEW,
        # What is counted in time may be signed later; everything else is void after the time limit.
        (Phase.OPEN, Verb.EXPIRE): Phase.VOID,
        (Phase.CLOSING, Verb.EXPIRE): Phase.VOID,
        (Phase.CLOSED, Verb.EXPIRE): Phase.VOID,
        (Phase.COUNTING, Verb.EXPIRE): Phase.VOID,
    }
)
FINISHED: Final = frozenset({Phase.DECLARED, Phase.TOO_FEW})
EXPIRING: Final = frozenset(phase for phase, verb in NEXT if verb is Verb.EXPIRE)
RUNNING: Final = frozenset({Phase.OPEN, Phase.CLOSING, Phase.CLOSED, Phase.COUNTING, Phase.COUNTED})


def follow(phase: Phase, verb: Verb) -> Phase:
    """Return the phase after `verb`.

    Raises:
        WrongState: the table has no such step.
    """
    following = NEXT.get((phase, verb))
    if following is None:
        if verb is Verb.CAST:
            raise WrongState("ballot.election-not-open", "The election takes no ballots now.")
        raise WrongState("election.wrong-state", f"Nobody can {verb} while the election is {phase}.")
    return following


def require_time(time_limit: int, now: int) -> None:
    """Refuse to go on with an election whose time limit has passed (voting.md section 5).

    Raises:
        WrongState: the election is void.
    """
    if now > time_limit:
        raise WrongState("election.time-limit", "The time limit of this election has passed; it is void.")


def cosign_quorum(cosigners: int) -> int:
    """The smallest q with q > (w + f) / 2 for w cosigners and two liars (voting.md section 5)."""
    return (cosigners + LIARS) // 2 + 1


def require_options(kind: str, options: Sequence[str]) -> None:
    """Check a question's options (voting.md section 5).

    Raises:
        BadInput: the number of options, a repeated one, or other words for yes, no and abstain.
    """
    if kind == "yes-no-abstain":
        if list(options) != ["yes", "no", "abstain"]:
            raise BadInput("question.options", "A yes-no-abstain question has exactly the options yes, no, abstain.")
    elif not 2 <= len(options) <= 32 or len(set(options)) != len(options):
        raise BadInput("question.options", "A question has 2 to 32 different options.")


def shuffled(items: Sequence[T], rng: Callable[[int], bytes]) -> list[T]:
    """Return the items in an order drawn evenly from `rng` (n -> n random bytes)."""
    result = list(items)
    for last in range(len(result) - 1, 0, -1):
        chosen = _below(last + 1, rng)
        result[last], result[chosen] = result[chosen], result[last]
    return result


def _below(bound: int, rng: Callable[[int], bytes]) -> int:
    # 64 more bits than the bound keep the remainder's bias under 2^-64.
    return int.from_bytes(rng(8 + (bound.bit_length() + 7) // 8), "big") % bound
