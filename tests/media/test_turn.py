"""The shipped coturn configuration with credentials of ours: who gets a relay, to where, and for how long."""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aioice import stun, turn
from tests.server.certificates import write_certificate

from folkmoot_server.domain.turn import TurnService, ice_servers, turn_credential

SHIPPED = Path(__file__).resolve().parents[2] / "config" / "deploy" / "coturn" / "turnserver.conf"
SECRET = b"a shared secret for the tests only"
SEAT = "seat-0123456789abcdef"
HOUR = 3600


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Coturn:
    """A running coturn on loopback."""

    port: int
    tls_port: int
    context: ssl.SSLContext


def configuration(folder: Path, coturn: Coturn, *more: str) -> str:
    """Return the shipped configuration with the lines changed that an operator changes, and loopback ports."""
    own = {
        "realm": "realm=localhost",
        "cert": f"cert={folder / 'cert.pem'}",
        "pkey": f"pkey={folder / 'key.pem'}",
        "allowed-peer-ip": "allowed-peer-ip=127.0.0.1",
        "listening-port": f"listening-port={coturn.port}",
        "tls-listening-port": f"tls-listening-port={coturn.tls_port}",
    }
    lines = [own.pop(line.partition("=")[0], line) for line in SHIPPED.read_text().splitlines()]
    assert not own, f"the shipped file lacks {own}"
    # Peers on loopback are refused before any list is asked; only a test has its media worker there.
    lines += ["listening-ip=127.0.0.1", "relay-ip=127.0.0.1", "allow-loopback-peers"]
    lines += [f"userdb={folder / 'turndb'}", f"pidfile={folder / 'turn.pid'}", *more]
    return "\n".join(lines) + "\n"


@contextlib.asynccontextmanager
async def run_coturn(folder: Path, *more: str) -> AsyncIterator[Coturn]:
    """Run coturn until the block ends."""
    cert, _ = write_certificate(folder)
    coturn = Coturn(free_port(), free_port(), ssl.create_default_context(cafile=str(cert)))
    path = folder / "turnserver.conf"
    path.write_text(configuration(folder, coturn, *more))
    log = (folder / "log").open("wb")
    process = await asyncio.create_subprocess_exec(
        "turnserver", "-c", str(path), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder
    )
    log.close()
    try:
        async with asyncio.timeout(20):
            while True:
                assert process.returncode is None, (folder / "log").read_text()
                with contextlib.suppress(ConnectionRefusedError):
                    _, writer = await asyncio.open_connection("127.0.0.1", coturn.tls_port)
                    writer.close()
                    await writer.wait_closed()
                    break
                await asyncio.sleep(0.05)
        yield coturn
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


class Echo(asyncio.DatagramProtocol):
    """A media worker's place: answers every datagram."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.transport.sendto(b"answer to " + data, address)


class Heard(asyncio.DatagramProtocol):
    """What came through the relay."""

    def __init__(self) -> None:
        self.data: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, _address: Any) -> None:
        self.data.put_nowait(data)


async def allocate(coturn: Coturn, username: str, password: str, tls: bool = True) -> tuple[Any, Heard]:
    return await turn.create_turn_endpoint(
        Heard,
        ("127.0.0.1", coturn.tls_port if tls else coturn.port),
        username,
        password,
        ssl=coturn.context if tls else None,
        transport="tcp" if tls else "udp",
    )


async def close(transport: Any) -> None:
    transport.close()
    await asyncio.sleep(0)


@pytest.mark.parametrize("tls", [True, False])
async def test_a_good_credential_relays_to_the_media_worker(tmp_path: Path, tls: bool) -> None:
    (server,) = ice_servers(TurnService(("turns:localhost",), SECRET), SEAT, int(time.time()))
    username, password = str(server["username"]), str(server["credential"])
    loop = asyncio.get_running_loop()
    echo, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    async with run_coturn(tmp_path, f"static-auth-secret={SECRET.decode()}") as coturn:
        transport, heard = await allocate(coturn, username, password, tls)
        transport.sendto(b"hello", echo.get_extra_info("sockname"))
        assert await asyncio.wait_for(heard.data.get(), 10) == b"answer to hello"
        await close(transport)
    echo.close()


async def test_an_expired_a_forged_and_an_altered_credential_are_refused(tmp_path: Path) -> None:
    now = int(time.time())
    late = turn_credential(SECRET, SEAT, now - 1)
    forged = turn_credential(b"another secret, as long as ours is", SEAT, now + HOUR)
    good = turn_credential(SECRET, SEAT, now + HOUR)
    longer = (f"{now + 2 * HOUR}:{SEAT}", good[1])
    async with run_coturn(tmp_path, f"static-auth-secret={SECRET.decode()}") as coturn:
        for username, password in (late, forged, longer):
            with pytest.raises(stun.TransactionFailed) as refusal:
                await allocate(coturn, username, password)
            assert refusal.value.response.attributes["ERROR-CODE"][0] == 401
        transport, _ = await allocate(coturn, *good)
        await close(transport)


async def test_without_a_secret_nobody_is_let_in(tmp_path: Path) -> None:
    async with run_coturn(tmp_path) as coturn:
        with pytest.raises(stun.TransactionFailed):
            await allocate(coturn, *turn_credential(b"", SEAT, int(time.time()) + HOUR))


async def test_nothing_is_relayed_to_other_addresses(tmp_path: Path) -> None:
    good = turn_credential(SECRET, SEAT, int(time.time()) + HOUR)
    async with run_coturn(tmp_path, f"static-auth-secret={SECRET.decode()}") as coturn:
        transport, _ = await allocate(coturn, *good)
        for address in ("127.0.0.2", "10.0.0.1", "192.168.1.1", "169.254.169.254", "8.8.8.8"):
            with pytest.raises(stun.TransactionFailed) as refusal:
                await bind_channel(transport, address)
            assert refusal.value.response.attributes["ERROR-CODE"][0] == 403
        await bind_channel(transport, "127.0.0.1")
        await close(transport)


async def bind_channel(transport: Any, address: str) -> None:
    inner = transport._TurnTransport__inner_protocol
    await inner.channel_bind(0x4000, (address, 9))
