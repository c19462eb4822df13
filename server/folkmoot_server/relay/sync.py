"""What a relay and its hub tell each other: starts, feed, leases, the outbox; each in its own loop, each for ever."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from folkmoot_server.domain.closed_sessions import History
from folkmoot_server.domain.errors import FolkmootError, WrongState
from folkmoot_server.domain.ids import from_b64u
from folkmoot_server.domain.relays import ENTRIES_MAX, Kind, start_hash
from folkmoot_server.relay import closed, ending, hall, ledger_proofs, outbox, people, store
from folkmoot_server.relay.ahead import Ahead
from folkmoot_server.relay.catalogue import Catalogue
from folkmoot_server.relay.hall import Hall
from folkmoot_server.relay.hub import HubRefusedError, HubSilentError
from folkmoot_server.relay.node import Node
from folkmoot_server.relay.nonces import Seed
from folkmoot_server.relay.outbox import Place
from folkmoot_server.relay.outbox_chain import Head, Wish
from folkmoot_server.relay.store import Start
from folkmoot_server.storage.database import StoreClosedError, StoreFailedError
from folkmoot_voting import signing
from folkmoot_voting.encoding import JsonObject, b64u

log = logging.getLogger("folkmoot.relay")
FEED_WAIT_S: Final = 4  # shorter than the time after which the link counts as cut
FEED_ANSWER_S: Final = 60.0  # a first snapshot over a thin link takes long
LEASE_EVERY_S: Final = 4.0
LEASE_ANSWER_S: Final = 7.0
UPLOAD_ANSWER_S: Final = 60.0
HERE_EVERY_S: Final = 60.0
HERE_NEW_S: Final = 10.0
HERE_LOOK_S: Final = 1.0
TICK_S: Final = 0.25
END_LOOK_S: Final = 1.0
SWEEP_EVERY_S: Final = 60.0
BACKOFF_FIRST_S: Final = 0.5
BACKOFF_LONGEST_S: Final = 5.0
RENEW_BEFORE_S: Final = 1800
STATE_LEAST_S: Final = 10.0
STATE_SHARE: Final = 20.0  # a new snapshot takes at most a twentieth of the line
# What a page can show from the snapshot alone: a hall that is cut off right after it must know it.
TELLS_LITTLE: Final = frozenset({"ElectionOpened", "MeetingOpened", "MotionPutToVote"})
PIECE_FIRST: Final = 16 * 1024
PIECE_LEAST: Final = 4 * 1024
PIECE_MOST: Final = 192 * 1024
PIECE_QUICK_S: Final = 2.0
PIECE_SLOW_S: Final = 8.0
BUSY: Final = "ballot.busy"  # the same entries are sent again
STARTS_ANEW: Final = frozenset({"relay.no-session", "relay.superseded"})
ENDS: Final = {
    "relay.revoked": "The hub has ended this relay's right. Enrol it anew in an empty folder, with a new code.",
    "relay.twice": "The hub has seen two computers with this relay's key. Enrol it anew in an empty folder.",
    "relay.unknown": "The hub does not know this relay. Enrol it anew in an empty folder.",
}
ENDED_VOTE: Final = frozenset({"ElectionClosed", "ElectionAborted", "ElectionVoided"})


class Sync:
    """The loops between one relay and its hub; `here` names the members whose phones are connected."""

    def __init__(self, node: Node, here: Callable[[], Collection[str]]) -> None:
        self._node, self._here = node, here
        self._tasks: list[asyncio.Task[None]] = []
        self._started, self._leased = asyncio.Event(), asyncio.Event()
        self._renewed = -LEASE_EVERY_S
        self._named = ""  # the list of those who are here that the hub holds
        self._piece = PIECE_FIRST
        self._fetching = Ahead(node)
        self._newer: JsonObject | None = None  # a snapshot that waits for the events before it
        self._state_due = 0.0
        self._leaves_due = True
        self._state_seq = 0
        self._state_taken = 0.0

    async def begin(self) -> None:
        """Start the loops."""
        loops = (self._feed, self._lease, self._upload, self._watch, self._record_here, self._ahead, self._end)
        self._tasks = [asyncio.create_task(self._for_ever(one), name=one.__name__) for one in loops]

    async def close(self) -> None:
        """Stop the loops; what waits in the outbox goes out after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _for_ever(self, round_: Callable[[], Awaitable[None]]) -> None:
        """Run a round again and again; after a failure ever more slowly, up to five seconds."""
        wait = BACKOFF_FIRST_S
        said = ""
        while True:
            try:
                await round_()
                wait, said = BACKOFF_FIRST_S, ""
                continue
            except StoreClosedError:
                return
            except HubSilentError as error:
                reason = f"hub silent: {error}"
            except HubRefusedError as error:
                self._refused(error)
                reason = f"hub refused: {error.code}"
            except (FolkmootError, StoreFailedError, DBAPIError) as error:
                reason = getattr(error, "code", type(error).__name__)
            except Exception as error:  # the edge of a loop that must go on
                reason = f"accident: {type(error).__name__}"
            if reason != said:
                log.warning("relay.%s %s", round_.__name__.strip("_"), reason)
                said = reason
            share = int.from_bytes(self._node.rng(2), "big") / 65536
            await asyncio.sleep(wait * (0.75 + share / 2))
            wait = min(wait * 2, BACKOFF_LONGEST_S)

    def _refused(self, error: HubRefusedError) -> None:
        if error.code in STARTS_ANEW:
            self._started.clear()
        elif error.code in ENDS:
            self._node.stop(error.code, ENDS[error.code])

    # -- starts -------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Ask the hub for a new start.

        Raises:
            HubSilentError, HubRefusedError: it gave none.
            WrongState: it is another hub.
        """
        node, identity = self._node, self._node.identity
        await require_hub(node)
        before = node.start
        epoch = 0 if before is None else before.epoch
        at, nonce, upto = int(time.time()), node.rng(32), node.acknowledged.seq
        signature = signing.sign(node.seed, start_hash(identity.relay, at, nonce, epoch, upto))
        body = {"relay": identity.relay, "at": at, "nonce": b64u(nonce), "epoch": epoch, "upto": upto}
        answer = await node.hub.post("/api/relay/start", {**body, "sig": b64u(signature)})
        seed = Seed(from_b64u(answer["seed"]), int(answer["seed_until"]))
        start = Start(str(answer["token"]), int(answer["epoch"]), seed, int(answer["now"]) - int(time.time()))
        roll = {} if answer.get("roll") is None else {"roll": answer["roll"]}
        self._check(roll)

        def run(tx: Connection) -> None:
            store.set_start(tx, start)
            if not node.over:
                store.set_parts(tx, roll)

        await node.database.write(run)
        node.start, node.hub.token = start, start.token
        node.clock.adopt(int(answer["now"]))
        await self._take_cursor(answer)
        self._leased.clear()
        with contextlib.suppress(HubSilentError, HubRefusedError):  # then in its own loop
            await self._renew()  # on the connection that is there, before anything large is asked for
        self._started.set()
        log.info("relay.started epoch=%d", start.epoch)

    def _check(self, parts: JsonObject) -> None:
        wrong = hall.problem(self._node.identity, parts)
        if wrong is not None:
            raise WrongState("relay.hub-key", f"What the hub sent does not hold: {wrong.message}")

    async def _take_cursor(self, answer: JsonObject) -> None:
        """Follow how far the hub says that it has the outbox; a smaller number is a hub from an older backup."""
        node = self._node
        upto = int(answer["upto"])
        head = Head(upto, from_b64u(answer["head"]) if answer["head"] else b"")
        ended = await node.database.read(store.over)
        if ended is not None and upto < ended[1].seq:
            log.error("relay.rewound-too-far upto=%d", upto)  # what it lacks was deleted when it had it
            return
        ours = await node.database.read(lambda tx: outbox.head_at(tx, upto))
        if ours != head:
            node.unwanted = True
            raise WrongState("relay.forked", "The hub holds another outbox under this relay's name.")
        if head != node.acknowledged:
            await node.database.write(lambda tx: store.set_acknowledged(tx, head))
            if upto < node.acknowledged.seq:
                log.warning("relay.rewound upto=%d", upto)
            node.acknowledged = head
            node.queued.set()

    # -- feed ---------------------------------------------------------------------------------------------------

    async def _feed(self) -> None:
        node = self._node
        expires = 0 if node.start is None else node.start.seed.until - RENEW_BEFORE_S
        if not self._started.is_set() or node.clock() >= expires:
            await self.start()
        stale = (
            not node.over
            and node.cursor > self._state_seq
            and self._newer is None
            and time.monotonic() >= self._state_due
        )
        after = 0 if node.cursor == 0 or stale else node.cursor
        at = await node.database.read(lambda tx: store.heard_at(tx, after))
        have = ",".join(sorted(node.parts.values()))
        path = f"/api/relay/feed?after={after}&at={at}&wait={FEED_WAIT_S if after else 0}&have={have}"
        begun = time.monotonic()
        answer = await node.hub.get(path, wait_s=FEED_ANSWER_S)
        if after == 0:
            self._state_taken = time.monotonic() - begun
        parts = {name: answer[name] for name in store.PARTS if answer.get(name) is not None}
        self._check(parts)
        state = answer.get("state")
        if stale and state is not None and node.cursor > 0:  # beside the log, which goes on from where it is
            self._newer = state
            state, answer["events"] = None, []
        if node.over:
            await self._hand_on(answer.get("events") or [], state, parts)
            return
        await self._apply(answer.get("events") or [], state, parts)
        if "checkpoint" in parts or self._leaves_due:
            self._leaves_due = True  # until none is missing, and again after a failure
            self._leaves_due = await ledger_proofs.fetch(node)

    async def _apply(self, events: list[JsonObject], state: JsonObject | None, parts: JsonObject) -> None:
        node, ends = self._node, list[bool]()

        def run(tx: Connection) -> tuple[list[JsonObject], int, dict[str, Any], History | None]:
            if store.over(tx) is not None:
                return [], node.cursor, {}, None
            if state is not None:
                store.set_state(tx, state)
            new = store.add_events(tx, events)
            cursor = store.cursor(tx)
            if self._newer is not None and self._state_seq <= self._newer["seq"] <= cursor:
                store.put(tx, "state", self._newer)
            store.set_parts(tx, parts)
            closing = closed.follow(tx, node.identity.site, state, new)
            if ending.is_end(new, state or self._newer):
                store.put(tx, "ended", True)
                ends.append(True)
            held = store.parts(tx)
            vote = held.get("manifest")
            ended = {event["body"]["election"] for event in new if event["type"] in ENDED_VOTE}
            if vote is not None and vote["manifest"]["election"] in ended:
                store.drop_part(tx, "manifest")
                del held["manifest"]
            return new, cursor, held, closed.history(tx) if closing else None

        new, cursor, held, history = await node.database.write(run)
        node.parts = {name: store.digest_of(part) for name, part in held.items()}
        node.hall = hall.build(held)
        if ends:
            node.ended.set()
        if history is not None:  # also when it ended: the snapshot is another one then
            node.closed = history
            self._state_due = 0.0
        if "papers" in parts or history is not None:
            node.catalogue = Catalogue(held.get("papers", []), node.catalogue.pages())
            node.papers_changed.set()
        if self._newer is not None and self._newer["seq"] <= cursor:
            node.take_line(self._newer)
            self._took_state(max(self._state_seq, self._newer["seq"]))
        if any(event["type"] in TELLS_LITTLE for event in new):
            self._state_due = 0.0
        if state is not None:
            self._took_state(state["seq"])
            node.take_line(state)
            node.skip(state["seq"])
        node.hear(new)

    async def _hand_on(self, events: list[JsonObject], state: JsonObject | None, parts: JsonObject) -> None:
        """Give phones the news of a meeting that is over, and keep nothing of it."""
        node = self._node
        node.parts.update({name: store.digest_of(part) for name, part in parts.items()})
        start = node.cursor if state is None else int(state["seq"])
        new = [event for place, event in enumerate(events, start + 1) if event["seq"] == place]
        cursor, head = start + len(new), node.acknowledged
        if cursor != node.cursor:
            await node.database.write(lambda tx: store.set_over(tx, cursor, head))
        if state is not None:
            node.skip(start)
        node.hear(new)

    def _took_state(self, seq: int) -> None:
        self._state_seq, self._newer = seq, None
        self._state_due = time.monotonic() + max(STATE_LEAST_S, STATE_SHARE * self._state_taken)

    # -- leases and the link ------------------------------------------------------------------------------------

    async def _lease(self) -> None:
        await asyncio.sleep(max(0.0, self._renewed + LEASE_EVERY_S - time.monotonic()))
        await self._started.wait()
        await self._renew()

    async def _renew(self) -> None:
        node = self._node
        here = sorted(self._here())
        digest = store.digest_of(here)
        same: JsonObject = {"same": digest} if digest == self._named else {"here": here}
        answer = await node.hub.post(
            "/api/relay/lease", {**same, "upto": node.acknowledged.seq}, wait_s=LEASE_ANSWER_S
        )
        self._named = digest if answer.get("named") else ""
        await self._take_cursor(answer)
        if "same" in same and not self._named:  # the hub was started anew
            await self._renew()
            return
        self._leased.set()
        self._renewed = time.monotonic()

    async def _watch(self) -> None:
        next_sweep = time.monotonic() + SWEEP_EVERY_S
        while True:
            await self._node.tick()
            if self._node.link.cut:
                self._leased.clear()
            if time.monotonic() >= next_sweep:
                now = self._node.clock()
                await self._node.database.write(lambda tx: people.sweep(tx, now))  # noqa: B023  awaited at once
                next_sweep = time.monotonic() + SWEEP_EVERY_S
            await asyncio.sleep(TICK_S)

    async def _record_here(self) -> None:
        """Say in a cut who is still in the hall: once a minute, and soon when members have come since.

        After a start the first phones come seconds before the others, whose intervals would have a gap of a minute.
        """
        node = self._node
        await node.cut.wait()
        members = await self._in_hall()
        if not members or node.start is None or node.over:
            await asyncio.sleep(HERE_LOOK_S)
            return
        wish = Wish(Kind.HERE, "", {"members": sorted(members)})
        await node.queue(wish, lambda _tx, _hall: (wish, Place()))
        said = time.monotonic()
        while not node.linked.is_set():
            passed = time.monotonic() - said
            if passed >= HERE_EVERY_S or (passed >= HERE_NEW_S and not members.issuperset(await self._in_hall())):
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HERE_LOOK_S):
                    await node.linked.wait()

    async def _in_hall(self) -> frozenset[str]:
        """Return whose phones are connected; while the hall's page is, also who is there by its kiosk."""
        node, members = self._node, frozenset(self._here())
        if not node.hall_open():
            return members
        after = node.acknowledged.seq  # what the hub has taken is in its list
        waiting = await node.database.read(lambda tx: outbox.at_kiosk(tx, after))
        return members | node.hall.kiosk.keys() | waiting

    async def _ahead(self) -> None:
        await self._started.wait()
        await self._fetching.round()

    async def _end(self) -> None:
        """Delete what is kept of the meeting as soon as it is over and the hub has everything."""
        node = self._node
        if not node.over:
            await node.ended.wait()
            if not await node.database.write(ending.wipe):
                await asyncio.sleep(END_LOOK_S)
                return
            node.over, node.hall, node.catalogue = True, Hall(), Catalogue()
            node.papers_changed.set()  # a piece that is arriving now makes its file anew: look again behind it
            log.info("relay.over")
        await ending.clean(node)
        await asyncio.Event().wait()

    # -- outbox -------------------------------------------------------------------------------------------------

    async def _upload(self) -> None:
        node = self._node
        await node.queued.wait()
        await self._started.wait()
        await self._leased.wait()  # the hub takes a hand of those only whom it knows to be here
        node.queued.clear()
        try:
            while await self._send_piece():
                pass
        except BaseException:
            node.queued.set()
            raise

    async def _send_piece(self) -> bool:
        """Send what the hub does not have yet, as much as the link bears; False when nothing is left."""
        node, after, size = self._node, self._node.acknowledged, self._piece

        def read(tx: Connection) -> tuple[list[JsonObject], int]:
            return outbox.page(tx, after.seq, size, ENTRIES_MAX), outbox.head(tx).seq

        entries, last = await node.database.read(read)
        if not entries:
            return False
        begun = time.monotonic()
        node.bringing = entries[-1]["seq"]
        try:
            body = {"entries": entries, "left": last - entries[-1]["seq"]}
            answer = await node.hub.post("/api/relay/outbox", body, wait_s=UPLOAD_ANSWER_S)
            await self._outcome(answer)
        except HubSilentError:
            self._piece = max(PIECE_LEAST, self._piece // 2)
            raise
        except HubRefusedError as error:
            node.unwanted = error.code not in STARTS_ANEW | {BUSY}
            raise
        finally:
            node.bringing = 0
        taken = time.monotonic() - begun
        if taken < PIECE_QUICK_S:
            self._piece = min(PIECE_MOST, self._piece * 2)
        elif taken > PIECE_SLOW_S:
            self._piece = max(PIECE_LEAST, self._piece // 2)
        await self._take_cursor(answer)
        node.unwanted = node.acknowledged == after
        if node.unwanted:
            raise WrongState("relay.forked", "The hub did not take the outbox.")
        return True

    async def _outcome(self, answer: JsonObject) -> None:
        """Keep what the hub says of the entries that were sent; a hub of before promises gives none."""
        node = self._node
        refused = [(int(one["seq"]), str(one["code"])) for one in answer["refused"]]
        promises = answer.get("promises", [])
        if not refused and not promises:
            return

        def run(tx: Connection) -> int:
            outbox.refuse(tx, refused)
            return outbox.keep_promises(tx, promises, node.identity.hub_key)

        if await node.database.write(run):
            log.error("relay.promise-unsigned")
        if refused:  # the number alone: where few vote, a code with its time tells who has voted again
            log.warning("relay.entries-refused count=%d", len(refused))


async def require_hub(node: Node) -> None:
    """Check that the hub is the one that enrolled this relay.

    Raises:
        WrongState: its ledger has another key.
        HubSilentError, HubRefusedError: it does not say.
    """
    node.hub.trusted = False
    answer = await node.hub.get("/api/ledger?from=0&to=0", of_anybody=True)
    if answer.get("key") != b64u(node.identity.hub_key):
        raise WrongState("relay.hub-key", "This is not the hub that enrolled this relay: its key is another.")
    node.hub.trusted = True
