"""One WebRTC transport as seen from the socket: credentials, paths, DTLS, SRTP, and what may be sent where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from struct import Struct
from typing import Any

from pylibsrtp import Error as SrtpError

from folkmoot_media.transport.aiortc_adapter import DtlsIdentity, SrtpPair
from folkmoot_media.transport.dtls import DtlsEndpoint, DtlsState
from folkmoot_media.transport.limits import TokenBucket

Address = tuple[str, int] | tuple[str, int, int, int]
Send = Callable[[bytes, Address], None]

# In place of an IPv6 flow label: the address is one TCP connection, its last number tells it from all others.
STREAM = -1
AMPLIFICATION = 3
MAXIMUM_PATHS = 8
MAXIMUM_PENDING = 8
UNPROVEN_RATE = 8000.0
UNPROVEN_BURST = 4000.0
UNPROVEN_AUDIO_FOR = 10.0
PROBING_RATE = 1000.0
MAXIMUM_CHALLENGES = 16
CHALLENGE_MASK = 0x3FF
PACKETS_PER_SECOND = 6000
CONTROL_PER_SECOND = 200
CHECKS_PER_SECOND = 50
SENDER_REPORT_TYPE = 200
# Nothing is sent for longer than this without a good check (RFC 7675); keys and streams are kept for `PATIENCE`.
CONSENT_TIMEOUT = 30.0
PATIENCE = 75.0
_LONG = Struct("!L")


def is_stream(address: Address) -> bool:
    """Say whether an address is a TCP connection."""
    return len(address) == 4 and address[2] == STREAM


def family(address: Address) -> str:
    """Return "ipv4" (also when mapped into IPv6) or "ipv6"."""
    return "ipv6" if ":" in address[0] and not address[0].startswith("::ffff:") else "ipv4"


@dataclass(slots=True)
class Path:
    """An address that has passed a STUN check, with the bytes of both directions; `fragment` is of the last check."""

    address: Address
    fragment: str = ""
    received: int = 0
    sent: int = 0
    last_check: float = 0.0
    proven: bool = False
    moved_at: float = 0.0
    challenges: list[int] = field(default_factory=list)
    bucket: TokenBucket = field(default_factory=lambda: TokenBucket(UNPROVEN_RATE, UNPROVEN_BURST))


@dataclass(slots=True, frozen=True)
class Credentials:
    """An ICE username fragment and password of ours."""

    fragment: str
    password: str


class Endpoint:
    """A transport's network side. Also the `Sink` of its leg: `route` is read by the fan-out back end for every
    copy, and what it stands for whenever it is None.

    `route` belongs to the back end; every change of what may be sent where clears it, and `on_unrouted` is called.
    """

    def __init__(
        self,
        transport_id: str,
        credentials: Credentials,
        identity: DtlsIdentity,
        send: Send,
        rng: Callable[[int], bytes],
        now: float,
    ) -> None:
        self.id = transport_id
        self.credentials = [credentials]
        self.used_fragments: set[str] = set()  # those with which a check has passed
        self.dtls = DtlsEndpoint(identity)
        self.paths: dict[Address, Path] = {}
        self.selected: Path | None = None
        self.address: Address | None = None
        self.keys: SrtpPair | None = None
        self.protect: Callable[[bytes], bytes] | None = None
        self.route: Any = None
        self.on_unrouted: Callable[[], None] | None = None
        self.restricted = False
        self.created = now
        self.patience = PATIENCE
        self.last_check: float | None = None
        self.round_trip: float | None = None
        self.packet_budget = TokenBucket(PACKETS_PER_SECOND, PACKETS_PER_SECOND)
        self.control_budget = TokenBucket(CONTROL_PER_SECOND, CONTROL_PER_SECOND)
        # Checks from new addresses have a bucket of their own: whoever knows only the username fragment must not
        # be able to use up the consent checks of the path in use.
        self.known_checks = TokenBucket(CHECKS_PER_SECOND, 2 * CHECKS_PER_SECOND)
        self.new_checks = TokenBucket(CHECKS_PER_SECOND, 2 * CHECKS_PER_SECOND)
        self.counters = {"unprotect_failed": 0, "over_budget": 0, "withheld": 0}
        self.packets_in = self.octets_in = 0
        self._send = send
        self._rng = rng
        self._pending: list[bytes] = []
        self._handshake_path: Path | None = None
        self._handshake_moved = False
        self._flight_sent = 0.0
        self._clock = now

    def figures(self, now: float) -> dict[str, object]:
        """Return where ICE and DTLS stand and what came in; of the peer's address only its kind."""
        path = self.selected
        return {
            "ice": "new" if self.last_check is None else "checked" if path is not None else "lost",
            "dtls": str(self.dtls.state),
            "family": None if path is None else family(path.address),
            "protocol": None if path is None else "tcp" if is_stream(path.address) else "udp",
            "proven": path is not None and path.proven,
            "paths": len(self.paths),
            "age_s": round(now - self.created, 1),
            "check_s": None if self.last_check is None else round(now - self.last_check, 1),
            "packets_in": self.packets_in,
            "octets_in": self.octets_in,
            **self.counters,
        }

    # -- paths ------------------------------------------------------------------------------------------------

    def add_path(self, address: Address, size: int, now: float, fragment: str = "") -> tuple[Path, Address | None]:
        """Record a passed check from `address` with our credentials `fragment`.

        Returns:
            The path, and the address that had to give way.
        """
        path = self.paths.get(address)
        evicted: Address | None = None
        if path is None:
            if len(self.paths) >= MAXIMUM_PATHS:
                oldest = min(
                    (kept for kept in self.paths.values() if kept is not self.selected),
                    key=lambda kept: kept.last_check,
                )
                evicted = oldest.address
                del self.paths[evicted]
            # Nobody can make a connection in another's name.
            path = self.paths[address] = Path(address, proven=is_stream(address))
        path.fragment = fragment
        path.received += size
        path.last_check = self.last_check = now
        return path, evicted

    def select(self, path: Path, now: float) -> bool:
        """Send to `path` from now on; return True when a finished transport has moved to an unproven path."""
        if path is self.selected:
            return False
        silent = self.selected is None
        self.selected, self.address = path, path.address
        self._unroute()
        if silent and self.on_unrouted is not None:  # what was made for it while it was silent leaves it out
            self.on_unrouted()
        path.moved_at = now
        self.restricted = self.dtls.state is DtlsState.CONNECTED and not path.proven
        return self.restricted

    def lose_path(self, address: Address) -> None:
        """Another transport has taken over `address`: send nothing there any more."""
        path = self.paths.pop(address, None)
        if path is not None and path is self.selected:
            self.fall_silent()

    def fall_silent(self) -> None:
        """Send nothing anywhere until the next good check."""
        self.selected, self.address, self.restricted = None, None, True
        self._unroute()

    def prove(self, last_sender_reports: list[int]) -> bool:
        """Take echoed sender reports; return True when they prove the selected path."""
        path = self.selected
        if path is None or path.proven or not any(echo in path.challenges for echo in last_sender_reports):
            return False
        path.proven = True
        path.challenges.clear()
        self._unroute()
        self.restricted = False
        return True

    def _unroute(self) -> None:
        """Forget what the fan-out back end knew of the way, and tell it when it knew anything."""
        if self.route is not None:
            self.route = None
            if self.on_unrouted is not None:
                self.on_unrouted()

    # -- DTLS -------------------------------------------------------------------------------------------------

    def receive_dtls(self, datagram: bytes, path: Path, now: float) -> bool:
        """Take a DTLS datagram from a checked path; return True when the handshake has just finished."""
        self._clock = now
        before = self.dtls.state
        if self._flight_sent and before is DtlsState.CONNECTING:
            # The time from our flight to its answer: the first, and for a publisher the best, round trip known.
            self.round_trip = now - self._flight_sent
            self._flight_sent = 0.0
        answers = self.dtls.receive(datagram)
        if answers and self.round_trip is None:
            self._flight_sent = now
        if before is not DtlsState.CONNECTED:
            self._handshake_moved |= self._handshake_path not in (None, path)
            self._handshake_path = path
        for answer in answers:
            self.send_guarded(answer, path)
        if before is DtlsState.CONNECTED or self.dtls.state is not DtlsState.CONNECTED:
            return False
        pair = self.dtls.srtp
        if pair is None:
            return False
        self.keys, self.protect = pair, pair.send.protect
        self._unroute()
        # Our flight went to this address and its answer came back from it: that proves the path.
        path.proven = not self._handshake_moved
        if self.selected is not path and not path.proven:
            self.select(path, now)
        self.restricted = self.selected is None or not self.selected.proven
        return True

    def poll_dtls(self, now: float) -> None:
        """Repeat the last flight when its timer has run out."""
        self._clock = now
        path = self._handshake_path
        if path is not None:
            for answer in self.dtls.poll():
                self.send_guarded(answer, path)

    def send_guarded(self, datagram: bytes, path: Path) -> None:
        """Send now, or when more bytes have come from there: at most three times as much goes as came."""
        if self.dtls.state is DtlsState.CONNECTED and path.proven:
            self._send(datagram, path.address)
            return
        if path.sent + len(datagram) <= AMPLIFICATION * path.received:
            path.sent += len(datagram)
            self._send(datagram, path.address)
        elif len(self._pending) < MAXIMUM_PENDING:
            self._pending.append(datagram)

    def flush_pending(self, path: Path) -> None:
        """Send what the limit held back, after more bytes have arrived on the handshake's path."""
        if self._pending and path is self._handshake_path:
            waiting, self._pending = self._pending, []
            for datagram in waiting:
                self.send_guarded(datagram, path)

    # -- SRTP -------------------------------------------------------------------------------------------------

    def unprotect(self, datagram: bytes, control: bool, now: float) -> bytes | None:
        """Return the plain packet, or None when there is no key, it is forged or replayed, or comes too fast."""
        keys = self.keys
        if keys is None:
            return None
        if not (self.control_budget if control else self.packet_budget).take(1.0, now):
            self.counters["over_budget"] += 1
            return None
        try:
            plain: bytes = keys.receive.unprotect_rtcp(datagram) if control else keys.receive.unprotect(datagram)
        except (SrtpError, ValueError):
            self.counters["unprotect_failed"] += 1
            return None
        return plain

    def admit(self, size: int, audio: bool, now: float) -> bool:
        """Say whether a packet may go to an unproven path: RTCP and audio, 64 kbit/s, audio for 10 s."""
        path = self.selected
        if path is None:
            return False
        late = now - path.moved_at > UNPROVEN_AUDIO_FOR
        if not audio or (late and audio):
            self.counters["withheld"] += 1
            return False
        return path.bucket.take(size, now)

    def prepare_control(self, compound: bytes, now: float) -> bytes | None:
        """Return an RTCP compound as it may be sent to `address` now, or None when it may not be.

        On an unproven path its sender reports become challenges.
        """
        path = self.selected
        if path is None or self.keys is None or self.dtls.state is not DtlsState.CONNECTED:
            return None
        if path.proven:
            return compound
        allowance = len(compound)
        if now - path.moved_at > UNPROVEN_AUDIO_FOR:
            allowance = int(allowance * UNPROVEN_RATE / PROBING_RATE)
        if not path.bucket.take(min(allowance, UNPROVEN_BURST), now):
            return None
        return self._challenge(compound, path)

    def _challenge(self, compound: bytes, path: Path) -> bytes:
        """Give every sender report random low NTP bits and remember what its echo must be."""
        marked = bytearray(compound)
        position = 0
        while position + 16 <= len(marked):
            if marked[position + 1] == SENDER_REPORT_TYPE:
                (short,) = _LONG.unpack_from(marked, position + 10)
                short = short & ~CHALLENGE_MASK | int.from_bytes(self._rng(2), "big") & CHALLENGE_MASK
                _LONG.pack_into(marked, position + 10, short)
                path.challenges.append(short)
                del path.challenges[:-MAXIMUM_CHALLENGES]
            position += 4 + 4 * int.from_bytes(marked[position + 2 : position + 4], "big")
        return bytes(marked)

    def close(self) -> None:
        """End the association; the peer is told if it can be."""
        path = self.selected
        for datagram in self.dtls.close():
            if path is not None:
                self._send(datagram, path.address)
        self.keys = self.protect = None
        self._unroute()
