"""Papers through the real server: rights, versions, limits, what a forbidden one looks like, what a crash leaves."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pypdfium2
import pytest
from PIL import Image
from sqlalchemy import event
from tests.server.support import House, at_check_in, connect, serve

from folkmoot_server.commands import papers as commands
from folkmoot_server.demo.client import Person
from folkmoot_server.domain.identity import SessionInfo
from folkmoot_server.storage import papers
from folkmoot_server.storage.paper_files import PaperFiles
from folkmoot_server.web import paper_service


def a_pdf(pages: int = 2, width: float = 595, height: float = 842) -> bytes:
    document = pypdfium2.PdfDocument.new()
    for _ in range(pages):
        document.new_page(width, height)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def a_png(width: int = 40, height: int = 30) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(out, "PNG")
    return out.getvalue()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A meeting with check-in begun; Karin audits, Binh is on the roll, Greta reads and is not on it."""
    async with at_check_in(tmp_path, "lan", "jonas", "ana", "paul", "amira", "karin", "binh") as running:
        await running.enrol("greta")
        await running.check_in("lan", "binh")
        yield running


async def put(person: Person, path: str, content: bytes, **more: str) -> tuple[int, dict[str, Any]]:
    """Send bytes as the pages do."""
    return await send(person, path, content, "PUT", **more)


async def send(person: Person, path: str, content: bytes, method: str, **more: str) -> tuple[int, dict[str, Any]]:
    """Send bytes by any method."""
    headers = {"Origin": person.origin, "Content-Type": "application/octet-stream", **more}
    url, data = person.origin + path, io.BytesIO(content)
    async with person._http.request(method, url, data=data, headers=headers) as answer:
        return answer.status, json.loads(await answer.read())


async def bring(house: House, name: str, content: bytes, paper_class: str = "open", item: str = "") -> str:
    """Bring a paper and wait until it can be read or is refused; return its id."""
    path = house.path(f"/papers?item={item}&name={name}&class={paper_class}")
    status, answer = await put(house.jonas, path, content)
    assert status == 200, answer
    await settled(house)
    return str(answer["paper"])


async def settled(house: House) -> None:
    async with asyncio.timeout(60):
        # The renderer is another process: only asking shows that it is done.
        while any(p["state"] == "rendering" for p in await listed(house, "jonas")):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def listed(house: House, name: str) -> list[dict[str, Any]]:
    return list((await house.people[name].get(house.path("/papers")))["papers"])


async def fetch(person: Person, path: str) -> tuple[int, bytes, dict[str, str]]:
    async with person._http.get(person.origin + path) as answer:
        return answer.status, await answer.read(), dict(answer.headers)


