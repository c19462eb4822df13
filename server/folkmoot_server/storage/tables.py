"""Every module that declares tables: importing this one completes the metadata."""

from __future__ import annotations

from folkmoot_server.storage import (
    schema,
    schema_attendance,
    schema_conduct,
    schema_messages,
    schema_motions,
    schema_papers,
    schema_relays,
    schema_sites,
    schema_speaking,
    schema_visitors,
)

metadata = schema.metadata
MODULES = (
    schema,
    schema_attendance,
    schema_conduct,
    schema_motions,
    schema_speaking,
    schema_messages,
    schema_papers,
    schema_visitors,
    schema_sites,
    schema_relays,
)
