"""Whether a consumer still consumes: aiokafka can fall silent after a broker restart (aio-libs/aiokafka#1154)."""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from prometheus_client import Gauge

from chassis import logs
from chassis.subscription import Tuning

log = logs.logger(__name__)

LAG = Gauge("consumer_lag", "Messages in the topic that the group has not consumed", ["group", "topic", "partition"])


PATIENCE = 5


@dataclass(slots=True)
class _Progress:
    position: int | None
    at: float


class Watchdog:
    """Looks at every assigned partition at every `watchdog_tick`: its position against the topic's end.

    It barks only when all three hold for `stall_seconds`: there are messages to read, nothing moves (no position,
    no retry), and the broker answers. Neither a broker nor a database that is down is a reason for a restart. A
    partition that stands still while others move may be waiting for its turn: it gets `PATIENCE` times as long.
    """

    def __init__(
        self, group: str, bare: Callable[[str], str], retrying: Callable[[float], bool], tuning: Tuning
    ) -> None:
        self._group = group
        self._bare = bare
        self._retrying = retrying
        self._tick = tuning.watchdog_tick
        self._stall_seconds = tuning.stall_seconds
        self._progress: dict[TopicPartition, _Progress] = {}
        self._stalled: set[TopicPartition] = set()
        self._moved_at = -math.inf

    def alive(self) -> bool:
        """False when a partition has stalled although its broker answers."""
        return not self._stalled

    async def run(self, consumer: AIOKafkaConsumer) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(self._tick)
            try:
                await self.look(consumer)
            except (KafkaError, OSError) as error:
                self._excuse()
                log.warning("broker does not answer", group=self._group, error=type(error).__name__)
            except Exception:
                log.error("the watchdog could not look", group=self._group, exc_info=True)

    async def look(self, consumer: AIOKafkaConsumer) -> None:
        """Ask for the ends of the assigned partitions and compare; raises when the broker does not answer in time."""
        partitions = list(consumer.assignment())
        async with asyncio.timeout(max(self._tick, 1.0)):
            ends = await consumer.end_offsets(partitions) if partitions else {}
        self._forget(set(partitions))
        positions = {partition: self._position(consumer, partition) for partition in ends}
        if any(positions[partition] != seen.position for partition, seen in self._progress.items()):
            self._moved_at = time.monotonic()
        for partition, end in ends.items():
            self._compare(partition, positions[partition], end)

    def _compare(self, partition: TopicPartition, position: int | None, end: int) -> None:
        now = time.monotonic()
        seen = self._progress.setdefault(partition, _Progress(position, now))
        behind = end - (position or 0)
        LAG.labels(self._group, self._bare(partition.topic), partition.partition).set(behind)
        if behind <= 0 or position != seen.position or self._retrying(self._stall_seconds):
            self._progress[partition] = _Progress(position, now)
            self._stalled.discard(partition)
        elif now - seen.at >= self._patience(now) and partition not in self._stalled:
            self._stalled.add(partition)
            log.error("consumer stalled", group=self._group, topic=self._bare(partition.topic),
                      partition=partition.partition, lag=behind)  # fmt: skip

    def _patience(self, now: float) -> float:
        others_move = now - self._moved_at < self._stall_seconds
        return self._stall_seconds * PATIENCE if others_move else self._stall_seconds

    @staticmethod
    def _position(consumer: AIOKafkaConsumer, partition: TopicPartition) -> int | None:
        # AIOKafkaConsumer.position() waits for ever where none is known yet, so the state is read instead.
        assignment = consumer._subscription.subscription.assignment
        state = assignment.state_value(partition) if assignment else None
        return state.position if state and state.has_valid_position else None

    def _excuse(self) -> None:
        now = time.monotonic()
        for seen in self._progress.values():
            seen.at = now

    def _forget(self, kept: set[TopicPartition]) -> None:
        for partition in self._progress.keys() - kept:
            del self._progress[partition]
            self._stalled.discard(partition)
            LAG.remove(self._group, self._bare(partition.topic), partition.partition)
