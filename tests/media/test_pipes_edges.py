"""The edges of pipes: strangers, the death of the other end, closing, wrong requests and broken packets."""

import itertools
from typing import Any

import pytest
from tests.media.piped_rooms import VOICE, VP8, Film, Listener, Microphone, Site, World, joined, states, with_film
from tests.media.support import IDENTITY, Dice, mutate

from folkmoot_media.errors import MediaError
from folkmoot_media.forwarding import pipe_messages, rtcp
from folkmoot_media.forwarding.pipe_messages import Give, Gives, Pull, Pulls
from folkmoot_media.transport import dialling
from folkmoot_media.transport.active import ActiveTransport
from folkmoot_media.transport.aiortc_adapter import DtlsIdentity, Fingerprint

# -- strangers, death and closing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("liar", ["offer", "answer"])
def test_another_certificate_is_refused(liar: str) -> None:
    world = World()
    answer = world.hub.call("pipe.create", router_id="r", side="answer", pipe_id="p")
    offer = world.site.call("pipe.create", router_id="r", side="offer", pipe_id="p")
    other = [{"algorithm": one.algorithm, "value": one.value} for one in DtlsIdentity().fingerprints]
    told = {"offer": offer["dtlsParameters"], "answer": answer["dtlsParameters"]}
    told[liar] = {"fingerprints": other}
    world.hub.call("pipe.connect", pipe_id="p", dtlsParameters=told["offer"])
    world.site.call(
        "pipe.connect",
        pipe_id="p",
        dtlsParameters=told["answer"],
        iceParameters=answer["iceParameters"],
        iceCandidates=answer["iceCandidates"],
    )
    world.run(2.0)
    refusing = world.hub if liar == "offer" else world.site
    assert states(refusing) == [("connecting", None), ("lost", "dtls-failed")]
    assert refusing.rooms.pipe_ends == {}
    assert refusing.router.pipes == {}
    assert world.media("up") == world.media("down") == []


def test_nobody_but_the_other_end_can_send_into_a_pipe() -> None:
    world = joined()
    anna = Microphone(world, world.site, "anna", 6100)
    world.mirror(world.site, anna.producer_id)
    near = Listener(world, world.hub, "mai", 7000)
    near.hear()
    world.run(1.0)
    heard, before = len(near.packets), world.hub.rooms.pipe_ends["p"].received
    stolen = [data for way, data in world.crossed if way == "up" and 127 < data[0] < 192][-20:]
    dice = Dice("stranger")
    anna.talking = False
    world.run(0.5)
    heard = len(near.packets)
    before = world.hub.rooms.pipe_ends["p"].received
    for data in stolen:
        for address in (("198.51.100.66", 4), ("203.0.113.9", 50_000)):
            world.hub.to_server(data, address)
            world.hub.to_server(mutate(data, dice), address)
    world.settle()
    world.run(0.5)
    assert len(near.packets) == heard
    assert world.hub.rooms.pipe_ends["p"].received == before


@pytest.mark.parametrize("patience", [3, 10])
def test_the_death_of_the_other_end_is_noticed_and_a_new_pipe_works(patience: int) -> None:
    world = joined(patience=patience)
    anna = Microphone(world, world.hub, "anna", 6000)
    world.mirror(world.hub, anna.producer_id)
    film = with_film(world)
    far = Listener(world, world.site, "lan", 7000)
    far.hear()
    far.watch(film.producer_id)
    world.run(3.0)
    world.cut = True
    world.run(patience * 0.7)
    assert states(world.site)[-1] == ("connected", None)
    world.run(patience * 0.3 + 0.5)
    for network in (world.hub, world.site):
        assert states(network)[-1] == ("lost", "consent-expired")
        assert network.rooms.pipe_ends == {}
    closed = {event["producer_id"] for event in world.site.named("producer_closed")}
    assert closed == {anna.producer_id, film.producer_id}
    assert set(world.hub.router.producers) == {anna.producer_id, film.producer_id}
    assert world.site.router.producers == {}
    world.cut = False
    world.open()
    world.mirror(world.hub, anna.producer_id)
    start = world.clock.now
    world.run(2.0)
    assert len(far.payloads(VOICE, start)) > 50


