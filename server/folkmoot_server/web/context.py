"""What handlers and commands receive from the composition root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from folkmoot_config.settings import Settings
from folkmoot_server.realtime.arrivals import Arrivals
from folkmoot_server.realtime.media_signalling import MediaSignalling
from folkmoot_server.storage.database import Database
from folkmoot_server.web.pictures import Pictures

Rng = Callable[[int], bytes]
Clock = Callable[[], int]


@dataclass(frozen=True)
class Context:
    """Ports and values of one running installation."""

    settings: Settings
    database: Database
    media: MediaSignalling
    server_key: bytes  # 32-byte Ed25519 seed; signs ledger and boards, never leaves the process
    now: Clock  # seconds since 1970-01-01 UTC
    rng: Rng  # n -> n random bytes; secrets.token_bytes in production
    arrivals: Arrivals = field(default_factory=Arrivals)
    pictures: Pictures = field(default_factory=Pictures)


CONTEXT: web.AppKey[Context] = web.AppKey("context", Context)
