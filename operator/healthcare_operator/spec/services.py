"""The platform's own services: which run, how many pods, which images."""

from typing import Annotated, Literal

from pydantic import Field

from healthcare_operator.spec.fields import (
    Image,
    Part,
    Placement,
    Registry,
    Resources,
    SecretName,
    Tag,
    Values,
    overrides,
    rule,
    ruled,
)

SERVICES = (
    "auth-service",
    "billing-service",
    "patient-service",
    "appointment-service",
    "analytics-service",
    "api-gateway",
)
"""In the order in which they start: each after those it talks to."""


class Autoscaling(Part):
    """How many pods a service has when it follows its load."""

    model_config = ruled(
        rule("self.minReplicas <= self.maxReplicas", "autoscaling.minReplicas is above maxReplicas"),
        rule("!(self.enabled && self.external)", "autoscaling.enabled and autoscaling.external exclude each other"),
    )
    enabled: bool = Field(
        False,
        description="Whether a HorizontalPodAutoscaler decides the number of pods. It needs the metrics server.",
    )
    external: bool = Field(
        False, description="Whether an autoscaler of yours decides it: then `replicas` is not set on the Deployment."
    )
    min_replicas: int = Field(2, ge=1, le=100, description="The fewest pods that it goes down to.")
    max_replicas: int = Field(6, ge=1, le=100, description="The most pods that it goes up to.")
    target_cpu_utilization_percentage: int = Field(
        75,
        ge=1,
        le=100,
        alias="targetCPUUtilizationPercentage",
        description="The mean CPU load, in percent of what pods request, that it steers towards.",
    )


class Service(Placement):
    """One of the platform's services."""

    enabled: bool = Field(True, description="Whether the service runs. False removes its pods and keeps its data.")
    replicas: int = Field(1, ge=0, le=100, description="How many pods, unless autoscaling is enabled.")
    image: Image | None = Field(
        None, description="A whole image reference, tag or digest included, instead of spec.images."
    )
    resources: Resources | None = Field(
        None, description="Requests and limits of its container. What is left out stays as the chart has it."
    )
    autoscaling: Autoscaling = Field(
        default_factory=Autoscaling, description="Let the number of pods follow the load, within bounds."
    )
    env: dict[str, Annotated[str, Field(max_length=4096)]] = Field(
        default_factory=dict,
        description="Settings of the service by variable (docs/configuration.md). Passwords are refused here.",
    )
    values: Values = overrides()


class Services(Part):
    """The services; each is there unless it is disabled."""

    auth_service: Service = Field(
        default_factory=Service, alias="auth-service", description="Accounts, logins and the tokens that others check."
    )
    billing_service: Service = Field(
        default_factory=Service, alias="billing-service", description="Billing accounts, over gRPC and Kafka."
    )
    patient_service: Service = Field(
        default_factory=Service, alias="patient-service", description="Patients and their events."
    )
    appointment_service: Service = Field(
        default_factory=Service,
        alias="appointment-service",
        description="Appointments, and a copy of the patients that they are with.",
    )
    analytics_service: Service = Field(
        default_factory=Service, alias="analytics-service", description="Counts of everything that happens."
    )
    api_gateway: Service = Field(
        default_factory=Service, alias="api-gateway", description="The one door: routes, tokens, limits, console."
    )

    def get(self, name: str) -> Service:
        """A service by its name on the wire."""
        service: Service = getattr(self, name.replace("-", "_"))
        return service


class Images(Part):
    """Where the services' images come from."""

    registry: Registry = Field(
        "", description="What stands before the name of every image, such as registry.example/team."
    )
    tag: Tag = Field("latest", description="The tag of every service's image: changing it upgrades the platform.")
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        "IfNotPresent", description="When nodes pull an image, as in a pod."
    )
    pull_secrets: list[SecretName] = Field(
        default_factory=list, max_length=8, description="Secrets of type dockerconfigjson with which nodes pull."
    )
