"""Who gets a voice slot."""

from folkmoot_media.forwarding.floor import RESERVED_SLOT, SLOT_COUNT, Floor, FloorMode

LOUD, NORMAL, QUIET, SILENT = 0, 30, 70, 127


class Hall:
    """A floor on which everybody speaks every 20 ms at a level of their own."""

    def __init__(self, mode: FloorMode = FloorMode.OPEN) -> None:
        self.floor = Floor(mode)
        self.levels: dict[str, int] = {}
        self.now = 0.0
        self.changes = 0

    def speak(self, **levels: int) -> None:
        for owner in levels:
            self.floor.add_voice(owner)
        self.levels.update(levels)

    def run(self, seconds: float) -> "Hall":
        for tick in range(round(seconds * 50)):
            self.now += 0.02
            for owner, level in self.levels.items():
                if self.floor.hear(owner, level, self.now):
                    self.changes += len(self.floor.assign(self.now))
            if tick % 5 == 0:
                self.changes += len(self.floor.assign(self.now))
        return self

    @property
    def heard(self) -> set[str]:
        return {owner for owner in self.floor.holders if owner is not None}


def test_in_an_open_floor_the_first_three_are_heard_at_once() -> None:
    hall = Hall()
    hall.speak(a=SILENT, b=SILENT, c=SILENT)
    assert hall.run(0.1).heard == {"a", "b", "c"}
    assert hall.floor.holders[RESERVED_SLOT] is None


def test_a_louder_fourth_voice_displaces_the_quietest_and_nobody_else() -> None:
    hall = Hall()
    hall.speak(a=NORMAL, b=NORMAL, c=QUIET)
    hall.run(1)
    hall.speak(d=NORMAL)
    assert hall.run(2).heard == {"a", "b", "d"}


def test_equally_loud_voices_do_not_take_each_others_slots() -> None:
    hall = Hall()
    hall.speak(a=NORMAL, b=NORMAL, c=NORMAL)
    hall.run(1)
    before = hall.changes
    hall.speak(d=NORMAL - 3, e=NORMAL)
    hall.run(10)
    assert hall.changes == before


def test_quiet_noise_never_displaces_anyone() -> None:
    hall = Hall()
    hall.speak(a=SILENT, b=SILENT, c=SILENT)
    hall.run(1)
    hall.speak(d=QUIET)
    assert hall.run(5).heard == {"a", "b", "c"}


def test_a_spoofed_level_cannot_take_the_reserved_slot() -> None:
    hall = Hall()
    hall.floor.set_floor(FloorMode.OPEN, ["chair"], [])
    hall.speak(chair=QUIET, a=LOUD, b=LOUD, c=LOUD, d=LOUD, e=LOUD)
    hall.run(10)
    assert hall.floor.holders[RESERVED_SLOT] == "chair"
    assert len(hall.heard) == SLOT_COUNT


def test_without_the_reservation_the_same_levels_do_push_the_chair_out() -> None:
    hall = Hall()
    hall.speak(chair=QUIET, a=LOUD, b=LOUD, c=LOUD, d=LOUD, e=LOUD)
    hall.run(10)
    assert "chair" not in hall.heard


def test_the_granted_owner_goes_before_the_chair() -> None:
    hall = Hall()
    hall.floor.set_floor(FloorMode.CHAIRED, ["chair"], ["guest"])
    hall.speak(chair=NORMAL, guest=QUIET, a=LOUD)
    hall.run(1)
    assert hall.floor.holders[RESERVED_SLOT] == "guest"
    assert hall.heard == {"chair", "guest"}
    hall.floor.set_floor(FloorMode.CHAIRED, ["chair"], [])
    hall.run(1)
    assert hall.heard == {"chair"}
    assert hall.floor.holders[RESERVED_SLOT] == "chair"


def test_a_granted_owner_who_has_stopped_sending_gives_the_slot_back() -> None:
    hall = Hall()
    hall.floor.set_floor(FloorMode.CHAIRED, ["chair"], ["guest"])
    hall.speak(chair=NORMAL, guest=NORMAL)
    hall.run(1)
    del hall.levels["guest"]
    hall.run(3)
    assert hall.floor.holders[RESERVED_SLOT] == "chair"


def test_a_muted_or_removed_voice_loses_its_slot() -> None:
    hall = Hall()
    hall.speak(a=NORMAL, b=NORMAL)
    hall.run(1)
    hall.floor.set_muted("a", True)
    assert hall.run(0.2).heard == {"b"}
    hall.floor.remove_voice("b")
    assert hall.run(0.2).heard == set()
    hall.floor.set_muted("a", False)
    assert hall.run(0.2).heard == {"a"}


def test_nobody_holds_two_slots() -> None:
    hall = Hall()
    hall.speak(a=NORMAL, b=NORMAL, c=NORMAL, d=NORMAL, e=NORMAL)
    hall.run(1)
    for granted in (["a"], ["b"], [], ["e"], ["c", "a"]):
        hall.floor.set_floor(FloorMode.OPEN, ["d"], granted)
        hall.run(1)
        held = [owner for owner in hall.floor.holders if owner is not None]
        assert len(held) == len(set(held)) == SLOT_COUNT
