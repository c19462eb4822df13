"""Which members a roll lists, with which passkeys, and what it marks as an exception (voting.md section 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from folkmoot_server.domain.errors import Refused
from folkmoot_server.domain.identity import METHODS, PASSKEYS_MAX, PasskeyKind
from folkmoot_server.domain.ledger import protocol_checked
from folkmoot_voting.encoding import JsonObject, unb64u
from folkmoot_voting.roll import NO_EXCEPTION, RollException, make_entry

OFFICER_BYTES = 200


@dataclass(frozen=True, slots=True)
class Origin:
    """The passkey made with a link from which others descend.

    Attributes:
        kind: how it came.
        officers: who made the link and, once there is one, who confirmed; as the roll writes them.
        rolled: whether an earlier roll listed it.
    """

    kind: PasskeyKind
    officers: tuple[str, ...]
    rolled: bool

    @property
    def confirmed(self) -> bool:
        """Whether two officers answer for it."""
        return len(self.officers) == 2


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passkey that may be listed; `id` is base64url, `key` the COSE key, `rolled` as in Origin."""

    id: str
    key: bytes
    added_at: int
    rolled: bool
    origin: Origin


@dataclass(frozen=True, slots=True)
class Elector:
    """A member entitled to vote, who stood in a roll before or did not."""

    member: str
    name: str
    weight: int
    rolled: bool
    passkeys: tuple[Candidate, ...]

    def listed(self) -> list[Candidate]:
        """Return the passkeys that two officers answer for, the newest first, at most 20."""
        confirmed = (passkey for passkey in self.passkeys if passkey.origin.confirmed)
        return sorted(confirmed, key=lambda passkey: (-passkey.added_at, passkey.id))[:PASSKEYS_MAX]


@dataclass(frozen=True, slots=True)
class RollDraft:
    """What a roll would list, and whom it leaves out because a second officer is missing."""

    entries: list[JsonObject]
    unconfirmed: list[Elector]


def officer_text(name: str, code: str) -> str:
    """Return how a roll names an officer: the name, cut when it is too long, and the member code."""
    tail = f" ({code})"
    return name.encode()[: OFFICER_BYTES - len(tail)].decode(errors="ignore") + tail


def exception_of(elector: Elector) -> RollException:
    """Say how a passkey came that no roll before listed; nothing when there is none."""
    fresh = [passkey for passkey in elector.listed() if not passkey.rolled]
    if not fresh:
        return NO_EXCEPTION
    linked = [passkey.origin for passkey in fresh if not passkey.origin.rolled]
    if not linked:
        return RollException("added", METHODS[PasskeyKind.ADDED])
    kind = "replaced" if elector.rolled else "first"
    return RollException(kind, METHODS[linked[0].kind], linked[0].officers)


def build_entries(electors: Iterable[Elector], rng: Callable[[int], bytes]) -> RollDraft:
    """Make a salted roll entry for each elector with a passkey that two officers answer for.

    Raises:
        Refused: nobody has such a passkey, or a stored name or key breaks the specification.
    """
    entries: list[JsonObject] = []
    unconfirmed: list[Elector] = []
    for elector in electors:
        listed: Sequence[Candidate] = elector.listed()
        if not listed:
            if elector.passkeys:
                unconfirmed.append(elector)
            continue
        passkeys = [(unb64u(passkey.id), passkey.key) for passkey in listed]
        with protocol_checked():
            entry = make_entry(
                elector.member,
                elector.name,
                passkeys,
                rng(32),
                weight=elector.weight,
                exception=exception_of(elector),
            )
        entries.append(entry)
    if not entries:
        raise Refused("roll.empty", "Nobody in this meeting's units has a passkey that a second officer confirmed.")
    return RollDraft(entries, unconfirmed)
