"""A whole meeting leaves no token, name, credential or ballot in the logs; nor do requests that go wrong."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import secrets
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from folkmoot_config.settings import Settings
from folkmoot_server import app
from folkmoot_server.demo.script import run_demo
from folkmoot_voting.encoding import b64u

SHORTEST = 8  # a shorter string may occur by chance, in a port or a time


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every token, nonce, ticket and handle that the process draws, as the real generator gives it."""
    kept: list[bytes] = []
    real: Callable[[int], bytes] = secrets.token_bytes

    def keep(size: int) -> bytes:
        kept.append(real(size))
        return kept[-1]

    monkeypatch.setattr(secrets, "token_bytes", keep)
    return kept


@pytest.fixture
def logged() -> Iterator[Callable[[], str]]:
    """Everything that any logger of the process writes from INFO up, tracebacks included."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield stream.getvalue
    root.removeHandler(handler)
    root.setLevel(level)


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)


def _private(out: Path) -> set[str]:
    """What the annex says of members, and every ballot on the boards."""
    found = set()
    with zipfile.ZipFile(out / "annex.zip") as annex:
        content = json.loads(annex.read("annex.json"))
        found |= set(_strings([content[part] for part in ("roll", "checkins", "trustees", "cosigners")]))
        found.discard(content["meeting"])
    with zipfile.ZipFile(out / "bundle.zip") as bundle:
        for name in bundle.namelist():
            if name.endswith("board.jsonl"):
                entries = map(json.loads, bundle.read(name).decode().splitlines())
                found |= {text for one in entries if one["type"] == "ballot" for text in _strings(one["ballot"])}
        elections = json.loads(bundle.read("bundle.json"))["elections"]
    return {text for text in found if len(text) >= SHORTEST and text not in elections}


def leaks(text: str, drawn: list[bytes], out: Path) -> set[str]:
    """Return every secret or personal string that `text` holds."""
    tokens = {spelled for token in drawn if len(token) >= SHORTEST for spelled in (b64u(token), token.hex())}
    return {secret for secret in tokens | _private(out) if secret in text}


def test_a_whole_meeting_logs_nothing_private(
    tmp_path: Path, drawn: list[bytes], logged: Callable[[], str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_demo(12, 3, 1, tmp_path, quiet=False) == 0
    out, err = capfd.readouterr()
    written = logged() + out + err
    assert "Verdict: ok" in written
    assert "media worker" in written  # the loggers were heard
    # Ids of meetings, units and elections are drawn too; they are no secrets, and twelve bytes long.
    assert leaks(written, [token for token in drawn if len(token) >= 32], tmp_path) == set()
    # The control: one of each kind, planted.
    planted = [b64u(next(token for token in drawn if len(token) == 32)), *sorted(_private(tmp_path))[:50:10]]
    for secret in planted:
        assert leaks(f"{written} value={secret}", drawn, tmp_path) >= {secret}


MALFORMED = (
    b"GET /api/session HTTP/1.1\r\nHost: localhost\r\nCookie: folkmoot=%s\r\nBad Header\r\n\r\n",
    b"GET /api/session HTTP/9.9\r\nHost: localhost\r\nCookie: folkmoot=%s\r\n\r\n",
    b"GET /enrol%s\x00 HTTP/1.1\r\n\r\n",
    b"POST /api/enrol/begin HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n%s",
    b"POST /api/enrol/begin HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n"
    b'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\nZZ\r\n{"token":"%s"}',
    b"POST /api/enrol/begin HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\nConnection: close\r\n"
    b'Content-Type: application/json\r\nContent-Length: 63\r\n\r\n{"token":"%s","a":"b"}',
)


async def test_requests_that_go_wrong_log_nothing_of_themselves(
    tmp_path: Path, logged: Callable[[], str], capfd: pytest.CaptureFixture[str]
) -> None:
    secret = b64u(secrets.token_bytes(32)).encode()
    settings = Settings(data=tmp_path / "data", port=0, media_workers=1)
    running = await app.start(settings, app.open_database(settings))
    try:
        for request in MALFORMED * 3:
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            writer.write(request % secret)
            async with asyncio.timeout(20):
                await reader.read()
            writer.close()
    finally:
        await running.stop()
    written = logged() + "".join(capfd.readouterr())
    assert secret.decode() not in written
    assert "Traceback" not in written
    assert written.count("http.fault") < len(MALFORMED) * 3  # a flood of them does not fill the disk
