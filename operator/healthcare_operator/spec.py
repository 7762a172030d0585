"""What a HealthcarePlatform asks for. These models are the source of the CRD: its schema, defaults and descriptions."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

SERVICES = (
    "auth-service",
    "billing-service",
    "patient-service",
    "appointment-service",
    "analytics-service",
    "api-gateway",
)
"""In the order in which they start: each after those it talks to."""

Name = Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
SecretName = Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
Size = Annotated[str, Field(max_length=16, pattern=r"^[1-9][0-9]*(Mi|Gi|Ti)$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[str, Field(max_length=253, pattern=r"^[A-Za-z0-9.-]+$")]
Quantities = dict[str, Annotated[str, Field(max_length=32)]]


def _rule(rule: str, message: str) -> dict[str, str]:
    return {"rule": rule, "message": message}


def _rules(*rules: dict[str, str]) -> dict[str, Any]:
    return {"x-kubernetes-validations": list(rules)}


class Part(BaseModel):
    """A part of the resource."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Resources(Part):
    """What a container asks for and may use."""

    requests: Quantities = Field(default_factory=dict, description="what is set aside, e.g. cpu: 100m, memory: 128Mi")
    limits: Quantities = Field(default_factory=dict, description="what is allowed, e.g. memory: 384Mi")


class Autoscaling(Part):
    """How many pods a service has when it follows its load."""

    enabled: bool = Field(False, description="whether a HorizontalPodAutoscaler decides the number of pods")
    min_replicas: int = Field(2, ge=1, le=100, description="never fewer")
    max_replicas: int = Field(6, ge=1, le=100, description="never more")
    target_cpu_utilization_percentage: int = Field(
        75, ge=1, le=100, alias="targetCPUUtilizationPercentage", description="the load that it aims at"
    )


class Service(Part):
    """One of the platform's services."""

    enabled: bool = Field(True, description="false removes it; its data stays")
    replicas: int = Field(1, ge=0, le=100, description="pods, unless autoscaling is enabled")
    image: str | None = Field(None, max_length=512, description="a whole image reference instead of spec.images")
    resources: Resources | None = Field(None, description="instead of the chart's")
    autoscaling: Autoscaling = Field(default_factory=Autoscaling, description="follow the load")
    env: dict[str, Annotated[str, Field(max_length=4096)]] = Field(
        default_factory=dict, description="plain settings, see docs/configuration.md; never secrets"
    )


class Services(Part):
    """The services; each is there unless it is disabled."""

    auth_service: Service = Field(default_factory=Service, alias="auth-service", description="accounts and tokens")
    billing_service: Service = Field(default_factory=Service, alias="billing-service", description="billing accounts")
    patient_service: Service = Field(default_factory=Service, alias="patient-service", description="patients")
    appointment_service: Service = Field(
        default_factory=Service,
        alias="appointment-service",
        description="appointments",
    )
    analytics_service: Service = Field(default_factory=Service, alias="analytics-service", description="counters")
    api_gateway: Service = Field(default_factory=Service, alias="api-gateway", description="the door")

    def get(self, name: str) -> Service:
        """A service by its name on the wire."""
        service: Service = getattr(self, name.replace("-", "_"))
        return service


