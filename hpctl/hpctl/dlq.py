"""Dead letters: what a consumer group could not handle, whole, in `<topic>.<group>.dlq`.

Where a stack runs, its services are asked (`/ops`), as the console does; where only Kafka runs, Kafka itself.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from aiokafka.errors import KafkaError
from chassis.deadletterlog import DeadLetterLog, Letter
from chassis.deadletters import HEADER
from chassis.errors import Conflict, NotFound
from rich.table import Table

from hpctl import state
from hpctl.kafka import servers, silent
from hpctl.layout import Layout, UsageError
from hpctl.operations import Operations
from hpctl.report import console, show_table


class Desk(Protocol):
    """Whoever looks after dead letters; a topic that nobody looks after is a UsageError."""

    async def counts(self) -> list[dict[str, Any]]:
        """`[{topic,source,group,count}]`."""

    async def letters(self, topic: str, *, opened: bool) -> list[dict[str, Any]]:
        """`[{partition,offset,bytes,facts}]`, and headers, key and value of those that are opened."""

    async def replay(self, topic: str, count: int) -> int:
        """Give the oldest back; how many there were."""

    async def discard(self, topic: str, count: int) -> int:
        """Delete the oldest; how many there were."""


class _Kafka:
    """Kafka without services."""

    def __init__(self, layout: Layout) -> None:
        log = DeadLetterLog({"bootstrap_servers": servers(layout)}, prefix=layout.environ.get("KAFKA_TOPIC_PREFIX", ""))
        self._log, self.counts, self.replay, self.discard = log, log.counts, log.replay, log.discard

    async def letters(self, topic: str, *, opened: bool) -> list[dict[str, Any]]:
        return await self._log.letters(topic, shown=Letter.opened if opened else Letter.described)


@asynccontextmanager
async def _desk(layout: Layout) -> AsyncIterator[Desk]:
    try:
        if state.running(layout) is None:
            yield _Kafka(layout)
        else:
            async with Operations(layout) as operations:
                yield operations
    except (NotFound, Conflict) as error:
        raise UsageError(f"{error.detail}; `hpctl dlq list` names the topics") from None
    except KafkaError as error:
        raise silent(layout, error) from error


async def counts(layout: Layout) -> list[dict[str, Any]]:
    """How many messages of each topic each group has put aside: `[{topic,source,group,count}]`, by topic."""
    async with _desk(layout) as desk:
        return sorted(await desk.counts(), key=lambda each: str(each["topic"]))


def show_counts(found: list[dict[str, Any]]) -> None:
    """Print them as a table."""
    table = Table("dead-letter topic", "messages", "topic", "group", box=None, header_style="dim", pad_edge=False)
    for each in found:
        table.add_row(each["topic"], str(each["count"]), each["source"], each["group"])
    if table.row_count:
        show_table(table)
    else:
        console.print("there is no dead-letter topic")


async def show_messages(layout: Layout, topic: str, *, body: bool) -> None:
    """Print each message's place and why it is there; its own headers, key and value only when `body` says so."""
    async with _desk(layout) as desk:
        letters = await desk.letters(topic, opened=body)
    if not letters:
        console.print(f"there is no message in {topic}", markup=False)
    for letter in letters:
        console.print(f"[bold]{letter['partition']}/{letter['offset']}[/] {letter['bytes']} bytes")
        for name, value in letter["facts"].items():
            console.print(f"  {HEADER}{name}: {_visible(value)}", markup=False)
        if body:
            for name, value in letter["headers"]:
                console.print(f"  {_visible(name)}: {_visible(value)}", markup=False)
            sys.stdout.write(f"  key: {_visible(letter['key'])}\n  value: {_visible(letter['value'])}\n")


async def replay(layout: Layout, topic: str, count: int) -> int:
    """Give the oldest messages back to the group that could not handle them; how many there were."""
    async with _desk(layout) as desk:
        return await desk.replay(topic, count)


async def discard(layout: Layout, topic: str, count: int) -> int:
    """Delete the oldest messages for good; how many there were."""
    async with _desk(layout) as desk:
        return await desk.discard(topic, count)


def _visible(text: str | None) -> str:
    """For a terminal: what a stranger wrote may hold sequences that command it; they are shown escaped."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in str(text))
