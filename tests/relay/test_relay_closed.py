"""What a relay keeps of a closed session: nothing, unless its hall is admitted."""

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, func, select
from tests.relay.rig import Rig, open_vote, rig, until

from folkmoot_server.domain.audience import WITHHELD
from folkmoot_server.domain.closed_sessions import ADMITTED, BEGAN, ENDED
from folkmoot_server.relay import closed, kept, schema, store, views
from folkmoot_server.relay.hall import build
from folkmoot_voting.encoding import JsonObject

SECRET = "the dismissal of N"
OUT = {"id", "title", "organisation", "unit", "state", "starts_at", "time_zone", "seq", "sites", "quorum"}


def state(seq: int, sites: list[str] | None, agenda: str = "Budget") -> dict[str, Any]:
    """A snapshot from inside, or of a meeting that is open to the public."""
    running = None if sites is None else {"since": 5, "reason": SECRET, "sites": sites, "visitors": []}
    plain = dict.fromkeys(OUT, "x") | {"seq": seq}
    return {**plain, "agenda": [agenda], "elections": [], "removed": [], "closed_session": running}


def event(seq: int, kind: str, **body: Any) -> dict[str, Any]:
    return {"seq": seq, "type": kind, "at": 7, "body": body}


def take(tx: Connection, new: list[dict[str, Any]], whole: dict[str, Any] | None = None) -> bool:
    """What a round of the feed does, for the relay of "hall"."""
    if whole is not None:
        store.set_state(tx, whole)
    return closed.follow(tx, "hall", whole, store.add_events(tx, new))


def everything(tx: Connection) -> str:
    """All that is on disk, the events left out: each was told to this hall as it may know it."""
    rows = [str(row) for table in (schema.value, schema.kept, schema.blob) for row in tx.execute(select(table))]
    return json.dumps(rows)


def fill(tx: Connection) -> None:
    """What was given while inside."""
    kept.keep(tx, "binh", "/api/meetings/m", kept.Kept("application/json", SECRET.encode()))
    kept.keep(tx, kept.EVERYBODY, "/api/info", kept.Kept("application/json", b"{}"))
    store.set_parts(tx, {"manifest": {"title": SECRET}, "papers": [{"name": SECRET}]})


def test_nothing_stays_of_what_was_given_inside_when_the_hall_is_sent_out() -> None:
    engine = create_engine("sqlite://")
    schema.metadata.create_all(engine)
    with engine.begin() as tx:
        assert not take(tx, [], state(1, None))
        store.set_parts(tx, {"papers": [{"name": "Budget"}]})
        assert take(tx, [event(2, BEGAN, sites=["hall"], visitors=[])])
        assert not closed.is_outside(closed.history(tx), "hall")
        fill(tx)
        store.put(tx, "state", state(2, ["hall"], SECRET))
        assert SECRET in everything(tx)  # control
        assert take(tx, [event(3, ADMITTED, site="hall", visitor="", admitted=False)])
        assert closed.is_outside(closed.history(tx), "hall")
        assert SECRET not in everything(tx)
        shown = store.state(tx) or {}
        assert shown.keys() == OUT | {"closed_session"}
        assert shown["closed_session"] == {"since": 7, "reason": "", "sites": [], "visitors": [], "address": ""}
        assert store.parts(tx)["papers"] == [{"name": "Budget"}]
        assert tx.execute(select(func.count()).select_from(schema.kept)).scalar() == 1
        me = views.own_part("binh", entitled=True)
        assert views.snapshot(shown, None, me, {"binh"}, queued=False).keys() == shown.keys() | {"me"}
        assert take(tx, [event(4, ENDED)])
        assert not closed.is_outside(closed.history(tx), "hall")
        assert not take(tx, [], state(5, None))
        assert "agenda" in (store.state(tx) or {})


