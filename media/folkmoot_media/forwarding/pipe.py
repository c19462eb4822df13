"""A pipe: the same producers in two routers, one copy of each voice and layer between them, and only what is wanted.

Each end offers producers of its router, which the other end mirrors. An end tells what its consumers want of mirrored
video (`Pulls`) and what there is of offered video (`Gives`); voices are chosen by the sending end, as for slots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from folkmoot_media.errors import MediaError
from folkmoot_media.forwarding import pipe_messages, pipe_pictures, pipe_voices, rtcp, video
from folkmoot_media.forwarding.allocation import RAISE_MARGIN
from folkmoot_media.forwarding.downlink import RISE_AFTER_FALL, rate_of
from folkmoot_media.forwarding.floor import RESERVED_SLOT, SILENCE, SLOT_COUNT, WINNING_MARGIN, Floor
from folkmoot_media.forwarding.model import Layer, Leg, PipedVoice, Producer, VideoConsumer
from folkmoot_media.forwarding.packets import RtpPacket
from folkmoot_media.forwarding.pipe_downlink import PROBE_TYPE, PipeDownlink, PipedVideo
from folkmoot_media.forwarding.pipe_messages import Give, Gives, Pull, Pulls
from folkmoot_media.forwarding.red import Maker
from folkmoot_media.forwarding.temporal import EVERYTHING

if TYPE_CHECKING:
    from folkmoot_media.forwarding.router import Router

MOST_VOICES = 1_000
MOST_VIDEOS = pipe_messages.MOST_ENTRIES
PERIOD = 0.1
TELL_PERIOD = 1.0
REPEATS = 3
REDUNDANCY_AT_FIRST = (1,)
REDUNDANCY_STEPS = ((0.03, (1, 4)), (0.005, (1,)))
VOICE_SHARE = 0.9
REDUNDANCY_SHARE = 0.7
# What a second copy of the payload adds to a packet that has headers anyway.
REDUNDANT_COPY = 0.6
GUESSED_VOICE = 40_000.0
VOICE_RISE_GAP = 0.5
VOICE_PATIENCE = 1.5
FAR_TOO_FEW = 0.6
LARGEST_CROSSING = pipe_pictures.LARGEST_CROSSING
DESCRIBED = frozenset({pipe_pictures.DESCRIBED, pipe_pictures.DESCRIBED_AGAIN})


class Pipe:
    """One end of a pipe, in one router."""

    def __init__(
        self, router: Router, pipe_id: str, leg: Leg, redundancy: tuple[int, ...] | None, now: float
    ) -> None:
        """Open an end.

        Args:
            router: where the producers are.
            pipe_id: its id.
            leg: the forwarding side of its link.
            redundancy: which older voice packets ride along, in packets back; None: as the link's losses ask for.
            now: seconds.
        """
        self.id = pipe_id
        self.leg = leg
        self.floor = Floor(router.floor.mode)
        self.voices: dict[str, PipedVoice] = {}
        self.videos: dict[str, PipedVideo] = {}
        self.far_listens = False
        self._voices_held = self._redundancy_held = False
        self._voice_room = SLOT_COUNT
        self._voice_rise_at = self._voices_fit_at = now
        self.clock_ssrc = router.free_ssrc(leg)
        self.downlink = PipeDownlink(leg, self, self.clock_ssrc, now)
        leg.pipe, leg.downlink = self, self.downlink
        self._router = router
        self._fixed = redundancy
        self._speaking: frozenset[str] = frozenset()
        self._next = now
        self._wall_ntp = 0
        self._pulls = _Telling()
        self._gives = _Telling()
        self._pulls_taken: int | None = None
        self._gives_taken: int | None = None

    # -- what is offered --------------------------------------------------------------------------------------

    def offer_voice(self, producer: Producer) -> PipedVoice:
        """Let a microphone of the router cross when it is one of the voices.

        Raises:
            MediaError: media.pipe-loop, media.too-many-consumers.
        """
        self._check(producer, len(self.voices) < MOST_VOICES)
        ssrc, start = self._router.free_ssrc(self.leg), self._router.new_ssrc() & 0x7FFF
        maker = Maker(pipe_voices.VOICE, REDUNDANCY_AT_FIRST, pipe_voices.OLDER)
        voice = PipedVoice(producer.id, self.leg, producer, ssrc, producer.id, maker, last_place=(1 << 16) + start)
        self.voices[producer.id] = self.leg.consumers[producer.id] = self.leg.by_ssrc[ssrc] = voice
        self._next = float("-inf")
        return voice

    def offer_video(self, producer: Producer, payload_types: tuple[int, int]) -> PipedVideo:
        """Let the layers of a video producer cross that the other end pulls.

        Raises:
            MediaError: media.pipe-loop, media.too-many-consumers.
        """
        self._check(producer, len(self.videos) < MOST_VIDEOS)
        # On a link that is not known yet, begin with the least.
        offered = PipedVideo(producer, cap=0)
        types = pipe_pictures.payload_types(producer.spec, payload_types)
        for layer in producer.layers:
            consumer = self._router.new_video_consumer(
                f"{producer.id}:{layer.index}", self.leg, producer, types, True
            )
            consumer.pinned = layer.index
            offered.streams.append(consumer)
        self.videos[producer.id] = offered
        return offered

    def _check(self, producer: Producer, room: bool) -> None:
        if producer.leg is self.leg or producer.id in self.voices or producer.id in self.videos:
            raise MediaError("media.pipe-loop", "This producer has crossed this pipe already.")
        if not room:
            raise MediaError("media.too-many-consumers", "This pipe carries too many producers.")

    def forget(self, producer: Producer) -> None:
        """A producer is gone or no longer offered."""
        voice = self.voices.pop(producer.id, None)
        if voice is not None:
            self.leg.consumers.pop(voice.id, None)
            self.leg.by_ssrc.pop(voice.ssrc, None)
            self.floor.remove_voice(producer.owner)
            self.floor.release(producer.owner)
        offered = self.videos.pop(producer.id, None)
        if offered is not None:
            for consumer in offered.streams:
                self._router.close_consumer(consumer)

    # -- voices -----------------------------------------------------------------------------------------------

    def hear(self, layer: Layer, packet: RtpPacket, level: bytes | None, position: int, now: float) -> None:
        """Take a packet of a microphone; it crosses if it is one of the voices and anybody listens."""
        producer = layer.producer
        voice = self.voices.get(producer.id)
        if voice is None:
            return
        owner = producer.owner
        won = self.floor.hear(owner, pipe_voices.loudness(level), now)
        if won or (owner not in self._speaking and self.floor.is_leading(owner)):
            self._choose(now)
        if self.far_listens and self.leg.ready and owner in self._speaking:
            claimed = level[0] if level else SILENCE
            pipe_voices.forward(voice, packet, position, claimed, now, self._router.outbox)
        else:
            voice.crossing = False

    @staticmethod
    def is_probe(packet: RtpPacket) -> bool:
        """Say whether a packet of the other end has done its work by arriving."""
        return packet.payload_type == PROBE_TYPE

    @staticmethod
    def is_described(packet: RtpPacket) -> bool:
        """Say whether a dependency descriptor may stand before what the other end has sent."""
        return packet.payload_type in DESCRIBED

    @staticmethod
    def unfold(layer: Layer, packet: RtpPacket) -> tuple[RtpPacket, dict[int, bytes]] | None:
        """Take that descriptor off (`pipe_pictures.unfold`)."""
        return pipe_pictures.unfold(layer, packet)

    def begin_anew(self, layer: Layer) -> None:
        """The publisher of a microphone has begun its numbers anew."""
        voice = self.voices.get(layer.producer.id)
        if voice is not None:
            voice.crossing, voice.anew = False, True

    def follow_floor(self, now: float) -> None:
        """Take over who may be heard in the router."""
        router_floor = self._router.floor
        self.floor.set_floor(router_floor.mode, (), router_floor.privileged)
        for voice in self.voices.values():
            change = self.floor.remove_voice if voice.producer.silent else self.floor.add_voice
            change(voice.producer.owner)
        self._choose(now)

    def _choose(self, now: float) -> None:
        """Choose the voices: the reserved one first, then as many of the loudest as the link has room for."""
        self.floor.assign(now)
        reserved = self.floor.holders[RESERVED_SLOT]
        others = [holder for holder in self.floor.holders[RESERVED_SLOT + 1 :] if holder is not None]
        # Whoever is about to get a slot here crosses already, so that the other floor need not begin after this one.
        others += [
            voice.producer.owner for voice in self.voices.values() if self.floor.is_leading(voice.producer.owner)
        ]
        others.sort(key=self._loudness, reverse=True)
        holders = others if reserved is None else [reserved, *others]
        most = self._room_for_voices(now)
        most += most == SLOT_COUNT
        self._voices_held = len(holders) > most
        self._speaking = frozenset(holders[:most])

    def _loudness(self, owner: str) -> float:
        """Return how loud somebody is, with a lead for whoever crosses already."""
        return self.floor.score(owner) + (WINNING_MARGIN if owner in self._speaking else 0.0)

    def _room_for_voices(self, now: float) -> int:
        """Return how many voices the link carries; a trial of the link that fills it for a moment takes none away."""
        estimator = self.downlink.estimator
        if not estimator.informed:
            return self._voice_room
        rates = [voice.bare_rate for voice in self.voices.values() if voice.crossing and voice.bare_rate > 0]
        room = estimator.bitrate * VOICE_SHARE / max(rates, default=GUESSED_VOICE)
        kept = self._voice_room
        if room >= kept or kept == 1:
            self._voices_fit_at = now
        if kept > 1 and (room < FAR_TOO_FEW * kept or now - self._voices_fit_at > VOICE_PATIENCE):
            self._voice_room = max(1, int(room))
            self._voices_fit_at, self._voice_rise_at = now, now + RISE_AFTER_FALL
        elif kept < SLOT_COUNT and room >= (kept + 1) * RAISE_MARGIN and now >= self._voice_rise_at:
            self._voice_room += 1
            self._voice_rise_at = now + VOICE_RISE_GAP
        return self._voice_room

    def _protect(self) -> None:
        """Choose the redundancy: what the losses ask for, and none where the voices alone nearly fill the link."""
        wanted = self._fixed
        if wanted is None:
            wanted = self._by_losses()
        for voice in self.voices.values():
            voice.maker.distances = wanted

    def _by_losses(self) -> tuple[int, ...]:
        estimator = self.downlink.estimator
        if not estimator.informed:
            return REDUNDANCY_AT_FIRST
        lost = max(estimator.losses.recent, estimator.losses.baseline)
        bare = sum(voice.bare_rate for voice in self.voices.values() if voice.crossing)
        room = REDUNDANCY_SHARE * estimator.bitrate
        wanted = [distances for least, distances in REDUNDANCY_STEPS if lost >= least]
        fitting = [one for one in wanted if bare * (1 + len(one) * REDUNDANT_COPY) <= room]
        self._redundancy_held = fitting[:1] != wanted[:1]
        return fitting[0] if fitting else ()

    @property
    def held(self) -> bool:
        """True while voices or their redundancy would take more than the link is known to carry."""
        return self._voices_held or self._redundancy_held

    # -- what the ends tell each other ------------------------------------------------------------------------

    def take(self, application: rtcp.Application, now: float) -> None:
        """Take a message of the other end; what is malformed or old changes nothing."""
        message = pipe_messages.parse(application)
        if isinstance(message, Pulls) and pipe_messages.is_newer(message.number, self._pulls_taken):
            self._pulls_taken = message.number
            self._take_pulls(message, now)
        elif isinstance(message, Gives) and pipe_messages.is_newer(message.number, self._gives_taken):
            self._gives_taken = message.number
            for entry in message.entries:
                self._take_give(entry, now)

    def _take_pulls(self, message: Pulls, now: float) -> None:
        self.far_listens = message.voices
        pulls = {entry.ssrc: entry for entry in message.entries}
        for offered in self.videos.values():
            handle = offered.streams[0].ssrc
            told, there = pulls.get(handle, Pull(handle, 0, 0)), (1 << len(offered.streams)) - 1
            wanted = (told.wish & there, told.flow & there)
            if wanted != (offered.wish, offered.flow):
                offered.wish, offered.flow = wanted
                offered.apply(now, self._router.outbox)
                self.downlink.hurry(now)

    def _take_give(self, entry: Give, now: float) -> None:
        first = self.leg.streams.get(entry.ssrc)
        if first is None or first.index:
            return
        producer, changed = first.producer, False
        for layer in producer.layers:
            before = (layer.exists, layer.fits)
            layer.exists = bool(entry.exists >> layer.index & 1)
            layer.fits = bool(entry.fits >> layer.index & 1)
            layer.told_rate = entry.rates[layer.index] * 1000.0
            changed |= (layer.exists, layer.fits) != before
        if changed:
            for consumer in producer.consumers.values():
                video.retarget(consumer, now, self._router.outbox)

    def answer_clock(self, report: rtcp.SenderReport) -> None:
        """Echo the other end's clock at once: that proves to it where its packets go, and how long they take."""
        block = rtcp.ReportBlock(report.ssrc, 0, 0, 0, 0, report.ntp >> 16 & 0xFFFFFFFF, 0)
        compound = rtcp.build_receiver_report(video.FEEDBACK_SSRC, (block,))
        self._router.outbox.reports.append((self.leg, compound))

    def speak_up(self) -> None:
        """Tell the other end something at the next `poll`, whether it is due or not."""
        self._next, self._pulls.at = float("-inf"), float("-inf")

    def poll(self, now: float, wall_ntp: int) -> None:
        """Choose voices and tell the other end what is due; call every 50 ms or so."""
        self._wall_ntp = wall_ntp
        if now >= self._next:
            self._next = now + PERIOD
            self.follow_floor(now)
            self._protect()
            for voice in self.voices.values():
                pipe_voices.sample(voice, now)
            if self.leg.ready:
                self._tell_what_is_due(now)

    def _tell_what_is_due(self, now: float) -> None:
        pulls = tuple(
            self._pull(producer) for producer in self.leg.producers.values() if producer.spec.kind == "video"
        )
        listens = self._anybody_listens()
        if self._pulls.is_due((listens, pulls), now):
            self._tell(Pulls(self._pulls.number, listens, pulls))
        gives = tuple(self._give(offered, now) for offered in self.videos.values())
        masks = tuple((give.ssrc, give.exists, give.fits) for give in gives)
        if gives and self._gives.is_due(masks, now):
            self._tell(Gives(self._gives.number, gives))

    def _tell(self, message: Pulls | Gives) -> None:
        compound = rtcp.build_sender_report(rtcp.SenderReport(self.clock_ssrc, self._wall_ntp, 0, 0, 0))
        compound += rtcp.build_application(video.FEEDBACK_SSRC, pipe_messages.build(message))
        self._router.outbox.reports.append((self.leg, compound))

    def _anybody_listens(self) -> bool:
        router = self._router
        here = any(
            not consumer.paused and not consumer.held and consumer.leg.ready
            for slot in router.slots
            for consumer in slot.consumers.values()
        )
        return here or any(pipe.far_listens for pipe in router.pipes.values() if pipe is not self)

    def _pull(self, producer: Producer) -> Pull:
        wish = flow = 0
        if not producer.silent:
            for consumer in producer.consumers.values():
                if consumer.pinned is None:
                    wish |= _wish(consumer)
                for layer in (consumer.layer, consumer.target):
                    if layer is not None:
                        flow |= 1 << layer.index
            for pipe in self._router.pipes.values():
                onward = pipe.videos.get(producer.id)
                if onward is not None:
                    wish |= onward.wish
        return Pull(producer.layers[0].ssrc, wish, flow)

    def _give(self, offered: PipedVideo, now: float) -> Give:
        producer = offered.producer
        alive = set() if producer.silent else {layer.index for layer in video.alive_layers(producer, now)}
        exists = sum(1 << index for index in alive)
        fits = sum(1 << layer.index for layer in producer.layers if layer.index <= offered.cap)
        rates = tuple(
            round(rate_of(layer, EVERYTHING if layer.index else offered.temporal) / 1000) for layer in producer.layers
        )
        return Give(offered.streams[0].ssrc, exists, fits, rates)

    # -- figures ----------------------------------------------------------------------------------------------

    def figures(self) -> dict[str, object]:
        """Return what is known of the link, and how much crosses in this direction."""
        estimator, voices = self.downlink.estimator, self.voices.values()
        layers = sum(1 for one in self.videos.values() for consumer in one.streams if consumer.layer is not None)
        return {
            "estimate": round(estimator.bitrate) if estimator.informed else None,
            "loss": round(max(estimator.losses.recent, estimator.losses.baseline), 4),
            "round_trip": round(self.leg.round_trip, 4),
            "voices_offered": len(self.voices),
            "voices_crossing": sum(1 for voice in voices if voice.crossing),
            "videos_offered": len(self.videos),
            "layers_crossing": layers,
            "mirrored": len(self.leg.producers),
            "redundancy": list(self._by_losses() if self._fixed is None else self._fixed),
        }


