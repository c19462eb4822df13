"""A real Chromium behind a firewall that drops its UDP joins through coturn's TLS port with its seat's credential."""

import socket
import time
from pathlib import Path

import pytest
from playwright.async_api import async_playwright
from tests.chromium import ALLOW_DEVICES
from tests.media.lossy_relay import LossyRelay
from tests.media.page_server import PageServer, bundle_page
from tests.media.test_browser_media import FRAMES_FROM_ALL, enter, launch, publish, until
from tests.media.test_turn import SECRET, run_coturn

from folkmoot_server.domain.turn import LIFETIME_S, TurnService, ice_servers

pytestmark = pytest.mark.browser
# Below the ports that Linux gives to others (ip_local_port_range begins at 32768).
RELAYED = range(20_000, 21_000)


class Firewall(LossyRelay):
    """Lets only coturn's relayed ports through to the worker: the browser's own UDP is dropped."""

    blocked = passed = 0

    def _from_clients(self) -> None:
        _, (_, port) = self._front.recvfrom(1, socket.MSG_PEEK)
        if port in RELAYED:
            self.passed += 1
            super()._from_clients()
        else:
            self.blocked += 1
            self._front.recv(2048)


@pytest.mark.parametrize("expired", [False, True])
async def test_a_closed_network_is_left_through_the_relay_alone(tmp_path: Path, expired: bool) -> None:
    script = bundle_page(tmp_path)
    ports = (f"min-port={RELAYED.start}", f"max-port={RELAYED.stop - 1}")
    async with (
        run_coturn(tmp_path, f"static-auth-secret={SECRET.decode()}", *ports) as coturn,
        async_playwright() as driver,
    ):
        service = TurnService((f"turns:localhost:{coturn.tls_port}?transport=tcp",), SECRET)
        age = LIFETIME_S + 60 if expired else 0
        server = PageServer(script, tmp_path / "run", lambda seat: ice_servers(service, seat, int(time.time()) - age))
        await server.start()
        firewall = server.relay = Firewall(await server._worker_port(), 0)
        browser = await launch(driver, ALLOW_DEVICES, "--ignore-certificate-errors")
        try:
            context = await browser.new_context()
            anna, listener = [await enter(context, server, seat) for seat in ("anna", "cleo")]
            await publish(anna, 320, 180)
            if expired:
                with pytest.raises(TimeoutError):
                    await until(listener, FRAMES_FROM_ALL, 1, seconds=8)
                assert firewall.passed == 0
            else:
                await until(listener, FRAMES_FROM_ALL, 1, seconds=40)
                assert firewall.passed > 0
            assert firewall.blocked > 0
        finally:
            await browser.close()
            await server.stop()
