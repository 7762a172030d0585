"""FastStream's side of a consumer: one broker object, one subscriber over several topics, and our guard around it."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from faststream import AckPolicy, BaseMiddleware, ContextRepo
from faststream.kafka import KafkaBroker, KafkaMessage

from chassis import batches
from chassis.offsets import Offsets
from chassis.retries import Backoff
from chassis.security import kafka_broker
from chassis.settings import KafkaSettings

_log = logging.getLogger("chassis.faststream")
_log.setLevel(logging.ERROR)  # at every start it warns that it creates no topics, which is how we want it

FETCH_BYTES = 262_144
"""The client hands out one partition's fetch before it turns to the next: a large one would keep the others waiting."""

Handle = Callable[[ConsumerRecord], Awaitable[None]]
Failed = Callable[[KafkaMessage, Exception], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Tuning:
    """Times of a consumer, in seconds unless the name says otherwise.

    `handler_seconds` bounds one message, so that a hung dependency cannot hold the other partitions up for long.
    """

    backoff: Backoff = field(default_factory=Backoff)
    handler_seconds: float = 60.0
    stop_seconds: float = 15.0
    commit_seconds: float = 0.05
    watchdog_tick: float = 5.0
    stall_seconds: float = 120.0
    max_poll_interval_ms: int = 300_000
    session_timeout_ms: int = 10_000
    metadata_max_age_ms: int = 30_000


class Member:
    """One member of `group` over several topics, for one start and one stop; names are those on the wire.

    A message is done when `handle` or `failed` returns; `failed` raises NackMessage to seek back instead.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topics: Sequence[str],
        group: str,
        *,
        handle: Handle,
        failed: Failed,
        tuning: Tuning,
    ) -> None:
        self._failed = failed
        self._tuning = tuning
        self._offsets = Offsets(group, tuning.commit_seconds)
        self._broker = self._make_broker(settings, group)
        self._subscriber = self._broker.subscriber(
            *topics,
            group_id=group,
            listener=self._offsets,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=FETCH_BYTES,
            max_poll_interval_ms=tuning.max_poll_interval_ms,
            session_timeout_ms=tuning.session_timeout_ms,
            heartbeat_interval_ms=tuning.session_timeout_ms // 3,
            no_reply=True,
        )
        self._subscriber(handle)

    def _make_broker(self, settings: KafkaSettings, group: str) -> KafkaBroker:
        return KafkaBroker(
            settings.kafka_bootstrap_servers,
            security=kafka_broker(settings),
            client_id=group,
            consumer_only=True,
            metadata_max_age_ms=self._tuning.metadata_max_age_ms,
            ack_policy=AckPolicy.NACK_ON_ERROR,
            middlewares=[self._guard],
            parser=self._parse,
            decoder=_record,
            apply_types=False,
            graceful_timeout=self._tuning.stop_seconds,
            logger=_log,
            log_level=logging.DEBUG,
        )

    async def start(self) -> AIOKafkaConsumer:
        """Join the group; raises KafkaError or OSError when that cannot be done now."""
        batches.install()
        try:
            await self._broker.start()
        except BaseException:
            await self._broker.stop()
            raise
        return self._subscriber.consumer

    async def stop(self) -> None:
        """Finish the message in hand, commit, and leave the group."""
        self._subscriber.running = False
        in_hand: Any = self._subscriber.lock
        await in_hand.wait_release(self._tuning.stop_seconds)
        await self._offsets.stop()
        await self._broker.stop()

    def _guard(self, message: ConsumerRecord, /, *, context: ContextRepo) -> "_Guard":
        return _Guard(message, context=context, failed=self._failed)

    async def _parse(self, record: ConsumerRecord, original: Callable[..., Awaitable[KafkaMessage]]) -> KafkaMessage:
        # The framework's parser fails on headers that are not UTF-8, before a middleware could dead-letter the message.
        message = await original(replace(record, headers=()))
        message.raw_message = record
        message.consumer = self._offsets.receipt(message.consumer, record)
        return message


class _Guard(BaseMiddleware[Any, ConsumerRecord]):
    """Outermost, around the handler: the framework would retry in a tight loop whatever got past it."""

    def __init__(self, message: ConsumerRecord, /, *, context: ContextRepo, failed: Failed) -> None:
        super().__init__(message, context=context)
        self._failed = failed

    async def consume_scope(self, call_next: Callable[[Any], Awaitable[Any]], msg: Any) -> Any:
        """Hand the message on; what it raises is settled here."""
        try:
            return await call_next(msg)
        except Exception as error:
            return await self._failed(msg, error)


async def _record(message: KafkaMessage) -> ConsumerRecord:
    # The body stays as it came: reading it is a step of ours, so that malformed JSON is a dead letter, not a loop.
    return cast("ConsumerRecord", message.raw_message)
