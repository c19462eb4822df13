"""Notice periods on the clock on the wall, receipts, excuses, moved and cancelled meetings, calendar files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar
from tests.server.common import START, refusal
from tests.server.support import House, serve

from folkmoot_server.domain.calendar import Every, latest_notice, series
from folkmoot_voting import challenges

DAY = 86_400
BERLIN, SAIGON = "Europe/Berlin", "Asia/Ho_Chi_Minh"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with serve(tmp_path) as running:
        await running.enrol()
        yield running


def at(zone: str, *wall: int, fold: int = 0) -> int:
    """Seconds UTC at which a clock in the zone shows this."""
    return int(datetime(*wall, tzinfo=ZoneInfo(zone), fold=fold).timestamp())  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("zone", "meeting", "days", "latest", "hours"),
    [
        # No change of clocks in between: exactly so many times 24 hours.
        (BERLIN, (2026, 6, 15, 19, 0), 14, (2026, 6, 1, 19, 0), 14 * 24),
        (SAIGON, (2026, 3, 30, 19, 0), 7, (2026, 3, 23, 19, 0), 7 * 24),
        # Clocks went forward on 29 March 2026: an hour less.
        (BERLIN, (2026, 4, 2, 19, 0), 7, (2026, 3, 26, 19, 0), 7 * 24 - 1),
        (SAIGON, (2026, 4, 2, 19, 0), 7, (2026, 3, 26, 19, 0), 7 * 24),
        # Clocks went back on 25 October 2026: an hour more.
        (BERLIN, (2026, 10, 29, 19, 0), 7, (2026, 10, 22, 19, 0), 7 * 24 + 1),
        (SAIGON, (2026, 10, 29, 19, 0), 7, (2026, 10, 22, 19, 0), 7 * 24),
        # 02:30 on 29 March is skipped: the first moment after it is 03:00.
        (BERLIN, (2026, 4, 5, 2, 30), 7, (2026, 3, 29, 3, 0), 7 * 24 - 0.5),
        # 02:30 on 25 October comes twice: the first one counts.
        (BERLIN, (2026, 11, 1, 2, 30), 7, (2026, 10, 25, 2, 30), 7 * 24 + 1),
        (BERLIN, (2028, 2, 29, 10, 0), 365, (2027, 3, 1, 10, 0), 365 * 24),
    ],
)
def test_a_notice_period_runs_on_the_clock_on_the_wall(
    zone: str, meeting: tuple[int, ...], days: int, latest: tuple[int, ...], hours: float
) -> None:
    starts_at = at(zone, *meeting)
    found = latest_notice(starts_at, zone, days)
    assert found == at(zone, *latest)
    assert starts_at - found == hours * 3600


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2037, 1, 1)),  # noqa: DTZ001  wall time
    st.integers(0, 365),
    st.sampled_from([BERLIN, SAIGON, "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia"]),
)
def test_the_last_moment_shows_the_same_time_or_the_first_after_a_gap(wall: datetime, days: int, name: str) -> None:
    zone = ZoneInfo(name)
    starts_at = int(wall.replace(microsecond=0, tzinfo=zone).timestamp())
    shown = datetime.fromtimestamp(starts_at, zone).replace(tzinfo=None)
    latest = datetime.fromtimestamp(latest_notice(starts_at, name, days), zone)
    wanted = shown - timedelta(days)
    if latest.replace(tzinfo=None) != wanted:
        before = datetime.fromtimestamp(latest.timestamp() - 1, zone)
        assert before.replace(tzinfo=None) < wanted < latest.replace(tzinfo=None)
        assert before.utcoffset() != latest.utcoffset()


def test_a_series_keeps_its_time_on_the_wall() -> None:
    first = at(BERLIN, 2026, 3, 24, 19, 0)
    weekly = [datetime.fromtimestamp(one, ZoneInfo(BERLIN)) for one in series(first, BERLIN, Every.WEEK, 2)]
    assert [(one.month, one.day, one.hour) for one in weekly] == [(3, 31, 19), (4, 7, 19)]
    assert series(first, BERLIN, Every.WEEK, 1)[0] - first == 7 * DAY - 3600
    assert series(first, SAIGON, Every.WEEK, 1)[0] - first == 7 * DAY
    assert series(first, BERLIN, Every.FORTNIGHT, 1) == series(first, BERLIN, Every.WEEK, 2)[1:]
    last = at(SAIGON, 2027, 10, 31, 8, 0)
    monthly = [datetime.fromtimestamp(one, ZoneInfo(SAIGON)) for one in series(last, SAIGON, Every.MONTH, 5)]
    days = [(one.year, one.month, one.day, one.hour) for one in monthly]
    assert days == [(2027, 11, 30, 8), (2027, 12, 31, 8), (2028, 1, 31, 8), (2028, 2, 29, 8), (2028, 3, 31, 8)]


async def waive(house: House, name: str, reason: str) -> Any:
    action = {"type": "waive-notice", "meeting": house.meeting, "reason": reason}
    return await house.people[name].act(house.path("/waiver"), action, reason=reason)


async def test_a_late_notice_is_refused_until_it_is_waived(house: House) -> None:
    starts_at = START + 6 * DAY
    await house.draft(starts_at=starts_at, notice_days=7)
    status, told = await house.jonas.raw("POST", house.path("/commands"), {"command": "convene"})
    latest = latest_notice(starts_at, BERLIN, 7)
    assert status == 409
    assert f'"latest": {latest}'.encode() in told
    assert b"meeting.notice-too-short" in told
    assert (await house.view("jonas"))["state"] == "draft"
    await waive(house, "jonas", "The roof leaks.")
    assert (await house.view("ana"))["waived"] is True
    await house.command("jonas", "convene")
    assert (await house.events("NoticeWaived"))[0]["body"] == {"reason": "The roof leaks."}
    assert (await house.events("MeetingConvened"))[0]["body"] == {"recipients": len(house.links)}


async def test_the_last_second_is_in_time(house: House) -> None:
    starts_at = START + 14 * DAY + 600
    latest = latest_notice(starts_at, SAIGON, 14)
    assert latest == START + 600
    await house.draft(starts_at=starts_at, notice_days=14, time_zone=SAIGON)
    house.clock.at = latest + 1
    assert await house.refused("jonas", "convene") == "meeting.notice-too-short"
    house.clock.at = latest
    await house.command("jonas", "convene")


async def test_a_waiver_is_signed_by_an_officer_once(house: House) -> None:
    await house.draft(starts_at=START + DAY, notice_days=7)
    good = {"type": "waive-notice", "meeting": house.meeting, "reason": "Flood"}

    async def send(name: str, action: dict[str, Any], reason: str = "Flood") -> str:
        person = house.people[name]
        signed = await person.signed("action", lambda nonce: challenges.action(action, nonce))
        body = {"reason": reason, "action": action, "signed": signed}
        return (await refusal(person, house.path("/waiver"), body))[1]

    assert await send("ana", good) == "role.missing"
    assert await send("jonas", {**good, "reason": "Other"}) == "action.differs"
    assert await send("jonas", {**good, "reason": ""}, "") == "input.malformed"
    assert (await house.view("jonas"))["waived"] is False
    assert await send("lan", good) == "accepted"
    assert await send("jonas", good) == "notice.waived-already"


async def receipts(house: House) -> dict[str, Any]:
    return dict(await house.jonas.get(house.path("/notices")))


async def test_receipts_are_counted_once_and_seen_by_officers_alone(house: House) -> None:
    await house.draft(starts_at=START + 30 * DAY)
    assert await refusal(house.ana, house.path("/receipts"), {"receipt": "read"}) == (409, "meeting.wrong-state")
    await house.command("jonas", "convene")
    assert (await house.view("ana"))["me"]["notice"] == {"state": "sent", "excused": False, "reason": ""}
    house.clock.at += 60
    await house.ana.post(house.path("/receipts"), {"receipt": "delivered"})
    house.clock.at += 60
    for _ in range(2):
        await house.binh.post(house.path("/receipts"), {"receipt": "read"})
        house.clock.at += 60
    table = await receipts(house)
    members = len(house.links)
    assert {name: table[name] for name in ("sent", "delivered", "read", "excused")} == {
        "sent": members,
        "delivered": 2,
        "read": 1,
        "excused": 0,
    }
    rows = {row["name"]: row for row in table["notices"]}
    assert rows["Ana Silva"]["delivered_at"] == START + 60
    assert rows["Ana Silva"]["read_at"] == 0
    assert rows["Binh Tran"]["delivered_at"] == rows["Binh Tran"]["read_at"] == START + 120
    assert rows["Greta Weber"]["delivered_at"] == 0
    assert await refusal(house.ana, house.path("/notices"), method="GET") == (403, "role.missing")
    assert await refusal(house.ana, house.path("/receipts"), {"receipt": "eaten"}) == (400, "input.malformed")
    listed = {one["id"]: one for one in (await house.binh.get("/api/meetings"))["meetings"]}
    assert listed[house.meeting]["notice"] == "read"
    assert not await house.events("NoticeRead")
    await house.begin_quietly()
    assert (await house.events("CheckInBegan"))[0]["body"] == {
        "sent": members,
        "delivered": 2,
        "read": 1,
        "excused": 0,
    }


async def test_members_excuse_themselves_and_officers_anybody(house: House) -> None:
    await house.draft(starts_at=START + 30 * DAY)
    body = {"excused": True, "reason": "In hospital", "member": house.ana.member}
    assert await refusal(house.ana, house.path("/excuse"), body) == (409, "meeting.wrong-state")
    await house.command("jonas", "convene")
    assert await refusal(house.binh, house.path("/excuse"), body) == (403, "role.missing")
    await house.ana.post(house.path("/excuse"), body)
    await house.ana.post(house.path("/excuse"), {**body, "reason": "Still in hospital"})
    await house.jonas.post(house.path("/excuse"), {"excused": True, "reason": "", "member": house.greta.member})
    told = await house.events("MemberExcused")
    assert [event["body"]["name"] for event in told] == ["Ana Silva", "Greta Weber"]
    assert all(set(event["body"]) == {"member", "name"} for event in told)
    rows = {row["name"]: row for row in (await receipts(house))["notices"]}
    assert rows["Ana Silva"]["reason"] == "Still in hospital"
    assert (await house.view("ana"))["me"]["notice"]["reason"] == "Still in hospital"
    # Nobody else reads the reason, wherever they look.
    for path in (house.path(), house.path("/events?after=0"), "/api/meetings"):
        status, text = await house.binh.raw("GET", path)
        assert status == 200
        assert b"hospital" not in text
    await house.ana.post(house.path("/excuse"), {**body, "excused": False, "reason": "well again"})
    assert len(await house.events("ExcuseWithdrawn")) == 1
    rows = {row["name"]: row for row in (await receipts(house))["notices"]}
    assert (rows["Ana Silva"]["excused"], rows["Ana Silva"]["reason"]) == (False, "")


async def test_who_was_not_called_confirms_and_excuses_nothing(house: House) -> None:
    units = (await house.lan.get("/api/organisation"))["units"]
    upper = next(unit["id"] for unit in units if unit["name"] == "Upper village")
    await house.draft(unit=upper, starts_at=START + DAY)
    await house.command("jonas", "convene")
    assert (await house.events("MeetingConvened"))[0]["body"] == {"recipients": 1}
    assert (await house.view("lan"))["me"]["notice"] is None
    assert await refusal(house.lan, house.path("/receipts"), {"receipt": "read"}) == (403, "notice.not-called")
    for name in ("lan", "greta"):
        body = {"excused": True, "reason": "", "member": house.people[name].member}
        assert await refusal(house.lan, house.path("/excuse"), body) == (404, "notice.unknown-member")
    assert await refusal(house.greta, house.path("/meeting.ics"), method="GET") == (404, "meeting.unknown")
    assert await refusal(house.greta, house.path("/receipts"), {"receipt": "read"}) == (404, "meeting.unknown")
    await house.binh.post(house.path("/receipts"), {"receipt": "read"})  # the control


async def calendar(house: House, name: str = "binh") -> Any:
    """The one event of the calendar file, read back."""
    status, text = await house.people[name].raw("GET", house.path("/meeting.ics"))
    assert status == 200, text
    parsed = Calendar.from_ical(text)
    assert parsed["VERSION"] == "2.0"
    assert text.count(b"\r\n") == text.count(b"\n")
    events = parsed.walk("VEVENT")
    assert len(events) == 1
    return events[0]


async def test_the_calendar_file_follows_the_meeting(house: House) -> None:
    starts_at = START + 30 * DAY
    await house.draft(starts_at=starts_at, title="Jahres­haupt; \\Versammlung, 2026\u2014mit, Komma")
    assert await refusal(house.binh, house.path("/meeting.ics"), method="GET") == (409, "meeting.not-convened")
    await house.command("jonas", "reschedule", starts_at=starts_at + 60, time_zone=BERLIN)
    await house.command("jonas", "convene")
    first = await calendar(house)
    assert str(first["UID"]) == f"{house.meeting}@localhost"
    assert (int(first["SEQUENCE"]), str(first["STATUS"])) == (0, "CONFIRMED")
    assert first["DTSTART"].dt == datetime.fromtimestamp(starts_at + 60, UTC)
    assert first["DTEND"].dt - first["DTSTART"].dt == timedelta(hours=1)
    assert str(first["SUMMARY"]) == (await house.view("binh"))["title"]
    assert str(first["URL"]) == f"{house.origin}/meetings/{house.meeting}"
    await house.binh.post(house.path("/receipts"), {"receipt": "read"})
    await house.jonas.post(house.path("/excuse"), {"excused": True, "reason": "", "member": house.greta.member})
    house.clock.at += 5
    await house.command("jonas", "reschedule", starts_at=starts_at + DAY, time_zone=SAIGON)
    second = await calendar(house)
    assert str(second["UID"]) == str(first["UID"])
    assert (int(second["SEQUENCE"]), str(second["STATUS"])) == (1, "CONFIRMED")
    assert second["DTSTART"].dt == datetime.fromtimestamp(starts_at + DAY, UTC)
    # Everybody is called again; who is excused stays so.
    table = await receipts(house)
    assert (table["delivered"], table["read"], table["excused"]) == (0, 0, 1)
    assert {row["sent_at"] for row in table["notices"]} == {START + 5}
    await house.command("lan", "cancel", reason="Too few rooms")
    third = await calendar(house)
    assert (int(third["SEQUENCE"]), str(third["STATUS"])) == (2, "CANCELLED")
    assert (await house.events("MeetingCancelled"))[0]["body"] == {"reason": "Too few rooms"}
    assert (await house.view("binh"))["reason"] == "Too few rooms"
    for command, fields in (("convene", {}), ("begin-check-in", {}), ("cancel", {"reason": "again"})):
        assert await house.refused("lan", command, **fields) == "meeting.wrong-state"


async def test_internal_items_do_not_show_in_the_length_of_a_calendar_entry(house: House) -> None:
    await house.draft(starts_at=START + DAY, agenda=[{"title": "One"}])
    item = {"parent": "", "after": "", "minutes": 25, "internal": False}
    await house.jonas.post(house.path("/agenda"), {**item, "title": "Two"})
    await house.jonas.post(house.path("/agenda"), {**item, "title": "Secret", "minutes": 90, "internal": True})
    await house.command("jonas", "convene")
    found = await calendar(house)
    assert found["DTEND"].dt - found["DTSTART"].dt == timedelta(minutes=25)


async def test_moving_and_cancelling_need_an_office_a_state_and_a_future(house: House) -> None:
    starts_at = START + 30 * DAY
    await house.draft(starts_at=starts_at, notice_days=7)
    later = {"starts_at": starts_at + DAY, "time_zone": BERLIN}
    assert await house.refused("ana", "reschedule", **later) == "role.missing"
    assert await house.refused("ana", "cancel", reason="no") == "role.missing"
    assert await house.refused("jonas", "reschedule", starts_at=START, time_zone=BERLIN) == "meeting.time-past"
    assert await house.refused("jonas", "reschedule", starts_at=START + DAY) == "input.malformed"
    assert await house.refused("jonas", "cancel") == "input.malformed"
    assert await house.refused("jonas", "cancel", reason=" ") == "input.malformed"
    assert await house.refused("jonas", "cancel", reason="x" * 501) == "input.malformed"
    await house.command("jonas", "convene")
    # Moved so near that the notice would be too late.
    soon = {"starts_at": START + 3 * DAY, "time_zone": BERLIN}
    assert await house.refused("jonas", "reschedule", **soon) == "meeting.notice-too-short"
    await waive(house, "lan", "Strike on the railway")
    await house.command("jonas", "reschedule", **soon)
    await house.begin_quietly()
    assert await house.refused("jonas", "reschedule", **later) == "meeting.wrong-state"
    assert await house.refused("jonas", "cancel", reason="late") == "meeting.wrong-state"
