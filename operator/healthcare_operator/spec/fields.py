"""What the fields of a spec are made of: names, sizes, quantities, and the rules that the API server tries (CEL)."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Name = Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
SecretName = Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
ClassName = Annotated[str, Field(max_length=253, pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$")]
Size = Annotated[str, Field(max_length=16, pattern=r"^[1-9][0-9]*(Mi|Gi|Ti)$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[str, Field(max_length=253, pattern=r"^[A-Za-z0-9.-]+$")]
Text = Annotated[str, Field(max_length=253)]
Label = Annotated[str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")]
Quantity = Annotated[str, Field(max_length=32, pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")] | int
Quantities = dict[str, Quantity]

FIXED_VOLUME = "self.mode != 'builtin' || oldSelf.mode != 'builtin' || self.storage == oldSelf.storage"
"""A StatefulSet's volumes are as they were when it was made."""

Rule = dict[str, str | bool]


def rule(expression: str, message: str) -> Rule:
    """One rule in CEL, and the sentence with which the API server refuses what breaks it."""
    return {"rule": expression, "message": message}


def ruled(*rules: Rule) -> ConfigDict:
    """The configuration of a part with rules; one that speaks of `oldSelf` is tried on changes only."""
    told: list[Any] = list(rules)
    return ConfigDict(json_schema_extra={"x-kubernetes-validations": told})


class Part(BaseModel):
    """A part of the resource."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Resources(Part):
    """What a container asks for and may use."""

    requests: Quantities = Field(
        default_factory=dict, description="What a node sets aside for the container, e.g. cpu: 100m, memory: 128Mi."
    )
    limits: Quantities = Field(
        default_factory=dict, description="What the container may use at most, e.g. memory: 384Mi."
    )


class Storage(Part):
    """A persistent volume."""

    model_config = ruled(
        rule("self.className == oldSelf.className", "the storage class of a volume cannot be changed"),
        rule("quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0", "a volume cannot be made smaller"),
    )
    size: Size = Field("8Gi", description="Its size, such as 20Gi. Growing it needs a StorageClass that can expand.")
    class_name: ClassName = Field("", description="Its StorageClass. Empty means the cluster's default.")


def overrides() -> Any:
    """The field `values`: whatever else a component's chart can be told."""
    return Field(
        default_factory=dict,
        description=(
            "Further values of the component's Helm chart, laid over those that follow from this resource, for what has"
            " no field here (docs/charts.md). The chart's schema decides what is accepted."
        ),
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )


Values = dict[str, Any]
