"""The hub, as the relay asks it: one client for the relay's own requests, one for those of pages."""

from __future__ import annotations

import gzip
import json
import logging
import re
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Final

import aiohttp

from folkmoot_server.domain.errors import FolkmootError
from folkmoot_server.relay import page_line
from folkmoot_voting.encoding import JsonObject

log = logging.getLogger("folkmoot.relay.hub")
ANSWER_MAX: Final = 32 * 1024 * 1024
COMPRESS_FROM: Final = 1024  # bytes of a body; smaller ones do not shrink
OWN_CONNECTIONS: Final = 8  # feed, lease, outbox, papers, and what media wait for
PAGE_CONNECTIONS: Final = 64
KEPT_S: Final = 30.0  # a connection that nothing uses
CONNECT_S: Final = 20.0
PLAIN_S: Final = 20.0
PARTIAL: Final = 206
PIECE_WHOLE_S: Final = 120.0
PIECE_SILENT_S: Final = 10.0
_RANGE: Final = re.compile(r"bytes ([0-9]{1,12})-[0-9]{1,12}/([0-9]{1,12})")
NOT_AN_ANSWER: Final = frozenset({502, 503, 504})  # said by what stands before a hub, or by one that is stopping


class HubSilentError(Exception):
    """The hub has not answered; nobody knows whether it took the request."""


