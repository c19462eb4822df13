"""The harness proven by itself, on pages of its own: trust, passkeys, media, axe, screenshots."""

import ssl
import struct
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Error
from tests.browser import serving, support
from tests.browser.conftest import NewPerson
from tools.house import find_chromium

_PAGE = """<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Harness</title>
    <link rel="icon" href="data:,">
  </head>
  <body><main><h1>Harness</h1><button type="button">Do it</button></main></body>
</html>
"""
_FAULTY = _PAGE.replace("</main>", '<img src="data:,"><input><canvas width="700" height="9"></canvas></main>')
_POLICY = "default-src 'self'; img-src data:; script-src 'self'"

_REGISTER = """
async () => {
  const made = await navigator.credentials.create({publicKey: {
    challenge: new Uint8Array(32), rp: {name: "Harness"},
    user: {id: new Uint8Array([1, 2, 3]), name: "lan", displayName: "Lan"},
    pubKeyCredParams: [{type: "public-key", alg: -7}],
    authenticatorSelection: {residentKey: "required", userVerification: "required"},
  }});
  return {id: made.id, flags: new Uint8Array(made.response.getAuthenticatorData())[32]};
}
"""
_SIGN_IN = """
async () => {
  const got = await navigator.credentials.get({publicKey: {
    challenge: new Uint8Array(32), userVerification: "required"}});
  return {id: got.id, origin: JSON.parse(new TextDecoder().decode(got.response.clientDataJSON)).origin};
}
"""
_LOOPBACK = """
async () => {
  const media = await navigator.mediaDevices.getUserMedia({audio: true, video: {width: 320, height: 180}});
  const [from, to] = [new RTCPeerConnection(), new RTCPeerConnection()];
  from.onicecandidate = (event) => to.addIceCandidate(event.candidate);
  to.onicecandidate = (event) => from.addIceCandidate(event.candidate);
  to.ontrack = (event) => {
    const sink = document.createElement(event.track.kind);
    sink.autoplay = true;
    sink.srcObject = event.streams[0];
    document.body.append(sink);
  };
  for (const track of media.getTracks()) from.addTrack(track, media);
  await from.setLocalDescription();
  await to.setRemoteDescription(from.localDescription);
  await to.setLocalDescription();
  await from.setRemoteDescription(to.localDescription);
}
"""


@pytest_asyncio.fixture(loop_scope="session")
async def static_url(origin: serving.Origin) -> AsyncIterator[str]:
    """Serve the pages above at the run's origin, under a content security policy."""

    def page(html: str) -> web.Response:
        return web.Response(text=html, content_type="text/html", headers={"Content-Security-Policy": _POLICY})

    async def good(_: web.Request) -> web.Response:
        return page(_PAGE)

    async def faulty(_: web.Request) -> web.Response:
        return page(_FAULTY)

    app = web.Application()
    app.router.add_get("/", good)
    app.router.add_get("/faulty", faulty)
    context = None
    if origin.authority is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(origin.authority.certificate, origin.authority.key)
    runner = web.AppRunner(app)
    await runner.setup()
    port = serving.free_port()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
    yield origin.url(port)
    await runner.cleanup()


async def test_a_passkey_is_made_and_used_at_this_origin(new_person: NewPerson, static_url: str) -> None:
    person = await new_person(static_url)
    await person.page.goto("/")
    made = await person.page.evaluate(_REGISTER)
    used = await person.page.evaluate(_SIGN_IN)
    assert used == {"id": made["id"], "origin": static_url}
    user_present_and_verified = 0x05
    assert made["flags"] & 0x05 == user_present_and_verified
    assert [key["isResidentCredential"] for key in await person.credentials()] == [True]
    assert person.complaints == []


async def test_control_refused_verification_makes_no_passkey(new_person: NewPerson, static_url: str) -> None:
    person = await new_person(static_url)
    await person.page.goto("/")
    await person.refuse_verification()
    with pytest.raises(Error, match="NotAllowedError"):
        await person.page.evaluate(_REGISTER)
    assert await person.credentials() == []
    await person.new_authenticator()
    assert (await person.page.evaluate(_REGISTER))["id"]


async def test_people_share_nothing(new_person: NewPerson, static_url: str) -> None:
    lan, binh = await new_person(static_url, "lan"), await new_person(static_url, "binh")
    for person in (lan, binh):
        await person.page.goto("/")
    await lan.page.evaluate(_REGISTER)
    assert len(await lan.credentials()) == 1
    assert await binh.credentials() == []


async def test_picture_and_sound_are_counted(new_person: NewPerson, static_url: str) -> None:
    person = await new_person(static_url)
    await person.page.goto("/")
    assert (await person.media()).frames_decoded == 0
    await person.page.evaluate(_LOOPBACK)

    async def flowing() -> bool:
        stats = await person.media()
        return stats.frames_decoded > 5 and stats.audio_energy > 0

    await support.until(flowing, "frames decoded and audio heard")
    assert (await person.media()).tallest_received > 0


async def test_axe_passes_a_good_page_and_finds_planted_faults(new_person: NewPerson, static_url: str) -> None:
    person = await new_person(static_url)
    await person.page.goto("/")
    await support.assert_accessible(person.page, "harness")
    await person.page.goto("/faulty")
    found = {finding["id"] for finding in await support.axe_findings(person.page)}
    assert {"image-alt", "label"} <= found
    with pytest.raises(AssertionError, match="image-alt"):
        await support.assert_accessible(person.page, "faulty")


async def test_screenshots_have_both_sizes(new_person: NewPerson, static_url: str) -> None:
    person = await new_person(static_url)
    await person.page.goto("/")
    shots = await support.shoot(person.page, "harness")
    sizes = [struct.unpack(">II", path.read_bytes()[16:24]) for path in shots]
    assert sizes == [(360, 640), (1280, 800)]
    assert person.page.viewport_size == {"width": 360, "height": 640}


async def test_a_page_too_wide_for_a_phone_is_noticed(new_person: NewPerson, static_url: str) -> None:
    person = await new_person(static_url)
    await person.page.goto("/")
    assert await support.sideways_overflow(person.page) == 0
    await person.page.goto("/faulty")
    assert await support.sideways_overflow(person.page) > 300


async def test_a_window_brings_no_pages_of_the_browsers_own(browser: Browser, new_person: NewPerson) -> None:
    """Control: without our switches there are some, and they cost more than the page (`tests/chromium.py`)."""
    await new_person("http://localhost", "anna", media=False)
    assert await _own_pages(browser) == 0
    plain = await browser.browser_type.launch(executable_path=find_chromium(), args=["--no-sandbox"])
    try:
        await plain.new_page()
        assert await _own_pages(plain) > 0
    finally:
        await plain.close()


async def _own_pages(browser: Browser) -> int:
    session = await browser.new_browser_cdp_session()
    targets = (await session.send("Target.getTargets"))["targetInfos"]
    await session.detach()
    return sum(one["type"] == "browser_ui" for one in targets)