def test_a_cut_shorter_than_the_patience_costs_no_new_handshake() -> None:
    world = joined(patience=60)
    anna = Microphone(world, world.hub, "anna", 6000)
    world.mirror(world.hub, anna.producer_id)
    far = Listener(world, world.site, "lan", 7000)
    far.hear()
    world.run(3.0)
    world.cut = True
    world.run(45.0)
    world.cut = False
    start = world.clock.now
    world.run(4.0)
    assert world.renewed > 0
    assert states(world.site)[-1] == ("connected", None)
    first = next(when for when, packet in far.packets if when >= start and packet.payload_type == VOICE)
    assert first - start < 2.0


def test_after_a_cut_pictures_come_back_too_although_the_site_has_another_port() -> None:
    world = joined(patience=60)
    film = with_film(world)
    far = Listener(world, world.site, "lan", 7000)
    far.watch(film.producer_id)
    world.run(5.0)
    before = set(world.outlets)
    world.cut = True
    world.run(20.0)
    world.cut = False
    start = world.clock.now
    world.run(10.0)
    assert set(world.outlets) != before
    first = next(when for when, packet in far.packets if when >= start and packet.payload_type == VP8)
    assert first - start < 5.0  # of a link that was cut nothing is known: trials first show that it carries pictures
    assert world.site.named("layers_changed")[-1]["layer"] == 2
    assert not world.hub.rooms.mux.endpoints["p"].restricted


def longest_gap_while_ports_change() -> float:
    """Let both sides speak while a translator of addresses forgets the pipe; return the longest gap on either."""
    world = joined(patience=60)
    listeners: dict[str, Listener] = {}
    for near, far, name, port in ((world.hub, world.site, "anna", 6000), (world.site, world.hub, "binh", 6500)):
        world.mirror(near, Microphone(world, near, name, port).producer_id)
        listeners[name] = Listener(world, far, f"to-{name}", port + 1000)
        listeners[name].hear()
    (outlet,) = world.outlets.values()
    world.run(3.0)
    start = world.clock.now
    for number in range(12):
        outlet.move()
        world.run(3.1 + number / 10)
    assert world.renewed == 0
    assert states(world.site)[-1] == ("connected", None)
    gaps = []
    for name, listener in listeners.items():
        own = name.encode()
        times = [when for when, packet in listener.packets if when >= start and packet.payload.startswith(own)]
        gaps += [after - before for before, after in itertools.pairwise(times)]
    return max(gaps)


def test_voices_go_on_soon_when_a_translator_has_forgotten_the_port() -> None:
    assert longest_gap_while_ports_change() < 0.8


def test_control_without_a_check_at_a_hush_they_wait_for_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialling, "HUSH", 1e9)
    assert longest_gap_while_ports_change() > 1.5


def test_closing_is_told_at_once_and_leaves_nothing() -> None:
    world = joined()
    anna = Microphone(world, world.hub, "anna", 6000)
    film = with_film(world)
    world.mirror(world.hub, anna.producer_id)
    far = Listener(world, world.site, "lan", 7000)
    far.hear()
    far.watch(film.producer_id)
    world.run(2.0)
    world.hub.call("producer.close", router_id="r", producer_id=film.producer_id)
    assert world.hub.call("pipe.stats", pipe_id="p")["videos_offered"] == 0
    world.site.call("producer.close", router_id="r", producer_id=film.producer_id)
    world.run(0.5)
    world.hub.call("router.close", router_id="r")
    assert states(world.hub)[-1] == ("closed", "router-closed")
    world.run(0.5)
    assert states(world.site)[-1] == ("lost", "dtls-closed")
    for network in (world.hub, world.site):
        assert network.rooms.pipe_ends == {}
        assert "p" not in network.rooms.mux.endpoints
    assert world.site.router.producers == {}
    assert all(outlet.closed for outlet in world.outlets.values())
    assert world.site.router.floor.holders == [None] * 4


def test_pipes_that_come_and_go_leave_nothing() -> None:
    world = World()
    anna = Microphone(world, world.hub, "anna", 6000)
    film = Film(world, world.hub, "anna", 6001)
    legs = {id(network): set(network.router.legs) for network in (world.hub, world.site)}
    for number in range(30):
        world.open(f"p{number}")
        for producer_id in (anna.producer_id, film.producer_id):
            world.mirror(world.hub, producer_id, f"p{number}")
        world.run(0.2)
        (world.hub if number % 2 else world.site).call("pipe.close", pipe_id=f"p{number}")
        world.run(0.2)
    for network in (world.hub, world.site):
        assert network.rooms.pipe_ends == network.router.pipes == {}
        assert set(network.router.legs) == legs[id(network)]
    assert world.site.router.producers == {}
    assert all(not producer.consumers for producer in world.hub.router.producers.values())
    assert all(outlet.closed for outlet in world.outlets.values())


