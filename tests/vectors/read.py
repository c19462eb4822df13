"""The vectors as they stand in their files."""

from __future__ import annotations

import json
import pathlib
from typing import Any

VECTORS = pathlib.Path(__file__).parent


def external(name: str) -> Any:
    """Vectors of others (RFCs, Wycheproof, FROST)."""
    return json.loads((VECTORS / "external" / f"{name}.json").read_text("utf-8"))


def published(name: str) -> Any:
    """Our own, which both languages read."""
    return json.loads((VECTORS / "fm1" / f"{name}.json").read_text("utf-8"))
