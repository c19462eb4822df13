"""The demonstration's meeting: something to see on every screen, and a paper whose pages can be made."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from sqlalchemy import Connection
from tests.browser.serving import free_port

from folkmoot_config.settings import Settings
from folkmoot_server import app
from folkmoot_server.demo import seed
from folkmoot_server.domain.motions import MotionState
from folkmoot_server.domain.papers import Type
from folkmoot_server.storage import elections, meetings, motions, papers, speaking, units
from folkmoot_server.storage.database import Database
from folkmoot_server.storage.paper_files import PaperFiles
from folkmoot_server.web.paper_renderer import RefusedPaperError, render

NOW = 1_800_000_000


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    port = free_port()
    return Settings(data=tmp_path / "data", port=port, public_url=f"http://localhost:{port}")


async def seeded(settings: Settings) -> Database:
    database = app.open_database(settings)
    files = PaperFiles(settings.data)
    await database.write(lambda tx: seed.seed_demo(tx, now=NOW, rng=secrets.token_bytes, files=files))
    return database


def the_meeting(tx: Connection) -> str:
    return next(one.id for one in meetings.in_units(tx, [unit.id for unit in units.everything(tx)]))


async def test_every_screen_has_something_to_show(settings: Settings) -> None:
    database = await seeded(settings)
    try:
        meeting = await database.read(the_meeting)
        items = {item.title: item for item in await database.read(lambda tx: meetings.items(tx, meeting))}
        assert [title for title, item in items.items() if not item.parent and not item.internal] == list(seed.AGENDA)
        assert {item.parent for item in items.values()} == {"", items[seed.REPORT].id}
        assert all(item.minutes for item in items.values())
        assert [item.title for item in items.values() if item.internal] == [seed.INTERNAL.title]
        base, change = await database.read(lambda tx: motions.of_meeting(tx, meeting))
        assert (base.number, change.number, change.base) == ("M1", "M1-A1", base.id)
        assert {base.state, change.state} == {MotionState.SUBMITTED}
        assert (await database.read(lambda tx: speaking.rules(tx, meeting))) == seed.SPEAKING
        assert len(await database.read(lambda tx: elections.of_meeting(tx, meeting))) == 2
        assert (await database.read(lambda tx: meetings.get(tx, meeting))).notice_days == seed.NOTICE_DAYS
        await database.write(lambda tx: seed.seed_demo(tx, now=NOW, rng=secrets.token_bytes))
        assert await database.read(the_meeting) == meeting
    finally:
        database.close()


async def test_the_paper_becomes_one_page(settings: Settings) -> None:
    database = await seeded(settings)
    try:
        ((_, version),) = await database.read(papers.rendering)
    finally:
        database.close()
    path = PaperFiles(settings.data).path(version.sha256)
    assert version.type is Type.PDF
    assert len(await render(path, version.type)) == 1
    # Control: the beginning alone has no page.
    broken = path.with_name("broken")
    broken.write_bytes(path.read_bytes()[:40])
    with pytest.raises(RefusedPaperError):
        await render(broken, version.type)


def test_text_with_brackets_stays_text() -> None:
    made = seed.pdf(("A", r"Sum (in \ thousands)"))
    assert rb"(Sum \(in \\ thousands\)) Tj" in made
    start = int(made.split(b"startxref\n")[1].split()[0])
    assert made[start : start + 4] == b"xref"
