"""The one place that uses names of aiortc that it does not promise to keep; contract tests pin them.

aiortc supplies the worker's certificate, the DTLS context made from it, and the table of SRTP protection profiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiortc.rtcdtlstransport import (
    SRTP_AEAD_AES_128_GCM,
    SRTP_AEAD_AES_256_GCM,
    SRTP_AES128_CM_SHA1_80,
    X509_DIGEST_ALGORITHMS,
    RTCCertificate,
    certificate_digest,
)
from cryptography import x509
from OpenSSL import SSL
from pylibsrtp import Policy, Session

PREFERRED_PROFILES = (SRTP_AEAD_AES_128_GCM, SRTP_AEAD_AES_256_GCM, SRTP_AES128_CM_SHA1_80)
SUPPORTED_DIGESTS = frozenset(X509_DIGEST_ALGORITHMS)
REPLAY_WINDOW = 1024
# SSL_OP_NO_RENEGOTIATION of OpenSSL 1.1.1 and later; pyOpenSSL has no name for it.
_NO_RENEGOTIATION = 1 << 30
_EXPORTER_LABEL = b"EXTRACTOR-dtls_srtp"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A certificate digest: algorithm such as `sha-256`, value as upper-case hex with colons."""

    algorithm: str
    value: str


@dataclass(frozen=True, slots=True)
class SrtpPair:
    """The two directions of one SRTP association."""

    receive: Session
    send: Session
    profile: str


class DtlsIdentity:
    """One P-256 certificate and the DTLS context that presents it."""

    def __init__(self) -> None:
        certificate = RTCCertificate.generateCertificate()
        self.fingerprints = [Fingerprint(found.algorithm, found.value) for found in certificate.getFingerprints()]
        self._context = certificate._create_ssl_context(list(PREFERRED_PROFILES))
        self._context.set_options(_NO_RENEGOTIATION)

    def new_connection(self, server: bool = True) -> SSL.Connection:
        """Return a fresh DTLS connection over memory buffers."""
        connection = SSL.Connection(self._context)
        if server:
            connection.set_accept_state()
        else:
            connection.set_connect_state()
        return connection


def fingerprint_matches(certificate: x509.Certificate, expected: Sequence[Fingerprint]) -> bool:
    """Say whether a certificate matches: at least one known digest, and every known digest (RFC 8122 5)."""
    known = [found for found in expected if found.algorithm.lower() in SUPPORTED_DIGESTS]
    return bool(known) and all(
        certificate_digest(certificate, found.algorithm.lower()) == found.value.upper() for found in known
    )


def derive_srtp(connection: SSL.Connection, server: bool = True) -> SrtpPair | None:
    """Make both SRTP sessions of a finished handshake, or None without a common profile (RFC 5764 section 4.2)."""
    chosen = connection.get_selected_srtp_profile()
    for profile in PREFERRED_PROFILES:
        if profile.openssl_profile == chosen:
            break
    else:
        return None
    size = 2 * (profile.key_length + profile.salt_length)
    material = connection.export_keying_material(_EXPORTER_LABEL, size)
    client_key, server_key = (profile.get_key_and_salt(material, index) for index in (0, 1))
    receive_key, send_key = (client_key, server_key) if server else (server_key, client_key)
    return SrtpPair(
        _session(receive_key, Policy.SSRC_ANY_INBOUND, profile.libsrtp_profile),
        _session(send_key, Policy.SSRC_ANY_OUTBOUND, profile.libsrtp_profile),
        chosen.decode(),
    )


def _session(key: bytes, direction: int, profile: int) -> Session:
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=profile)
    policy.window_size = REPLAY_WINDOW
    # Outbound, the same sequence number may be sent again to answer a NACK without a retransmission format.
    policy.allow_repeat_tx = direction == Policy.SSRC_ANY_OUTBOUND
    return Session(policy)
