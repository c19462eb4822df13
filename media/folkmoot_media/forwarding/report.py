"""What is known of one leg's streams, for a support report: figures alone, and of nobody but its owner."""

from __future__ import annotations

from folkmoot_media.forwarding.model import Consumer, Layer, Leg, PipedVoice, Producer, SlotConsumer


def describe(leg: Leg, now: float) -> dict[str, object]:
    """Return link, producers and consumers of a leg as numbers and words (media_control.md section 2)."""
    return {
        "direction": leg.direction,
        "round_trip_ms": round(leg.round_trip * 1000),
        "numbered": leg.wide is not None or leg.arrivals is not None,
        "link": _link(leg),
        "producers": [_producer(one, now) for one in leg.producers.values()],
        "consumers": [_consumer(one, now) for one in leg.consumers.values()],
    }


def _link(leg: Leg) -> dict[str, object] | None:
    downlink = leg.downlink
    if downlink is None:
        return None
    place, sample = downlink.place, downlink.sample
    return {
        "level": int(place.level),
        "ceiling": int(place.ladder.most),
        "by_link": int(place.ladder.by_link),
        "profile": place.standing.profile,
        "estimate_kbps": None if sample is None else round(sample.estimate),
        "loss": None if sample is None else round(sample.loss, 3),
        "paced": leg.pacer is not None,
    }


def _age(then: float, now: float) -> float | None:
    """Return seconds since `then`, None when that never was."""
    return round(now - then, 1) if then > float("-inf") else None


def _producer(producer: Producer, now: float) -> dict[str, object]:
    return {
        "source": producer.spec.source,
        "codec": producer.spec.codec.mime,
        "paused": producer.paused,
        "muted": producer.muted,
        "layers": [_layer(layer, now) for layer in producer.layers],
    }


def _layer(layer: Layer, now: float) -> dict[str, object]:
    reception = layer.reception
    expected = reception.highest - reception.first + 1 if reception.first >= 0 else 0
    return {
        "layer": layer.index,
        "packets": reception.received,
        "octets": reception.octets,
        "lost": max(0, expected - reception.received),
        "jitter_ms": round(reception.jitter * 1000 / reception.clock_rate, 1),
        "heard_s": _age(reception.heard, now),
        "key_frame_s": _age(layer.key_heard, now),
        "key_asked_s": _age(layer.key_requested, now),
    }


def _consumer(consumer: Consumer, now: float) -> dict[str, object]:
    lost = None if consumer.reported is None else consumer.reported[1]
    if isinstance(consumer, PipedVoice):
        return {"kind": "pipe", "packets": consumer.packets, "octets": consumer.octets, "lost": lost}
    if isinstance(consumer, SlotConsumer):
        return {
            "kind": "slot",
            "slot": consumer.slot.index,
            "paused": consumer.paused,
            "listening": consumer.listening,
            "heard_s": _age(consumer.slot.last_heard, now),
            "lost": lost,
        }
    layer = consumer.layer
    source = layer if consumer.view is None else consumer.view
    return {
        "kind": "video",
        "source": consumer.producer.spec.source,
        "paused": consumer.paused,
        "layer": None if layer is None else layer.index,
        "preferred": consumer.preferred,
        "allowed": None if consumer.allowed < 0 else min(consumer.allowed, len(consumer.producer.layers) - 1),
        "packets": consumer.packets_before + (0 if source is None else source.forwarded_packets),
        "octets": consumer.octets_before + (0 if source is None else source.forwarded_octets),
        "resent": consumer.resent,
        "resent_octets": consumer.repair_octets,
        "held_back": consumer.held_back,
        "lost": lost,
        "key_frame_s": None if layer is None else _age(layer.key_heard, now),
    }
