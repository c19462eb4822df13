"""The HTTP interface of identity, organisation and meetings."""

from __future__ import annotations

from aiohttp import web

from folkmoot_server.web import handlers_identity, handlers_meetings, handlers_organisation, handlers_passkeys
from folkmoot_server.web.limits import LIMITS, SignInLimits


def add_routes(app: web.Application) -> None:
    """Add the routes and the sign-in limits to an application that has its context and middlewares."""
    app[LIMITS] = SignInLimits()
    app.add_routes(handlers_identity.ROUTES)
    app.add_routes(handlers_passkeys.ROUTES)
    app.add_routes(handlers_organisation.ROUTES)
    app.add_routes(handlers_meetings.ROUTES)
