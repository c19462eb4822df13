"""The second officers of the scripted meeting: the chair confirms the others, the secretary the chair."""

from __future__ import annotations

from urllib.parse import quote

from folkmoot_server.demo.client import Person


async def confirm_passkeys(officer: Person, unit: str) -> int:
    """Confirm every passkey below `unit` that this officer can; return how many, with one passkey prompt."""
    waiting = (await officer.get(f"/api/passkeys/unconfirmed?unit={quote(unit)}"))["passkeys"]
    ids = [one["passkey"] for one in waiting if one["can_confirm"]]
    if ids:
        await officer.act("/api/passkeys/confirm", {"type": "confirm-passkeys", "passkeys": ids}, passkeys=ids)
    return len(ids)


async def confirm_everybody(chair: Person, secretary: Person) -> None:
    """Let two officers confirm every passkey of the organisation, each other's included."""
    units = (await chair.get("/api/organisation"))["units"]
    root = next(unit["id"] for unit in units if unit["parent"] is None)
    await confirm_passkeys(chair, root)
    await confirm_passkeys(secretary, root)
