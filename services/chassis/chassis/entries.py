"""How an entry of the cache looks in Redis: its names, and what stands before its body.

An entry counts only beside its tag, a key that every eviction gives a new random value: the entry begins with the epoch
and the tag that its reader saw before it asked the database. So it does not matter when, or whether, a fill arrives.
The tags have the names of the last release's markers and generations, so that both releases evict each other's
entries; the next release may drop what `names` calls superseded.
"""

import hashlib
import zlib
from collections.abc import Sequence

import orjson
from pydantic import BaseModel

from chassis.evictions import LISTS

FORMAT = "2"
"""Of what stands before the body; part of every entry's name."""

TOKEN_BYTES = 16
_CHECK_BYTES = 4


def format_of(shape: type[BaseModel]) -> str:
    """The part of an entry's name that changes with the format of its body, which is the JSON of `shape`."""
    schema = orjson.dumps(shape.model_json_schema(by_alias=True), option=orjson.OPT_SORT_KEYS)
    return f"{FORMAT}-{hashlib.sha256(schema).hexdigest()[:8]}"


def tag_name(cache: str, key: str) -> str:
    """The key of an entry's tag; LISTS have one for all."""
    return f"{cache}:generation" if key == LISTS else f"{cache}:{key}:evicted"


def entry_name(cache: str, format: str, key: str) -> str:
    """The key of an entry."""
    return f"{cache}:{format}:{key}"


def names(cache: str, format: str, keys: Sequence[str]) -> tuple[list[str], list[str]]:
    """What an eviction touches: the tags that it replaces, the entries that it deletes.

    The last release's entries are among them; its lists end with their generation, which is our tag.
    """
    single = [key for key in keys if key != LISTS]
    superseded = [f"{cache}:{key}" for key in single]
    return [tag_name(cache, key) for key in keys], [entry_name(cache, format, key) for key in single] + superseded


def packed(head: bytes, body: bytes) -> bytes:
    """The value of an entry: `head` (epoch and tag), a check sum, the body."""
    return b"%b%b%b" % (head, zlib.crc32(body).to_bytes(_CHECK_BYTES), body)


def unpacked(head: bytes, value: object) -> bytes | None:
    """The body; None for what was packed under another head, or is no entry at all."""
    if not isinstance(value, bytes) or not value.startswith(head):
        return None
    end = len(head) + _CHECK_BYTES
    body = value[end:]
    return body if value[len(head) : end] == zlib.crc32(body).to_bytes(_CHECK_BYTES) else None
