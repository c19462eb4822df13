"""Media over TCP connections: framing, who may come, slow readers, and the way of a whole transport."""

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.media.support import CAPABILITIES, IDENTITY, LEVEL_ID, MID_ID, Dice, audio_parameters, mutate, rtp

from folkmoot_media import stream_port
from folkmoot_media.errors import MediaError
from folkmoot_media.stream_port import open_tcp
from folkmoot_media.transport.active import ActiveTransport
from folkmoot_media.transport.aiortc_adapter import Fingerprint
from folkmoot_media.transport.framing import LARGEST_FRAME, Frames, frame
from folkmoot_media.worker import Worker, WorkerSettings

PATIENCE = 40.0


async def until(found: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not found():  # noqa: ASYNC110 - what is waited for sends no event
            await asyncio.sleep(0.01)


# -- framing ------------------------------------------------------------------------------------------------------


def test_datagrams_come_out_as_they_went_in_however_the_stream_is_cut() -> None:
    dice = Dice("frames")
    datagrams = [dice.bytes(1 + dice.below(LARGEST_FRAME)) for _ in range(200)]
    whole = b"".join(frame(one) for one in datagrams)
    frames, found, start = Frames(), [], 0
    while start < len(whole):
        size = 1 + dice.below(3000)
        found += frames.feed(whole[start : start + size])
        start += size
    assert found == datagrams


def test_an_empty_frame_means_nothing_and_one_too_long_ends_the_stream() -> None:
    assert Frames().feed(frame(b"") + frame(b"x")) == [b"x"]
    assert Frames().feed(frame(bytes(LARGEST_FRAME))) == [bytes(LARGEST_FRAME)]
    with pytest.raises(ValueError, match="too long"):
        Frames().feed((LARGEST_FRAME + 1).to_bytes(2, "big"))


def test_ten_thousand_mutated_streams_are_read_or_refused_and_little_is_kept() -> None:
    dice = Dice("tcp")
    good = b"".join(frame(dice.bytes(1 + dice.below(300))) for _ in range(4))
    read = refused = 0
    for _ in range(10_000):
        frames, stream = Frames(), mutate(good, dice)
        cut = dice.below(len(stream) + 1)
        try:
            found = frames.feed(stream[:cut]) + frames.feed(stream[cut:])
        except ValueError:
            refused += 1
            continue
        read += 1
        assert len(frames._rest) <= LARGEST_FRAME + 1
        assert sum(len(one) + 2 for one in found) + len(frames._rest) <= len(stream)
    assert read > 1000
    assert refused > 100


# -- a worker on real sockets -------------------------------------------------------------------------------------


@asynccontextmanager
async def running(
    folder: Path, listen: str = "127.0.0.1", announced: tuple[str, ...] = (), fan: str = "auto"
) -> AsyncIterator[Worker]:
    for _ in range(20):
        worker = Worker(WorkerSettings(folder / "w.sock", listen, announced or (listen,), 0, fan=fan))
        if worker._listening is not None:
            break
        worker._udp.close()  # some connection on this machine has the free UDP number in TCP
    task = asyncio.create_task(worker.run())
    await until(lambda: worker._streams._server is not None)
    try:
        yield worker
    finally:
        worker._stopped.set()
        await asyncio.wait_for(task, PATIENCE)


def call(worker: Worker, method: str, **data: Any) -> Any:
    return worker._methods.call(method, data, asyncio.get_running_loop().time())


class Client:
    """A transport whose only way is a TCP candidate."""

    protocol = "tcp"

    def __init__(self, worker: Worker, owner: str, direction: str, rank: int = 0) -> None:
        """Take the candidate of this rank, 0 the best."""
        self.worker = worker
        info = call(worker, "router.create_transport", router_id="r", owner=owner, direction=direction)
        self.id = info["id"]
        self.candidate = dict([one for one in info["iceCandidates"] if one["protocol"] == self.protocol][rank])
        self.heard: list[bytes] = []
        self.active = ActiveTransport(IDENTITY, self._send, secrets.token_bytes, self.heard.append)
        self.writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        ice, dtls = info["iceParameters"], info["dtlsParameters"]
        prints = [Fingerprint(one["algorithm"], one["value"]) for one in dtls["fingerprints"]]
        self.active.set_remote(ice["usernameFragment"], ice["password"], prints)
        own = [{"algorithm": one.algorithm, "value": one.value} for one in self.active.fingerprints]
        call(
            worker, "transport.connect", transport_id=self.id, dtlsParameters={"role": "client", "fingerprints": own}
        )

    def _send(self, data: bytes) -> None:
        if self.writer is not None:
            self.writer.write(frame(data))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        frames = Frames()
        while data := await reader.read(4096):
            for datagram in frames.feed(data):
                self.active.receive(datagram)

    async def dial(self) -> None:
        reader, self.writer = await asyncio.open_connection(self.candidate["ip"], self.candidate["port"])
        self._reading = asyncio.create_task(self._read(reader))

    async def connect(self) -> None:
        await self.dial()
        self.active.check()
        await until(lambda: self.active.connected and self.report()["dtls"] == "connected")

    def report(self) -> dict[str, Any]:
        owner = self.worker._rooms.transports[self.id].leg.owner
        told = call(self.worker, "router.report", router_id="r", owner=owner)["transports"]
        return dict(told[0])

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        if self.writer is not None:
            self.writer.close()
            with contextlib.suppress(OSError):
                await self.writer.wait_closed()


def voice(sequence: int) -> bytes:
    marks = {MID_ID: b"0", LEVEL_ID: bytes((20,))}
    return rtp(ssrc=5000, sequence=sequence, timestamp=960 * sequence, extensions=marks)


async def hear(anna: Client, bela: Client) -> None:
    """Let bela listen, anna speak, and wait until it is heard."""
    said = {"kind": "audio", "source": "microphone", "rtpParameters": audio_parameters()}
    call(anna.worker, "transport.produce", transport_id=anna.id, **said)
    for slot in call(anna.worker, "router.slots", router_id="r")["slots"]:
        wanted = {"producer_id": slot["producer_id"], "rtpCapabilities": CAPABILITIES, "paused": False}
        call(anna.worker, "transport.consume", transport_id=bela.id, **wanted)
    for sequence in range(50):
        anna.active.send_rtp(voice(sequence))
        await asyncio.sleep(0.01)
    await until(lambda: len(bela.heard) > 20)


@pytest.mark.parametrize("fan", ["compiled", "cffi", "python"])
async def test_a_voice_goes_in_and_out_over_tcp_alone(tmp_path: Path, fan: str) -> None:
    async with running(tmp_path, fan=fan) as worker:
        call(worker, "router.create", router_id="r", floor_mode="open")
        anna, bela = Client(worker, "anna", "send"), Client(worker, "bela", "recv")
        for one in (anna, bela):
            await one.connect()
        await hear(anna, bela)
        assert bela.heard[0][12:].endswith(b"payload")
        told = bela.report()
        assert (told["ice"], told["family"], told["protocol"], told["proven"]) == ("checked", "ipv4", "tcp", True)
        assert worker._counters["contained_errors"] == 0
        for one in (anna, bela):
            await one.close()
        await until(lambda: not worker._streams.connections)
        assert bela.report()["ice"] == "lost"


async def test_ipv6_and_ipv4_at_the_same_port(tmp_path: Path) -> None:
    async with running(tmp_path, listen="::", announced=("::1", "127.0.0.1")) as worker:
        call(worker, "router.create", router_id="r", floor_mode="open")
        anna, bela = Client(worker, "anna", "send"), Client(worker, "bela", "recv", rank=1)
        assert (anna.candidate["ip"], bela.candidate["ip"]) == ("::1", "127.0.0.1")
        assert anna.candidate["priority"] > bela.candidate["priority"]
        assert anna.candidate["foundation"] != bela.candidate["foundation"]
        for one in (anna, bela):
            await one.connect()
        await hear(anna, bela)
        assert (anna.report()["family"], bela.report()["family"]) == ("ipv6", "ipv4")
        for one in (anna, bela):
            await one.close()


async def test_a_broken_connection_is_found_again_by_another(tmp_path: Path) -> None:
    async with running(tmp_path) as worker:
        call(worker, "router.create", router_id="r", floor_mode="open")
        anna, bela = Client(worker, "anna", "send"), Client(worker, "bela", "recv")
        for one in (anna, bela):
            await one.connect()
        await hear(anna, bela)
        await bela.close()
        await until(lambda: bela.report()["ice"] == "lost")
        before = len(bela.heard)
        await bela.dial()
        bela.active.check()
        await until(lambda: bela.report()["ice"] == "checked")
        for sequence in range(50, 90):
            anna.active.send_rtp(voice(sequence))
            await asyncio.sleep(0.01)
        await until(lambda: len(bela.heard) > before + 10)
        for one in (anna, bela):
            await one.close()


async def test_a_slow_reader_loses_media_and_holds_nobody_up(tmp_path: Path) -> None:
    async with running(tmp_path) as worker:
        call(worker, "router.create", router_id="r", floor_mode="open")
        bela = Client(worker, "bela", "recv")
        await bela.connect()
        (address,) = worker._streams.connections
        assert bela._reading is not None
        bela._reading.cancel()  # reads nothing any more
        sent = dropped = 0
        for _ in range(20_000):
            try:
                worker._streams.sendto(bytes(1200), address)
                sent += 1
            except OSError:
                dropped += 1
        transport = worker._streams.connections[address]._transport
        assert transport is not None
        assert transport.get_write_buffer_size() <= stream_port.MOST_WAITING + 1202
        assert dropped == worker._streams.counters["stream_dropped"] > 0
        assert sent + dropped == 20_000
        await bela.close()


async def test_strangers_are_few_short_and_soon_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_port, "MOST_STRANGERS", 3)
    async with running(tmp_path) as worker:
        call(worker, "router.create", router_id="r", floor_mode="open")
        known = Client(worker, "anna", "send")
        await known.connect()
        port = worker.udp_port
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        await until(lambda: worker._streams.strangers == 3)
        reader, fourth = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        # Too much from one that has passed no check, and a frame that cannot be.
        held[0][1].write(frame(b"\x00" * 1000) * 10)
        held[1][1].write(b"\xff\xff")
        await until(lambda: worker._streams.strangers == 1)
        assert worker._streams.counters["stream_refused"] == 3
        assert known.report()["ice"] == "checked"
        assert worker._counters["contained_errors"] == 0
        for _, writer in (*held, (reader, fourth)):
            writer.close()
        await known.close()


