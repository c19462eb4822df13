"""A request of a page that the relay answers itself."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from folkmoot_server.domain.errors import NotSignedIn
from folkmoot_server.relay import rules
from folkmoot_server.relay.people import HallSession


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of a page, its body read; `session` is None for strangers.

    `kiosk`: the session is that of a member at the hall's kiosk, not the cookie's.
    """

    request: web.Request
    body: bytes
    session: HallSession | None
    now: int
    kiosk: bool = False

    @property
    def caller(self) -> rules.Caller:
        """Who asks.

        Raises:
            NotSignedIn: nobody that the relay knows.
        """
        if self.session is None:
            raise NotSignedIn("session.none", "Please sign in.")
        return rules.Caller(self.session, self.now)

    @property
    def election(self) -> str:
        """The election in the path."""
        return self.request.match_info["election"]
