"""What a relay keeps of itself and the meeting: identity, start, parts of the feed, events, newest snapshot."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.sqlite import insert

from folkmoot_server.domain.ids import b64u, from_b64u
from folkmoot_server.relay import schema
from folkmoot_server.relay.nonces import Seed
from folkmoot_server.relay.outbox_chain import Head
from folkmoot_voting.encoding import JsonObject, jcs

PARTS: Final = ("present", "kiosk", "members", "papers", "roll", "checkpoint", "manifest")
DIGEST_CHARACTERS: Final = 22
EVENTS_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Identity:
    """What enrolment gave this relay."""

    relay: str
    meeting: str
    site: str
    hub_key: bytes
    rp_id: str
    origin: str

    @property
    def ledger_origin(self) -> str:
        """Name of the hub's ledger (voting.md section 5)."""
        return f"{self.rp_id}/ledger"

    @property
    def secure(self) -> bool:
        """Whether browsers reach the relay over TLS."""
        return self.origin.startswith("https:")


@dataclass(frozen=True, slots=True)
class Start:
    """What the last start gave: `off_s` is how far the hub's clock was before this machine's."""

    token: str
    epoch: int
    seed: Seed
    off_s: int


def put(tx: Connection, name: str, value: Any) -> None:
    """Store a JSON value under a name, in the place of the one before."""
    text = json.dumps(value, separators=(",", ":"))
    statement = insert(schema.value).values(name=name, text=text)
    tx.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"text": text}))


def find(tx: Connection, name: str) -> Any:
    """Return the JSON value under a name, None when there is none."""
    text = tx.execute(select(schema.value.c.text).where(schema.value.c.name == name)).scalar()
    return None if text is None else json.loads(text)


def set_identity(tx: Connection, identity: Identity) -> None:
    """Remember what enrolment gave."""
    fields = {name: getattr(identity, name) for name in ("relay", "meeting", "site", "rp_id", "origin")}
    put(tx, "identity", {**fields, "hub_key": b64u(identity.hub_key)})


def identity(tx: Connection) -> Identity | None:
    """Return what enrolment gave, None before it."""
    found = find(tx, "identity")
    return None if found is None else Identity(**{**found, "hub_key": from_b64u(found["hub_key"])})


def set_start(tx: Connection, start: Start) -> None:
    """Remember a start; its seed has given out no nonce yet."""
    seed = {"value": b64u(start.seed.value), "until": start.seed.until, "used": start.seed.used}
    put(tx, "start", {"token": start.token, "epoch": start.epoch, "seed": seed, "off_s": start.off_s})


def start(tx: Connection) -> Start | None:
    """Return the last start, None before the first."""
    found = find(tx, "start")
    if found is None:
        return None
    seed = Seed(from_b64u(found["seed"]["value"]), found["seed"]["until"], found["seed"]["used"])
    return Start(found["token"], found["epoch"], seed, found["off_s"])


def set_acknowledged(tx: Connection, head: Head) -> None:
    """Remember how far the hub has the outbox."""
    put(tx, "acknowledged", {"seq": head.seq, "head": b64u(head.digest)})


def acknowledged(tx: Connection) -> Head:
    """Return how far the hub has the outbox."""
    found = find(tx, "acknowledged")
    return Head() if found is None else Head(found["seq"], from_b64u(found["head"]))


def set_over(tx: Connection, seq: int, head: Head) -> None:
    """Note that the meeting is over, after which event, and where the outbox ended."""
    put(tx, "over", {"event": seq, "seq": head.seq, "head": b64u(head.digest)})


def over(tx: Connection) -> tuple[int, Head] | None:
    """Return after which event and entry everything was deleted, None while the meeting goes on."""
    found = find(tx, "over")
    return None if found is None else (int(found["event"]), Head(found["seq"], from_b64u(found["head"])))


def digest_of(part: Any) -> str:
    """Return by which name a relay says that it holds a part of the feed."""
    return b64u(hashlib.sha256(jcs(part)).digest())[:DIGEST_CHARACTERS]


def parts(tx: Connection) -> dict[str, Any]:
    """Return the parts of the feed that are held."""
    found = {name: find(tx, f"part.{name}") for name in PARTS}
    return {name: part for name, part in found.items() if part is not None}


def set_parts(tx: Connection, new: Mapping[str, Any]) -> None:
    """Replace the parts that the hub has named."""
    for name in PARTS:
        if name in new:
            put(tx, f"part.{name}", new[name])


def drop_part(tx: Connection, name: str) -> None:
    """Forget a part that holds no more."""
    drop_value(tx, f"part.{name}")


def drop_value(tx: Connection, name: str) -> None:
    """Forget the value under a name."""
    tx.execute(delete(schema.value).where(schema.value.c.name == name))


def set_state(tx: Connection, state: JsonObject) -> None:
    """Take a new snapshot in place of everything that was heard: the hub may have been put back from a backup."""
    put(tx, "state", state)
    tx.execute(delete(schema.event))


def state(tx: Connection) -> JsonObject | None:
    """Return the newest snapshot, as everybody may see it."""
    found: JsonObject | None = find(tx, "state")
    return found


def add_events(tx: Connection, events: Sequence[JsonObject]) -> list[JsonObject]:
    """Add events that follow each other and the last one; return those that are new."""
    last = cursor(tx)
    new = []
    for event in events:
        if event["seq"] != last + 1:
            continue
        last += 1
        new.append(event)
        text = json.dumps(event, separators=(",", ":"))
        tx.execute(insert(schema.event).values(seq=event["seq"], text=text).on_conflict_do_nothing())
    return new


def last_seq(tx: Connection) -> int:
    """Return the number of the last event that is kept, 0 when there is none."""
    return int(tx.execute(select(func.max(schema.event.c.seq))).scalar() or 0)


def heard_at(tx: Connection, seq: int) -> int:
    """Return the second of an event that is kept, 0 of another."""
    text = tx.scalar(select(schema.event.c.text).where(schema.event.c.seq == seq))
    return 0 if text is None else int(json.loads(text)["at"])


def cursor(tx: Connection) -> int:
    """Return the number of the last event that the relay knows of, by the log or by the snapshot."""
    found = state(tx)
    return max(last_seq(tx), 0 if found is None else int(found["seq"]))


def events_after(tx: Connection, seq: int) -> list[JsonObject]:
    """Return up to 500 events after a number, ascending, without a gap; empty when the next one is not kept."""
    table = schema.event.c
    query = select(table.text).where(table.seq > seq).order_by(table.seq).limit(EVENTS_MAX)
    found = [json.loads(text) for text in tx.scalars(query)]
    return found if found and found[0]["seq"] == seq + 1 else []
