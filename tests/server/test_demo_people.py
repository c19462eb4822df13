"""The scripted meeting's roster: as many different people as asked for, the same for the same seed."""

from random import Random  # noqa: TID251  seeded names

import pytest

from folkmoot_server.demo.organisation import people


@pytest.mark.parametrize("members", [5, 12, 480, 481, 500])
def test_everyone_is_somebody_else(members: int) -> None:
    roster = people(members, 3, Random(1))
    assert len({person.name for person in roster}) == members
    assert [person.roles[0] for person in roster[:4]] == ["chair", "secretary", "teller", "teller"]
    assert "auditor" in roster[-1].roles


def test_a_seed_names_the_same_people() -> None:
    assert people(20, 3, Random(7)) == people(20, 3, Random(7)) != people(20, 3, Random(8))
