"""Kafka as a producer and an owner of topics sees it; chassis.consumer is the other side."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, TopicAlreadyExistsError, for_code
from prometheus_client import Counter

from chassis import logs
from chassis.actuator import Health
from chassis.errors import Unavailable
from chassis.reach import keep_asking
from chassis.recovery import recovery
from chassis.security import kafka_client
from chassis.settings import KafkaSettings

log = logs.logger(__name__)

SENT = Counter("kafka_producer_records_total", "Records by outcome", ["result"])
RETRY_SECONDS, SEND_SECONDS = 1.0, 30.0

Headers = Sequence[tuple[str, bytes]]


class TopicSpec(Protocol):
    """A topic that a service needs; `partitions` None means the setting's number."""

    @property
    def name(self) -> str:
        """The bare name."""

    @property
    def partitions(self) -> int | None:
        """A fixed number, or None."""

    @property
    def config(self) -> dict[str, str]:
        """Kafka's own names, such as `cleanup.policy`."""


class KafkaProducer:
    """An idempotent producer (KIP-98) that waits for all in-sync replicas.

    It starts, and stays up, without its broker.
    """

    name = "kafka"
    role = None
    critical = False

    def __init__(self, settings: KafkaSettings, topics: Iterable[TopicSpec] = (), ask_every: float = 15.0) -> None:
        self._settings = settings
        self._topics = list(topics)
        self._producer: AIOKafkaProducer | None = None
        self._ask_every = ask_every
        self._connecting: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._connected = asyncio.Event()

    async def start(self) -> None:
        """Connects in the background, and makes the topics where the settings say so."""
        self._connecting = asyncio.create_task(self._connect(), name="kafka producer")
        self._asking = asyncio.create_task(keep_asking(self.health, self._ask_every), name="kafka checks")

    async def stop(self) -> None:
        """Flushes what was handed over."""
        recovery.forget(self)
        tasks = [task for task in (self._connecting, self._asking, *self._leaving) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._producer:
            await self._producer.stop()
        self._producer = None
        self._connected.clear()

    async def health(self) -> Health:
        """Up when a broker answers."""
        if self._producer is None:
            return Health(up=False)
        await self._producer.client.fetch_all_metadata()
        return Health(up=True, details={"brokers": len(self._producer.client.cluster.brokers())})

    async def ready(self) -> None:
        """Returns once the first connection was made."""
        await self._connected.wait()

    async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> object:
        """Sends one record (names as on the wire) and returns when it is acknowledged.

        Raises:
            Unavailable: it was not acknowledged; it may or may not have been written.
            ValueError: it is too large to be sent at all.
        """
        return await (await self.enqueue(topic, key, value, headers))

    async def enqueue(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers
    ) -> "asyncio.Future[object]":
        """Hands one record over; the future ends when it is acknowledged or has failed.

        Records of a key keep their order.
        """
        producer = self._producer
        if producer is None:
            raise Unavailable("kafka")
        try:
            async with asyncio.timeout(SEND_SECONDS):
                sent = await producer.send(topic, value, key=key, headers=headers)
        except MessageSizeTooLargeError:
            raise ValueError("the record is larger than any that is sent") from None
        except (KafkaError, TimeoutError) as error:
            SENT.labels("failed").inc()
            raise Unavailable("kafka") from error
        return asyncio.ensure_future(self._acknowledged(producer, sent))

    async def _acknowledged(self, producer: AIOKafkaProducer, sent: "asyncio.Future[object]") -> object:
        try:
            metadata = await sent
        except KafkaError as error:
            SENT.labels("failed").inc()
            self._replace(producer)
            raise Unavailable("kafka") from error
        SENT.labels("acknowledged").inc()
        return metadata

    def _replace(self, producer: AIOKafkaProducer) -> None:
        """After a refusal the broker misses a number in the producer's sequence, and refuses all that follows on it.

        Only a new producer, which counts from the beginning, gets any further on that partition (KIP-98).
        """
        refused = self._producer
        if refused is None or refused is not producer:
            return
        self._producer = None
        self._connected.clear()
        self._connecting = asyncio.create_task(self._connect(), name="kafka producer")
        leaving = asyncio.create_task(refused.stop(), name="kafka producer that was refused")
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def _connect(self) -> None:
        while self._producer is None:
            producer = AIOKafkaProducer(
                **kafka_client(self._settings),
                enable_idempotence=True,
                acks="all",
                linger_ms=self._settings.kafka_producer_linger_ms,
                max_batch_size=self._settings.kafka_producer_batch_size,
                request_timeout_ms=10_000,
                # A dead letter is the largest message that the brokers take (1 MiB) and the headers that say why.
                max_request_size=2_097_152,
                metadata_max_age_ms=30_000,
            )
            try:
                await producer.start()
                await self._make_topics()
            except asyncio.CancelledError:
                await producer.stop()
                raise
            except Exception as error:
                # Whatever it is: a fenced broker names no broker, and the client has a bare assertion for that.
                await producer.stop()
                log.warning("kafka cannot be reached yet", error=type(error).__name__)
                recovery.failed(self)
                await recovery.sleep(RETRY_SECONDS)
            else:
                self._producer = producer
                self._connected.set()
                recovery.succeeded(self)

    async def _make_topics(self) -> None:
        if self._settings.kafka_create_topics and self._topics:
            await ensure_topics(self._settings, self._topics)


async def ensure_topics(settings: KafkaSettings, topics: Iterable[TopicSpec]) -> None:
    """Creates the topics that are missing; those that exist stay as they are.

    Raises:
        KafkaError: the broker cannot be reached, or refused one of them.
    """
    wanted = [
        NewTopic(
            settings.kafka_topic_prefix + topic.name,
            topic.partitions or settings.kafka_topic_partitions,
            settings.kafka_replication_factor,
            topic_configs=topic.config,
        )
        for topic in topics
    ]
    admin = AIOKafkaAdminClient(**kafka_client(settings), request_timeout_ms=15_000)
    await admin.start()
    try:
        answer = await admin.create_topics(wanted)
        for _, code, *_ in answer.topic_errors:
            if code not in (0, TopicAlreadyExistsError.errno):
                raise for_code(code)()
    finally:
        await admin.close()
