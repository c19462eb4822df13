"""Sound and picture of a hall whose media port is taken when its relay starts."""

import socket
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.relay.rig import until
from tests.relay.small import small_node

from folkmoot_server.relay import serving
from folkmoot_server.relay.settings import RelaySettings
from folkmoot_server.relay.sockets import Sockets


async def test_media_start_when_the_port_is_free_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "AGAIN_FIRST_S", 0.2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        settings = RelaySettings(hub="http://127.0.0.1:9", data=tmp_path, media_port=taken.getsockname()[1])
        async with small_node(tmp_path) as node:
            closers: serving.Closers = []
            sockets = Sockets(node)
            with capture_logs() as said:
                await serving.start_media(settings, node, sockets, closers)
            assert [one["event"] for one in said] == ["relay.media-failed"]
            assert sockets.media is None
            try:
                taken.close()

                async def started() -> bool:
                    return sockets.media is not None

                await until(started, "sound and picture")
            finally:
                for close in closers:
                    await close()


async def test_a_relay_that_stops_meanwhile_tries_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "AGAIN_FIRST_S", 0.0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        settings = RelaySettings(hub="http://127.0.0.1:9", data=tmp_path, media_port=taken.getsockname()[1])
        async with small_node(tmp_path) as node:
            starting = serving.MediaStart(settings, node, Sockets(node))
            assert not await starting.once()
            starting.go_on()
            await starting.close()
            assert starting._trying is not None
            assert starting._trying.done()
