"""The ballot protocol fm1: group, proofs, ballots, board, trustees, tally and offline verification; no I/O.

The server uses these modules by name: `challenges` and `assertion` (passkeys), `roll`, `keygen`, `questions`,
`electorate`, `manifest`, `ballot`, `batch`, `lineages`, `board`, `merkle_log`, `tally`, `rules`, `bundle`, `verify`,
with `encoding` and `errors` throughout. `trustee` and `casting` are the software side of people's devices, for
demonstrations and tests.
"""

from .assertion import RelyingParty, verify_assertion
from .ballot import Ballot, CheckedBallot, check_ballot
from .board import BoardState
from .bundle import Bundle, ElectionFiles, write_annex, write_bundle
from .casting import make_ballot
from .electorate import Elector
from .errors import BallotRejected, VotingError
from .keygen import KeyGeneration, TrusteesKey
from .lineages import Lineages
from .manifest import Manifest, Rules, build_manifest
from .questions import Question
from .roll import RollCore
from .tally import Aggregate
from .trustee import Trustee

__all__ = [
    "Aggregate",
    "Ballot",
    "BallotRejected",
    "BoardState",
    "Bundle",
    "CheckedBallot",
    "ElectionFiles",
    "Elector",
    "KeyGeneration",
    "Lineages",
    "Manifest",
    "Question",
    "RelyingParty",
    "RollCore",
    "Rules",
    "Trustee",
    "TrusteesKey",
    "VotingError",
    "build_manifest",
    "check_ballot",
    "make_ballot",
    "verify_assertion",
    "write_annex",
    "write_bundle",
]
