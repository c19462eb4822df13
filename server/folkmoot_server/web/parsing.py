"""Bodies into checked models, at the edge and nowhere else."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from aiohttp import web
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from folkmoot_server.domain.errors import BadInput, FolkmootError
from folkmoot_server.domain.identity import Assertion, Signed
from folkmoot_server.domain.ids import from_b64u
from folkmoot_server.domain.members import LONG_TEXT_MAX, clean_text
from folkmoot_server.web import relay_access
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.webauthn_policy import RelyingParty

BODY_MAX: Final = 256 * 1024
BODY_S: Final = 10.0
TIME_MAX: Final = 2**40

M = TypeVar("M", bound=BaseModel)


class Strict(BaseModel):
    """Base of every body: unknown fields and other types than written are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _bytes(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError("must be a string of base64url")
    try:
        return from_b64u(value)
    except BadInput as error:
        raise ValueError(error.message) from error


def _text(value: str) -> str:
    try:
        return clean_text(value)
    except BadInput as error:
        raise ValueError(error.message) from error


def _long_text(value: str) -> str:
    try:
        return clean_text(value, LONG_TEXT_MAX, lines=True)
    except BadInput as error:
        raise ValueError(error.message) from error


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        # A machine without a time zone database cannot tell; only browsers use the zone.
        if available_timezones():
            raise ValueError("is no time zone") from error
    return value


Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Text = Annotated[str, Field(max_length=400), AfterValidator(_text)]
LongText = Annotated[str, Field(max_length=4 * LONG_TEXT_MAX), AfterValidator(_long_text)]
Time = Annotated[int, Field(ge=0, le=TIME_MAX)]
Zone = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_+/-]{0,63}$"), AfterValidator(_zone)]
Bytes = Annotated[bytes, BeforeValidator(_bytes)]
Bytes32 = Annotated[bytes, BeforeValidator(_bytes), Field(min_length=32, max_length=32)]
PasskeyId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,1364}$")]


class AssertionBody(Strict):
    """A passkey's answer as voting.md, section 2, writes it."""

    authenticator_data: Annotated[Bytes, Field(min_length=37, max_length=1024)]
    client_data_json: Annotated[Bytes, Field(min_length=1, max_length=4096)]
    signature: Annotated[Bytes, Field(min_length=1, max_length=1024)]

    def domain(self) -> Assertion:
        """Return it as a domain value."""
        return Assertion(self.authenticator_data, self.client_data_json, self.signature)


class SignedBody(Strict):
    """`Signed` of wire.md."""

    nonce: Bytes32
    passkey: PasskeyId
    assertion: AssertionBody

    def domain(self) -> Signed:
        """Return it as a domain value."""
        return Signed(self.nonce, self.passkey, self.assertion.domain())


class Empty(Strict):
    """A body without fields."""


def relying_party(request: web.Request) -> RelyingParty:
    """Return the relying party of this installation, with the pages from which this request may have come."""
    settings = request.app[CONTEXT].settings
    return RelyingParty(settings.rp_id, "Folkmoot", relay_access.origins(request))


async def raw_body(request: web.Request, limit: int = BODY_MAX, within_s: float = BODY_S) -> bytes:
    """Read the body within the size limit and ten seconds, or as many as said.

    Raises:
        BadInput: larger, or not whole in time.
    """
    if request.content_length is not None and request.content_length > limit:
        raise BadInput("input.too-large", f"The message is larger than {limit} bytes.")
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(within_s):
            async for part in request.content.iter_any():
                size += len(part)
                if size > limit:
                    raise BadInput("input.too-large", f"The message is larger than {limit} bytes.")
                parts.append(part)
    except TimeoutError as error:
        raise BadInput("input.too-slow", "The message did not arrive in time.") from error
    return b"".join(parts)


async def read(request: web.Request, model: type[M], limit: int = BODY_MAX, within_s: float = BODY_S) -> M:
    """Read a JSON body into `model`.

    Raises:
        BadInput: not what the model says; the message names the place, never the value.
    """
    return decode(await raw_body(request, limit, within_s), model)


def decode(raw: bytes, model: type[M]) -> M:
    """Return `raw` JSON as `model`.

    Raises:
        BadInput: not what the model says; the message names the place, never the value.
    """
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise malformed(error) from error


def malformed(error: ValidationError) -> FolkmootError:
    """Return the refusal for a body that does not fit its model."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])[:80] or "body"
    return BadInput("input.malformed", f"The field {place} is not as it should be: {first['msg'][:120]}.")


def query_number(request: web.Request, name: str, default: int = 0) -> int:
    """Return a whole number of the query string.

    Raises:
        BadInput: it is not one.
    """
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise BadInput("input.malformed", f"The parameter {name} must be a whole number.")
    return int(text)
