"""The active side of a transport: ICE controlling, DTLS client, SRTP. For load tests, demonstrations and relays.

Without a socket: datagrams to send go to `send`, datagrams received come in through `receive`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from aioice import stun
from pylibsrtp import Error as SrtpError

from folkmoot_media.transport.aiortc_adapter import DtlsIdentity, Fingerprint, SrtpPair
from folkmoot_media.transport.dtls import DtlsEndpoint, DtlsState
from folkmoot_media.transport.mux import RTCP_FIRST, RTCP_LAST
from folkmoot_media.transport.stun_lite import PARSE_ERRORS

ANSWERS_AWAITED = 32


class ActiveTransport:
    """One client transport towards an ICE-lite server."""

    def __init__(
        self,
        identity: DtlsIdentity,
        send: Callable[[bytes], None],
        rng: Callable[[int], bytes],
        on_rtp: Callable[[bytes], None] | None = None,
        on_rtcp: Callable[[bytes], None] | None = None,
    ) -> None:
        self.fingerprints = identity.fingerprints
        self.checked = False
        self.asked = self.answered = b""
        self.on_rtp = on_rtp
        self.on_rtcp = on_rtcp
        self._dtls = DtlsEndpoint(identity, server=False)
        self._send = send
        self._rng = rng
        self.fragment = rng(4).hex()
        self._remote = ("", "")
        self._asked: deque[bytes] = deque(maxlen=ANSWERS_AWAITED)

    @property
    def connected(self) -> bool:
        """True once media can flow."""
        return self._dtls.state is DtlsState.CONNECTED

    @property
    def failed(self) -> bool:
        """True when the handshake has failed or the server has gone."""
        return self._dtls.state in (DtlsState.FAILED, DtlsState.CLOSED)

    @property
    def srtp(self) -> SrtpPair | None:
        """The SRTP sessions, once connected."""
        return self._dtls.srtp

    def set_remote(self, fragment: str, password: str, fingerprints: Sequence[Fingerprint] = ()) -> None:
        """Name the server's ICE credentials and, the first time, its certificate."""
        self._remote = (fragment, password)
        if fingerprints:
            self._dtls.expect(fingerprints)

    def binding_request(self, nominate: bool = True) -> bytes:
        """Return a connectivity check (RFC 8445 section 7.2.2)."""
        self.asked = self._rng(12)
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, self.asked)
        self._asked.append(self.asked)
        request.attributes["USERNAME"] = f"{self._remote[0]}:{self.fragment}"
        request.attributes["PRIORITY"] = 1853817087
        request.attributes["ICE-CONTROLLING"] = int.from_bytes(self._rng(8), "big")
        if nominate:
            request.attributes["USE-CANDIDATE"] = None
        request.add_message_integrity(self._remote[1].encode())
        return bytes(request)

    def check(self) -> None:
        """Send a connectivity check; the handshake starts by itself at the first good answer."""
        self._send(self.binding_request())

    def receive(self, data: bytes) -> None:
        """Take one datagram from the server."""
        first = data[0] if data else 0
        if 127 < first < 192:
            self._receive_media(data)
        elif first < 4:
            self._receive_stun(data)
        elif 19 < first < 64:
            for answer in self._dtls.receive(data):
                self._send(answer)

    def _receive_stun(self, data: bytes) -> None:
        try:
            message = stun.parse_message(data)
        except PARSE_ERRORS:
            return
        good = message.message_class is stun.Class.RESPONSE and message.transaction_id in self._asked
        if not good or not message.check_message_integrity(self._remote[1].encode()):
            return
        self._asked.remove(message.transaction_id)
        self.answered = message.transaction_id
        if not self.checked:
            self.checked = True
            for datagram in self._dtls.start():
                self._send(datagram)
            # Until it trusts this address the server sends at most three times what it got; its flight needs more
            # than one check and a small ClientHello have paid for.
            self._send(self.binding_request())

    def _receive_media(self, data: bytes) -> None:
        pair = self._dtls.srtp
        control = len(data) > 1 and RTCP_FIRST <= data[1] <= RTCP_LAST
        take = self.on_rtcp if control else self.on_rtp
        if pair is None or take is None:
            return
        try:
            plain = pair.receive.unprotect_rtcp(data) if control else pair.receive.unprotect(data)
        except (SrtpError, ValueError):
            return
        take(plain)

    def poll(self) -> None:
        """Repeat the last handshake flight when its timer has run out."""
        for datagram in self._dtls.poll():
            self._send(datagram)

    def protect(self, packet: bytes) -> bytes:
        """Return the SRTP form of an RTP packet.

        Raises:
            ConnectionError: before the handshake has finished.
        """
        pair = self._dtls.srtp
        if pair is None:
            raise ConnectionError("not connected")
        wire: bytes = pair.send.protect(packet)
        return wire

    def send_rtp(self, packet: bytes) -> None:
        """Protect and send one RTP packet."""
        self._send(self.protect(packet))

    def send_rtcp(self, packet: bytes) -> None:
        """Protect and send one RTCP compound.

        Raises:
            ConnectionError: before the handshake has finished.
        """
        pair = self._dtls.srtp
        if pair is None:
            raise ConnectionError("not connected")
        self._send(pair.send.protect_rtcp(packet))

    def close(self) -> None:
        """Say goodbye."""
        for datagram in self._dtls.close():
            self._send(datagram)
