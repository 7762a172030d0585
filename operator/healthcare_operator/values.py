"""A platform → the values of each component's chart; pure. None means that there is nothing to install."""

from collections.abc import Callable, Mapping
from typing import Any

from healthcare_operator import service_values
from healthcare_operator.platform import Platform
from healthcare_operator.service_values import (
    PORTS,
    WITH_DATABASE,
    common,
    database_of,
    exporter,
    kafka_secrets,
    watched,
)
from healthcare_operator.spec import SERVICES

Values = dict[str, Any]

INFRASTRUCTURE = ("kafka", "postgres", "redis")
"""What the services wait for."""

EXPORTERS = {"postgres": 9187, "redis": 9121}
"""Where the exporter of a built-in server answers."""

COMPONENTS = (*INFRASTRUCTURE, *SERVICES, "monitoring")
"""Everything that a platform is made of, in the order in which it is applied."""


def of(platform: Platform, component: str) -> Values | None:
    """Values of a component's chart: what the spec leads to, and over it what its field `values` says."""
    made = service_values.service(platform, component) if component in SERVICES else _OTHERS[component](platform)
    return None if made is None else _laid_over(made, given(platform, component))


def given(platform: Platform, component: str) -> Mapping[str, Any]:
    """The field `values` of a component."""
    spec = platform.spec
    return spec.services.get(component).values if component in SERVICES else getattr(spec, component).values


def _laid_over(made: Values, over: Mapping[str, Any]) -> Values:
    both = {key: (made[key], over[key]) for key in made.keys() & over.keys()}
    nested = {key: _laid_over(*pair) for key, pair in both.items() if all(isinstance(each, dict) for each in pair)}
    return {**made, **over, **nested}


def kafka(platform: Platform) -> Values | None:
    """Values of the chart kafka."""
    spec = platform.spec.kafka
    if spec.mode == "external":
        return None
    made = common(platform, "kafka") | {
        "mode": spec.mode,
        "replicas": spec.replicas,
        "replicationFactor": min(3, spec.replicas),
        "storage": {
            "size": spec.storage.size,
            "className": spec.storage.class_name,
            "deleteClaim": platform.spec.deletion_policy == "Delete",
        },
        "topicPrefix": spec.topic_prefix,
        "topicPartitions": spec.topic_partitions,
        "config": dict(spec.config),
        "userSecrets": kafka_secrets(platform) if spec.mode == "strimzi" else {},
        "metrics": watched(platform),
        "cruiseControl": {"enabled": spec.cruise_control},
        "networkPolicy": {"enabled": platform.spec.network_policies},
    }
    if spec.version:
        made |= {"version": spec.version} if spec.mode == "strimzi" else {"image": {"tag": spec.version}}
    return made | _resources(spec)


def postgres(platform: Platform) -> Values | None:
    """Values of the chart postgres."""
    spec = platform.spec.postgres
    if spec.mode == "external":
        return None
    databases = [
        {"name": database_of(name), "role": database_of(name), "secret": platform.named(f"{name}-db")}
        for name in WITH_DATABASE
    ]
    made = common(platform, "postgres") | {
        "mode": spec.mode,
        "version": spec.version,
        "image": {"tag": f"{spec.version}-alpine"},
        "instances": spec.instances,
        "storage": {"size": spec.storage.size, "className": spec.storage.class_name},
        "databases": databases,
        "superuserSecret": platform.named("postgres-superuser"),
        "databaseReclaimPolicy": platform.spec.deletion_policy.lower(),
        "exporter": exporter(platform),
        "podMonitor": watched(platform),
        "networkPolicy": _fenced(platform),
    }
    return made | _resources(spec)


def redis(platform: Platform) -> Values | None:
    """Values of the chart redis."""
    spec = platform.spec.redis
    if spec.mode != "builtin":
        return None
    made = common(platform, "redis") | {
        "existingSecret": platform.named("redis"),
        "storage": {"size": spec.storage.size, "className": spec.storage.class_name},
        "exporter": exporter(platform),
        "podMonitor": watched(platform),
        "networkPolicy": _fenced(platform),
    }
    return made | _resources(spec)


def monitoring(platform: Platform) -> Values | None:
    """Values of the chart monitoring."""
    spec = platform.spec.monitoring
    if spec.mode == "disabled":
        return None
    running = [name for name in SERVICES if platform.spec.services.get(name).enabled]
    return common(platform, "monitoring") | {
        "mode": spec.mode,
        "labels": dict(spec.labels),
        "runbookBaseUrl": spec.runbook_base_url,
        "prometheus": {
            "retention": spec.retention,
            "storage": {"size": spec.storage.size, "className": spec.storage.class_name},
        },
        "alertmanager": {"configSecret": spec.alertmanager_secret or ""},
        "grafana": {"enabled": spec.grafana, "existingSecret": platform.named("grafana")},
        "targets": {name: f"{platform.named(name)}:{PORTS[name]}" for name in running},
        "exporters": _exporters(platform),
        "networkPolicy": {"enabled": platform.spec.network_policies},
    }


def _fenced(platform: Platform) -> Values:
    asked = ["prometheus"] if platform.spec.monitoring.mode == "external" else []
    return {"enabled": platform.spec.network_policies, "external": asked}


def _exporters(platform: Platform) -> Values:
    modes = {"postgres": platform.spec.postgres.mode, "redis": platform.spec.redis.mode}
    built_in = [name for name, mode in modes.items() if mode == "builtin" and exporter(platform)["enabled"]]
    return {name: f"{platform.named(name)}:{EXPORTERS[name]}" for name in built_in}


def _resources(spec: Any) -> Values:
    return {} if spec.resources is None else {"resources": spec.resources.model_dump()}


_OTHERS: dict[str, Callable[[Platform], Values | None]] = {
    "kafka": kafka,
    "postgres": postgres,
    "redis": redis,
    "monitoring": monitoring,
}
