"""Fixtures of the browser tests: one Chromium and one event loop for each run."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Playwright, async_playwright
from tests.browser import serving, support

_HERE = Path(__file__).parent
_FAILURES = support.ROOT / "test-results" / "failures"
WHOLE_MEETING_S = 420
"""A meeting of seven browsers takes under a minute on a quiet machine and minutes on a busy one."""
_FAILED = pytest.StashKey[bool]()

_Report = Generator[None, pytest.TestReport, pytest.TestReport]
NewPerson = Callable[..., Awaitable[support.Person]]


# Guests, the harness, sign-in, a hall that is cut off and a whole meeting show what depends on the origin: passkeys,
# cookies, headers, the room. Everything else is held once in whole runs.
_NAMES = (
    *("booth", "ceremony", "conduct", "floor", "keyboard_meeting", "ladder", "large_room", "motions", "papers"),
    *("right_to_left", "screens", "support_report", "survival"),
    "hall_media",
    "line_test",
    "offline",
    "relay_alerts",
    "sites",
)
_ONE_ORIGIN = frozenset(f"test_{name}" for name in _NAMES)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, and run them on the session's loop, where the browser lives."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(WHOLE_MEETING_S))
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            if item.path.stem in _ONE_ORIGIN:
                item.add_marker(pytest.mark.one_origin)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember a failure, so that the people's fixture can take a last picture."""
    report = yield
    if call.when == "call" and report.failed:
        item.stash[_FAILED] = True
    return report


@pytest.fixture(scope="session")
def origin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> serving.Origin:
    """The origin chosen by ``--origin``; https makes a certificate authority for this run."""
    if request.config.getoption("--origin") == "http":
        return serving.Origin("http")
    return serving.Origin("https", serving.Authority.make(tmp_path_factory.mktemp("authority"), (serving.HALL_HOST,)))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    """Playwright's driver."""
    async with async_playwright() as driver:
        yield driver


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(
    playwright: Playwright, origin: serving.Origin, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Browser]:
    """The run's one Chromium; tests take contexts from it through ``new_person``."""
    chromium = await support.launch_browser(playwright, origin, tmp_path_factory.mktemp("home"))
    yield chromium
    await chromium.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_server(
    origin: serving.Origin, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[serving.Server]:
    """One demonstration server for tests that leave no trace others would trip over."""
    server = serving.Server(origin, tmp_path_factory.mktemp("shared"))
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def demo_server(origin: serving.Origin, tmp_path: Path) -> AsyncIterator[serving.Server]:
    """A demonstration server of this test's own, with empty data."""
    server = serving.Server(origin, tmp_path)
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def new_person(request: pytest.FixtureRequest, browser: Browser) -> AsyncIterator[NewPerson]:
    """Make people (see ``support.new_person``, without its first argument); they leave with the test.

    When the test failed, each person's page is pictured in ``test-results/failures`` first.
    """
    people: list[support.Person] = []

    async def make(base_url: str, name: str = "someone", **options: Any) -> support.Person:
        person = await support.new_person(browser, base_url, name, **options)
        people.append(person)
        return person

    yield make
    failed = request.node.stash.get(_FAILED, False)
    for number, person in enumerate(people):
        if failed and not person.page.is_closed():
            _FAILURES.mkdir(parents=True, exist_ok=True)
            label = re.sub(r"[^\w.-]+", "-", f"{request.node.name}-{number}-{person.name}")
            await person.page.screenshot(path=_FAILURES / f"{label}.png")
            (_FAILURES / f"{label}.txt").write_text("\n".join([person.page.url, *person.complaints]) + "\n")
        await person.close()
