"""The wall of a hall behind a relay: the hub's view while linked, and in a cut what it showed last."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete
from tests.relay.rig import Phone, Rig, rig, until
from tests.relay.test_relay_papers import bring

from folkmoot_server.demo.client import Person
from folkmoot_server.storage.schema_sites import room_screen

pytestmark = pytest.mark.timeout(400)  # processes and passkeys, on a slow machine
CUT = "Folkmoot-Cut"
PAPERS = ("mill", "river")


class Wall:
    """A browser that is signed in as nobody, with the address of a room screen."""

    def __init__(self, made: Rig, token: str) -> None:
        self.made, self.token = made, token
        self.browser = Phone(made.origin, Person(made.origin, "wall"))

    async def ask(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        headers = {"Authorization": f"Screen {self.token}"}
        async with self.browser._http.get(self.made.origin + path, headers=headers) as answer:
            return answer.status, await answer.read(), dict(answer.headers)

    async def view(self, after: int = 0) -> tuple[dict[str, Any], dict[str, str]]:
        status, data, headers = await self.ask(f"/api/screen?after={after}")
        assert status == 200, (status, data)
        return json.loads(data), headers


async def token_of(made: Rig) -> str:
    made_for = await made.hall.chair.post(made.path("/screens"), {"site": made.site})
    return str(made_for["url"]).partition("#")[2]


async def shows(wall: Wall, paper: str) -> dict[str, Any]:
    """Present a paper and wait until the wall shows it; return the view."""
    made = wall.made
    await made.hall.chair.post(made.path("/present"), {"paper": paper, "version": 1, "page": 1})

    async def shown() -> dict[str, Any] | None:
        view = (await wall.view())[0]
        return view if (view["presented"] or {}).get("paper") == paper else None

    return dict(await until(shown, "the paper on the wall"))


async def test_a_wall_stays_in_a_cut_and_follows_again_after_it(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        wall, binh = Wall(made, await token_of(made)), made.phones["binh"]
        other = Wall(made, await token_of(made))  # it has not been opened before the cut
        try:
            mill, river = [(await bring(made, f"{name}.txt", name.encode(), "open"))["paper"] for name in PAPERS]
            before = await shows(wall, mill)
            status, page, _ = await wall.ask("/api/screen/page")
            assert (status, CUT in (await wall.view())[1]) == (200, False)

            made.link.drop()
            await made.until_cut(binh)
            view, headers = await wall.view()
            assert int(headers[CUT]) > 0
            assert view.pop("now") >= before.pop("now")
            assert view == {**before, "seq": view["seq"]}
            assert (await wall.ask("/api/screen/page"))[:2] == (200, page)
            status, data, _ = await other.ask("/api/screen")
            assert (status, json.loads(data)["error"]["code"]) == (503, "relay.cut")
            waiting = asyncio.create_task(wall.view(view["seq"]))
            await asyncio.sleep(1)
            assert not waiting.done()

            made.link.restore()
            await waiting
            await made.until_linked(binh)
            assert CUT not in (await wall.view())[1]
            await shows(wall, river)

            made.link.drop()
            await made.until_cut(binh)
            assert (await wall.view())[0]["presented"]["paper"] == river
            assert (await wall.ask("/api/screen/page"))[0] == 503, "the page before is not shown for this one"
        finally:
            await wall.browser.close()
            await other.browser.close()


async def test_what_the_hub_refuses_a_wall_is_not_kept(tmp_path: Path) -> None:
    kept = "SELECT path FROM kept WHERE member LIKE 'screen %'"
    async with rig(tmp_path) as made:
        wall = Wall(made, await token_of(made))
        try:
            await wall.view()
            assert made.relay.rows(kept) == [("/api/screen",)]
            # As a hub that was put back from a backup of before the screen was made.
            await made.hall.database.write(lambda tx: tx.execute(delete(room_screen)))
            assert (await wall.ask("/api/screen"))[0] == 401
            assert made.relay.rows(kept) == []
        finally:
            await wall.browser.close()
