"""Which facts the installation's log records, and the server's signature on logs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from folkmoot_server.domain.errors import Refused
from folkmoot_voting import signing
from folkmoot_voting.errors import VotingError
from folkmoot_voting.merkle_log import Checkpoint, Note, sign_checkpoint, tree_hash

CHECKPOINT_AGE_MAX_S: Final = 600


@dataclass(frozen=True, slots=True)
class Notary:
    """The server's key as the owner of the ledger and of every board (voting.md sections 5 and 6)."""

    seed: bytes
    rp_id: str

    @property
    def key(self) -> bytes:
        """The 32-byte Ed25519 public key."""
        return signing.public_key(self.seed)

    @property
    def ledger_origin(self) -> str:
        """The ledger's name in its checkpoints."""
        return f"{self.rp_id}/ledger"

    def board_origin(self, meeting: str, election: str) -> str:
        """A board's name in its checkpoints."""
        return f"{self.rp_id}/{meeting}/{election}"

    def checkpoint(self, origin: str, hashes: Sequence[bytes]) -> Note:
        """Sign the head of a log given its leaf hashes."""
        return sign_checkpoint(Checkpoint(origin, len(hashes), tree_hash(hashes)), self.seed)

    def sign(self, digest: bytes) -> bytes:
        """Sign one of the 32-byte tagged hashes of voting.md."""
        return signing.sign(self.seed, digest)


@contextmanager
def protocol_checked() -> Iterator[None]:
    """Turn a refusal of the ballot protocol into ours, with its code and as a sentence.

    Raises:
        Refused: a signature, proof or protocol rule failed.
    """
    try:
        yield
    except VotingError as error:
        sentence = error.detail[:1].upper() + error.detail[1:]
        raise Refused(error.code, sentence if sentence.endswith(".") else sentence + ".") from error
