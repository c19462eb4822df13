"""Hostile bodies on every route of the vote: a typed refusal each, and nothing changes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.server import votes_support as support
from tests.server.votes_support import Hall

from folkmoot_server.web import routes_votes

POSTS = re.findall(r"web\.post\((MEETING|ELECTION) \+ \"([^\"]+)\"", Path(routes_votes.__file__).read_text())
DEEP = b"[" * 100_000 + b"]" * 100_000
BODIES = {
    "empty": b"",
    "not JSON": b"{",
    "not UTF-8": b'{"ballot": "\xff\xfe"}',
    "a list": b"[]",
    "a number": b"1e999",
    "unknown field": b'{"surprise": 1}',
    "deep": DEEP,
    "deep inside": b'{"ballot":' + DEEP + b',"entry":{},"message":{},"line":"","action":{}}',
    "not a number": b'{"ballot": {"v": NaN}, "entry": {"type": NaN}, "message": {"trustee": NaN}}',
    "too large": b'{"ballot": "' + b"x" * 300_000 + b'"}',
}
WRONG_OBJECTS = {
    "/ballots": [{"ballot": {}}, {"ballot": {"v": 2**80}}, {"ballot": {"credential": "\ud800"}}, {"ballot": []}],
    "/intents": [{"entry": {}}, {"entry": {"type": "ballot"}}, {"entry": {"type": ["intent"], "trustee": True}}],
    "/shares": [{"entry": {"type": "share", "trustee": 1, "parts": [[[]]]}}, {"entry": {"type": "opening"}}],
    "/voids": [{"entry": {"type": "void"}}, {"entry": {"type": "ballot", "ballot": {}}}, {"entry": {"type": []}}],
    "/casting": [{"entry": {"type": "casting"}}, {"entry": {"type": "tally"}}, {"entry": {"question": 2**70}}],
    "/seals": [
        {"credential": "AA", "sealed": "AA", "sig": "AA"},
        {"credential": "A" * 43, "sealed": "A" * 43},
        {"credential": "A" * 43, "sealed": "A" * 43, "sig": "A" * 86},
    ],
    "/questions": [{"questions": []}, {"questions": [{"type": "stv"}]}, {"questions": [[]]}],
    "/keygen/messages": [{"message": {}}, {"message": {"type": {}, "trustee": 1}}, {"message": {"trustee": "1"}}],
    "/cosignatures": [{"line": "\u2014 chair AAAA\n"}, {"line": "\ud800\n"}, {"line": 5}],
    "/tally/signatures": [{"signer": "chair", "trustee": 1, "sig": "AA"}, {"signer": "x", "trustee": 0, "sig": ""}],
}


def test_every_route_is_tried() -> None:
    assert len(POSTS) == 21


async def test_hostile_bodies_are_refused_with_a_code_and_change_nothing(hall: Hall) -> None:
    _, manifest = await support.opened(hall)
    before = support.fingerprint(hall)
    bases = {"MEETING": hall.path(""), "ELECTION": hall.election_path(manifest.election, "")}
    headers = {"Origin": hall.settings.public_url, "Content-Type": "application/json"}
    for base, rest in POSTS:
        wrong = [json.dumps(body).encode() for body in WRONG_OBJECTS.get(rest, [])]
        for person in (hall.tellers[0], hall.chair):
            for body in [*BODIES.values(), *wrong]:
                url = f"{hall.settings.public_url}{bases[base]}{rest}"
                async with person._http.post(url, data=body, headers=headers) as answer:
                    assert 400 <= answer.status < 500, (rest, body[:60])
                    assert re.fullmatch(r"[a-z-]+\.[a-z0-9-]+", (await answer.json())["error"]["code"]), (
                        rest,
                        body[:60],
                    )
    assert support.fingerprint(hall) == before


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        ("/board?from=-1", "input.malformed"),
        ("/board?from=x", "input.malformed"),
        ("/inclusion", "input.malformed"),
        ("/inclusion?leaf=AA", "input.malformed"),
        ("/inclusion?leaf=%FF", "input.not-base64url"),
    ],
)
async def test_bad_queries_are_refused(hall: Hall, rest: str, code: str) -> None:
    _, manifest = await support.opened(hall)
    path = hall.election_path(manifest.election, rest)
    assert await support.refused(hall, hall.chair, path, None, method="GET") == (400, code)


async def test_a_page_of_another_site_can_do_nothing(hall: Hall) -> None:
    _, manifest = await support.opened(hall)
    ballot = support.seal(hall, hall.chair, manifest, 0)
    url = f"{hall.settings.public_url}{hall.election_path(manifest.election, '/ballots')}"
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": hall.settings.public_url, "Sec-Fetch-Site": "cross-site"},
        {},
    ):
        async with hall.chair._http.post(url, json={"ballot": ballot}, headers=headers) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (403, "origin.refused")
    assert (await hall.view(hall.chair))["elections"][0]["cast"] == 0
