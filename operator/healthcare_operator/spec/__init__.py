"""What a HealthcarePlatform asks for. These models are the source of the CRD: its schema, defaults and descriptions."""

from typing import Literal

from pydantic import Field

from healthcare_operator.spec.fields import Annotation, ClassName, Name, Part, PublicHost, SecretName, Text, rule, ruled
from healthcare_operator.spec.kafka import Kafka
from healthcare_operator.spec.monitoring import Monitoring
from healthcare_operator.spec.postgres import Postgres
from healthcare_operator.spec.redis import Redis
from healthcare_operator.spec.services import SERVICES, Images, Service, Services

__all__ = ["SERVICES", "Gateway", "Kafka", "Monitoring", "Postgres", "Redis", "Service", "Spec"]


class Gateway(Part):
    """A Gateway of Gateway API that the platform's HTTPRoute attaches to."""

    name: Name = Field(description="The name of the Gateway.")
    namespace: Name | None = Field(None, description="Its namespace. Left out: the platform's own.")
    section_name: Text | None = Field(None, description="One of its listeners. Left out: all that allow it.")


class Exposure(Part):
    """How the platform is reached from outside; /actuator never is."""

    model_config = ruled(
        rule("self.mode != 'gateway-api' || size(self.gateways) > 0", "exposure.mode gateway-api needs gateways"),
        rule("self.mode == 'gateway-api' || size(self.gateways) == 0", "exposure.gateways needs mode gateway-api"),
        rule(
            "self.mode == 'ingress' || (self.className == '' && !has(self.tlsSecret) && size(self.annotations) == 0)",
            "exposure.className, tlsSecret and annotations need mode ingress",
        ),
    )
    mode: Literal["gateway-api", "ingress", "none"] = Field(
        "none",
        description=(
            "How requests from outside reach the gateway: by an HTTPRoute of Gateway API, by an Ingress, or not at all."
            " Only /api, /auth, /api-docs, /console and /.well-known are let in."
        ),
    )
    gateways: list[Gateway] = Field(
        default_factory=list, max_length=4, description="gateway-api: the Gateways that the HTTPRoute attaches to."
    )
    host: PublicHost | None = Field(
        None, description="The name that it answers to, such as care.example or *.care.example. Left out: any."
    )
    hosts: list[PublicHost] = Field(default_factory=list, max_length=16, description="Further names of that kind.")
    class_name: ClassName = Field("", description="ingress: its IngressClass. Empty means the cluster's default.")
    tls_secret: SecretName | None = Field(None, description="ingress: a Secret of type tls with its certificate.")
    annotations: dict[str, Annotation] = Field(
        default_factory=dict, description="ingress: annotations for its controller or for cert-manager."
    )


class Auth(Part):
    """How tokens are signed: an RS256 pair is generated unless one is given."""

    existing_secret: SecretName | None = Field(
        None,
        description="A Secret whose key `jwt-private-key` has the RSA key (PEM) that signs. Left out: one is made.",
    )
    admin_email: str | None = Field(
        None,
        max_length=255,
        pattern=r"^[^@ ]+@[^@ ]+$",
        description="The first ADMIN. Its password is made and kept in the Secret <platform>-admin, key `password`.",
    )


class Upgrade(Part):
    """What becomes of new images that do not come up."""

    rollback: bool = Field(True, description="Whether to return to the last images that worked.")
    deadline_seconds: int = Field(
        600, ge=5, le=7200, description="How long new pods may take to become ready before that happens."
    )


class Spec(Part):
    """The platform; an empty one is a whole platform on the three operators."""

    model_config = ruled(
        rule(
            "!(self.profile == 'production' && has(self.demoData) && self.demoData)",
            "demoData is refused with profile production",
        ),
    )
    profile: Literal["development", "production"] = Field(
        "development", description="production refuses placeholder secrets, demo data and open registration."
    )
    demo_data: bool | None = Field(
        None, description="Whether to put in demo patients and the demo login. Left out: in development only."
    )
    images: Images = Field(default_factory=Images, description="Where the services' images come from, and which tag.")
    services: Services = Field(default_factory=Services, description="The six services, each with its own settings.")
    kafka: Kafka = Field(default_factory=Kafka, description="Kafka, which carries the events between services.")
    postgres: Postgres = Field(default_factory=Postgres, description="PostgreSQL, a database for each service.")
    redis: Redis = Field(default_factory=Redis, description="Redis, the cache and the memory of the gateway's limits.")
    monitoring: Monitoring = Field(default_factory=Monitoring, description="Prometheus, alerts and Grafana.")
    exposure: Exposure = Field(default_factory=Exposure, description="How requests from outside get in.")
    auth: Auth = Field(default_factory=Auth, description="How tokens are signed, and who is the first administrator.")
    openshift: bool = Field(
        False, description="Whether user and group ids are left to the platform, as OpenShift gives them by namespace."
    )
    network_policies: bool = Field(
        True, description="Whether NetworkPolicies let only those talk to one another who have to."
    )
    suspend: bool = Field(False, description="True leaves everything as it is until it is false again.")
    deletion_policy: Literal["Retain", "Delete"] = Field(
        "Retain",
        description=(
            "What becomes of data when the platform is deleted. Retain keeps volumes, databases, topics and their"
            " Secrets, and a new platform of that name takes them over. Delete keeps nothing."
        ),
    )
    drift_correction: bool = Field(
        True, description="Whether objects that others change or delete are put back as they should be."
    )
    upgrade: Upgrade = Field(default_factory=Upgrade, description="What becomes of new images that do not come up.")

    @property
    def demo(self) -> bool:
        """Whether demo data is wanted."""
        return self.demo_data if self.demo_data is not None else self.profile == "development"