def test_an_end_that_is_never_connected_goes_by_itself() -> None:
    world = World()
    world.hub.call("pipe.create", router_id="r", side="answer", pipe_id="never")
    world.site.call("pipe.create", router_id="r", side="offer", pipe_id="never")
    world.run(590.0)
    assert set(world.hub.rooms.pipe_ends) == set(world.site.rooms.pipe_ends) == {"never"}
    world.run(20.0)
    assert states(world.hub)[-1] == states(world.site)[-1] == ("lost", "unused")


def test_what_was_offered_can_be_withdrawn_and_offered_again() -> None:
    world = joined()
    film = with_film(world)
    anna = Microphone(world, world.hub, "anna", 6000)
    world.mirror(world.hub, anna.producer_id)
    far = Listener(world, world.site, "lan", 7000)
    far.hear()
    far.watch(film.producer_id)
    world.run(2.0)
    for producer_id in (film.producer_id, anna.producer_id):
        world.hub.call("pipe.withdraw", pipe_id="p", producer_id=producer_id)
        world.site.call("producer.close", router_id="r", producer_id=producer_id)
    since = len(world.crossed)
    world.run(1.0)
    assert world.media("down", since) == []
    world.mirror(world.hub, anna.producer_id)
    world.run(1.0)
    assert world.media("down", since)


def test_whoever_is_removed_takes_mirrored_producers_along() -> None:
    world = joined()
    anna = Microphone(world, world.hub, "anna", 6000)
    world.mirror(world.hub, anna.producer_id)
    world.site.call("router.remove_owner", router_id="r", owner="anna")
    assert world.site.router.producers == {}


# -- what is asked wrongly -------------------------------------------------------------------------------------------

PRINTS = {"fingerprints": [{"algorithm": one.algorithm, "value": one.value} for one in IDENTITY.fingerprints]}
ICE = {"usernameFragment": "abcd", "password": "efgh" * 6, "iceLite": True}
CANDIDATES = [{"ip": "192.0.2.1", "port": 40000, "protocol": "udp"}]
TOLD = {
    "producer_id": "x",
    "owner": "bela",
    "kind": "video",
    "source": "camera",
    "paused": False,
    "codec": "video/vp8",
    "encodings": [{"ssrc": 1, "rtx_ssrc": 2}],
}
REFUSALS: list[tuple[str, dict[str, Any], str]] = [
    ("pipe.create", {"router_id": "nope", "side": "offer"}, "media.no-such-router"),
    ("pipe.create", {"router_id": "r", "side": "middle"}, "media.bad-request"),
    ("pipe.create", {"router_id": "r", "side": "offer", "pipe_id": "p"}, "media.pipe-exists"),
    ("pipe.create", {"router_id": "r", "side": "offer", "patience": 2}, "media.bad-request"),
    ("pipe.create", {"router_id": "r", "side": "offer", "redundancy": [9]}, "media.bad-request"),
    ("pipe.connect", {"pipe_id": "nope", "dtlsParameters": PRINTS}, "media.no-such-pipe"),
    ("pipe.connect", {"pipe_id": "p", "dtlsParameters": PRINTS}, "media.already-connected"),
    (
        "pipe.connect",
        {"pipe_id": "answering", "dtlsParameters": PRINTS, "iceParameters": ICE, "iceCandidates": CANDIDATES},
        "media.bad-pipe-side",
    ),
    ("pipe.connect", {"pipe_id": "offering", "dtlsParameters": PRINTS}, "media.bad-pipe-side"),
    (
        "pipe.connect",
        {
            "pipe_id": "offering",
            "dtlsParameters": PRINTS,
            "iceParameters": ICE,
            "iceCandidates": [{"ip": "hub.example", "port": 1, "protocol": "udp"}],
        },
        "media.bad-request",
    ),
    (
        "pipe.connect",
        {
            "pipe_id": "answering",
            "dtlsParameters": {"fingerprints": [{"algorithm": "md2", "value": ":".join(["00"] * 20)}]},
        },
        "media.bad-fingerprint",
    ),
    ("pipe.consume", {"pipe_id": "p", "producer_id": "nope"}, "media.no-such-producer"),
    ("pipe.withdraw", {"pipe_id": "p", "producer_id": "nope"}, "media.no-such-producer"),
    ("pipe.produce", {"pipe_id": "nope", "producer": TOLD}, "media.no-such-pipe"),
    ("pipe.produce", {"pipe_id": "p", "producer": {**TOLD, "source": "microphone"}}, "media.unsupported-source"),
    ("pipe.produce", {"pipe_id": "p", "producer": {**TOLD, "codec": "audio/opus"}}, "media.unsupported-codec"),
    ("pipe.produce", {"pipe_id": "p", "producer": {**TOLD, "encodings": [{"ssrc": 1}]}}, "media.bad-encodings"),
    (
        "pipe.produce",
        {"pipe_id": "p", "producer": {**TOLD, "encodings": [{"ssrc": 1, "rtx_ssrc": 1}]}},
        "media.stream-conflict",
    ),
    ("pipe.produce", {"pipe_id": "p", "producer": {**TOLD, "owner": "anna"}}, "media.source-in-use"),
    ("pipe.produce", {"pipe_id": "p", "producer": {**TOLD, "producer_id": "FILM"}}, "media.pipe-loop"),
    ("pipe.produce", {"pipe_id": "p", "producer": {**TOLD, "more": 1}}, "media.bad-request"),
    ("pipe.stats", {"pipe_id": "nope"}, "media.no-such-pipe"),
    ("pipe.close", {"pipe_id": "nope"}, "media.no-such-pipe"),
]


