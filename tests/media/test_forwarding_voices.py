"""Who is heard, over many random traces, and how soon."""

import pytest
from tests.media.forwarding_room import NTP, Microphone, Room, listen
from tests.media.support import Dice

from folkmoot_media.forwarding.floor import FLOOR_LIVE_FOR, RESERVED_SLOT, SLOT_COUNT, Floor, FloorMode

OWNERS = ("chair", "guest", "anna", "bela", "cleo", "dora", "emil")
TRACES = 10_000
SHORT, LONG = 15, 500  # steps of 20 ms
LONG_TRACES = 1_000
LATEST = 0.4


class Trace:
    """One random course of a meeting: who is privileged, muted, silent, and what level everyone claims."""

    def __init__(self, seed: int, kind: type[Floor]) -> None:
        self.dice = Dice(f"trace {seed}")
        self.floor = kind(FloorMode.CHAIRED if self.dice.below(2) else FloorMode.OPEN)
        self.now = 0.0
        self.privileged: list[str] = []
        self.heard: dict[str, float] = {}
        self.talking = {owner: self.dice.below(4) > 0 for owner in OWNERS}
        self.displaced = self.given_back = 0
        for owner in OWNERS:
            self.floor.add_voice(owner)
        self.grant()

    def grant(self) -> None:
        chairs = ["chair"] if self.dice.below(4) else []
        granted = [OWNERS[self.dice.below(3)]] if self.dice.below(2) else []
        mode = FloorMode.CHAIRED if self.dice.below(2) else FloorMode.OPEN
        self.floor.set_floor(mode, chairs, granted)
        self.privileged = list(dict.fromkeys([*granted, *chairs]))
        self.assign()

    def assign(self) -> None:
        before = list(self.floor.holders)
        self.floor.assign(self.now)
        for slot, (old, new) in enumerate(zip(before, self.floor.holders, strict=True)):
            if old is not None and new != old and self.floor.may_speak(old):
                self.displaced += slot != RESERVED_SLOT and new is not None
                self.given_back += slot == RESERVED_SLOT and old in self.privileged

    def step(self) -> None:
        self.now += 0.02
        draw = self.dice.bytes(16)
        if draw[15] < 4:
            self.grant()
        if draw[14] < 8:
            owner = OWNERS[draw[13] % len(OWNERS)]
            self.floor.set_muted(owner, draw[12] < 100)
        for number, owner in enumerate(OWNERS):
            if draw[number] < 3:
                self.talking[owner] = not self.talking[owner]
            if not self.talking[owner]:
                continue
            # Strangers to the floor claim to be as loud as can be; those who own it whisper.
            level = 60 + draw[number] % 60 if owner in self.privileged else draw[number] % 20
            self.heard[owner] = self.now
            if self.floor.hear(owner, level, self.now):
                self.assign()

    def wrong(self) -> bool:
        """Say whether the reserved slot is where it must not be, after a regular assignment."""
        self.assign()
        holders = self.floor.holders
        speaking = [owner for owner in holders if owner is not None]
        live = [
            owner
            for owner in self.privileged
            if self.floor.may_speak(owner) and self.now - self.heard.get(owner, -9.0) <= FLOOR_LIVE_FOR
        ]
        return (
            (holders[RESERVED_SLOT] is not None and holders[RESERVED_SLOT] not in self.privileged)
            or (bool(live) and holders[RESERVED_SLOT] != live[0])
            or len(speaking) != len(set(speaking))
            or len(holders) != SLOT_COUNT
            or any(not self.floor.may_speak(owner) for owner in speaking)
        )


class ByLoudness(Floor):
    """The control: a reserved slot that goes to whoever claims to be loudest."""

    def _assign_reserved(self, now: float) -> None:
        waiting = self._waiting(now)
        if waiting:
            self._give(RESERVED_SLOT, waiting[0].owner, now)


def count_wrong(kind: type[Floor], traces: int, steps: int = SHORT) -> tuple[int, int, int]:
    """Return how often the slots were wrong, somebody was displaced by loudness, and the floor was given back."""
    wrong = displaced = given_back = 0
    for seed in range(traces):
        trace = Trace(seed, kind)
        for number in range(steps):
            trace.step()
            if number % 5 == 4 and trace.wrong():
                wrong += 1
        displaced, given_back = displaced + trace.displaced, given_back + trace.given_back
    return wrong, displaced, given_back


def test_in_ten_thousand_random_traces_no_claimed_level_takes_the_reserved_slot() -> None:
    assert count_wrong(Floor, TRACES)[0] == 0


def test_nor_does_it_in_long_ones_in_which_slots_change_and_the_floor_is_given_back() -> None:
    wrong, displaced, given_back = count_wrong(Floor, LONG_TRACES, LONG)
    assert wrong == 0
    assert displaced > 500
    assert given_back > 500


def test_a_slot_given_by_loudness_is_caught_by_the_same_traces() -> None:
    assert count_wrong(ByLoudness, 50)[0] > 20
    assert count_wrong(ByLoudness, 5, LONG)[0] > 20


# -- how soon ---------------------------------------------------------------------------------------------------


class Talk:
    """Three silent holders of the slots, and dora, who begins to speak."""

    def __init__(self, level: int, period: float, phase: float, quiet: int) -> None:
        self.room = Room()
        self.silent = [Microphone(self.room, owner, 10 + number, quiet) for number, owner in enumerate("abc")]
        self.dora = Microphone(self.room, "dora", 20, level)
        listen(self.room, "listener")
        self.period = period
        self.next_packet, self.next_poll = self.room.now + phase, self.room.now

    def run(self, seconds: float, speaking: bool) -> None:
        end = self.room.now + seconds
        while (now := min(self.next_packet, self.next_poll)) < end:
            self.room.now = now
            if now == self.next_poll:
                self.room.router.poll(now, NTP)
                self.next_poll += 0.05
            else:
                for microphone in (*self.silent, *([self.dora] if speaking else [])):
                    microphone.send()
                self.next_packet += self.period
            self.room.take()
        self.room.now = end

    def delay(self) -> float:
        """Return the seconds from dora's first packet to the event that names her."""
        self.run(2.0, speaking=False)
        began = self.next_packet
        self.room.events.clear()
        while not any(data.get("owner") == "dora" for _, data in self.room.events):
            self.run(0.005, speaking=True)
            assert self.room.now < began + 2, "never heard"
        return self.room.now - began


@pytest.mark.parametrize("period", [0.01, 0.02, 0.06])
@pytest.mark.parametrize("level", [10, 30, 45])
@pytest.mark.parametrize("quiet", [127, 90])
def test_a_new_speaker_is_shown_within_400_ms(level: int, period: float, quiet: int) -> None:
    delays = [Talk(level, period, phase / 100, quiet).delay() for phase in range(0, 10, 2)]
    assert max(delays) <= LATEST


@pytest.mark.parametrize("period", [0.02, 0.06])
def test_somebody_with_the_floor_is_shown_with_the_first_packet(period: float) -> None:
    talk = Talk(80, period, 0.0, 20)
    talk.room.router.set_floor(FloorMode.OPEN, [], ["dora"], talk.room.now)
    assert talk.delay() <= 0.01


def test_a_cough_takes_no_slot() -> None:
    talk = Talk(20, 0.02, 0.0, 127)
    talk.run(2.0, speaking=False)
    talk.room.events.clear()
    for _ in range(10):
        talk.run(0.14, speaking=True)
        talk.run(1.5, speaking=False)
    assert talk.room.events == []
