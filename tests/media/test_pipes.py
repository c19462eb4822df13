"""Pipes between two workers, in virtual time: mirrored producers, one copy, redundancy and adaptation."""

import itertools
from collections import Counter

import pytest
from tests.media.piped_rooms import (
    FOLDED,
    RTX,
    VOICE,
    VP8,
    Film,
    Listener,
    Microphone,
    Site,
    body,
    joined,
    missing_share,
    with_film,
)

from folkmoot_media.errors import MediaError
from folkmoot_media.forwarding import pipe_downlink, rtcp
from folkmoot_media.forwarding.downlink import THIN, Downlink

# -- the same producer in two workers ---------------------------------------------------------------------------


def test_voices_and_pictures_of_both_sides_reach_the_other_one_byte_for_byte() -> None:
    world = joined()
    anna = Microphone(world, world.hub, "anna", 6000)
    bela = Microphone(world, world.site, "bela", 6100)
    world.mirror(world.hub, anna.producer_id)
    world.mirror(world.site, bela.producer_id)
    film = with_film(world)
    far, near = Listener(world, world.site, "lan", 7000), Listener(world, world.hub, "mai", 7001)
    for listener in (far, near):
        listener.hear()
    far.watch(film.producer_id)
    world.run(5.0)
    for listener in (far, near):
        heard = set(listener.payloads(VOICE))
        assert heard <= set(anna.sent) | set(bela.sent)
        assert len(heard & set(anna.sent)) > 200
        assert len(heard & set(bela.sent)) > 200
    seen = [body(payload) for payload in far.payloads(VP8)]
    assert len(seen) > 200
    assert set(seen) <= {body(payload) for layer in film.sent for payload in layer}
    sequences = [packet.sequence for _, packet in far.packets if packet.payload_type == VP8]
    assert all((after - before) & 0xFFFF == 1 for before, after in itertools.pairwise(sequences))
    assert [event["layer"] for event in world.site.named("layers_changed")][-1] == 2
    assert world.hub.named("layers_changed") == []


def test_a_speaker_is_not_sent_back_over_the_pipe_nor_to_the_speaker() -> None:
    world = joined()
    anna = Microphone(world, world.hub, "anna", 6000)
    world.mirror(world.hub, anna.producer_id)
    own = Listener(world, world.hub, "anna", 7000)
    own.hear()
    far = Listener(world, world.site, "lan", 7001)
    far.hear()
    world.run(3.0)
    assert far.payloads(VOICE)
    assert own.payloads(VOICE) == []
    assert world.media("up") == []
    for call in ("pipe.consume",):
        with pytest.raises(MediaError) as refusal:
            world.site.call(call, pipe_id="p", producer_id=anna.producer_id)
        assert refusal.value.code == "media.pipe-loop"


@pytest.mark.parametrize("listeners", [1, 40])
def test_one_copy_of_each_layer_and_voice_crosses_however_many_listen(listeners: int) -> None:
    world = joined()
    anna = Microphone(world, world.hub, "anna", 6000)
    world.mirror(world.hub, anna.producer_id)
    film = with_film(world)
    world.run(1.0)
    assert world.media("down") == []  # control: nobody wants anything yet
    for number in range(listeners):
        listener = Listener(world, world.site, f"lan{number}", 7000 + number)
        listener.hear()
        listener.watch(film.producer_id)
    world.run(6.0)
    since = len(world.crossed)
    sent_before = [len(layer) for layer in film.sent]
    spoken_before = len(anna.sent)
    world.run(4.0)
    crossed = Counter(world.media("down", since))
    voices = sum(count for (payload_type, _), count in crossed.items() if payload_type == FOLDED)
    layers = [count for (payload_type, _), count in crossed.items() if payload_type == VP8]
    assert abs(voices - (len(anna.sent) - spoken_before)) <= 2
    assert len(layers) == 1
    assert abs(layers[0] - (len(film.sent[2]) - sent_before[2])) <= 4


