"""Requests of pages passed on to the hub and answers passed back: what is not named here is not passed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import aiohttp
from aiohttp import web

from folkmoot_server.domain.errors import BadInput
from folkmoot_server.relay.hub import HubSilentError, whole
from folkmoot_server.relay.kept import ANSWER_MAX, Kept
from folkmoot_server.relay.node import Node
from folkmoot_server.web import kiosk_access

T = TypeVar("T")
Late = Callable[[], Awaitable[web.StreamResponse | None]]
UPLOAD_MAX: Final = 64 * 1024 * 1024
PIECE: Final = 64 * 1024
REFUSED: Final = 400
SILENT_S: Final = 60.0  # between two pieces of an answer that has begun
PATIENCE_S: Final = 10.0  # a page itself gives up after twenty; after eight without any answer the link is cut
ASKED: Final = (
    "Accept",
    "Accept-Language",
    "Content-Type",
    "If-None-Match",
    "If-Modified-Since",
    "Range",
    "If-Range",
    "Origin",
    "Sec-Fetch-Site",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Dest",
)
ANSWERED: Final = (
    "Content-Type",
    "Content-Disposition",
    "Content-Security-Policy",
    "Content-Range",
    "Accept-Ranges",
    "Cache-Control",
    "ETag",
    "Last-Modified",
    "Retry-After",
    "Set-Cookie",
    "X-Content-Type-Options",
)


class HubLateError(HubSilentError):
    """The hub has not answered in time, and the relay has taken over what was asked.

    Attributes:
        response: what the page is told.
    """

    def __init__(self, response: web.StreamResponse) -> None:
        super().__init__("the hub is late")
        self.response = response


@dataclass(frozen=True, slots=True)
class Passed:
    """What became of a request: the answer as the page gets it, and its bytes where they are worth keeping."""

    response: web.StreamResponse
    status: int
    kept: Kept | None

    @property
    def code(self) -> str:
        """The code of a refusal, "" of anything else."""
        if self.kept is None or self.status < REFUSED:
            return ""
        try:
            return str(json.loads(self.kept.data)["error"]["code"])
        except (ValueError, KeyError, TypeError):
            return ""


def cookie_of(secure: bool) -> str:
    """Return the name of the session cookie, the hub's (web/middleware.py)."""
    return "__Host-folkmoot" if secure else "folkmoot"


def headers_for(request: web.Request, cookie: str) -> dict[str, str]:
    """Return the headers with which a page's request goes to the hub.

    Of its jar the session alone; of who else acts, a screen or a member at the hall's kiosk, beside that session.
    """
    headers = {name: request.headers[name] for name in ASKED if name in request.headers}
    session = request.cookies.get(cookie)
    if session is not None:
        headers["Cookie"] = f"{cookie}={session}"
    kiosk = kiosk_access.token_in(request)
    authorization = request.headers.get("Authorization", "")
    if kiosk is not None:  # left out, the request would act for the hall's custodian
        headers["Authorization"] = f"{kiosk_access.SCHEME} {kiosk}"
    elif authorization.startswith("Screen "):
        headers["Authorization"] = authorization
    return headers


def is_upload(request: web.Request) -> bool:
    """Say whether a request brings a file, which is passed on as it comes."""
    return request.method == "PUT" and request.content_type == "application/octet-stream"


async def pass_on(node: Node, request: web.Request, data: bytes, *, keep: bool, late: Late | None = None) -> Passed:
    """Pass a request on and its answer back; give up when the link is cut before an answer has begun.

    Args:
        node: the relay.
        request: of a page.
        data: its body, unless it is an upload.
        keep: whether the answer may be worth keeping.
        late: asked every `PATIENCE_S` for which no answer has begun; what it answers ends the request to the hub.

    Raises:
        HubLateError: `late` has answered.
        HubSilentError: the hub did not answer.
        BadInput: an upload that is too large.
    """
    headers = headers_for(request, cookie_of(node.identity.secure))
    body: Any = data if data or request.method in ("POST", "PUT") else None
    if is_upload(request):
        if request.content_length is None or request.content_length > UPLOAD_MAX:
            raise BadInput("input.too-large", f"The message is larger than {UPLOAD_MAX} bytes.")
        headers["Content-Length"] = str(request.content_length)
        body = request.content
    answer = await _open(node, request, headers, body, late=late)
    try:
        wanted = answer.status >= REFUSED or (keep and answer.status == web.HTTPOk.status_code)
        if wanted and (answer.content_length or 0) <= ANSWER_MAX:
            return await _whole(answer)
        return Passed(await _stream(request, answer), answer.status, None)
    finally:
        answer.close() if not answer.content.at_eof() else answer.release()


