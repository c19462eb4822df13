"""A host for coturn in the network of loadtests/halls_net.py: Debian's program, the configuration that we ship.

Only those lines of the configuration are changed that its README tells an operator to change.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import subprocess
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtests.halls_net import HUB_ADDRESS, ROOT, START_S, Net, Place
from loadtests.router import FORWARD, TLS_PORT, within
from tests.browser.serving import TEST_HOST

from folkmoot_server.domain.turn import turn_credential

NAME: Final = f"turn.{TEST_HOST}"
NEAR: Final = "10.81.0.1"
ADDRESS: Final = "10.81.0.2"
SHIPPED: Final = ROOT / "config" / "deploy" / "coturn" / "turnserver.conf"
SECRET: Final = secrets.token_hex(32)


@dataclass(frozen=True)
class CoturnHost:
    """Where it runs, and what the server must be told of it."""

    place: Place
    settings: dict[str, str]


def expired(seat: str) -> tuple[str, str]:
    """Return a credential that is signed as it must be, and whose time is over."""
    return turn_credential(SECRET.encode(), seat, int(time.time()) - 60)


def configuration(net: Net) -> str:
    """Return the shipped configuration with the operator's lines, and the secret that the README adds."""
    certificate, key = net.authority.of(NAME)
    own = {
        "realm": f"realm={NAME}",
        "cert": f"cert={certificate}",
        "pkey": f"pkey={key}",
        "allowed-peer-ip": f"allowed-peer-ip={HUB_ADDRESS}",
    }
    lines = [own.pop(line.partition("=")[0], line) for line in SHIPPED.read_text().splitlines()]
    if own:
        raise RuntimeError(f"the shipped file lacks {sorted(own)}")
    lines += [f"static-auth-secret={SECRET}"]
    # Not the machine's own database and process file.
    lines += [f"userdb={net.folder / 'turndb'}", f"pidfile={net.folder / 'turn.pid'}"]
    return "\n".join(lines) + "\n"


async def start(net: Net, stack: AsyncExitStack) -> CoturnHost:
    """Make the host beside the hub and wait until it listens.

    Raises:
        RuntimeError: it did not.
    """
    place = net.beside(NAME, NEAR, ADDRESS)
    with within(net.hub.name):
        FORWARD.write_text("1")
    path, log = net.folder / "turnserver.conf", net.folder / "coturn.log"
    path.write_text(configuration(net))
    process = _begin(net, place, path, log)
    stack.callback(_end, process)
    end = time.monotonic() + START_S
    while not await net.reaches(net.hub, ADDRESS):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"coturn did not start: {log.read_text(errors='replace')[-2000:]}")
        await asyncio.sleep(0.1)
    secret = net.folder / "turn.secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    urls = f'["turns:{NAME}:{TLS_PORT}?transport=tcp", "turn:{NAME}:3478?transport=udp"]'
    return CoturnHost(place, {"FOLKMOOT_TURN_URLS": urls, "FOLKMOOT_TURN_SECRET_FILE": str(secret)})


def _begin(net: Net, place: Place, path: Path, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            ["ip", "netns", "exec", place.name, "turnserver", "-c", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=net.folder,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)
    if process.poll() is None:
        process.kill()
        process.wait()
