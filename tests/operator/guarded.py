"""A real Apache Kafka as Strimzi sets it up: SCRAM over TLS, Kafka's own authorizer, nothing allowed by default.

Users, their rights and the topics are those of rendered resources, translated to Kafka's admin protocol word for word.
"""

import ssl
import subprocess
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.protocol.admin import CreateAclsRequest
from chassis.selfsigned import CERTIFICATE, KEY, certify
from hpctl.embedded.kafka import CLUSTER_ID, Kafka, _java

Manifest = dict[str, Any]

RESOURCES = {"topic": 2, "group": 3, "cluster": 4}
PATTERNS = {"literal": 3, "prefix": 4}
OPERATIONS = {
    name: code
    for code, name in enumerate(("Read", "Write", "Create", "Delete", "Alter", "Describe", "ClusterAction"), start=3)
} | {"DescribeConfigs": 10, "AlterConfigs": 11, "IdempotentWrite": 12}
ALLOW = 3


class GuardedKafka(Kafka):
    """`external_port` is for services; `port` is the administrator's, who is nobody by name and may do everything."""

    def __init__(self, directory: Path, passwords: Mapping[str, str]) -> None:
        super().__init__(directory)
        self.passwords = passwords
        self.ca = directory / CERTIFICATE
        self._keystore = directory / "server.pem"

    def prepare(self) -> None:
        if not self._keystore.exists():
            certify(self.ca.parent)
            self._keystore.write_bytes((self.ca.parent / KEY).read_bytes() + self.ca.read_bytes())
        if not self.data.exists():
            self._format_with_users()
        super().prepare()

    def client(self, user: str) -> dict[str, Any]:
        """What an aiokafka client of this user is made with."""
        return {
            "bootstrap_servers": f"{self.host}:{self.external_port}",
            "security_protocol": "SASL_SSL",
            "ssl_context": ssl.create_default_context(cafile=str(self.ca)),
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": user,
            "sasl_plain_password": self.passwords[user],
        }

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
        services = "listener.name.external"
        return super()._settings() | {
            "listener.security.protocol.map": "INTERNAL:PLAINTEXT,EXTERNAL:SASL_SSL,CONTROLLER:PLAINTEXT",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "false",
            "super.users": "User:ANONYMOUS",
            f"{services}.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            f"{services}.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            f"{services}.ssl.keystore.type": "PEM",
            f"{services}.ssl.keystore.location": self._keystore.resolve(),
        }

    def _format_with_users(self) -> None:
        self.properties.write_text("\n".join(f"{name}={value}" for name, value in self._settings().items()))
        words = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(self.properties)]
        for user, password in self.passwords.items():
            words += ["--add-scram", f"SCRAM-SHA-512=[name={user},password={password}]"]
        subprocess.run(_java(*words), capture_output=True, text=True, check=True)


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