def picture(network: Site) -> object:
    return (
        {name: end.state for name, end in network.rooms.pipe_ends.items()},
        set(network.router.pipes),
        {name: (sorted(leg.consumers), sorted(leg.producers)) for name, leg in network.router.legs.items()},
        set(network.router.producers),
        set(network.rooms.mux.endpoints),
    )


@pytest.fixture(scope="module")
def room() -> tuple[World, Film]:
    world = joined()
    film = with_film(world)
    world.hub.call("pipe.create", router_id="r", side="answer", pipe_id="answering")
    world.hub.call("pipe.create", router_id="r", side="offer", pipe_id="offering")
    return world, film


@pytest.mark.parametrize(("method", "data", "code"), REFUSALS)
def test_a_wrong_request_is_refused_and_changes_nothing(
    room: tuple[World, Film], method: str, data: dict[str, Any], code: str
) -> None:
    world, film = room
    if data.get("producer", {}).get("producer_id") == "FILM":
        data = {**data, "producer": {**data["producer"], "producer_id": film.producer_id}}
    before = picture(world.hub)
    with pytest.raises(MediaError) as refusal:
        world.hub.call(method, **data)
    assert refusal.value.code == code
    assert picture(world.hub) == before


# -- parsers --------------------------------------------------------------------------------------------------------


def test_messages_come_back_as_they_were() -> None:
    pulls = Pulls(7, True, (Pull(5, 0b111, 0b100), Pull(6, 0, 0)))
    gives = Gives(65_535, (Give(5, 0b11, 0b1, (100, 65_535, 0)),))
    for message in (pulls, gives):
        compound = rtcp.build_receiver_report(1, ()) + rtcp.build_application(1, pipe_messages.build(message))
        parts = [part for part in rtcp.parse_compound(compound) if isinstance(part, rtcp.Application)]
        assert [pipe_messages.parse(part) for part in parts] == [message]
    many = Pulls(1, False, tuple(Pull(ssrc, 0, 0) for ssrc in range(100)))
    read = pipe_messages.parse(pipe_messages.build(many))
    assert isinstance(read, Pulls)
    assert len(read.entries) == pipe_messages.MOST_ENTRIES


def test_older_messages_are_known_by_their_number() -> None:
    assert pipe_messages.is_newer(0, None)
    assert pipe_messages.is_newer(1, 0)
    assert pipe_messages.is_newer(2, 65_530)
    assert not pipe_messages.is_newer(5, 5)
    assert not pipe_messages.is_newer(65_530, 2)


