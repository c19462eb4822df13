"""A foreign client, the Python library pymediasoup on top of aiortc, sends and plays through a real worker."""

import array
import asyncio
import fractions
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest_asyncio
from aiortc import MediaStreamTrack
from aiortc.mediastreams import VideoStreamTrack
from av import AudioFrame
from pymediasoup import AiortcHandler, Device
from pymediasoup.consumer import Consumer
from pymediasoup.producer import Producer
from pymediasoup.rtp_parameters import RtpCapabilities, RtpParameters
from pymediasoup.transport import Transport

from folkmoot_server.realtime.media_signalling import MediaSignalling
from folkmoot_server.sfu_client import MediaPool, MediaPoolSettings

ROOM = "hall"
RATE = 48_000
SAMPLES = 960
LOUD = 2_000


class Tone(MediaStreamTrack):
    """440 Hz, loud enough to be a voice, in frames of 20 ms."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._sent = 0
        self._began = asyncio.get_running_loop().time()

    async def recv(self) -> AudioFrame:
        due = self._began + self._sent / RATE
        await asyncio.sleep(due - asyncio.get_running_loop().time())
        wave = (round(10_000 * math.sin(2 * math.pi * 440 * (self._sent + at) / RATE)) for at in range(SAMPLES))
        frame = AudioFrame(format="s16", layout="mono", samples=SAMPLES)
        frame.planes[0].update(array.array("h", wave).tobytes())
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._sent, fractions.Fraction(1, RATE)
        self._sent += SAMPLES
        return frame


class ActiveHandler(AiortcHandler):
    """The library's handler in the DTLS role that media_control.md names: a client is the active side."""

    async def _setupTransport(self, localDtlsRole: str, localSdpDict: dict[str, Any] | None = None) -> None:  # noqa: N802, N803
        del localDtlsRole
        await super()._setupTransport("client", localSdpDict)


class ForeignSeat:
    """One seat whose client is the library; the test carries its requests."""

    def __init__(self, signalling: MediaSignalling, owner: str) -> None:
        self._signalling = signalling
        self.owner = owner
        self.device = Device(handlerFactory=ActiveHandler.createFactory())
        self._transports: list[Transport] = []

    async def ask(self, method: str, **data: Any) -> dict[str, Any]:
        return await self._signalling.handle(ROOM, self.owner, method, data)

    async def join(self) -> None:
        await self._signalling.join(ROOM, self.owner)
        offered = (await self.ask("capabilities"))["rtpCapabilities"]
        await self.device.load(RtpCapabilities(**offered))

    async def open(self, direction: str) -> Transport:
        info = await self.ask("create_transport", direction=direction)
        make = self.device.createSendTransport if direction == "send" else self.device.createRecvTransport
        known = {key: info[key] for key in ("id", "iceParameters", "iceCandidates", "dtlsParameters")}
        transport = make(**known, sctpParameters=None)
        self._transports.append(transport)

        @transport.on("connect")
        async def connect(parameters: Any) -> None:
            wanted = parameters.model_dump(exclude_none=True)
            await self.ask("connect_transport", transport_id=transport.id, dtlsParameters=wanted)

        @transport.on("produce")
        async def produce(kind: str, parameters: RtpParameters, app_data: dict[str, str]) -> str:
            wanted = parameters.model_dump(exclude_none=True)
            answer = await self.ask(
                "produce",
                transport_id=transport.id,
                kind=kind,
                rtpParameters=wanted,
                source=app_data["source"],
            )
            return str(answer["id"])

        return transport

    async def consume(self, transport: Transport, producer_id: str) -> Consumer:
        assert self.device.recvRtpCapabilities is not None
        capabilities = self.device.recvRtpCapabilities.model_dump(exclude_none=True, exclude={"fecMechanisms"})
        info = await self.ask(
            "consume", transport_id=transport.id, producer_id=producer_id, rtpCapabilities=capabilities
        )
        consumer = await transport.consume(
            id=info["id"],
            producerId=info["producerId"],
            kind=info["kind"],
            rtpParameters=RtpParameters(**info["rtpParameters"]),
        )
        await self.ask("resume_consumer", consumer_id=consumer.id)
        return consumer

    async def close(self) -> None:
        for transport in self._transports:
            await transport.close()


@pytest_asyncio.fixture
async def signalling(tmp_path: Path) -> AsyncIterator[MediaSignalling]:
    pool = MediaPool(MediaPoolSettings(tmp_path / "run", workers=1))
    running = MediaSignalling(pool, lambda *_: None)
    await pool.start()
    yield running
    await running.close()
    await pool.close()


