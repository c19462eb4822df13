"""The operator's figures: on their own port, in Prometheus' format, without ids of people."""

from __future__ import annotations

import asyncio
import secrets
import socket
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from folkmoot_config.settings import Settings
from folkmoot_server import app
from folkmoot_server.demo.seed import seed_demo


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def scrape(http: aiohttp.ClientSession, port: int) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return every sample by name and labels."""
    async with http.get(f"http://127.0.0.1:{port}/metrics") as answer:
        assert answer.status == 200
        text = await answer.text()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_a_scrape_counts_requests_by_route_and_tells_of_every_worker(tmp_path: Path) -> None:
    ports = free_port(), free_port()
    settings = Settings(
        data=tmp_path / "data",
        port=ports[0],
        public_url=f"http://localhost:{ports[0]}",
        metrics_port=ports[1],
        media_workers=1,
    )
    database = app.open_database(settings)
    await database.write(lambda tx: seed_demo(tx, now=app.now_s(), rng=secrets.token_bytes))
    installation = await app.start(settings, database)
    try:
        async with aiohttp.ClientSession() as http:
            for _ in range(3):
                async with http.get(f"http://localhost:{ports[0]}/api/meetings/somebodys-id") as answer:
                    assert answer.status == 401
            found = await scrape(http, ports[1])
            route = {"method": "GET", "route": "/api/meetings/{m}", "status": "401"}
            assert found["folkmoot_http_requests_total", frozenset(route.items())] == 3
            assert found["folkmoot_writes_waiting", frozenset()] >= 0
            assert found["folkmoot_media_cpu_seconds_total", frozenset({("worker", "0")})] > 0
            assert found["folkmoot_media_routers", frozenset({("worker", "0")})] == 0
            assert not [labels for _, labels in found if "somebodys-id" in str(labels)]
            async with http.get(f"http://localhost:{ports[0]}/metrics") as answer:
                assert "folkmoot_http" not in await answer.text()
    finally:
        await installation.stop()


async def test_control_without_a_port_there_is_no_listener(tmp_path: Path) -> None:
    port = free_port()
    settings = Settings(data=tmp_path / "data", port=port, public_url=f"http://localhost:{port}", media_workers=1)
    installation = await app.start(settings, app.open_database(settings))
    try:
        loop = asyncio.get_running_loop()
        listening = await loop.run_in_executor(None, Path("/proc/net/tcp").read_text)
        own = {line.split()[1] for line in listening.splitlines()[1:] if line.split()[3] == "0A"}
        assert f"0100007F:{port:04X}" in own
        assert settings.metrics_port == 0
    finally:
        await installation.stop()