def test_a_layer_crosses_only_while_somebody_wants_it() -> None:
    world = joined()
    film = with_film(world)
    first, second = Listener(world, world.site, "lan", 7000), Listener(world, world.site, "mai", 7001)
    first.watch(film.producer_id, 0)
    second.watch(film.producer_id, 2)
    world.run(6.0)

    def layers() -> int:
        since = len(world.crossed)
        world.run(2.0)
        counts = Counter(ssrc for payload_type, ssrc in world.media("down", since) if payload_type == VP8)
        return sum(1 for count in counts.values() if count > 30)

    assert layers() == 2
    second.prefer(film.producer_id, 0)
    world.run(1.0)
    assert layers() == 1
    first.stop(film.producer_id)
    second.stop(film.producer_id)
    world.run(1.0)
    since = len(world.crossed)
    world.run(2.0)
    assert world.media("down", since) == []


def test_voices_do_not_cross_while_nobody_listens() -> None:
    world = joined()
    anna = Microphone(world, world.hub, "anna", 6000)
    world.mirror(world.hub, anna.producer_id)
    world.run(2.0)
    assert world.media("down") == []
    far = Listener(world, world.site, "lan", 7000)
    far.hear()
    world.run(2.0)
    assert len(far.payloads(VOICE)) > 80


def test_at_most_four_voices_cross() -> None:
    world = joined()
    voices = [Microphone(world, world.hub, f"m{number}", 6000 + number, level=30) for number in range(7)]
    for voice in voices:
        world.mirror(world.hub, voice.producer_id)
    far = Listener(world, world.site, "lan", 7000)
    far.hear()
    world.run(3.0)
    since = len(world.crossed)
    world.run(1.0)
    assert len(Counter(world.media("down", since))) == 3  # nobody is privileged: the reserved slot stays free
    world.hub.call("router.set_floor", router_id="r", mode="open", chairs=["m6"], granted=[])
    world.site.call("router.set_floor", router_id="r", mode="open", chairs=["m6"], granted=[])
    world.run(1.0)
    since = len(world.crossed)
    world.run(1.0)
    assert len(Counter(world.media("down", since))) == 4
    assert world.site.call("router.slots", router_id="r")["slots"][0]["owner"] == "m6"


def test_what_one_site_sends_reaches_another_through_the_hub_once_and_only_where_it_is_wanted() -> None:
    world = joined()
    other = Site(world, "other")
    world.open("q", other)
    anna = Microphone(world, world.site, "anna", 6100)
    film = Film(world, world.site, "anna", 6101)
    for producer_id in (anna.producer_id, film.producer_id):
        world.mirror(world.site, producer_id)
        world.mirror(world.hub, producer_id, "q", other)
    world.run(2.0)
    assert world.media("up") == world.media("down2") == []  # control: nobody wants anything yet
    watchers = [Listener(world, other, f"lan{number}", 7000 + number) for number in range(3)]
    for watcher in watchers:
        watcher.hear()
        watcher.watch(film.producer_id)
    world.run(8.0)
    since, start = len(world.crossed), world.clock.now
    world.run(2.0)
    for way in ("up", "down2"):
        kinds = Counter(payload_type for payload_type, _ in world.media(way, since))
        assert 95 <= kinds[FOLDED] <= 105
        assert len({ssrc for payload_type, ssrc in world.media(way, since) if payload_type == VP8}) == 1
    assert world.media("down", since) == world.media("up2", since) == []
    assert {body(payload) for payload in watchers[0].payloads(VP8, start)} <= {body(one) for one in film.sent[2]}
    assert set(watchers[0].payloads(VOICE, start)) <= set(anna.sent)
    for watcher in watchers:
        watcher.stop(film.producer_id)
    world.run(1.0)
    since = len(world.crossed)
    world.run(1.0)
    assert {payload_type for payload_type, _ in world.media("up", since)} == {FOLDED}


