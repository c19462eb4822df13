"""What both kinds of running test server share: a clock that tests move, refusals, ports, routes."""

from __future__ import annotations

import json
import socket

from aiohttp import web

from folkmoot_server.demo.client import Person
from folkmoot_server.web import routes, routes_votes
from folkmoot_server.web.context import CONTEXT, Context
from folkmoot_server.web.middleware import MIDDLEWARES

START = 1_790_000_000


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
