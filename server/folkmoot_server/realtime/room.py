"""What a command changes in the room: media follows the stored state, after the commit."""

from __future__ import annotations

import logging
from typing import Any, Final

from folkmoot_media.errors import MediaError
from folkmoot_server.commands import floor
from folkmoot_server.web.context import Context

log = logging.getLogger("folkmoot.room")
FLOOR: Final = frozenset({"set-floor-mode", "grant-floor", "withdraw-floor"})


async def apply_to_room(context: Context, meeting: str, command: dict[str, Any], actor: str) -> None:
    """Let the room follow a command that was committed; a room that cannot follow now is filled anew on joining."""
    name, media = command["command"], context.media
    try:
        if name in FLOOR:
            await set_floor(context, meeting)
        elif name in ("mute", "unmute"):
            await media.mute(meeting, command["member"], name == "mute")
        elif name == "mute-all":
            await media.mute_all(meeting, [actor])
        elif name == "remove":
            await media.remove(meeting, command["member"])
        elif name == "leave":
            await media.leave(meeting, actor)
        elif name == "close":
            await media.close_room(meeting)
    except MediaError as error:
        # The decision stands in the database; the room takes it over when its worker is back.
        log.warning("room.behind command=%s code=%s", name, error.code)


async def set_floor(context: Context, meeting: str) -> None:
    """Tell the room who may be heard.

    Raises:
        MediaError: the worker did not take it.
    """
    heard = await context.database.read(lambda tx: floor.speakers(tx, meeting, context.now()))
    await context.media.set_floor(meeting, heard.mode.value, heard.chairs, heard.granted)


async def prepare_room(context: Context, meeting: str) -> None:
    """Tell a room that this process has not served yet who may be heard and who is muted.

    Raises:
        MediaError: the worker did not take it.
    """
    heard = await context.database.read(lambda tx: floor.speakers(tx, meeting, context.now()))
    await context.media.set_floor(meeting, heard.mode.value, heard.chairs, heard.granted)
    for member in heard.muted:
        await context.media.mute(meeting, member, True)