async def test_a_paper_becomes_pages_and_everybody_hears_of_an_open_one(house: House) -> None:
    heard = await connect(house, "binh")
    item = house.items[0]
    paper = await bring(house, "Budget.pdf", a_pdf(3), item=item)
    await heard.until(lambda: "PaperAdded" in heard.kinds())
    body = next(event["body"] for event in heard.events if event["type"] == "PaperAdded")
    (mine,) = await listed(house, "binh")
    assert (mine["state"], mine["version"], mine["versions"][0]["pages"]) == ("ready", 1, 3)
    assert mine["versions"][0]["by"] == "Jonas Keller"
    about = {"paper": paper, "item": item, "name": "Budget.pdf", "version": 1}
    assert body == {**about, "sha256": mine["versions"][0]["sha256"]}
    status, content, headers = await fetch(house.binh, house.path(f"/papers/{paper}/1/pages/3"))
    assert (status, headers["Content-Type"]) == (200, "image/webp")
    assert Image.open(io.BytesIO(content)).size == (1200, 1699)
    assert "immutable" in headers["Cache-Control"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    for page in ("0", "4", "x", "-1"):
        assert (await fetch(house.binh, house.path(f"/papers/{paper}/1/pages/{page}")))[0] == 404


async def test_the_file_comes_back_as_it_was_and_never_to_be_shown(house: House) -> None:
    content = a_pdf(1)
    paper = await bring(house, "Sổ thu chi.pdf", content)
    status, body, headers = await fetch(house.binh, house.path(f"/papers/{paper}/1/file"))
    assert (status, body) == (200, content)
    assert headers["Content-Disposition"].startswith("attachment; filename*=UTF-8''S%E1%BB%95")
    assert headers["Content-Security-Policy"].startswith("sandbox")
    assert headers["X-Content-Type-Options"] == "nosniff"


async def test_text_stays_text_in_pages(house: House) -> None:
    paper = await bring(house, "Notes.txt", "Chào mọi người\n".encode() * 100)
    status, body, headers = await fetch(house.binh, house.path(f"/papers/{paper}/1/pages/1"))
    assert (status, headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert body.decode() == "Chào mọi người\n" * 60


async def test_each_class_is_for_its_readers(house: House) -> None:
    for paper_class in ("open", "members", "restricted"):
        await bring(house, f"{paper_class}.png", a_png(), paper_class)
    seen = {
        name: [p["class"] for p in await listed(house, name)] for name in ("lan", "jonas", "binh", "karin", "greta")
    }
    assert seen == {
        "lan": ["open", "members", "restricted"],
        "jonas": ["open", "members", "restricted"],
        "binh": ["open", "members"],
        "karin": ["open", "members"],
        "greta": ["open"],
    }


@pytest.mark.parametrize("rest", ["/1/file", "/1/pages/1", "/9/file", "/reads"])
async def test_a_forbidden_paper_answers_like_a_missing_one(house: House, rest: str) -> None:
    paper = await bring(house, "Secret.png", a_png(), "restricted")
    answers = [await fetch(house.binh, house.path(f"/papers/{one}{rest}")) for one in (paper, "A" * len(paper))]
    for answer in answers:
        answer[2].pop("Date")
    assert answers[0] == answers[1]
    assert (answers[0][0], json.loads(answers[0][1])["error"]["code"]) == (404, "paper.unknown")
    if rest in ("/1/file", "/1/pages/1"):  # control: the secretary gets it
        assert (await fetch(house.jonas, house.path(f"/papers/{paper}{rest}")))[0] == 200


async def test_a_forbidden_paper_costs_the_same_statements_as_a_missing_one(house: House) -> None:
    paper = await bring(house, "Secret.png", a_png(), "restricted")
    counts: list[int] = []
    statements: list[str] = []

    def note(_c: object, _u: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(house.context.database._read_engine, "before_cursor_execute", note)
    for one in (paper, "A" * len(paper)):
        tries: list[int] = []
        for _ in range(5):
            statements.clear()
            await fetch(house.binh, house.path(f"/papers/{one}/1/file"))
            tries.append(len(statements))
        counts.append(min(tries))  # the server's own clocks read now and then, between the statements of an answer
    assert counts[0] == counts[1] > 3


async def test_reads_of_a_restricted_paper_are_kept_and_those_of_others_not(house: House) -> None:
    paper = await bring(house, "Secret.pdf", a_pdf(3), "restricted")
    plain = await bring(house, "Plain.png", a_png(), "members")
    for page in (1, 2, 3):
        assert (await fetch(house.lan, house.path(f"/papers/{paper}/1/pages/{page}")))[0] == 200
    headers = (await fetch(house.lan, house.path(f"/papers/{paper}/1/pages/1")))[2]
    assert headers["Cache-Control"] == "no-store"
    house.clock.at += 700
    await fetch(house.lan, house.path(f"/papers/{paper}/1/file"))
    await fetch(house.lan, house.path(f"/papers/{plain}/1/file"))
    reads = (await house.jonas.get(house.path(f"/papers/{paper}/reads")))["reads"]
    assert [(r["name"], r["version"]) for r in reads] == [("Lan Nguyen", 1), ("Lan Nguyen", 1)]
    assert reads[0]["at"] - reads[1]["at"] == 700
    assert (await house.jonas.get(house.path(f"/papers/{plain}/reads")))["reads"] == []


async def test_versions_stay_and_the_newest_one_counts(house: House) -> None:
    paper = await bring(house, "Budget.pdf", a_pdf(1))
    status, answer = await put(house.jonas, house.path(f"/papers/{paper}?name=Budget%202.pdf"), a_pdf(2))
    assert (status, answer) == (200, {"version": 2})
    await settled(house)
    (found,) = await listed(house, "binh")
    assert (found["name"], found["version"], [v["pages"] for v in found["versions"]]) == ("Budget 2.pdf", 2, [1, 2])
    for version in (1, 2):
        assert (await fetch(house.binh, house.path(f"/papers/{paper}/{version}/file")))[0] == 200
    assert [e["body"]["version"] for e in await house.events("PaperAdded")] == [1, 2]


async def test_pages_that_two_versions_share_have_the_same_hash(house: House) -> None:
    lines = [f"Line {number} of the report.\n" for number in range(180)]
    paper = await bring(house, "Report.txt", "".join(lines).encode())
    changed = [*lines[:70], "Another line.\n", *lines[71:]]
    await put(house.jonas, house.path(f"/papers/{paper}?name=Report.txt"), "".join(changed).encode())
    await settled(house)
    before, after = [await house.binh.get(house.path(f"/papers/{paper}/{version}/pages")) for version in (1, 2)]
    changed_pages = [n for n, one in enumerate(before["pages"]) if one != after["pages"][n]]
    assert (len(after["pages"]), changed_pages) == (len(before["pages"]), [1])
    assert after["words"] == after["pages"]
    body = (await fetch(house.binh, house.path(f"/papers/{paper}/2/pages/2")))[1]
    assert hashlib.sha256(body).hexdigest() == after["pages"][1]
    secret = await bring(house, "S.txt", b"Secret", "restricted")
    assert (await fetch(house.binh, house.path(f"/papers/{secret}/1/pages")))[0] == 404
    assert (await fetch(house.jonas, house.path(f"/papers/{secret}/1/pages")))[0] == 200  # control


async def test_another_class_takes_it_from_those_it_is_no_longer_for(house: House) -> None:
    paper = await bring(house, "Budget.png", a_png())
    change = {"item": "", "name": "Budget.png", "class": "restricted"}
    await house.jonas.post(house.path(f"/papers/{paper}"), change)
    assert await listed(house, "binh") == []
    assert (await fetch(house.binh, house.path(f"/papers/{paper}/1/file")))[0] == 404
    await house.jonas.post(house.path(f"/papers/{paper}"), {**change, "class": "members"})
    await house.jonas.post(house.path(f"/papers/{paper}"), {**change, "class": "open", "item": house.items[1]})
    await house.jonas.post(house.path(f"/papers/{paper}"), {**change, "class": "open", "name": "Other.png"})
    kinds = [one["type"] for one in await house.events() if one["type"].startswith("Paper")]
    assert kinds == ["PaperAdded", "PaperRemoved", "PaperAdded", "PaperChanged"]


async def test_papers_that_are_not_open_have_no_events(house: House) -> None:
    paper = await bring(house, "Secret.png", a_png(), "restricted")
    await bring(house, "Ours.png", a_png(), "members")
    await house.jonas.post(house.path(f"/papers/{paper}/remove"))
    assert [event for event in await house.events() if event["type"].startswith("Paper")] == []


async def test_a_removed_paper_is_gone_with_its_bytes_unless_it_was_shown(house: House) -> None:
    folder = house.settings.data / "papers"
    shown, hidden = await bring(house, "Shown.png", a_png(50, 50)), await bring(house, "Hidden.png", a_png(60, 60))
    await house.command("lan", "open")
    await house.lan.post(house.path("/present"), {"paper": shown, "version": 1, "page": 1})
    before = len(list(folder.iterdir()))
    for paper in (shown, hidden):
        await house.jonas.post(house.path(f"/papers/{paper}/remove"))
    assert await listed(house, "jonas") == []
    assert before - len(list(folder.iterdir())) == 2  # the file and the page of the one that was not shown
    assert (await fetch(house.binh, house.path(f"/papers/{hidden}/1/file")))[0] == 404
    assert (await fetch(house.binh, house.path(f"/papers/{shown}/1/file")))[0] == 200
    presented = [event["body"]["page"] for event in await house.events("PagePresented")]
    assert presented == [1, 0]
    assert (await house.binh.get(house.path("/papers")))["presenting"] is None


async def test_removing_one_of_two_equal_papers_keeps_the_bytes_of_the_other(house: House) -> None:
    one, other = await bring(house, "One.png", a_png()), await bring(house, "Other.png", a_png())
    await house.jonas.post(house.path(f"/papers/{one}/remove"))
    assert (await fetch(house.binh, house.path(f"/papers/{other}/1/file")))[:2] == (200, a_png())
    assert (await fetch(house.binh, house.path(f"/papers/{other}/1/pages/1")))[0] == 200


async def test_a_wall_shows_the_open_page_that_everybody_sees_and_no_other(house: House) -> None:
    url = str((await house.jonas.post(house.path("/screens"), {"site": "main"}))["url"])
    token = url.partition("#")[2]
    wall = house.stranger()

    async def page(token: str = token) -> tuple[int, str]:
        headers = {"Authorization": f"Screen {token}"}
        async with wall._http.get(f"{house.origin}/api/screen/page", headers=headers) as answer:
            return answer.status, answer.headers["Content-Type"].partition(";")[0]

    plain, members = await bring(house, "Open.png", a_png()), await bring(house, "Ours.png", a_png(), "members")
    assert await page() == (404, "application/json")
    await house.lan.post(house.path("/present"), {"paper": plain, "version": 1, "page": 1})
    assert await page() == (200, "image/webp")
    assert (await page("A" * len(token)))[0] == 401
    await house.jonas.post(house.path(f"/papers/{plain}"), {"class": "members", "item": "", "name": "Open.png"})
    assert (await page())[0] == 404  # shut while it is shown
    await house.lan.post(house.path("/present"), {"paper": members, "version": 1, "page": 1})
    assert (await page())[0] == 404


async def test_the_chair_and_who_has_the_floor_present_and_nobody_else(house: House) -> None:
    paper, secret = await bring(house, "A.pdf", a_pdf(2)), await bring(house, "S.pdf", a_pdf(2), "restricted")
    body = {"paper": paper, "version": 1, "page": 2}

    async def tries(name: str, wanted: dict[str, Any]) -> str:
        status, answer = await house.people[name].raw("POST", house.path("/present"), wanted)
        return "" if status == 200 else str(json.loads(answer)["error"]["code"])

    await house.command("lan", "open")
    assert await tries("binh", body) == "role.missing"
    assert await tries("jonas", body) == "role.missing"
    assert await tries("lan", body) == ""
    assert await tries("lan", {**body, "page": 3}) == "paper.no-such-page"
    assert await tries("lan", {**body, "paper": secret}) == "paper.restricted"
    assert await tries("lan", {**body, "version": 2}) == "paper.unknown"
    assert (await house.binh.get(house.path("/papers")))["presenting"] == {**body, "open": True}
    await house.command("lan", "grant-floor", member=house.binh.member)
    assert await tries("binh", {**body, "page": 1}) == ""
    assert await tries("binh", {"paper": secret, "version": 1, "page": 1}) == "paper.unknown"
    assert await tries("lan", {"paper": "", "version": 0, "page": 0}) == ""
    assert [e["body"]["page"] for e in await house.events("PagePresented")] == [2, 1, 0]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.pdf", a_png(), "paper.wrong-type"),
        ("a.png", a_pdf(), "paper.wrong-type"),
        ("a.docx", b"PK\x03\x04" + bytes(200), "paper.wrong-type"),
        ("a.txt", "Việt".encode("utf-16"), "paper.wrong-type"),
        ("a.txt", "Grüße".encode("latin-1"), "paper.wrong-type"),
        ("a.txt", b"with a \x00 byte", "paper.wrong-type"),
        ("a.txt", b"  \n", "paper.wrong-type"),
        ("a.pdf", b"%PD", "paper.wrong-type"),
        ("a.exe", b"MZ\x90\x00", "paper.wrong-type"),
        ("a.pdf", b"", "paper.empty"),
        ("%20", a_png(), "input.bad-text"),
    ],
)
async def test_what_is_no_paper_is_refused_and_leaves_nothing(
    house: House, name: str, content: bytes, code: str
) -> None:
    status, answer = await put(house.jonas, house.path(f"/papers?name={name}&class=open"), content)
    assert (400 <= status < 500, answer["error"]["code"]) == (True, code)
    assert await listed(house, "jonas") == []
    assert list((house.settings.data / "papers").iterdir()) == []


async def test_only_chair_and_secretary_bring_papers_and_are_asked_before_a_byte_is_read(house: House) -> None:
    path = house.path("/papers?name=a.png&class=open")
    for name in ("binh", "karin", "greta"):
        status, answer = await put(house.people[name], path, a_png())
        assert (status, answer["error"]["code"]) == (403, "role.missing")
    status, answer = await put(house.jonas, house.path("/papers?name=a.png&class=open&item=nothing"), a_png())
    assert (status, answer["error"]["code"]) == (404, "agenda.unknown-item")
    status, answer = await put(house.jonas, house.path("/papers?name=a.png&class=public"), a_png())
    assert (status, answer["error"]["code"]) == (400, "input.malformed")
    for more, code in (
        ({"Content-Type": "application/json"}, "input.not-octets"),
        ({"Content-Type": "text/plain"}, "input.not-octets"),
        ({"Origin": "https://evil.example"}, "origin.refused"),
    ):
        status, answer = await put(house.jonas, path, a_png(), **more)
        assert answer["error"]["code"] == code
    assert (await put(house.jonas, path, a_png()))[0] == 200  # control


def memory() -> int:
    """Resident memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("declared", [True, False])
async def test_500_mb_are_refused_early_and_cost_no_memory(house: House, declared: bool) -> None:
    size = 500 * 1024 * 1024
    sent = 0
    before = memory()

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b"%PDF-1.7\n"
        while sent < size:
            sent += 65_536
            yield bytes(65_536)

    headers = {"Origin": house.origin, "Content-Type": "application/octet-stream"}
    if declared:
        headers["Content-Length"] = str(size)
    path = house.origin + house.path("/papers?name=a.pdf&class=open")
    begun = time.monotonic()
    try:
        async with house.jonas._http.put(path, data=body(), headers=headers) as answer:
            code = (await answer.json())["error"]["code"]
            assert (answer.status, code) == (400, "paper.too-large")
    except aiohttp.ClientConnectionError:
        pass  # the server hung up while we were still sending, as it may
    assert sent < 100 * 1024 * 1024
    assert memory() - before < 64 * 1024 * 1024
    assert time.monotonic() - begun < 30
    assert list((house.settings.data / "papers").iterdir()) == []
    assert await listed(house, "jonas") == []


async def test_control_a_paper_of_the_greatest_size_is_taken(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    most = 20 * 1024 * 1024
    text = b"x" * 99 + b"\n"
    assert (await put(house.jonas, house.path("/papers?name=a.txt&class=open"), (text * (most // 100 + 1))[:most]))[
        0
    ] == 200
    status, answer = await put(house.jonas, house.path("/papers?name=a.txt&class=open"), bytes(most + 1))
    assert (status, answer["error"]["code"]) == (400, "paper.too-large")
    await settled(house)
    (found,) = await listed(house, "jonas")
    assert (found["state"], found["refusal"]) == ("refused", "paper.too-many-pages")
    assert await listed(house, "binh") == []
    monkeypatch.setattr("folkmoot_server.domain.papers.MEETING_SIZE_MAX", most)
    status, answer = await put(house.jonas, house.path("/papers?name=b.png&class=open"), a_png())
    assert (status, answer["error"]["code"]) == (429, "paper.no-room")
    monkeypatch.setattr("folkmoot_server.domain.papers.PAPERS_MAX", 1)
    status, answer = await put(house.jonas, house.path("/papers?name=b.png&class=open"), a_png())
    assert (status, answer["error"]["code"]) == (429, "paper.too-many")


async def test_a_stalled_upload_is_ended(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper_service, "PART_S", 0.2)
    done = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"%PDF-1.7\n"
        await done.wait()

    headers = {"Origin": house.origin, "Content-Type": "application/octet-stream"}
    path = house.origin + house.path("/papers?name=a.pdf&class=open")
    async with house.jonas._http.put(path, data=body(), headers=headers) as answer:
        assert (await answer.json())["error"]["code"] == "input.too-slow"
    done.set()
    assert list((house.settings.data / "papers").iterdir()) == []


async def test_what_a_crash_left_is_cleaned_and_what_waits_is_rendered_at_the_next_start(tmp_path: Path) -> None:
    content = a_png()
    async with serve(tmp_path) as house:
        await house.enrol("lan", "jonas")
        await house.confirm()
        await house.draft()
        await bring(house, "A.png", content)
        folder = tmp_path / "papers"
        kept = {path.name for path in folder.iterdir()}
        session = SessionInfo(b"", house.jonas.member, "", 0, 0)
        arrived = commands.Arrived(hashlib.sha256(content).hexdigest(), len(content), commands.Type.PNG)
        wanted = commands.Paper("", house.meeting, "", "B.png", commands.PaperClass.OPEN, 1)
        # As after a crash between the row and its pages: nobody was told to render it.
        await house.context.database.write(
            lambda tx: commands.bring(
                tx, house.meeting, session, wanted, arrived, now=house.context.now(), rng=house.context.rng
            )
        )
        assert [paper["state"] for paper in await listed(house, "jonas")] == ["ready", "rendering"]
        meeting = house.meeting
    for name in ("incoming-x", "0" * 64, "notes.txt"):
        (folder / name).write_bytes(b"left over")
    async with serve(tmp_path) as again:
        async with asyncio.timeout(60):
            while await again.context.database.read(papers.rendering):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert {path.name for path in folder.iterdir()} == kept | {"notes.txt"}
        found = await again.context.database.read(
            lambda tx: papers.versions(tx, [paper.id for paper in papers.of_meeting(tx, meeting)])
        )
        assert [version.state for versions in found.values() for version in versions] == ["ready", "ready"]


def test_control_without_the_sweep_the_left_over_file_stays(tmp_path: Path) -> None:
    files = PaperFiles(tmp_path)
    incoming = files.incoming()
    incoming.write(b"half")
    (kept,) = files.put([b"whole"])
    assert len(list(files.folder.iterdir())) == 2
    assert files.sweep(lambda: {kept}) == 1
    assert [path.name for path in files.folder.iterdir()] == [kept]
    assert files.sweep(set) == 1
