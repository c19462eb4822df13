"""What a hostile member, second chair, visitor or passer-by would try on the conduct of a meeting."""

from __future__ import annotations

import asyncio
import ctypes
import json
import subprocess
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
import pytest
from tests.server.common import refusal
from tests.server.support import House, at_check_in
from tests.server.test_paper_rendering import confined
from tests.server.test_papers import a_png, bring

from folkmoot_server.commands import attendance as attendance_commands
from folkmoot_server.commands import presiding, visitors
from folkmoot_server.demo.client import Person
from folkmoot_server.domain.motions import AMENDMENTS_MAX, OWN_MAX, MotionState, Span, collisions, drafted
from folkmoot_server.queries import attendance
from folkmoot_server.storage import events as event_store
from folkmoot_server.web.limits import ENTRIES_MAX, WINDOW_S
from folkmoot_voting import challenges

SECRET: Final = "Zyxwv"
ASKING: Final = {"secrecy": "open", "majority": {"kind": "simple", "of": "cast"}, "tie": "rejected"}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A meeting that Lan presides over; Ana is another chair."""
    async with at_check_in(tmp_path) as running:
        await running.second_chair("ana")
        await running.check_in("lan", "ana", "paul", "binh")
        await running.command("lan", "open")
        yield running


async def guest_of(house: House, act: str = "admit") -> Person:
    link = await house.jonas.post(house.path("/guest-links"), {"name": "Press"})
    guest = house.stranger("Gwen")
    token = str(link["url"]).split("#")[1]
    guest.session = await guest.post("/api/guests/enter", {"token": token, "name": "Gwen"})
    if act:
        await house.lan.post(house.path(f"/lobby/{guest.member}"), {"act": act})
    return guest


async def write(house: House, name: str, title: str = "Roof", text: str = "Mend it.", item: int = 0) -> str:
    body = {"item": house.items[item], "title": title, "text": text}
    return str((await house.people[name].post(house.path("/motions"), body))["motion"])


async def act(house: House, name: str, motion: str, verb: str) -> str:
    return (await refusal(house.people[name], house.path(f"/motions/{motion}/act"), {"act": verb}))[1]


async def signed_by(person: Person, action: dict[str, Any], **fields: Any) -> dict[str, Any]:
    signed = await person.signed("action", lambda nonce: challenges.action(action, nonce))
    return {"action": action, "signed": signed, **fields}


# Everything that only who presides may do: path, body and, of a signed action, its type and fields.
PLAIN: Final[tuple[dict[str, Any], ...]] = (
    {"command": "open"},
    {"command": "recess", "until": 0},
    {"command": "resume"},
    {"command": "adjourn", "continues_at": 0},
    {"command": "close"},
    {"command": "start-item", "item": "x"},
    {"command": "defer-item", "item": "x"},
    {"command": "set-floor-mode", "mode": "chaired"},
    {"command": "mute-all"},
    {"command": "next-speaker"},
    {"command": "pause-turn"},
    {"command": "resume-turn"},
    {"command": "extend-turn", "seconds": 60},
    {"command": "close-queue"},
    {"command": "open-queue"},
    *({"command": name, "member": "x"} for name in ("grant-floor", "withdraw-floor", "mute", "remove", "readmit")),
    {"command": "unmute", "member": "x"},
)
CHAIRS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    *(("/commands", body) for body in PLAIN),
    ("/speaking", {"turn_s": 60, "group_s": 0, "order_s": 0}),
    ("/message-rules", {"chat": False, "questions": False, "visitors": False}),
    ("/lobby/x", {"act": "admit"}),
    ("/lobby/x", {"act": "refuse"}),
    ("/lobby/x", {"act": "remove"}),
    ("/present", {"paper": "", "version": 0, "page": 0}),
    ("/motions/{motion}/act", {"act": "admit"}),
    ("/motions/{motion}/act", {"act": "refer"}),
    ("/elections/x/timer", {"ends_at": 0, "reason": ""}),
)
SIGNED: Final[tuple[tuple[str, dict[str, Any], dict[str, Any]], ...]] = (
    ("/handover", {"type": "hand-over", "to": ""}, {"to": ""}),
    ("/elections/x/abort", {"type": "abort-election", "election": "x", "reason": "r"}, {"reason": "r"}),
    ("/elections/x/open", {"type": "open-election", "election": "x", "repeats": []}, {}),
    ("/elections/x/close", {"type": "close-election", "election": "x"}, {}),
    ("/keygen/restart", {"type": "restart-key", "attempt": 1}, {"reason": "r"}),
)


async def test_what_the_chair_may_do_nobody_else_may(house: House) -> None:
    """Every command of the chair, by everybody who is not presiding."""
    guest, motion = await guest_of(house), await write(house, "paul")
    assert await act(house, "paul", motion, "submit") == "accepted"
    expected = {
        "binh": (403, "role.missing"),
        "jonas": (403, "role.missing"),
        "karin": (403, "role.missing"),
        "ana": (403, "chair.not-presiding"),
        "gwen": (403, "guest.not-allowed"),
        "nobody": (401, "session.none"),
    }
    people = {**house.people, "gwen": guest, "nobody": house.stranger()}
    before = (await house.events())[-1]["seq"]
    for name, answer in expected.items():
        for path, body in CHAIRS:
            wanted = answer
            if name == "gwen" and path == "/present":  # guests present while they have the floor
                wanted = (403, "role.missing")
            place = house.path(path.format(motion=motion))
            assert await refusal(people[name], place, body) == wanted, (name, path, body)
        for path, fields, extra in SIGNED:
            action = {**fields, "meeting": house.meeting}
            signer = house.binh if name in ("gwen", "nobody") else people[name]
            body = await signed_by(signer, action, **extra)
            assert await refusal(people[name], house.path(path), body) == answer, (name, path)
    assert (await house.events())[-1]["seq"] == before
    house.people["gwen"] = guest


async def test_control_the_presiding_chair_is_not_refused_for_the_role(house: House) -> None:
    motion = await write(house, "paul")
    await act(house, "paul", motion, "submit")
    for path, body in CHAIRS:
        if body.get("command") in ("close", "adjourn", "recess"):
            continue
        code = (await refusal(house.lan, house.path(path.format(motion=motion)), body))[1]
        assert code not in ("role.missing", "chair.not-presiding"), (path, body)
    for path, fields, extra in SIGNED:
        body = await signed_by(house.lan, {**fields, "meeting": house.meeting}, **extra)
        code = (await refusal(house.lan, house.path(path), body))[1]
        assert code not in ("role.missing", "chair.not-presiding"), path


async def test_who_may_not_read_a_meeting_finds_none_whatever_is_asked(house: House) -> None:
    units = (await house.jonas.get("/api/organisation"))["units"]
    upper = next(unit["id"] for unit in units if unit["name"] == "Upper village")
    await house.draft(unit=upper)
    for path, body in (*CHAIRS, ("/commands", {"command": "raise-hand"}), ("/lobby", {})):
        answer = await refusal(house.greta, house.path(path.format(motion="x")), body)
        assert answer == (404, "meeting.unknown"), (path, body)
    for path in ("", "/events?after=0", "/papers", "/messages", "/meeting.ics", "/minutes", "/notices", "/lobby"):
        assert await refusal(house.greta, house.path(path), method="GET") == (404, "meeting.unknown"), path


async def test_nothing_of_another_meeting_is_reached_by_its_id(house: House) -> None:
    """Ids of one meeting in the addresses and bodies of another, by who holds every office in both."""
    mine, item = house.meeting, house.items[0]
    motion = await write(house, "lan")
    await act(house, "lan", motion, "submit")
    paper = await bring(house, "A.png", a_png())
    guest = await guest_of(house)
    await house.lan.post(house.path("/messages"), {"kind": "question", "text": "Why?", "to": 0})
    draft = {"item": item, "title": "t", "text": "x"}
    change = {"version": 1, "title": "t", "minutes": 0, "internal": False}
    place = {"base_hash": "A" * 43, "from": 0, "to": 1, "text": "x", "title": "t"}
    await house.draft(title="Another")
    assert house.meeting != mine
    tried: tuple[tuple[str, dict[str, Any], str], ...] = (
        (f"/agenda/{item}", change, "agenda.unknown-item"),
        (f"/agenda/{item}/move", {"parent": "", "after": ""}, "agenda.unknown-item"),
        (f"/agenda/{house.items[0]}/move", {"parent": item, "after": ""}, "agenda."),
        (f"/agenda/{item}/remove", {}, "agenda.unknown-item"),
        ("/agenda", {"title": "t", "parent": item, "after": "", "minutes": 0, "internal": False}, "agenda."),
        ("/agenda", {"title": "t", "parent": "", "after": item, "minutes": 0, "internal": False}, "agenda."),
        ("/motions", draft, "agenda.unknown-item"),
        (f"/motions/{motion}", {"version": 1, "title": "t", "text": "x"}, "motion.unknown"),
        (f"/motions/{motion}/act", {"act": "withdraw"}, "motion.unknown"),
        (f"/motions/{motion}/act", {"act": "refer"}, "motion.unknown"),
        (f"/motions/{motion}/amendments", place, "motion.unknown"),
        (f"/motions/{motion}/conflict", {"declared": True}, "motion.unknown"),
        (f"/motions/{motion}/election", ASKING, "motion.unknown"),
        (f"/papers/{paper}", {"class": "open", "item": "", "name": "B.png"}, "paper.unknown"),
        (f"/papers/{paper}/remove", {}, "paper.unknown"),
        (f"/lobby/{guest.member}", {"act": "remove"}, "lobby.unknown-visitor"),
        ("/messages/1/hide", {"reason": "r"}, "message.unknown"),
        ("/agenda/carry", {"from": "x"}, "meeting.unknown"),
    )
    for path, body, code in tried:
        answer = (await refusal(house.lan, house.path(path), body))[1]
        assert answer.startswith(code), (path, answer)
    for path in (
        f"/motions/{motion}",
        f"/motions/{motion}/diff",
        f"/papers/{paper}/1/file",
        f"/papers/{paper}/reads",
    ):
        status, code = await refusal(house.lan, house.path(path), method="GET")
        assert (status, code.split(".")[1]) == (404, "unknown"), path


async def test_what_is_not_for_all_is_in_no_answer_and_no_event(house: House) -> None:
    """Secret words in everything that is not for all, looked for in all that a plain member or a guest may ask."""
    guest = await guest_of(house)
    body = {"title": f"{SECRET} item", "parent": "", "after": "", "minutes": 5, "internal": True}
    inner = (await house.jonas.post(house.path("/agenda"), body))["id"]
    await house.command("lan", "start-item", item=inner)
    await bring(house, f"{SECRET}.png", a_png(), "restricted", inner)
    excused = {"excused": True, "reason": f"{SECRET} reason", "member": house.paul.member}
    await house.paul.post(house.path("/excuse"), excused)
    number = (await house.lan.post(house.path("/messages"), {"kind": "chat", "text": f"{SECRET} text", "to": 0}))[
        "id"
    ]
    await house.jonas.post(house.path(f"/messages/{number}/hide"), {"reason": "not fitting"})
    await write(house, "paul", f"{SECRET} motion", f"{SECRET} motion", item=1)
    await house.command("lan", "defer-item", item=inner)
    paths = ("", "/events?after=0", "/papers", "/messages?after=0", "/meeting.ics", "/attendance")
    seen = (*((house.binh, path) for path in paths), *((guest, path) for path in paths[:4]))
    for person, path in seen:
        status, answer = await person.raw("GET", house.path(path))
        assert status == 200, (person.name, path)
        assert SECRET.encode() not in answer, (person.name, path)
    assert SECRET in json.dumps(await house.view("jonas"))  # control: the secretary sees the internal item
    assert SECRET in json.dumps(await house.jonas.get(house.path("/notices")))
    assert SECRET in json.dumps(await house.view("paul"))
    await house.command("lan", "close")
    for form in ("json", "html", "text"):
        status, answer = await house.binh.raw("GET", house.path(f"/minutes?form={form}"))
        assert status == 200
        assert SECRET.encode() not in answer


async def test_markup_and_lines_in_titles_stay_text_in_minutes_and_calendar(house: House) -> None:
    title = "<script>x</script>&\u2028;,\\nSUMMARY:y"
    await house.draft(title=title)
    assert (await refusal(house.jonas, "/api/meetings", {"title": "a\r\nATTENDEE:b"}))[1] == "input.malformed"
    await house.command("jonas", "convene")
    calendar = (await house.jonas.raw("GET", house.path("/meeting.ics")))[1].decode()
    lines = calendar.replace("\r\n ", "").split("\r\n")
    assert [line.split(":")[0] for line in lines].count("SUMMARY") == 1
    assert all(line.isprintable() or "\u2028" in line for line in lines)
    page = (await house.jonas.raw("GET", house.path("/minutes?form=html")))[1].decode()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


async def test_one_member_does_not_fill_the_list_of_motions(house: House) -> None:
    for number in range(OWN_MAX):
        assert await act(house, "paul", await write(house, "paul", f"Motion {number}"), "submit") == "accepted"
    more = await write(house, "paul", "One more")
    assert await act(house, "paul", more, "submit") == "motion.too-many-own"
    await act(house, "paul", (await house.view("paul"))["motions"][0]["motion"], "withdraw")
    assert await act(house, "paul", more, "submit") == "motion.too-many-own"  # numbers are used up for ever
    assert await act(house, "binh", await write(house, "binh"), "submit") == "accepted"
    for number in range(OWN_MAX + 1):  # control: the secretary writes down what others hand in
        assert await act(house, "jonas", await write(house, "jonas", f"Handed in {number}"), "submit") == "accepted"


def test_a_hundred_long_amendments_cost_a_snapshot_little() -> None:
    text = "\n\n".join("abcdefgh ijk lmn " * 11 for _ in range(199))
    one = replace(drafted("0", "m", "i", "t", text, base="b"), state=MotionState.SUBMITTED, number="M1-A1")
    many = [replace(one, id=str(n), span=Span(n // 2, n // 2 + 1)) for n in range(AMENDMENTS_MAX)]
    begun = time.process_time()
    found = collisions(many)
    assert time.process_time() - begun < 0.15  # 0.65 s when every pair is split into paragraphs anew
    assert found["4"] == ["5"]
    assert found["5"] == ["4"]


async def test_a_draft_makes_no_event_even_with_a_declared_interest(house: House) -> None:
    motion = await write(house, "paul")
    path = house.path(f"/motions/{motion}/conflict")
    assert await refusal(house.paul, path, {"declared": True}) == (409, "motion.wrong-state")
    assert motion not in json.dumps(await house.events())
    await act(house, "paul", motion, "submit")
    assert (await refusal(house.paul, path, {"declared": True}))[1] == "accepted"  # control


async def test_who_seconded_one_title_did_not_second_another(house: House) -> None:
    await house.jonas.post(house.path("/motion-rules"), {"seconders": 2})
    motion = await write(house, "paul", "Mend the roof")
    await act(house, "paul", motion, "submit")
    await act(house, "binh", motion, "second")
    shown = await house.paul.get(house.path(f"/motions/{motion}"))
    assert len(shown["seconders"]) == 1
    changed = {"version": shown["version"], "title": "Sell the roof", "text": "Mend it."}
    await house.paul.post(house.path(f"/motions/{motion}"), changed)
    assert (await house.paul.get(house.path(f"/motions/{motion}")))["seconders"] == []


async def test_a_visitor_whose_link_is_down_can_be_sent_away(house: House) -> None:
    guest = await guest_of(house)
    house.clock.at += 100
    await house.context.database.write(lambda tx: visitors.expire(tx, house.clock.at, 30, 0))
    assert (await guest.get("/api/session"))["state"] == "left"
    path = house.path(f"/lobby/{guest.member}")
    assert (await refusal(house.lan, path, {"act": "remove"}))[1] == "accepted"
    assert await refusal(guest, house.path("/events?after=0"), method="GET") == (403, "guest.not-admitted")
    waiting = await guest_of(house, "")
    house.clock.at += 100
    await house.context.database.write(lambda tx: visitors.expire(tx, house.clock.at, 30, 0))
    assert (await refusal(house.lan, house.path(f"/lobby/{waiting.member}"), {"act": "refuse"}))[1] == "accepted"
    gone = await guest_of(house)
    await gone.post(house.path("/commands"), {"command": "leave"})
    # control: who went by own wish is not there
    left = await refusal(house.lan, house.path(f"/lobby/{gone.member}"), {"act": "remove"})
    assert left == (409, "lobby.wrong-state")


async def test_nothing_is_written_into_the_record_of_a_meeting_that_is_over(house: House) -> None:
    await house.command("lan", "close")
    last = (await house.events())[-1]["seq"]
    for path, body in CHAIRS:
        if path != "/lobby/x":
            status, _ = await refusal(house.lan, house.path(path.format(motion="x")), body)
            assert status in (404, 409), (path, body)
    assert (await house.events())[-1]["seq"] == last


async def test_a_hand_over_is_accepted_by_nobody_else_and_not_twice(house: House) -> None:
    await house.second_chair("paul")
    offer = {"type": "hand-over", "meeting": house.meeting, "to": house.ana.member}
    body = await signed_by(house.lan, offer, to=house.ana.member)
    other = await refusal(house.lan, house.path("/handover"), {**body, "to": house.paul.member})
    assert other == (422, "action.differs")
    await house.lan.post(house.path("/handover"), body)
    assert (await refusal(house.lan, house.path("/handover"), body))[1] != "accepted"  # one signature, one act
    taking = {"type": "accept-chair", "meeting": house.meeting, "from": house.lan.member}
    for name, code in (("paul", "chair.no-offer"), ("lan", "chair.no-offer"), ("binh", "role.missing")):
        stolen = await signed_by(house.people[name], taking)
        assert (await refusal(house.people[name], house.path("/handover/accept"), stolen))[1] == code
    foreign = await signed_by(house.paul, taking)
    assert (await refusal(house.ana, house.path("/handover/accept"), foreign))[1] != "accepted"
    assert (await refusal(house.ana, house.path("/handover/accept"), await signed_by(house.ana, taking)))[1] == (
        "accepted"
    )
    for name in ("lan", "paul", "ana"):
        assert await house.refused(name, "resume-chair") == "chair.nothing-to-resume"


async def test_a_chair_who_is_not_heard_does_not_take_the_chair_back(house: House) -> None:
    """Otherwise a page without a link and a deputy would take the chair from each other every second."""

    async def lease(name: str) -> None:
        member = house.people[name].member
        await house.context.database.write(
            lambda tx: attendance_commands.take_lease(tx, house.meeting, member, house.clock.at)
        )

    house.clock.at += 25
    await lease("ana")
    await house.context.database.write(lambda tx: presiding.deputise(tx, house.clock.at, 20, 0))
    assert await house.refused("lan", "resume-chair") == "chair.not-present"
    await lease("lan")
    await house.command("lan", "resume-chair")
    await house.context.database.write(lambda tx: presiding.deputise(tx, house.clock.at, 20, 0))
    assert len(await house.events("DeputyPresides")) == 1


async def test_one_guest_link_does_not_fill_the_record(house: House) -> None:
    link = await house.jonas.post(house.path("/guest-links"), {"name": "Press"})
    body = {"token": str(link["url"]).split("#")[1], "name": "Gwen"}
    codes = [(await refusal(house.stranger(), "/api/guests/enter", body))[1] for _ in range(ENTRIES_MAX + 1)]
    assert codes == ["accepted"] * ENTRIES_MAX + ["sign-in.too-many"]
    assert len(await house.events("LobbyEntered")) == ENTRIES_MAX
    await guest_of(house)  # control: another guest comes in meanwhile
    house.clock.at += WINDOW_S
    assert (await refusal(house.stranger(), "/api/guests/enter", body))[1] == "accepted"


async def test_whole_logs_leave_readers_for_everybody_else(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody takes all readers of the store by asking for minutes and attendance over and over."""
    lock, state = threading.Lock(), {"now": 0, "most": 0}
    pages, seen = event_store.of_meeting, []

    def counted(*asked: Any) -> Any:
        with lock:
            state["now"] += 1
            state["most"] = max(state["most"], state["now"])
            seen.append(asked[1])
        time.sleep(0.05)  # as a long log takes
        with lock:
            state["now"] -= 1
        return pages(*asked)

    monkeypatch.setattr(attendance, "events", SimpleNamespace(of_meeting=counted))
    asked = [house.jonas.get(house.path(path)) for path in ("/minutes", "/attendance") for _ in range(6)]
    await asyncio.gather(*asked, house.jonas.raw("GET", house.path("/attendance.csv")))
    assert len(seen) >= 13
    assert state["most"] == 1
    house.context.pictures.log = asyncio.Semaphore(9)  # control
    await asyncio.gather(*(house.jonas.get(house.path("/minutes")) for _ in range(6)))
    assert state["most"] > 1


