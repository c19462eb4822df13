"""The source rules of the mux, on a network without sockets and with virtual time; real ICE, DTLS and SRTP."""

import asyncio

import pytest
from tests.media.support import IDENTITY, Client, Network, rtp, vp8

from folkmoot_media.errors import MediaError
from folkmoot_media.forwarding import rtcp
from folkmoot_media.transport import stun_lite
from folkmoot_media.transport.aiortc_adapter import DtlsIdentity, Fingerprint
from folkmoot_media.transport.dtls import LARGEST_DATAGRAM, DtlsEndpoint, DtlsState, pack_records
from folkmoot_media.transport.endpoint import AMPLIFICATION, Endpoint

STRANGER = ("203.0.113.66", 6666)


@pytest.fixture
def network() -> Network:
    fresh = Network()
    fresh.call("router.create", router_id="r", floor_mode="open")
    return fresh


def endpoint_of(network: Network, client: Client) -> Endpoint:
    return network.rooms.mux.endpoints[client.id]


def camera_room(network: Network) -> tuple[Client, Client, str]:
    """Return a publishing client, a receiving one and the latter's consumer; video flows."""
    anna, cleo = network.join("r", "anna", "send", 1), network.join("r", "cleo", "recv", 2)
    producer = anna.produce(rids=("r0",))
    send_frames(network, anna, 1)
    consumer = cleo.consume(producer)
    send_frames(network, anna, 2, first=2)
    assert len(cleo.rtp) == 2
    cleo.rtp.clear()
    return anna, cleo, str(consumer["id"])


def send_frames(network: Network, client: Client, count: int, first: int = 1, size: int = 800) -> None:
    for number in range(first, first + count):
        payload = vp8(key=True, picture=number, body=bytes(size))
        extensions = {1: b"1", 2: b"r0"}
        client.active.send_rtp(
            rtp(
                ssrc=7,
                sequence=number,
                timestamp=3000 * number,
                payload_type=96,
                payload=payload,
                extensions=extensions,
            )
        )
    network.run()


def test_video_flows_end_to_end_with_the_preferred_profile(network: Network) -> None:
    anna, cleo, _ = camera_room(network)
    send_frames(network, anna, 3, first=4)
    assert len(cleo.rtp) == 3
    assert anna.active.srtp is not None
    assert anna.active.srtp.profile == "SRTP_AEAD_AES_128_GCM"


