"""The ballot protocol fm1: group, proofs, ballots, board, trustees, tally and offline verification; no I/O.

The server uses these modules by name: `challenges` and `assertion` (passkeys), `roll`, `keygen`, `questions`,
`electorate`, `manifest`, `ballot`, `batch`, `lineages`, `board`, `merkle_log`, `tally`, `rules`, `bundle`, `verify`,
with `encoding` and `errors` throughout. `trustee` and `casting` are the software side of people's devices, for
demonstrations and tests.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_HOMES = {
    "Aggregate": "tally",
    "Ballot": "ballot",
    "BallotRejected": "errors",
    "BoardState": "board",
    "Bundle": "bundle",
    "CheckedBallot": "ballot",
    "ElectionFiles": "bundle",
    "Elector": "electorate",
    "KeyGeneration": "keygen",
    "Lineages": "lineages",
    "Manifest": "manifest",
    "Question": "questions",
    "RelyingParty": "assertion",
    "RollCore": "roll",
    "Rules": "manifest",
    "Trustee": "trustee",
    "TrusteesKey": "keygen",
    "VotingError": "errors",
    "build_manifest": "manifest",
    "check_ballot": "ballot",
    "make_ballot": "casting",
    "verify_assertion": "assertion",
    "write_annex": "bundle",
    "write_bundle": "bundle",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for, and no more: a verifier starts without the modules that make ballots and bundles."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found
