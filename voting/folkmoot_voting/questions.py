"""Questions (section 5): which numbers a ballot seals for each type, and which sums of them must lie where."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from .encoding import JsonObject
from .errors import BallotRejected, ManifestInvalid

MAX_QUESTIONS, MAX_OPTIONS, MAX_CELLS = 8, 32, 128
MAX_SCORE, MAX_BORDA_OPTIONS = 10, 10
YES_NO_ABSTAIN = ("yes", "no", "abstain")
TYPES = ("yes-no-abstain", "one-of-n", "m-of-n", "multi-seat", "approval", "score", "borda")


@dataclass(frozen=True)
class Constraint:
    """A sum of cells, each times a factor, that must lie in low..high; terms are (cell, factor)."""

    terms: tuple[tuple[int, int], ...]
    low: int
    high: int


@dataclass(frozen=True)
class Question:
    """One question of a manifest; the fields are those of section 5.

    Attributes:
        min: least number of options that a ballot marks; not used by every type.
        max: greatest number of them.
        blank: whether a blank vote can be given.
        score: highest value of an option's cell.
        ranks: number of ranks of a borda question, else 0.
        seats: how many options can be elected.
    """

    type: str
    text: str
    options: tuple[str, ...]
    min: int = 1
    max: int = 1
    blank: bool = False
    score: int = 1
    ranks: int = 0
    seats: int = 1

    @cached_property
    def cells(self) -> tuple[int, ...]:
        """The highest value of each cell, in order; the lowest is 0."""
        if self.type == "score":
            return (self.score,) * len(self.options)
        if self.type == "borda":
            return (1,) * (len(self.options) * self.ranks)
        return (1,) * (len(self.options) + int(self.blank))

    @cached_property
    def constraints(self) -> tuple[Constraint, ...]:
        """The sums that a ballot proves, in order."""
        everything = tuple((cell, 1) for cell in range(len(self.options)))
        if self.type in ("approval", "score"):
            return ()
        if self.type == "borda":
            return self._rank_sums()
        if self.type in ("yes-no-abstain", "one-of-n"):
            return (Constraint(everything, 1, 1),)
        blank = ((len(self.options), self.max),) if self.blank else ()
        return (Constraint(everything + blank, self.min, self.max),)

    @property
    def leaves_undecided(self) -> int | None:
        """The cell whose votes the base "decided" leaves out: abstain or blank; None without one."""
        if self.type == "yes-no-abstain":
            return YES_NO_ABSTAIN.index("abstain")
        return len(self.options) if self.blank else None

    @property
    def shape(self) -> tuple[str, tuple[str, ...]]:
        """Type and options, by which a repeated vote is recognised (section 5)."""
        return self.type, self.options

    def to_json(self) -> JsonObject:
        """Return the manifest's form, with all nine fields."""
        return {
            "type": self.type,
            "text": self.text,
            "options": list(self.options),
            "min": self.min,
            "max": self.max,
            "blank": self.blank,
            "score": self.score,
            "ranks": self.ranks,
            "seats": self.seats,
        }

    def _rank_sums(self) -> tuple[Constraint, ...]:
        options, ranks = range(len(self.options)), range(self.ranks)
        least = int(self.ranks == len(self.options))
        by_rank = (Constraint(tuple((o * self.ranks + r, 1) for o in options), 1, 1) for r in ranks)
        by_option = (Constraint(tuple((o * self.ranks + r, 1) for r in ranks), least, 1) for o in options)
        return (*by_rank, *by_option)


def yes_no_abstain(text: str) -> Question:
    """Return a yes/no/abstain question."""
    return Question("yes-no-abstain", text, YES_NO_ABSTAIN)


def one_of_n(text: str, options: Sequence[str]) -> Question:
    """Return a question with exactly one of several options."""
    return Question("one-of-n", text, tuple(options))


def m_of_n(
    text: str, options: Sequence[str], low: int, high: int, *, blank: bool = False, seats: int = 1
) -> Question:
    """Return a question in which low to high options are marked."""
    return Question("m-of-n", text, tuple(options), min=low, max=high, blank=blank, seats=seats)


def multi_seat(text: str, options: Sequence[str], seats: int, *, low: int = 0, blank: bool = False) -> Question:
    """Return an election to several seats, each voter having as many votes as there are seats."""
    return Question("multi-seat", text, tuple(options), min=low, max=seats, blank=blank, seats=seats)


def approval(text: str, options: Sequence[str], *, seats: int = 1) -> Question:
    """Return a question in which any number of options is marked."""
    return Question("approval", text, tuple(options), min=0, max=len(options), seats=seats)