def test_ten_thousand_mutated_packets_of_the_other_end_hurt_nothing() -> None:
    """Voices, pictures and messages that an authenticated but broken end could send."""
    world = joined()
    anna = Microphone(world, world.hub, "anna", 6000)
    world.mirror(world.hub, anna.producer_id)
    film = with_film(world)
    far = Listener(world, world.site, "lan", 7000)
    far.hear()
    far.watch(film.producer_id)
    link = world.site.rooms.pipe_ends["p"].link
    assert link is not None
    seen: list[tuple[bytes, bool]] = []
    active = link._active
    for control in (False, True):
        name = "on_rtcp" if control else "on_rtp"
        take = getattr(active, name)
        assert take is not None

        def record(data: bytes, control: bool = control, take: Any = take) -> None:
            seen.append((data, control))
            take(data)

        setattr(active, name, record)
    world.run(3.0)
    gives = rtcp.build_application(1, pipe_messages.build(Gives(3, (Give(5, 7, 7, (1, 2, 3)),))))
    samples = [item for item in seen if item[1]][:40] + [item for item in seen if not item[1]][:40] + [(gives, True)]
    dice = Dice("pipes")
    end = world.site.rooms.pipe_ends["p"]
    for number in range(10_000):
        data, control = samples[number % len(samples)]
        world.site.rooms._take_dialled("p", mutate(data, dice), control, world.clock.now, world.clock.now)
        if number % 500 == 0:
            world.run(0.05)
    assert set(end.leg.producers) == {anna.producer_id, film.producer_id}
    assert len(end.leg.streams) == 4
    # The room still works for those who send what they should.
    world.run(6.0)
    start = world.clock.now
    world.run(2.0)
    assert len(far.payloads(VOICE, start)) > 80


def test_layers_that_do_not_exist_are_not_pulled() -> None:
    world = joined()
    film = with_film(world, (100_000,))
    offered = world.hub.router.pipes["p"].videos[film.producer_id]
    for number, mask in enumerate((0b100, 0b111, 0b010)):
        told = pipe_messages.build(Pulls(500 + number, False, (Pull(offered.streams[0].ssrc, mask, mask),)))
        compound = rtcp.build_receiver_report(1, ()) + rtcp.build_application(1, told)
        world.hub.rooms.on_rtcp(world.hub.rooms.mux.endpoints["p"], compound, world.clock.now)
        assert offered.wish == offered.flow == mask & 1
        world.run(0.2)


def test_ten_thousand_mutated_announcements_are_refused_or_understood() -> None:
    world = World()
    world.hub.call("pipe.create", router_id="r", side="answer", pipe_id="p")
    dice = Dice("announcements")
    values: list[Any] = [None, -1, 0, 1 << 40, "", "x" * 300, [], {}, True, 1.5, "video", "audio/opus", [{}], b"x"]
    refused = taken = 0
    for number in range(10_000):
        told: dict[str, Any] = {**TOLD, "producer_id": f"x{number}", "owner": f"o{number}"}
        told["encodings"] = [{"ssrc": 3 * number + 1, "rtx_ssrc": 3 * number + 2}]
        for _ in range(dice.below(3)):
            encodings = told["encodings"]
            inner = encodings[0] if isinstance(encodings, list) and encodings else told
            target = told if dice.below(2) or not inner else inner
            target[[*target][dice.below(len(target))]] = values[dice.below(len(values))]
        try:
            world.hub.call("pipe.produce", pipe_id="p", producer=told)
        except MediaError as error:
            refused += error.code.startswith("media.")
        else:
            taken += 1
            world.hub.call("producer.close", router_id="r", producer_id=told["producer_id"])
    assert refused + taken == 10_000
    assert refused > 4_000
    assert taken > 2_000
    assert world.hub.router.producers == {}


def test_an_answer_to_no_check_of_ours_is_no_answer() -> None:
    world = joined()
    answers = [data for way, data in world.crossed if way == "down" and data[0] == 1]
    assert answers
    sent: list[bytes] = []
    active = ActiveTransport(IDENTITY, sent.append, Dice("replay").bytes)
    ice = world.hub.rooms.mux.endpoints["p"].credentials[0]
    active.set_remote(ice.fragment, ice.password, [Fingerprint("sha-256", "00")])
    active.check()
    for data in answers:
        active.receive(data)
    assert not active.checked
    assert active.answered == b""
