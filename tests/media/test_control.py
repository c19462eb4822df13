"""The control channel: typed refusals that change nothing, the worker process, adoption by epoch."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import msgpack  # type: ignore[import-untyped]  # publishes no type hints
import pytest
import pytest_asyncio
from tests.media.support import CAPABILITIES, IDENTITY, Dice, Network, audio_parameters, mutate, video_parameters

from folkmoot_media import control
from folkmoot_media.errors import MediaError
from folkmoot_media.rtp_parameters import ROUTER_CAPABILITIES
from folkmoot_server.sfu_client import MediaPool, MediaPoolSettings

PRINTS = [{"algorithm": item.algorithm, "value": item.value} for item in IDENTITY.fingerprints]


@pytest.fixture
def network() -> Network:
    fresh = Network()
    fresh.call("router.create", router_id="r", floor_mode="open")
    return fresh


def picture(network: Network) -> object:
    """Return everything that a refused request must leave as it was."""
    router = network.rooms.routers["r"]
    return (
        set(network.rooms.routers),
        {key: (held.leg.owner, held.endpoint.dtls.expected) for key, held in network.rooms.transports.items()},
        {key: (held.paused, len(held.consumers)) for key, held in router.producers.items()},
        {key: sorted(leg.consumers) for key, leg in router.legs.items()},
        list(router.floor.holders),
        set(network.rooms.mux._by_fragment),
    )


def video(**changes: Any) -> dict[str, Any]:
    return {**video_parameters(), **changes}


VIDEO_CODEC = {"mimeType": "video/H265", "payloadType": 96, "clockRate": 90000}
REFUSALS: list[tuple[str, dict[str, Any], str]] = [
    ("router.open", {}, "media.unknown-method"),
    ("router.create", {"router_id": "r", "floor_mode": "open"}, "media.router-exists"),
    ("router.create", {"router_id": "x", "floor_mode": "loud"}, "media.bad-request"),
    ("router.create", {"router_id": "x" * 65, "floor_mode": "open"}, "media.bad-request"),
    ("router.create", {"router_id": "x", "floor_mode": "open", "more": 1}, "media.bad-request"),
    ("router.create", {"router_id": 7, "floor_mode": "open"}, "media.bad-request"),
    ("router.close", {"router_id": "nope"}, "media.no-such-router"),
    ("router.slots", {"router_id": "nope"}, "media.no-such-router"),
    ("router.set_floor", {"router_id": "r", "mode": "open", "chairs": ["a b"], "granted": []}, "media.bad-request"),
    (
        "router.set_floor",
        {"router_id": "r", "mode": "open", "chairs": ["c"] * 65, "granted": []},
        "media.bad-request",
    ),
    ("router.mute_owner", {"router_id": "r", "owner": "a", "muted": "yes"}, "media.bad-request"),
    ("router.create_transport", {"router_id": "r", "owner": "a", "direction": "both"}, "media.bad-request"),
    (
        "transport.connect",
        {"transport_id": "nope", "dtlsParameters": {"fingerprints": PRINTS}},
        "media.no-such-transport",
    ),
    ("transport.connect", {"transport_id": "SEND", "dtlsParameters": {"fingerprints": []}}, "media.bad-request"),
    (
        "transport.connect",
        {"transport_id": "SEND", "dtlsParameters": {"fingerprints": [{"algorithm": "sha-256", "value": "zz"}]}},
        "media.bad-request",
    ),
    (
        "transport.connect",
        {"transport_id": "SEND", "dtlsParameters": {"role": "server", "fingerprints": PRINTS}},
        "media.bad-dtls-role",
    ),
    (
        "transport.connect",
        {
            "transport_id": "SEND",
            "dtlsParameters": {"fingerprints": [{"algorithm": "md5", "value": ":".join(["AA"] * 20)}]},
        },
        "media.bad-fingerprint",
    ),
    ("transport.restart_ice", {"transport_id": "nope"}, "media.no-such-transport"),
    (
        "transport.produce",
        {"kind": "video", "source": "microphone", "rtpParameters": video()},
        "media.unsupported-source",
    ),
    (
        "transport.produce",
        {"kind": "audio", "source": "camera", "rtpParameters": audio_parameters()},
        "media.unsupported-source",
    ),
    (
        "transport.produce",
        {"kind": "video", "source": "camera", "rtpParameters": video(codecs=[VIDEO_CODEC])},
        "media.unsupported-codec",
    ),
    (
        "transport.produce",
        {"kind": "video", "source": "camera", "rtpParameters": video(codecs=[])},
        "media.bad-request",
    ),
    ("transport.produce", {"kind": "video", "source": "camera", "rtpParameters": video(mid="")}, "media.bad-request"),
    (
        "transport.produce",
        {"kind": "video", "source": "camera", "rtpParameters": video(extra=1)},
        "media.bad-request",
    ),
    (
        "transport.produce",
        {"kind": "video", "source": "camera", "rtpParameters": video(encodings=[{"rid": "a"}] * 4)},
        "media.bad-request",
    ),
    (
        "transport.produce",
        {"kind": "video", "source": "camera", "rtpParameters": video(encodings=[{"rid": "a"}] * 2)},
        "media.bad-encodings",
    ),
    (
        "transport.produce",
        {"kind": "video", "source": "camera", "rtpParameters": video(encodings=[{"ssrc": 1}, {"ssrc": 2}])},
        "media.bad-encodings",
    ),
    (
        "transport.produce",
        {"kind": "video", "source": "camera", "rtpParameters": video(headerExtensions=[])},
        "media.bad-encodings",
    ),
    (
        "transport.produce",
        {"kind": "video", "source": "camera", "rtpParameters": video(encodings=[{"ssrc": 5, "rtx": {"ssrc": 5}}])},
        "media.stream-conflict",
    ),
    (
        "transport.produce",
        {"transport_id": "RECV", "kind": "video", "source": "camera", "rtpParameters": video()},
        "media.wrong-direction",
    ),
    ("transport.consume", {"producer_id": "nope", "rtpCapabilities": CAPABILITIES}, "media.no-such-producer"),
    ("transport.consume", {"producer_id": "CAMERA", "rtpCapabilities": {"codecs": []}}, "media.cannot-consume"),
    ("transport.consume", {"producer_id": "MICROPHONE", "rtpCapabilities": CAPABILITIES}, "media.not-consumable"),
    (
        "transport.consume",
        {"transport_id": "BUSY", "producer_id": "CAMERA", "rtpCapabilities": CAPABILITIES},
        "media.wrong-direction",
    ),
    ("producer.pause", {"router_id": "r", "producer_id": "nope"}, "media.no-such-producer"),
    ("consumer.resume", {"transport_id": "RECV", "consumer_id": "nope"}, "media.no-such-consumer"),
    (
        "consumer.set_preferred_layers",
        {"transport_id": "RECV", "consumer_id": "VOICE", "layer": 1},
        "media.not-video",
    ),
    (
        "consumer.set_preferred_layers",
        {"transport_id": "RECV", "consumer_id": "VIDEO", "layer": -1},
        "media.bad-request",
    ),
    ("worker.stats", {"all": True}, "media.bad-request"),
]


@pytest.mark.parametrize(("method", "data", "code"), REFUSALS)
def test_a_refused_request_has_its_code_and_changes_nothing(
    network: Network, method: str, data: dict[str, Any], code: str
) -> None:
    busy, receiver = network.join("r", "anna", "send", 1), network.join("r", "cleo", "recv", 2)
    camera, microphone = busy.produce(), busy.produce("microphone")
    slot = network.call("router.slots", router_id="r")["slots"][0]["producer_id"]
    names = {
        "SEND": network.call("router.create_transport", router_id="r", owner="bela", direction="send")["id"],
        "RECV": receiver.id,
        "BUSY": busy.id,
        "CAMERA": camera,
        "MICROPHONE": microphone,
        "VIDEO": receiver.consume(camera)["id"],
        "VOICE": receiver.consume(slot)["id"],
    }
    if method in ("transport.produce", "transport.consume"):
        data = {"transport_id": "SEND" if method == "transport.produce" else "RECV", **data}
    data = {key: names.get(value, value) if isinstance(value, str) else value for key, value in data.items()}
    before = picture(network)
    with pytest.raises(MediaError) as refusal:
        network.methods.call(method, data, network.now)
    assert refusal.value.code == code
    assert refusal.value.message
    assert picture(network) == before


def test_ten_thousand_mutated_control_messages_are_refused_or_understood() -> None:
    dice = Dice("control")
    request = control.Request(
        id=5,
        epoch="ab" * 16,
        method="transport.produce",
        data={"transport_id": "t", "kind": "video", "source": "camera", "rtpParameters": video_parameters()},
    )
    body = control.encode(request)[4:]
    refused = understood = 0
    for _ in range(10_000):
        try:
            control.decode(mutate(body, dice))
        except MediaError as error:
            refused += error.code == "media.malformed-message"
        else:
            understood += 1
    assert refused + understood == 10_000
    assert refused > 5000


@pytest.mark.parametrize(
    "message",
    [
        {"type": "request", "id": 1, "epoch": None, "method": "m", "data": {}, "more": 1},
        {"type": "request", "id": -1, "epoch": None, "method": "m", "data": {}},
        {"type": "request", "id": 1, "epoch": "x", "method": "m", "data": {}},
        {"type": "order", "id": 1},
        {"type": "request", "id": 1, "epoch": None, "method": "m", "data": []},
        [1, 2],
        7,
    ],
)
def test_malformed_messages_are_refused(message: object) -> None:
    with pytest.raises(MediaError, match="understood"):
        control.decode(msgpack.packb(message))


def test_limits_per_owner_and_transport_are_kept(network: Network) -> None:
    for _ in range(6):
        network.call("router.create_transport", router_id="r", owner="anna", direction="recv")
    with pytest.raises(MediaError) as refusal:
        network.call("router.create_transport", router_id="r", owner="anna", direction="recv")
    assert refusal.value.code == "media.too-many-transports"
    assert len(network.rooms.mux.endpoints) == 6
    camera = network.join("r", "bela", "send", 1).produce()
    receiver = network.join("r", "cleo", "recv", 2)
    for _ in range(64):
        receiver.consume(camera)
    with pytest.raises(MediaError) as refusal:
        receiver.consume(camera)
    assert refusal.value.code == "media.too-many-consumers"


def test_remove_owner_closes_all_of_a_seats_transports_and_no_others(network: Network) -> None:
    for owner in ("anna", "bela"):
        network.call("router.create_transport", router_id="r", owner=owner, direction="send")
        network.call("router.create_transport", router_id="r", owner=owner, direction="recv")
    network.call("router.remove_owner", router_id="r", owner="anna")
    assert {held.leg.owner for held in network.rooms.transports.values()} == {"bela"}
    network.call("router.close", router_id="r")
    assert network.rooms.transports == {}
    assert network.rooms.routers == {}
    assert network.rooms.mux.endpoints == {}
    assert network.rooms.mux._by_fragment == {}


# -- the real process ---------------------------------------------------------------------------------------------


class Channel:
    """A raw control connection; the fixture `worker` closes those that a test leaves open."""

    opened: ClassVar[list["Channel"]] = []

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.opened.append(self)

    @classmethod
    async def open(cls, path: Path) -> "Channel":
        async with asyncio.timeout(15):
            while True:
                try:
                    return cls(*await asyncio.open_unix_connection(str(path)))
                except OSError:
                    await asyncio.sleep(0.05)

    async def ask(self, method: str, epoch: str | None, **data: Any) -> control.Response:
        self.writer.write(control.encode(control.Request(id=1, epoch=epoch, method=method, data=data)))
        while True:
            message = await control.read_message(self.reader)
            if isinstance(message, control.Response):
                return message


@pytest_asyncio.fixture
async def worker(tmp_path: Path) -> AsyncIterator[tuple[Path, asyncio.subprocess.Process]]:
    path = tmp_path / "w.sock"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "folkmoot_media", "--socket", str(path), "--orphan-lifetime", "1.5"),
    )
    yield path, process
    if process.returncode is None:
        process.kill()
        await process.wait()
    for channel in Channel.opened:
        channel.writer.close()
        with contextlib.suppress(ConnectionError):
            await channel.writer.wait_closed()
    Channel.opened.clear()


async def test_adoption_goes_by_epoch(worker: tuple[Path, asyncio.subprocess.Process]) -> None:
    path, process = worker
    first = await Channel.open(path)
    hello = await first.ask("worker.hello", None, version=1, adopt=None)
    assert hello.ok is not None
    assert hello.ok["pid"] == process.pid
    assert (await first.ask("router.create", hello.epoch, router_id="r", floor_mode="open")).error is None
    stale = await first.ask("router.create", "0" * 32, router_id="s", floor_mode="open")
    assert stale.error is not None
    assert stale.error.code == "media.stale-epoch"
    first.writer.close()

    stranger = await Channel.open(path)
    refused = await stranger.ask("worker.hello", None, version=1, adopt=None)
    assert refused.error is not None
    assert refused.error.code == "media.stale-epoch"

    heir = await Channel.open(path)
    adopted = await heir.ask("worker.hello", None, version=1, adopt=hello.epoch)
    assert adopted.ok is not None
    assert adopted.ok["router_ids"] == ["r"]
    assert adopted.epoch == hello.epoch


async def test_a_worker_that_nobody_adopts_exits(worker: tuple[Path, asyncio.subprocess.Process]) -> None:
    path, process = worker
    channel = await Channel.open(path)
    await channel.ask("worker.hello", None, version=1, adopt=None)
    channel.writer.close()
    async with asyncio.timeout(15):
        assert await process.wait() == 0
    assert not path.exists()


async def test_garbage_on_the_control_socket_closes_that_connection_only(
    worker: tuple[Path, asyncio.subprocess.Process],
) -> None:
    path, process = worker
    for garbage in (b"\xff\xff\xff\xff", b"\0\0\0\x03abc", b"\0\0\0\x01\x80", b"\0\0"):
        channel = await Channel.open(path)
        channel.writer.write(garbage)
        channel.writer.write_eof()
        async with asyncio.timeout(10):
            assert await channel.reader.read() == b""
    channel = await Channel.open(path)
    assert (await channel.ask("worker.hello", None, version=1, adopt=None)).ok is not None
    assert process.returncode is None


async def test_the_pool_replaces_a_killed_worker_and_names_the_lost_rooms(tmp_path: Path) -> None:
    lost: list[str] = []
    died = asyncio.Event()
    pool = MediaPool(MediaPoolSettings(tmp_path / "run", workers=2))
    pool.on_worker_death = lambda router_ids: (lost.extend(router_ids), died.set())[0]
    await pool.start()
    try:
        for room in ("a", "b", "c"):
            answer = await pool.request(room, "router.create", {"router_id": room, "floor_mode": "open"})
            assert answer["rtp_capabilities"] == ROUTER_CAPABILITIES
        before = pool.pids
        os.kill(before[0], signal.SIGKILL)
        async with asyncio.timeout(15):
            await died.wait()
            while len(pool.pids) < 2:  # noqa: ASYNC110 - the pool tells of deaths, not of births
                await asyncio.sleep(0.05)
        assert lost == ["a", "c"]
        assert before[0] not in pool.pids
        assert before[1] in pool.pids
        with pytest.raises(MediaError) as refusal:
            await pool.request("a", "router.slots", {"router_id": "a"})
        assert refusal.value.code == "media.no-such-router"
        await pool.request("b", "router.slots", {"router_id": "b"})
        await pool.request("a", "router.create", {"router_id": "a", "floor_mode": "open"})
        assert len(await pool.stats()) == 2
    finally:
        await pool.close()
    assert pool.pids == []


async def test_a_restarted_server_adopts_the_running_worker(tmp_path: Path) -> None:
    settings = MediaPoolSettings(tmp_path / "run", workers=1)
    first, second = MediaPool(settings), MediaPool(settings)
    await first.start()
    await first.request("a", "router.create", {"router_id": "a", "floor_mode": "open"})
    pids = first.pids
    # The first server goes without a word, as in a crash.
    first._closing = True
    link = first._links[0]
    assert link.writer is not None
    link.writer.close()
    await second.start()
    try:
        assert second.pids == pids
        assert (await second.request("a", "router.slots", {"router_id": "a"}))["slots"]
    finally:
        await second.close()
        await first.close()


async def test_a_path_too_long_for_a_socket_is_refused_clearly(tmp_path: Path) -> None:
    pool = MediaPool(MediaPoolSettings(tmp_path / ("x" * 100), workers=1))
    with pytest.raises(MediaError, match="too long"):
        await pool.start()


async def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        pool = MediaPool(MediaPoolSettings(tmp_path / "run", udp_port=port, workers=1))
        with pytest.raises(MediaError, match=str(port)) as refusal:
            await pool.start()
    assert refusal.value.code == "media.port-in-use"
