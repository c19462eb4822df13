"""Readable differences between two texts: by paragraphs, and within a changed paragraph by words."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

# More cells than this are not compared: the whole stretch counts as replaced.
CELLS_MAX: Final = 250_000
PARAGRAPH_CELLS_MAX: Final = 400
ALIKE: Final = 0.4
KEEP, DELETE, INSERT, CHANGE = "keep", "delete", "insert", "change"

Pair = tuple[str | None, str | None]


class _Rows(Protocol):
    def __getitem__(self, row: int) -> list[float]: ...


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text that stays, goes or comes."""

    op: str
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A paragraph: `paragraph` is its place in the old text, or where it comes; `words` are those of a change."""

    op: str
    paragraph: int
    text: str
    words: tuple[Run, ...] = ()


def words(text: str) -> list[str]:
    """Split a text into words, signs and white space; joining them gives the text again.

    Letters, the marks on them and digits make a word, in Vietnamese composed or not.
    """
    result: list[str] = []
    kind = ""
    for one in text:
        category = unicodedata.category(one)[0]
        now = "word" if category in "LMN" else "space" if one.isspace() else ""
        if now and now == kind:
            result[-1] += one
        else:
            result.append(one)
        kind = now
    return result


def by_words(old: str, new: str) -> tuple[Run, ...]:
    """Return what to take away and to put in, word by word, so that people can read it.

    A lone blank or sign between two changes belongs to them: three changed words in a row read as one change.
    """
    pairs = _equal_pairs(words(old), words(new))
    runs: list[Run] = []
    gone, come, between = "", "", ""
    for a, b in pairs:
        if a is not None and a == b:
            if (gone or come) and not _is_word(a):
                between += a
                continue
            if gone or come:
                runs += _flush(gone, come)
                gone = come = ""
            runs.append(Run(KEEP, between + a))
            between = ""
            continue
        if between:
            gone, come, between = gone + between, come + between, ""
        gone += a or ""
        come += b or ""
    runs += _flush(gone, come)
    if between:
        runs.append(Run(KEEP, between))
    return tuple(_merged(runs))


def _is_word(token: str) -> bool:
    return unicodedata.category(token[0])[0] in "LMN"


def _flush(gone: str, come: str) -> list[Run]:
    """Return a change, with the blanks that both sides begin or end with left out of it."""
    head = _common(gone, come, lambda text: text[:1])
    gone, come = gone[len(head) :], come[len(head) :]
    tail = _common(gone[::-1], come[::-1], lambda text: text[:1])[::-1]
    gone, come = gone[: len(gone) - len(tail)], come[: len(come) - len(tail)]
    runs = [Run(KEEP, head), Run(DELETE, gone), Run(INSERT, come), Run(KEEP, tail)]
    return [run for run in runs if run.text]


def _common(one: str, other: str, first: Callable[[str], str]) -> str:
    length = 0
    while length < min(len(one), len(other)) and one[length] == other[length] and not _is_word(one[length]):
        length += 1
    return one[:length] if first(one) == first(other) else ""


def _merged(runs: Sequence[Run]) -> list[Run]:
    result: list[Run] = []
    for run in runs:
        if result and result[-1].op == run.op:
            result[-1] = Run(run.op, result[-1].text + run.text)
        else:
            result.append(run)
    return result


def by_paragraphs(old: Sequence[str], new: Sequence[str]) -> list[Line]:
    """Return the paragraphs of two texts beside each other; alike ones are one change, shown by words."""
    bags = {text: Counter(words(text)) for text in {*old, *new}}
    budget = CELLS_MAX
    lines: list[Line] = []
    place = 0
    for a, b in _paragraph_pairs(bags, old, new):
        if a is None:
            lines.append(Line(INSERT, place, b or ""))
            continue
        if b is None:
            lines.append(Line(DELETE, place, a))
        elif a == b:
            lines.append(Line(KEEP, place, a))
        else:
            budget -= len(words(a)) * len(words(b))
            inner = by_words(a, b) if budget > 0 else (Run(DELETE, a), Run(INSERT, b))
            lines.append(Line(CHANGE, place, b, inner))
        place += 1
    return lines


def _paragraph_pairs(bags: dict[str, Counter[str]], old: Sequence[str], new: Sequence[str]) -> list[Pair]:
    pairs: list[Pair] = []
    gone: list[str] = []
    come: list[str] = []
    for a, b in _equal_pairs(old, new):
        if a is None or b is None:
            gone += [] if a is None else [a]
            come += [] if b is None else [b]
            continue
        pairs += [*_alike_pairs(bags, gone, come), (a, b)]
        gone, come = [], []
    return [*pairs, *_alike_pairs(bags, gone, come)]


def _alike(bags: dict[str, Counter[str]], one: str, other: str) -> float:
    if one == other:
        return 1.0
    a, b = bags[one], bags[other]
    share = 2 * (a & b).total() / ((a.total() + b.total()) or 1)
    return share if share >= ALIKE else 0.0


def _alike_pairs(bags: dict[str, Counter[str]], old: Sequence[str], new: Sequence[str]) -> list[Pair]:
    """Pair changed paragraphs with those that they became; many at once are not looked at one by one."""
    if len(old) * len(new) > PARAGRAPH_CELLS_MAX:
        return _apart(old, new)
    likeness = [[_alike(bags, a, b) for b in new] for a in old]
    return _walk(old, new, likeness)


def _equal_pairs(old: Sequence[str], new: Sequence[str]) -> list[Pair]:
    """Pair the longest common subsequence; None stands for no partner."""
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    a, b = old[head : len(old) - tail], new[head : len(new) - tail]
    same = [(one, one) for one in old[:head]]
    ending = [(one, one) for one in old[len(old) - tail :]]
    if len(a) * len(b) > CELLS_MAX:
        return [*same, *_apart(a, b), *ending]
    return [*same, *_walk(a, b, _Equal(a, b)), *ending]


def _apart(old: Sequence[str], new: Sequence[str]) -> list[Pair]:
    return [*((one, None) for one in old), *((None, one) for one in new)]


class _Equal:
    """A matrix of 1 where two words are equal and 0 elsewhere, made row by row."""

    def __init__(self, old: Sequence[str], new: Sequence[str]) -> None:
        self._old, self._new = old, new

    def __getitem__(self, row: int) -> list[float]:
        word = self._old[row]
        return [1.0 if word == other else 0.0 for other in self._new]


def _walk(old: Sequence[str], new: Sequence[str], likeness: _Rows) -> list[Pair]:
    """Pair two sequences in order so that the sum of likenesses is greatest."""
    rows, columns = len(old), len(new)
    best = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows - 1, -1, -1):
        scores, below, row = likeness[i], best[i + 1], best[i]
        right = 0.0
        for j in range(columns - 1, -1, -1):
            paired = below[j + 1] + scores[j]
            right = paired if scores[j] and paired >= right else right
            right = below[j] if below[j] > right else right
            row[j] = right
    pairs: list[Pair] = []
    i = j = 0
    while i < rows and j < columns:
        score = likeness[i][j]
        if score and best[i][j] == best[i + 1][j + 1] + score:
            pairs.append((old[i], new[j]))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            pairs.append((old[i], None))
            i += 1
        else:
            pairs.append((None, new[j]))
            j += 1
    return [*pairs, *_apart(old[i:], new[j:])]
