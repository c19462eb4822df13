"""Serves the built web client and sets the browser's security headers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path

from aiohttp import web

DIST = Path(str(files("folkmoot_server"))) / "web_dist"
ENTRIES = {"/booth": "booth.html", "/auditor": "auditor.html"}

_ALWAYS = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
# What says how a page may be shown and what it may do.
_OF_PAGES = {
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), geolocation=(), payment=(), "
    "publickey-credentials-get=(self), publickey-credentials-create=(self)",
}


def _policy(*, media: bool, frame: str) -> str:
    directives = [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:" if media else "img-src 'self'",
        "font-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        f"frame-ancestors {frame}",
        "frame-src 'self'" if media else "frame-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    if media:
        directives.append("media-src 'self' blob:")
    return "; ".join(directives)


APP_POLICY = _policy(media=True, frame="'none'")
BOOTH_POLICY = _policy(media=False, frame="'self'")
API_POLICY = "default-src 'none'; frame-ancestors 'none'"
# The application's worker fetches files of its own origin; it loads no further script.
WORKER = "/sw.js"
WORKER_POLICY = "default-src 'none'; connect-src 'self'; frame-ancestors 'none'"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _set_security_headers(request: web.Request, response: web.StreamResponse, *, secure: bool) -> None:
    """Headers for every answer, the content policy by kind of page.

    A script's own request (`Sec-Fetch-Dest: empty`) never becomes a page: its answer says nothing of pages, which is
    a third of a kilobyte less each time.
    """
    response.headers.pop("Server", None)
    for name, value in _ALWAYS.items():
        response.headers.setdefault(name, value)
    if request.headers.get("Sec-Fetch-Dest") == "empty" and request.path.startswith("/api/"):
        response.headers.setdefault("Cache-Control", "no-store")
        return
    for name, value in _OF_PAGES.items():
        response.headers.setdefault(name, value)
    if secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
    path = request.path
    if path.startswith(("/api/", "/socket.io")):
        response.headers.setdefault("Content-Security-Policy", API_POLICY)
        response.headers.setdefault("Cache-Control", "no-store")
    elif path == WORKER:
        response.headers.setdefault("Content-Security-Policy", WORKER_POLICY)
    else:
        entry = ENTRIES.get(path.removesuffix(".html"))
        response.headers.setdefault("Content-Security-Policy", BOOTH_POLICY if entry else APP_POLICY)


def add_static(app: web.Application, dist: Path = DIST, *, secure: bool) -> None:
    """Serve `dist`: hashed assets for a year, pages never cached, every other path the application shell.

    Args:
        app: gets routes and the browser's security headers for all its answers.
        dist: the built web client.
        secure: whether browsers reach the server over TLS.
    """

    async def security_headers(request: web.Request, response: web.StreamResponse) -> None:
        _set_security_headers(request, response, secure=secure)

    app.on_response_prepare.append(security_headers)

    def page(name: str) -> Handler:
        async def serve(_request: web.Request) -> web.StreamResponse:
            return web.FileResponse(dist / name, headers={"Cache-Control": "no-cache"})

        return serve

    async def asset_age(request: web.Request, response: web.StreamResponse) -> None:
        if request.path.startswith("/assets/") and response.status == web.HTTPOk.status_code:
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"

    app.on_response_prepare.append(asset_age)
    if not (dist / "index.html").is_file():
        return
    if (dist / "assets").is_dir():
        app.router.add_static("/assets", dist / "assets")
    for path, name in ENTRIES.items():
        app.router.add_get(path, page(name))
        app.router.add_get(f"{path}.html", page(name))
    for file in dist.iterdir():
        if file.is_file() and file.suffix in {".webmanifest", ".svg", ".png", ".js", ".txt", ".ico"}:
            app.router.add_get(f"/{file.name}", page(file.name))
    shell = page("index.html")
    app.router.add_get("/", shell)
    app.router.add_get(r"/{path:(?!api/|socket\.io|assets/).+}", shell)
