"""What a command changes in the room: media follows the stored state, after the commit."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final
from weakref import WeakValueDictionary

from folkmoot_media.errors import MediaError
from folkmoot_server.commands import floor
from folkmoot_server.web.context import Context

log = logging.getLogger("folkmoot.room")
FOLLOW_S: Final = 3.0
_ORDER: Final[WeakValueDictionary[tuple[int, str], asyncio.Lock]] = WeakValueDictionary()
FLOOR: Final = frozenset(
    {
        "set-floor-mode",
        "grant-floor",
        "withdraw-floor",
        "yield-floor",
        "next-speaker",
        "pause-turn",
        "resume-turn",
        "start-item",
        "recess",
    }
)


async def apply_to_room(context: Context, meeting: str, command: dict[str, Any], actor: str) -> None:
    """Let the room follow a command that was committed, for at most three seconds.

    The decision stands in the database whatever becomes of it: a room that cannot follow now, because its worker is
    gone, is filled anew from there when members join again.
    """
    try:
        async with asyncio.timeout(FOLLOW_S):
            await _follow(context, meeting, command, actor)
    except (MediaError, TimeoutError) as error:
        log.warning("room.behind command=%s kind=%s", command["command"], type(error).__name__)


async def _follow(context: Context, meeting: str, command: dict[str, Any], actor: str) -> None:
    name, media = command["command"], context.media
    if name in FLOOR:
        if name in ("grant-floor", "next-speaker"):
            await _unmute_speaker(context, meeting)
        await set_floor(context, meeting)
    elif name in ("mute", "unmute"):
        await _set_muted(context, meeting, command["member"])
    elif name == "mute-all":
        await media.mute_all(meeting, [actor])
    elif name == "remove":
        await media.remove(meeting, command["member"])
    elif name == "leave":
        await media.leave(meeting, actor)
    elif name in ("close", "adjourn"):
        await media.close_room(meeting)


async def set_floor(context: Context, meeting: str) -> None:
    """Tell the room who may be heard.

    Raises:
        MediaError: the worker did not take it.
    """
    async with _order(context, meeting):
        heard = await context.database.read(lambda tx: floor.speakers(tx, meeting, context.now()))
        await context.media.set_floor(meeting, heard.mode.value, heard.chairs, heard.granted, heard.halls)


async def set_heard(context: Context, meeting: str, person: str) -> None:
    """Tell the room whether somebody is silenced there: by the chair, or as a visitor without the floor.

    Raises:
        MediaError: the worker did not take it.
    """
    await _set_muted(context, meeting, person)


async def _set_muted(context: Context, meeting: str, member: str) -> None:
    async with _order(context, meeting):
        heard = await context.database.read(lambda tx: floor.speakers(tx, meeting, context.now()))
        await context.media.mute(meeting, member, member in heard.muted)


async def _unmute_speaker(context: Context, meeting: str) -> None:
    async with _order(context, meeting):
        heard = await context.database.read(lambda tx: floor.speakers(tx, meeting, context.now()))
        for person in heard.granted:
            await context.media.mute(meeting, person, person in heard.muted)


def _order(context: Context, meeting: str) -> asyncio.Lock:
    """Return what keeps reading the stored state and telling the room in one piece.

    Two commands at once could else tell the room in the other order than they were committed in.
    """
    return _ORDER.setdefault((id(context), meeting), asyncio.Lock())


async def prepare_room(context: Context, meeting: str) -> None:
    """Tell a room that this process has not served yet who may be heard and who is muted.

    Raises:
        MediaError: the worker did not take it.
    """
    async with _order(context, meeting):
        heard = await context.database.read(lambda tx: floor.speakers(tx, meeting, context.now()))
        await context.media.set_floor(meeting, heard.mode.value, heard.chairs, heard.granted, heard.halls)
        for member in heard.muted:
            await context.media.mute(meeting, member, True)
