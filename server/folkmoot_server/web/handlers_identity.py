"""HTTP: enrolment, sign-in, session, nonces, socket tickets."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import Annotated, Any, Final, Literal

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from folkmoot_server.commands import identity
from folkmoot_server.domain.errors import BadInput, Forbidden, Refused
from folkmoot_server.domain.identity import NONCE_S, Assertion, Purpose, SessionInfo
from folkmoot_server.domain.ids import b64u, from_b64u
from folkmoot_server.queries import members as member_queries
from folkmoot_server.queries.access import readable
from folkmoot_server.storage import seats, sessions
from folkmoot_server.web.context import CONTEXT, Context
from folkmoot_server.web.limits import LIMITS, client_address
from folkmoot_server.web.middleware import clear_cookie, current, presented, set_cookie
from folkmoot_server.web.parsing import Bytes, Bytes32, Empty, Id, PasskeyId, Strict, read, relying_party
from folkmoot_server.web.relay_access import note_carried
from folkmoot_server.webauthn_policy import ALGORITHMS, Registration

VERSION: Final = importlib.metadata.version("folkmoot")
BUILD: Final = f"python {platform.python_version()}"
SESSION_NONCES_MAX: Final = 50


class Token(Strict):
    """An enrolment link's token."""

    token: Bytes32


