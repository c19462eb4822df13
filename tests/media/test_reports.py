"""The support report: what it says follows what happened, and it names nobody."""

import json
import re
from typing import Any

import pytest
from tests.media.support import MID_ID, RID_ID, Client, Network, rtp, vp8

from folkmoot_media.errors import MediaError

ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+|[0-9a-f]{1,4}:[0-9a-f:]+")


@pytest.fixture
def network() -> Network:
    fresh = Network()
    fresh.call("router.create", router_id="r", floor_mode="open")
    return fresh


def report(network: Network, owner: str) -> list[dict[str, Any]]:
    transports: list[dict[str, Any]] = network.call("router.report", router_id="r", owner=owner)["transports"]
    return transports


def send(client: Client, sequence: int, key: bool) -> None:
    payload = vp8(key=key, picture=sequence)
    marks = {MID_ID: b"1", RID_ID: b"r0"}
    client.active.send_rtp(
        rtp(
            ssrc=900, sequence=sequence, timestamp=3000 * sequence, payload=payload, payload_type=96, extensions=marks
        )
    )
    client.network.run()


def test_a_report_counts_what_came_in_what_was_lost_and_what_went_out(network: Network) -> None:
    anna, bela = network.join("r", "anna", "send", 1), network.join("r", "bela", "recv", 2)
    bela.consume(anna.produce(rids=("r0",)))
    before = report(network, "anna")[0]
    assert before["producers"][0]["layers"][0]["key_frame_s"] is None
    send(anna, 1, key=True)
    network.pass_time(2.0)
    for sequence in (2, 3, 6):
        send(anna, sequence, key=False)
    (told,) = report(network, "anna")
    assert (told["ice"], told["dtls"], told["family"], told["protocol"]) == ("checked", "connected", "ipv4", "udp")
    assert told["direction"] == "send"
    assert told["packets_in"] - before["packets_in"] == 4
    assert told["octets_in"] > before["octets_in"]
    (producer,) = told["producers"]
    assert (producer["source"], producer["codec"], producer["paused"]) == ("camera", "video/vp8", False)
    layer = producer["layers"][0]
    assert (layer["packets"], layer["lost"]) == (4, 2)
    assert layer["key_frame_s"] == pytest.approx(2.0, abs=0.1)
    assert layer["heard_s"] == pytest.approx(0.0, abs=0.1)
    (other,) = report(network, "bela")
    (consumer,) = other["consumers"]
    assert (consumer["kind"], consumer["source"], consumer["layer"]) == ("video", "camera", 0)
    assert consumer["packets"] == len(bela.rtp) == 4
    assert other["link"]["ceiling"] == 4
    assert told["link"] is None


def test_the_member_s_own_switch_and_a_pause_are_told(network: Network) -> None:
    anna = network.join("r", "anna", "send", 1)
    network.join("r", "anna", "recv", 2)
    camera = anna.produce()
    network.call("producer.pause", router_id="r", producer_id=camera)
    network.call("router.set_ladder", router_id="r", owner="anna", ceiling=1)
    by_direction = {one["direction"]: one for one in report(network, "anna")}
    assert by_direction["send"]["producers"][0]["paused"] is True
    assert by_direction["recv"]["link"]["ceiling"] == 1


def test_a_transport_that_was_never_used_says_so(network: Network) -> None:
    network.open("r", "anna", "recv", 1)
    (told,) = report(network, "anna")
    assert (told["ice"], told["dtls"], told["family"], told["protocol"]) == ("new", "new", None, None)
    assert told["check_s"] is None


def test_a_report_holds_no_address_no_id_and_nobody_else(network: Network) -> None:
    anna, bela = network.join("r", "anna", "send", 1), network.join("r", "bela", "recv", 2)
    camera = anna.produce()
    consumer = bela.consume(camera)["id"]
    send(anna, 1, key=True)
    text = json.dumps(report(network, "bela"))
    for hidden in ("anna", "bela", camera, consumer, anna.id, bela.id, "198.51.100.7"):
        assert hidden not in text
    assert not ADDRESS.search(text)
    # Control: the search finds the addresses that the worker holds.
    assert ADDRESS.search(str(list(network.rooms.transports[bela.id].endpoint.paths)))


def test_a_report_of_nobody_is_empty_and_of_no_room_refused(network: Network) -> None:
    assert report(network, "nobody") == []
    for data, code in (
        ({"router_id": "x", "owner": "anna"}, "media.no-such-router"),
        ({"router_id": "r"}, "media.bad-request"),
        ({"router_id": "r", "owner": "a b"}, "media.bad-request"),
    ):
        with pytest.raises(MediaError) as refusal:
            network.call("router.report", **data)
        assert refusal.value.code == code
