"""A real Chromium page is told who begins to speak, however many microphones are open."""

import time
from pathlib import Path

import pytest
from playwright.async_api import Page
from tests.media.browser_room import browser_room
from tests.media.lossy_relay import Address, LossyRelay
from tests.media.test_browser_media import until

from folkmoot_media.forwarding.floor import AUDIBLE_SCORE, SILENCE
from folkmoot_media.forwarding.packets import parse_rtp, read_extensions
from folkmoot_media.rtp_parameters import LEVEL_URI

pytestmark = pytest.mark.browser
OTHERS = ("anna", "bela", "cleo")
SENT = """
async (least) => (await folkmoot.figures()).some((entry) =>
  entry.type === 'outbound-rtp' && entry.kind === 'audio' && entry.packetsSent >= least)
"""
SHOWN = "(name) => folkmoot.speakers.find(({ owner }) => owner === name)?.at"


class Ear(LossyRelay):
    """Lets everything through and notes when each client's first packet with a voice in it comes by.

    The level of RFC 6464 stands in the open in SRTP; its extension has the id `level_id`.
    """

    def __init__(self, worker_port: int) -> None:
        super().__init__(worker_port, 0)
        self.voiced: dict[Address, float] = {}
        self.levels = 0
        self.level_id = 0

    def pass_up(self, data: bytes, client: Address) -> None:
        if 127 < data[0] < 192 and not 192 <= data[1] <= 223 and client not in self.voiced:
            packet = parse_rtp(data)
            values = {} if packet is None else read_extensions(packet.extension_profile, packet.extensions)
            level = values.get(self.level_id)
            self.levels += level is not None
            if level is not None and SILENCE - (level[0] & 0x7F) >= AUDIBLE_SCORE:
                self.voiced[client] = time.time()
        super().pass_up(data, client)


async def open_microphone(page: Page) -> None:
    """Send what is not a voice yet."""
    await page.evaluate("folkmoot.room.publishMicrophone()")
    await until(page, SENT, 5, seconds=60)


async def test_a_new_speaker_is_shown_on_the_other_page(tmp_path: Path) -> None:
    async with browser_room(tmp_path) as room:
        ear = room.server.relay = Ear(await room.server._worker_port())
        listener = await room.enter("listener")
        for name in OTHERS:
            await open_microphone(await room.enter(name, tone=""))
            await until(listener, f"(name) => ({SHOWN})(name) !== undefined", name)
        # Every open slot is taken: from now on only a voice makes somebody heard.
        dora = await room.enter("dora", tone="")
        await open_microphone(dora)
        ear.level_id = (await dora.evaluate("folkmoot.extensions()"))[LEVEL_URI]
        # Control: an open microphone with nothing to hear is shown to nobody.
        await until(dora, SENT, 15, seconds=90)
        assert ear.levels > 0
        assert await listener.evaluate(SHOWN, "dora") is None
        assert ear.voiced == {}

        begun = await dora.evaluate("folkmoot.speak(0.5)")
        await until(listener, f"(name) => ({SHOWN})(name) !== undefined", "dora", seconds=60)
        shown = await listener.evaluate(SHOWN, "dora")
        (voiced,) = ear.voiced.values()
        print(f"\nshown {shown - voiced * 1000:.0f} ms after the first voiced packet had come, ", end="")
        print(f"{shown - begun:.0f} ms after the page began to speak")
        last = await listener.evaluate("folkmoot.speakers.at(-1)")
        assert (last["owner"], last["slot"] in (1, 2, 3)) == ("dora", True)
