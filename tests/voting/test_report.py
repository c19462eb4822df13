"""The HTML report: what it says, and that nothing in a record can say anything else with it."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from tests.voting.mutations import MUTATIONS
from tests.voting.record import write
from tests.voting.scenario import FIRST
from tests.voting.spoiling import GOOD, checked_in, edit, full, parsed, put, run
from tests.voting.votes import open_vote

from folkmoot_voting import report, report_words
from folkmoot_voting.questions import one_of_n
from folkmoot_voting.verify import TITLES, verify_bundle

NASTY = "</bdi></style><script>alert('x')</script>\u202e<img src=x onerror=alert(1)>&amp;\""
VOID = {"meta", "br"}


class Page(HTMLParser):
    """Collects elements, attributes and text, and checks that what opens is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page_of(*record: Any) -> Page:
    return Page(report.to_html(verify_bundle(*record)))


def test_it_says_what_was_decided_and_how() -> None:
    text = page_of(*full()).text
    for said in (
        "Everything that could be checked is right",
        "34 of 34 checks passed",
        "Hội đồng hợp tác xã",
        "any 2 of 3 tellers together",
        "Thông qua ngân sách?",
        "Carried by the chair's casting vote",
        "Elected : An , Bình",
        "Not counted: fewer than three voted",
        "Quorum: 1/3 of the votes of the roll, counting those who voted.",
        "A tie is decided by the chair's casting vote.",
        "A wrong share of teller 3 was refused",
        "This vote repeats an earlier one (tie)",
        "Kiosks were allowed",
        "of these at a kiosk",
        "Ballots audited by voters, not counted",
        "Left out for a conflict of interest",
        "Roll-call vote",
        "Tellers 1, 2, 3 have stated that their shares are deleted.",
        "that nobody was coerced",
        "Trackers are not listed here",
    ):
        assert said.replace(" :", ":").replace(" ,", ",") in text.replace(" :", ":").replace(" ,", ","), said


def test_every_check_is_listed_with_its_verdict() -> None:
    text = page_of(*full()).text
    assert all(f"{name} {title} passed" in text for name, title in TITLES.items())
    without = page_of(full()[0]).text
    assert f"V24 {TITLES['V24']} not checked: no annex given not checked" in without
    assert "The auditors' annex was not given" in without


def test_members_are_named_only_with_the_annex() -> None:
    name = "Member 6 Nguyễn"
    assert name in page_of(*full()).text
    assert "Chi Lê, Đức Trần" in page_of(*full()).text.replace(" ,", ",")
    assert name not in report.to_html(verify_bundle(full()[0]))
    assert "Exceptions on the roll 1" in page_of(full()[0]).text


def test_no_tracker_credential_or_statement_is_in_it() -> None:
    html = report.to_html(verify_bundle(*full()))
    files, annex = parsed(full())
    ballots = [one["ballot"] for one in files["elections/all-types/board.jsonl"] if one["type"] == "ballot"]
    secrets = [one["credential"] for one in ballots] + [one["nonce"] for one in annex["checkins"]]
    assert not [one for one in secrets if one in html]


def test_a_rehearsal_is_marked() -> None:
    text = page_of(*run(rehearsal=True)).text
    assert "Rehearsal. Nothing was decided here." in text
    assert "Rehearsal" not in page_of(*GOOD).text


@pytest.mark.parametrize("record", ["failed", "other votes", "V01", "unreadable"])
def test_a_bad_record_is_never_praised(record: str) -> None:
    named = {name: mutate for name, mutate, _ in MUTATIONS}
    made = {
        "failed": named["score: other counts"],
        "other votes": named["borda: other votes in the outcome"],
        "V01": named["surplus file"],
        "unreadable": lambda: (b"", None),
    }[record]()
    page = page_of(*made)
    assert "Everything that could be checked is right" not in page.text
    assert ("class", "ok") not in page.attributes
    if record in ("failed", "other votes"):
        assert report._UNSURE in page.text
        assert "V20" in page.text


def nasty_record() -> tuple[bytes, bytes]:
    """Return a good record in which every text that anybody may choose is hostile."""
    meeting = checked_in(forge=_nasty_roll)
    options = [NASTY + "1", NASTY + "2", "\u0645\u0631\u062d\u0628\u0627"]
    vote = open_vote(meeting, "vote-1", [one_of_n(NASTY + "\nsecond line", options)], at=FIRST + 600)
    for index, person in enumerate(meeting.present()):
        vote.cast(person, [[int(option == index % 2) for option in range(3)]])
    vote.finish()
    return edit(put("bundle.json|meeting|title", NASTY), lambda: write(meeting))()


def _nasty_roll(entries: list[dict[str, Any]]) -> None:
    entries[6]["name"] = NASTY
    entries[6]["exception"] = {"kind": "first", "method": NASTY, "officers": [NASTY, NASTY + "2"]}


def test_hostile_texts_stay_texts() -> None:
    record = nasty_record()
    assert verify_bundle(*record).verdict == "ok"
    page, plain = page_of(*record), page_of(*GOOD)
    assert set(page.tags) <= set(plain.tags) | {"br"}
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert {name for name, _ in page.attributes} <= {name for name, _ in plain.attributes}
    assert page.text.count("<script>alert('x')</script>") >= 6
    html = report.to_html(verify_bundle(*record))
    bare = re.sub(r"<bdi>.*?</bdi>|<title>.*?</title>", "", html, flags=re.DOTALL)
    assert "\u202e" not in bare


def test_control_an_unescaped_text_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "_t", lambda text: text)
    with pytest.raises(AssertionError):
        assert "script" not in page_of(*nasty_record()).tags


def test_the_page_needs_nothing_from_elsewhere() -> None:
    html = report.to_html(verify_bundle(*full()))
    page = Page(html)
    assert not {"script", "link", "img", "iframe", "object", "form"} & set(page.tags)
    assert not {"src", "href", "action"} & {name for name, _ in page.attributes}
    assert "url(" not in html
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_a_tally_of_odd_numbers_is_put_in_words_or_left_out() -> None:
    context = verify_bundle(*GOOD).context
    assert context is not None
    question = context.elections["vote-1"].manifest.json["questions"][0]
    good = context.elections["vote-1"].core["outcome"][0]
    assert report._fits(question, [1, 2, 3], good)
    for change in ({"options": [3]}, {"tied": [9]}, {"votes": [1]}, {"kind": "<b>"}):
        assert not report._fits(question, [1, 2, 3], {**copy.deepcopy(good), **change})
    assert not report._fits(question, [1], good)


def test_times_beyond_all_calendars_are_numbers() -> None:
    assert report_words.moment(0) == "1970-01-01 00:00 UTC"
    assert report_words.moment(2**53 - 1) == "9007199254740991 s"