class _Browser(BaseModel):
    """A part of a browser's own JSON: fields that are not listed here are its business and ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class RegistrationAnswer(_Browser):
    """The response of RegistrationResponseJSON."""

    clientDataJSON: Annotated[Bytes, Field(max_length=4096)]  # noqa: N815  the browser's spelling
    attestationObject: Annotated[Bytes, Field(max_length=16384)]  # noqa: N815


class RegistrationJSON(_Browser):
    """RegistrationResponseJSON (W3C WebAuthn Level 3, section 5.1)."""

    id: PasskeyId
    rawId: PasskeyId  # noqa: N815
    type: Literal["public-key"]
    response: RegistrationAnswer

    def domain(self) -> Registration:
        """Return it as a domain value.

        Raises:
            Refused: it names two different passkeys.
        """
        require_same_id(self.id, self.rawId)
        return Registration(from_b64u(self.id), self.response.clientDataJSON, self.response.attestationObject)


class AssertionAnswer(_Browser):
    """The response of AuthenticationResponseJSON."""

    clientDataJSON: Annotated[Bytes, Field(max_length=4096)]  # noqa: N815
    authenticatorData: Annotated[Bytes, Field(max_length=1024)]  # noqa: N815
    signature: Annotated[Bytes, Field(max_length=1024)]
    userHandle: Annotated[bytes | None, BeforeValidator(lambda v: None if v is None else _handle(v))] = None  # noqa: N815


class AuthenticationJSON(_Browser):
    """AuthenticationResponseJSON (W3C WebAuthn Level 3, section 5.1)."""

    id: PasskeyId
    rawId: PasskeyId  # noqa: N815
    type: Literal["public-key"]
    response: AssertionAnswer


class EnrolFinish(Strict):
    """POST /api/enrol/finish."""

    token: Bytes32
    nonce: Bytes32
    credential: RegistrationJSON


class SignInFinish(Strict):
    """POST /api/sign-in/finish."""

    nonce: Bytes32
    credential: AuthenticationJSON


class NonceWanted(Strict):
    """POST /api/nonce."""

    purpose: Literal["roll", "check-in", "trustee", "cosign", "action", "replace", "presence"]


class TicketWanted(Strict):
    """POST /api/socket-ticket."""

    meeting: Id


def _handle(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError("must be a string of base64url")
    try:
        handle = from_b64u(value)
    except BadInput as error:
        raise ValueError(error.message) from error
    if not 1 <= len(handle) <= 64:
        raise ValueError("must have 1 to 64 bytes")
    return handle


def _address(request: web.Request) -> str:
    return client_address(request, request.app[CONTEXT].settings.trust_proxy)


async def info(request: web.Request) -> web.Response:
    """GET /api/info."""
    context = request.app[CONTEXT]
    organisation = await context.database.read(member_queries.organisation)
    return web.json_response(
        {
            "organisation": organisation,
            "rp_id": context.settings.rp_id,
            "version": VERSION,
            "build": BUILD,
            "demo": context.settings.demo,
        }
    )


async def enrol_begin(request: web.Request) -> web.Response:
    """POST /api/enrol/begin."""
    context = request.app[CONTEXT]
    request.app[LIMITS].count_address(_address(request), context.now())
    body = await read(request, Token)
    begun = await context.database.write(
        lambda tx: identity.begin_enrolment(tx, body.token, now=context.now(), rng=context.rng)
    )
    return web.json_response(await creation_options(context, begun))


async def creation_options(context: Context, begun: identity.Enrolment) -> dict[str, Any]:
    """The answer from which a page makes a passkey (wire.md, enrol/begin)."""
    organisation = await context.database.read(member_queries.organisation)
    return {
        "nonce": b64u(begun.nonce),
        "rp": {"id": context.settings.rp_id, "name": organisation["name"]},
        "user": {
            "id": b64u(begun.member.user_handle),
            "name": f"{begun.member.name} ({begun.member.code})",
            "display_name": begun.member.name,
        },
        "exclude": list(begun.exclude),
        "algorithms": [int(algorithm) for algorithm in ALGORITHMS],
    }


async def enrol_finish(request: web.Request) -> web.Response:
    """POST /api/enrol/finish."""
    context = request.app[CONTEXT]
    request.app[LIMITS].count_address(_address(request), context.now())
    body = await read(request, EnrolFinish)
    answer = body.credential.domain()
    old = presented(request)
    token, session = await context.database.write(
        lambda tx: identity.finish_enrolment(
            tx,
            relying_party(request),
            body.token,
            body.nonce,
            answer,
            old,
            now=context.now(),
            rng=context.rng,
        )
    )
    return await _signed_in(request, token, session)


async def sign_in_begin(request: web.Request) -> web.Response:
    """POST /api/sign-in/begin."""
    context = request.app[CONTEXT]
    request.app[LIMITS].count_address(_address(request), context.now())
    await read(request, Empty)
    nonce = await context.database.write(lambda tx: identity.begin_sign_in(tx, now=context.now(), rng=context.rng))
    return web.json_response({"nonce": b64u(nonce), "rp_id": context.settings.rp_id})


async def sign_in_finish(request: web.Request) -> web.Response:
    """POST /api/sign-in/finish."""
    context, limits = request.app[CONTEXT], request.app[LIMITS]
    limits.count_address(_address(request), context.now())
    body = await read(request, SignInFinish)
    require_same_id(body.credential.id, body.credential.rawId)
    response = body.credential.response
    assertion = Assertion(response.authenticatorData, response.clientDataJSON, response.signature)
    answer = identity.SignIn(body.credential.id, assertion, response.userHandle)
    # Ids of officers' passkeys are public: without the address anybody could lock their owners out.
    attempt = f"{_address(request)} {answer.passkey}"
    limits.failures.check(attempt, context.now())
    old = presented(request)
    try:
        token, session = await context.database.write(
            lambda tx: identity.finish_sign_in(
                tx, relying_party(request), body.nonce, answer, old, now=context.now(), rng=context.rng
            )
        )
    except Refused:
        limits.failures.add(attempt, context.now())
        raise
    return await _signed_in(request, token, session)


def require_same_id(first: str, second: str) -> None:
    """Refuse a passkey's answer that names two different passkeys.

    Raises:
        Refused: it is so.
    """
    if first != second:
        raise Refused("passkey.other-id", "The passkey's answer names two different passkeys.")


async def _signed_in(request: web.Request, token: bytes, session: SessionInfo) -> web.Response:
    context = request.app[CONTEXT]
    await note_carried(request, session)
    view = await context.database.read(lambda tx: member_queries.session_view(tx, session, context.now()))
    response = web.json_response(view)
    set_cookie(response, context.settings, token)
    return response


async def sign_out(request: web.Request) -> web.Response:
    """POST /api/sign-out; the session is gone for every page and socket that used it."""
    context = request.app[CONTEXT]
    await read(request, Empty)
    session_hash = presented(request)
    if session_hash is not None:
        await context.database.write(lambda tx: sessions.end(tx, session_hash))
    response = web.json_response({})
    clear_cookie(response, context.settings)
    return response


async def get_session(request: web.Request) -> web.Response:
    """GET /api/session."""
    context, session = request.app[CONTEXT], current(request)
    view = await context.database.read(lambda tx: member_queries.session_view(tx, session, context.now()))
    return web.json_response(view)


async def new_nonce(request: web.Request) -> web.Response:
    """POST /api/nonce."""
    context, session = request.app[CONTEXT], current(request)
    body = await read(request, NonceWanted)
    now = context.now()
    nonce = await context.database.write(
        lambda tx: identity.new_nonce(
            tx, Purpose(body.purpose), session.session_hash, now=now, rng=context.rng, limit=SESSION_NONCES_MAX
        )
    )
    return web.json_response({"nonce": b64u(nonce), "expires_at": now + NONCE_S})


async def socket_ticket(request: web.Request) -> web.Response:
    """POST /api/socket-ticket."""
    context, session = request.app[CONTEXT], current(request)
    body = await read(request, TicketWanted)

    def run(tx: Any) -> bytes:
        now = context.now()
        readable(tx, body.meeting, session.member_id, now)
        seat = seats.find(tx, body.meeting, session.member_id)
        if seat is not None and seat.removed:
            raise Forbidden("meeting.removed", "The chair has removed you from this meeting.")
        return identity.new_ticket(tx, session, body.meeting, now=now, rng=context.rng)

    ticket = await context.database.write(run)
    return web.json_response({"ticket": b64u(ticket)})


ROUTES: Final = (
    web.get("/api/info", info),
    web.post("/api/enrol/begin", enrol_begin),
    web.post("/api/enrol/finish", enrol_finish),
    web.post("/api/sign-in/begin", sign_in_begin),
    web.post("/api/sign-in/finish", sign_in_finish),
    web.post("/api/sign-out", sign_out),
    web.get("/api/session", get_session),
    web.post("/api/nonce", new_nonce),
    web.post("/api/socket-ticket", socket_ticket),
)
