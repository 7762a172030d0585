"""Metrics, alerts and dashboards."""

from typing import Annotated, Literal

from pydantic import Field

from healthcare_operator.spec.fields import (
    FIXED_VOLUME,
    Label,
    Placement,
    SecretName,
    Storage,
    Values,
    Worded,
    overrides,
    rule,
    ruled,
)

Retention = Annotated[
    str,
    Worded(
        "[1-9][0-9]{0,5}h|[1-9][0-9]{0,4}d|[1-9][0-9]{0,3}w|[1-9][0-9]?y",
        "retention is a number of hours, days, weeks or years, such as 12h, 15d, 4w or 1y, less than 200 years",
        8,
    ),
]


class Monitoring(Placement):
    """Metrics, alerts and dashboards."""

    model_config = ruled(rule(FIXED_VOLUME, "the volume of the built-in Prometheus cannot be changed"))
    mode: Literal["prometheus-operator", "builtin", "external", "disabled"] = Field(
        "prometheus-operator",
        description=(
            "Who watches. prometheus-operator: a Prometheus and an Alertmanager of its own by that operator. builtin:"
            " the same without an operator. external: monitors, rules and dashboards only, for a Prometheus and a"
            " Grafana that are there. disabled: nothing."
        ),
    )
    grafana: bool = Field(True, description="Whether Grafana comes along; in mode external its dashboards only.")
    exporters: bool = Field(
        False,
        description=(
            "Whether an exporter runs beside the built-in PostgreSQL and Redis: InfrastructureDown and the dashboard"
            " Infrastructure speak of them then. CloudNativePG and Strimzi bring their own."
        ),
    )
    retention: Retention = Field("15d", description="How long Prometheus keeps metrics, such as 12h, 15d, 4w or 1y.")
    storage: Storage = Field(default_factory=Storage, description="The volume of Prometheus.")
    alertmanager_secret: SecretName | None = Field(
        None,
        description="A Secret whose key `alertmanager.yaml` says whom alerts are sent to. Without it: nobody.",
    )
    runbook_base_url: Annotated[str, Field(max_length=253, pattern=r"^(https?://[^ \"]*[^ /\"])?$")] = Field(
        "",
        description=(
            "Where this repository's files can be read on the web, such as https://git.example/healthcare/blob/v1.2.3:"
            " the runbook of each alert is found there. Empty: the release's own, or a path in the repository."
        ),
    )
    labels: dict[str, Label] = Field(
        default_factory=dict,
        description="Further labels of monitors and rules, where a Prometheus selects by them: release: prometheus.",
    )
    values: Values = overrides()
