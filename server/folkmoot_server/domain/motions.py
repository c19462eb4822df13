"""Motions: their life as a table, their texts by paragraphs, and amendments that meet in one text.

A text is paragraphs separated by one empty line. An amendment replaces the paragraphs `first` up to, not including,
`last`, counted from 0; with first = last it inserts before that paragraph.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from folkmoot_server.domain.errors import BadInput, WrongState
from folkmoot_server.domain.ids import b64u

TEXT_MAX: Final = 40_000
PARAGRAPHS_MAX: Final = 200
MOTIONS_MAX: Final = 100
AMENDMENTS_MAX: Final = 100
OWN_MAX: Final = 20  # of a member without an office, amendments too
SECONDERS: Final = 1
SECONDERS_MAX: Final = 50


class MotionState(StrEnum):
    """Where a motion stands."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    SECONDED = "seconded"
    ADMITTED = "admitted"
    VOTING = "voting"
    CARRIED = "carried"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    REFERRED = "referred"


class Verb(StrEnum):
    """Everything that can happen to a motion; each is a sentence's verb in a refusal."""

    CHANGE = "change"
    SUBMIT = "submit"
    SECOND = "second"
    COMPLETE = "have enough seconders for"
    ADMIT = "admit"
    WITHDRAW = "withdraw"
    REFER = "refer"
    PUT = "put to the vote"
    OPEN = "open the vote on"
    CARRY = "carry"
    REJECT = "reject"
    RELEASE = "leave undecided"
    AMEND = "amend"
    SET_BACK = "set back"
    REBASE = "fit to the new text"


_S = MotionState
_UNDECIDED: Final = (_S.SUBMITTED, _S.SECONDED, _S.ADMITTED)
NEXT: Final[Mapping[tuple[MotionState, Verb], MotionState]] = MappingProxyType(
    {
        (_S.DRAFT, Verb.CHANGE): _S.DRAFT,
        (_S.DRAFT, Verb.REBASE): _S.DRAFT,
        (_S.DRAFT, Verb.SUBMIT): _S.SUBMITTED,
        (_S.DRAFT, Verb.WITHDRAW): _S.WITHDRAWN,
        (_S.SUBMITTED, Verb.CHANGE): _S.SUBMITTED,
        (_S.SUBMITTED, Verb.REBASE): _S.SUBMITTED,
        (_S.SUBMITTED, Verb.SECOND): _S.SUBMITTED,
        (_S.SUBMITTED, Verb.COMPLETE): _S.SECONDED,
        # Only where no seconder is needed; see may_admit.
        (_S.SUBMITTED, Verb.ADMIT): _S.ADMITTED,
        (_S.SECONDED, Verb.SECOND): _S.SECONDED,
        (_S.SECONDED, Verb.ADMIT): _S.ADMITTED,
        (_S.ADMITTED, Verb.PUT): _S.ADMITTED,
        (_S.ADMITTED, Verb.OPEN): _S.VOTING,
        (_S.VOTING, Verb.CARRY): _S.CARRIED,
        (_S.VOTING, Verb.REJECT): _S.REJECTED,
        (_S.VOTING, Verb.RELEASE): _S.ADMITTED,
        **{(state, Verb.WITHDRAW): _S.WITHDRAWN for state in _UNDECIDED},
        **{(state, Verb.REFER): _S.REFERRED for state in _UNDECIDED},
        **{(state, Verb.AMEND): state for state in _UNDECIDED},
        **{(state, Verb.SET_BACK): _S.SUBMITTED for state in _UNDECIDED},
    }
)
LIVE: Final = (*_UNDECIDED, _S.VOTING)


def follow(state: MotionState, verb: Verb) -> MotionState:
    """Return the state after `verb`.

    Raises:
        WrongState: the table has no such step.
    """
    following = NEXT.get((state, verb))
    if following is None:
        raise WrongState("motion.wrong-state", f"Nobody can {verb} a motion that is {state}.")
    return following


@dataclass(frozen=True, slots=True)
class Span:
    """The paragraphs `first` up to, not including, `last` of a text; none where something is inserted."""

    first: int
    last: int

    @property
    def inserts(self) -> bool:
        """Whether it replaces nothing."""
        return self.first == self.last


@dataclass(frozen=True, slots=True)
class Backer:
    """A mover or a seconder, with the name at that time."""

    member: str
    name: str


@dataclass(frozen=True, slots=True)
class Motion:
    """A motion as stored; an amendment has a `base`. `number` is empty until it is submitted."""

    id: str
    meeting: str
    item: str
    base: str
    number: str
    title: str
    text: str
    hash: str
    span: Span
    base_hash: str
    seconders_needed: int
    state: MotionState
    collides: bool = False
    version: int = 1
    movers: tuple[Backer, ...] = ()
    seconders: tuple[Backer, ...] = ()
    conflicts: tuple[str, ...] = ()

    @property
    def edit(self) -> Edit:
        """What an amendment does to its base."""
        return Edit(self.span, tuple(paragraphs(self.text)))

    def moved_by(self, member: str) -> bool:
        """Say whether the member is a mover."""
        return any(one.member == member for one in self.movers)


def drafted(motion_id: str, meeting: str, item: str, title: str, text: str, base: str = "") -> Motion:
    """Return a new draft with a clean text; an amendment gets its place later."""
    return Motion(
        id=motion_id,
        meeting=meeting,
        item=item,
        base=base,
        number="",
        title=title,
        text=text,
        hash=text_hash(text),
        span=Span(0, 0),
        base_hash="",
        seconders_needed=0,
        state=MotionState.DRAFT,
    )


@dataclass(frozen=True, slots=True)
class Edit:
    """Paragraphs that take the place of a span."""

    span: Span
    lines: tuple[str, ...]

    @property
    def grows(self) -> int:
        """By how many paragraphs the text becomes longer."""
        return len(self.lines) - (self.span.last - self.span.first)