async def test_a_stranger_that_waits_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_port, "STRANGER_SECONDS", 0.3)
    async with running(tmp_path) as worker:
        call(worker, "router.create", router_id="r", floor_mode="open")
        known = Client(worker, "anna", "send")
        await known.connect()
        _, writer = await asyncio.open_connection("127.0.0.1", worker.udp_port)
        await until(lambda: len(worker._streams.connections) == 2)
        await until(lambda: len(worker._streams.connections) == 1)
        # Control: who has passed a check stays.
        assert known.report()["ice"] == "checked"
        writer.close()
        await known.close()


async def test_a_wrong_password_over_tcp_stays_a_stranger(tmp_path: Path) -> None:
    async with running(tmp_path) as worker:
        call(worker, "router.create", router_id="r", floor_mode="open")
        mallory = Client(worker, "mallory", "send")
        await mallory.dial()
        right = mallory.active._remote
        mallory.active.set_remote(right[0], "x" * 32)
        mallory.active.check()
        await until(lambda: worker._rooms.mux.counters["stun_refused"] == 1)
        assert worker._streams.strangers == 1
        mallory.active.set_remote(*right)
        mallory.active.check()
        await until(lambda: worker._streams.strangers == 0)
        await mallory.close()


async def test_where_the_tcp_number_is_taken_only_udp_is_announced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert open_tcp("127.0.0.1", port) is None
        worker = Worker(WorkerSettings(tmp_path / "w.sock", "127.0.0.1", ("127.0.0.1",), port))
        worker._methods.call("router.create", {"router_id": "r", "floor_mode": "open"}, 1.0)
        wanted = {"router_id": "r", "owner": "a", "direction": "send"}
        info: Any = worker._methods.call("router.create_transport", wanted, 1.0)
        assert [one["protocol"] for one in info["iceCandidates"]] == ["udp"]
        with pytest.raises(MediaError):
            worker._methods.call("router.create_transport", {**wanted, "router_id": "x"}, 1.0)
        worker._udp.close()