async def test_made_up_methods_make_no_new_figures(tmp_path: Path) -> None:
    from folkmoot_server.web.metrics import Metrics, Snapshot

    async def nothing() -> Snapshot:
        return Snapshot({}, 0, {}, (), ())

    metrics = Metrics(nothing)
    app = aiohttp.web.Application(middlewares=[metrics.middleware])
    runner = aiohttp.web.AppRunner(app, access_log=None)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with aiohttp.ClientSession() as http:
            for method in ("GET", "PROPFIND", *(f"X{n}" for n in range(20))):
                async with http.request(method, f"http://127.0.0.1:{port}/") as answer:
                    assert answer.status in (400, 404)
        text = (await metrics.text()).decode()
        assert "X1" not in text
        assert 'method="GET"' in text
    finally:
        await runner.cleanup()


def landlock() -> bool:
    return bool(ctypes.CDLL(None).syscall(444, None, 0, 1) > 0)


def test_a_renderer_that_was_taken_over_reads_nothing_and_starts_nothing(tmp_path: Path) -> None:
    treasure = tmp_path / "folkmoot.db"
    treasure.write_text(SECRET)
    treasure.chmod(0o644)
    reading = f"print(open({str(treasure)!r}).read())"
    assert SECRET in subprocess.run(["python3", "-c", reading], capture_output=True, text=True, check=True).stdout
    assert "Resource temporarily unavailable" in confined("os.fork()").stderr
    if not landlock():
        pytest.skip("this system cannot close files to a process")
    for code in (reading, f"os.listdir({str(tmp_path)!r})", "os.execv('/bin/true', ['true'])"):
        assert "Permission denied" in confined(code).stderr