@pytest.mark.parametrize("ahead", [0.0, 0.5])
def test_a_publishers_clock_reaches_the_far_side(ahead: float) -> None:
    """Its sender reports say that its packets are `ahead` seconds late, which nothing else can tell."""
    world = joined()
    film = with_film(world, (100_000,))
    far = Listener(world, world.site, "lan", 7000)
    late: list[float] = []

    def take(compound: bytes) -> None:
        shown = [packet.timestamp for _, packet in far.packets if packet.payload_type == VP8]
        reports = [part for part in rtcp.parse_compound(compound) if isinstance(part, rtcp.SenderReport)]
        late.extend((report.rtp - shown[-1]) / 90_000 for report in reports if shown)

    far.client.active.on_rtcp = take
    far.watch(film.producer_id)
    for _ in range(8):
        media_time = film.frame * 3000 + int(ahead * 90_000)
        report = rtcp.SenderReport(0x1000, int(world.clock.now * (1 << 32)), media_time, 1, 1)
        film.client.active.send_rtcp(rtcp.build_sender_report(report))
        world.settle()
        world.run(1.0)
    # Between two frames, and the pipe and its polls take a moment.
    assert abs(late[-1] - ahead) < 0.1


def test_a_new_speaker_is_heard_over_a_pipe_nearly_as_soon_as_without_one() -> None:
    world = joined()
    for number in range(3):
        for network, name, port in ((world.hub, "a", 6000), (world.site, "b", 6100)):
            talker = Microphone(world, network, f"{name}{number}", port + number, level=60)
            world.mirror(network, talker.producer_id)
    fresh = Microphone(world, world.hub, "fresh", 6050, level=20)
    fresh.talking = False
    world.mirror(world.hub, fresh.producer_id)
    near, far = Listener(world, world.hub, "mai", 7000), Listener(world, world.site, "lan", 7001)
    for listener in (near, far):
        listener.hear()
    world.run(4.0)
    start, fresh.talking = world.clock.now, True
    world.run(2.0)
    heard = [
        next(when for when, packet in one.packets if packet.payload.startswith(b"fresh")) - start
        for one in (near, far)
    ]
    assert heard[0] <= 0.4
    assert heard[1] <= 0.5


# -- the floor ----------------------------------------------------------------------------------------------------


def test_levels_claimed_on_one_side_do_not_take_the_reserved_slot_of_the_other() -> None:
    world = joined()
    chair = Microphone(world, world.hub, "chair", 6000, level=90)
    for network in (world.hub, world.site):
        network.call("router.set_floor", router_id="r", mode="open", chairs=["chair"], granted=[])
    liars = [Microphone(world, world.site, f"liar{number}", 6100 + number, level=0) for number in range(5)]
    world.mirror(world.hub, chair.producer_id)
    for liar in liars:
        world.mirror(world.site, liar.producer_id)
    near, far = Listener(world, world.hub, "mai", 7000), Listener(world, world.site, "lan", 7001)
    near.hear()
    far.hear()
    world.run(5.0)
    for network in (world.hub, world.site):
        slots = network.call("router.slots", router_id="r")["slots"]
        assert slots[0]["owner"] == "chair"
        # Control: the liars' levels do count where levels count.
        assert {slot["owner"] for slot in slots[1:]} <= {liar.owner for liar in liars}
    assert set(near.payloads(VOICE)) & set(chair.sent)
    assert set(far.payloads(VOICE)) & set(chair.sent)


def test_whoever_is_muted_does_not_cross_nor_is_heard_if_it_does() -> None:
    world = joined()
    anna = Microphone(world, world.hub, "anna", 6000)
    world.mirror(world.hub, anna.producer_id)
    far = Listener(world, world.site, "lan", 7000)
    far.hear()
    world.run(1.0)
    world.site.call("router.mute_owner", router_id="r", owner="anna", muted=True)
    world.run(0.5)
    before = len(far.packets)
    world.run(1.0)
    assert len(far.packets) == before
    world.hub.call("router.mute_owner", router_id="r", owner="anna", muted=True)
    world.run(0.5)
    since = len(world.crossed)
    world.run(1.0)
    assert world.media("down", since) == []


# -- losses -------------------------------------------------------------------------------------------------------


def test_a_clean_link_carries_no_redundancy() -> None:
    world = joined()
    anna = Microphone(world, world.hub, "anna", 6000, size=100)
    world.mirror(world.hub, anna.producer_id)
    far = Listener(world, world.site, "lan", 7000)
    far.hear()
    world.run(5.0)
    assert world.hub.call("pipe.stats", pipe_id="p")["redundancy"] == []
    largest = max(len(data) for way, data in world.crossed[-60:] if way == "down" and 127 < data[0] < 192)
    assert largest < 170


