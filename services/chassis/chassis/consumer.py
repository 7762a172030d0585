"""The one place that subscribes: at-least-once delivery, retries, dead letters, and the offset after the commit.

Each message is one transaction. Its offset is committed after that transaction and its after-commit callbacks, so a
crash in between repeats the message and loses none; handlers are idempotent (a version guard, a unique key, the inbox).
"""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import cast

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from faststream.exceptions import NackMessage
from faststream.kafka import KafkaMessage
from prometheus_client import Counter

from chassis import logs
from chassis.actuator import Health
from chassis.classification import Verdict, classify
from chassis.db import Database
from chassis.deadletters import (
    DEAD_LETTERS,
    REPLAY_GROUP,
    DeadLetters,
    DeadLetterTopic,
    Origin,
    Publishes,
    replay_topic_of,
    replayed_from,
    topic_of,
)
from chassis.handlers import Handler, Handlers
from chassis.kafka import ensure_topics
from chassis.offsets import Receipt
from chassis.received import TopicContract, headers
from chassis.recovery import recovery
from chassis.retries import Bugs, Retries
from chassis.settings import KafkaSettings
from chassis.subscription import Member, Tuning
from chassis.watchdog import Watchdog

log = logs.logger(__name__)

MESSAGES = Counter("consumer_messages_total", "Messages by what became of them", ["group", "topic", "result"])
RETRIES = Counter("consumer_retries_total", "Retries scheduled, by verdict", ["group", "topic", "reason"])


