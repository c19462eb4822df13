"""Motions as rules: the table in full, texts, amendments in any order, and readable differences."""

from __future__ import annotations

import itertools
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from folkmoot_server.domain import diffs, motions
from folkmoot_server.domain.errors import BadInput, WrongState
from folkmoot_server.domain.motions import (
    NEXT,
    Backer,
    Edit,
    Motion,
    MotionState,
    Span,
    Verb,
    applied,
    carry_amendment,
    clean,
    collisions,
    covering,
    drafted,
    follow,
    joined,
    may_admit,
    moved,
    overlap,
    paragraphs,
    text_hash,
)

BASE = [f"Paragraph {index}." for index in range(6)]
TEXT = joined(BASE)
S = MotionState

# -- states ------------------------------------------------------------------------------------------------------

ALLOWED = {
    S.DRAFT: {Verb.CHANGE, Verb.REBASE, Verb.SUBMIT, Verb.WITHDRAW},
    S.SUBMITTED: {
        *(Verb.CHANGE, Verb.REBASE, Verb.SECOND, Verb.COMPLETE, Verb.ADMIT),
        *(Verb.WITHDRAW, Verb.REFER, Verb.AMEND, Verb.SET_BACK),
    },
    S.SECONDED: {Verb.SECOND, Verb.ADMIT, Verb.WITHDRAW, Verb.REFER, Verb.AMEND, Verb.SET_BACK},
    S.ADMITTED: {Verb.PUT, Verb.OPEN, Verb.WITHDRAW, Verb.REFER, Verb.AMEND, Verb.SET_BACK},
    S.VOTING: {Verb.CARRY, Verb.REJECT, Verb.RELEASE},
}


@pytest.mark.parametrize(("state", "verb"), list(itertools.product(MotionState, Verb)))
def test_every_verb_meets_every_state(state: MotionState, verb: Verb) -> None:
    if verb in ALLOWED.get(state, set()):
        assert follow(state, verb) is NEXT[state, verb]
    else:
        with pytest.raises(WrongState) as refused:
            follow(state, verb)
        assert refused.value.code == "motion.wrong-state"


def test_every_state_is_reached_and_what_is_decided_stays() -> None:
    reached = {S.DRAFT}
    for _ in MotionState:
        reached |= {after for (before, _), after in NEXT.items() if before in reached}
    assert reached == set(MotionState)
    final = {S.CARRIED, S.REJECTED, S.WITHDRAWN, S.REFERRED}
    assert not [one for one in NEXT if one[0] in final]


def motion(name: str, first: int, last: int, *lines: str, state: MotionState = S.ADMITTED) -> Motion:
    made = drafted(name, "m", "i", name, joined(lines), "base")
    return replace(made, span=Span(first, last), base_hash=text_hash(TEXT), state=state)


def test_a_motion_is_admitted_with_enough_seconders_and_a_text_that_fits() -> None:
    submitted = replace(motion("a", 0, 1, "x", state=S.SUBMITTED), seconders_needed=1)
    with pytest.raises(WrongState, match="needs-seconders"):
        may_admit(submitted)
    with pytest.raises(WrongState, match="collides"):
        may_admit(replace(submitted, seconders=(Backer("b", "B"),), collides=True))
    may_admit(replace(submitted, seconders=(Backer("b", "B"),)))
    may_admit(replace(submitted, seconders_needed=0))


# -- texts -------------------------------------------------------------------------------------------------------


def test_a_text_is_kept_in_one_form() -> None:
    assert clean("\r\n\r\n one \r\n\r\n\r\n\n two\tthree  \n") == " one\n\n two three"
    composed, apart = "nghị quyết", unicodedata.normalize("NFD", "nghị quyết")
    assert composed != apart
    assert clean(apart) == composed
    assert text_hash(apart) == text_hash(composed)
    assert paragraphs("") == []
    assert clean("", may_be_empty=True) == ""


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "motion.no-text"),
        (" \n\n ", "motion.no-text"),
        ("a\x07", "motion.bad-text"),
        ("\ud800", "motion.bad-text"),
        ("a" * 40_001, "motion.too-long"),
        ("a" * 100_000, "motion.too-long"),
        ("\n\n".join("a" * 201), "motion.too-long"),
    ],
)
def test_texts_that_are_refused(text: str, code: str) -> None:
    with pytest.raises(BadInput) as refused:
        clean(text)
    assert refused.value.code == code


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.just("\n"), max_size=80))
def test_a_clean_text_stays_as_it_is(text: str) -> None:
    try:
        once = clean(text, may_be_empty=True)
    except BadInput:
        return
    assert clean(once, may_be_empty=True) == once
    assert joined(paragraphs(once)) == once


