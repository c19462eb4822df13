"""The electorate (section 5): its list, weights that tell nobody's vote, and votes that repeat an earlier one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from . import fields
from .encoding import JsonObject, b64u, h, jcs
from .errors import EncodingError, ManifestInvalid
from .questions import Question

MAX_WEIGHT = 10**6

SHAPE = fields.items(
    fields.record(credential=fields.key32, weight=fields.integer(), name=fields.text(low=0)),
    0,
    1_000_000,
)


@dataclass(frozen=True)
class Elector:
    """One entry of the electorate: a lineage's first credential, its weight, and a name in roll-calls."""

    credential: bytes
    weight: int = 1
    name: str = ""


@dataclass(frozen=True)
class EarlierVote:
    """What `find_repeats` must know of an earlier secret election of the meeting.

    Attributes:
        credentials: first credentials of its electorate.
    """

    election: str
    questions: Sequence[Question]
    credentials: Collection[bytes]


def make_electorate(electors: Iterable[Elector]) -> list[JsonObject]:
    """Return the electorate list, sorted by the b64u form of the credentials.

    Raises:
        ManifestInvalid: a credential comes twice or is not 32 bytes, or a weight is not 1..10^6.
    """
    electorate: list[JsonObject] = sorted(
        ({"credential": b64u(one.credential), "weight": one.weight, "name": one.name} for one in electors),
        key=lambda entry: str(entry["credential"]),
    )
    parse_electorate(electorate)
    return electorate


def parse_electorate(electorate: Sequence[JsonObject]) -> dict[bytes, Elector]:
    """Return the electors of an electorate list by credential, in its order.

    Raises:
        ManifestInvalid: malformed, unsorted, with duplicates, or a weight out of range.
    """
    try:
        parts = SHAPE(electorate)
    except EncodingError as error:
        raise ManifestInvalid(f"electorate: {error.detail}", code="voting.electorate") from error
    if any(left["credential"] >= right["credential"] for left, right in pairwise(electorate)):
        raise ManifestInvalid("the electorate is not sorted or has duplicates", code="voting.electorate")
    if not all(1 <= one["weight"] <= MAX_WEIGHT for one in parts):
        raise ManifestInvalid("weights are from 1 to 1,000,000", code="voting.electorate")
    return {one["credential"]: Elector(**one) for one in parts}


def electorate_hash(electorate: Sequence[JsonObject]) -> bytes:
    """Return the hash that the manifest carries."""
    return h("fm1/electorate", jcs(list(electorate)))


def check_classes(electors: Mapping[bytes, Elector], least: int) -> None:
    """Check that every weight occurs at least `least` times, since totals can tell those of each weight.

    Raises:
        ManifestInvalid: "voting.weight-leak".
    """
    rarest = min(Counter(one.weight for one in electors.values()).values(), default=least)
    if rarest < least:
        raise ManifestInvalid(
            f"each weight must be that of at least {least} electors in a secret vote", code="voting.weight-leak"
        )


def find_repeats(
    questions: Sequence[Question], credentials: Collection[bytes], least: int, earlier: Iterable[EarlierVote]
) -> list[str]:
    """Return the ids of earlier secret elections whose result beside this one's could tell a few people's choices.

    Args:
        questions: of this secret election.
        credentials: first credentials of its electorate.
        least: its least_electorate.
        earlier: secret elections of this meeting, in order of opening.
    """
    here, shapes = frozenset(credentials), [one.shape for one in questions]
    found = []
    for vote in earlier:
        there = frozenset(vote.credentials)
        apart = max(len(here - there), len(there - here))
        if [one.shape for one in vote.questions] == shapes and 1 <= apart < least:
            found.append(vote.election)
    return found
