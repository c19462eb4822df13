"""Forwarding of voices through slots with virtual time."""

from tests.media.forwarding_room import Microphone, Room, assert_voice_unbroken, listen, streams, talk

from folkmoot_media.forwarding.floor import FloorMode


def test_a_slot_is_one_unbroken_stream_whoever_speaks_in_it() -> None:
    room = Room()
    microphones = [Microphone(room, owner, 10 + number) for number, owner in enumerate("abcde")]
    listen(room, "cleo")
    for round_ in range(6):
        for number, microphone in enumerate(microphones):
            microphone.level = 20 if (number + round_) % 5 < 3 else 90
        talk(room, 3, *microphones)
    per_slot = streams(room.sent["cleo"])
    assert len(per_slot) == 3
    speakers = set()
    for packets in per_slot.values():
        assert_voice_unbroken(packets)
        assert packets[0].sequence < 1 << 15
        speakers.update(packet.payload for packet in packets)
    assert speakers == {b"a", b"b", b"c", b"d", b"e"}


def test_nobody_hears_themselves_and_their_stream_still_has_no_hole() -> None:
    room = Room()
    microphones = [Microphone(room, owner, 10 + number) for number, owner in enumerate("abcd")]
    listen(room, "a-recv")
    leg = room.router.legs["a-recv"]
    leg.owner = "a"
    for round_ in range(8):
        for number, microphone in enumerate(microphones):
            microphone.level = 20 if (number + round_) % 4 < 3 else 90
        talk(room, 2, *microphones)
    received = room.sent["a-recv"]
    assert {packet.payload for packet in received} == {b"b", b"c", b"d"}
    for packets in streams(received).values():
        assert_voice_unbroken(packets)


def test_without_the_rule_one_would_hear_oneself() -> None:
    room = Room()
    microphone = Microphone(room, "a", 10)
    listen(room, "a-recv")
    talk(room, 1, microphone)
    assert {packet.payload for packet in room.sent["a-recv"]} == {b"a"}


def test_slot_speaker_names_who_speaks_and_none_after_closing() -> None:
    room = Room()
    microphone = Microphone(room, "a", 10)
    talk(room, 0.5, microphone)
    room.router.close_producer(microphone.producer)
    room.take()
    told = [(data["slot"], data["owner"]) for name, data in room.events if name == "slot_speaker"]
    assert told == [(1, "a"), (1, None)]


def test_a_muted_owners_voice_is_dropped_until_lifted() -> None:
    room = Room()
    microphone = Microphone(room, "a", 10)
    listen(room, "cleo")
    talk(room, 0.5, microphone)
    heard = len(room.sent["cleo"])
    assert heard == 25
    room.router.mute_owner("a", True, room.now)
    talk(room, 1, microphone)
    assert len(room.sent["cleo"]) == heard
    room.router.mute_owner("a", False, room.now)
    talk(room, 0.5, microphone)
    assert len(room.sent["cleo"]) > heard
    assert_voice_unbroken(room.sent["cleo"])


def test_mute_holds_for_a_microphone_that_comes_later() -> None:
    room = Room()
    room.router.mute_owner("a", True, room.now)
    listen(room, "cleo")
    talk(room, 1, Microphone(room, "a", 10))
    assert "cleo" not in room.sent


def test_a_chaired_floor_forwards_only_chairs_and_granted_owners() -> None:
    room = Room()
    room.router.set_floor(FloorMode.CHAIRED, ["chair"], ["guest"], room.now)
    microphones = [
        Microphone(room, owner, 10 + number, level=0 if owner == "loud" else 60)
        for number, owner in enumerate(("chair", "guest", "loud"))
    ]
    listen(room, "cleo")
    talk(room, 2, *microphones)
    assert {packet.payload for packet in room.sent["cleo"]} == {b"chair", b"guest"}


def test_a_paused_slot_consumer_gets_nothing_and_goes_on_without_a_hole() -> None:
    room = Room()
    microphone = Microphone(room, "a", 10)
    consumers = listen(room, "cleo")
    talk(room, 0.5, microphone)
    for consumer in consumers:
        room.router.set_consumer_paused(consumer, True, room.now)
    talk(room, 1, microphone)
    assert len(room.sent["cleo"]) == 25
    for consumer in consumers:
        room.router.set_consumer_paused(consumer, False, room.now)
    talk(room, 0.5, microphone)
    assert len(room.sent["cleo"]) == 50
    assert_voice_unbroken(room.sent["cleo"])
