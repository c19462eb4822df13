"""A real Chromium behind a firewall that drops all its UDP hears and sees over TCP, without any relay."""

from pathlib import Path

import pytest
from playwright.async_api import async_playwright
from tests.chromium import ALLOW_DEVICES
from tests.media.lossy_relay import LossyRelay
from tests.media.page_server import PageServer, bundle_page
from tests.media.test_browser_media import FRAMES_FROM_ALL, enter, launch, publish, until

pytestmark = pytest.mark.browser
PROTOCOLS = """async () => {
  const { send, receive } = await folkmoot.room.support();
  return [...send, ...receive].filter((one) => one.type === 'remote-candidate').map((one) => one.protocol);
}"""


class Firewall(LossyRelay):
    """Lets no UDP through to the worker."""

    blocked = 0

    def _from_clients(self) -> None:
        self.blocked += 1
        self._front.recv(2048)


@pytest.mark.parametrize("tcp", [True, False])
async def test_a_network_without_udp_is_left_over_tcp(tmp_path: Path, tcp: bool) -> None:
    script = bundle_page(tmp_path)
    async with async_playwright() as driver:
        server = PageServer(script, tmp_path / "run")
        await server.start()
        firewall = server.relay = Firewall(await server._worker_port(), 0)
        server.tcp_open = tcp
        browser = await launch(driver, ALLOW_DEVICES)
        try:
            context = await browser.new_context()
            anna, listener = [await enter(context, server, seat) for seat in ("anna", "cleo")]
            await publish(anna, 320, 180)
            if tcp:
                await until(listener, FRAMES_FROM_ALL, 1, seconds=60)
                assert "tcp" in await listener.evaluate(PROTOCOLS)
                told = (await server.signalling.report("hall", "cleo"))["transports"]
                assert [(one["protocol"], one["dtls"]) for one in told] == [("tcp", "connected")]
                (stats,) = await server.pool.stats()
                assert stats["streams"] >= 2
                assert stats["contained_errors"] == 0
            else:
                # Control: the firewall holds, and what was heard above came over TCP.
                with pytest.raises(TimeoutError):
                    await until(listener, FRAMES_FROM_ALL, 1, seconds=10)
            assert firewall.blocked > 0
        finally:
            await browser.close()
            await server.stop()