def may_admit(motion: Motion) -> None:
    """Refuse to admit what has too few seconders or does not fit its base any more.

    Raises:
        WrongState: so it is.
    """
    follow(motion.state, Verb.ADMIT)
    if motion.collides:
        raise WrongState(
            "motion.collides", "The text that this amendment changes is another one now; its mover looks first."
        )
    if motion.state is MotionState.SUBMITTED and len(motion.seconders) < motion.seconders_needed:
        raise WrongState("motion.needs-seconders", "This motion does not have enough seconders yet.")


def clean(text: str, *, may_be_empty: bool = False) -> str:
    """Return a text in NFC: paragraphs separated by one empty line, no blanks at the ends of lines.

    Raises:
        BadInput: empty, too long, too many paragraphs, or with control characters.
    """
    if len(text) > 2 * TEXT_MAX:
        raise _too_long()
    normal = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " "))
    if any(unicodedata.category(one) in ("Cc", "Cs") and one != "\n" for one in normal):
        raise BadInput("motion.bad-text", "The text holds characters that cannot be shown.")
    lines = "\n".join(line.rstrip() for line in normal.split("\n")).strip("\n")
    result = re.sub(r"\n{3,}", "\n\n", lines)
    if not result.strip() and not may_be_empty:
        raise BadInput("motion.no-text", "A motion needs a text.")
    if len(result) > TEXT_MAX or len(paragraphs(result)) > PARAGRAPHS_MAX:
        raise _too_long()
    return result


def _too_long() -> BadInput:
    return BadInput("motion.too-long", f"A text has at most {TEXT_MAX} characters and {PARAGRAPHS_MAX} paragraphs.")


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a clean text; none of an empty one."""
    return text.split("\n\n") if text else []


def joined(lines: Sequence[str]) -> str:
    """Return the text of these paragraphs."""
    return "\n\n".join(lines)


def text_hash(text: str) -> str:
    """Return the SHA-256 of a text in NFC, b64u."""
    return b64u(hashlib.sha256(unicodedata.normalize("NFC", text).encode("utf-8")).digest())


def check_edit(edit: Edit, base: str) -> None:
    """Refuse an amendment that does not fit its base's text.

    Raises:
        BadInput: paragraphs that there are not, or one that changes nothing.
    """
    lines = paragraphs(base)
    if not 0 <= edit.span.first <= edit.span.last <= len(lines):
        raise BadInput("motion.bad-paragraphs", "The text has no such paragraphs.")
    if list(edit.lines) == lines[edit.span.first : edit.span.last]:
        raise BadInput("motion.changes-nothing", "This amendment would change nothing.")
    clean(applied(base, edit), may_be_empty=True)


def applied(base: str, edit: Edit) -> str:
    """Return the text with the paragraphs of the span replaced."""
    lines = paragraphs(base)
    lines[edit.span.first : edit.span.last] = edit.lines
    return joined(lines)


def overlap(one: Edit, other: Edit) -> bool:
    """Say whether two amendments to one text collide: in any other case their order makes no difference.

    Two insertions collide at the same place, an insertion and a replacement when it goes between paragraphs that are
    replaced, and an insertion and a deletion also at its edges, where afterwards nothing says what stood first.
    """
    a, b = one.span, other.span
    if a.inserts and b.inserts:
        return a.first == b.first
    if a.inserts:
        return _inside(a.first, other)
    if b.inserts:
        return _inside(b.first, one)
    return max(a.first, b.first) < min(a.last, b.last)


def _inside(place: int, edit: Edit) -> bool:
    if not edit.lines:
        return edit.span.first <= place <= edit.span.last
    return edit.span.first < place < edit.span.last


def moved(span: Span, carried: Edit) -> Span:
    """Return where a span stands after an amendment that it does not overlap was carried."""
    done = carried.span
    if span.first < done.last:
        return span
    return Span(span.first + carried.grows, span.last + carried.grows)


def covering(span: Span, carried: Edit) -> Span:
    """Return the paragraphs that stand where an overlapped span stood, for its mover to look at.

    They are all that the carried amendment put there and what else the span held.
    """
    done = carried.span
    after = max(0, span.last - done.last)
    return Span(min(span.first, done.first), done.first + len(carried.lines) + after)


@dataclass(frozen=True, slots=True)
class Carried:
    """What carrying an amendment makes of its base's text and of the other amendments."""

    text: str
    others: tuple[Motion, ...]


def carry_amendment(base_text: str, amendment: Motion, others: Sequence[Motion]) -> Carried:
    """Apply an amendment: those it does not touch move along, those it overlaps are set back and collide."""
    edit = amendment.edit
    text = applied(base_text, edit)
    new_hash = text_hash(text)
    changed = []
    for other in others:
        touched = overlap(other.edit, edit)
        span = covering(other.span, edit) if touched else moved(other.span, edit)
        if touched or other.collides or other.base_hash != amendment.base_hash:
            changed.append(replace(other, collides=True, span=span))
        else:
            changed.append(replace(other, span=span, base_hash=new_hash))
    return Carried(text, tuple(changed))


def collisions(amendments: Sequence[Motion]) -> dict[str, list[str]]:
    """Return for each live amendment the others of the same base and text whose paragraphs overlap."""
    together: dict[tuple[str, str], list[tuple[str, Edit]]] = {}
    for one in amendments:
        if one.base and one.state in LIVE and not one.collides:
            together.setdefault((one.base, one.base_hash), []).append((one.id, one.edit))
    return {
        motion: [other for other, beside in group if other != motion and overlap(edit, beside)]
        for group in together.values()
        for motion, edit in group
    }