async def ask(node: Node, method: str, path: str, request: web.Request, body: bytes | None) -> tuple[int, bytes]:
    """Ask the hub something in the name of the page behind `request`; return status and body.

    Raises:
        HubSilentError: the hub did not answer.
    """
    answer = await _open(node, request, headers_for(request, cookie_of(node.identity.secure)), body, method, path)
    try:
        return answer.status, await whole(answer, ANSWER_MAX)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise HubSilentError("the answer broke off") from error
    finally:
        answer.release()


async def ask_json(node: Node, headers: dict[str, str], path: str) -> Any:
    """Ask the hub something with these headers and return what it answers, None where it refuses.

    Raises:
        HubSilentError: the hub did not answer.
    """
    answer = await node.hub.page("GET", path, headers, None)
    try:
        data = await whole(answer, ANSWER_MAX)
        return json.loads(data) if answer.status == web.HTTPOk.status_code else None
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise HubSilentError("the answer broke off") from error
    finally:
        answer.release()


async def ask_head(node: Node, request: web.Request, path: str) -> tuple[int, Mapping[str, str]]:
    """Ask the hub for what a GET in the name of the page behind `request` would be answered, without its body.

    Raises:
        HubSilentError: the hub did not answer.
    """
    answer = await _open(node, request, headers_for(request, cookie_of(node.identity.secure)), None, "HEAD", path)
    answer.release()
    return answer.status, answer.headers


async def unless_cut(node: Node, asking: asyncio.Task[T]) -> T:
    """Wait for what one asks the hub for several pages; when a page gives up, the others still get it.

    Raises:
        HubSilentError: the link was cut before.
    """
    cut = asyncio.create_task(node.cut.wait())
    try:
        await asyncio.wait((asking, cut), return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            raise HubSilentError("the link was cut")
        return asking.result()
    finally:
        cut.cancel()


async def _open(
    node: Node,
    request: web.Request,
    headers: dict[str, str],
    body: Any,
    method: str = "",
    path: str = "",
    late: Late | None = None,
) -> aiohttp.ClientResponse:
    opening = asyncio.create_task(node.hub.page(method or request.method, path or request.path_qs, headers, body))
    cut = asyncio.create_task(node.cut.wait())
    patience = None if late is None else PATIENCE_S
    try:
        while not (await asyncio.wait((opening, cut), timeout=patience, return_when=asyncio.FIRST_COMPLETED))[0]:
            taken = None if late is None else await late()
            if taken is not None and not opening.done():
                raise HubLateError(taken)
        if not opening.done():
            raise HubSilentError("the link was cut")
        return opening.result()
    finally:
        cut.cancel()
        if not opening.done():
            opening.cancel()


def _headers(answer: aiohttp.ClientResponse) -> list[tuple[str, str]]:
    return [(name, value) for name in ANSWERED for value in answer.headers.getall(name, [])]


async def _whole(answer: aiohttp.ClientResponse) -> Passed:
    try:
        async with asyncio.timeout(SILENT_S):
            data = await whole(answer)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise HubSilentError("the answer broke off") from error
    kept = Kept(answer.headers.get("Content-Type", ""), data) if len(data) <= ANSWER_MAX else None
    return Passed(web.Response(body=data, status=answer.status, headers=_headers(answer)), answer.status, kept)


async def _stream(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    """Pass an answer on as it comes; one that breaks off ends the page's connection too, never as a whole one."""
    headers = _headers(answer)
    if "Content-Encoding" not in answer.headers and answer.content_length is not None:
        headers.append(("Content-Length", str(answer.content_length)))
    response = web.StreamResponse(status=answer.status, headers=headers)
    await response.prepare(request)
    try:
        while True:
            async with asyncio.timeout(SILENT_S):
                piece = await answer.content.read(PIECE)
            if not piece:
                break
            await response.write(piece)
    except (aiohttp.ClientError, TimeoutError, OSError):
        response.force_close()
        if request.transport is not None:
            request.transport.abort()
        return response
    await response.write_eof()
    return response
