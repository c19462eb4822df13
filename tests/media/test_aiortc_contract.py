"""What the transport adapter takes from aiortc and pylibsrtp beyond their promises; a new version must keep it."""

from importlib.metadata import version

import pytest
from aiortc import rtcdtlstransport
from OpenSSL import SSL
from pylibsrtp import Error, Policy, Session
from tests.media.support import IDENTITY, rtp

from folkmoot_media.transport.aiortc_adapter import (
    PREFERRED_PROFILES,
    DtlsIdentity,
    Fingerprint,
    fingerprint_matches,
)
from folkmoot_media.transport.dtls import DtlsEndpoint, DtlsState


def test_the_versions_are_the_ones_that_were_read() -> None:
    assert version("aiortc").startswith("1.16.")
    assert version("pylibsrtp").startswith("1.0.")


def test_a_certificate_makes_a_dtls_context_that_asks_for_the_peers() -> None:
    certificate = rtcdtlstransport.RTCCertificate.generateCertificate()
    context = certificate._create_ssl_context([rtcdtlstransport.SRTP_AEAD_AES_128_GCM])
    assert context.get_verify_mode() == SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
    assert certificate._cert.public_key().curve.name == "secp256r1"  # type: ignore[union-attr]  # an EC key


@pytest.mark.parametrize("profile", PREFERRED_PROFILES, ids=lambda profile: profile.openssl_profile.decode())
def test_every_profile_splits_its_keying_material_and_protects(
    profile: rtcdtlstransport.SRTPProtectionProfile,
) -> None:
    size = profile.key_length + profile.salt_length
    material = bytes(range(2 * size))
    first, second = profile.get_key_and_salt(material, 0), profile.get_key_and_salt(material, 1)
    assert len(first) == len(second) == size
    assert first[: profile.key_length] == material[: profile.key_length]
    assert second[: profile.key_length] == material[profile.key_length : 2 * profile.key_length]

    def session(direction: int) -> Session:
        return Session(Policy(key=first, ssrc_type=direction, srtp_profile=profile.libsrtp_profile))

    packet = rtp(ssrc=1, sequence=1)
    wire = session(Policy.SSRC_ANY_OUTBOUND).protect(packet)
    receiver = session(Policy.SSRC_ANY_INBOUND)
    assert receiver.unprotect(wire) == packet
    with pytest.raises(Error):
        receiver.unprotect(wire)


def test_a_handshake_takes_the_first_profile_that_both_know() -> None:
    client_identity = DtlsIdentity()
    server, client = DtlsEndpoint(IDENTITY), DtlsEndpoint(client_identity, server=False)
    server.expect(client_identity.fingerprints)
    client.expect(IDENTITY.fingerprints)
    to_server = client.start()
    for _ in range(4):
        to_client = [answer for datagram in to_server for answer in server.receive(datagram)]
        to_server = [answer for datagram in to_client for answer in client.receive(datagram)]
    assert (server.state, client.state) == (DtlsState.CONNECTED, DtlsState.CONNECTED)
    assert server.srtp is not None
    assert client.srtp is not None
    assert server.srtp.profile == client.srtp.profile == "SRTP_AEAD_AES_128_GCM"
    packet = rtp(ssrc=1, sequence=1)
    assert server.srtp.receive.unprotect(client.srtp.send.protect(packet)) == packet
    assert client.srtp.receive.unprotect(server.srtp.send.protect(packet)) == packet


def test_fingerprints_must_match_in_every_known_algorithm() -> None:
    certificate = rtcdtlstransport.RTCCertificate.generateCertificate()
    good = [Fingerprint(item.algorithm, item.value.lower()) for item in certificate.getFingerprints()]
    wrong = Fingerprint("sha-256", IDENTITY.fingerprints[0].value)
    unknown = Fingerprint("md5", "AA:BB")
    assert fingerprint_matches(certificate._cert, good)
    assert fingerprint_matches(certificate._cert, [unknown, good[0]])
    assert not fingerprint_matches(certificate._cert, [*good, wrong])
    assert not fingerprint_matches(certificate._cert, [unknown])
    assert not fingerprint_matches(certificate._cert, [])
