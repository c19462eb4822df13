"""The control channel: length-prefixed msgpack messages on a Unix socket.

Every message is a map with `type` and the worker's `epoch`; see docs/spec/media_control.md.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import msgpack  # type: ignore[import-untyped]  # publishes no type hints
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from folkmoot_media.errors import MediaError
from folkmoot_media.rtp_parameters import Strict

LARGEST_MESSAGE = 256 * 1024
LENGTH_SIZE = 4
# How a worker's process ends when its UDP port is taken.
EXIT_PORT_IN_USE = 98

Epoch = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Code = Annotated[str, Field(pattern=r"^[a-z]+(\.[a-z0-9-]+)+$", max_length=64)]


class ErrorBody(Strict):
    """Why a request was refused."""

    code: Code
    message: Annotated[str, Field(max_length=1024)]


class Request(Strict):
    """Asks the worker to do something; `epoch` is null only in `worker.hello`."""

    type: Literal["request"] = "request"
    id: Annotated[int, Field(ge=0, lt=1 << 53)]
    epoch: Epoch | None
    method: Annotated[str, Field(max_length=64)]
    data: dict[str, Any]


class Response(Strict):
    """The answer to the request of the same id: exactly one of `ok` and `error`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    type: Literal["response"] = "response"
    id: int
    epoch: Epoch
    ok: dict[str, Any] | None = None
    error: ErrorBody | None = None


class Event(Strict):
    """Something that happened; `router_id` is empty for events of the whole worker."""

    type: Literal["event"] = "event"
    epoch: Epoch
    router_id: str
    event: Annotated[str, Field(max_length=64)]
    data: dict[str, Any]


Message = Request | Response | Event
_ADAPTER: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


def encode(message: Message) -> bytes:
    """Return the message with its length in front.

    Raises:
        MediaError: media.message-too-long.
    """
    body: bytes = msgpack.packb(message.model_dump(exclude_none=False))
    if len(body) > LARGEST_MESSAGE:
        raise MediaError("media.message-too-long", "A control message is too long.")
    return len(body).to_bytes(LENGTH_SIZE, "big") + body


def decode(body: bytes) -> Message:
    """Return the message in `body`.

    Raises:
        MediaError: media.malformed-message.
    """
    try:
        raw = msgpack.unpackb(body, strict_map_key=True)
        return _ADAPTER.validate_python(raw)
    except (ValidationError, ValueError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise MediaError("media.malformed-message", "A control message could not be understood.") from error


async def read_message(reader: asyncio.StreamReader) -> Message:
    """Read one message.

    Raises:
        MediaError: media.malformed-message, media.message-too-long.
        asyncio.IncompleteReadError: the other side has gone.
    """
    length = int.from_bytes(await reader.readexactly(LENGTH_SIZE), "big")
    if length > LARGEST_MESSAGE:
        raise MediaError("media.message-too-long", "A control message is too long.")
    return decode(await reader.readexactly(length))
