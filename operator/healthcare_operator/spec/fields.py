"""What the fields of a spec are made of: names, sizes, quantities, and the rules that the API server tries (CEL)."""

import json
import re
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, StrictInt
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

Rule = dict[str, str | bool]

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_NUMBER = r"[+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)"
_SUFFIX = "([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?"
_SERVER = r"([A-Za-z0-9_]([-A-Za-z0-9_.]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\])"
_REGISTRY = r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]+)?"
_PATH = "[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*"
_TAG = "[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
_DIGEST = "@sha256:[0-9a-f]{64}"


def rule(expression: str, message: str) -> Rule:
    """One rule in CEL, and the sentence with which the API server refuses what breaks it."""
    return {"rule": expression, "message": message}


@dataclass(frozen=True)
class Worded:
    """Text of a form that a sentence explains: the API server would answer with the pattern alone.

    The sentence is CEL's message, and the operator's own where a resource is older than the rule.
    """

    known: ClassVar[list["Worded"]] = []
    pattern: str
    sentence: str
    longest: int

    def __post_init__(self) -> None:
        self.known.append(self)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        told = rule(f"self.matches({json.dumps(f'^({self.pattern})$')})", self.sentence)
        return handler(schema) | {"maxLength": self.longest, "x-kubernetes-validations": [told]}

    def _checked(self, text: str) -> str:
        if len(text) > self.longest or re.fullmatch(self.pattern, text) is None:
            raise ValueError(self.sentence)
        return text


Name = Annotated[str, Field(max_length=63, pattern=rf"^{_LABEL}$")]
SecretName = Annotated[str, Field(max_length=253, pattern=rf"^{_SUBDOMAIN}$")]
ClassName = Annotated[str, Field(max_length=253, pattern=rf"^({_SUBDOMAIN})?$")]
Size = Annotated[
    str,
    Worded(
        rf"[+]?0*(\.0*)?[1-9][0-9]*(\.[0-9]*)?{_SUFFIX}|[+]?0*\.0*[1-9][0-9]*{_SUFFIX}",
        "a volume's size is a quantity of Kubernetes above zero, such as 20Gi, 0.5Ti or 1e10",
        32,
    ),
]
Port = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[
    str, Worded(_SERVER, "a host is a name or an address, such as redis.example or [fd00::1], without https://", 253)
]
PublicHost = Annotated[
    str,
    Worded(
        rf"(\*\.)?{_SUBDOMAIN}",
        "a host is a DNS name in small letters, such as care.example or *.care.example, without https:// and port",
        253,
    ),
]
Servers = Annotated[
    str,
    Worded(
        rf"{_SERVER}:[0-9]+(,{_SERVER}:[0-9]+)*",
        "servers are host:port, several separated by commas, without a blank",
        1024,
    ),
]
Registry = Annotated[
    str,
    Worded(
        rf"({_REGISTRY}(/{_PATH})*/?)?",
        "a registry is host[:port][/path], such as registry.example/team, in small letters and without https://",
        230,
    ),
]
Tag = Annotated[
    str,
    Worded(
        f"{_TAG}({_DIGEST})?",
        "a tag has letters, digits, dots, dashes and underscores, 128 at most, and may end with @sha256: and a digest",
        200,
    ),
]
Image = Annotated[
    str,
    Worded(
        f"({_REGISTRY}/)?{_PATH}(/{_PATH})*(:{_TAG})?({_DIGEST})?",
        "an image is [registry/]name[:tag][@sha256:digest] in small letters, without https://",
        512,
    ),
]
Text = Annotated[str, Field(max_length=253)]
Annotation = Annotated[str, Field(max_length=262144)]
Label = Annotated[str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")]
Quantity = Annotated[str, Field(max_length=32, pattern=f"^{_NUMBER}{_SUFFIX}$")] | StrictInt
Quantities = dict[str, Quantity]

FIXED_VOLUME = "self.mode != 'builtin' || oldSelf.mode != 'builtin' || self.storage == oldSelf.storage"
"""A StatefulSet's volumes are as they were when it was made."""


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


_FREE = {"x-kubernetes-preserve-unknown-fields": True}
FreeObject = Annotated[dict[str, Any], Field(json_schema_extra=dict(_FREE))]
"""An object of Kubernetes' own, whose fields the API server knows."""


class Placement(Part):
    """Which nodes take the pods, and how much they matter; as in a pod."""

    affinity: dict[str, Any] = Field(
        default_factory=dict,
        description="Near and far from which nodes and pods they run, as in a pod.",
        json_schema_extra=dict(_FREE),
    )
    node_selector: dict[str, Label] = Field(
        default_factory=dict, description="Labels that a node has to have, such as disk: fast."
    )
    tolerations: list[FreeObject] = Field(
        default_factory=list, max_length=16, description="Taints of nodes that the pods put up with, as in a pod."
    )
    priority_class_name: ClassName = Field("", description="Their PriorityClass. Empty means the cluster's default.")


def overrides() -> Any:
    """The field `values`: whatever else a component's chart can be told."""
    return Field(
        default_factory=dict,
        description=(
            "Further values of the component's Helm chart, laid over those that follow from this resource, for what has"
            " no field here (docs/charts.md). The chart's schema decides what is accepted."
        ),
        json_schema_extra=dict(_FREE),
    )


Values = dict[str, Any]