@pytest_asyncio.fixture
async def seats(signalling: MediaSignalling) -> AsyncIterator[tuple[ForeignSeat, ForeignSeat]]:
    anna, bela = ForeignSeat(signalling, "anna"), ForeignSeat(signalling, "bela")
    for seat in (anna, bela):
        await seat.join()
    yield anna, bela
    for seat in (bela, anna):
        await seat.close()


@dataclass(frozen=True)
class Meeting:
    """Anna sends a voice and a picture, Bela plays both."""

    anna: ForeignSeat
    bela: ForeignSeat
    camera: Producer
    playing: Transport
    slot: int
    voice: Consumer
    picture: Consumer

    async def received(self, consumer: Consumer) -> int:
        """Return how many packets of media the library has counted for a consumer."""
        report = await self.playing.handler.getReceiverStats(consumer.localId)
        return sum(entry.packetsReceived for entry in report.values() if entry.type == "inbound-rtp")

    async def more(self, consumer: Consumer, count: int) -> None:
        """Wait until so many more have come."""
        wanted = await self.received(consumer) + count
        while await self.received(consumer) < wanted:  # noqa: ASYNC110 - statistics are asked for
            await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def meeting(seats: tuple[ForeignSeat, ForeignSeat]) -> Meeting:
    anna, bela = seats
    playing = await bela.open("recv")
    voices = [await bela.consume(playing, slot["producer_id"]) for slot in (await bela.ask("list"))["slots"]]
    sending = await anna.open("send")
    microphone = await sending.produce(track=Tone(), stopTracks=False, appData={"source": "microphone"})
    camera = await sending.produce(track=VideoStreamTrack(), stopTracks=False, appData={"source": "camera"})
    listed = (await bela.ask("list"))["producers"]
    assert [(entry["producer_id"], entry["source"]) for entry in listed] == [
        (microphone.id, "microphone"),
        (camera.id, "camera"),
    ]
    picture = await bela.consume(playing, camera.id)
    slot = await speaking(bela, "anna")
    return Meeting(anna, bela, camera, playing, slot, voices[slot], picture)


async def speaking(listener: ForeignSeat, owner: str) -> int:
    """Return the slot in which a seat is heard, once it is in one."""
    while True:
        for slot in (await listener.ask("list"))["slots"]:
            if slot["owner"] == owner:
                return int(slot["slot"])
        await asyncio.sleep(0.05)


async def seen(consumer: Consumer) -> tuple[int, int]:
    """Return the size of the next picture."""
    frame = await consumer.track.recv()
    return frame.width, frame.height


def loudest(frame: AudioFrame) -> int:
    return max(abs(sample) for sample in array.array("h", bytes(frame.planes[0])))


async def test_it_knows_what_the_router_offers(seats: tuple[ForeignSeat, ForeignSeat]) -> None:
    anna, _ = seats
    assert anna.device.canProduce("audio")
    assert anna.device.canProduce("video")
    assert anna.device.recvRtpCapabilities is not None
    received = {codec.mimeType.lower() for codec in anna.device.recvRtpCapabilities.codecs}
    assert {"audio/opus", "video/vp8", "video/rtx"} <= received


async def test_its_voice_is_heard_through_a_slot_and_its_picture_seen(meeting: Meeting) -> None:
    assert {(await seen(meeting.picture)) for _ in range(20)} == {(640, 480)}
    while loudest(await meeting.voice.track.recv()) < LOUD:
        pass


async def test_what_it_pauses_no_longer_arrives_until_it_goes_on(meeting: Meeting) -> None:
    await meeting.anna.ask("pause_producer", producer_id=meeting.camera.id)
    await meeting.more(meeting.voice, 25)
    standing = await meeting.received(meeting.picture)
    await meeting.more(meeting.voice, 50)
    assert await meeting.received(meeting.picture) == standing
    await meeting.anna.ask("resume_producer", producer_id=meeting.camera.id)
    await meeting.more(meeting.picture, 20)


async def test_a_muted_voice_no_longer_arrives_until_it_may_speak_again(
    meeting: Meeting, signalling: MediaSignalling
) -> None:
    await signalling.mute(ROOM, "anna", True)
    await meeting.more(meeting.picture, 10)
    silent = await meeting.received(meeting.voice)
    await meeting.more(meeting.picture, 30)
    assert await meeting.received(meeting.voice) == silent
    await signalling.mute(ROOM, "anna", False)
    assert await speaking(meeting.bela, "anna") == meeting.slot
    await meeting.more(meeting.voice, 50)
