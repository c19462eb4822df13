"""A small WebRTC peer for the scripted meeting: real ICE checks, DTLS and SRTP over one UDP socket.

It shares no code with the media worker, so that the two check each other. It never decodes.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import secrets
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from aioice import stun
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from pylibsrtp import Error as SrtpError
from pylibsrtp import Policy, Session

Request = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
SocketTo = Callable[[tuple[str, int]], socket.socket]
CONNECT_S = 10.0
CHECK_EVERY_S = 5.0
KEY, SALT = 16, 12  # AES-128-GCM, RFC 7714
MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
LEVEL_URI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
OPUS_SILENCE = b"\xf8\xff\xfe"  # one 20 ms frame, RFC 6716


class MediaPeerError(Exception):
    """The peer could not connect to the media worker."""


def _certificate() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "folkmoot-demo")])
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=30))
    )
    return builder.sign(key, hashes.SHA256()), key


class MediaPeer(asyncio.DatagramProtocol):
    """One transport to the worker; `received` counts media packets by SSRC."""

    def __init__(self, request: Request) -> None:
        """Talk to the server's signalling through `request(method, data)`."""
        self._request = request
        self._certificate, key = _certificate()
        context = SSL.Context(SSL.DTLS_METHOD)
        context.use_certificate(self._certificate)
        context.use_privatekey(key)
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)  # the fingerprint is compared instead, RFC 8122
        context.set_tlsext_use_srtp(b"SRTP_AEAD_AES_128_GCM")
        self._dtls = SSL.Connection(context)
        self._dtls.set_connect_state()
        self._udp: asyncio.DatagramTransport | None = None
        self._remote: dict[str, Any] = {}
        self._ufrag = secrets.token_hex(4)
        self._checked = asyncio.Event()
        self._secured: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._rx: Session | None = None
        self._tx: Session | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.received: dict[int, int] = {}
        self.transport_id = ""

    async def connect(self, direction: str, socket_to: SocketTo | None = None) -> None:
        """Make a transport of `direction` ("send" or "recv") and finish ICE and DTLS.

        Args:
            direction: as above.
            socket_to: makes the socket for an address, where it is not to be an ordinary one of this process.

        Raises:
            MediaPeerError: no answer within ten seconds, or a wrong fingerprint.
        """
        self._remote = await self._request("create_transport", {"direction": direction})
        self.transport_id = self._remote["id"]
        candidate = self._remote["iceCandidates"][0]
        address = (candidate.get("address") or candidate["ip"], candidate["port"])
        loop = asyncio.get_running_loop()
        if socket_to is None:
            self._udp, _ = await loop.create_datagram_endpoint(lambda: self, remote_addr=address)
        else:
            self._udp, _ = await loop.create_datagram_endpoint(lambda: self, sock=socket_to(address))
        digest = self._certificate.fingerprint(hashes.SHA256()).hex(":").upper()
        dtls = {"role": "client", "fingerprints": [{"algorithm": "sha-256", "value": digest}]}
        await self._request("connect_transport", {"transport_id": self.transport_id, "dtlsParameters": dtls})
        self._tasks.append(asyncio.create_task(self._check_loop()))
        try:
            await asyncio.wait_for(self._checked.wait(), CONNECT_S)
            self._tasks.append(asyncio.create_task(self._handshake_loop()))
            await asyncio.wait_for(asyncio.shield(self._secured), CONNECT_S)
        except TimeoutError as error:
            raise MediaPeerError("The media worker did not answer within ten seconds.") from error

    async def close(self) -> None:
        """Stop the timers and close the socket."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._udp is not None:
            self._udp.close()

    def send_rtp(self, packet: bytes) -> None:
        """Protect and send one RTP packet."""
        if self._tx is not None and self._udp is not None:
            self._udp.sendto(self._tx.protect(packet))

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Demultiplex by the first byte, RFC 7983."""
        del addr
        if not data:
            return
        if data[0] < 4:
            self._stun(data)
        elif 19 < data[0] < 64:
            with contextlib.suppress(SSL.Error):
                self._dtls.bio_write(data)
                self._advance()
        elif 127 < data[0] < 192 and self._rx is not None and not 192 <= data[1] <= 223:
            with contextlib.suppress(SrtpError):
                plain = self._rx.unprotect(data)
                ssrc = struct.unpack_from("!I", plain, 8)[0]
                self.received[ssrc] = self.received.get(ssrc, 0) + 1

    def _stun(self, data: bytes) -> None:
        with contextlib.suppress(ValueError, struct.error):
            if stun.parse_message(data).message_class is stun.Class.RESPONSE:
                self._checked.set()

    async def _check_loop(self) -> None:
        """Connectivity checks with USE-CANDIDATE, then consent checks (RFC 8445, RFC 7675)."""
        parameters = self._remote["iceParameters"]
        while True:
            message = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
            message.attributes["USERNAME"] = f"{parameters['usernameFragment']}:{self._ufrag}"
            message.attributes["PRIORITY"] = 1853824767
            message.attributes["ICE-CONTROLLING"] = secrets.randbits(64)
            message.attributes["USE-CANDIDATE"] = None
            message.add_message_integrity(parameters["password"].encode())
            message.add_fingerprint()
            if self._udp is not None:
                self._udp.sendto(bytes(message))
            await asyncio.sleep(CHECK_EVERY_S if self._checked.is_set() else 0.2)

    async def _handshake_loop(self) -> None:
        while not self._secured.done():
            with contextlib.suppress(SSL.Error):
                self._dtls.DTLSv1_handle_timeout()
                self._advance()
            await asyncio.sleep(0.25)

    def _advance(self) -> None:
        finished = False
        if not self._secured.done():
            try:
                self._dtls.do_handshake()
                finished = True
            except SSL.WantReadError:
                finished = False
        with contextlib.suppress(SSL.Error):
            while self._udp is not None:
                self._udp.sendto(self._dtls.bio_read(1500))
        if finished:
            self._key_srtp()

    def _key_srtp(self) -> None:
        certificate = self._dtls.get_peer_certificate(as_cryptography=True)
        digest = certificate.fingerprint(hashes.SHA256()).hex(":").upper() if certificate else ""
        offered = {print_["value"].upper() for print_ in self._remote["dtlsParameters"]["fingerprints"]}
        if digest not in offered:
            self._secured.set_exception(MediaPeerError("The media worker's certificate has another fingerprint."))
            return
        material = self._dtls.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (KEY + SALT))
        client = material[:KEY] + material[2 * KEY : 2 * KEY + SALT]
        server = material[KEY : 2 * KEY] + material[2 * KEY + SALT :]
        profile = Policy.SRTP_PROFILE_AEAD_AES_128_GCM
        self._tx = Session(Policy(key=client, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))
        self._rx = Session(Policy(key=server, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile))
        self._secured.set_result(None)


