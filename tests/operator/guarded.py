"""A real Apache Kafka as Strimzi sets it up: SCRAM over TLS, Kafka's own authorizer, nothing allowed by default.

Users, their rights and the topics are those of rendered resources, translated to Kafka's admin protocol word for word.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.protocol.admin import CreateAclsRequest
from chassis.testing.scram import ScramKafka

Manifest = dict[str, Any]

RESOURCES = {"topic": 2, "group": 3, "cluster": 4}
PATTERNS = {"literal": 3, "prefix": 4}
OPERATIONS = {
    name: code
    for code, name in enumerate(("Read", "Write", "Create", "Delete", "Alter", "Describe", "ClusterAction"), start=3)
} | {"DescribeConfigs": 10, "AlterConfigs": 11, "IdempotentWrite": 12}
ALLOW = 3


class GuardedKafka(ScramKafka):
    """The administrator is nobody by name and may do everything."""

    @asynccontextmanager
    async def administrator(self) -> AsyncIterator[AIOKafkaAdminClient]:
        """A client that may do everything."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()

    async def obey(self, manifests: Iterable[Manifest]) -> None:
        """Make the topics of KafkaTopics, and grant what KafkaUsers say."""
        found = list(manifests)
        async with self.administrator() as admin:
            topics = [_topic(each["spec"]) for each in found if each["kind"] == "KafkaTopic"]
            made = await admin.create_topics(topics)
            assert not [error for error in made.topic_errors if error[1]], made
            for user in (each for each in found if each["kind"] == "KafkaUser"):
                for rule in user["spec"]["authorization"]["acls"]:
                    for operation in rule["operations"]:
                        await _grant(admin, user["metadata"]["name"], rule, operation)

    def _settings(self) -> dict[str, object]:
        return super()._settings() | {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "false",
            "super.users": "User:ANONYMOUS",
        }


def _topic(spec: Manifest) -> NewTopic:
    return NewTopic(spec["topicName"], spec["partitions"], 1, topic_configs=spec["config"])


async def _grant(admin: AIOKafkaAdminClient, user: str, rule: Manifest, operation: str) -> None:
    resource = rule["resource"]
    asked = CreateAclsRequest(
        RESOURCES[resource["type"]],
        resource.get("name", "kafka-cluster"),
        PATTERNS[resource.get("patternType", "literal")],
        f"User:{user}",
        rule.get("host", "*"),
        OPERATIONS[operation],
        ALLOW,
    )
    answer = await admin._send_request(asked)
    assert not [each for each in answer.creation_responses if each[0]], (user, rule, operation, answer)
