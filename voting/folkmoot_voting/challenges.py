"""The passkey challenges of section 2, each 32 bytes; page and server compute the same."""

from __future__ import annotations

from .encoding import JsonObject, h, jcs, u32


def enrol(rp_id: str, user_handle: bytes, nonce: bytes) -> bytes:
    """Challenge for registering a passkey."""
    return h("fm1/enrol", rp_id, user_handle, nonce)


def sign_in(rp_id: str, nonce: bytes) -> bytes:
    """Challenge for signing in."""
    return h("fm1/sign-in", rp_id, nonce)


def action(action_json: JsonObject, nonce: bytes) -> bytes:
    """Challenge for a step-up action; raises EncodingError when the action is not canonical JSON data."""
    return h("fm1/action", jcs(action_json), nonce)


def registrar(roll_hash: bytes, nonce: bytes) -> bytes:
    """Challenge by which the registrar signs the roll."""
    return h("fm1/registrar", roll_hash, nonce)


def checkin(meeting: str, roll_hash: bytes, site: str, credential: bytes, checkpoint: str, nonce: bytes) -> bytes:
    """Challenge by which a member's passkey signs the voting credential; checkpoint is the note's text."""
    return h("fm1/checkin", meeting, roll_hash, site, credential, checkpoint, nonce)


def trustee(
    meeting: str, roll_hash: bytes, attempt: int, index: int, sign_key: bytes, box_key: bytes, nonce: bytes
) -> bytes:
    """Challenge by which a trustee's passkey signs the keys made for one attempt at key generation."""
    return h("fm1/trustee", meeting, roll_hash, u32(attempt), u32(index), sign_key, box_key, nonce)


def cosign(meeting: str, roll_hash: bytes, name: str, key: bytes, nonce: bytes) -> bytes:
    """Challenge by which a cosigner's passkey signs the cosigning key."""
    return h("fm1/cosign", meeting, roll_hash, name, key, nonce)


def presence(meeting: str, asking: str, credential: bytes, nonce: bytes) -> bytes:
    """Challenge by which a member's passkey says that the member is still there; credential of the last check-in."""
    return h("fm1/presence", meeting, asking, credential, nonce)


def replacement(mh: bytes, old: bytes, new: bytes, kiosk: bool, nonce: bytes) -> bytes:
    """Challenge by which a member's passkey hands one vote from credential old to credential new."""
    return h("fm1/replace", mh, old, new, u32(int(kiosk)), nonce)