class _Telling:
    """When a message is due: three times after every change, and once a second."""

    def __init__(self) -> None:
        self.number = 0
        self._said: object = None
        self._left = 0
        self.at = float("-inf")

    def is_due(self, content: object, now: float) -> bool:
        """Say whether `content` must be told now, under a new number."""
        if content != self._said:
            self._said, self._left = content, REPEATS
        if not self._left and now - self.at < TELL_PERIOD:
            return False
        self._left = max(0, self._left - 1)
        self.at = now
        self.number = self.number + 1 & 0xFFFF
        return True


def _wish(consumer: VideoConsumer) -> int:
    """Return the layer that a consumer would take if the pipe had room for all, as a mask."""
    if consumer.paused or consumer.allowed < 0 or not consumer.leg.ready:
        return 0
    existing = [layer.index for layer in consumer.producer.layers if layer.exists]
    fitting = [index for index in existing if index <= min(consumer.preferred, consumer.allowed)]
    chosen = fitting[-1:] or existing[:1]
    return 1 << chosen[0] if chosen else 0


def open_pipe(
    router: Router, pipe_id: str, sink: object, redundancy: tuple[int, ...] | None, extension_id: int, now: float
) -> Pipe:
    """Open one end of a pipe in a router; its packets are numbered in this extension.

    Raises:
        MediaError: media.too-many-transports.
    """
    leg = router.add_leg(pipe_id, "", "pipe", sink, now)
    router.number_packets(leg, extension_id)
    pipe = router.pipes[pipe_id] = Pipe(router, pipe_id, leg, redundancy, now)
    router.choose_rules()
    return pipe
