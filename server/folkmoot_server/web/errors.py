"""The one table from refusals to HTTP statuses, and the shape in which they reach a client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from folkmoot_server.domain.errors import (
    BadInput,
    Conflict,
    FolkmootError,
    Forbidden,
    NotFound,
    NotSignedIn,
    Refused,
    TooMany,
    WrongState,
)
from folkmoot_voting.errors import VotingError

STATUS: Final[Mapping[type[FolkmootError], int]] = {
    BadInput: 400,
    NotSignedIn: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    WrongState: 409,
    Refused: 422,
    TooMany: 429,
    FolkmootError: 400,
}
VOTING_STATUS: Final = 422


def problem(code: str, message: str) -> dict[str, Any]:
    """Return the body of every error answer."""
    return {"error": {"code": code, "message": message}}


def describe(error: FolkmootError | VotingError) -> tuple[int, dict[str, Any]]:
    """Return status and body for a refusal."""
    if isinstance(error, VotingError):
        return VOTING_STATUS, problem(error.code, error.detail)
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    body = problem(error.code, error.message)
    if error.details is not None:
        body["error"]["details"] = dict(error.details)
    return status, body


def answer(status: int, code: str, message: str) -> web.Response:
    """Return an error answer."""
    return web.json_response(problem(code, message), status=status)
