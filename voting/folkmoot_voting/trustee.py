"""A trustee in software (section 4): key generation, decryption share and signatures, for tests and demos."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from . import group, keygen, signing
from .encoding import JsonObject, b64u, lp, u32, unb64u
from .errors import KeyGenerationError
from .group import Rng
from .keygen import KeyGeneration


def box_public_key(private: bytes) -> bytes:
    """Return the X25519 public key of a 32-byte private key."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def box_cipher(private: bytes, peer: bytes, meeting: str, sender: int, receiver: int) -> AESGCM:
    """Return the AES-256-GCM cipher of the one box from sender to receiver.

    Raises:
        KeyGenerationError: the X25519 result is all zero.
    """
    try:
        shared = X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(peer))
    except ValueError as error:
        raise KeyGenerationError("a box key is of small order", code="voting.keygen-boxes") from error
    info = lp("fm1/dkg-box") + lp(meeting) + lp(u32(sender)) + lp(u32(receiver))
    return AESGCM(HKDF(SHA256(), 32, salt=b"", info=info).derive(shared))


@dataclass(frozen=True)
class Trustee:
    """One trustee's secrets for one meeting.

    Attributes:
        seed: Ed25519 seed, 32 bytes.
        box_private: X25519 private key, 32 bytes.
        coefficients: a_0 .. a_(t-1).
        pop_nonce: the scalar w of the proof of possession.
    """

    meeting: str
    roll_hash: bytes
    index: int
    threshold: int
    count: int
    seed: bytes
    box_private: bytes
    coefficients: tuple[bytes, ...]
    pop_nonce: bytes

    @classmethod
    def create(cls, *, meeting: str, roll_hash: bytes, index: int, threshold: int, count: int, rng: Rng) -> Trustee:
        """Draw a trustee's secrets in the order of section 4."""
        seed, box_private = rng(32), rng(32)
        coefficients = tuple(group.random_scalar(rng) for _ in range(threshold))
        nonce = group.random_scalar(rng)
        return cls(meeting, roll_hash, index, threshold, count, seed, box_private, coefficients, nonce)

    @property
    def sign_key(self) -> bytes:
        """The Ed25519 public key."""
        return signing.public_key(self.seed)

    @property
    def box_key(self) -> bytes:
        """The X25519 public key."""
        return box_public_key(self.box_private)

    def points(self) -> list[bytes]:
        """Return the coefficient points A_k."""
        return [group.mult_base(coefficient) for coefficient in self.coefficients]

    def register(self) -> JsonObject:
        """Return the signed register message."""
        return self._message(
            "register", roll=b64u(self.roll_hash), sign_key=b64u(self.sign_key), box_key=b64u(self.box_key)
        )

    def commit(self) -> JsonObject:
        """Return the signed commit message."""
        digest = keygen.commitment(self.meeting, self.index, self.sign_key, self.points())
        return self._message("commit", hash=b64u(digest))

    def reveal(self) -> JsonObject:
        """Return the signed reveal message with the proof of possession."""
        points = self.points()
        r = group.mult_base(self.pop_nonce)
        c = keygen.pop_challenge(self.meeting, self.index, points[0], r)
        z = group.scalar_add(self.pop_nonce, group.scalar_mul(c, self.coefficients[0]))
        return self._message("reveal", points=[b64u(point) for point in points], pop={"r": b64u(r), "z": b64u(z)})

    def shares(self, state: KeyGeneration) -> JsonObject:
        """Return the signed shares message; the state must hold all reveals.

        Raises:
            KeyGenerationError: it does not.
        """
        if state.round != "shares":
            raise KeyGenerationError("shares are not awaited now", code="voting.keygen-order")
        boxes = []
        for j in range(1, self.count + 1):
            if j == self.index:
                boxes.append("")
                continue
            cipher = box_cipher(self.box_private, state.box_key(j), self.meeting, self.index, j)
            plain = group.evaluate(list(self.coefficients), j)
            boxes.append(b64u(cipher.encrypt(bytes(12), plain, state.reveals_hash)))
        return self._message("shares", boxes=boxes)

    def secret_share(self, state: KeyGeneration) -> bytes:
        """Open the boxes for this trustee, check each share, and return x_j.

        Raises:
            KeyGenerationError: a box does not open or a share does not fit its sender's points.
        """
        result = group.evaluate(list(self.coefficients), self.index)
        for i in range(1, self.count + 1):
            if i != self.index:
                result = group.scalar_add(result, self._open(state, i))
        return result

    def certify(self, state: KeyGeneration) -> JsonObject:
        """Check every received share, then return the signed certify message.

        Raises:
            KeyGenerationError: a share is wrong or shares are missing.
        """
        key = state.public_key()
        if group.mult_base(self.secret_share(state)) != key.verification_keys[self.index - 1]:
            raise KeyGenerationError("own share does not fit", code="voting.keygen-bad-share", about_points=True)
        return self._message(
            "certify",
            transcript=b64u(key.transcript),
            key=b64u(key.key),
            verification_keys=[b64u(one) for one in key.verification_keys],
        )

    def sign(self, digest: bytes) -> bytes:
        """Sign a 32-byte tagged hash (intent, share, tally) with sign_key."""
        return signing.sign(self.seed, digest)

    def _open(self, state: KeyGeneration, sender: int) -> bytes:
        box = unb64u(state.messages("shares")[sender - 1]["boxes"][self.index - 1])
        cipher = box_cipher(self.box_private, state.box_key(sender), self.meeting, sender, self.index)
        try:
            share = cipher.decrypt(bytes(12), box, state.reveals_hash)
        except InvalidTag as error:
            raise KeyGenerationError(
                f"the box of trustee {sender} does not open", code="voting.keygen-bad-share"
            ) from error
        expected = group.evaluate_points(state.points(sender), self.index)
        if not group.is_scalar(share) or group.mult_base(share) != expected:
            raise KeyGenerationError(
                f"the share of trustee {sender} is wrong", code="voting.keygen-bad-share", about_points=True
            )
        return share

    def _message(self, kind: str, **content: object) -> JsonObject:
        message = {"type": kind, "meeting": self.meeting, "trustee": self.index, **content}
        return keygen.sign_message(message, self.seed)


def run_key_generation(trustees: list[Trustee]) -> KeyGeneration:
    """Run all rounds among software trustees and return the finished state."""
    first = trustees[0]
    state = KeyGeneration(first.meeting, first.roll_hash, first.threshold, first.count)
    for one in trustees:
        state = state.accept(one.register())
    for one in trustees:
        state = state.accept(one.commit())
    for one in trustees:
        state = state.accept(one.reveal())
    before_shares = state
    for one in trustees:
        state = state.accept(one.shares(before_shares))
    before_certify = state
    for one in trustees:
        state = state.accept(one.certify(before_certify))
    return state
