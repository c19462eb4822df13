"""What of a page's request goes to the hub, and of the answer back: what relay.md section 2 lists, and no more."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from folkmoot_server.relay.passing import ANSWERED, ASKED, headers_for

SPEC = Path(__file__).parents[2] / "docs" / "spec" / "relay.md"
COOKIE = "__Host-folkmoot"
JAR = f"{COOKIE}=mine; other=thing"


def sent(*headers: tuple[str, str]) -> dict[str, str]:
    return headers_for(make_mocked_request("GET", "/api/x", headers=CIMultiDict(headers)), COOKIE)


def test_the_lists_of_headers_are_those_of_the_document() -> None:
    text = SPEC.read_text()
    match = re.search(
        r"of its headers with these alone: (.*?), an upload.*?gets status, body and (.*?)\. The hub", text
    )
    assert match is not None
    asked, answered = (tuple(re.findall(r"`([^`]+)`", part)) for part in match.groups())
    assert (asked, answered) == (ASKED, ANSWERED)


@pytest.mark.parametrize("scheme", ["Kiosk", "kiosk", "KIOSK"])
def test_who_acts_at_the_kiosk_goes_on_however_it_is_written(scheme: str) -> None:
    found = sent(("Authorization", f"{scheme} dG9rZW4"), ("Cookie", JAR))
    assert found == {"Authorization": "Kiosk dG9rZW4", "Cookie": f"{COOKIE}=mine"}


def test_a_token_behind_another_word_of_who_acts_is_not_lost() -> None:
    found = sent(("Authorization", "Screen c2NyZWVu"), ("Authorization", "Kiosk dG9rZW4"), ("Cookie", JAR))
    assert found["Authorization"] == "Kiosk dG9rZW4"


@pytest.mark.parametrize("scheme", ["Relay", "Bearer", "Basic"])
def test_control_nothing_else_says_who_acts(scheme: str) -> None:
    assert sent(("Authorization", f"{scheme} dG9rZW4"), ("X-Other", "1"), ("Folkmoot-Relay", "t")) == {}
    assert sent(("Authorization", "Screen c2NyZWVu")) == {"Authorization": "Screen c2NyZWVu"}
