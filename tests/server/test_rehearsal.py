"""Rehearsals, the challenge period, and that neither hides an exception."""

from __future__ import annotations

from pathlib import Path

from tests.server import votes_support as support
from tests.server.common import refusal
from tests.server.votes_support import OFFICERS, OTHERS, Hall, refused

from folkmoot_server.commands.organisation import NewPerson
from folkmoot_server.demo import votes

DAY = 86_400


async def rehearse(hall: Hall) -> dict[str, object]:
    """Draft a rehearsal of the hall's meeting, go there, and return its snapshot."""
    hall.meeting = (await hall.secretary.post(hall.path("/rehearsal")))["id"]
    return await hall.view(hall.secretary)


async def test_a_rehearsal_is_marked_and_has_one_practice_question(hall: Hall) -> None:
    await support.convene(hall)
    original = await hall.view(hall.secretary)
    assert (original["rehearsal"], original["challenge_s"]) == (False, 30 * DAY)
    assert await refused(hall, hall.plain, hall.path("/rehearsal"), {}) == (403, "role.missing")
    assert await refused(hall, hall.secretary, hall.path("/rehearsal"), {"rehearsal": True}) == (
        400,
        "input.malformed",
    )
    made = await rehearse(hall)
    assert made["title"] == "Rehearsal: Annual general meeting"
    assert (made["rehearsal"], made["challenge_s"], made["state"]) == (True, 0, "draft")
    assert (made["unit"], made["time_zone"]) == (original["unit"], original["time_zone"])
    assert isinstance(made["agenda"], list)
    assert isinstance(made["elections"], list)
    assert [item["title"] for item in made["agenda"]] == ["Practice vote"]
    election = made["elections"][0]
    assert (len(made["elections"]), election["state"], election["secrecy"]) == (1, "draft", "trustees")
    answer = await refused(hall, hall.secretary, hall.path("/rehearsal"), {})
    assert answer == (409, "meeting.is-rehearsal")


async def test_a_long_title_still_fits(hall: Hall) -> None:
    await support.convene(hall)
    unit = (await hall.view(hall.chair))["unit"]
    body = {
        "title": "ễ" * 66,
        "unit": unit,
        "starts_at": hall.clock(),
        "time_zone": "Europe/Berlin",
        "agenda": [{"title": "One"}],
        "quorum": {"num": 1, "den": 2},
        "challenge_days": 0,
    }
    hall.meeting = (await hall.chair.post("/api/meetings", body))["id"]
    assert (await hall.view(hall.chair))["challenge_s"] == 0
    title = str((await rehearse(hall))["title"])
    assert title.startswith("Rehearsal: ễ")
    assert len(title.encode()) <= 200
    for wrong in ({"challenge_days": 366}, {"challenge_days": -1}, {"rehearsal": True}):
        assert await refusal(hall.chair, "/api/meetings", {**body, **wrong}) == (400, "input.malformed")


async def test_a_rehearsals_roll_hides_no_exception(hall: Hall) -> None:
    await support.convene(hall)
    original = hall.meeting
    await rehearse(hall)
    await votes.freeze_roll(hall.secretary, hall.meeting)
    hall.meeting = original
    assert len((await hall.secretary.post(hall.path("/roll/prepare")))["exceptions"]) == len(hall.people)
    await votes.freeze_roll(hall.secretary, hall.meeting)
    await support.convene(hall)
    # The control: after a real meeting's roll the same passkeys are exceptions no more.
    assert (await hall.secretary.post(hall.path("/roll/prepare")))["exceptions"] == []


async def test_observers_cosign_and_hold_no_share(tmp_path: Path) -> None:
    observers = [NewPerson(name, None, ("observer",)) for name in ("Olga Lima", "Omar Said", "Otto Roth")]
    async with support.enrolled(tmp_path, [*OFFICERS, *OTHERS, *observers]) as hall:
        await support.convene(hall)
        await votes.freeze_roll(hall.secretary, hall.meeting)
        await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
        view = await hall.view(hall.chair)
        names = [one["name"] for one in view["cosigners"]]
        assert names == ["chair", "observer-1", "observer-2", "secretary", "teller-1", "teller-2", "teller-3"]
        assert len({one["member"] for one in view["cosigners"]}) == 7
        assert len(view["key"]["trustees"]) == 3
        assigned = {one["member"]: one["name"] for one in view["cosigners"] if "observer" in one["name"]}
        watching = [person for person in hall.people if person.member in assigned]
        for person in watching:
            me = (await hall.view(person))["me"]
            assert (me["cosigner"], me["trustee"]) == (assigned[person.member], 0)
            await votes.name_cosigner(person, hall.meeting)
        ready = {one["name"] for one in (await hall.view(hall.chair))["cosigners"] if one["ready"]}
        assert ready == {"observer-1", "observer-2"}
