"""What both kinds of running test server share: a clock that tests move, refusals, ports, routes."""

from __future__ import annotations

import atexit
import contextlib
import copy
import json
import shutil
import socket
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from yarl import URL

from folkmoot_server.demo.authenticator import SoftwareAuthenticator
from folkmoot_server.demo.client import Person
from folkmoot_server.web import routes, routes_votes
from folkmoot_server.web.context import CONTEXT, Context
from folkmoot_server.web.middleware import MIDDLEWARES

START = 1_790_000_000


@dataclass(frozen=True)
class PersonState:
    """A member in software between two servers: passkey, session and cookies."""

    name: str
    authenticator: SoftwareAuthenticator
    session: dict[str, Any]
    cookies: dict[str, str]

    @classmethod
    def of(cls, person: Person) -> PersonState:
        """What `person` is just now."""
        cookies = {cookie.key: cookie.value for cookie in person._http.cookie_jar}
        return cls(person.name, copy.copy(person.authenticator), dict(person.session), cookies)

    def person(self, origin: str) -> Person:
        """The same member with a browser of its own."""
        made = Person(origin, self.name)
        made.authenticator, made.session = copy.copy(self.authenticator), dict(self.session)
        made.authenticator.origin = origin
        made._http.cookie_jar.update_cookies(self.cookies, URL(origin))
        return made


def mould(database: Path) -> Path:
    """Keep a copy of a database that is in use until this process ends."""
    kept = Path(tempfile.mkdtemp(prefix="folkmoot-mould-")) / database.name
    atexit.register(shutil.rmtree, kept.parent, ignore_errors=True)
    source, target = sqlite3.connect(database), sqlite3.connect(kept)
    with contextlib.closing(source), contextlib.closing(target):
        source.backup(target)
    return kept


class Clock:
    """Seconds that move only when a test says so."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> int:
        return self.at


def application(context: Context) -> web.Application:
    """The HTTP interface over this context, with every middleware."""
    app = web.Application(middlewares=list(MIDDLEWARES), client_max_size=256 * 1024)
    app[CONTEXT] = context
    routes.add_routes(app)
    routes_votes.add_routes(app)
    return app


def free_port() -> int:
    """A loopback TCP port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def refusal(person: Person, path: str, body: object = None, method: str = "POST") -> tuple[int, str]:
    """Send what must be refused; return status and code, or "accepted"."""
    status, answer = await person.raw(method, path, {} if body is None and method == "POST" else body)
    return status, json.loads(answer)["error"]["code"] if status != 200 else "accepted"
