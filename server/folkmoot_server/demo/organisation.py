"""Names and roles of the demonstration organisation."""

from __future__ import annotations

from random import Random  # noqa: TID251  seeded names; never keys

from folkmoot_server.commands.organisation import NewPerson

DEMO_NAME = "Valley Cooperative"
DEMO_UNITS = ("Upper village", "Lower village")

FIRST = [
    "Lan",
    "Binh",
    "Ana",
    "Jonas",
    "Maria",
    "Tuan",
    "Claire",
    "Pedro",
    "Greta",
    "Amira",
    "Hugo",
    "Linh",
    "Marta",
    "Omar",
    "Eva",
    "Nam",
    "Lucie",
    "Rui",
    "Karin",
    "Samir",
    "Ines",
    "Paul",
    "Thu",
    "Elisa",
    "Karl",
    "Leila",
    "Mai",
    "Bruno",
    "Heidi",
    "Yusuf",
]
LAST = [
    "Nguyen",
    "Keller",
    "Silva",
    "Martin",
    "Haddad",
    "Weber",
    "Tran",
    "Costa",
    "Dubois",
    "Pham",
    "Richter",
    "Lopes",
    "Moreau",
    "Le",
    "Vogel",
    "Saleh",
]


def _person(name: str, *roles: str, unit: int | None = None) -> NewPerson:
    return NewPerson(name=name, unit=None if unit is None else DEMO_UNITS[unit], roles=roles)


DEMO_PEOPLE = (
    _person("Lan Nguyen", "chair"),
    _person("Jonas Keller", "secretary", "registrar"),
    _person("Ana Silva", "teller"),
    _person("Paul Martin", "teller"),
    _person("Amira Haddad", "teller"),
    _person("Binh Tran", unit=0),
    _person("Greta Weber", unit=0),
    _person("Rui Costa", unit=1),
    _person("Claire Dubois", unit=1),
    _person("Karin Vogel", "auditor"),
)


def people(members: int, tellers: int, rng: Random) -> tuple[NewPerson, ...]:
    """Chair, secretary (also registrar), tellers and members; the last member is the auditor too."""
    pool = [f"{first} {last}" for last in LAST for first in FIRST]
    rounds = -(-members // len(pool))
    names = pool + [f"{name} {number}" for number in range(2, rounds + 1) for name in pool]
    rng.shuffle(names)
    roster = [_person(names[0], "chair"), _person(names[1], "secretary", "registrar")]
    roster += [_person(name, "teller") for name in names[2 : 2 + tellers]]
    roster += [_person(name) for name in names[2 + tellers : members]]
    last = roster.pop()
    return (*roster, NewPerson(name=last.name, unit=None, roles=(*last.roles, "auditor")))
