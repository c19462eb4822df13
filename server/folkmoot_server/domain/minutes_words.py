"""The languages of the minutes: sentences with places for names and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from folkmoot_server.domain.errors import BadInput
from folkmoot_server.domain.minutes_en import EN, EN_MONTHS
from folkmoot_server.domain.minutes_vi import VI


@dataclass(frozen=True, slots=True)
class Words:
    """One language; a key with ".one" beside it has a form for the number 1 of its `n`."""

    language: str
    sentences: Mapping[str, str]
    months: Sequence[str] = ()

    def say(self, key: str, **given: Any) -> str:
        """Return the sentence called `key` with its places filled."""
        if given.get("n") == 1 and f"{key}.one" in self.sentences:
            key = f"{key}.one"
        return self.sentences[key].format(**given)

    def day(self, at: datetime) -> str:
        """Return a date in words."""
        month = self.months[at.month - 1] if self.months else at.month
        return self.say("day", day=at.day, month=month, year=at.year)

    def duration(self, seconds: int) -> str:
        """Return a length of time in minutes and seconds."""
        return self.say("duration", minutes=seconds // 60, seconds=f"{seconds % 60:02d}")

    def listed(self, texts: Sequence[str]) -> str:
        """Return texts as an enumeration."""
        if len(texts) < 2:
            return "".join(texts)
        return self.say("and", first=", ".join(texts[:-1]), last=texts[-1])


def ended(text: str) -> str:
    """Return what somebody wrote as a sentence of its own."""
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


LANGUAGES: Final[Mapping[str, Words]] = {"en": Words("en", EN, EN_MONTHS), "vi": Words("vi", VI)}


def words_of(language: str) -> Words:
    """Return a language.

    Raises:
        BadInput: minutes are not written in it.
    """
    found = LANGUAGES.get(language)
    if found is None:
        raise BadInput("minutes.language", f"Minutes are written in {', '.join(sorted(LANGUAGES))}.")
    return found
