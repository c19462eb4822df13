"""Repairs over a long way: a request that crosses the repair on its way is not answered once more."""

import pytest
from tests.media.test_forwarding_link import Seat
from tests.media.virtual_link import VirtualLink

from folkmoot_media.forwarding import repair, rtcp
from folkmoot_media.forwarding.transport_wide import WATCHED_MAX, SendLog, Sent

ROUND_TRIP = 0.6
A_BIT = 0.01
LOOK_BACK = 200


class Page(Seat):
    """Cleo's page asks for each packet as soon as a later one has come, and after `patience` seconds once more."""

    def __init__(self, loss: float, patience: float = ROUND_TRIP) -> None:
        self.patience = patience
        super().__init__(VirtualLink(800e3, ROUND_TRIP / 2, loss=loss, seed=5))
        self.back = VirtualLink(10e6, ROUND_TRIP / 2, loss=loss, seed=6)
        self.asked: dict[int, float] = {}
        self.lost: set[int] = set()
        self.there: set[int] = set()
        self.sent: list[int] = []
        self._seen = self._read = 0
        self.room.clock.every(A_BIT, self._ask)
        self.run(10)
        self.lost.clear()
        self.before = self.consumer.resent
        self.run(60)

    @property
    def again(self) -> float:
        """Packets sent again for each lost one."""
        return (self.consumer.resent - self.before) / len(self.lost)

    @property
    def repaired(self) -> float:
        """The share of lost packets that came after all; the youngest are on their way."""
        told = self.lost - set(self.sent[-LOOK_BACK:])
        return len(told & self.there) / len(told)

    def _look_at_packets(self) -> None:
        packets = self.room.received["cleo"].packets
        for _, packet in packets[self._seen :]:
            if packet.ssrc == self.consumer.ssrc:
                self.there.add(packet.sequence)
            elif packet.ssrc == self.consumer.rtx_ssrc:
                self.there.add(int.from_bytes(packet.payload[:2], "big"))
        self._seen = len(packets)
        copies = self.room.sent.get("cleo", [])
        self.sent += [packet.sequence for packet in copies[self._read :] if packet.ssrc == self.consumer.ssrc]
        self._read = len(copies)

    def _ask(self) -> None:
        self._look_at_packets()
        now, late = self.room.clock.now, self.sent[-LOOK_BACK:]
        newest = max((place for place, number in enumerate(late) if number in self.there), default=0)
        missing = [number for number in late[:newest] if number not in self.there]
        self.lost.update(missing)
        due = [number for number in missing if now - self.asked.get(number, 0.0) >= self.patience]
        self.asked.update((number, now) for number in due)
        arrival = self.back.send(80, now) if due else None
        if arrival is not None:
            self.room.clock.at(arrival, lambda: self._tell(due))

    def _tell(self, numbers: list[int]) -> None:
        self.room.now = self.room.clock.now
        self.room.receive_rtcp(self.leg, rtcp.build_nack(9, self.consumer.ssrc, numbers))


@pytest.mark.parametrize("patience", [0.1, ROUND_TRIP])
def test_over_a_satellite_hardly_anything_is_sent_again_twice(patience: float) -> None:
    page = Page(0.2, patience)
    assert len(page.lost) > 300
    assert page.again <= 1.3
    assert page.repaired >= 0.93


def test_control_what_may_be_sent_again_is_spent_in_vain_when_every_request_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(repair, "_is_doubtful", lambda *_: False)
    assert Page(0.2).repaired < 0.8


def numbered(log: SendLog, count: int) -> list[int]:
    return [log.stamp(Sent(float(number), 100, False)) & 0xFFFF for number in range(count)]


def test_feedback_tells_of_watched_packets_across_the_wrap() -> None:
    log = SendLog(5)
    log.next = 0xFFFE
    first, second, third, fourth = numbered(log, 4)
    for number in (first, second, third, fourth):
        log.watch(number)
    assert log.has_arrived(first) is None
    log.resolve(second, (100, -1))
    # The first lies before what is told.
    assert [log.has_arrived(number) for number in (first, second, third, fourth)] == [None, True, False, None]
    log.resolve(first, (100, 101, 102, 103))
    assert [log.has_arrived(number) for number in (first, second, third, fourth)] == [True, True, False, True]


def test_no_more_are_watched_than_there_is_room_for() -> None:
    log = SendLog(5)
    numbers = numbered(log, WATCHED_MAX + 1)
    for number in numbers:
        log.watch(number)
    assert log.has_arrived(numbers[0]) is False
    assert log.has_arrived(numbers[1]) is None
