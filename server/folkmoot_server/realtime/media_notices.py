"""What pages are told of producers: each what stands in the part of the room that serves it."""

from __future__ import annotations

from typing import Any

from folkmoot_server.realtime.media_links import Notify
from folkmoot_server.realtime.media_rooms import Part, ProducerEntry, Room


class Notices:
    """Tells pages of producers as they come to the parts of a room and go.

    Args:
        notify: called as (room_id, whom, event, data).
    """

    def __init__(self, notify: Notify) -> None:
        self._notify = notify

    def appear(self, room: Room, part: Part, entry: ProducerEntry) -> None:
        """A producer stands in a part now."""
        part.producers[entry.producer_id] = entry
        self._notify(room.room_id, room.audience(part), "new_producer", entry.described())

    def vanish(self, room: Room, part: Part, producer_id: str) -> None:
        """A producer is gone from a part, with whatever consumed it there."""
        entry = part.producers.pop(producer_id, None)
        if entry is None:
            return
        gone = [
            key
            for key, held in room.consumers.items()
            if held.producer_id == producer_id and held.owner in part.members
        ]
        for consumer_id in gone:
            del room.consumers[consumer_id]
        told = {"producer_id": producer_id, "owner": entry.owner, "source": entry.source}
        self._notify(room.room_id, room.audience(part), "producer_closed", told)

    def paused(self, room: Room, entry: ProducerEntry) -> None:
        """A producer is paused, or goes on."""
        self._notify(room.room_id, None, "producer_paused", entry.described())

    def speaker(self, room: Room, part: Part, data: dict[str, Any]) -> None:
        """A slot of a part has another speaker; each part gives its own."""
        for slot in part.slots:
            if slot["slot"] == data["slot"]:
                slot["owner"] = data["owner"]
        told = {"slot": data["slot"], "owner": data["owner"]}
        self._notify(room.room_id, room.audience(part), "slot_speaker", told)
