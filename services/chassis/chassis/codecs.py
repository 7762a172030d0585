"""How values travel between PostgreSQL and Python: JSON by orjson, and UUIDs of the standard library."""

from typing import Any
from uuid import UUID, SafeUUID

import orjson


async def set_codecs(connection: Any) -> None:
    """For one connection of asyncpg."""
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(
            kind, schema="pg_catalog", encoder=lambda value: orjson.dumps(value).decode(), decoder=orjson.loads
        )
    # asyncpg's own UUID class is not the standard library's, and orjson refuses it.
    await connection.set_type_codec(
        "uuid",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: value.bytes,
        decoder=_uuid,
    )


def _uuid(raw: bytes) -> UUID:
    """Made without the constructor, whose checks of five possible arguments cost more than the rest of the row."""
    made = UUID.__new__(UUID)
    object.__setattr__(made, "int", int.from_bytes(raw, "big"))
    object.__setattr__(made, "is_safe", SafeUUID.unknown)
    return made