def test_a_datagram_from_an_unchecked_address_reaches_neither_dtls_nor_srtp(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, cleo, _ = camera_room(network)
    reached: list[str] = []
    monkeypatch.setattr(Endpoint, "receive_dtls", lambda *_: reached.append("dtls"))
    monkeypatch.setattr(Endpoint, "unprotect", lambda *_: reached.append("srtp"))
    wire = anna.active.protect(rtp(ssrc=7, sequence=9, payload_type=96, payload=vp8(key=True, picture=9)))
    network.rooms.mux.datagram(wire, STRANGER, network.now)
    network.rooms.mux.datagram(b"\x16\xfe\xfd" + bytes(40), STRANGER, network.now)
    assert reached == []
    assert network.rooms.mux.counters["unchecked_source"] == 2
    # The control: from the checked address the same bytes do reach them.
    network.rooms.mux.datagram(wire, anna.address, network.now)
    network.rooms.mux.datagram(b"\x16\xfe\xfd" + bytes(40), anna.address, network.now)
    assert reached == ["srtp", "dtls"]
    assert cleo.rtp == []


@pytest.mark.parametrize("fault", ["password", "fragment", "no-integrity"])
def test_a_check_with_wrong_credentials_is_met_with_silence(network: Network, fault: str) -> None:
    client = network.open("r", "anna", "send", 1)
    fragment, password = client.active._remote
    if fault == "password":
        client.active.set_remote(fragment, "x" * 32)
    elif fault == "fragment":
        client.active.set_remote("nobody12", password)
    data = client.active.binding_request()
    if fault == "no-integrity":
        data = data[:2] + b"\0\x14" + data[4:20] + data[20:40]
    network.rooms.mux.datagram(data, client.address, network.now)
    assert network.sent == []
    assert endpoint_of(network, client).paths == {}


def test_a_controlled_agent_is_told_of_the_role_conflict(network: Network) -> None:
    from aioice import stun

    client = network.open("r", "anna", "send", 1)
    request = stun.parse_message(client.active.binding_request())
    del request.attributes["ICE-CONTROLLING"]
    request.attributes["ICE-CONTROLLED"] = 5
    request.add_message_integrity(client.active._remote[1].encode())
    network.rooms.mux.datagram(bytes(request), client.address, network.now)
    answer = stun.parse_message(network.sent[0][0])
    assert answer.error_code == 487
    assert endpoint_of(network, client).selected is None


def test_failed_checks_are_limited_per_source_and_others_are_not_hurt(network: Network) -> None:
    client = network.open("r", "anna", "send", 1)
    client.active.set_remote(client.active._remote[0], "wrong" * 8)
    junk = client.active.binding_request()
    for _ in range(1000):
        network.rooms.mux.datagram(junk, STRANGER, network.now)
    counters = network.rooms.mux.counters
    assert counters["stun_refused"] == 100
    assert counters["stun_limited"] == 900
    network.join("r", "bela", "send", 3)


def test_until_the_handshake_is_done_three_times_the_received_bytes_are_the_limit(network: Network) -> None:
    client = network.open("r", "anna", "send", 1)
    taken: list[bytes] = []
    client.active._send = taken.append
    client.active.check()
    received = 0
    for _ in range(10):
        for data in taken[:]:
            taken.remove(data)
            received += len(data)
            network.rooms.mux.datagram(data, client.address, network.now)
            sent = sum(len(answer) for answer, address in network.sent if address == client.address)
            assert sent <= AMPLIFICATION * received
        # The client hears nothing of the handshake: only its first check is answered to it.
        if not client.active.checked:
            client.active.receive(network.sent[0][0])
        network.now += 1
        network.rooms.poll(network.now)
    assert endpoint_of(network, client).dtls.state is DtlsState.CONNECTING


def test_what_the_limit_held_back_is_sent_when_more_has_arrived(network: Network) -> None:
    client = network.open("r", "anna", "send", 1)
    first, second = client.active.binding_request(), client.active.binding_request()
    network.rooms.mux.datagram(first, client.address, network.now)
    client.active._send = lambda data: network.rooms.mux.datagram(data, client.address, network.now)
    hello = client.active._dtls.start()
    network.rooms.mux.datagram(hello[0], client.address, network.now)
    answered = len(network.sent)
    network.rooms.mux.datagram(second, client.address, network.now)
    kinds = [data[0] for data, _ in network.sent[answered:]]
    assert 22 in kinds


def test_a_wrong_fingerprint_fails_the_handshake_and_closes_the_transport(network: Network) -> None:
    client = network.open("r", "anna", "send", 1)
    endpoint = endpoint_of(network, client)
    endpoint.dtls.expect([Fingerprint("sha-256", ":".join(["AA"] * 32))])
    client.active.check()
    network.run()
    assert client.id not in network.rooms.mux.endpoints
    assert [data["reason"] for _, name, data in network.events if name == "transport_closed"] == ["dtls-failed"]
    assert endpoint.protect is None


def test_without_checks_nothing_is_sent_after_thirty_seconds_and_the_transport_ends_after_seventy_five(
    network: Network,
) -> None:
    client = network.join("r", "anna", "send", 1)
    endpoint = endpoint_of(network, client)
    for _ in range(10):
        network.pass_time(5)
        client.active.check()
        network.run()
    assert network.events == []
    network.pass_time(29)
    assert endpoint.address is not None
    network.pass_time(2)
    assert endpoint.address is None
    network.pass_time(43)
    assert network.events == []
    network.pass_time(2)
    assert [data["reason"] for _, name, data in network.events if name == "transport_closed"] == ["consent-expired"]
    assert network.rooms.transports == {}


def test_after_an_outage_of_a_minute_one_check_brings_everything_back_on_the_same_dtls(network: Network) -> None:
    anna, cleo, _ = camera_room(network)
    for _ in range(6):
        network.pass_time(10)
        anna.active.check()
        network.run()
    cleo.rtp.clear()
    send_frames(network, anna, 1, first=4)
    assert cleo.rtp == [], "nothing goes where nobody has said for a minute that it may"
    dtls = endpoint_of(network, cleo).dtls
    cleo.active.check()
    network.run()
    send_frames(network, anna, 1, first=5)
    assert len(cleo.rtp) == 1
    assert endpoint_of(network, cleo).dtls is dtls


def test_a_page_whose_signalling_is_cut_off_too_comes_back_with_the_spare_credentials(network: Network) -> None:
    made = network.call("router.create_transport", router_id="r", owner="anna", direction="send")
    assert made["spareIceParameters"]["usernameFragment"] != made["iceParameters"]["usernameFragment"]
    client = network.join("r", "cleo", "send", 7)
    endpoint = endpoint_of(network, client)
    spare = endpoint.credentials[1]
    network.pass_time(45)
    assert endpoint.address is None
    client.active.set_remote(spare.fragment, spare.password)
    client.move(("198.51.100.9", 4445))
    client.active.check()
    network.run()
    assert endpoint.address == ("198.51.100.9", 4445)


@pytest.mark.parametrize("spare", [True, False])
def test_who_lost_the_way_is_followed_at_the_first_check_and_who_only_tries_another_is_not(
    network: Network, spare: bool
) -> None:
    client = network.join("r", "anna", "send", 1)
    endpoint = endpoint_of(network, client)
    before = endpoint.address
    if spare:
        client.active.set_remote(endpoint.credentials[1].fragment, endpoint.credentials[1].password)
    client.move(("198.51.100.9", 4446))
    network.to_server(client.active.binding_request(nominate=False), client.address)
    network.run()
    assert endpoint.address == (("198.51.100.9", 4446) if spare else before)


def test_an_ice_restart_keeps_the_first_credentials_and_dtls(network: Network) -> None:
    anna, cleo, _ = camera_room(network)
    first = anna.active._remote
    ice = network.call("transport.restart_ice", transport_id=anna.id)["iceParameters"]
    assert ice["usernameFragment"] != first[0]
    endpoint = endpoint_of(network, anna)
    dtls = endpoint.dtls
    anna.active.check()
    network.run()
    anna.active.set_remote(ice["usernameFragment"], ice["password"])
    anna.move(("198.51.100.7", 4444))
    anna.active.check()
    network.run()
    assert endpoint.address == ("198.51.100.7", 4444)
    assert endpoint.dtls is dtls
    send_frames(network, anna, 1, first=4)
    assert len(cleo.rtp) == 1


def test_requests_for_pairs_that_nobody_uses_take_none_away(network: Network) -> None:
    """A page whose answers are lost, or that finds its way meanwhile, keeps the pairs that it has."""
    anna, _, _ = camera_room(network)
    endpoint = endpoint_of(network, anna)
    first = anna.active._remote

    def asked() -> tuple[str, str]:
        answer = network.call("transport.restart_ice", transport_id=anna.id)
        return answer["iceParameters"]["usernameFragment"], answer["spareIceParameters"]["usernameFragment"]

    offered = asked()
    assert [asked() for _ in range(6)] == [offered] * 6
    assert first[0] in {one.fragment for one in endpoint.credentials}
    pair = next(one for one in endpoint.credentials if one.fragment == offered[1])
    anna.active.set_remote(pair.fragment, pair.password)
    anna.active.check()
    network.run()
    after = asked()
    assert not set(after) & set(offered)
    assert {one.fragment for one in endpoint.credentials} == {*offered, *after}
    assert endpoint.used_fragments == {offered[1]}


def moved(network: Network, client: Client) -> None:
    client.move(("203.0.113.9", 999))
    client.active.check()
    network.run()
    client.rtp.clear()
    client.rtcp.clear()


def echo(client: Client, consumer_ssrc: int, report: rtcp.SenderReport) -> bytes:
    short = report.ntp >> 16 & 0xFFFFFFFF
    return rtcp.build_receiver_report(3, (rtcp.ReportBlock(consumer_ssrc, 0, 0, 0, 0, short, 0),))


def test_a_moved_transport_gets_video_only_after_a_report_proves_the_path(network: Network) -> None:
    anna, cleo, _ = camera_room(network)
    network.pass_time(1.2)
    stale = rtcp.parse_compound(cleo.rtcp[-1])[0]
    assert isinstance(stale, rtcp.SenderReport)
    moved(network, cleo)
    send_frames(network, anna, 3, first=4)
    assert cleo.rtp == []
    network.pass_time(0.2)
    challenge = rtcp.parse_compound(cleo.rtcp[-1])[0]
    assert isinstance(challenge, rtcp.SenderReport)
    # A report that echoes what was sent to the old address proves nothing.
    cleo.active.send_rtcp(echo(cleo, challenge.ssrc, stale))
    network.run()
    send_frames(network, anna, 1, first=7)
    assert cleo.rtp == []
    cleo.active.send_rtcp(echo(cleo, challenge.ssrc, challenge))
    network.run()
    send_frames(network, anna, 1, first=8)
    assert len(cleo.rtp) == 1


def test_going_back_to_a_proven_path_needs_no_new_proof(network: Network) -> None:
    anna, cleo, _ = camera_room(network)
    old = cleo.address
    moved(network, cleo)
    cleo.address = old
    cleo.active.check()
    network.run()
    send_frames(network, anna, 1, first=4)
    assert len(cleo.rtp) == 1


def test_a_moved_transport_gets_audio_at_64_kbit_s_for_ten_seconds(network: Network) -> None:
    anna, cleo = network.join("r", "anna", "send", 1), network.join("r", "cleo", "recv", 2)
    anna.produce("microphone")
    for slot in network.call("router.slots", router_id="r")["slots"]:
        cleo.consume(slot["producer_id"])
    moved(network, cleo)
    heard_in = []
    for second in range(14):
        cleo.rtp.clear()
        for tick in range(50):
            number = second * 50 + tick + 1
            voice = rtp(
                ssrc=5000, sequence=number, timestamp=960 * number, payload=bytes(400), extensions={10: b"\x10"}
            )
            anna.active.send_rtp(voice)
            network.pass_time(0.02)
        if second % 5 == 0:
            cleo.active.check()
            anna.active.check()
        heard_in.append(sum(len(packet) for packet in cleo.rtp))
    assert all(4000 < octets <= 8000 + 4000 for octets in heard_in[:9])
    assert heard_in[12:] == [0, 0]


def test_an_address_in_use_cannot_be_taken_by_another_transport(network: Network) -> None:
    anna, cleo, _ = camera_room(network)
    thief = network.open("r", "mallory", "recv", 50)
    thief.active._send = lambda data: network.rooms.mux.datagram(data, cleo.address, network.now)
    thief.active.check()
    assert network.rooms.mux.counters["address_in_use"] == 1
    send_frames(network, anna, 1, first=4)
    assert len(cleo.rtp) == 1
    network.pass_time(11)
    thief.active.check()
    assert network.rooms.mux.counters["address_in_use"] == 1


def test_a_transport_keeps_at_most_eight_addresses_and_the_selected_one_stays(network: Network) -> None:
    client = network.join("r", "anna", "send", 1)
    endpoint = endpoint_of(network, client)
    for port in range(100, 150):
        check = client.active.binding_request(nominate=False)
        network.rooms.mux.datagram(check, ("198.51.100.7", port), network.now)
        network.now += 0.1
    assert len(endpoint.paths) == 8
    assert endpoint.address == client.address
    assert len(network.rooms.mux._by_address) == 8


def test_packets_over_the_budget_are_dropped_before_decryption(network: Network) -> None:
    anna, _, _ = camera_room(network)
    endpoint = endpoint_of(network, anna)
    send_frames(network, anna, 7000, first=10, size=10)
    assert endpoint.counters["over_budget"] >= 900


def test_a_closed_transport_says_goodbye_and_is_forgotten(network: Network) -> None:
    anna, _, _ = camera_room(network)
    network.call("transport.close", transport_id=anna.id)
    network.run()
    assert anna.active.failed
    assert anna.address not in network.rooms.mux._by_address
    assert {name for _, name, _ in network.events} >= {"producer_closed", "transport_closed"}


def test_records_are_never_cut_in_two() -> None:
    def record(size: int) -> bytes:
        return b"\x16\xfe\xfd" + bytes(8) + size.to_bytes(2, "big") + bytes(size)

    packed = pack_records(record(700) + record(600) + record(300) + record(20))
    assert [len(datagram) for datagram in packed] == [713, 959]
    assert all(len(datagram) <= LARGEST_DATAGRAM for datagram in packed)


async def test_a_lost_flight_is_sent_again_by_the_handshake_timer() -> None:
    other = DtlsIdentity()
    server, client = DtlsEndpoint(IDENTITY), DtlsEndpoint(other, server=False)
    server.expect(other.fingerprints)
    client.expect(IDENTITY.fingerprints)
    (hello,) = client.start()
    lost = server.receive(hello)
    assert lost
    assert server.poll() == []
    # OpenSSL's own clock runs this timer: one second the first time.
    async with asyncio.timeout(10):
        again: list[bytes] = []
        while not again:
            await asyncio.sleep(0.05)
            again = server.poll()
    for datagram in again:
        for answer in client.receive(datagram):
            for last in server.receive(answer):
                client.receive(last)
    assert (server.state, client.state) == (DtlsState.CONNECTED, DtlsState.CONNECTED)


def test_a_v4_address_seen_through_a_v6_socket_is_reported_as_v4() -> None:
    from aioice import stun

    from folkmoot_media.transport.mux import plain_address

    network = Network()
    network.call("router.create", router_id="r", floor_mode="open")
    client = network.open("r", "anna", "send", 1)
    source = ("::ffff:198.51.100.7", 5, 0, 0)
    network.rooms.mux.datagram(client.active.binding_request(), source, network.now)
    answer = stun.parse_message(network.sent[0][0])
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == ("198.51.100.7", 5)
    assert network.sent[0][1] == source
    assert plain_address(("2001:db8::1", 7, 0, 0)) == ("2001:db8::1", 7)


def test_connecting_twice_is_refused(network: Network) -> None:
    client = network.join("r", "anna", "send", 1)
    prints = [{"algorithm": item.algorithm, "value": item.value} for item in IDENTITY.fingerprints]
    with pytest.raises(MediaError, match="already"):
        network.call("transport.connect", transport_id=client.id, dtlsParameters={"fingerprints": prints})


def test_the_cheap_look_at_the_user_name_agrees_with_the_parser(network: Network) -> None:
    client = network.open("r", "anna", "send", 1)
    assert stun_lite.local_fragment(client.active.binding_request()) == client.active._remote[0]
    assert stun_lite.local_fragment(b"\0\1\0\0!\x12\xa4B" + bytes(12)) is None


def test_checks_are_limited_per_transport_and_a_known_path_keeps_its_consent(network: Network) -> None:
    client = network.join("r", "anna", "send", 1)
    request = client.active.binding_request()
    wrong = Client(network, client.id, "thief", STRANGER)
    wrong.active.set_remote(client.active._remote[0], "guess" * 6)
    for port in range(2000):
        source = (f"10.7.{port >> 8}.{port & 255}", 1)
        network.rooms.mux.datagram(wrong.active.binding_request(), source, network.now)
    # The transport's own first check was the hundredth.
    assert network.rooms.mux.counters["stun_refused"] == 99
    answered = len(network.sent)
    network.rooms.mux.datagram(request, client.address, network.now)
    assert len(network.sent) == answered + 1
    for _ in range(500):
        network.rooms.mux.datagram(request, client.address, network.now)
    assert len(network.sent) <= answered + 100


def test_control_packets_have_a_budget_of_their_own(network: Network) -> None:
    anna, cleo, _ = camera_room(network)
    for _ in range(1000):
        anna.active.send_rtcp(rtcp.build_receiver_report(1, ()))
    network.run()
    assert endpoint_of(network, anna).counters["over_budget"] >= 700
    send_frames(network, anna, 1, first=4)
    assert len(cleo.rtp) == 1