def test_a_hall_that_is_never_admitted_shuts_what_it_has_from_the_first_word_on() -> None:
    engine = create_engine("sqlite://")
    schema.metadata.create_all(engine)
    with engine.begin() as tx:
        take(tx, [], state(1, None))
        fill(tx)
        assert take(tx, [event(2, BEGAN, sites=[], visitors=[]), event(3, "EventWithheld")])
        assert (store.state(tx) or {}).keys() == OUT | {"closed_session"}
        assert "manifest" not in store.parts(tx)
        assert store.parts(tx)["papers"]  # what it had before the session
        store.put(tx, "state", state(3, ["other"]))  # one that was on its way
        assert not take(tx, [])
        assert "agenda" not in (store.state(tx) or {})


def test_a_snapshot_without_the_events_before_it_tells_as_much() -> None:
    engine = create_engine("sqlite://")
    schema.metadata.create_all(engine)
    with engine.begin() as tx:
        assert take(tx, [], state(9, []))
        assert closed.is_outside(closed.history(tx), "hall")
        assert "agenda" not in (store.state(tx) or {})
        assert take(tx, [], state(20, ["hall"]))
        assert not closed.is_outside(closed.history(tx), "hall")
        assert take(tx, [], state(30, None))
        assert closed.history(tx).running is None


def test_a_hub_that_was_put_back_is_followed_from_its_snapshot_on() -> None:
    engine = create_engine("sqlite://")
    schema.metadata.create_all(engine)
    with engine.begin() as tx:
        take(tx, [], state(499, None))
        assert take(tx, [event(500, BEGAN, sites=["hall"], visitors=[]), event(501, "MessagePosted")])
        assert take(tx, [event(502, ENDED)])
        assert take(tx, [], state(450, None))  # from here on it has not heard the rest
        assert closed.history(tx).changes == ()
        fill(tx)
        assert take(tx, [event(451, BEGAN, sites=[], visitors=[]), event(452, "EventWithheld")])
        assert [one.seq for one in closed.history(tx).changes] == [451]
        assert closed.is_outside(closed.history(tx), "hall")
        assert "manifest" not in store.parts(tx)
        assert not take(tx, [event(453, "EventWithheld")])


def test_a_session_that_runs_again_after_a_hub_was_put_back_runs_here_again() -> None:
    engine = create_engine("sqlite://")
    schema.metadata.create_all(engine)
    with engine.begin() as tx:
        take(tx, [], state(1, None))
        take(tx, [event(2, BEGAN, sites=[], visitors=[]), event(3, "EventWithheld"), event(4, ENDED)])
        fill(tx)
        assert take(tx, [], state(3, []))
        assert [one.seq for one in closed.history(tx).changes] == [2]
        assert closed.is_outside(closed.history(tx), "hall")
        assert SECRET not in json.dumps(store.state(tx))
        # And one that has not begun there runs here no more.
        assert take(tx, [], state(1, None))
        assert closed.history(tx).changes == ()
        assert "agenda" in (store.state(tx) or {})


def test_nothing_that_was_heard_goes_on_from_a_snapshot() -> None:
    engine = create_engine("sqlite://")
    schema.metadata.create_all(engine)
    with engine.begin() as tx:
        take(tx, [], state(10, None))
        take(tx, [event(number, "MessagePosted") for number in (11, 12, 13)])
        assert len(store.events_after(tx, 10)) == 3
        take(tx, [], state(12, None))
        assert (store.cursor(tx), store.last_seq(tx), store.heard_at(tx, 12)) == (12, 0, 0)
        take(tx, [event(13, "MessagePosted")])
        assert store.heard_at(tx, 13) == event(13, "MessagePosted")["at"] > 0