# -- amendments --------------------------------------------------------------------------------------------------


@st.composite
def edits(draw: st.DrawFn, name: str) -> Motion:
    first = draw(st.integers(0, len(BASE)))
    last = draw(st.integers(first, min(len(BASE), first + 2)))
    count = draw(st.integers(1 if first == last else 0, 3))
    return motion(name, first, last, *(f"New {name}{index}." for index in range(count)))


amendments = st.lists(st.integers(0, 9), min_size=2, max_size=4).flatmap(
    lambda marks: st.tuples(*(edits(f"{place}") for place in range(len(marks))))
)


def carried_in(order: tuple[Motion, ...]) -> str:
    """Carry amendments one after the other, as votes do, and return the text."""
    text, waiting = TEXT, list(order)
    while waiting:
        first, *rest = waiting
        assert not first.collides
        done = carry_amendment(text, first, rest)
        text, waiting = done.text, list(done.others)
    return text


@settings(max_examples=400, deadline=None)
@given(amendments)
def test_amendments_that_do_not_overlap_give_the_same_text_in_any_order(chosen: tuple[Motion, ...]) -> None:
    if any(overlap(one.edit, other.edit) for one, other in itertools.combinations(chosen, 2)):
        return
    texts = {carried_in(order) for order in itertools.permutations(chosen)}
    assert len(texts) == 1
    replaced = sum(one.span.last - one.span.first for one in chosen)
    added = sum(len(one.edit.lines) for one in chosen)
    assert len(paragraphs(texts.pop())) == len(BASE) - replaced + added


@settings(max_examples=300, deadline=None)
@given(edits("a"), edits("b"))
def test_whether_two_collide_does_not_depend_on_their_order_and_carrying_one_says_so(
    one: Motion, other: Motion
) -> None:
    assert overlap(one.edit, other.edit) is overlap(other.edit, one.edit)
    (after,) = carry_amendment(TEXT, one, [other]).others
    assert after.collides is overlap(one.edit, other.edit)
    length = len(paragraphs(applied(TEXT, one.edit)))
    assert 0 <= after.span.first <= after.span.last <= length


def test_control_an_order_makes_a_difference_for_some_that_overlap() -> None:
    one, other = motion("a", 2, 2, "A."), motion("b", 2, 2, "B.")
    assert overlap(one.edit, other.edit)
    forth = applied(applied(TEXT, one.edit), Edit(moved(other.span, one.edit), other.edit.lines))
    back = applied(applied(TEXT, other.edit), Edit(moved(one.span, other.edit), one.edit.lines))
    assert forth != back


@pytest.mark.parametrize(
    ("one", "other", "collides"),
    [
        ((0, 1, 1), (1, 2, 1), False),
        ((0, 2, 1), (1, 2, 1), True),
        ((1, 1, 1), (1, 1, 1), True),
        ((1, 1, 1), (2, 2, 1), False),
        ((1, 1, 1), (1, 2, 1), False),
        ((2, 2, 1), (1, 2, 1), False),
        ((2, 2, 1), (1, 3, 1), True),
        ((1, 1, 1), (1, 2, 0), True),
        ((2, 2, 1), (1, 2, 0), True),
        ((0, 0, 1), (1, 2, 0), False),
    ],
)
def test_what_collides(one: tuple[int, int, int], other: tuple[int, int, int], collides: bool) -> None:
    a, b = (Edit(Span(first, last), ("x",) * lines) for first, last, lines in (one, other))
    assert overlap(a, b) is collides


def test_an_overlapped_span_covers_what_stands_there_now() -> None:
    carried = Edit(Span(1, 3), ("x", "y", "z"))
    assert covering(Span(2, 4), carried) == Span(1, 5)
    assert covering(Span(0, 2), carried) == Span(0, 4)
    assert covering(Span(1, 2), carried) == Span(1, 4)


