"""Kafka: Strimzi's, the built-in node, or one that is there already."""

from typing import Literal

from pydantic import Field

from healthcare_operator.spec.fields import (
    FIXED_VOLUME,
    Part,
    Placement,
    Resources,
    SecretName,
    Servers,
    Storage,
    Text,
    Values,
    overrides,
    rule,
    ruled,
)


class KafkaAccess(Part):
    """How an external Kafka is spoken to."""

    model_config = ruled(
        rule(
            "!self.securityProtocol.startsWith('SASL') || (self.username != '' && has(self.passwordSecret))",
            "kafka.access with SASL needs username and passwordSecret",
        ),
        rule(
            "self.securityProtocol.startsWith('SASL') || !has(self.passwordSecret)",
            "kafka.access.passwordSecret needs a securityProtocol with SASL",
        ),
        rule(
            "self.securityProtocol.endsWith('SSL') || !has(self.caSecret)",
            "kafka.access.caSecret needs a securityProtocol with SSL",
        ),
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="Whether the brokers speak TLS (SSL), and whether they want a name (SASL)."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="How the name is proven, with SASL."
    )
    username: str = Field("", max_length=255, description="The name that all services give, with SASL.")
    password_secret: SecretName | None = Field(
        None, description="The Secret, in the platform's namespace, whose key `password` has the password, with SASL."
    )
    ca_secret: SecretName | None = Field(
        None, description="A Secret whose key `ca.crt` has the authority to trust. Without it: the public ones."
    )


class Kafka(Placement):
    """Kafka: Strimzi's, the built-in node, or one that is there already."""

    model_config = ruled(
        rule("self.mode != 'external' || has(self.bootstrapServers)", "kafka.mode external needs bootstrapServers"),
        rule("self.mode == 'external' || !has(self.bootstrapServers)", "bootstrapServers needs kafka.mode external"),
        rule(
            "self.mode == 'external' || self.access.securityProtocol == 'PLAINTEXT'",
            "kafka.access needs kafka.mode external",
        ),
        rule("self.mode != 'builtin' || self.replicas == 1", "the built-in Kafka is one node"),
        rule("self.mode == oldSelf.mode", "kafka.mode cannot be changed: the topics would stay behind"),
        rule("self.topicPrefix == oldSelf.topicPrefix", "kafka.topicPrefix cannot be changed: topics are named by it"),
        rule(
            "self.mode != 'strimzi' || self.replicas >= oldSelf.replicas",
            "kafka.replicas cannot become fewer: what only those brokers hold would be lost",
        ),
        rule("!self.cruiseControl || self.mode == 'strimzi'", "kafka.cruiseControl needs kafka.mode strimzi"),
        rule("self.topicPartitions >= oldSelf.topicPartitions", "a topic cannot lose partitions"),
        rule(FIXED_VOLUME, "the volume of the built-in Kafka cannot be changed"),
    )
    mode: Literal["strimzi", "builtin", "external"] = Field(
        "strimzi",
        description=(
            "Who runs Kafka. strimzi: the Strimzi operator, with a user, access rules and TLS for each service."
            " builtin: one node without passwords behind a NetworkPolicy, for development. external: you do."
        ),
    )
    version: str | None = Field(
        None,
        max_length=16,
        pattern=r"^[0-9]+(\.[0-9]+){1,2}$",
        description="The version of Kafka. Left out: Strimzi's newest, or the version that the chart names.",
    )
    replicas: int = Field(
        1,
        ge=1,
        le=9,
        description="strimzi: nodes, each broker and controller. Topics have as many replicas, three at most.",
    )
    cruise_control: bool = Field(
        False,
        description=(
            "strimzi: whether Cruise Control runs beside two brokers or more. When brokers are added, it gives the"
            " topics that are there the replicas that kafka.replicas asks for; without it a person has to."
        ),
    )
    storage: Storage = Field(default_factory=Storage, description="The volume of each node.")
    resources: Resources | None = Field(
        None, description="Requests and limits of each node. What is left out stays as the chart has it."
    )
    topic_prefix: str = Field(
        "",
        max_length=64,
        pattern=r"^[A-Za-z0-9._-]*$",
        description="What stands before every topic and consumer group, where several platforms share a Kafka.",
    )
    topic_partitions: int = Field(
        3, ge=1, le=1000, description="Partitions of each topic: as many pods of a service can share its work."
    )
    config: dict[str, Text] = Field(
        default_factory=dict, description="strimzi: further settings of the brokers, such as log.retention.hours."
    )
    bootstrap_servers: Servers | None = Field(
        None,
        description="external: where it is, as host:port, several separated by commas.",
    )
    access: KafkaAccess = Field(
        default_factory=KafkaAccess, description="external: whether it is spoken to over TLS and with a name."
    )
    values: Values = overrides()
