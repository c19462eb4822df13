"""The passive side of a DTLS handshake over datagrams, without a socket (RFC 6347, RFC 5764)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from OpenSSL import SSL

from folkmoot_media.transport.aiortc_adapter import (
    DtlsIdentity,
    Fingerprint,
    SrtpPair,
    derive_srtp,
    fingerprint_matches,
)

LARGEST_DATAGRAM = 1200
RECORD_HEADER = 13
MAXIMUM_HANDSHAKE_DATAGRAMS = 200


class DtlsState(StrEnum):
    """Where the association stands."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    FAILED = "failed"
    CLOSED = "closed"


class DtlsEndpoint:
    """One DTLS association; datagrams go in, datagrams come out, `srtp` appears once it is authenticated."""

    def __init__(self, identity: DtlsIdentity, server: bool = True) -> None:
        self.state = DtlsState.NEW
        self.srtp: SrtpPair | None = None
        self._server = server
        self._expected: tuple[Fingerprint, ...] = ()
        self._received = 0
        self._connection = identity.new_connection(server)
        self._connection.set_ciphertext_mtu(LARGEST_DATAGRAM)

    def expect(self, fingerprints: Sequence[Fingerprint]) -> None:
        """Name the peer's certificate; until then every datagram is ignored."""
        self._expected = tuple(fingerprints)

    @property
    def expected(self) -> bool:
        """True once the peer's certificate has been named."""
        return bool(self._expected)

    def start(self) -> list[bytes]:
        """Begin the handshake as client and return the first datagrams."""
        self.state = DtlsState.CONNECTING
        self._step()
        return self._drain()

    def receive(self, datagram: bytes) -> list[bytes]:
        """Take one datagram and return the answers; never raises on hostile bytes."""
        if not self._expected or self.state in (DtlsState.FAILED, DtlsState.CLOSED):
            return []
        if self.state is not DtlsState.CONNECTED:
            self._received += 1
            if self._received > MAXIMUM_HANDSHAKE_DATAGRAMS:
                self.state = DtlsState.FAILED
                return []
        self.state = DtlsState.CONNECTING if self.state is DtlsState.NEW else self.state
        try:
            self._connection.bio_write(datagram)
        except SSL.Error:
            return []
        self._step()
        return self._drain()

    def _step(self) -> None:
        try:
            if self.state is DtlsState.CONNECTED:
                # Application data (data channels) is not served; reading it makes OpenSSL see alerts and
                # repeated handshake flights.
                self._connection.recv(2048)
            else:
                self._connection.do_handshake()
                self._finish()
        except SSL.WantReadError:
            return
        except SSL.ZeroReturnError:
            self.state = DtlsState.CLOSED
        except SSL.Error:
            if self.state is not DtlsState.CONNECTED:
                self.state = DtlsState.FAILED

    def _finish(self) -> None:
        certificate = self._connection.get_peer_certificate(as_cryptography=True)
        if certificate is None or not fingerprint_matches(certificate, self._expected):
            self.state = DtlsState.FAILED
            return
        self.srtp = derive_srtp(self._connection, self._server)
        self.state = DtlsState.FAILED if self.srtp is None else DtlsState.CONNECTED

    def poll(self) -> list[bytes]:
        """Return the last flight again when OpenSSL's retransmission timer has run out (RFC 6347 4.2.4)."""
        if self.state is not DtlsState.CONNECTING:
            return []
        remaining = self._connection.DTLSv1_get_timeout()
        if remaining is None or remaining > 0:
            return []
        try:
            self._connection.DTLSv1_handle_timeout()
        except SSL.Error:
            self.state = DtlsState.FAILED
        return self._drain()

    def close(self) -> list[bytes]:
        """Say goodbye and return the alert, if one can be made."""
        if self.state is not DtlsState.CONNECTED:
            self.state = DtlsState.CLOSED
            return []
        self.state = DtlsState.CLOSED
        try:
            self._connection.shutdown()
        except SSL.Error:
            return []
        return self._drain()

    def _drain(self) -> list[bytes]:
        data = b""
        while True:
            try:
                data += self._connection.bio_read(16384)
            except SSL.Error:
                return pack_records(data)


def pack_records(data: bytes) -> list[bytes]:
    """Group whole DTLS records into datagrams of at most `LARGEST_DATAGRAM` bytes (a memory buffer joins them)."""
    datagrams: list[bytes] = []
    current = b""
    position = 0
    while position + RECORD_HEADER <= len(data):
        end = position + RECORD_HEADER + int.from_bytes(data[position + 11 : position + 13], "big")
        record = data[position:end]
        if current and len(current) + len(record) > LARGEST_DATAGRAM:
            datagrams.append(current)
            current = b""
        current += record
        position = end
    if current:
        datagrams.append(current)
    return datagrams
