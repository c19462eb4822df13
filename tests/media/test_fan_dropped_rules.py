"""A rule that is dropped between a packet that it fits and the sending of the batch in hand fits nothing any more.

So it goes when a frame of one size and a key frame of the other, to which somebody moves, come in one batch.
"""

import socket
from collections.abc import Iterator

import pytest
from tests.media.fan_rig import RoomRig, Visitor, drain, made
from tests.media.support import rtp, video_parameters, vp8
from tests.media.test_fan_rules import consume

from folkmoot_media.fan.compiled_backend import CompiledFan
from folkmoot_media.forwarding import express
from folkmoot_media.forwarding.model import VideoConsumer

SMALL, LARGE = b"small", b"large"


@pytest.fixture
def rig() -> Iterator[RoomRig]:
    fresh = RoomRig(made("compiled"), "dropped", socket.AF_INET)
    yield fresh
    fresh.close()


def frame(body: bytes, number: int, *, key: bool = False) -> bytes:
    rid, ssrc = (b"r0", 7) if body == SMALL else (b"r1", 8)
    return rtp(
        ssrc=ssrc,
        sequence=number,
        timestamp=3000 * number,
        payload_type=96,
        marker=True,
        extensions={1: b"1", 2: rid},
        payload=vp8(key=key, picture=number, tl0=number, body=body * 40),
    )


def bodies(cleo: Visitor) -> list[bytes]:
    """Return what of each packet that has come tells the size, in order."""
    found = [SMALL if packet.count(SMALL) else LARGE for packet in cleo.rtp]
    cleo.rtp.clear()
    return found


def watching_small(rig: RoomRig) -> tuple[Visitor, Visitor]:
    """Cleo sees the small size, whose packets are forwarded by a rule, and waits for a key frame of the large one."""
    anna, cleo = rig.visit("anna", "send"), rig.visit("cleo", "recv")
    parameters = {"kind": "video", "source": "camera", "rtpParameters": video_parameters(), "paused": False}
    producer = rig.methods.call("transport.produce", {"transport_id": anna.id, **parameters}, rig.now)["id"]
    anna.active.send_rtp(frame(SMALL, 1, key=True))
    rig.settle()
    consume(cleo, str(producer))
    for number in (2, 3, 4):
        anna.active.send_rtp(frame(SMALL, number, key=number == 2))
        rig.settle()
    anna.active.send_rtp(frame(LARGE, 1))
    rig.settle()
    rig.wait(0.05)
    anna.active.send_rtp(frame(SMALL, 5))
    rig.settle()
    assert bodies(cleo) == [SMALL] * 4
    (consumer,) = rig.rooms.transports[cleo.id].leg.consumers.values()
    assert isinstance(consumer, VideoConsumer)
    assert consumer.target is not None
    assert consumer.target.index == 1
    return anna, cleo


def switch_amid_a_batch(rig: RoomRig, anna: Visitor, cleo: Visitor) -> list[bytes]:
    """Send a small frame and a large key frame in one batch, then two small frames and a large one.

    A frame is missing before them, so that the core and not the rule forwards the small one.
    """
    anna.active.send_rtp(frame(SMALL, 7))
    anna.active.send_rtp(frame(LARGE, 2, key=True))
    assert rig.rooms.receive(rig, rig.now) == 2
    for packet in (frame(SMALL, 8), frame(SMALL, 9), frame(LARGE, 3)):
        anna.active.send_rtp(packet)
        rig.settle()
    return bodies(cleo)


def forget_rules(rig: RoomRig) -> None:
    """Drop every rule, so that the next packet makes one that the back end does not know yet."""
    for producer in rig.rooms.router("r").producers.values():
        express.drop_all(producer.layers)


@pytest.mark.parametrize("known", [True, False])
def test_a_rule_dropped_in_its_batch_forwards_nothing(rig: RoomRig, known: bool) -> None:
    anna, cleo = watching_small(rig)
    if not known:
        forget_rules(rig)
    assert switch_amid_a_batch(rig, anna, cleo) == [SMALL, LARGE, LARGE]
    assert isinstance(rig.fan, CompiledFan)
    assert len(rig.fan._rules._epochs) == 1
    assert drain(cleo.sockets[0]) == []


@pytest.mark.parametrize("known", [True, False])
def test_a_rule_that_did_not_know_of_being_dropped_would_be_seen(
    rig: RoomRig, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, cleo = watching_small(rig)
    if not known:
        forget_rules(rig)
    monkeypatch.setattr(express.Rule, "dropped", property(lambda _: False, lambda *_: None))
    if known:
        with pytest.raises(KeyError):
            switch_amid_a_batch(rig, anna, cleo)
    else:
        # The small frame has taken the number of the large one that follows, which is refused as heard before.
        assert switch_amid_a_batch(rig, anna, cleo) == [SMALL, LARGE, SMALL]
