"""The dialling side of a pipe's link: checks, handshake, consent and SRTP over a socket that somebody else holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Protocol

from pylibsrtp import Error as SrtpError

from folkmoot_media.forwarding.model import Copy
from folkmoot_media.forwarding.packets import RTP_HEADER, stamp_block
from folkmoot_media.transport.active import ANSWERS_AWAITED, ActiveTransport
from folkmoot_media.transport.aiortc_adapter import DtlsIdentity, Fingerprint

CHECK_PERIOD_AT_FIRST = 0.2
CHECK_PERIOD = 2.5
CHECKS_IN_PATIENCE = 8
RENEW_AFTER = 5.5
CHECK_PERIOD_IN_SILENCE = 0.5
SILENCE = 3.0
UNUSED_TIMEOUT = 600.0
VERSION_2, WITH_EXTENSION = 0x80, 0x90


Arrived = tuple[bytes, float]
"""A datagram, and when it reached the machine."""


class LinkState(StrEnum):
    """Where a pipe's link stands."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    LOST = "lost"


class Outlet(Protocol):
    """A socket of its own towards the other end; neither method may raise."""

    def send(self, data: bytes) -> None:
        """Send a datagram, or lose it."""
        ...

    def renew(self) -> None:
        """Go on from another port, and to the next of the addresses."""
        ...

    def close(self) -> None:
        """Let the socket go."""
        ...


class DialledLink:
    """Keeps one link to an ICE-lite end alive; all times in seconds."""

    def __init__(
        self,
        identity: DtlsIdentity,
        rng: Callable[[int], bytes],
        take: Callable[[bytes, bool, float, float], None],
        patience: float,
        now: float,
    ) -> None:
        """Prepare a link.

        Args:
            identity: the worker's certificate.
            rng: gives random bytes.
            take: is given every RTP and (true) RTCP packet of the other end, decrypted, the time and its arrival.
            patience: how long to go on without an answer.
            now: seconds.
        """
        self.state = LinkState.NEW
        self.reason = ""
        self._active = ActiveTransport(
            identity,
            self._send,
            rng,
            lambda data: self._give(data, False),
            lambda data: self._give(data, True),
        )
        self._take = take
        self._patience = patience
        self._outlet: Outlet | None = None
        self._created = self._now = self._arrived = now
        self._heard = self._checked = 0.0
        self._asked_at: dict[bytes, float] = {}
        self._round_trip: float | None = None
        self._heard_anything = 0.0
        # When a packet last came or another port was tried.
        self._stirred = 0.0

    @property
    def fingerprints(self) -> list[Fingerprint]:
        """The digests of our certificate."""
        return self._active.fingerprints

    def _send(self, data: bytes) -> None:
        if self._outlet is not None:
            self._outlet.send(data)

    def dial(
        self, fragment: str, password: str, fingerprints: Sequence[Fingerprint], outlet: Outlet, now: float
    ) -> None:
        """Begin; the other end's certificate must have these fingerprints."""
        self._active.set_remote(fragment, password, fingerprints)
        self._outlet = outlet
        self.state = LinkState.CONNECTING
        self._heard = self._heard_anything = self._stirred = now
        self._check(now)

    def _check(self, now: float) -> None:
        self._now = self._checked = now
        self._active.check()
        self._asked_at[self._active.asked] = now
        if len(self._asked_at) > ANSWERS_AWAITED:
            del self._asked_at[next(iter(self._asked_at))]

    def receive(self, data: bytes, now: float, arrived: float) -> None:
        """Take a datagram from the outlet."""
        if self.state is LinkState.LOST:
            return
        self._now, self._arrived = now, arrived
        self._active.receive(data)
        asked_at = self._asked_at.pop(self._active.answered, None)
        if asked_at is not None:
            self._heard = self._heard_anything = self._stirred = now
            self._round_trip = max(0.0, arrived - asked_at)
        self._follow()

    def _give(self, data: bytes, control: bool) -> None:
        self._heard_anything = self._stirred = self._now
        self._take(data, control, self._now, self._arrived)

    def take_round_trip(self) -> float | None:
        """Return the round trip that a check has shown since the last call, if one has."""
        found, self._round_trip = self._round_trip, None
        return found

    def _follow(self) -> None:
        if self._active.failed:
            connected = self.state is LinkState.CONNECTED
            self._lose("dtls-closed" if connected else "dtls-failed")
        elif self._active.connected and self.state is LinkState.CONNECTING:
            self.state = LinkState.CONNECTED

    def _lose(self, reason: str) -> None:
        self.state, self.reason = LinkState.LOST, reason

    def poll(self, now: float) -> None:
        """Check, repeat and give up where it is time; call every 50 ms or so."""
        outlet = self._outlet
        if outlet is None or self.state is LinkState.LOST:
            if self.state is LinkState.NEW and now - self._created > UNUSED_TIMEOUT:
                self._lose("unused")
            return
        self._now = now
        self._active.poll()
        self._follow()
        connected = self.state is LinkState.CONNECTED
        if now - self._heard > self._patience:
            self._lose("consent-expired" if connected else "connect-timeout")
            return
        silent = now - self._heard_anything > SILENCE
        usual = min(CHECK_PERIOD, self._patience / CHECKS_IN_PATIENCE)
        period = min(usual, CHECK_PERIOD_IN_SILENCE) if silent else usual
        if not connected and not silent:
            period = CHECK_PERIOD_AT_FIRST
        if now - self._stirred > RENEW_AFTER:
            # Nothing comes back: another port may find its way where an address translator has forgotten this one.
            self._stirred = now
            outlet.renew()
            self._check(now)
        elif now - self._checked >= period:
            self._check(now)

    def send_copy(self, payload: bytes, copy: Copy) -> bool:
        """Protect and send one RTP packet, which on a pipe has no words; say whether it left."""
        _, second, sequence, timestamp, ssrc, head, stamp = copy
        first = WITH_EXTENSION if stamp else VERSION_2
        header = RTP_HEADER.pack(first, second, sequence, timestamp, ssrc)
        if stamp:
            header += stamp_block(stamp)
        try:
            self._active.send_rtp(header + head + payload[len(head) :])
        except (ConnectionError, SrtpError, ValueError):
            return False
        return True

    def send_control(self, compound: bytes) -> bool:
        """Protect and send an RTCP compound; say whether it left."""
        try:
            self._active.send_rtcp(compound)
        except (ConnectionError, SrtpError, ValueError):
            return False
        return True

    def close(self) -> None:
        """Say goodbye and let the outlet go."""
        if self.state is not LinkState.LOST:
            self._active.close()
            self._lose("closed")
        if self._outlet is not None:
            self._outlet.close()
            self._outlet = None