def test_who_is_there_by_the_kiosk_is_known_outside_too_and_nothing_of_their_votes() -> None:
    """In a cut the relay says that they are still there; whom it does not name is gone."""
    engine = create_engine("sqlite://")
    schema.metadata.create_all(engine)
    part = {"members": [{"member": "otto", "credential": "first"}, {"member": "greta", "credential": ""}]}
    with engine.begin() as tx:
        take(tx, [], state(1, None))
        store.set_parts(tx, {"kiosk": part})
        take(tx, [event(2, BEGAN, sites=["hall"], visitors=[])])
        assert store.parts(tx)["kiosk"] == part  # control: inside
        take(tx, [event(3, ADMITTED, site="hall", visitor="", admitted=False)])
        members = [{"member": "otto", "credential": ""}, {"member": "greta", "credential": ""}]
        assert store.parts(tx)["kiosk"] == {"members": members}
        assert build(store.parts(tx)).kiosk == {"otto": "", "greta": ""}
        store.set_parts(tx, {"kiosk": part})  # one that was on its way
        take(tx, [])
        assert store.parts(tx)["kiosk"] == {"members": members}


@pytest.mark.parametrize("fault", ["kept", "state"])
def test_control_a_relay_that_keeps_something_is_noticed(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if fault == "kept":
        monkeypatch.setattr(kept, "drop_own", lambda _tx: None)
    else:
        monkeypatch.setattr(closed, "_shut_state", lambda *_: None)
    with pytest.raises(AssertionError):
        test_nothing_stays_of_what_was_given_inside_when_the_hall_is_sent_out()


def on_disk(made: Rig) -> tuple[str, JsonObject, list[str]]:
    """What a running relay keeps: everything but events as one text, the snapshot, and the names of values."""
    with contextlib.closing(sqlite3.connect(f"file:{made.relay.data / 'relay.db'}?mode=ro", uri=True)) as raw:
        values = dict(raw.execute("SELECT name, text FROM value").fetchall())
        blobs = [row[0] for row in raw.execute("SELECT data FROM blob")]
    text = json.dumps(values) + "".join(blob.decode(errors="replace") for blob in blobs)
    return text, json.loads(values["state"]), list(values)


@pytest.mark.timeout(400)  # processes, passkeys and a cut of eight seconds, on a slow machine
async def test_a_real_relay_keeps_nothing_while_it_is_outside_and_all_while_it_is_admitted(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        binh, chair, path = made.phones["binh"], made.hall.chair, made.path("/commands")
        await open_vote(made)
        whole = await binh.get(made.path())
        line = await binh.follow(made.hall.meeting, whole["seq"])
        await chair.post(path, {"command": "begin-closed-session", "reason": SECRET, "sites": [], "visitors": []})

        async def outside() -> bool:
            text, kept_state, names = on_disk(made)
            return "agenda" not in kept_state and "part.manifest" not in names and SECRET not in text

        await until(outside, "a relay that keeps nothing")
        shown = await binh.get(made.path())
        assert shown.keys() == OUT | {"closed_session", "me"}
        assert shown["closed_session"]["address"] == made.hall.settings.public_url
        status, answer, _ = await binh.ask("GET", made.path("/papers"))
        assert (status, answer["error"]["code"]) == (403, "closed-session.site")
        admit = {"command": "admit-inside", "site": made.site, "visitor": "", "admitted": True}
        await chair.post(path, admit)

        async def inside() -> bool:
            text, kept_state, names = on_disk(made)
            return SECRET in text and "agenda" in kept_state and "part.manifest" in names

        await until(inside, "a relay that is given the session")
        assert (await binh.get(made.path()))["closed_session"]["reason"] == SECRET
        mode = await chair.post(path, {"command": "set-floor-mode", "mode": "chaired"})
        await chair.post(path, {**admit, "admitted": False})
        await until(outside, "a relay that has forgotten the session")
        last = await chair.post(path, {"command": "set-floor-mode", "mode": "open"})

        async def heard() -> bool:
            return bool(binh.heard) and binh.heard[-1].get("seq", 0) >= last["seq"]

        await until(heard, "the events")
        told = {one["seq"]: one["type"] for one in binh.heard if "seq" in one}
        assert (told[mode["seq"]], told[last["seq"]]) == ("FloorModeSet", WITHHELD)
        made.link.pause()
        await made.until_cut(binh)
        alone = await binh.get(made.path())
        assert alone.keys() == OUT | {"closed_session", "me"}
        assert SECRET not in json.dumps(alone)
        await line.close()
