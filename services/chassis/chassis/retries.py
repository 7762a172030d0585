"""What to do with a message that failed: for ever, a few times, after a pause for a repair, or never again.

A retry never waits inside the handler, for that would hold up every partition of the consumer and, after
`max.poll.interval.ms`, cost it its membership. The partition is paused and resumed by a timer.
"""

import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial

from aiokafka import AIOKafkaConsumer, TopicPartition

from chassis import recovery
from chassis.classification import Verdict, classify, permanent, sqlstate
from chassis.recovery import Wait

REPAIR_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays in seconds, doubling from `first` to `ceiling`, each shortened by up to half by chance.

    `attempts` bounds the tries at a message that is at fault itself; nothing bounds those at an outage.
    """

    first: float = 0.2
    ceiling: float = recovery.LONGEST_SECONDS
    attempts: int = 5

    def delay(self, attempt: int) -> float:
        """Seconds before the try that follows the `attempt`-th failure (from 1)."""
        return recovery.delay(attempt, self.first, self.ceiling)


@dataclass(slots=True)
class Bugs:
    """Where our code fails. Messages wait `seconds` from a place's first failure, for a repair and a release.

    Afterwards a message that fails there is given up at once: a bug holds a group up once, not once for each message.
    `packages` are those of the handlers; a restart of the process forgets.
    """

    seconds: float = REPAIR_SECONDS
    packages: Collection[str] = ()
    clock: Callable[[], float] = time.monotonic
    _since: dict[str, float] = field(default_factory=dict)

    def awaits_repair(self, error: BaseException) -> bool:
        """Whether a message that failed with this is to wait."""
        now = self.clock()
        return now - self._since.setdefault(self.place(error), now) < self.seconds

    def new(self, error: BaseException) -> bool:
        """Whether this place has not failed before."""
        return self.place(error) not in self._since

    def place(self, error: BaseException) -> str:
        """The error's class (and SQLSTATE) and the innermost line of the handlers' packages, else of the chassis."""
        found, trace = {"": "nowhere"}, error.__traceback__
        while trace is not None:
            module = str(trace.tb_frame.f_globals.get("__name__", ""))
            found[module.partition(".")[0]] = f"{module}:{trace.tb_lineno}"
            trace = trace.tb_next
        package = next((each for each in (*self.packages, "chassis") if each in found), "")
        return " ".join(filter(None, (type(error).__name__, sqlstate(error), "at", found[package])))


@dataclass(slots=True)
class _Attempts:
    offset: int
    tries: int = 0
    failures: int = 0


class Retries:
    """The failed message of each partition, and the timer that lets the partition go on."""

    def __init__(self, backoff: Backoff, bugs: Bugs | None = None) -> None:
        self._backoff = backoff
        self.bugs = bugs or Bugs()
        self._attempts: dict[TopicPartition, _Attempts] = {}
        self._timers: dict[TopicPartition, Wait] = {}
        self._failed_at = -math.inf

    def failed(self, partition: TopicPartition, offset: int, error: BaseException) -> bool:
        """Count one more failure; whether another try is due."""
        self._failed_at = time.monotonic()
        attempts = self._attempts.get(partition)
        if attempts is None or attempts.offset != offset:
            attempts = self._attempts[partition] = _Attempts(offset)
        attempts.tries += 1
        verdict = classify(error)
        attempts.failures += verdict is Verdict.MESSAGE
        if verdict is Verdict.BUG:
            return self.bugs.awaits_repair(error)
        return verdict is Verdict.WORLD or (not permanent(error) and attempts.failures < self._backoff.attempts)

    def pause(self, consumer: AIOKafkaConsumer, partition: TopicPartition, verdict: Verdict) -> float:
        """Pause the partition and resume it later, in an outage at its end at the latest; the delay in seconds."""
        delay = self._backoff.delay(self._attempts[partition].tries)
        self._cancel(partition)
        if partition in consumer.assignment():
            consumer.pause(partition)
            waits = recovery.recovery if verdict is Verdict.WORLD else recovery.Recovery()
            self._timers[partition] = waits.call_later(delay, partial(self._resume, consumer, partition))
        if verdict is Verdict.WORLD:
            recovery.recovery.failed((id(self), partition))
        return delay

    def settled(self, partition: TopicPartition) -> None:
        """The message at hand is done with."""
        if self._attempts.pop(partition, None):
            recovery.recovery.succeeded((id(self), partition))

    def waiting(self) -> list[TopicPartition]:
        """Partitions whose message has failed more than once, and waits for another try."""
        return [partition for partition, attempts in self._attempts.items() if attempts.tries > 1]

    def active(self, within: float) -> bool:
        """Whether a retry is scheduled, or the last failure was less than `within` seconds ago."""
        return bool(self._timers) or time.monotonic() - self._failed_at < within

    def stop(self) -> None:
        """Forget every timer."""
        for partition in list(self._timers):
            self._cancel(partition)
        for partition in self._attempts:
            recovery.recovery.forget((id(self), partition))

    def _resume(self, consumer: AIOKafkaConsumer, partition: TopicPartition) -> None:
        del self._timers[partition]
        # A rebalance may have taken it away; whoever has it now starts with it unpaused.
        if partition in consumer.assignment():
            consumer.resume(partition)

    def _cancel(self, partition: TopicPartition) -> None:
        if timer := self._timers.pop(partition, None):
            timer.cancel()
