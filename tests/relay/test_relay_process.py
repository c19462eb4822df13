"""The relay in a process of its own: it passes on, goes on alone, survives a power cut, brings everything home."""

from pathlib import Path

import pytest
from tests.relay.rig import Phone, independent_chain, open_vote, receipt_of, rig, until
from tests.server.votes_support import NO, YES

from folkmoot_server.relay.sync import HERE_EVERY_S
from folkmoot_voting import signing

pytestmark = pytest.mark.timeout(400)  # processes, passkeys and a cut of eight seconds, on a slow machine


async def test_what_a_hall_does_in_a_cut_reaches_the_hub_once_although_the_relay_is_killed(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        manifest = await open_vote(made)
        binh, greta, mai, otto = (made.phones[name] for name in ("binh", "greta", "mai", "otto"))
        linked = await binh.post(made.vote("/ballots"), {"ballot": binh.ballot(manifest, YES)})
        assert linked["promise"]["manifest"]

        made.link.drop()
        await made.until_cut(greta)
        raised = await mai.post(made.path("/commands"), {"command": "raise-hand"}, 202)
        await otto.sign_in()
        arrived = await otto.check_in(made.hall.meeting, 202)
        ballot = {"ballot": greta.ballot(manifest, NO)}
        cast = await greta.post(made.vote("/ballots"), ballot, 202)
        before = made.relay.entries()
        assert [entry["kind"] for entry in before if entry["kind"] != "here"] == ["hand", "check-in", "ballot"]
        for answer in (raised, arrived, cast):
            receipt_of(answer, before)

        await made.relay.kill()
        await made.relay.start()
        assert made.relay.entries() == before
        assert await greta.post(made.vote("/ballots"), ballot, 202) == cast

        made.link.restore()
        await made.until_linked(greta)
        await made.until_delivered(len(before))
        entries = made.relay.entries()
        independent_chain(entries, signing.public_key((made.relay.data / "relay.key").read_bytes()))
        assert made.relay.refused() == {}
        present = {one["member"]: one for one in (await made.hall.view(made.hall.chair))["present"]}
        assert present[otto.member]["site"] == made.site
        assert present[mai.member]["hand"] is not None
        assert [one["cast"] for one in (await made.hall.view(made.hall.chair))["elections"]] == [2]
        again = await greta.post(made.vote("/ballots"), ballot)
        assert again["promise"]["manifest"] == linked["promise"]["manifest"]
        assert [one["cast"] for one in (await made.hall.view(made.hall.chair))["elections"]] == [2]


async def test_after_a_start_in_a_cut_phones_that_come_later_are_recorded_without_a_minute_s_gap(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path) as made:
        binh, greta = made.phones["binh"], made.phones["greta"]
        after = (await binh.get(made.path()))["seq"]

        async def come(phone: Phone) -> None:
            line = await phone.follow(made.hall.meeting, after)
            assert "ok" in await line.call("lease", {})

        for phone in (binh, greta):
            await come(phone)
        made.link.drop()
        await made.until_cut(binh)
        await made.relay.kill()
        known = len(made.relay.entries())
        await made.relay.start()

        def recorded() -> list[tuple[int, list[str]]]:
            here = [entry for entry in made.relay.entries()[known:] if entry["kind"] == "here"]
            return [(entry["at"], entry["body"]["members"]) for entry in here]

        async def first() -> bool:
            return len(recorded()) == 1

        async def second() -> bool:
            return len(recorded()) == 2

        await come(binh)
        await until(first, "the first phone's record")
        await come(greta)
        await until(second, "a record with both phones")
        (one, alone), (two, both) = recorded()
        assert alone == [binh.member]
        assert both == sorted([binh.member, greta.member])
        assert two - one < HERE_EVERY_S
