"""What to do with a message that failed: for ever, a few times, or never again.

A retry never waits inside the handler, for that would hold up every partition of the consumer and, after
`max.poll.interval.ms`, cost it its membership. The partition is paused and resumed by a timer.
"""

import asyncio
import math
import random
import time
from dataclasses import dataclass
from enum import StrEnum

import asyncpg
import pydantic
import redis.exceptions
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from chassis.errors import Poison, Unavailable


class Verdict(StrEnum):
    """`PERMANENT`: no retry can help. `INFRASTRUCTURE`: not the message's fault. `FAILURE`: nobody knows yet."""

    PERMANENT = "permanent"
    INFRASTRUCTURE = "infrastructure"
    FAILURE = "failure"


_PERMANENT = (Poison, pydantic.ValidationError)
_INFRASTRUCTURE = (
    Unavailable,
    OSError,  # refused and reset connections, and TimeoutError
    KafkaError,
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,  # deadlock, serialization failure
)


def classify(error: Exception) -> Verdict:
    """The verdict on an error that a handler, or the reading of its message, raised."""
    if isinstance(error, _PERMANENT):
        return Verdict.PERMANENT
    if isinstance(error, _INFRASTRUCTURE):
        return Verdict.INFRASTRUCTURE
    return Verdict.FAILURE


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays in seconds, doubling from `first` to `ceiling`, each shortened by up to half by chance.

    `attempts` bounds the tries at a message that fails for unknown reasons; outages have no bound.
    """

    first: float = 0.2
    ceiling: float = 10.0
    attempts: int = 5

    def delay(self, attempt: int) -> float:
        """Seconds before the try that follows the `attempt`-th failure (from 1)."""
        full = min(self.ceiling, self.first * 2.0 ** min(attempt - 1, 30))
        return full * random.uniform(0.5, 1.0)  # noqa: S311 (spreads load, guards nothing)


@dataclass(slots=True)
class _Attempts:
    offset: int
    tries: int = 0
    failures: int = 0


class Retries:
    """The failed message of each partition, and the timer that lets the partition go on."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._attempts: dict[TopicPartition, _Attempts] = {}
        self._timers: dict[TopicPartition, asyncio.TimerHandle] = {}
        self._failed_at = -math.inf

    def failed(self, partition: TopicPartition, offset: int, verdict: Verdict) -> bool:
        """Count one more failure; whether another try is due."""
        self._failed_at = time.monotonic()
        attempts = self._attempts.get(partition)
        if attempts is None or attempts.offset != offset:
            attempts = self._attempts[partition] = _Attempts(offset)
        attempts.tries += 1
        attempts.failures += verdict is Verdict.FAILURE
        return verdict is not Verdict.PERMANENT and attempts.failures < self._backoff.attempts

    def pause(self, consumer: AIOKafkaConsumer, partition: TopicPartition) -> float:
        """Pause the partition and resume it later; answers the delay in seconds."""
        delay = self._backoff.delay(self._attempts[partition].tries)
        self._cancel(partition)
        if partition in consumer.assignment():
            consumer.pause(partition)
            loop = asyncio.get_running_loop()
            self._timers[partition] = loop.call_later(delay, self._resume, consumer, partition)
        return delay

    def settled(self, partition: TopicPartition) -> None:
        """The message at hand is done with."""
        self._attempts.pop(partition, None)

    def active(self, within: float) -> bool:
        """Whether a retry is scheduled, or the last failure was less than `within` seconds ago."""
        return bool(self._timers) or time.monotonic() - self._failed_at < within

    def stop(self) -> None:
        """Forget every timer."""
        for partition in list(self._timers):
            self._cancel(partition)

    def _resume(self, consumer: AIOKafkaConsumer, partition: TopicPartition) -> None:
        del self._timers[partition]
        # A rebalance may have taken it away; whoever has it now starts with it unpaused.
        if partition in consumer.assignment():
            consumer.resume(partition)

    def _cancel(self, partition: TopicPartition) -> None:
        if timer := self._timers.pop(partition, None):
            timer.cancel()