def test_lost_pictures_are_asked_for_again_on_the_pipe() -> None:
    world = joined()
    film = with_film(world)
    far = Listener(world, world.site, "lan", 7000)
    far.watch(film.producer_id)
    world.run(6.0)
    world.to_site.loss = 0.02
    start, before = world.clock.now, [len(layer) for layer in film.sent]
    world.run(20.0)
    seen = {body(payload) for payload in far.payloads(VP8, start)}
    wanted = len(film.sent[2]) - before[2]
    assert len(seen) > 0.97 * wanted
    assert world.to_site.dropped_by_chance > 0.01 * wanted
    assert Counter(payload_type for payload_type, _ in world.media("down"))[RTX] > 0.01 * wanted


# -- adaptation ---------------------------------------------------------------------------------------------------


def test_where_the_link_gets_narrow_higher_layers_stop_and_voices_go_on() -> None:
    world = joined()
    anna = Microphone(world, world.hub, "anna", 6000)
    world.mirror(world.hub, anna.producer_id)
    film = with_film(world)
    far = Listener(world, world.site, "lan", 7000)
    far.hear()
    far.watch(film.producer_id)
    world.run(15.0)
    assert world.site.named("layers_changed")[-1]["layer"] == 2
    world.to_site.queue = 1.0
    world.to_site.set_rate(400_000, world.clock.now)
    world.run(10.0)
    assert world.site.named("layers_changed")[-1]["layer"] == 0
    start = world.clock.now
    assert missing_share(world, anna, far, 10.0) < 0.01
    assert world.to_site.waiting(world.clock.now) < 0.5
    seen = {body(payload) for payload in far.payloads(VP8, start)}
    assert seen <= {body(payload) for payload in film.sent[0]}
    assert len(seen) > 200
    estimate = world.hub.call("pipe.stats", pipe_id="p")["estimate"]
    assert 150_000 < estimate < 500_000
    # Control: the same room comes back when the link is wide again.
    world.to_site.set_rate(100e6, world.clock.now)
    world.run(40.0)
    assert world.site.named("layers_changed")[-1]["layer"] == 2


def test_a_step_from_512_to_128_kbit_empties_its_queue_and_hardly_interrupts_the_voice() -> None:
    world = joined(512_000, 0.3)
    anna = Microphone(world, world.hub, "anna", 6000)
    world.mirror(world.hub, anna.producer_id)
    film = with_film(world, (60_000, 180_000, 600_000))
    far = Listener(world, world.site, "lan", 7000)
    far.hear()
    far.watch(film.producer_id)
    world.run(30.0)
    start = world.clock.now
    assert world.hub.call("pipe.stats", pipe_id="p")["estimate"] > 0.6 * 512_000
    world.to_site.set_rate(128_000, start)
    waits = []
    for _ in range(100):
        world.run(0.1)
        waits.append((world.clock.now - start, world.to_site.waiting(world.clock.now)))
    assert max(wait for _, wait in waits) > 0.5  # control: the step did fill the queue
    assert all(wait < 0.5 for after, wait in waits if after > 3.0)
    times = [when for when, packet in far.packets if packet.payload_type == VOICE and when > start - 0.5]
    assert max(after - before for before, after in itertools.pairwise(times)) < 0.3


def seconds_until_all_layers_cross(narrow: float) -> float:
    """Let a link of 100 Mbit/s with 600 ms of round trip be narrow at first; return how long the rest then takes."""
    world = joined(narrow, 0.3)
    anna = Microphone(world, world.hub, "anna", 6000)
    world.mirror(world.hub, anna.producer_id)
    film = with_film(world)
    far = Listener(world, world.site, "lan", 7000)
    far.hear()
    far.watch(film.producer_id)
    world.run(20.0)
    assert world.site.named("layers_changed")[-1]["layer"] != 2
    start = world.clock.now
    world.to_site.set_rate(100e6, start)
    while world.site.named("layers_changed")[-1]["layer"] != 2 and world.clock.now < start + 120:
        world.run(0.2)
    return world.clock.now - start


@pytest.mark.parametrize("narrow", [128_000, 400_000])
def test_a_link_that_gets_better_is_used_within_ten_seconds(narrow: float) -> None:
    assert seconds_until_all_layers_cross(narrow) < 10