class Microphone:
    """Sends Opus frames of silence with an audio level, fifty a second, on one `MediaPeer`."""

    def __init__(self, peer: MediaPeer, level_dbov: int) -> None:
        """Speak at `level_dbov` (0 loudest, 127 silent; RFC 6464)."""
        self._peer = peer
        self._level = level_dbov
        self._ssrc = secrets.randbits(32)
        self._sequence = secrets.randbits(15)
        self._timestamp = secrets.randbits(31)

    def parameters(self) -> dict[str, Any]:
        """The `produce` request's rtpParameters, as mediasoup-client would send them."""
        return {
            "mid": "0",
            "codecs": [
                {
                    "mimeType": "audio/opus",
                    "payloadType": 111,
                    "clockRate": 48000,
                    "channels": 2,
                    "parameters": {"useinbandfec": 1},
                    "rtcpFeedback": [],
                }
            ],
            "headerExtensions": [
                {"uri": MID_URI, "id": 1, "encrypt": False, "parameters": {}},
                {"uri": LEVEL_URI, "id": 10, "encrypt": False, "parameters": {}},
            ],
            "encodings": [{"ssrc": self._ssrc, "dtx": False}],
            "rtcp": {"cname": "folkmoot-demo", "reducedSize": True},
        }

    def frame(self) -> None:
        """Send the next frame."""
        extension = bytes((0x10, ord("0"), 0xA0, 0x80 | self._level))
        header = struct.pack("!BBHII", 0x90, 111, self._sequence & 0xFFFF, self._timestamp & 0xFFFFFFFF, self._ssrc)
        self._peer.send_rtp(header + struct.pack("!HH", 0xBEDE, 1) + extension + OPUS_SILENCE)
        self._sequence += 1
        self._timestamp += 960
