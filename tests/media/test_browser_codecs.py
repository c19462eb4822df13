"""Real Chromium pictures in every video codec that is forwarded: played, joined late, switched between sizes."""

import itertools
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page
from tests.media.browser_room import BrowserRoom, browser_room, codec_of, figures, pick
from tests.media.test_browser_media import until

from folkmoot_media.forwarding.packets import parse_rtp, read_extensions
from folkmoot_media.rtp_parameters import DESCRIPTOR_ID, DESCRIPTOR_URI, VIDEO_PAYLOAD_TYPES

pytestmark = pytest.mark.browser
CODECS = ("VP8", "VP9", "H264", "AV1")
SIZE = {"width": 640, "height": 360, "frameRate": 10}
SENDS = """
async () => RTCRtpSender.getCapabilities('video').codecs
  .filter(({ mimeType, sdpFmtpLine = '' }) =>
    mimeType !== 'video/H264' || (sdpFmtpLine.includes('42e01f') && sdpFmtpLine.includes('packetization-mode=1')))
  .map(({ mimeType }) => mimeType.slice('video/'.length))
"""
SEEN = """
async ({ height, frames }) => (await folkmoot.figures()).some((entry) =>
  entry.type === 'inbound-rtp' && entry.frameHeight === height && entry.framesDecoded >= frames)
"""
BOTH_SENT = """
async () => (await folkmoot.figures())
  .filter((entry) => entry.type === 'outbound-rtp' && entry.kind === 'video' && entry.framesEncoded > 0).length === 2
"""
REPAIRED = """
async (least) => (await folkmoot.figures()).some((entry) => entry.type === 'inbound-rtp' &&
  entry.kind === 'video' && entry.framesDecoded > 60 && entry.retransmittedPacketsReceived >= least)
"""
MORE_ENCODED = """
async (least) => (await folkmoot.figures())
  .filter((entry) => entry.type === 'outbound-rtp' && entry.rid === 'r1')
  .some((entry) => entry.framesEncoded >= least)
"""


async def encoded(page: Page, rid: str) -> tuple[int, int]:
    """Return how many frames and how many key frames of one size were made."""
    (sent,) = [one for one in pick(await figures(page), "video", "outbound-rtp") if one["rid"] == rid]
    return int(sent["framesEncoded"]), int(sent["keyFramesEncoded"])


async def settled_keys(anna: Page) -> int:
    """Wait until 15 frames of the larger size have gone by without a key frame; return how many there were."""
    for _ in range(20):
        frames, keys = await encoded(anna, "r1")
        await until(anna, MORE_ENCODED, frames + 15, seconds=60)
        if (await encoded(anna, "r1"))[1] == keys:
            return keys
    raise AssertionError("key frames without anybody who asked for them")


async def test_this_browser_sends_every_codec_that_is_forwarded(tmp_path: Path) -> None:
    assert {f"video/{name}".lower() for name in CODECS} == set(VIDEO_PAYLOAD_TYPES)
    async with browser_room(tmp_path) as room:
        page = await room.open("anna")
        assert set(CODECS) <= set(await page.evaluate(SENDS))


@pytest.mark.parametrize("codec", CODECS)
async def test_a_codec_is_played_joined_late_and_switched(tmp_path: Path, codec: str) -> None:
    async with browser_room(tmp_path) as room:
        anna, cleo = await room.enter("anna", codec=codec), await room.enter("cleo")
        other = await room.enter("bela", codec="VP9" if codec == "VP8" else "VP8")
        await anna.evaluate("(size) => folkmoot.room.publishCamera(size)", SIZE)
        await until(anna, BOTH_SENT, seconds=60)
        await until(cleo, SEEN, {"height": 360, "frames": 10}, seconds=90)
        await check_codec(anna, cleo, codec)
        # Control: a page that knows another codec only gets no picture.
        assert (await other.evaluate("folkmoot.videos()"), pick(await figures(other), "video")) == ([], [])
        await other.close()
        await check_late_joiner(room, anna)
        await cleo.evaluate("folkmoot.room.setPreferredLayer('anna', 0)")
        await check_switch(cleo, 180)
        await cleo.evaluate("folkmoot.room.setPreferredLayer('anna', 1)")
        await check_switch(cleo, 360)
        (stats,) = await room.server.pool.stats()
        assert (stats["contained_errors"], stats["counters"]["malformed"]) == (0, 0)


async def check_codec(anna: Page, cleo: Page, codec: str) -> None:
    """Both ends name the codec; AV1 comes with its dependency descriptors."""
    sent, received = await figures(anna), await figures(cleo)
    assert {codec_of(sent, one) for one in pick(sent, "video", "outbound-rtp")} == {f"video/{codec}"}
    assert [codec_of(received, one) for one in pick(received, "video")] == [f"video/{codec}"]
    if codec == "AV1":
        assert DESCRIPTOR_URI in await anna.evaluate("folkmoot.extensions()")


async def check_late_joiner(room: BrowserRoom, anna: Page) -> None:
    """Who joins late starts with a key frame made for it. Control: without anybody new there is none."""
    keys = await settled_keys(anna)
    late = await room.enter("dora")
    await until(late, SEEN, {"height": 360, "frames": 10}, seconds=90)
    (picture,) = pick(await figures(late), "video")
    assert picture["keyFramesDecoded"] >= 1
    assert (await encoded(anna, "r1"))[1] > keys
    await late.close()


