"""Every transport of a worker on one UDP port.

Source rules: a datagram from an address that has not passed a STUN check with the right password reaches neither
DTLS nor SRTP; unauthenticated STUN is answered by silence and rate limited per source address.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Protocol

from folkmoot_media.transport import stun_lite
from folkmoot_media.transport.aiortc_adapter import DtlsIdentity
from folkmoot_media.transport.dtls import DtlsState
from folkmoot_media.transport.endpoint import CONSENT_TIMEOUT, Address, Credentials, Endpoint, Path, Send
from folkmoot_media.transport.limits import SourceLimiter

UNUSED_TIMEOUT = 600.0
ADDRESS_STALE_AFTER = 10.0
FAILURES_PER_SECOND = 50.0
FAILURE_BURST = 100.0
MAXIMUM_SOURCES = 4096
MAXIMUM_CREDENTIALS = 4
RTCP_FIRST, RTCP_LAST = 192, 223
_ALPHABET = string.ascii_letters + string.digits


class MuxHandler(Protocol):
    """What the mux tells its owner; none of these may raise."""

    def on_ready(self, endpoint: Endpoint, now: float) -> None: ...  # noqa: D102
    def on_rtp(self, endpoint: Endpoint, data: bytes, now: float) -> None: ...  # noqa: D102
    def on_rtcp(self, endpoint: Endpoint, data: bytes, now: float) -> None: ...  # noqa: D102
    def on_moved(self, endpoint: Endpoint, now: float) -> None: ...  # noqa: D102
    def on_closed(self, endpoint: Endpoint, reason: str, now: float) -> None: ...  # noqa: D102


class Watcher(Protocol):
    """Who follows whose media may come from where; told before the handler."""

    def entered(self, address: Address, endpoint: Endpoint) -> None: ...  # noqa: D102
    def left(self, address: Address) -> None: ...  # noqa: D102
    def opened(self, endpoint: Endpoint) -> None: ...  # noqa: D102
    def closed(self, endpoint: Endpoint) -> None: ...  # noqa: D102
    def unrouted(self) -> None: ...  # noqa: D102


def plain_address(address: Address) -> stun_lite.IpPort:
    """Return IP and port, an IPv4 address mapped into IPv6 as plain IPv4."""
    host = address[0]
    if host.startswith("::ffff:") and "." in host:
        host = host[7:]
    return host, address[1]


class Mux:
    """Tells datagrams apart (RFC 7983) and hands each to the transport it belongs to."""

    def __init__(
        self,
        identity: DtlsIdentity,
        send: Send,
        handler: MuxHandler,
        rng: Callable[[int], bytes],
        watcher: Watcher,
    ) -> None:
        self.identity = identity
        self.endpoints: dict[str, Endpoint] = {}
        self.counters = dict.fromkeys(
            ("unchecked_source", "stun_refused", "stun_limited", "unknown_kind", "address_in_use"), 0
        )
        self._send = send
        self._handler = handler
        self._rng = rng
        self._watcher = watcher
        self._by_fragment: dict[str, Endpoint] = {}
        self._by_address: dict[Address, tuple[Endpoint, Path]] = {}
        self._failures = SourceLimiter(FAILURES_PER_SECOND, FAILURE_BURST, MAXIMUM_SOURCES)

    def _new_credentials(self) -> Credentials:
        letters = [_ALPHABET[byte % len(_ALPHABET)] for byte in self._rng(40)]
        return Credentials("".join(letters[:8]), "".join(letters[8:]))

    def add(self, transport_id: str, now: float) -> Endpoint:
        """Open a transport with fresh ICE credentials."""
        credentials = self._new_credentials()
        endpoint = Endpoint(transport_id, credentials, self.identity, self._send, self._rng, now)
        endpoint.on_unrouted = self._watcher.unrouted
        self.endpoints[transport_id] = endpoint
        self._by_fragment[credentials.fragment] = endpoint
        return endpoint

    def add_credentials(self, endpoint: Endpoint) -> Credentials:
        """Register another pair of credentials beside those before; DTLS stays (RFC 8445 section 9)."""
        credentials = self._new_credentials()
        endpoint.credentials.append(credentials)
        self._by_fragment[credentials.fragment] = endpoint
        while len(endpoint.credentials) > MAXIMUM_CREDENTIALS:
            gone = endpoint.credentials.pop(0).fragment
            del self._by_fragment[gone]
            endpoint.used_fragments.discard(gone)
        return credentials

    def offer_pairs(self, endpoint: Endpoint) -> list[Credentials]:
        """Return two pairs for a restart: the last two while nobody has used them, else fresh ones.

        Fresh pairs take the place of the oldest. Were there new ones at each request, a page that gets no answers, or
        drops them, would lose the pairs that it has.
        """
        last = endpoint.credentials[-2:]
        if len(endpoint.credentials) > len(last) and not any(one.fragment in endpoint.used_fragments for one in last):
            return last
        return [self.add_credentials(endpoint), self.add_credentials(endpoint)]

    def close(self, endpoint: Endpoint) -> None:
        """Close a transport and forget its addresses."""
        if self.endpoints.pop(endpoint.id, None) is None:
            return
        endpoint.close()
        for credentials in endpoint.credentials:
            self._by_fragment.pop(credentials.fragment, None)
        for address in endpoint.paths:
            held = self._by_address.get(address)
            if held is not None and held[0] is endpoint:
                del self._by_address[address]
                self._watcher.left(address)
        self._watcher.closed(endpoint)

    def datagram(self, data: bytes, source: Address, now: float) -> None:
        """Take one datagram from the socket."""
        if not data:
            return
        first = data[0]
        if 127 < first < 192:
            held = self._by_address.get(source)
            if held is None:
                self.counters["unchecked_source"] += 1
                return
            endpoint = held[0]
            control = len(data) > 1 and RTCP_FIRST <= data[1] <= RTCP_LAST
            plain = endpoint.unprotect(data, control, now)
            if plain is not None:
                self.plain(endpoint, plain, control, now)
        elif first < 4:
            self._stun(data, source, now)
        elif 19 < first < 64:
            self._dtls(data, source, now)
        else:
            self.counters["unknown_kind"] += 1

    def plain(self, endpoint: Endpoint, data: bytes, control: bool, now: float) -> None:
        """Take one RTP or (`control`) RTCP packet that was decrypted with the keys of `endpoint`."""
        endpoint.packets_in += 1
        endpoint.octets_in += len(data)
        if control:
            self._handler.on_rtcp(endpoint, data, now)
        else:
            self._handler.on_rtp(endpoint, data, now)

    def _dtls(self, data: bytes, source: Address, now: float) -> None:
        held = self._by_address.get(source)
        if held is None:
            self.counters["unchecked_source"] += 1
            return
        endpoint, path = held
        path.received += len(data)
        if not endpoint.packet_budget.take(1.0, now):
            return
        finished = endpoint.receive_dtls(data, path, now)
        endpoint.flush_pending(path)
        if finished:
            self._watcher.opened(endpoint)
            self._handler.on_ready(endpoint, now)
        self._close_if_ended(endpoint, now)

    def _close_if_ended(self, endpoint: Endpoint, now: float) -> None:
        if endpoint.dtls.state is DtlsState.FAILED:
            self._expire(endpoint, "dtls-failed", now)
        elif endpoint.dtls.state is DtlsState.CLOSED:
            self._expire(endpoint, "dtls-closed", now)

    def _stun(self, data: bytes, source: Address, now: float) -> None:
        host, port = plain_address(source)
        known = source in self._by_address
        if not known and self._failures.exhausted(host, now):
            self.counters["stun_limited"] += 1
            return
        fragment = stun_lite.local_fragment(data)
        endpoint = self._by_fragment.get(fragment) if fragment is not None else None
        check = None
        if endpoint is not None:
            budget = endpoint.known_checks if source in endpoint.paths else endpoint.new_checks
            if not budget.take(1.0, now):
                self.counters["stun_limited"] += 1
                return
            password = next(own.password for own in endpoint.credentials if own.fragment == fragment)
            check = stun_lite.check_request(data, password, (host, port))
        if endpoint is None or check is None or fragment is None:
            self.counters["stun_refused"] += 1
            self._failures.charge(host, now)
            return
        if not self._claim(endpoint, source, now):
            self.counters["address_in_use"] += 1
            return
        # Who comes from a new address with other credentials has looked for another way, having lost the one in use.
        selected = endpoint.selected
        lost = selected is None or (source not in endpoint.paths and fragment != selected.fragment)
        endpoint.used_fragments.add(fragment)
        path, evicted = endpoint.add_path(source, len(data), now, fragment)
        if evicted is not None and self._by_address.pop(evicted, None) is not None:
            self._watcher.left(evicted)
        held = self._by_address.get(source)
        self._by_address[source] = (endpoint, path)
        if held is None or held[0] is not endpoint:
            self._watcher.entered(source, endpoint)
        endpoint.send_guarded(check.response, path)
        if check.role_conflict:
            return
        if (lost or check.nominated) and endpoint.select(path, now):
            self._handler.on_moved(endpoint, now)
        endpoint.flush_pending(path)

    def _claim(self, endpoint: Endpoint, source: Address, now: float) -> bool:
        """An address belongs to one transport; another may take it over only once it has gone quiet."""
        held = self._by_address.get(source)
        if held is None or held[0] is endpoint:
            return True
        owner, path = held
        if now - path.last_check < ADDRESS_STALE_AFTER:
            return False
        owner.lose_path(source)
        return True

    def knows(self, address: Address) -> bool:
        """Say whether a check from this address has passed."""
        return address in self._by_address

    def lost(self, address: Address) -> None:
        """A connection is gone; its transport is found again by a check from elsewhere, or expires."""
        held = self._by_address.pop(address, None)
        if held is not None:
            held[0].lose_path(address)
            self._watcher.left(address)

    def poll(self, now: float) -> None:
        """Run handshake timers and close what has expired; call every 50 ms or so."""
        for endpoint in list(self.endpoints.values()):
            if endpoint.dtls.state is DtlsState.CONNECTING:
                endpoint.poll_dtls(now)
                self._close_if_ended(endpoint, now)
            if endpoint.last_check is None:
                if now - endpoint.created > UNUSED_TIMEOUT:
                    self._expire(endpoint, "unused", now)
            elif now - endpoint.last_check > endpoint.patience:
                self._expire(endpoint, "consent-expired", now)
            elif now - endpoint.last_check > CONSENT_TIMEOUT and endpoint.selected is not None:
                endpoint.fall_silent()
            elif endpoint.dtls.state is not DtlsState.CONNECTED and now - endpoint.created > UNUSED_TIMEOUT:
                self._expire(endpoint, "connect-timeout", now)

    def _expire(self, endpoint: Endpoint, reason: str, now: float) -> None:
        if endpoint.id in self.endpoints:
            self.close(endpoint)
            self._handler.on_closed(endpoint, reason, now)
