"""A member at the browser of a hall: the session behind the header, beside the custodian's cookie."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from aiohttp import web

from folkmoot_server.domain.errors import BadInput, Forbidden, NotSignedIn
from folkmoot_server.domain.identity import SessionInfo
from folkmoot_server.domain.ids import from_b64u, token_hash
from folkmoot_server.storage import kiosk
from folkmoot_server.storage.kiosk import KioskSession
from folkmoot_server.web.context import CONTEXT

KIOSK: Final = web.RequestKey("kiosk", KioskSession)
SCHEME: Final = "Kiosk"
_ELECTION: Final = "/api/meetings/{meeting}/elections/{election}"
# All that a vote, an asking and the end of it need; nothing that shows who the member is or what else they may do.
OPENED: Final = frozenset(
    {
        ("POST", "/api/nonce"),
        ("GET", _ELECTION + "/manifest"),
        ("GET", _ELECTION + "/board"),
        ("GET", _ELECTION + "/inclusion"),
        ("POST", _ELECTION + "/replacements"),
        ("POST", _ELECTION + "/seals"),
        ("POST", _ELECTION + "/voids"),
        ("POST", _ELECTION + "/ballots"),
        ("POST", "/api/meetings/{m}/presence/{p}/confirm"),
        ("POST", "/api/meetings/{m}/sites/{s}/kiosk/sign-out"),
    }
)


def token_in(request: web.Request) -> str | None:
    """Return the token with which a request says that a member at a kiosk acts, None when it says nothing of it.

    However the scheme is written: who names one and is not understood would act as the owner of the cookie.
    """
    for header in request.headers.getall("Authorization", []):
        scheme, _, token = header.partition(" ")
        if scheme.lower() == SCHEME.lower():
            return token.strip()
    return None


async def member_at(request: web.Request, custodian: SessionInfo, place: tuple[str, str]) -> SessionInfo:
    """Return who acts: the member whose kiosk session the header names, else the owner of the cookie.

    `place` is method and path of the route.

    Raises:
        NotSignedIn: the header names no kiosk session that was begun beside this cookie's and lasts.
        Forbidden: such a session does not open this route, or is of another meeting.
    """
    text = token_in(request)
    if text is None:
        return custodian
    context = request.app[CONTEXT]
    try:
        token = from_b64u(text)
    except BadInput:
        token = b""
    found = await context.database.read(lambda tx: kiosk.find(tx, token_hash(token)))
    if found is None or found.custodian != custodian.session_hash or context.now() >= found.until:
        raise NotSignedIn("kiosk.ended", "Please sign in at the kiosk again.")
    meeting = request.match_info.get("m") or request.match_info.get("meeting") or found.meeting
    if place not in OPENED or meeting != found.meeting:
        raise Forbidden("kiosk.not-allowed", "This cannot be done at a kiosk.")
    request[KIOSK] = found
    return replace(found.session, carried=custodian.carried)
