"""The HTTP interface of identity, organisation and meetings."""

from __future__ import annotations

from aiohttp import web

from folkmoot_server.web import (
    handlers_agenda,
    handlers_identity,
    handlers_kiosk,
    handlers_line,
    handlers_meetings,
    handlers_messages,
    handlers_minutes,
    handlers_motions,
    handlers_notices,
    handlers_organisation,
    handlers_papers,
    handlers_passkeys,
    handlers_presence,
    handlers_presiding,
    handlers_relay_media,
    handlers_relays,
    handlers_screens,
    handlers_sites,
    handlers_speaking,
    handlers_support,
    handlers_visitors,
)
from folkmoot_server.web.hall_networks import HALL_NETWORKS, HallNetworks
from folkmoot_server.web.limits import LIMITS, SignInLimits
from folkmoot_server.web.middleware import GUEST_ROUTES
from folkmoot_server.web.paper_service import paper_service
from folkmoot_server.web.site_limits import SITE_LIMITS, SiteLimits


def add_routes(app: web.Application) -> None:
    """Add the routes and the sign-in limits to an application that has its context and middlewares."""
    app[LIMITS] = SignInLimits()
    app[SITE_LIMITS] = SiteLimits()
    app[HALL_NETWORKS] = HallNetworks()
    app.add_routes(handlers_identity.ROUTES)
    app.add_routes(handlers_passkeys.ROUTES)
    app.add_routes(handlers_organisation.ROUTES)
    app.add_routes(handlers_meetings.ROUTES)
    app.add_routes(handlers_notices.ROUTES)
    app.add_routes(handlers_agenda.ROUTES)
    app.add_routes(handlers_presiding.ROUTES)
    app.add_routes(handlers_speaking.ROUTES)
    app.add_routes(handlers_motions.ROUTES)
    app.add_routes(handlers_minutes.ROUTES)
    app.add_routes(handlers_papers.ROUTES)
    app.add_routes(handlers_visitors.ROUTES)
    app.add_routes(handlers_messages.ROUTES)
    app.add_routes(handlers_support.ROUTES)
    app.add_routes(handlers_sites.ROUTES)
    app.add_routes(handlers_line.ROUTES)
    app.add_routes(handlers_kiosk.ROUTES)
    app.add_routes(handlers_presence.ROUTES)
    app.add_routes(handlers_screens.ROUTES)
    handlers_relays.add_routes(app)
    app.add_routes(handlers_relay_media.ROUTES)
    app[GUEST_ROUTES] = handlers_visitors.GUESTS
    app.cleanup_ctx.append(handlers_line.media_loops)
    app.cleanup_ctx.append(paper_service)