class Consumer:
    """One member of a consumer group over several topics: a Part of role "consumer".

    `group` and the topics' names are bare; the wire carries them behind `kafka_topic_prefix`.
    """

    name = "consumer"
    role = "consumer"
    critical = False

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        group: str,
        database: Database,
        producer: Publishes,
        tuning: Tuning | None = None,
    ) -> None:
        self._tuning = tuning or Tuning()
        self._settings = settings
        self._prefix = settings.kafka_topic_prefix
        self._group = group
        self._handlers = Handlers(group, database, self._tuning.handler_seconds)
        self._bugs = Bugs(settings.consumer_repair_seconds, self._handlers.packages)
        self._retries = Retries(self._tuning.backoff, self._bugs)
        self._dead_letters = DeadLetters(producer, self._prefix, group)
        self._replays = replay_topic_of(group)
        self._watchdog = Watchdog(group, self._bare, self._retries.active, self._tuning)
        self._member: Member | None = None
        self._kafka: AIOKafkaConsumer | None = None
        self._task: asyncio.Task[None] | None = None

    def subscribe(
        self, handlers: Mapping[str, Handler], contracts: Iterable[TopicContract], *, inbox: bool = False
    ) -> None:
        """Handle these topics, before `start`. A record is believed as far as its topic's contract allows.

        `inbox`: each event id takes effect once, for handlers that count. Such a handler leaves nothing important to
        `after_commit`: when that fails, the message comes again and is taken for a duplicate.
        """
        self._handlers.add(handlers, contracts, once=inbox)

    @property
    def dead_letter_topics(self) -> Mapping[str, Origin]:
        """Where this group's dead letters are, by name on the wire, and where each of them comes from."""
        return Origin.of_group(self._group, self._read, self._prefix)

    async def start(self) -> None:
        """Join the group in the background: a service starts, and stays up, without its broker."""
        for topic in self._read:  # from 0 on, or nobody would see the first one as an increase
            DEAD_LETTERS.labels(self._group, topic)
            RETRIES.labels(self._group, topic, Verdict.BUG)
        self._task = asyncio.create_task(self._run(), name=f"consumer {self._group}")

    async def stop(self) -> None:
        """Finish the message in hand, commit its offset and leave the group."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._member:
            await self._member.stop()
        self._retries.stop()
        self._member = self._kafka = None

    async def health(self) -> Health:
        """Up while joined to the group and moving; the details name the assigned partitions, and those that wait."""
        assigned = self._named(self._kafka.assignment() if self._kafka else ())
        waiting = self._named(self._retries.waiting())
        details = {"group": self._group, "assigned": assigned, "waiting": waiting}
        return Health(up=self._kafka is not None and self.alive() and not waiting, details=details)

    def alive(self) -> bool:
        """Liveness: False once the watchdog has seen a partition stall."""
        return self._watchdog.alive()

    async def _run(self) -> None:
        attempt = 0
        while self._kafka is None:
            try:
                self._kafka = await self._join()
            except Exception:
                attempt += 1
                log.warning("cannot join the group yet", group=self._group, exc_info=True)
                recovery.failed(self)
                await recovery.sleep(self._tuning.backoff.delay(attempt))
        recovery.succeeded(self)
        log.info("consuming", group=self._group, topics=sorted(self._handlers.topics))
        await self._watchdog.run(self._kafka)

    async def _join(self) -> AIOKafkaConsumer:
        topics, group = [self._prefix + topic for topic in self._read], self._prefix + self._group
        if self._settings.kafka_create_topics:
            own = [self._replays, *(topic_of(topic, self._group) for topic in self._read)]
            await ensure_topics(self._settings, [DeadLetterTopic(topic) for topic in own])
        tuning = self._tuning
        member = Member(self._settings, topics, group, handle=self._handle, failed=self._failed, tuning=tuning)
        kafka = await member.start()
        self._member = member
        return kafka

    async def _handle(self, record: ConsumerRecord) -> None:
        topic = self._topic(record)
        result = await self._handlers.handle(record, topic)
        self._retries.settled(_partition(record))
        MESSAGES.labels(self._group, topic, result).inc()

    async def _failed(self, message: KafkaMessage, error: Exception) -> None:
        """Dead-letter the message and return, or schedule a retry and raise NackMessage, which seeks back to it."""
        record = cast("ConsumerRecord", message.raw_message)
        partition, verdict = _partition(record), classify(error)
        if verdict is Verdict.BUG and self._bugs.new(error):
            self._tell_bug(record, error)
        if not self._retries.failed(partition, record.offset, error):
            try:
                await self._dead_letter(record, error)
            except Exception as unsent:
                verdict, error = Verdict.WORLD, unsent
            else:
                return
        delay = self._retries.pause(cast("Receipt", message.consumer).kafka, partition, verdict)
        self._tell_retry(record, verdict, error, delay)
        raise NackMessage

    async def _dead_letter(self, record: ConsumerRecord, error: Exception) -> None:
        topic, result = self._topic(record), "passed-over"
        # The release before this one replays into the topic that the letter came from, which other groups read, too.
        if headers(record).get(REPLAY_GROUP, self._group) in (self._group, self._prefix + self._group):
            await self._dead_letters.put(record, topic, error)
            result = "dead-lettered"
        self._retries.settled(_partition(record))
        MESSAGES.labels(self._group, topic, result).inc()

    def _tell_bug(self, record: ConsumerRecord, error: Exception) -> None:
        log.error("a bug holds the group up: repair it, or its messages become dead letters", group=self._group,
                  topic=self._topic(record), place=self._bugs.place(error), seconds=self._bugs.seconds,
                  exc_info=error)  # fmt: skip

    def _tell_retry(self, record: ConsumerRecord, verdict: Verdict, error: Exception, delay: float) -> None:
        topic = self._topic(record)
        RETRIES.labels(self._group, topic, verdict).inc()
        place = {"group": self._group, "topic": topic, "partition": record.partition, "offset": record.offset}
        why = {"verdict": verdict.value, "error": type(error).__name__}
        log.warning("message will be retried", **place, **why, delay=round(delay, 3))

    @property
    def _read(self) -> list[str]:
        """The bare names of what this group reads."""
        return [*self._handlers.topics, self._replays]

    def _topic(self, record: ConsumerRecord) -> str:
        """The bare topic that a record belongs to; of a replay the one it says, if that is one of this group's."""
        topic = self._bare(record.topic)
        if topic != self._replays:
            return topic
        own = {self._prefix + each: each for each in self._handlers.topics}
        return own.get(replayed_from(record), topic)

    def _named(self, partitions: Iterable[TopicPartition]) -> list[str]:
        return sorted(f"{self._bare(each.topic)}-{each.partition}" for each in partitions)

    def _bare(self, topic: str) -> str:
        return topic.removeprefix(self._prefix)


def _partition(record: ConsumerRecord) -> TopicPartition:
    return TopicPartition(record.topic, record.partition)
