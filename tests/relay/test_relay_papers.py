"""Papers that a relay has before anybody in its hall asks: each byte sent once, checked, with the hub's rights."""

import hashlib
import io
import secrets
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.relay.rig import Phone, Rig, rig, until
from tests.server.test_papers import put

pytestmark = pytest.mark.timeout(500)  # processes, passkeys, two cuts, and papers at a quarter of a line
NOISE = 100_000  # bytes that news, leases and snapshots take in the meantime


def a_picture(width: int) -> bytes:
    """A picture of noise, which nothing makes smaller: about three bytes for each of its points."""
    out = io.BytesIO()
    Image.frombytes("RGB", (width, width), secrets.token_bytes(3 * width * width)).save(out, "PNG")
    return out.getvalue()


async def bring(made: Rig, name: str, content: bytes, paper_class: str = "members") -> dict[str, Any]:
    """Bring a paper and return it as its list shows it when it can be read."""
    secretary = made.hall.secretary
    path = made.path(f"/papers?item=&name={name}&class={paper_class}")
    status, answer = await put(secretary, path, content)
    assert status == 200, answer

    async def ready() -> dict[str, Any] | None:
        listed = (await secretary.get(made.path("/papers")))["papers"]
        return next((one for one in listed if one["paper"] == answer["paper"] and one["state"] == "ready"), None)

    return dict(await until(ready, f"the pages of {name}"))


async def until_here(made: Rig, sha256: str) -> None:
    async def here() -> bool:
        return sha256 in made.relay.papers()

    await until(here, "a file at the relay")


async def cut_within(made: Rig, phone: Phone, sha256: str) -> int:
    """Cut the line when a third of a file has come; return how much of it is there."""
    part = f"{sha256}.part"

    async def begun() -> bool:
        return made.relay.papers().get(part, 0) > 200_000

    await until(begun, "the beginning of a file")
    made.link.drop()
    await made.until_cut(phone)
    return made.relay.papers()[part]


async def test_what_has_come_is_not_sent_again_and_what_is_damaged_is(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        binh, otto = made.phones["binh"], made.phones["otto"]
        await made.hall.secretary.post(
            made.path(f"/sites/{made.site}"),
            {"name": "Upper village", "custodian": binh.member, "expected": 4, "profile": 0},
        )
        internal = await bring(made, "internal.txt", b"For the office", "restricted")
        first = await bring(made, "map.png", a_picture(500))
        page = f"/papers/{first['paper']}/1/pages/1"
        whole = first["versions"][0]["sha256"]
        size = first["versions"][0]["size"]
        held = await cut_within(made, binh, whole)
        assert 200_000 < held < size - 100_000
        await _reads_alone(made, first, internal)

        before = made.link.down
        made.link.restore()
        await until_here(made, whole)
        assert made.link.down - before < size - held + NOISE < size
        await made.until_linked(binh)

        # Control: of a file that was damaged on the relay's disk all is fetched again, and the count shows it.
        second = await bring(made, "plan.png", a_picture(500))
        other, other_size = second["versions"][0]["sha256"], second["versions"][0]["size"]
        held = await cut_within(made, binh, other)
        with (made.relay.data / "papers" / f"{other}.part").open("r+b") as file:
            file.write(b"GIF89a")
        before = made.link.down
        made.link.restore()
        await until_here(made, other)
        assert made.link.down - before > other_size - held + other_size
        assert "relay.ahead damaged" in made.relay.log
        await made.until_linked(binh)

        await _reads_linked(made, page, first)
        assert internal["versions"][0]["sha256"] not in made.relay.papers()
        # Whoever signed in at the relay alone means nothing to the hub.
        assert (await otto.fetch(made.path(page)))[0] == 401
        await _is_restricted(made, page, first)


async def _reads_alone(made: Rig, first: dict[str, Any], internal: dict[str, Any]) -> None:
    """While the line is cut, members read what every member may read; strangers and others read nothing."""
    binh, otto = made.phones["binh"], made.phones["otto"]
    page = made.path(f"/papers/{first['paper']}/1/pages/1")
    status, shown, headers = await binh.fetch(page)
    assert (status, headers["Content-Type"], "Folkmoot-Cut" in headers) == (200, "image/webp", True)
    assert Image.open(io.BytesIO(shown)).size == (500, 500)
    assert "immutable" in headers["Cache-Control"]
    assert headers["Content-Security-Policy"].startswith("sandbox")
    assert (await binh.fetch(made.path(f"/papers/{first['paper']}/1/pages/1/text")))[:2] == (200, b"")
    assert (await binh.fetch(made.path(f"/papers/{first['paper']}/1/pages/2")))[0] == 503
    assert (await binh.fetch(made.path(f"/papers/{first['paper']}/1/file")))[0] == 503  # only a part of it is here
    assert (await binh.fetch(made.path(f"/papers/{internal['paper']}/1/pages/1")))[0] == 503
    assert (await otto.fetch(page))[0] == 503
    await otto.sign_in()
    assert (await otto.fetch(page))[:2] == (200, shown)
    listed = await otto.get(made.path("/papers"))
    assert [one["paper"] for one in listed["papers"]] == [first["paper"]]


async def _reads_linked(made: Rig, page: str, first: dict[str, Any]) -> None:
    """A page that is here crosses the line no more; one that the disk has damaged comes from the hub."""
    binh, hub = made.phones["binh"], made.hall.secretary
    async with hub._http.get(hub.origin + made.path(page)) as answer:
        right, right_headers = await answer.read(), answer.headers
    before = made.link.down
    for _ in range(3):
        status, shown, headers = await binh.fetch(made.path(page))
        assert (status, shown) == (200, right)
        for name in ("Content-Type", "Cache-Control", "Content-Security-Policy", "X-Content-Type-Options"):
            assert headers[name] == right_headers[name]
    assert made.link.down - before < len(right) / 2
    status, file, headers = await binh.fetch(made.path(f"/papers/{first['paper']}/1/file"))
    assert hashlib.sha256(file).hexdigest() == first["versions"][0]["sha256"]
    assert headers["Content-Disposition"].endswith("map.png")

    on_disk = made.relay.data / "papers" / hashlib.sha256(right).hexdigest()
    on_disk.write_bytes(b"x" + right[1:])
    assert (await binh.fetch(made.path(page)))[:2] == (200, right)

    async def right_again() -> bool:
        return on_disk.exists() and on_disk.read_bytes() == right

    await until(right_again, "the page in the place of the damaged one")


async def _is_restricted(made: Rig, page: str, first: dict[str, Any]) -> None:
    """A paper that becomes restricted leaves the relay, and is nobody's there."""
    binh = made.phones["binh"]
    assert (await binh.fetch(made.path(page)))[0] == 200
    change = {"item": "", "name": "map.png", "class": "restricted"}
    await made.hall.secretary.post(made.path(f"/papers/{first['paper']}"), change)

    async def gone() -> bool:
        return first["versions"][0]["sha256"] not in made.relay.papers()

    await until(gone, "a paper that is not for everybody any more")
    assert (await binh.fetch(made.path(page)))[0] == 404
