"""HTTP: the browser of a hall, at which members check in, vote and go beside its custodian's session (sites.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from aiohttp import web
from sqlalchemy import Connection

from folkmoot_server.commands import check_in, kiosk
from folkmoot_server.commands.identity import SignIn, StepUp
from folkmoot_server.domain.errors import FolkmootError, NotSignedIn, TooMany
from folkmoot_server.domain.identity import Assertion
from folkmoot_server.domain.ids import b64u
from folkmoot_server.storage import kiosk as store
from folkmoot_server.storage import members
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.handlers_identity import SignInFinish, require_same_id
from folkmoot_server.web.kiosk_access import KIOSK
from folkmoot_server.web.middleware import current
from folkmoot_server.web.parsing import Empty, SignedBody, Strict, read, relying_party
from folkmoot_server.web.site_limits import SITE_LIMITS
from folkmoot_server.web.votes_bodies import CheckInBody, Object, notary, signed_json
from folkmoot_voting.errors import VotingError

T = TypeVar("T")


class LeaveBody(Strict):
    """POST …m/sites/{s}/kiosk/leave."""

    action: Object
    signed: SignedBody


def _place(request: web.Request) -> tuple[str, str]:
    return request.match_info["m"], request.match_info["s"]


async def _guarded(request: web.Request, run: Callable[[Connection], T]) -> T:
    """Write what a passkey at a kiosk signed; too many refusals close it for a while."""
    context, (meeting, site) = request.app[CONTEXT], _place(request)
    limits, key = request.app[SITE_LIMITS], f"{meeting} {site}"
    limits.check_kiosk(key, context.now())
    try:
        return await context.database.write(run)
    except TooMany:
        raise
    except (FolkmootError, VotingError):
        limits.kiosks.add(key, context.now())
        raise


async def begin(request: web.Request) -> web.Response:
    """POST …m/sites/{s}/kiosk/begin."""
    context, session, (meeting, site) = request.app[CONTEXT], current(request), _place(request)
    await read(request, Empty)
    answer = await context.database.write(
        lambda tx: check_in.begin_at_kiosk(tx, meeting, site, session, context.now(), context.rng)
    )
    return web.json_response(answer)


async def finish(request: web.Request) -> web.Response:
    """POST …m/sites/{s}/kiosk/finish."""
    context, session, (meeting, site) = request.app[CONTEXT], current(request), _place(request)
    body = await read(request, CheckInBody)
    fields = {"credential": b64u(body.credential), "site": site, "checkpoint": body.checkpoint, **signed_json(body)}

    def run(tx: Connection) -> tuple[str, str, int]:
        check_in.require_same_site(body.site, site)
        member, seq = check_in.finish_at_kiosk(
            tx, meeting, session, fields, notary(request), context.now(), context.rng
        )
        return member, members.get(tx, member).name, seq

    member, name, seq = await _guarded(request, run)
    return web.json_response({"member": member, "name": name, "seq": seq})


async def leave(request: web.Request) -> web.Response:
    """POST …m/sites/{s}/kiosk/leave."""
    context, session, (meeting, site) = request.app[CONTEXT], current(request), _place(request)
    body = await read(request, LeaveBody)
    step_up = StepUp(relying_party(request), body.action, body.signed.domain())
    await _guarded(request, lambda tx: kiosk.leave(tx, meeting, site, session, step_up, context.now()))
    return web.json_response({})


async def begin_sign_in(request: web.Request) -> web.Response:
    """POST …m/sites/{s}/kiosk/sign-in/begin."""
    context, session, (meeting, site) = request.app[CONTEXT], current(request), _place(request)
    await read(request, Empty)
    nonce = await context.database.write(
        lambda tx: kiosk.begin_sign_in(tx, meeting, site, session, context.now(), context.rng)
    )
    return web.json_response({"nonce": b64u(nonce), "rp_id": context.settings.rp_id})


async def finish_sign_in(request: web.Request) -> web.Response:
    """POST …m/sites/{s}/kiosk/sign-in/finish."""
    context, session, place = request.app[CONTEXT], current(request), _place(request)
    body = await read(request, SignInFinish)
    require_same_id(body.credential.id, body.credential.rawId)
    given = body.credential.response
    assertion = Assertion(given.authenticatorData, given.clientDataJSON, given.signature)
    answer, rp = SignIn(body.credential.id, assertion, given.userHandle), relying_party(request)
    found = await _guarded(
        request,
        lambda tx: kiosk.finish_sign_in(
            tx, rp, place, session, body.nonce, answer, now=context.now(), rng=context.rng
        ),
    )
    return web.json_response(
        {
            "token": b64u(found.token),
            "until": found.until,
            "member": found.member,
            "name": found.name,
            "credential": found.credential,
        }
    )


async def sign_out(request: web.Request) -> web.Response:
    """POST …m/sites/{s}/kiosk/sign-out, with the member's header."""
    await read(request, Empty)
    session = request.get(KIOSK)
    if session is None:
        raise NotSignedIn("kiosk.ended", "Please sign in at the kiosk again.")
    ended = session.token_hash
    await request.app[CONTEXT].database.write(lambda tx: store.end(tx, ended))
    return web.json_response({})


_KIOSK: Final = "/api/meetings/{m}/sites/{s}/kiosk"
ROUTES: Final = (
    web.post(_KIOSK + "/begin", begin),
    web.post(_KIOSK + "/finish", finish),
    web.post(_KIOSK + "/leave", leave),
    web.post(_KIOSK + "/sign-in/begin", begin_sign_in),
    web.post(_KIOSK + "/sign-in/finish", finish_sign_in),
    web.post(_KIOSK + "/sign-out", sign_out),
)