def test_collisions_are_named_on_both_sides_and_among_live_ones_alone() -> None:
    a, b, c = motion("a", 0, 2, "x"), motion("b", 1, 3, "x"), motion("c", 3, 4, "x")
    assert collisions([a, b, c]) == {"a": ["b"], "b": ["a"], "c": []}
    assert collisions([a, replace(b, state=S.WITHDRAWN), c]) == {"a": [], "c": []}


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (Edit(Span(0, 7), ("x",)), "motion.bad-paragraphs"),
        (Edit(Span(2, 1), ("x",)), "motion.bad-paragraphs"),
        (Edit(Span(-1, 1), ("x",)), "motion.bad-paragraphs"),
        (Edit(Span(1, 2), (BASE[1],)), "motion.changes-nothing"),
        (Edit(Span(1, 1), ()), "motion.changes-nothing"),
        (Edit(Span(1, 1), ("x",) * 195), "motion.too-long"),
    ],
)
def test_amendments_that_do_not_fit(edit: Edit, code: str) -> None:
    with pytest.raises(BadInput) as refused:
        motions.check_edit(edit, TEXT)
    assert refused.value.code == code


# -- differences -------------------------------------------------------------------------------------------------

VIETNAMESE = st.sampled_from(["hợp", "tác", "xã", "mua", "máy", "cày", "năm", "2026", "nghị", "quyết"])
sentences = st.lists(VIETNAMESE | st.sampled_from([",", ".", "(", ")", "  "]), max_size=14).map(" ".join)


@settings(max_examples=300, deadline=None)
@given(sentences, sentences)
def test_a_difference_by_words_holds_both_texts(old: str, new: str) -> None:
    runs = diffs.by_words(old, new)
    assert "".join(run.text for run in runs if run.op != diffs.INSERT) == old
    assert "".join(run.text for run in runs if run.op != diffs.DELETE) == new
    assert all(run.text for run in runs)
    assert all(one.op != other.op for one, other in itertools.pairwise(runs))


@given(st.text(max_size=60))
def test_words_lose_nothing(text: str) -> None:
    assert "".join(diffs.words(text)) == text


def test_vietnamese_words_stay_whole_composed_or_not() -> None:
    text = "Nghị quyết số 15: đã được thông qua."
    whole = ["Nghị", " ", "quyết", " ", "số", " ", "15", ":", " ", "đã", " ", "được", " ", "thông", " ", "qua", "."]
    assert diffs.words(text) == whole
    apart = unicodedata.normalize("NFD", text)
    assert [unicodedata.normalize("NFC", word) for word in diffs.words(apart)] == whole


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("mua thêm hai máy cày", "thuê ba máy cày mới", "[mua thêm hai]{thuê ba} máy cày{ mới}"),
        ("spend 5,000 euros on a roof", "spend 7,500 euros on a roof", "spend [5,000]{7,500} euros on a roof"),
        ("the same", "the same", "the same"),
        ("", "new", "{new}"),
    ],
)
def test_a_difference_reads_well(old: str, new: str, shown: str) -> None:
    marks = {diffs.KEEP: "%s", diffs.DELETE: "[%s]", diffs.INSERT: "{%s}"}
    assert "".join(marks[run.op] % run.text for run in diffs.by_words(old, new)) == shown


@settings(max_examples=200, deadline=None)
@given(st.lists(sentences, max_size=6), st.lists(sentences, max_size=6))
def test_a_difference_by_paragraphs_holds_both_texts(old: list[str], new: list[str]) -> None:
    lines = diffs.by_paragraphs(old, new)
    before = [
        "".join(run.text for run in line.words if run.op != diffs.INSERT) if line.op == diffs.CHANGE else line.text
        for line in lines
        if line.op != diffs.INSERT
    ]
    assert before == old
    assert [line.text for line in lines if line.op != diffs.DELETE] == new
    assert [line.paragraph for line in lines if line.op != diffs.INSERT] == list(range(len(old)))


def test_a_text_made_to_be_slow_is_shown_as_a_whole() -> None:
    old, new = "a b " * 5000, "b c " * 5000
    runs = diffs.by_words(old, new)
    assert [run.op for run in runs if run.op != diffs.KEEP] == [diffs.DELETE, diffs.INSERT]
    lines = diffs.by_paragraphs([f"{old} {index}" for index in range(4)], [f"{new} {index}" for index in range(4)])
    assert len(lines) <= 8
