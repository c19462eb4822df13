"""How well what a seat sends arrives: what is lost of voice and pictures for good, and how unevenly they come."""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from folkmoot_media.forwarding.ladder import HEAVY_LOSS, LIGHT_LOSS, Alarm

if TYPE_CHECKING:
    from folkmoot_media.forwarding.model import Leg
    from folkmoot_media.forwarding.reception import Reception

SEEN_PERIODS = 6
FEWEST_PACKETS = 20
# Receivers' buffers even this out; what comes later is as good as lost.
LATE = 0.2
HARDLY_LATE = 0.1
# More than this is no delay: a source has begun anew.
LONGEST = 5.0
TELL_GAP = 2.0
TROUBLE_PERIOD = 6.0


class Told(NamedTuple):
    """What is told: the source that arrives badly (None: none), the share lost of it, how late the rest comes (s)."""

    source: str | None
    loss: float
    late: float

    def describe(self) -> dict[str, object]:
        """Return the event's data (media_control.md section 3) without the owner."""
        return {"source": self.source, "loss": round(self.loss, 3), "late_ms": round(self.late * 1000)}


class Arrival:
    """What of one source arrived over the last few periods.

    `late` is the median of how long after the earliest packet of them all the latest of each period came.
    """

    __slots__ = ("_before", "_counted", "_late", "_lost", "_transits", "late", "loss")

    def __init__(self) -> None:
        self.loss = self.late = 0.0
        self._transits: deque[tuple[float, float]] = deque(maxlen=SEEN_PERIODS)
        self._before: dict[int, tuple[Reception, int, int]] = {}
        self._counted: deque[tuple[int, int]] = deque(maxlen=SEEN_PERIODS)
        self._lost = Alarm(HEAVY_LOSS, LIGHT_LOSS)
        self._late = Alarm(LATE, HARDLY_LATE)

    @property
    def bad(self) -> bool:
        """Whether so much is lost or late that others notice."""
        return self._lost.on or self._late.on

    def see(self, receptions: list[Reception], now: float) -> None:
        """Count what has come since the last call, repairs included; a source that sends nothing arrives well."""
        expected = received = 0
        before, self._before = self._before, {}
        for reception in receptions:
            if reception.first < 0:
                continue
            due = reception.highest - reception.first + 1
            self._before[id(reception)] = reception, due, reception.received
            known = before.get(id(reception))
            if known is not None:
                expected += due - known[1]
                received += reception.received - known[2]
        self._counted.append((expected, received))
        expected = sum(one for one, _ in self._counted)
        received = sum(one for _, one in self._counted)
        enough = expected >= FEWEST_PACKETS
        self.loss = max(0.0, 1 - received / expected) if enough else 0.0
        transits = receptions[0].take_transits() if receptions else None
        if not enough:  # what is older than a silence says nothing of what comes after it
            self._transits.clear()
        self.late = self._lateness(transits) if enough else 0.0
        self._lost.see(self.loss, now)
        self._late.see(self.late, now)

    def _lateness(self, transits: tuple[float, float] | None) -> float:
        """One delay alone, after which all goes on as before, says nothing; of several layers the smallest counts."""
        if transits is not None:
            self._transits.append(transits)
        if len(self._transits) < SEEN_PERIODS:
            return 0.0
        earliest = min(first for first, _ in self._transits)
        late = median(last for _, last in self._transits) - earliest
        if late > LONGEST:
            self._transits.clear()
            return 0.0
        return late


class Uplink:
    """Judges one leg's sources; call `see` twice a second."""

    __slots__ = ("_sources", "_told", "_told_at")

    def __init__(self) -> None:
        self._sources: dict[str, Arrival] = {}
        self._told = Told(None, 0.0, 0.0)
        self._told_at = float("-inf")

    @property
    def troubled(self) -> bool:
        """Whether something was told to arrive badly."""
        return self._told.source is not None

    def see(self, leg: Leg, now: float) -> Told | None:
        """Take what has arrived; return what has to be told now: changes, and in trouble the figures now and then."""
        sending = {producer.spec.source: producer for producer in leg.producers.values()}
        for source in sending.keys() | self._sources.keys():
            producer = sending.get(source)
            layers = [] if producer is None or producer.silent else producer.layers
            self._sources.setdefault(source, Arrival()).see([layer.reception for layer in layers], now)
        if now - self._told_at < TELL_GAP:
            return None
        # A voice counts most: who is not heard cannot even say so.
        bad = sorted((source != "microphone", source) for source, arrival in self._sources.items() if arrival.bad)
        told = Told(None, 0.0, 0.0)
        if bad:
            arrival = self._sources[bad[0][1]]
            told = Told(bad[0][1], arrival.loss, arrival.late)
        stale = told.source is not None and now - self._told_at >= TROUBLE_PERIOD
        if told.source == self._told.source and not stale:
            return None
        self._told, self._told_at = told, now
        return told