async def check_switch(page: Page, height: int) -> None:
    """The picture comes in the other size, goes on, and its numbers have no hole."""
    await until(page, SEEN, {"height": height, "frames": 0}, seconds=60)
    (before,) = pick(await figures(page), "video")
    await until(page, SEEN, {"height": height, "frames": before["framesDecoded"] + 10}, seconds=60)
    (after,) = pick(await figures(page), "video")
    assert after["packetsLost"] == 0
    print(f"{after['frameHeight']} lines: {after['framesDecoded']} frames, {after['keyFramesDecoded']} of them keys")


# -- AV1's dependency descriptors at the receiving browser ------------------------------------------------------


async def test_descriptors_come_to_who_wants_them_and_the_browser_follows_them(tmp_path: Path) -> None:
    async with browser_room(tmp_path) as room:
        anna = await room.enter("anna", codec="AV1")
        cleo = await room.enter("cleo", frames="yes")
        plain = await room.enter("bela", frames="yes", descriptors="no")
        await anna.evaluate("(size) => folkmoot.room.publishCamera(size)", SIZE)
        await until(anna, BOTH_SENT, seconds=60)
        for page in (cleo, plain):
            await until(page, SEEN, {"height": 360, "frames": 10}, seconds=90)
        late = await room.enter("dora", frames="yes")
        await until(late, SEEN, {"height": 360, "frames": 10}, seconds=90)
        for layer, height in ((0, 180), (1, 360)):
            await cleo.evaluate("(layer) => folkmoot.room.setPreferredLayer('anna', layer)", layer)
            await check_switch(cleo, height)
        assert await check_frames(cleo) >= {180, 360}
        await check_frames(late)
        await check_codec(anna, plain, "AV1")
        # Control: the same picture is played without them, and then the browser knows nothing of its frames.
        assert DESCRIPTOR_URI not in await plain.evaluate("folkmoot.heardExtensions()")
        with pytest.raises(AssertionError):
            await check_frames(plain)
        assert len(await plain.evaluate("folkmoot.frames()")) >= 10


async def test_descriptors_of_every_length_arrive_also_with_what_is_sent_again(tmp_path: Path) -> None:
    async with browser_room(tmp_path) as room:
        relay = await room.server.lose(3)
        # Three temporal layers need a longer structure than header extensions of one byte can hold.
        anna = await room.enter("anna", codec="AV1", mode="L1T3")
        pages = {"cleo": await room.enter("cleo", frames="yes")}
        pages["bela"] = await room.enter("bela", frames="yes", descriptors="no")
        await anna.evaluate("(size) => folkmoot.room.publishCamera(size)", SIZE)
        await until(anna, BOTH_SENT, seconds=60)
        for page in pages.values():
            await until(page, REPAIRED, 5, seconds=90)
        frames = await frames_of(pages["cleo"])
        numbers = [frame.get("frameId") for frame in frames]
        assert None not in numbers
        assert len(set(numbers)) == len(numbers) > 20
        (stream,) = pick(await figures(pages["cleo"]), "video")
        forms = extensions_of(relay.media, stream["ssrc"])
        assert {profile for profile, _ in forms} == {0xBEDE, 0x1000}
        assert max(length for _, length in forms) > 16
        again = extensions_of(relay.media, stream["rtxSsrc"])
        assert len(again) >= 5
        (stream,) = pick(await figures(pages["bela"]), "video")
        for ssrc in (stream["ssrc"], stream["rtxSsrc"]):
            with pytest.raises(KeyError):
                extensions_of(relay.media, ssrc)


def extensions_of(media: list[bytes], ssrc: int) -> list[tuple[int, int]]:
    """Return the form and the length of each descriptor of a stream, of retransmissions not the empty ones.

    Raises:
        KeyError: a packet has none.
    """
    packets = [packet for packet in map(parse_rtp, media) if packet is not None and packet.ssrc == ssrc]
    # Trials of the link hold one byte, and SRTP adds at least ten.
    full = [packet for packet in packets if len(packet.payload) > 40]
    assert full
    values = [read_extensions(packet.extension_profile, packet.extensions) for packet in full]
    return [(packet.extension_profile, len(value[DESCRIPTOR_ID])) for packet, value in zip(full, values, strict=True)]


async def frames_of(page: Page) -> list[dict[str, Any]]:
    """Return the frames that have come, each once.

    Trials of the link send packets again. When they make up a whole frame, Chromium tells of it again before it finds
    that it has it.
    """
    return list({frame["digest"]: frame for frame in await page.evaluate("folkmoot.frames()")}.values())


async def check_frames(page: Page) -> set[int]:
    """Every frame has a number above the last and refers only to frames that have come; return the heights."""
    frames = await frames_of(page)
    numbers = [frame.get("frameId") for frame in frames]
    assert len(numbers) >= 10
    assert None not in numbers
    assert (await page.evaluate("folkmoot.heardExtensions()"))[DESCRIPTOR_URI] == DESCRIPTOR_ID
    assert [(before, after) for before, after in itertools.pairwise(numbers) if before >= after] == []
    known: set[int] = set()
    for frame in frames:
        assert set(frame["dependencies"]) <= known
        known.add(frame["frameId"])
    print(f"{len(frames)} frames, {sum(not frame['dependencies'] for frame in frames)} of them refer to none")
    return {frame["height"] for frame in frames}
