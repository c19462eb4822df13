"""What the tests of pages without a network ask the browser, and a server whose pages become another build."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Page
from tests.browser.serving import Origin, Server
from tests.browser.support import ROOT, until

APP_CACHES = "folkmoot-app-"
PAPER_CACHES = "folkmoot-papers."
_STORED = """
async () => {
  const names = await caches.keys();
  const kept = async (name) => (await (await caches.open(name)).keys()).map(({ url }) => new URL(url).pathname);
  return {
    caches: Object.fromEntries(await Promise.all(names.map(async (name) => [name, await kept(name)]))),
    values: Object.keys(localStorage).filter((key) => key.startsWith("folkmoot.cache.")),
  };
}
"""
_INSTALLED = """
async () => {
  const registration = await navigator.serviceWorker.getRegistration();
  const active = registration?.active?.state === "activated" && registration.installing === null;
  return active && navigator.serviceWorker.controller !== null;
}
"""


@dataclass(frozen=True)
class Stored:
    """What this origin keeps in a browser: cache name to paths, and names of values."""

    caches: dict[str, list[str]]
    values: list[str]

    def papers(self) -> list[str]:
        """Paths of kept pages, of whomever."""
        return [path for name, paths in self.caches.items() if name.startswith(PAPER_CACHES) for path in paths]

    def builds(self) -> list[str]:
        """Names of the caches of builds."""
        return [name for name in self.caches if name.startswith(APP_CACHES)]


async def stored(page: Page) -> Stored:
    """Look at what is kept."""
    found: dict[str, Any] = await page.evaluate(_STORED)
    return Stored(found["caches"], found["values"])


async def installed(page: Page) -> None:
    """Wait until the worker has kept its files and answers for this page."""

    async def there() -> bool:
        return bool(await page.evaluate(_INSTALLED))

    await until(there, "the worker is installed and in charge of the page", deadline_s=60)


class Builds:
    """A server that runs from a copy of its package, so that other pages can be put under it."""

    def __init__(self, origin: Origin, folder: Path) -> None:
        """Copy the package; nothing runs yet."""
        home = folder / "packages"
        shutil.copytree(ROOT / "server" / "folkmoot_server", home / "folkmoot_server")
        self._dist = home / "folkmoot_server" / "web_dist"
        path = os.pathsep.join([str(home), os.environ.get("PYTHONPATH", "")])
        self.server = Server(origin, folder, settings={"PYTHONPATH": path})

    def shell(self) -> dict[str, Any]:
        """Return what the worker's head says: version and files with their digests."""
        head = (self._dist / "sw.js").read_text().splitlines()[0]
        shell: dict[str, Any] = json.loads(head.removeprefix("const FOLKMOOT_SHELL = ").removesuffix(";"))
        return shell

    def _write(self, name: str, text: str) -> None:
        """Change a file; its packed copies would still be the old one."""
        (self._dist / name).write_text(text)
        for packed in (f"{name}.gz", f"{name}.br"):
            (self._dist / packed).unlink(missing_ok=True)

    def damage(self) -> None:
        """Change the page that the worker's list pins, and not the list."""
        page = (self._dist / "index.html").read_text()
        self._write("index.html", page.replace("<body>", '<body data-damaged="yes">'))

    def next_build(self, name: str) -> str:
        """Make another build: a start script of another name, a page that names it; return the new version."""
        page, shell = (self._dist / "index.html").read_text(), self.shell()
        entry = re.findall(r'<script type="module"[^>]*src="(/assets/[^"]+\.js)"', page)[0]
        script = (self._dist / entry[1:]).read_text() + f"\n// {name}\n"
        renamed = entry.replace(".js", f"-{name}.js")
        self._write(renamed[1:], script)
        pin = "sha384-" + base64.b64encode(hashlib.sha384(script.encode()).digest()).decode()
        page = re.sub(
            rf'src="{re.escape(entry)}"( crossorigin)? integrity="[^"]+"',
            rf'src="{renamed}"\1 integrity="{pin}"',
            page,
        )
        page = page.replace("<body>", f'<body data-build="{name}">')
        self._write("index.html", page)
        files = {path: digest for path, digest in shell["files"].items() if path != entry}
        for path, content in (("/", page), (renamed, script)):
            files[path] = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        version = f"{shell['version']}{name}"
        head = f"const FOLKMOOT_SHELL = {json.dumps({'version': version, 'files': files})};\n"
        body = (self._dist / "sw.js").read_text().split("\n", 1)[1]
        self._write("sw.js", head + body)
        return version