def test_control_with_trials_at_fixed_times_a_link_that_gets_better_is_used_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipe_downlink, "VOICES_ALONE", THIN)
    monkeypatch.setattr(pipe_downlink.PipeDownlink, "feedback", Downlink.feedback)
    assert seconds_until_all_layers_cross(128_000) > 12


def test_where_not_even_the_smallest_picture_fits_only_voices_cross() -> None:
    world = joined()
    anna = Microphone(world, world.hub, "anna", 6000, size=40)
    world.mirror(world.hub, anna.producer_id)
    film = with_film(world)
    far = Listener(world, world.site, "lan", 7000)
    far.hear()
    far.watch(film.producer_id)
    world.run(10.0)
    world.to_site.set_rate(80_000, world.clock.now)
    world.run(15.0)
    assert world.site.named("layers_changed")[-1]["layer"] is None
    assert missing_share(world, anna, far, 10.0) < 0.02


@pytest.mark.parametrize(("voices", "crossing"), [(1, 1), (3, 2)])
def test_a_link_of_64_kbit_carries_as_many_whole_voices_as_fit(voices: int, crossing: int) -> None:
    """Voices of 12 kbit/s in packets of 60 ms, 600 ms of round trip."""
    world = joined(64_000, 0.3)
    speakers = [
        Microphone(world, world.hub, f"m{number}", 6000 + number, size=90, ptime=60) for number in range(voices)
    ]
    for speaker in speakers:
        world.mirror(world.hub, speaker.producer_id)
    far = Listener(world, world.site, "lan", 7000)
    far.hear()
    world.run(20.0)
    before, start = dict(world.octets), world.clock.now
    spoken = [len(speaker.sent) for speaker in speakers]
    world.run(20.0)
    heard = set(far.payloads(VOICE, start - 1))
    whole = 0
    for speaker, first in zip(speakers, spoken, strict=True):
        sent = set(speaker.sent[first:-20])
        whole += len(sent & heard) > 0.94 * len(sent)
    assert whole == crossing
    assert all((world.octets[way] - before[way]) * 8 / 20 < 56_000 for way in ("up", "down"))
    assert world.to_site.waiting(world.clock.now) < 0.3


def test_where_one_voice_fits_it_is_the_one_that_speaks_or_has_the_floor() -> None:
    world = joined(40_000, 0.1)
    quiet, loud, chair = (
        Microphone(world, world.hub, name, 6000 + number, level=level, size=90, ptime=60)
        for number, (name, level) in enumerate((("quiet", 80), ("loud", 20), ("chair", 70)))
    )
    chair.talking = False
    for speaker in (quiet, loud, chair):
        world.mirror(world.hub, speaker.producer_id)
    far = Listener(world, world.site, "lan", 7000)
    far.hear()
    world.run(20.0)
    assert world.hub.call("pipe.stats", pipe_id="p")["voices_crossing"] == 1
    start = world.clock.now
    assert missing_share(world, loud, far, 5.0) < 0.01
    assert not set(quiet.sent) & set(far.payloads(VOICE, start))
    chair.talking = True
    for network in (world.hub, world.site):
        network.call("router.set_floor", router_id="r", mode="open", chairs=["chair"], granted=[])
    world.run(2.0)
    assert missing_share(world, chair, far, 5.0) < 0.01


def test_key_frames_are_asked_for_over_the_pipe_at_most_twice_a_second() -> None:
    world = joined()
    film = with_film(world)
    watchers = [Listener(world, world.site, f"lan{number}", 7000 + number) for number in range(10)]
    for watcher in watchers:
        watcher.watch(film.producer_id)
    world.run(8.0)
    before, start = film.asked, world.clock.now
    pli = rtcp.build_pli(1, next(iter(world.site.router.legs[watchers[0].client.id].by_ssrc)))
    for _ in range(100):
        world.run(0.03)
        for watcher in watchers:
            watcher.client.active.send_rtcp(pli)
            ssrc = next(iter(world.site.router.legs[watcher.client.id].by_ssrc))
            watcher.client.active.send_rtcp(rtcp.build_pli(1, ssrc))
        world.settle()
    asked = film.asked - before
    assert 2 <= asked <= 2 * (world.clock.now - start) + 2
