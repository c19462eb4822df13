"""The documents of the wire name every route, event, command, goodbye and media method of the code, and no other."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from aiohttp import web

from folkmoot_server.web import routes, routes_votes
from folkmoot_server.web.handlers_meetings import Command

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / "server" / "folkmoot_server"
WIRE = (ROOT / "docs" / "spec" / "wire.md").read_text()
CONDUCT = (ROOT / "docs" / "spec" / "conduct.md").read_text()
SITES = (ROOT / "docs" / "spec" / "sites.md").read_text()
RELAY = (ROOT / "docs" / "spec" / "relay.md").read_text()
_MEETING = "/api/meetings/{m}"
_ELECTION = "/api/meetings/{m}/elections"
_EVENT = re.compile(r"(?:[A-Z][a-z]+){2,}")


def plain(path: str) -> str:
    """Return a path without its query and without the names of its parameters."""
    return re.sub(r"\{\w+\}", "{}", path.partition("?")[0])


def routes_of_the_document(text: str) -> set[tuple[str, str]]:
    """Return method and path of each request in the first column of a table, or at the beginning of a line."""
    cells = re.findall(r"^(?:\| (.*?) \||`(GET /\w+)` needs)", text, re.MULTILINE)
    found = set()
    for cell in map("".join, cells):
        for request in cell.split(" · "):
            match = re.fullmatch(
                r"(?:(GET|POST|PUT) )?(/\S+)", request.replace("…m", _MEETING).replace("…", _ELECTION)
            )
            if match:
                found.add((match[1] or cell.partition(" ")[0], plain(match[2])))
    return found


def routes_of_the_code() -> set[tuple[str, str]]:
    """Return method and path of every route below /api, from the router itself, and of the health check."""
    app = web.Application()
    routes.add_routes(app)
    routes_votes.add_routes(app)
    found = {(route.method, plain(route.resource.canonical)) for route in app.router.routes() if route.resource}
    literal = re.findall(r'router\.add_(get|post)\("(/[a-z]+)"', (SERVER / "app.py").read_text())
    return {one for one in found if one[0] != "HEAD"} | {(method.upper(), path) for method, path in literal}


def constants(folder: Path) -> Iterator[str]:
    """Yield every string that the code under a folder spells out, the scripted meeting left out."""
    for path in folder.rglob("*.py"):
        if "demo" not in path.parts:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def event_types(texts: Iterator[str]) -> set[str]:
    """Return what has the shape of an event's type, such as ``MeetingOpened``."""
    return {text for text in texts if _EVENT.fullmatch(text)}


def part(beginning: str, end: str, document: str = WIRE) -> str:
    """Return a part of a document."""
    return document.split(beginning, 1)[1].split(end, 1)[0]


EVENT_LISTS = (
    part("Types and bodies:", "\n## "),
    part("beside those of wire.md:", "\n\n", CONDUCT),
    part("or null. Events: ", "\n", CONDUCT),
    part("## 4. Events\n", "\n## ", SITES),
    part("## 6. Events\n", "\n## ", RELAY),
)


def test_every_route_is_written_down_and_every_written_one_exists() -> None:
    assert len(routes_of_the_code()) > 40
    written = set().union(*map(routes_of_the_document, (WIRE, CONDUCT, SITES, RELAY)))
    assert written == routes_of_the_code()


def test_every_event_is_written_down_and_every_written_one_exists() -> None:
    written = {name for text in EVENT_LISTS for name in re.findall(r"(\w+)\{", text)}
    assert len(written) > 30
    assert written == event_types(constants(SERVER))


def test_every_meeting_command_is_written_down() -> None:
    lists = (part("Commands (who): ", "\n"), part("`…m/commands` (who): ", "\n", CONDUCT))
    written = {name for text in lists for name in re.findall(r"`([a-z-]+)`", text)}
    written |= set(re.findall(r"^\| `([a-z-]+)` \{", part("\n## 11. ", "\n**Outside**", CONDUCT), re.MULTILINE))
    models = get_args(Command.model_fields["root"].annotation)
    assert written == {name for model in models for name in get_args(model.model_fields["command"].annotation)}


def test_the_log_has_a_sentence_for_every_event() -> None:
    wanted = {f"event.{kind}" for kind in event_types(constants(SERVER)) - {"EventWithheld"}}
    for language in ("en", "vi"):
        sentences = json.loads((ROOT / f"web_client/src/i18n/log_{language}.json").read_text())
        assert wanted - sentences.keys() == set()
        assert wanted - (sentences.keys() - {"event.SiteLost"}) == {"event.SiteLost"}  # control


def test_every_goodbye_is_written_down() -> None:
    written = set(re.findall(r"`([a-z.-]+)`", part("Reasons to say goodbye: ", "\n")))
    said = set()
    for path in (SERVER / "realtime").glob("*.py"):
        said |= set(re.findall(r'(?:dismiss\([^"]*|farewell = \(?)"([a-z]+\.[a-z-]+)"', path.read_text()))
    assert len(said) > 4
    assert said <= written


def media_methods(document: str) -> set[str]:
    """Return the methods in the first column of a table, ``a.b, .c`` written out."""
    found = set()
    for cell in re.findall(r"^\| ([a-z_., ]+) \| \{", document, re.MULTILINE):
        names = cell.split(", ")
        found |= {names[0].partition(".")[0] + name if name.startswith(".") else name for name in names}
    return found


def test_every_media_method_is_written_down_and_every_written_one_exists() -> None:
    document = (ROOT / "docs" / "spec" / "media_control.md").read_text()
    methods, page = (document.split(title, 1)[1] for title in ("\n## 2.", "\n## 4."))
    table = re.compile(r'"([a-z_.]+)": \([A-Z]\w+, self\.')
    code = "".join(
        (ROOT / "media" / "folkmoot_media" / f"{name}.py").read_text() for name in ("methods", "pipe_methods")
    )
    worker = set(table.findall(code))
    signalling = set(table.findall((SERVER / "realtime" / "media_signalling.py").read_text()))
    assert min(len(worker), len(signalling)) > 10
    assert media_methods(methods.split("\n## ")[0]) == worker | {"worker.shutdown"}
    assert media_methods(page.split("| event |")[0]) == signalling


def test_control_a_missing_row_and_a_new_event_are_noticed() -> None:
    text = "| POST /api/units | x |\n| POST …/{e}/intents · …/{e}/shares | y |\n| GET /api/ledger?from=N&to=M | z |\n"
    election = plain(_ELECTION + "/{e}")
    assert routes_of_the_document(text) == {
        ("POST", "/api/units"),
        ("POST", f"{election}/intents"),
        ("POST", f"{election}/shares"),
        ("GET", "/api/ledger"),
    }
    assert event_types(iter(["MeetingMoved", "POST", "Meeting", "a MeetingMoved"])) == {"MeetingMoved"}
