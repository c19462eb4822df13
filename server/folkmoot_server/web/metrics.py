"""Figures for Prometheus, on a port of their own that only the operator's machine reaches.

They say how much and how long, never who: labels are routes, event-independent states, room ids and worker numbers.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

UNROUTED: Final = "other"
BUCKETS: Final = (0.005, 0.02, 0.05, 0.1, 0.3, 1.0, 3.0, 10.0)
# What a worker tells under these names only grows; everything else may fall.
_GROWING: Final = frozenset(
    {
        "cpu_seconds",
        "packets_sent",
        "copies_dropped",
        "datagrams",
        "send_failed",
        "contained_errors",
        "stream_refused",
        "stream_dropped",
    }
)
_UNTOLD: Final = frozenset({"pid", "routers", "transports"})
# What crosses all pipes of a worker (pipe.stats); the first 100 are told.
_OF_PIPES: Final = ("voices_offered", "voices_crossing", "videos_offered", "layers_crossing", "mirrored")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is asked of the installation at one scrape."""

    sockets: Mapping[str, int]  # meeting -> accepted sockets
    writes_waiting: int
    meetings: Mapping[str, int]  # state -> how many
    rooms: Sequence[Mapping[str, Any]]  # "room" and numbers by name
    workers: Sequence[Mapping[str, Any]]  # worker.stats of media_control.md


Source = Callable[[], Awaitable[Snapshot]]


class Metrics:
    """Counts requests as a middleware and answers scrapes with what `source` tells."""

    def __init__(self, source: Source) -> None:
        """Ask `source` at every scrape."""
        self._source = source
        self._registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = Counter("folkmoot_http_requests", "Answered requests.", labels, registry=self._registry)
        self._seconds = Histogram(
            "folkmoot_http_seconds", "Time to an answer.", ("route",), registry=self._registry, buckets=BUCKETS
        )

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            began = time.perf_counter()
            status = 500
            try:
                response = await handler(request)
                status = response.status
                return response
            except web.HTTPException as error:
                status = error.status
                raise
            finally:
                route = _route(request)
                self._requests.labels(request.method, route, str(status)).inc()
                if status != 101:  # a WebSocket lasts as long as its meeting
                    self._seconds.labels(route).observe(time.perf_counter() - began)

        self.middleware = middleware

    async def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        now = await self._source()
        scrape = CollectorRegistry()
        scrape.register(_Now(now))
        return generate_latest(self._registry) + generate_latest(scrape)

    def application(self) -> web.Application:
        """Return the application of the operator's port: GET /metrics and nothing else."""

        async def scrape(_request: web.Request) -> web.Response:
            return web.Response(body=await self.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

        app = web.Application()
        app.router.add_get("/metrics", scrape)
        return app


def _route(request: web.Request) -> str:
    """Return the route's pattern, so that no id becomes a label."""
    resource = request.match_info.route.resource
    return UNROUTED if resource is None else resource.canonical


class _Now(Collector):
    """One snapshot as metric families."""

    def __init__(self, now: Snapshot) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        now = self._now
        yield _gauge("folkmoot_sockets", "Accepted sockets.", "meeting", now.sockets)
        yield _gauge("folkmoot_meetings", "Meetings by state.", "state", now.meetings)
        waiting = GaugeMetricFamily("folkmoot_writes_waiting", "Writes that wait for the database.")
        waiting.add_metric([], now.writes_waiting)
        yield waiting
        for name in sorted({key for room in now.rooms for key in room if key != "room"}):
            figures = {str(room["room"]): room[name] for room in now.rooms}
            yield _gauge(f"folkmoot_room_{name}", f"Rooms: {name}.", "room", figures)
        yield from _workers(now.workers)


def _gauge(name: str, text: str, label: str, figures: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, figure in sorted(figures.items()):
        family.add_metric([value], figure)
    return family


def _workers(workers: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    flat = [_flat(worker) for worker in workers]
    for name in sorted({key for figures in flat for key in figures}):
        growing = name in _GROWING or name.startswith("counted_")
        make = CounterMetricFamily if growing else GaugeMetricFamily
        family = make(f"folkmoot_media_{name}", f"Media workers: {name}.", labels=["worker"])
        for worker, figures in enumerate(flat):
            if name in figures:
                family.add_metric([str(worker)], figures[name])
        yield family


def _flat(worker: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a worker, its own counters with a prefix; lists count by their length."""
    found: dict[str, float] = {"routers": _number(worker["routers"]), "transports": _number(worker["transports"])}
    for key, value in worker.items():
        if key == "counters":
            found |= {f"counted_{name}": float(count) for name, count in value.items()}
        elif key == "pipes":
            found |= {f"pipe_{name}": sum(_number(pipe[name]) for pipe in value) for name in _OF_PIPES}
        elif key not in _UNTOLD and isinstance(value, int | float):
            found[key] = float(value)
    return found


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float(len(value))
