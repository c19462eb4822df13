"""The age recipients of auditors (age-encryption.org/v1: X25519, Bech32)."""

from __future__ import annotations

from pyrage import RecipientError, x25519

from folkmoot_server.domain.errors import BadInput

RECIPIENT_LENGTH = 62


def check_recipient(text: str) -> None:
    """Refuse what is not exactly one X25519 recipient: its checksum, its length, its small letters.

    Raises:
        BadInput: it is not.
    """
    try:
        good = len(text) == RECIPIENT_LENGTH and str(x25519.Recipient.from_str(text)) == text
    except RecipientError:
        good = False
    if not good:
        raise BadInput("auditor.bad-recipient", "This is not an age recipient; it begins with age1.")
