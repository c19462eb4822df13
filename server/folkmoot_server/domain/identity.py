"""Sessions and nonces as rules; the WebAuthn ceremony is an adapter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SESSION_IDLE_S: Final = 30 * 60
SESSION_MAX_S: Final = 12 * 3600
SESSION_TOUCH_S: Final = 60
NONCE_S: Final = 300
TICKET_S: Final = 60
LINK_S: Final = 7 * 86400
PASSKEYS_MAX: Final = 20


OPERATOR: Final = "operator"  # who hands out links on the command line, before there are officers


class PasskeyKind(StrEnum):
    """How a passkey came: by an officer's link, by a link after all were lost, or by its owner."""

    FIRST = "first"
    REPLACED = "replaced"
    ADDED = "added"


METHODS: Final = {
    PasskeyKind.FIRST: "enrolment-link",
    PasskeyKind.REPLACED: "replacement-link",
    PasskeyKind.ADDED: "own-passkey",
}


class Purpose(StrEnum):
    """What a nonce may be used for (voting.md, section 2)."""

    ENROL = "enrol"
    SIGN_IN = "sign-in"
    ROLL = "roll"
    CHECK_IN = "check-in"
    TRUSTEE = "trustee"
    COSIGN = "cosign"
    ACTION = "action"
    REPLACE = "replace"
    PRESENCE = "presence"


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A live session; `session_hash` is the SHA-256 of its token, times are seconds UTC.

    `carried` names the relays that have passed on a request of it, each as "<meeting>/<site>".
    """

    session_hash: bytes
    member_id: str
    passkey_id: str
    created_at: int
    used_at: int
    carried: frozenset[str] = frozenset()

    @property
    def person(self) -> str:
        """Who it is in a meeting."""
        return self.member_id

    @property
    def expires_at(self) -> int:
        """When it ends if nothing more is heard, never later than twelve hours after sign-in."""
        return min(self.created_at + SESSION_MAX_S, self.used_at + SESSION_IDLE_S)

    def live(self, at: int) -> bool:
        """Say whether it still stands at `at`."""
        return at < self.expires_at


@dataclass(frozen=True, slots=True)
class Carried:
    """Who speaks in an entry that a relay brought: nobody's session, only what is signed in it.

    Attributes:
        member_id: whose passkey must have signed; empty where a credential speaks for itself.
        take_nonce: uses up a nonce of the relay's seed, or raises `Refused`.
        since: start of the relay's epoch, since when its checkpoint may have been the newest.
        at: when the hall says that it happened, seconds UTC.
    """

    member_id: str
    take_nonce: Callable[[bytes], None]
    since: int
    at: int


Actor = SessionInfo | Carried


@dataclass(frozen=True, slots=True)
class GuestSession:
    """A guest's session: it opens one meeting and nothing else (conduct.md, section 8)."""

    session_hash: bytes
    meeting: str
    visitor: str
    created_at: int
    used_at: int
    carried: frozenset[str] = frozenset()

    @property
    def person(self) -> str:
        """Who it is in the meeting."""
        return self.visitor

    @property
    def expires_at(self) -> int:
        """When it ends, by the same times as a member's."""
        return min(self.created_at + SESSION_MAX_S, self.used_at + SESSION_IDLE_S)

    def live(self, at: int) -> bool:
        """Say whether it still stands at `at`."""
        return at < self.expires_at


@dataclass(frozen=True, slots=True)
class Assertion:
    """A passkey's answer, raw bytes."""

    authenticator_data: bytes
    client_data_json: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Signed:
    """An assertion over a challenge with a server nonce; `passkey` is the credential id as base64url."""

    nonce: bytes
    passkey: str
    assertion: Assertion
