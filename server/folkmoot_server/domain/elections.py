"""The life of an election as a table of states and verbs, and the numbers that go with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeVar

from folkmoot_server.domain.errors import WrongState
from folkmoot_server.domain.ids import Rng

T = TypeVar("T")

TIME_LIMIT_S: Final = 24 * 3600  # from the vote's end by the clock to the last moment at which it may be counted
OPEN_MAX_S: Final = 31 * 24 * 3600  # of a vote that ends by the clock
GRACE_MAX_S: Final = 3600
SMALL: Final = 10  # a secret vote of fewer electors is warned of
SEALS_MAX: Final = 20  # sealed ballots that a lineage may announce
BALLOTS_MAX: Final = 20  # of a lineage, where the last counts: more would make a record too big to check
REPLACEMENTS_MAX: Final = 20  # of a lineage, for the same reason
REJECTED_MAX: Final = 5  # wrong shares of one trustee that are kept as evidence


class Phase(StrEnum):
    """Where an election stands, in the words of wire.md."""

    DRAFT = "draft"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"
    COUNTING = "counting"
    TIED = "tied"
    COUNTED = "counted"
    DECLARED = "declared"
    TOO_FEW = "too-few"
    VOID = "void"


class Verb(StrEnum):
    """What can happen to an election; each is a sentence's verb in a refusal."""

    EXCLUDE = "exclude anybody"
    OPEN = "open"
    CAST = "cast"
    PUBLISH = "publish"
    CLOSE = "close"
    SEAL = "seal"
    COSIGN = "cosign"
    START_COUNT = "start counting"
    FIND_TOO_FEW = "find too few ballots"
    COUNT_PLAIN = "count"
    POST_INTENT = "post an intent"
    POST_SHARE = "post a share"
    COUNT = "make the count"
    FIND_TIE = "find a tie"
    DECIDE = "decide a tie"
    SIGN = "sign the tally"
    DECLARE = "declare"
    DECLARE_TOO_FEW = "declare too few"
    EXPIRE = "expire"
    ABORT = "abort"


NEXT: Final[Mapping[tuple[Phase, Verb], Phase]] = MappingProxyType(
    {
        (Phase.DRAFT, Verb.EXCLUDE): Phase.DRAFT,
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
        # Where ballots are open for all to read, the server counts as soon as the box is cosigned.
        (Phase.CLOSED, Verb.COUNT_PLAIN): Phase.COUNTED,
        (Phase.CLOSED, Verb.FIND_TIE): Phase.TIED,
        (Phase.COUNTING, Verb.COSIGN): Phase.COUNTING,
        (Phase.COUNTING, Verb.POST_INTENT): Phase.COUNTING,
        (Phase.COUNTING, Verb.POST_SHARE): Phase.COUNTING,
        (Phase.COUNTING, Verb.COUNT): Phase.COUNTED,
        (Phase.COUNTING, Verb.FIND_TIE): Phase.TIED,
        (Phase.TIED, Verb.COSIGN): Phase.TIED,
        (Phase.TIED, Verb.POST_INTENT): Phase.TIED,
        (Phase.TIED, Verb.POST_SHARE): Phase.TIED,
        (Phase.TIED, Verb.DECIDE): Phase.TIED,
        (Phase.TIED, Verb.COUNT): Phase.COUNTED,
        # A teller whose share was not needed any more may still post it; the tally entry comes last.
        (Phase.COUNTED, Verb.COSIGN): Phase.COUNTED,
        (Phase.COUNTED, Verb.POST_INTENT): Phase.COUNTED,
        (Phase.COUNTED, Verb.POST_SHARE): Phase.COUNTED,
        (Phase.COUNTED, Verb.SIGN): Phase.COUNTED,
        (Phase.COUNTED, Verb.DECLARE): Phase.DECLARED,
        (Phase.COUNTED, Verb.DECLARE_TOO_FEW): Phase.TOO_FEW,
        # The chair breaks off what is still open; the box stays shut.
        (Phase.OPEN, Verb.ABORT): Phase.VOID,
        (Phase.CLOSING, Verb.ABORT): Phase.VOID,
        # What is counted in time may be signed later; everything else is void after the time limit.
        (Phase.OPEN, Verb.EXPIRE): Phase.VOID,
        (Phase.CLOSING, Verb.EXPIRE): Phase.VOID,
        (Phase.CLOSED, Verb.EXPIRE): Phase.VOID,
        (Phase.COUNTING, Verb.EXPIRE): Phase.VOID,
        (Phase.TIED, Verb.EXPIRE): Phase.VOID,
    }
)
FINISHED: Final = frozenset({Phase.DECLARED, Phase.TOO_FEW})
EXPIRING: Final = frozenset(phase for phase, verb in NEXT if verb is Verb.EXPIRE)
RUNNING: Final = frozenset({Phase.OPEN, Phase.CLOSING, Phase.CLOSED, Phase.COUNTING, Phase.TIED, Phase.COUNTED})


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


def require_open_time(phase: Phase, grace_until: int, arrived_at: int) -> None:
    """Refuse what arrived after the end of the grace.

    Raises:
        WrongState: it did.
    """
    if phase is Phase.CLOSING and arrived_at > grace_until:
        raise WrongState("ballot.election-not-open", "The ballot came after the end of the grace.")


def mixed(items: Sequence[T], lineage: Callable[[T], str], step: Callable[[T], int], rng: Rng) -> list[T]:
    """Return the items in an order drawn from `rng`, those of one lineage by their steps."""
    places = shuffled(items, rng)
    waiting: dict[str, list[T]] = {}
    for item in sorted(items, key=step, reverse=True):
        waiting.setdefault(lineage(item), []).append(item)
    return [waiting[lineage(item)].pop() for item in places]


def shuffled(items: Sequence[T], rng: Rng) -> list[T]:
    """Return the items in an order drawn evenly from `rng` (n -> n random bytes)."""
    result = list(items)
    for last in range(len(result) - 1, 0, -1):
        chosen = _below(last + 1, rng)
        result[last], result[chosen] = result[chosen], result[last]
    return result


def _below(bound: int, rng: Rng) -> int:
    # 64 more bits than the bound keep the remainder's bias under 2^-64.
    return int.from_bytes(rng(8 + (bound.bit_length() + 7) // 8), "big") % bound
