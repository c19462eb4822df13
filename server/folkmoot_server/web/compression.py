"""Compresses the answers that may be, and says when an answer is the one that the page has (docs/adr/0011).

Whoever sees the length of a compressed answer and can put text into it learns by trying what else is in it. Hence a
list of routes whose answers hold no secret; what is not on it goes as it is. An answer is compressed for our own
pages' scripts alone: no other site can make a browser ask for one.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from aiohttp import web

from folkmoot_server.domain.ids import b64u

_MEETING: Final = "/api/meetings/{m}"
_VOTE: Final = "/api/meetings/{meeting}/elections/{election}"
# Answers to GET of these routes, as they were added, hold no token, nonce, code, link, seed or share.
COMPRESSED: Final = frozenset(
    {
        "/api/meetings",
        "/api/members",
        "/api/organisation",
        "/api/resolutions",
        "/api/resolutions/{r}",
        "/api/templates",
        _MEETING,
        f"{_MEETING}/attendance",
        f"{_MEETING}/events",
        f"{_MEETING}/messages",
        f"{_MEETING}/minutes",
        f"{_MEETING}/motions/{{x}}",
        f"{_MEETING}/motions/{{x}}/diff",
        f"{_MEETING}/notices",
        f"{_MEETING}/papers",
        f"{_MEETING}/papers/{{p}}/{{v}}/pages/{{n}}",
        f"{_MEETING}/papers/{{p}}/{{v}}/pages/{{n}}/text",
        f"{_MEETING}/quorum-curve",
        f"{_MEETING}/sites",
        f"{_MEETING}/sites/{{s}}/seats",
        f"{_VOTE}/board",
        f"{_VOTE}/manifest",
        f"{_VOTE}/tally",
    }
)
JSON: Final = "application/json"
CHARSET: Final = "utf-8"
KINDS: Final = frozenset({JSON, "text/plain"})
LEAST: Final = 500  # below this the header of the format and the work are not worth it
LEVEL: Final = 6
GZIP: Final = 16 + zlib.MAX_WBITS
TAG_OCTETS: Final = 12
KEPT: Final = 8  # beginnings at a time: some 300 kB each

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Beginning:
    """The common beginning of many answers, compressed and hashed once for all of them."""

    _packed: bytes
    _packer: Any  # zlib has no public type for it
    _hash: Any

    def tag(self, rest: bytes) -> str:
        """Return the entity tag of the beginning and `rest` together."""
        whole = self._hash.copy()
        whole.update(rest)
        return _tag(whole.digest())

    def packed(self, rest: bytes) -> bytes:
        """Return beginning and `rest` together in gzip's format."""
        packer = self._packer.copy()
        return b"".join((self._packed, packer.compress(rest), packer.flush()))


@lru_cache(maxsize=KEPT)
def _beginning(text: str) -> Beginning:
    octets = text.encode()
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    return Beginning(packer.compress(octets), packer, hashlib.sha256(octets))


def json_answer(request: web.Request, text: str, beginning: str = "") -> web.Response:
    """Answer with JSON text; `beginning` is what many answers have in common before what is one's own, or empty."""
    if not beginning or not text.startswith(beginning) or not may_compress(request):
        return web.Response(text=text, content_type=JSON, charset=CHARSET)
    common, rest = _beginning(beginning), text[len(beginning) :].encode()
    headers = {"ETag": common.tag(rest)}
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return web.Response(status=web.HTTPNotModified.status_code, headers=headers)
    headers["Content-Encoding"] = "gzip"
    return web.Response(body=common.packed(rest), content_type=JSON, charset=CHARSET, headers=headers)


def may_compress(request: web.Request) -> bool:
    """Whether the answer may be compressed: its route is on the list, and a script of our own pages asks."""
    resource = request.match_info.route.resource
    return (
        request.method == "GET"
        and resource is not None
        and resource.canonical in COMPRESSED
        and request.headers.get("Sec-Fetch-Site") == "same-origin"
        and request.headers.get("Sec-Fetch-Dest", "empty") == "empty"
        and "gzip" in request.headers.get("Accept-Encoding", "")
    )


@web.middleware
async def compressed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Compress what may be; answer 304 to who has the same already."""
    response = await handler(request)
    if (
        not may_compress(request)
        or not isinstance(response, web.Response)
        or response.status != web.HTTPOk.status_code
    ):
        return response
    body = response.body
    if "Content-Encoding" in response.headers or not isinstance(body, bytes) or len(body) < LEAST:
        return response
    if response.content_type not in KINDS or "no-store" in response.headers.get("Cache-Control", ""):
        return response
    tag = response.headers["ETag"] = _tag(hashlib.sha256(body).digest())
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=web.HTTPNotModified.status_code, headers={"ETag": tag})
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    response.headers["Content-Encoding"] = "gzip"
    response.body = packer.compress(body) + packer.flush()
    return response


def _tag(digest: bytes) -> str:
    # Weak: the same answer is one whether it was compressed or not.
    return f'W/"{b64u(digest[:TAG_OCTETS])}"'
