"""What the API server lets through but cannot work: one sentence each; pure."""

import base64
from collections.abc import Iterator, Mapping
from itertools import chain

from healthcare_operator import alertmanager, kafka_config
from healthcare_operator.platform import Manifest, Platform
from healthcare_operator.service_values import WITH_DATABASE
from healthcare_operator.spec import SERVICES, Spec, naming
from healthcare_operator.values import COMPONENTS, given

DATABASE_KEYS = frozenset({"username", "password", "host", "port", "dbname"})
OLDEST_POSTGRES = 15
_FIXED = frozenset({"fullnameOverride", "nameOverride", "partOf", "mode", "global", "service"})
_IMAGE = frozenset({"image"})


def referenced(platform: Platform) -> dict[str, frozenset[str]]:
    """The Secrets that are not ours → the keys that they need."""
    spec = platform.spec
    found: dict[str, frozenset[str]] = {}
    if spec.postgres.mode == "external":
        found |= dict.fromkeys(spec.postgres.secrets.values(), DATABASE_KEYS)
        found |= _one(spec.postgres.ca_secret, "ca.crt")
    if spec.kafka.mode == "external":
        found |= _one(spec.kafka.access.password_secret, "password") | _one(spec.kafka.access.ca_secret, "ca.crt")
    if spec.redis.mode == "external":
        found |= _one(spec.redis.password_secret, "password") | _one(spec.redis.ca_secret, "ca.crt")
    if spec.monitoring.mode in ("builtin", "prometheus-operator"):
        found |= _one(spec.monitoring.alertmanager_secret, "alertmanager.yaml")
    return found | _one(spec.auth.existing_secret, "jwt-private-key")


def fault(platform: Platform, secrets: Mapping[str, Manifest]) -> str | None:
    """The first thing that cannot work, as one sentence; None when everything can.

    `secrets` are those of the namespace that `referenced` names and that are there.
    """
    spec = platform.spec
    every = chain(
        _name(platform),
        _secrets(platform, secrets),
        _alertmanager(spec, secrets),
        _external(spec),
        _own(spec),
        _values(platform),
    )
    return next(every, None)


def _name(platform: Platform) -> Iterator[str]:
    """A platform that is older than the rules of its definition."""
    if said := naming.fault(platform.name):
        yield f"{said}."


def _external(spec: Spec) -> Iterator[str]:
    """Servers of others: what is said of them has to suffice."""
    access = spec.kafka.access
    if spec.kafka.mode == "external" and not spec.kafka.bootstrap_servers:
        yield "kafka.mode external needs bootstrapServers."
    if access.security_protocol.startswith("SASL") and not (access.username and access.password_secret):
        yield "kafka.access with SASL needs username and passwordSecret."
    if spec.redis.mode == "external" and not spec.redis.host:
        yield "redis.mode external needs host."
    if spec.exposure.mode == "gateway-api" and not spec.exposure.gateways:
        yield "exposure.mode gateway-api needs gateways."
    if spec.postgres.mode == "external":
        if len(set(spec.postgres.secrets.values())) < len(spec.postgres.secrets):
            yield "postgres.secrets has one Secret for two services: each needs a database of its own."
        for service in WITH_DATABASE:
            if spec.services.get(service).enabled and service not in spec.postgres.secrets:
                yield f"postgres.secrets has no entry for {service}, which is enabled."


def _own(spec: Spec) -> Iterator[str]:
    """What runs here."""
    if spec.profile == "production" and spec.demo_data:
        yield "demoData is refused with profile production."
    if int(spec.postgres.version.partition(".")[0]) < OLDEST_POSTGRES:
        yield f"postgres.version has to be {OLDEST_POSTGRES} or newer."
    if spec.kafka.mode == "builtin" and spec.kafka.replicas > 1:
        yield "the built-in Kafka is one node, and kafka.replicas asks for more."
    if spec.postgres.mode == "builtin" and spec.postgres.instances > 1:
        yield "the built-in PostgreSQL is one server, and postgres.instances asks for more."
    for key in spec.kafka.config:
        if kafka_config.ignored(key):
            yield f"kafka.config.{key} is managed by Strimzi and cannot be set."
    for name in SERVICES:
        scaling = spec.services.get(name).autoscaling
        if scaling.enabled and scaling.min_replicas > scaling.max_replicas:
            yield f"services.{name}.autoscaling.minReplicas is above maxReplicas."


def _values(platform: Platform) -> Iterator[str]:
    """The field `values` may say everything but what the operator finds its objects by, and an upgrade's images."""
    for component in COMPONENTS:
        fixed = _FIXED | (_IMAGE if component in SERVICES else frozenset())
        for key in sorted(fixed & given(platform, component).keys()):
            where = f"services.{component}" if component in SERVICES else component
            yield f"{where}.values.{key} is what the operator itself says and cannot be given."


def _secrets(platform: Platform, secrets: Mapping[str, Manifest]) -> Iterator[str]:
    for name, keys in referenced(platform).items():
        if name not in secrets:
            yield f"Secret {name} is referenced and does not exist in namespace {platform.namespace}."
        elif lacking := sorted(keys - (secrets[name].get("data") or {}).keys()):
            yield f"Secret {name} lacks the key {lacking[0]}."


def _alertmanager(spec: Spec, secrets: Mapping[str, Manifest]) -> Iterator[str]:
    """A text that is none would let Alertmanager fail for ever, and nobody be told of any alert."""
    name = spec.monitoring.alertmanager_secret
    if name and name in secrets and spec.monitoring.mode in ("builtin", "prometheus-operator"):
        key = "alertmanager.yaml"
        text = base64.b64decode((secrets[name].get("data") or {}).get(key, "")).decode(errors="replace")
        if said := alertmanager.fault(text):
            yield f"Secret {name}: {key} {said}."


def _one(name: str | None, key: str) -> dict[str, frozenset[str]]:
    return {name: frozenset({key})} if name else {}
