"""What one reading of the annex leaves: the roll as bytes by member, who holds which credential, first faults."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from folkmoot_voting import roll
from folkmoot_voting.encoding import JsonObject, respell
from folkmoot_voting.errors import RollInvalid
from folkmoot_voting.merkle_log import Frontier, leaf_hash


@dataclass
class Roll:
    """The roll's entries by member, and what they add up to: as they are, or as JCS bytes where they are many."""

    entries: dict[str, JsonObject | bytes] = field(default_factory=dict)
    weight: int = 0
    exceptions: int = 0
    tree: Frontier = field(default_factory=Frontier)
    _last: tuple[str, JsonObject] | None = None

    def read(self, entries: Iterator[JsonObject], *, many: bool) -> Iterator[JsonObject]:
        """Pass the entries on and keep them."""
        for entry in entries:
            raw = respell(entry)
            self.entries[entry["member"]] = raw if many else entry
            self.tree.append(leaf_hash(raw))
            self.weight += roll.weight_of([entry])
            self.exceptions += roll.exceptions_of([entry])
            yield entry

    def entry(self, member: str) -> JsonObject:
        """Return a member's entry, often asked for twice in a row; raises RollInvalid."""
        if self._last is not None and self._last[0] == member:
            return self._last[1]
        kept = self.entries.get(member)
        if kept is None:
            raise RollInvalid("the member is not on the roll", code="voting.roll-member")
        found: JsonObject = json.loads(kept) if isinstance(kept, bytes) else kept
        self._last = member, found
        return found


@dataclass
class People:
    """What one reading of the annex gave.

    Attributes:
        faults: the first fault of V24, V25 and V33 by id.
        member_of: member by credential of a check-in.
        read: whether the check-ins were read.
    """

    roll: Roll = field(default_factory=Roll)
    faults: dict[str, str] = field(default_factory=dict)
    member_of: dict[bytes, str] = field(default_factory=dict)
    read: bool = False

    def fault(self, check: str, detail: str) -> None:
        """Note the first fault of a check."""
        self.faults.setdefault(check, detail)
