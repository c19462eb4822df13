"""The questions that the scripted meeting can ask, and a choice for each from seeded randomness."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random  # noqa: TID251  seeded choices of the script; never keys
from typing import Final

from folkmoot_voting.encoding import JsonObject
from folkmoot_voting.manifest import ROLL_CALL, SECRET
from folkmoot_voting.questions import (
    Question,
    approval,
    borda,
    cells_of_marked,
    cells_of_ranking,
    m_of_n,
    multi_seat,
    one_of_n,
    score,
    yes_no_abstain,
)

PEOPLE: Final = ("Greta Weber", "Rui Costa", "Claire Dubois", "Minh Tran")
PLACES: Final = ("North park", "South park", "Station", "Market")


@dataclass(frozen=True, slots=True)
class Asked:
    """One vote of the scripted meeting."""

    title: str
    question: Question
    secrecy: str = SECRET

    def draft(self, item: str, **more: object) -> JsonObject:
        """Return the body that drafts it for an item of the agenda: the first ballot counts, most of those cast win.

        `more` says what is otherwise; without `closes_after_s` nobody but the chair ends it.
        """
        return {
            "agenda_item": item,
            "title": self.title,
            "questions": [self.question.to_json()],
            "secrecy": self.secrecy,
            "voting_again": "once",
            "majority": {"kind": "simple", "of": "cast"},
            "tie": "rejected",
            "closes_after_s": 0,
            "kiosk": False,
            **more,
        }


BUDGET: Final = yes_no_abstain("Shall the budget be adopted?")
QUESTIONS: Final[Mapping[str, Asked]] = {
    "yes-no-abstain": Asked("Budget", BUDGET),
    "one-of-n": Asked("Treasurer", one_of_n("Who shall be treasurer?", PEOPLE)),
    "m-of-n": Asked("Playgrounds", m_of_n("Where shall we build?", PLACES, 1, 3, blank=True, seats=2)),
    "approval": Asked("Sites", approval("Which places suit you?", PLACES)),
    "score": Asked("Plans", score("How good is each place, from 0 to 5?", PLACES, 5)),
    "borda": Asked("Order", borda("Your three best places, in order?", PLACES, 3)),
    "multi-seat": Asked("Board", multi_seat("Who shall sit on the board?", PEOPLE, 2, blank=True)),
    "roll-call": Asked("Budget", BUDGET, ROLL_CALL),
}


def choose(question: Question, rng: Random) -> list[int]:
    """Return the cells of one vote."""
    return _WAYS[question.type](question, rng)


def _one(question: Question, rng: Random) -> list[int]:
    return cells_of_marked(question, [rng.choice((0, 0, *range(len(question.options))))])


def _some(question: Question, rng: Random) -> list[int]:
    if question.blank and rng.random() < 0.1:
        return cells_of_marked(question, [])
    least = max(question.min, int(question.blank))
    return cells_of_marked(question, rng.sample(range(len(question.options)), rng.randint(least, question.max)))


def _points(question: Question, rng: Random) -> list[int]:
    return [rng.randint(0, question.score) for _ in question.options]


def _order(question: Question, rng: Random) -> list[int]:
    ranking: Sequence[int] = rng.sample(range(len(question.options)), question.ranks)
    return cells_of_ranking(question, ranking)


_WAYS: Final[Mapping[str, Callable[[Question, Random], list[int]]]] = {
    "yes-no-abstain": _one,
    "one-of-n": _one,
    "m-of-n": _some,
    "multi-seat": _some,
    "approval": _some,
    "score": _points,
    "borda": _order,
}