class Images(Part):
    """Where the services' images come from."""

    registry: str = Field(
        "", max_length=255, description="stands before every image's name, e.g. registry.example/team"
    )
    tag: str = Field("latest", max_length=128, pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$", description="of every image")
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field("IfNotPresent", description="when nodes pull")
    pull_secrets: list[SecretName] = Field(default_factory=list, max_length=8, description="Secrets for the registry")


class Storage(Part):
    """A volume."""

    size: Size = Field("8Gi", description="its size; growing depends on the storage class")
    class_name: str = Field("", max_length=253, description="its StorageClass; empty: the cluster's default")


class SmallStorage(Storage):
    """The volume of a cache."""

    size: Size = Field("1Gi", description="its size; growing depends on the storage class")


class KafkaAccess(Part):
    """How an external Kafka is spoken to."""

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="whether brokers speak TLS, and whether they want a name"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field("SCRAM-SHA-512", description="the proof")
    username: str = Field("", max_length=255, description="the name, with SASL")
    password_secret: SecretName | None = Field(None, description="a Secret with the key password")
    ca_secret: SecretName | None = Field(None, description="a Secret with the key ca.crt")


class Kafka(Part):
    """Kafka: Strimzi's, the built-in node, or one that is there already."""

    model_config = ConfigDict(
        json_schema_extra=_rules(
            _rule(
                "self.mode != 'external' || has(self.bootstrapServers)", "kafka.mode external needs bootstrapServers"
            ),
            _rule(
                "self.mode == 'external' || !has(self.bootstrapServers)", "bootstrapServers needs kafka.mode external"
            ),
            _rule("self.mode != 'builtin' || self.replicas == 1", "the built-in Kafka is one node"),
        )
    )
    mode: Literal["strimzi", "builtin", "external"] = Field("strimzi", description="who runs it")
    version: str = Field("4.1.0", max_length=16, pattern=r"^[0-9]+(\.[0-9]+){1,2}$", description="of Strimzi's Kafka")
    replicas: int = Field(1, ge=1, le=9, description="nodes, each broker and controller")
    storage: Storage = Field(default_factory=Storage, description="of each node")
    topic_prefix: str = Field(
        "", max_length=64, pattern=r"^[A-Za-z0-9._-]*$", description="before every topic, where a Kafka is shared"
    )
    topic_partitions: int = Field(3, ge=1, le=1000, description="of each topic")
    config: dict[str, Annotated[str, Field(max_length=255)]] = Field(
        default_factory=dict, description="further settings of Strimzi's brokers"
    )
    bootstrap_servers: str | None = Field(None, max_length=1024, description="host:port, several separated by commas")
    access: KafkaAccess = Field(default_factory=KafkaAccess, description="external: how it is spoken to")


class Postgres(Part):
    """PostgreSQL: CloudNativePG's, the built-in server, or databases that are there already."""

    model_config = ConfigDict(
        json_schema_extra=_rules(
            _rule("self.mode != 'builtin' || self.instances == 1", "the built-in PostgreSQL is one server"),
            _rule("self.mode != 'external' || size(self.secrets) > 0", "postgres.mode external needs secrets"),
        )
    )
    mode: Literal["cloudnative-pg", "builtin", "external"] = Field("cloudnative-pg", description="who runs it")
    version: str = Field("17", max_length=16, pattern=r"^[0-9]+(\.[0-9]+)?$", description="15 or newer")
    instances: int = Field(1, ge=1, le=9, description="servers; one is written to")
    storage: Storage = Field(default_factory=Storage, description="of each server")
    secrets: dict[str, SecretName] = Field(
        default_factory=dict,
        max_length=5,
        description="external: for each service a Secret with username, password, host, port and dbname",
    )
    tls: Literal["disable", "require", "verify-full"] = Field("disable", description="external: how it is spoken to")
    ca_secret: SecretName | None = Field(None, description="a Secret with the key ca.crt, for verify-full")


class Redis(Part):
    """The cache and the limits' memory: built-in Valkey, one that is there already, or none."""

    model_config = ConfigDict(
        json_schema_extra=_rules(_rule("self.mode != 'external' || has(self.host)", "redis.mode external needs host"))
    )
    mode: Literal["builtin", "external", "disabled"] = Field("builtin", description="who runs it")
    storage: SmallStorage = Field(default_factory=SmallStorage, description="of the built-in one")
    host: Host | None = Field(None, description="external: where it is")
    port: Port = Field(6379, description="external: its port")
    password_secret: SecretName | None = Field(None, description="external: a Secret with the key password")
    tls: bool = Field(False, description="external: whether it speaks TLS")
    ca_secret: SecretName | None = Field(None, description="external: a Secret with the key ca.crt")


class Monitoring(Part):
    """Metrics, alerts and dashboards."""

    mode: Literal["prometheus-operator", "builtin", "external", "disabled"] = Field(
        "prometheus-operator", description="external: only ServiceMonitors and rules, for a Prometheus that is there"
    )
    grafana: bool = Field(True, description="whether Grafana comes along")
    retention: str = Field(
        "15d", max_length=8, pattern=r"^[1-9][0-9]*(h|d|w)$", description="how long metrics are kept"
    )
    storage: Storage = Field(default_factory=Storage, description="of Prometheus")
    labels: dict[str, Annotated[str, Field(max_length=63)]] = Field(
        default_factory=dict, description="further labels of ServiceMonitors, where a Prometheus selects by them"
    )


class Exposure(Part):
    """How the platform is reached from outside; /actuator never is."""

    model_config = ConfigDict(
        json_schema_extra=_rules(
            _rule("self.mode != 'gateway-api' || size(self.gateways) > 0", "exposure.mode gateway-api needs gateways"),
        )
    )
    mode: Literal["gateway-api", "ingress", "none"] = Field("none", description="by HTTPRoute, by Ingress, or not")
    gateways: list[Name] = Field(default_factory=list, max_length=4, description="Gateways of this namespace")
    host: Host | None = Field(None, description="the name that it answers to")
    class_name: str = Field("", max_length=253, description="ingress: its class")
    tls_secret: SecretName | None = Field(None, description="ingress: its certificate")


class Auth(Part):
    """How tokens are signed: an RS256 pair is generated unless one is given."""

    existing_secret: SecretName | None = Field(None, description="a Secret with the key jwt-private-key (RSA, PEM)")
    admin_email: str | None = Field(None, max_length=255, description="the first ADMIN; its password is generated")


class Upgrade(Part):
    """What becomes of new images that do not come up."""

    rollback: bool = Field(True, description="return to the last images that worked")
    deadline_seconds: int = Field(600, ge=5, le=7200, description="how long new pods may take")


class Spec(Part):
    """The platform; an empty one is a whole platform on the three operators."""

    model_config = ConfigDict(
        json_schema_extra=_rules(
            _rule(
                "!(self.profile == 'production' && has(self.demoData) && self.demoData)",
                "demoData is refused with profile production",
            )
        )
    )
    profile: Literal["development", "production"] = Field(
        "development", description="production refuses placeholders and demo data"
    )
    demo_data: bool | None = Field(None, description="demo patients and the demo login; by default in development only")
    images: Images = Field(default_factory=Images, description="the services' images")
    services: Services = Field(default_factory=Services, description="the services")
    kafka: Kafka = Field(default_factory=Kafka, description="Kafka")
    postgres: Postgres = Field(default_factory=Postgres, description="PostgreSQL")
    redis: Redis = Field(default_factory=Redis, description="Redis")
    monitoring: Monitoring = Field(default_factory=Monitoring, description="metrics, alerts, dashboards")
    exposure: Exposure = Field(default_factory=Exposure, description="the way in")
    auth: Auth = Field(default_factory=Auth, description="tokens")
    network_policies: bool = Field(True, description="whether only those talk to one another who have to")
    suspend: bool = Field(False, description="true: nothing is changed until it is false again")
    deletion_policy: Literal["Retain", "Delete"] = Field(
        "Retain", description="what becomes of data and its Secrets when the platform is deleted"
    )
    drift_correction: bool = Field(True, description="whether what others change or delete is put back")
    upgrade: Upgrade = Field(default_factory=Upgrade, description="new images that fail")

    @property
    def demo(self) -> bool:
        """Whether demo data is wanted."""
        return self.demo_data if self.demo_data is not None else self.profile == "development"
