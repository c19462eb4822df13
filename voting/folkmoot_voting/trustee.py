"""A trustee in software (section 4): key generation, decryption share and signatures, for tests and demos."""

from __future__ import annotations

from dataclasses import dataclass

from . import boxes, challenges, complaints, copies, destruction, group, keygen, signing
from .encoding import JsonObject, b64u
from .errors import KeyGenerationError
from .group import Rng
from .keygen import KeyGeneration


@dataclass(frozen=True)
class Trustee:
    """One trustee's secrets for one attempt at key generation.

    Attributes:
        seed: Ed25519 seed, 32 bytes.
        box_private: X25519 private key, 32 bytes.
        salt: 32 bytes for the spoken code.
        coefficients: a_0 .. a_(t-1).
        pop_nonce: the scalar w of the proof of possession.
    """

    meeting: str
    roll_hash: bytes
    attempt: int
    index: int
    threshold: int
    count: int
    seed: bytes
    box_private: bytes
    salt: bytes
    coefficients: tuple[bytes, ...]
    pop_nonce: bytes

    @classmethod
    def create(
        cls, *, meeting: str, roll_hash: bytes, index: int, threshold: int, count: int, rng: Rng, attempt: int = 1
    ) -> Trustee:
        """Draw a trustee's secrets in the order of section 4."""
        seed, box_private, salt = rng(32), rng(32), rng(32)
        coefficients = tuple(group.random_scalar(rng) for _ in range(threshold))
        nonce = group.random_scalar(rng)
        return cls(meeting, roll_hash, attempt, index, threshold, count, seed, box_private, salt, coefficients, nonce)

    @property
    def sign_key(self) -> bytes:
        """The Ed25519 public key."""
        return signing.public_key(self.seed)

    @property
    def box_key(self) -> bytes:
        """The X25519 public key."""
        return boxes.public_key(self.box_private)

    def points(self) -> list[bytes]:
        """Return the coefficient points A_k."""
        return [group.mult_base(coefficient) for coefficient in self.coefficients]

    def challenge(self, nonce: bytes) -> bytes:
        """Return what this trustee's passkey signs when it registers (section 2)."""
        return challenges.trustee(
            self.meeting, self.roll_hash, self.attempt, self.index, self.sign_key, self.box_key, nonce
        )

    def message(self, kind: str, state: KeyGeneration) -> JsonObject:
        """Return this trustee's signed message of a round; the state holds the rounds before.

        Raises:
            KeyGenerationError: as the round's own method says.
        """
        plain = {"register": self.register, "commit": self.commit, "reveal": self.reveal}
        if kind in plain:
            return plain[kind]()
        return {"shares": self.shares, "salt": self.reveal_salt, "certify": self.certify}[kind](state)

    def register(self) -> JsonObject:
        """Return the signed register message."""
        return self._message(
            "register",
            roll=b64u(self.roll_hash),
            sign_key=b64u(self.sign_key),
            box_key=b64u(self.box_key),
            salt_hash=b64u(keygen.salt_hash(self.meeting, self.attempt, self.index, self.salt)),
        )

    def commit(self) -> JsonObject:
        """Return the signed commit message."""
        digest = keygen.commitment(self.meeting, self.attempt, self.index, self.sign_key, self.points())
        return self._message("commit", hash=b64u(digest))

    def reveal(self) -> JsonObject:
        """Return the signed reveal message with the proof of possession."""
        points = self.points()
        r = group.mult_base(self.pop_nonce)
        c = keygen.pop_challenge(self.meeting, self.attempt, self.index, points[0], r)
        z = group.scalar_add(self.pop_nonce, group.scalar_mul(c, self.coefficients[0]))
        return self._message("reveal", points=[b64u(point) for point in points], pop={"r": b64u(r), "z": b64u(z)})

    def shares(self, state: KeyGeneration) -> JsonObject:
        """Return the signed shares message; the state must hold all reveals.

        Raises:
            KeyGenerationError: it does not.
        """
        if state.round != "shares":
            raise KeyGenerationError("shares are not awaited now", code="voting.keygen-order")
        sealed = []
        for j in range(1, self.count + 1):
            if j == self.index:
                sealed.append("")
                continue
            key = boxes.box_key(self.box_private, state.box_key(j), self.meeting, self.attempt, self.index, j)
            plain = group.evaluate(list(self.coefficients), j)
            sealed.append(b64u(boxes.seal(key, plain, state.reveals_hash)))
        return self._message("shares", boxes=sealed)

    def secret_share(self, state: KeyGeneration) -> bytes:
        """Open the boxes for this trustee, check each share, and return x_j.

        Raises:
            KeyGenerationError: a box does not open or a share does not fit its sender's points.
        """
        result = group.evaluate(list(self.coefficients), self.index)
        for i in range(1, self.count + 1):
            if i != self.index:
                result = group.scalar_add(result, complaints.open_share(state, self.box_private, i, self.index))
        return result

    def reveal_salt(self, state: KeyGeneration) -> JsonObject:
        """Return the signed salt message once every received share passes.

        Raises:
            KeyGenerationError: a share is wrong or shares are missing.
        """
        state.public_key()
        self.secret_share(state)
        return self._message("salt", salt=b64u(self.salt))

    def complain(self, against: int) -> JsonObject:
        """Return the signed complaint that the share from `against` does not pass; it gives the box key away."""
        return self._message(keygen.COMPLAINT, against=against, box_secret=b64u(self.box_private))

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

    def copy(self, state: KeyGeneration, kind: str, ikm: bytes, rng: Rng) -> JsonObject:
        """Return a copy of the secrets that open the box; ikm is that of section 4 for this kind.

        Raises:
            KeyGenerationError: the share cannot be computed yet.
            CopyInvalid: no such kind.
        """
        secrets = copies.Secrets(self.seed, self.box_private, self.secret_share(state))
        return copies.make_copy(copies.Place(self.meeting, self.attempt, self.index), secrets, kind, ikm, rng)

    def destroyed(self, transcript: bytes, at: int) -> JsonObject:
        """Return the signed statement that this trustee's secrets were deleted at `at`."""
        return destruction.make_statement(self.meeting, self.attempt, self.index, transcript, at, self.seed)

    def _message(self, kind: str, **content: object) -> JsonObject:
        message = {"type": kind, "meeting": self.meeting, "attempt": self.attempt}
        message |= {"trustee": self.index, **content}
        return keygen.sign_message(message, self.seed)


def run_key_generation(trustees: list[Trustee]) -> KeyGeneration:
    """Run all rounds among software trustees and return the finished state."""
    first = trustees[0]
    state = KeyGeneration(first.meeting, first.roll_hash, first.attempt, first.threshold, first.count)
    for kind in keygen.ROUNDS:
        before = state
        for one in trustees:
            state = state.accept(one.message(kind, before))
    return state
