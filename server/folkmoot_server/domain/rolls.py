"""Which members a roll lists, with which passkeys, and what it marks as an exception."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from folkmoot_server.domain.errors import Refused
from folkmoot_server.domain.ledger import protocol_checked
from folkmoot_voting.encoding import JsonObject, unb64u
from folkmoot_voting.roll import make_entry

PASSKEYS_MAX = 20
LATE_PASSKEY = "passkey enrolled after the previous roll"


@dataclass(frozen=True, slots=True)
class Elector:
    """A member entitled to vote; passkeys are (credential id as b64u, COSE key, added at)."""

    member: str
    name: str
    passkeys: tuple[tuple[str, bytes, int], ...]


def build_entries(
    electors: Iterable[Elector], previous_freeze: int | None, rng: Callable[[int], bytes]
) -> list[JsonObject]:
    """Return a salted roll entry for each elector who has a passkey (voting.md section 3).

    A passkey added since the previous roll makes its entry an exception; the first roll has none, since
    there is nothing to compare it with.

    Raises:
        Refused: nobody has a passkey, or a stored name or key breaks the specification.
    """
    entries: list[JsonObject] = []
    for elector in electors:
        if not elector.passkeys:
            continue
        late = previous_freeze is not None and any(added > previous_freeze for _, _, added in elector.passkeys)
        passkeys = [(unb64u(identity), key) for identity, key, _ in _newest(elector.passkeys)]
        with protocol_checked():
            entries.append(make_entry(elector.member, elector.name, passkeys, rng(32), LATE_PASSKEY if late else ""))
    if not entries:
        raise Refused("roll.empty", "Nobody in this meeting's units has a passkey yet.")
    return entries


def _newest(passkeys: Sequence[tuple[str, bytes, int]]) -> list[tuple[str, bytes, int]]:
    return sorted(passkeys, key=lambda passkey: (-passkey[2], passkey[0]))[:PASSKEYS_MAX]
