"""Chat, written questions and answers: public, kept, moderated (conduct.md, section 8)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from folkmoot_server.domain.errors import BadInput, Forbidden, TooMany, WrongState

PAUSE_S: Final = 2  # between two messages of a person
PERSON_MAX: Final = 500  # messages of a person in a meeting
PAGE: Final = 200


class Kind(StrEnum):
    """What a message is."""

    CHAT = "chat"
    QUESTION = "question"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be written now: chat, questions, and whether visitors may write questions."""

    chat: bool = True
    questions: bool = True
    visitors: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """A message; `to` is the question that an answer belongs to or 0; the text of a hidden one is empty.

    `seq` is the number of the event that told of it: who may not know of that does not get the message.
    """

    meeting: str
    id: int
    person: str
    name: str
    kind: Kind
    to: int
    text: str
    at: int
    hidden: bool = False
    reason: str = ""
    votes: int = 0
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Writer:
    """Who wants to write; `office` is chair or secretary."""

    id: str
    name: str
    office: bool
    visitor: bool


def check_kind(writer: Writer, rules: Rules, kind: Kind) -> None:
    """Refuse a kind of message that is closed, or not for this person.

    Raises:
        Forbidden: an answer by somebody without office, or anything but a question by a visitor.
        WrongState: the chair has closed it.
    """
    if kind is Kind.ANSWER and not writer.office:
        raise Forbidden("message.officers-answer", "Questions are answered by the chair and the secretary.")
    if writer.visitor and kind is not Kind.QUESTION:
        raise Forbidden("message.visitors-ask", "Visitors may write questions only.")
    if writer.visitor and not rules.visitors:
        raise WrongState("message.closed", "The chair has not opened questions to visitors.")
    if (kind is Kind.CHAT and not rules.chat) or (kind is Kind.QUESTION and not rules.questions):
        raise WrongState("message.closed", "The chair has closed this.")


def check_pace(count: int, last_at: int, now: int) -> None:
    """Refuse a person's message after `count` others of which the last was written at `last_at`.

    Raises:
        TooMany: less than two seconds later, or 500 before it.
    """
    if count >= PERSON_MAX:
        raise TooMany("message.too-many", f"You have written {PERSON_MAX} messages in this meeting.")
    if count and now - last_at < PAUSE_S:
        raise TooMany("message.too-fast", "Wait a moment before you write again.")


def check_target(kind: Kind, question: Message | None) -> None:
    """Refuse an answer to nothing, or anything else that claims to be one.

    Raises:
        BadInput: it is so.
    """
    fits = question is not None and question.kind is Kind.QUESTION and not question.hidden
    if (kind is Kind.ANSWER) != fits or (question is not None and kind is not Kind.ANSWER):
        raise BadInput("message.bad-target", "An answer belongs to a question, and nothing else does.")
