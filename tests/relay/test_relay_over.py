"""What a relay forgets when its meeting is over: everything of its members, and not before the hub has it."""

import json
from pathlib import Path

import pytest
from tests.relay.rig import Rig, rig, until
from tests.relay.test_relay_papers import bring

pytestmark = pytest.mark.timeout(400)  # processes, passkeys and a cut of eight seconds, on a slow machine
MEETING = ("blob", "entry", "event", "kept", "leaf", "nonce", "point", "promise")


def personal(made: Rig) -> set[str]:
    """Names, ids and passkeys of the members that the relay knows now."""
    listed = json.loads(made.relay.rows("SELECT text FROM value WHERE name = 'part.members'")[0][0])
    found = {text for one in listed for text in (one["name"], one["member"])}
    return found | {passkey["key"] for one in listed for passkey in one["passkeys"]}


def found(made: Rig, wanted: set[str]) -> set[str]:
    """Which of these texts stand somewhere in the bytes of the relay's files."""
    files = [path.read_bytes() for path in made.relay.data.rglob("*") if path.is_file()]
    return {text for text in wanted if any(text.encode() in data for data in files)}


def kept(made: Rig) -> list[str]:
    """Which tables of the meeting's memory hold a row."""
    counts = made.relay.rows(
        "SELECT (SELECT count(*) FROM blob), (SELECT count(*) FROM entry), (SELECT count(*) FROM event),"
        " (SELECT count(*) FROM kept), (SELECT count(*) FROM leaf), (SELECT count(*) FROM nonce),"
        " (SELECT count(*) FROM point),"
        " (SELECT count(*) FROM promise)"
    )[0]
    return [name for name, count in zip(MEETING, counts, strict=True) if count]


async def until_forgotten(made: Rig) -> None:
    async def forgotten() -> bool:
        return bool(made.relay.rows("SELECT 1 FROM value WHERE name = 'over'"))

    await until(forgotten, "the relay's forgetting")


async def test_a_relay_forgets_when_all_is_over_and_not_before(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        binh, greta = made.phones["binh"], made.phones["greta"]
        await bring(made, "agenda.txt", b"What is to be decided")
        for phone in (binh, greta):
            await phone.get(made.path())
        after = (await binh.get(made.path()))["seq"]
        await binh.follow(made.hall.meeting, after)
        wanted = personal(made)
        assert wanted >= {binh.person.name, greta.member}
        assert found(made, wanted) == wanted

        # Closed while the hall is cut off, with something in its outbox: nothing is forgotten.
        made.link.drop()
        await made.until_cut(binh)
        await greta.post(made.path("/commands"), {"command": "raise-hand"}, 202)
        await made.hall.chair.post(made.path("/commands"), {"command": "close"})
        await made.relay.kill()
        made.relay.change("CREATE TRIGGER stop BEFORE DELETE ON entry BEGIN SELECT raise(ABORT, 'stopped'); END")
        await made.relay.start()
        made.link.restore()
        await made.until_linked(binh, "/api/info")
        await made.until_delivered(1)

        async def tried() -> bool:
            return "relay.end" in made.relay.log

        # Deleting that fails half way has deleted nothing; nor has a crash then.
        await until(tried, "deleting that fails")
        assert [entry["kind"] for entry in made.relay.entries() if entry["kind"] != "here"] == ["hand"]
        assert not made.relay.rows("SELECT 1 FROM value WHERE name = 'over'")
        delivered = len(made.relay.entries())
        await made.relay.kill()
        made.relay.change("DROP TRIGGER stop")
        await made.relay.start()
        await until_forgotten(made)
        assert kept(made) == []
        assert await made.upto() == delivered

        # What was deleted is not in the files any more; sessions are, until they end.
        await made.relay.kill()
        made.relay.change("DELETE FROM session")
        await made.relay.start()

        async def gone() -> bool:
            return found(made, wanted) == set()

        await until(gone, "the end of every trace")
        await _goes_on(made)


async def _goes_on(made: Rig) -> None:
    """Pages are passed on as before, and nothing of them is kept."""
    binh = made.phones["binh"]
    await made.until_linked(binh)
    assert (await binh.get("/api/session"))["member"]["id"] == binh.member
    assert (await binh.get(made.path()))["state"] == "closed"
    assert (await binh.get(made.path("/papers")))["papers"] != []
    assert kept(made) == []
    made.link.drop()
    await made.until_cut(binh)
    assert await binh.refused(made.path("/commands"), {"command": "raise-hand"}) == (503, "relay.cut")
    assert made.relay.papers() == {}