class HubRefusedError(FolkmootError):
    """The hub has answered with an error.

    Attributes:
        status: of the answer.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code, message)
        self.status = status


class Hub:
    """Requests to one hub; `answered` is called whenever it has answered anything while it is `trusted`.

    Attributes:
        token: of the last start, "" before the first.
        trusted: whether it has shown the key of the hub that enrolled this relay.
    """

    def __init__(self, url: str, answered: Callable[[], None]) -> None:
        """Use the system's certificates; call inside a running loop and `close` at the end."""
        self._url = url
        self._answered = answered
        trust = ssl.create_default_context() if url.startswith("https:") else True
        self._own = self._session(aiohttp.TCPConnector(limit=OWN_CONNECTIONS, ssl=trust, keepalive_timeout=KEPT_S))
        self._pages = self._session(page_line.connector(PAGE_CONNECTIONS, trust, KEPT_S))
        self.token = ""
        self.trusted = False

    def _note(self) -> None:
        if self.trusted:
            self._answered()

    def _require_trust(self) -> None:
        """Send neither the token nor what a page says to a hub that has not shown its key."""
        if not self.trusted:
            raise HubSilentError("it has not shown its key yet")

    @staticmethod
    def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_S)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout)

    async def close(self) -> None:
        """End every connection."""
        await self._own.close()
        await self._pages.close()

    async def get(self, path: str, *, wait_s: float = PLAIN_S, of_anybody: bool = False) -> JsonObject:
        """Ask in the relay's own name; with `of_anybody` also a hub that is not trusted, which gets no token.

        Raises:
            HubSilentError: no answer within `wait_s`, or it was not asked, because it is not trusted.
            HubRefusedError: an error.
        """
        if not of_anybody:
            self._require_trust()
        return await self._ask("GET", path, None, wait_s)

    async def post(
        self, path: str, body: JsonObject, *, wait_s: float = PLAIN_S, to_anybody: bool = False
    ) -> JsonObject:
        """Send in the relay's own name, `to_anybody` as `get` asks; larger bodies are compressed.

        Raises:
            HubSilentError: no answer within `wait_s`, or nothing was sent, because it is not trusted.
            HubRefusedError: an error.
        """
        if not to_anybody:
            self._require_trust()
        return await self._ask("POST", path, json.dumps(body, separators=(",", ":")).encode(), wait_s)

    async def _ask(self, method: str, path: str, data: bytes | None, wait_s: float) -> JsonObject:
        headers = {"Authorization": f"Relay {self.token}"} if self.token and self.trusted else {}
        if data is not None:
            headers["Content-Type"] = "application/json"
            headers["Sec-Fetch-Site"] = "same-origin"  # what the hub asks of whoever changes something
            if len(data) >= COMPRESS_FROM:
                data = gzip.compress(data, mtime=0)
                headers["Content-Encoding"] = "gzip"
        timeout = aiohttp.ClientTimeout(total=wait_s, connect=min(wait_s, CONNECT_S))
        try:
            url = self._url + path
            async with self._own.request(method, url, data=data, headers=headers, timeout=timeout) as response:
                if response.status in NOT_AN_ANSWER:
                    raise HubSilentError(f"answered {response.status}")
                raw = await whole(response)
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise HubSilentError(_reason(error)) from error
        try:
            answer = json.loads(raw)
        except ValueError as error:
            raise HubSilentError("the answer is no JSON") from error
        self._note()
        if status != 200:
            raise _refusal(status, answer)
        return dict(answer)

    async def piece(self, path: str, first: int, last: int) -> AsyncGenerator[tuple[int, bytes]]:
        """Yield the size of a whole file and bytes of it, as they come, from number `first` to `last` at most.

        Raises:
            HubSilentError: no answer, or it broke off; what was yielded is good. Nothing was asked while it is not
                trusted.
            HubRefusedError: an error, or another range than the one that was asked for.
        """
        self._require_trust()
        headers = {"Authorization": f"Relay {self.token}", "Range": f"bytes={first}-{last}"}
        timeout = aiohttp.ClientTimeout(total=PIECE_WHOLE_S, connect=CONNECT_S, sock_read=PIECE_SILENT_S)
        try:
            async with self._own.get(self._url + path, headers=headers, timeout=timeout) as response:
                if response.status in NOT_AN_ANSWER:
                    raise HubSilentError(f"answered {response.status}")
                if response.status != PARTIAL:
                    raise _refusal(response.status, _json(await whole(response)))
                self._note()
                size = _size_of(response.headers.get("Content-Range", ""), first)
                async for data in response.content.iter_any():
                    self._note()
                    yield size, data
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise HubSilentError(_reason(error)) from error

    async def page(self, method: str, path_qs: str, headers: Mapping[str, str], data: Any) -> aiohttp.ClientResponse:
        """Pass a page's request on as it is and return the answer as soon as it begins; the caller releases it.

        Whoever cancels this gives the request up: what of it has not left this machine never does.

        Raises:
            HubSilentError: it did not answer, or was not asked, because it is not trusted.
        """
        self._require_trust()
        sent = {**headers, "Folkmoot-Relay": self.token}
        url = self._url + path_qs
        try:
            with page_line.ending_at_once():
                response = await self._pages.request(
                    method, url, headers=sent, data=data, allow_redirects=False, skip_auto_headers=("User-Agent",)
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise HubSilentError(_reason(error)) from error
        if response.status in NOT_AN_ANSWER:
            response.release()
            raise HubSilentError(f"answered {response.status}")
        self._note()
        return response


async def whole(response: aiohttp.ClientResponse, most: int = ANSWER_MAX) -> bytes:
    """Read an answer to its end.

    Raises:
        HubSilentError: it is longer than `most` bytes.
    """
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > most:
            raise HubSilentError("the answer is too long")
        parts.append(part)
    return b"".join(parts)


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None


def _size_of(content_range: str, first: int) -> int:
    match = _RANGE.fullmatch(content_range)
    if match is None or int(match[1]) != first:
        raise HubRefusedError(PARTIAL, "relay.hub-answer", "The hub gave another part of the file.")
    return int(match[2])


def _reason(error: Exception) -> str:
    """Return what an operator is told; never a URL, whose query may name people."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return "its certificate is not trusted"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "no connection"
    return type(error).__name__


def _refusal(status: int, answer: Any) -> HubRefusedError:
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return HubRefusedError(status, "relay.hub-answer", f"The hub answered {status}.")
    return HubRefusedError(status, str(error.get("code", "")), str(error.get("message", "")))
