"""The quorum, in exact integers (voting.md, section 8)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quorum:
    """How many are present, how many the roll holds and how many are needed."""

    num: int
    den: int
    present: int
    roll: int

    @property
    def needed(self) -> int:
        """The smallest number of present members that meets the quorum."""
        return -(-self.num * self.roll // self.den)

    @property
    def met(self) -> bool:
        """Whether present times den is at least num times roll; never without a roll."""
        return self.roll > 0 and self.present * self.den >= self.num * self.roll
