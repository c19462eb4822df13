"""Transport-wide numbers through the whole worker but its sockets: parameters, SRTP, feedback, layers."""

from typing import Any

from tests.media.support import CAPABILITIES, MID_ID, RID_ID, Client, Network, rtp, vp8

from folkmoot_media.forwarding import rtcp
from folkmoot_media.forwarding.packets import parse_rtp, read_extensions
from folkmoot_media.forwarding.transport_wide import ArrivalLog
from folkmoot_media.rtp_parameters import ROUTER_CAPABILITIES, WIDE_ID, WIDE_URI

FEEDBACK = [{"type": "transport-cc", "parameter": ""}]
ANSWERING: dict[str, Any] = {
    "codecs": [
        *({**codec, "rtcpFeedback": FEEDBACK} for codec in CAPABILITIES["codecs"][:2]),
        *CAPABILITIES["codecs"][2:],
    ],
    "headerExtensions": [{"kind": kind, "uri": WIDE_URI, "preferredId": WIDE_ID} for kind in ("audio", "video")],
}


class Hall:
    """Anna sends a camera and a microphone, Cleo receives both."""

    def __init__(self, capabilities: dict[str, Any]) -> None:
        self.network = Network("numbered")
        self.network.call("router.create", router_id="r", floor_mode="open")
        self.anna = self.network.join("r", "anna", "send", 1)
        self.cleo = self.network.join("r", "cleo", "recv", 2)
        camera = self.anna.produce(rids=("r0", "r1"))
        self.anna.produce("microphone")
        slots = self.network.call("router.slots", router_id="r")["slots"]
        self.answers = [self.consume(producer, capabilities) for producer in (camera, slots[1]["producer_id"])]
        self.number = 0

    def consume(self, producer_id: str, capabilities: dict[str, Any]) -> Any:
        wanted = {"producer_id": producer_id, "rtpCapabilities": capabilities, "paused": False}
        return self.network.call("transport.consume", transport_id=self.cleo.id, **wanted)

    def frame(self, client: Client) -> None:
        self.number += 1
        for layer in (0, 1):
            payload = vp8(key=self.number % 10 == 1, picture=self.number, tl0=self.number, body=bytes(400))
            extensions = {MID_ID: b"1", RID_ID: b"r%d" % layer}
            packet = rtp(
                ssrc=7 + layer,
                sequence=self.number,
                timestamp=3000 * self.number,
                payload_type=96,
                marker=True,
                payload=payload,
                extensions=extensions,
            )
            client.active.send_rtp(packet)
        voice = rtp(ssrc=5000, sequence=self.number, timestamp=960 * self.number, payload=b"voice")
        client.active.send_rtp(voice)
        self.network.run()
        self.network.pass_time(1 / 30, step=1 / 30)


def numbers(client: Client) -> list[int]:
    found = []
    for data in client.rtp:
        packet = parse_rtp(data)
        assert packet is not None
        value = read_extensions(packet.extension_profile, packet.extensions).get(WIDE_ID)
        if value is not None:
            found.append(int.from_bytes(value, "big"))
    return found


def test_every_packet_to_a_client_that_answers_has_the_next_number() -> None:
    hall = Hall(ANSWERING)
    for answer in hall.answers:
        assert [item["uri"] for item in answer["rtpParameters"]["headerExtensions"]] == [WIDE_URI]
    for _ in range(30):
        hall.frame(hall.anna)
    assert len(hall.cleo.rtp) > 50
    assert numbers(hall.cleo) == list(range(len(hall.cleo.rtp)))


def test_a_client_that_does_not_answer_gets_no_header_extension() -> None:
    hall = Hall(CAPABILITIES)
    for answer in hall.answers:
        assert answer["rtpParameters"]["headerExtensions"] == []
    for _ in range(30):
        hall.frame(hall.anna)
    assert len(hall.cleo.rtp) > 50
    assert numbers(hall.cleo) == []
    assert not any(data[0] & 0x10 for data in hall.cleo.rtp)


def test_a_fan_out_that_writes_no_stamps_is_not_asked_to() -> None:
    network = Network("plain")
    network.fan.stamps = False
    network.call("router.create", router_id="r", floor_mode="open")
    anna, cleo = network.join("r", "anna", "send", 1), network.join("r", "cleo", "recv", 2)
    wanted = {"producer_id": anna.produce(), "rtpCapabilities": ANSWERING, "paused": False}
    answer = network.call("transport.consume", transport_id=cleo.id, **wanted)
    assert answer["rtpParameters"]["headerExtensions"] == []
    kinds = {item["type"] for codec in answer["rtpParameters"]["codecs"] for item in codec["rtcpFeedback"]}
    assert "goog-remb" in kinds


def test_what_a_client_tells_moves_its_estimate() -> None:
    hall = Hall(ANSWERING)
    leg = hall.network.rooms.transport(hall.cleo.id).leg
    assert leg.downlink is not None
    log, told = ArrivalLog(), 0
    for number in range(120):
        hall.frame(hall.anna)
        fresh = numbers(hall.cleo)
        for wide in fresh[told:]:
            log.note(wide, 5000 + hall.network.now + 0.02)
        told = len(fresh)
        body = log.build() if number % 3 == 0 else None
        if body is not None:
            hall.cleo.active.send_rtcp(rtcp.build_transport_feedback(1, 2, body))
            hall.network.run()
    assert leg.downlink.estimator.trend_known
    assert leg.downlink.sample is not None
    assert leg.downlink.estimator.losses.recent == 0
    (consumer,) = (item for item in leg.consumers.values() if item.id == hall.answers[0]["id"])
    assert consumer.layer.index == 1  # type: ignore[union-attr]  # the camera's consumer


def test_the_router_says_so_to_clients() -> None:
    extensions: Any = ROUTER_CAPABILITIES["headerExtensions"]
    assert {item["kind"] for item in extensions if item["uri"] == WIDE_URI} == {"audio", "video"}
