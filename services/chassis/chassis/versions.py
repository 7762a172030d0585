"""Versions after a restore: every row leaps beyond each version that was ever told, so that none is told twice.

A version orders events and is an entity tag. A restored row has an old one: unless it leaps, projections ignore the
row's next edits, and a tag comes back for another content.
"""

import argparse
from collections.abc import Iterable

import orjson
from aiokafka.errors import KafkaError

from chassis import topiclog
from chassis.security import kafka_client
from chassis.settings import KafkaSettings

LEAP = 1_000_000
"""More edits than a row sees between two restores; two thousand leaps fit in a version (PostgreSQL's integer)."""

HIGHEST = 2_000_000_000
"""Above it a version is nobody's honest one, and leaves no room for a leap."""


class ExhaustedError(RuntimeError):
    """No version is left to leap to."""


def beyond(highest: Iterable[int]) -> int:
    """The first multiple of LEAP above all of these versions; at least LEAP. A row's new one adds `version % LEAP`.

    Raises:
        ExhaustedError: it would lie above HIGHEST.
    """
    floor = (max(highest, default=0) // LEAP + 1) * LEAP
    if floor > HIGHEST:
        raise ExhaustedError(f"versions have reached {floor - 1}: no leap is left")
    return floor


def above() -> int:
    """`--above N` of a command line: the highest version of a database that is replaced; 0 without it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--above", type=int, default=0, help="the highest version of the database that is replaced")
    return int(parser.parse_args().above)


async def told(settings: KafkaSettings, topics: Iterable[str]) -> int | None:
    """The highest `data.version` in these topics (bare names); None where Kafka cannot be read."""
    highest = 0
    try:
        async with topiclog.connected(kafka_client(settings)) as log:
            bounds = await log.bounds(*(settings.kafka_topic_prefix + topic for topic in topics))
            for partition, (first, end) in bounds.items():
                async for record in log.read(partition, first, end):
                    highest = max(highest, _version(record.value))
    except KafkaError:
        return None
    return highest


def _version(value: bytes | None) -> int:
    """0 for whatever is no event; what cannot be read tells nobody a version."""
    try:
        version = orjson.loads(value or b"{}")["data"]["version"]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return 0
    honest = isinstance(version, int) and not isinstance(version, bool) and 0 < version <= HIGHEST
    return version if honest else 0
