"""The line test of a hall with a relay: its media loop goes through the relay's own worker, cut off or not."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from tests.relay.rig import Phone, rig, until
from tests.relay.small import small_node

from folkmoot_server.domain.errors import Forbidden
from folkmoot_server.relay import store
from folkmoot_server.relay.line import HallLine
from folkmoot_server.relay.people import HallSession
from folkmoot_server.relay.sockets import Sockets

pytestmark = pytest.mark.timeout(400)  # processes and passkeys, on a slow machine


def candidates(transport: dict[str, Any]) -> set[tuple[str, int]]:
    return {(one["ip"], one["port"]) for one in transport["iceCandidates"]}


async def transport_of(phone: Phone, path: str) -> dict[str, Any]:
    """Begin a loop, once the relay's media work, and open its way out."""

    async def begin() -> dict[str, Any] | None:
        status, answer, _ = await phone.ask("POST", path, {})
        assert status == 200 or answer["error"]["code"] == "relay.no-media", answer
        return answer if status == 200 else None

    begun = await until(begin, "the relay's media")
    way = {"side": "out", "method": "create_transport", "data": {"direction": "send"}}
    return await phone.post(f"{path}/{begun['loop']}/media", way)


async def test_the_loop_of_a_hall_is_its_relays_for_its_custodian(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        binh, greta = made.phones["binh"], made.phones["greta"]
        path = made.path(f"/sites/{made.site}/loop")
        assert await greta.refused(path, {}) == (403, "site.not-custodian")
        assert await binh.refused(made.path("/sites/main/loop"), {}) == (403, "site.not-custodian")
        here = await transport_of(binh, path)
        # The control: this hub has no media worker, so that nothing of it can answer.
        hub = binh.person
        begun = await hub.post(path)
        asked = {"side": "out", "method": "capabilities", "data": {}}
        status, body = await hub.raw("POST", f"{path}/{begun['loop']}/media", asked)
        assert status == 409, body
        made.link.drop()
        await made.until_cut(binh)
        assert candidates(await transport_of(binh, path)) == candidates(here)
        loop = (await binh.post(path))["loop"]
        await binh.post(f"{path}/{loop}/end")
        assert await binh.refused(f"{path}/{loop}/media", asked) == (409, "site.no-loop")


@pytest.mark.parametrize("scheme", ["Kiosk", "kiosk", "KIOSK"])
async def test_who_acts_at_the_kiosk_is_not_taken_for_the_custodian(scheme: str, tmp_path: Path) -> None:
    async with small_node(tmp_path) as node:
        state = {"seq": 1, "sites": [{"site": "hall", "custodian": "binh"}]}
        await node.database.write(lambda tx: store.set_state(tx, state))
        sockets = Sockets(node)
        sockets.media = object()  # type: ignore[assignment]

        async def custodian(_request: web.Request) -> HallSession:
            return HallSession(bytes(32), "binh", {}, 0, 0, local=False, follows=True)

        line, place = HallLine(node, sockets, custodian), {"m": "m", "s": "hall"}
        cookie = {"Cookie": "folkmoot=the custodian's"}
        kiosk = make_mocked_request(
            "POST", "/", headers={**cookie, "Authorization": f"{scheme} dG9rZW4"}, match_info=place
        )
        with pytest.raises(Forbidden) as refused:
            await line._allowed(kiosk)
        assert refused.value.code == "kiosk.not-allowed"
        # Control: the same without that header is the custodian's.
        assert (await line._allowed(make_mocked_request("POST", "/", headers=cookie, match_info=place)))[1] == "binh"
        await line.close()
