"""The minutes: a pure function of the log, every sentence with its events, alike in both languages."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from string import Formatter
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.arch.test_wire_doc import EVENT_LISTS
from tests.server.minutes_log import example

from folkmoot_server.domain.attendance import LoggedEvent
from folkmoot_server.domain.errors import BadInput
from folkmoot_server.domain.minutes import Course, Minutes, Section, draft
from folkmoot_server.domain.minutes_course import HANDLERS, SILENT
from folkmoot_server.domain.minutes_forms import as_html, as_text
from folkmoot_server.domain.minutes_words import LANGUAGES, words_of
from folkmoot_server.storage.events import StoredEvent

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
NUMBER = re.compile(r"\d+")


def written(events: list[StoredEvent], language: str = "en") -> Minutes:
    return draft(events, words_of(language), ZONE, HANDLERS)


def lines(minutes: Minutes) -> list[tuple[tuple[int, ...], str]]:
    """Return every sentence and heading with its events."""
    found = [(section.events, section.heading) for section in minutes.sections]
    return found + [(one.events, one.text) for section in minutes.sections for one in section.sentences]


def test_every_event_is_told_or_left_out_on_purpose() -> None:
    known = {name for text in EVENT_LISTS for name in re.findall(r"(\w+)\{", text)}
    assert known == set(HANDLERS) | SILENT
    assert not set(HANDLERS) & SILENT


def test_the_example_has_one_of_every_event_that_is_told() -> None:
    assert set(HANDLERS) <= {event.type for event in example()}


def test_the_same_log_gives_the_same_bytes_and_another_log_others() -> None:
    words = words_of("en")
    first = as_html(written(example()), words)
    assert first == as_html(written(copy.deepcopy(example())), words)
    changed = example()
    changed[0].body["title"] = "Autumn meeting"
    assert first != as_html(written(changed), words)


def test_the_languages_have_the_same_sentences_with_the_same_places() -> None:
    places: dict[str, dict[str, set[str]]] = {}
    for language, words in LANGUAGES.items():
        whole = {key: text for key, text in words.sentences.items() if not key.endswith(".one")}
        places[language] = {
            key: {field for _, field, _, _ in Formatter().parse(text) if field} for key, text in whole.items()
        }
    assert places["en"] == places["vi"]
    assert len(places["en"]) > 90


def numbers(minutes: Minutes) -> list[tuple[tuple[int, ...], list[int]]]:
    """Return the numbers of each sentence but those of its date: a month is a word in one language."""
    found = []
    for events, text in lines(minutes):
        bare = re.sub(r"\d+ [A-Z][a-z]+ 20\d\d|ngày \d+ tháng \d+ năm \d+", "", text)
        found.append((events, sorted(int(one) for one in NUMBER.findall(bare))))
    return found


def test_both_languages_tell_the_same_numbers_from_the_same_events() -> None:
    english, vietnamese = numbers(written(example(), "en")), numbers(written(example(), "vi"))
    assert english == vietnamese
    assert sum(len(one) for _, one in english) > 60


def test_control_a_wrong_number_in_one_language_is_noticed() -> None:
    changed = example()
    changed[7].body["recipients"] = 40
    assert numbers(written(example(), "en")) != numbers(written(changed, "vi"))


def touched(before: Minutes, after: Minutes) -> tuple[set[str], set[str]]:
    """Return the texts that only one of two drafts has."""
    old, new = {text for _, text in lines(before)}, {text for _, text in lines(after)}
    return old - new, new - old


def variants(event: StoredEvent) -> list[StoredEvent]:
    """Return the event with its time moved, and with each text and number of its body changed."""
    found = [replace(event, at=event.at + 3600)]
    for key, value in event.body.items():
        other: Any = None
        if isinstance(value, bool) or (event.type, key) == ("MemberDeparted", "reason"):
            continue  # one of a few words
        if isinstance(value, int):
            other = value + 7200
        elif isinstance(value, str) and key in ("title", "name", "reason", "number", "hash", "sha256", "resolution"):
            other = f"Z{value}"
        if other is not None:
            found.append(replace(event, body={**event.body, key: other}))
    return found


def test_changing_an_event_changes_sentences_that_cite_it_and_no_others() -> None:
    before = written(example())
    changes = 0
    for index, event in enumerate(example()):
        citing = {text for events, text in lines(before) if event.seq in events}
        for variant in variants(event):
            log = example()
            log[index] = variant
            gone, come = touched(before, written(log))
            after = {text for events, text in lines(written(log)) if event.seq in events}
            if index:  # the meeting's own title stands over everything
                assert gone <= citing, (event.type, gone - citing)
                assert come <= after, (event.type, come - after)
            changes += len(gone)
    assert changes > 80


def test_a_name_at_check_in_changes_exactly_the_sentences_that_say_it() -> None:
    log = example()
    seq = next(event.seq for event in log if event.type == "MemberCheckedIn" and event.body["name"] == "Binh")
    before = written(log)
    log[seq - 1].body["name"] = "Bình Trần"
    gone, _ = touched(before, written(log))
    citing = {text for events, text in lines(before) if seq in events}
    assert gone == citing
    assert len(gone) >= 3


def test_control_a_sentence_that_forgets_its_event_is_noticed() -> None:
    def forgetful(course: Course, event: LoggedEvent) -> None:
        course.say("queue-closed", [1])
        course.sections[-1].sentences[-1] = replace(
            course.sections[-1].sentences[-1], text=f"{event.body['title']} was begun."
        )

    handlers = {**HANDLERS, "AgendaItemStarted": forgetful}
    before = draft(example(), words_of("en"), ZONE, handlers)
    log = example()
    index = next(
        at for at, event in enumerate(log) if event.type == "AgendaItemStarted" and event.body["item"] == "i2"
    )
    log[index].body["title"] = "Other"
    gone, _ = touched(before, draft(log, words_of("en"), ZONE, handlers))
    citing = {text for events, text in lines(before) if log[index].seq in events}
    assert not gone <= citing


def test_every_sentence_cites_an_event_of_the_log() -> None:
    known = {event.seq for event in example()}
    for events, text in lines(written(example())):
        assert set(events) <= known
        fixed = text in {words_of("en").say(key) for key in words_of("en").sentences if key.startswith("heading.")}
        assert events or fixed, text


def test_items_make_sections_in_the_order_in_which_they_were_taken_up() -> None:
    headings = [section.heading for section in written(example()).sections]
    assert headings == [
        "Notice and check-in",
        "Attendance",
        "Opening",
        "Reports",
        "Budget 2027",
        "Reports (taken up again)",
        "Internal item",
        "Resolutions",
    ]


def find(minutes: Minutes, heading: str) -> Section:
    return next(section for section in minutes.sections if section.heading == heading)


def test_what_the_record_must_say_is_said() -> None:
    minutes = written(example())
    told = " ".join(text for _, text in lines(minutes))
    assert "The notice went to 41 members on 15 January 2027, 15:09." in told
    assert "Binh spoke for it (2:10 minutes)." in told
    assert "Guest raised a point of order (0:09 minutes)." in told
    assert "Shall M1 be adopted? in favour 15, against 3, abstentions 2: carried." in told
    assert "Who leads? Binh 8, yes 12: elected: yes." in told
    assert "too few voted; the box stays shut" in told
    assert "Excused: Lan." in told and "Excused: Tu." not in told
    present = [one.text for one in find(minutes, "Attendance").sentences]
    assert present[1].startswith("Binh: 15 January 2027, 15:19 to 15:16 (connection lost) and from")


def test_the_page_escapes_what_people_wrote() -> None:
    page = as_html(written(example()), words_of("en"))
    assert "Spring &lt;meeting&gt;" in page and "<meeting>" not in page
    assert page.startswith("<!doctype html>") and 'lang="en"' in page


def test_the_text_names_the_events_of_each_sentence() -> None:
    text = as_text(written(example(), "vi"), words_of("vi"))
    assert "Biên bản: Spring <meeting>" in text
    assert re.search(r"Danh sách được chốt với 40 thành viên; ngoại lệ: 2\. \[sự kiện 9\]", text)


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(BadInput, match=r"minutes\.language"):
        words_of("xx")
