"""The count is signed by enough trustees, whichever they are, and declared by the chair."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from folkmoot_server.commands import motion_votes
from folkmoot_server.commands.results import CHAIR, signed_checkpoint
from folkmoot_server.domain.elections import Phase, Verb, follow
from folkmoot_server.domain.errors import Conflict, Forbidden, Refused
from folkmoot_server.domain.identity import SessionInfo
from folkmoot_server.domain.ledger import Notary
from folkmoot_server.storage import board, elections, events, keys, ledger
from folkmoot_server.storage.elections import StoredElection
from folkmoot_voting import signing
from folkmoot_voting.board import entry_leaf, tally_entry
from folkmoot_voting.encoding import b64u, jcs
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.tally import tally_hash


def sign_tally(
    tx: Connection,
    meeting: str,
    election: str,
    session: SessionInfo,
    trustee: int,
    sig: bytes,
    *,
    notary: Notary,
    now: int,
) -> None:
    """Accept a signature over the tally: the chair's (trustee 0) or that of any trustee of the key.

    With the chair and as many trustees as open a box the result is declared and recorded; where no box was opened,
    the chair's signature is enough. The same signature again changes nothing, nor does one more trustee's that
    comes after the declaration: its page could not know.

    Raises:
        Forbidden: the caller is not the chair of the manifest, or not that trustee, or there was no box to open.
        WrongState: not counted yet, or declared already and the caller is the chair.
        Conflict: a different second signature.
        Refused: the signature does not verify.
    """
    stored = elections.get(tx, meeting, election)
    late = stored.state is Phase.DECLARED and trustee != 0
    state = stored.state if late else follow(stored.state, Verb.SIGN)
    counted = stored.tally or {}
    core: dict[str, Any] = counted["core"]
    manifest = stored.opened
    signer, key = _signer(tx, meeting, session, trustee, core, manifest)
    digest = tally_hash(core)
    if not signing.is_valid(key, digest, sig):
        raise Refused("tally.signature", "The signature on the tally does not verify.")
    if late:
        return
    signatures = elections.tally_signatures(tx, election)
    if signer in signatures:
        if signatures[signer] == b64u(sig):
            return
        raise Conflict("tally.second-signature", "You have already signed this tally.")
    elections.add_tally_signature(tx, election, signer, b64u(sig))
    events.append(tx, meeting, "TallySigned", now, {"election": election, "signer": signer})
    if _is_enough({*signatures, signer}, core, manifest):
        _declare(tx, stored, core, digest, notary, now)
    else:
        elections.save(tx, stored, state)


def _is_enough(signers: set[str], core: dict[str, Any], manifest: Manifest) -> bool:
    needed = manifest.trustees.threshold if core["aggregate"] else 0
    return CHAIR in signers and len(signers - {CHAIR}) >= needed


def _signer(
    tx: Connection, meeting: str, session: SessionInfo, trustee: int, core: dict[str, Any], manifest: Manifest
) -> tuple[str, bytes]:
    if trustee == 0:
        if keys.cosigner_name(tx, meeting, session.member_id) != CHAIR:
            raise Forbidden("tally.not-chair", "Only the chair named in the manifest declares the result.")
        return CHAIR, manifest.cosigners[CHAIR]
    if keys.trustee_index(tx, meeting, session.member_id) != trustee:
        raise Forbidden("tally.not-trustee", "You are not this trustee.")
    if not core["aggregate"]:
        raise Forbidden("tally.no-box", "Nobody opened a box for this result; no trustee signs it.")
    return f"trustee-{trustee}", manifest.trustees.sign_keys[trustee - 1]


def _declare(
    tx: Connection, stored: StoredElection, core: dict[str, Any], digest: bytes, notary: Notary, now: int
) -> None:
    too_few = core["outcome"][0]["kind"] == "too-few"
    state = follow(stored.state, Verb.DECLARE_TOO_FEW if too_few else Verb.DECLARE)
    entry = tally_entry(digest)
    board.append(tx, stored.id, [("tally", jcs(entry), entry_leaf(entry))])
    elections.save(tx, stored, state, checkpoint=signed_checkpoint(tx, stored, notary))
    ledger.append(tx, notary, kind="tally", meeting=stored.meeting, election=stored.id, digest=digest, now=now)
    body = {
        "election": stored.id,
        "outcome": core["outcome"],
        "counts": core["counts"],
        "title": stored.title,
        "questions": [{"type": one.type, "text": one.text, "options": list(one.options)} for one in stored.questions],
        "majority": stored.majority,
        "halls": core["halls"],
    }
    events.append(tx, stored.meeting, "ResultDeclared", now, body)
    motion_votes.decide(tx, stored, core["outcome"][0]["kind"], now)
