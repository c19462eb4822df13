"""The key of a relay and the one request by which a hub takes it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from folkmoot_server.domain.errors import BadInput, FolkmootError
from folkmoot_server.domain.ids import Rng, from_b64u
from folkmoot_server.domain.relays import enrol_hash, plain_code
from folkmoot_server.relay.hub import Hub
from folkmoot_server.relay.store import Identity
from folkmoot_voting import signing
from folkmoot_voting.encoding import b64u

KEY_FILE: Final = "relay.key"
KEY_BYTES: Final = 32


class EnrolError(FolkmootError):
    """The relay cannot be enrolled like this; the message says what to change."""


def device_key(data: Path, rng: Rng) -> bytes:
    """Return the 32-byte Ed25519 seed of this relay, made on first use and readable by its owner only.

    Raises:
        EnrolError: the file exists but does not hold 32 bytes.
    """
    path = data / KEY_FILE
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(rng(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
    seed = path.read_bytes()
    if len(seed) != KEY_BYTES:
        raise EnrolError("relay.key-damaged", f"{path} is damaged. Empty the folder and enrol with a new code.")
    return seed


async def enrol(hub: Hub, code: str, seed: bytes) -> Identity:
    """Hand the code in and return who this relay is.

    Raises:
        EnrolError: it is no code, or the answer has another form.
        HubSilentError, HubRefusedError: the hub did not take it.
    """
    plain = plain_code(code)
    if not plain:
        raise EnrolError("relay.code-form", "A relay's code has 16 characters in four groups.")
    key = signing.public_key(seed)
    signature = signing.sign(seed, enrol_hash(plain, key))
    body = {"code": plain, "key": b64u(key), "sig": b64u(signature)}
    answer = await hub.post("/api/relay/enrol", body, to_anybody=True)  # its answer names the key to trust
    try:
        texts = {name: str(answer[name]) for name in ("relay", "meeting", "site", "rp_id", "origin")}
        return Identity(hub_key=from_b64u(str(answer["hub_key"])), **texts)
    except (KeyError, BadInput) as error:
        raise EnrolError("relay.hub-answer", "The hub's answer has another form; is it of this version?") from error
