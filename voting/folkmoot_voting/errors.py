"""Every error of the ballot protocol: one base class, a stable `code` each."""

from __future__ import annotations


class VotingError(Exception):
    """Something handed to the ballot protocol is not what the specification allows.

    Attributes:
        code: stable machine-readable name, for example "voting.ballot-signature".
        detail: one sentence for people; never holds a ballot, key or personal data.
    """

    code = "voting.error"

    def __init__(self, detail: str, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if code is not None:
            self.code = code


class LibsodiumMissing(VotingError):
    """No libsodium with ristretto255 can be loaded."""

    code = "voting.libsodium-missing"


class EncodingError(VotingError):
    """Bytes or fields break section 1 of the specification."""

    code = "voting.encoding"


class GroupError(VotingError):
    """A point or scalar is not canonical, or is the identity where that is refused."""

    code = "voting.group"


class SignatureInvalid(VotingError):
    """An Ed25519 signature does not verify."""

    code = "voting.signature"


class AssertionInvalid(VotingError):
    """A passkey assertion does not prove what it should."""

    code = "voting.assertion"


class LogInvalid(VotingError):
    """A Merkle proof, checkpoint or cosignature does not verify."""

    code = "voting.log"


class RollInvalid(VotingError):
    """The roll, its core or its statement is not well-formed or not signed."""

    code = "voting.roll"


class KeyGenerationError(VotingError):
    """A key generation message is out of order, unsigned or wrong.

    Attributes:
        about_points: True when the fault is in points or proofs (check V07), False for form and order (V06).
    """

    code = "voting.keygen"

    def __init__(self, detail: str, code: str | None = None, *, about_points: bool = False) -> None:
        super().__init__(detail, code)
        self.about_points = about_points


class CopyInvalid(VotingError):
    """A copy of a trustee's secrets is malformed or does not open."""

    code = "voting.copy"


class DestructionInvalid(VotingError):
    """A statement that a share was destroyed is malformed, unsigned or too early."""

    code = "voting.destroyed"


class ManifestInvalid(VotingError):
    """A manifest or electorate breaks section 5."""

    code = "voting.manifest"


class BallotRejected(VotingError):
    """A ballot is refused; the voter can try again."""

    code = "voting.ballot-rejected"


class BallotMalformed(BallotRejected):
    """The ballot is not strict JSON with exactly the fields of section 7."""

    code = "voting.ballot-malformed"


class BallotForeign(BallotRejected):
    """The ballot names another manifest, weight, seq or prev."""

    code = "voting.ballot-foreign"


class BallotNotElector(BallotRejected):
    """The credential is no lineage's current one."""

    code = "voting.ballot-not-elector"


class BallotAlreadyCast(BallotRejected):
    """The lineage has already cast a ballot, and votes once."""

    code = "voting.ballot-already-cast"


class BallotSignatureInvalid(BallotRejected):
    """The credential's signature does not verify."""

    code = "voting.ballot-signature"


class BallotBytesInvalid(BallotRejected):
    """Length, point or scalar of the sealed choices is not canonical."""

    code = "voting.ballot-bytes"


class BallotOptionProofInvalid(BallotRejected):
    """The proof that every cell is in its range fails."""

    code = "voting.ballot-option-proof"


class BallotSumProofInvalid(BallotRejected):
    """The proof that a constrained sum is in its range fails."""

    code = "voting.ballot-sum-proof"


class BallotPointRepeated(BallotRejected):
    """A point of the ballot is already present in another ballot."""

    code = "voting.ballot-point-repeated"


class ReplacementRefused(VotingError):
    """A credential may not take over a lineage."""

    code = "voting.replacement"


class VoidRefused(VotingError):
    """An audited ballot cannot be made void."""

    code = "voting.void"


class BoardInvalid(VotingError):
    """A board entry is malformed or comes out of order."""

    code = "voting.board"


class TallyInvalid(VotingError):
    """A decryption share, count or tally is wrong."""

    code = "voting.tally"


class BundleUnreadable(VotingError):
    """The bundle or annex cannot be opened within the limits (exit 2)."""

    code = "voting.bundle-unreadable"


class BundleMalformed(VotingError):
    """A file of the bundle or annex breaks section 9 (check V01)."""

    code = "voting.bundle-malformed"
