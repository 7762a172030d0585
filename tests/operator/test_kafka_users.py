"""The rights of the rendered KafkaUsers on a real Kafka: the platform works with them, and gets no more than that.

Every service runs as its own user, with the Kafka settings of its rendered ConfigMap; only addresses and the places of
files are this machine's.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2 as httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    NotLeaderForPartitionError,
    TopicAuthorizationFailedError,
)
from chassis import topiclog
from chassis.errors import Poison
from chassis.received import read
from chassis.testing import eventually
from healthcare_contracts.topics import ALL_TOPICS, PATIENT_DELETED, TOPICS
from healthcare_operator.spec import Spec
from hpctl.layout import SERVICES, Layout

from hpctl import walkthrough
from tests.operator.guarded import GuardedKafka
from tests.operator.users import Rendered, running

pytestmark = pytest.mark.contract("C05")

PATIENT = {"patient.created", "patient.updated", "patient.deleted"}
APPOINTMENT = {"appointment.booked", "appointment.updated", "appointment.cancelled"}
SENDS = {
    "patient-service": PATIENT | {"billing-account"},
    "appointment-service": APPOINTMENT,
    "auth-service": {"auth.audit"},
    "billing-service": {"billing-account"},
    "analytics-service": set[str](),
}
READS = {
    "patient-service": {"patient.updated", "patient.deleted", "billing-account"},
    "appointment-service": PATIENT,
    "auth-service": set[str](),
    "billing-service": {"patient.deleted", "billing-account"},
    "analytics-service": PATIENT | APPOINTMENT | {"billing-account", "auth.audit"},
}
GROUPS = {name: name for name in SENDS} | {"appointment-service": "appointments-cg"}
POISON = b"this is no JSON"
LARGE = b"x" * 1_048_400  # all but as large as a message may be: its letter is larger, for it says why


def letters(service: str) -> set[str]:
    """The dead-letter topics of a service, for the topics that others write."""
    return {f"{topic}.{GROUPS[service]}.dlq" for topic in READS[service]}


def own(service: str) -> set[str]:
    """What only this service reads and writes."""
    if not READS[service]:
        return set()
    replays = f"{GROUPS[service]}.replay"
    return letters(service) | {replays, f"{replays}.{GROUPS[service]}.dlq"}


@pytest.fixture(scope="module")
def rendered() -> Rendered:
    return Rendered.of(Spec())


@pytest.fixture(scope="module")
def broker(rendered: Rendered, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedKafka]:
    """With the rendered topics, users and rights."""
    passwords = {name: f"password-of-{name}" for name in rendered.users}
    server = GuardedKafka(tmp_path_factory.mktemp("guarded"), passwords)
    try:
        server.start()
        asyncio.run(server.obey(rendered.kafka))
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def platform(broker: GuardedKafka, rendered: Rendered, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Layout]:
    with running(broker, rendered, tmp_path_factory.mktemp("platform")) as layout:
        yield layout


@pytest.mark.timeout(300)
async def test_the_walkthrough_and_the_work_on_dead_letters_succeed_as_these_users(
    platform: Layout, broker: GuardedKafka
) -> None:
    walkthrough.walk(platform)
    expected = {letter for service in READS for letter in letters(service)}
    empty = dict.fromkeys((name for service in READS for name in own(service) if name.endswith(".dlq")), 0)
    assert await _unbelievable(broker) == []
    async with _asking(AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, max_request_size=2**21)) as sender:
        for topic in TOPICS:
            await sender.send_and_wait(topic.name, LARGE if topic == PATIENT_DELETED else POISON, key=b"poison")
    token = walkthrough.login(platform, "testuser@test.com", "password123")
    headers = {"Authorization": f"Bearer {token}"}
    ports = {service.name: platform.port(service.port) for service in SERVICES}

    def ask(service: str, method: str, path: str, body: Any = None) -> Any:
        url = f"http://127.0.0.1:{ports[service]}/ops/{path}"
        answer = httpx.request(method, url, json=body, headers=headers, timeout=60)
        assert answer.status_code == 200, (service, path, answer.text)
        return answer.json()

    def put_aside() -> dict[str, int]:
        told = [each for service in READS for each in ask(service, "GET", "dead-letters")["content"]]
        return {each["topic"]: each["count"] for each in told}

    await eventually(lambda: put_aside() == empty | dict.fromkeys(expected, 1), within=60, every=0.5)
    for service in READS:
        for topic in letters(service):
            assert ask(service, "POST", "replay", {"topic": topic})["replayed"] == 1
    await eventually(lambda: put_aside() == empty | dict.fromkeys(expected, 1), within=60, every=0.5)
    for service in READS:
        for topic in letters(service):
            assert ask(service, "POST", "discard", {"topic": topic})["discarded"] == 1
    assert put_aside() == empty


@pytest.mark.timeout(180)
@pytest.mark.parametrize("service", SENDS)
async def test_a_user_writes_and_reads_what_its_service_does_and_nothing_else(
    broker: GuardedKafka, rendered: Rendered, service: str
) -> None:
    """Whoever takes a consumer over forges no event of another service; a letter is replayed to its own group only."""
    client = broker.client(rendered.user(service))
    names = [topic.name for topic in ALL_TOPICS]
    async with _asking(AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers)) as sender:
        for name in names:
            await sender.send_and_wait(name, b"here", key=b"key", partition=0)
    writes = {name for name in names if await _writes(client, name)}
    reads = {name for name in names if await _reads(client, name)}
    assert writes == SENDS[service] | own(service)
    assert reads == READS[service] | own(service)


@pytest.mark.parametrize("service", SENDS)
async def test_a_user_is_in_no_other_group(broker: GuardedKafka, rendered: Rendered, service: str) -> None:
    client = broker.client(rendered.user(service))
    mine = {GROUPS[service]} if READS[service] else set()
    assert {group for group in [*GROUPS.values(), "another"] if await _joins(client, group, service)} == mine


@pytest.mark.parametrize("service", SENDS)
async def test_a_user_administers_nothing(broker: GuardedKafka, rendered: Rendered, service: str) -> None:
    client = broker.client(rendered.user(service))
    async with _asking(AIOKafkaAdminClient(**client)) as admin:
        made = await admin.create_topics([NewTopic("mine", 1, 1)])
        assert [error[1] for error in made.topic_errors] == [TopicAuthorizationFailedError.errno]
        gone = await admin.delete_topics(["patient.created"])
        assert [code for _, code in gone.topic_error_codes] == [TopicAuthorizationFailedError.errno]
        # What it may not even describe has no leader for it.
        with pytest.raises((TopicAuthorizationFailedError, NotLeaderForPartitionError)):
            await admin.delete_records({TopicPartition("patient.created", 0): RecordsToDelete(before_offset=1)})
        resource = ConfigResource(ConfigResourceType.TOPIC, "patient.created", configs={"retention.ms": "1"})
        [changed] = await admin.alter_configs([resource])
        assert [each[0] for each in changed.resources] == [TopicAuthorizationFailedError.errno]


async def test_a_wrong_password_and_no_name_at_all_are_refused(broker: GuardedKafka, rendered: Rendered) -> None:
    client = broker.client(rendered.user("auth-service"))
    for wrong in ({"sasl_plain_password": "another"}, {"sasl_plain_username": "nobody"}):
        assert not await _writes(client | wrong, "auth.audit")
    nameless = {key: value for key, value in client.items() if not key.startswith("sasl")}
    assert not await _writes(nameless | {"security_protocol": "SSL", "request_timeout_ms": 3000}, "auth.audit")


async def _unbelievable(broker: GuardedKafka) -> list[tuple[str, str]]:
    """Topic and reason of each record there that a consumer would not believe."""
    found = []
    async with topiclog.connected({"bootstrap_servers": broker.bootstrap_servers}) as log:
        for topic in TOPICS:
            for partition, (first, end) in (await log.bounds(topic.name)).items():
                async for record in log.read(partition, first, end):
                    try:
                        if record.value is not None:
                            read(record, topic)
                    except Poison as poison:
                        found.append((topic.name, str(poison)))
    return found


@asynccontextmanager
async def _asking(client: Any) -> AsyncIterator[Any]:
    try:
        await client.start()
        yield client
    finally:
        await (client.close() if hasattr(client, "close") else client.stop())


async def _writes(client: Mapping[str, Any], topic: str) -> bool:
    try:
        async with _asking(AIOKafkaProducer(**client, enable_idempotence=True)) as producer:
            await producer.send_and_wait(topic, b"mine", key=b"key", partition=0)
    except (TopicAuthorizationFailedError, ClusterAuthorizationFailedError, KafkaConnectionError):
        return False
    return True


async def _reads(client: Mapping[str, Any], topic: str) -> bool:
    try:
        async with _asking(AIOKafkaConsumer(**client, auto_offset_reset="earliest")) as consumer:
            consumer.assign([TopicPartition(topic, 0)])
            await consumer._client.force_metadata_update()
            if topic in consumer._client.cluster.unauthorized_topics:
                return False  # not even its name may be asked for; the consumer itself would wait for ever
            await consumer.getone()
    except TopicAuthorizationFailedError:
        return False
    return True


async def _joins(client: Mapping[str, Any], group: str, service: str) -> bool:
    """By its own topics, or where it reads none by one that it may describe."""
    topics = READS[service] or SENDS[service]
    try:
        consumer = AIOKafkaConsumer(*topics, **client, group_id=group, enable_auto_commit=False)
        async with _asking(consumer):
            await eventually(lambda: bool(consumer.assignment()), within=10)
            await consumer.committed(next(iter(consumer.assignment())))
    except GroupAuthorizationFailedError:
        return False
    return True