def score(text: str, options: Sequence[str], highest: int, *, seats: int = 1) -> Question:
    """Return a question in which each option gets 0 to `highest` points."""
    return Question("score", text, tuple(options), min=0, max=0, score=highest, seats=seats)


def borda(text: str, options: Sequence[str], ranks: int, *, seats: int = 1) -> Question:
    """Return a question in which the best `ranks` options are put in order."""
    return Question("borda", text, tuple(options), min=0, max=0, ranks=ranks, seats=seats)


def check_questions(questions: Sequence[Question]) -> None:
    """Check the values of section 5.

    Raises:
        ManifestInvalid: with the first fault.
    """
    if not 1 <= len(questions) <= MAX_QUESTIONS:
        raise _bad("1 to 8 questions")
    for one in questions:
        if one.type not in TYPES:
            raise _bad("unknown type of question")
        if not 2 <= len(one.options) <= MAX_OPTIONS or len(set(one.options)) != len(one.options):
            raise _bad("2 to 32 distinct options")
        if one.blank and one.type not in ("m-of-n", "multi-seat"):
            raise _bad("this type of question has no blank vote")
        if one.type != "score" and one.score != 1:
            raise _bad("score is 1 in this type of question")
        if one.type != "borda" and one.ranks != 0:
            raise _bad("ranks is 0 in this type of question")
        if not _FITS[one.type](one):
            raise _bad(f"numbers or options that a {one.type} question cannot have")
    if sum(len(one.cells) for one in questions) > MAX_CELLS:
        raise _bad("at most 128 cells")


def _single(one: Question) -> bool:
    return (one.min, one.max, one.seats) == (1, 1, 1)


def _seats_fit(one: Question) -> bool:
    return 1 <= one.seats <= len(one.options)


_FITS: Mapping[str, Callable[[Question], bool]] = {
    "yes-no-abstain": lambda one: _single(one) and one.options == YES_NO_ABSTAIN,
    "one-of-n": _single,
    "m-of-n": lambda one: 0 <= one.min <= one.max and 1 <= one.max <= len(one.options) and _seats_fit(one),
    "multi-seat": lambda one: 2 <= one.seats < len(one.options) and one.max == one.seats and 0 <= one.min <= one.max,
    "approval": lambda one: (one.min, one.max) == (0, len(one.options)) and _seats_fit(one),
    "score": lambda one: (one.min, one.max) == (0, 0) and 1 <= one.score <= MAX_SCORE and _seats_fit(one),
    "borda": lambda one: (
        (one.min, one.max) == (0, 0)
        and len(one.options) <= MAX_BORDA_OPTIONS
        and 1 <= one.ranks <= len(one.options)
        and _seats_fit(one)
    ),
}


def cells_of_one(question: Question, option: int) -> list[int]:
    """Return the cells of a vote for one option of a yes/no/abstain or one of n question."""
    return cells_of_marked(question, [option])


def cells_of_marked(question: Question, options: Sequence[int]) -> list[int]:
    """Return the cells of a vote that marks these options; none is a blank vote where the question has one."""
    cells = [int(option in options) for option in range(len(question.options))]
    return [*cells, int(not options)] if question.blank else cells


def cells_of_ranking(question: Question, ranking: Sequence[int]) -> list[int]:
    """Return the cells of a borda vote: options from the best, as many as there are ranks."""
    return [
        int(rank < len(ranking) and ranking[rank] == option)
        for option in range(len(question.options))
        for rank in range(question.ranks)
    ]


def check_values(question: Question, values: Sequence[int], error: type[BallotRejected] = BallotRejected) -> None:
    """Check that a question can be answered with these cells: each range, then each sum.

    Raises:
        BallotRejected: `error`, with code "voting.choice" when it is BallotRejected itself.
    """
    check_ranges(question, values, error)
    check_sums(question, values, error)


def check_ranges(question: Question, values: Sequence[int], error: type[BallotRejected]) -> None:
    """Check number and range of the cells; raises `error`."""
    if len(values) != len(question.cells):
        raise _refuse(error, "one value per cell")
    if not all(0 <= value <= highest for value, highest in zip(values, question.cells, strict=True)):
        raise _refuse(error, "a value outside its range")


def check_sums(question: Question, values: Sequence[int], error: type[BallotRejected]) -> None:
    """Check every constraint; raises `error`."""
    for one in question.constraints:
        if not one.low <= sum(factor * values[cell] for cell, factor in one.terms) <= one.high:
            raise _refuse(error, "too few or too many options are marked, or one twice")


def _refuse(error: type[BallotRejected], why: str) -> BallotRejected:
    return error(why, code="voting.choice") if error is BallotRejected else error(why)


def _bad(why: str) -> ManifestInvalid:
    return ManifestInvalid(f"manifest: {why}")
