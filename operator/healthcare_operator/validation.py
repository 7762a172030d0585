"""What the API server lets through but cannot work: one sentence each; pure."""

from collections.abc import Mapping

from healthcare_operator.platform import Manifest, Platform
from healthcare_operator.spec import SERVICES
from healthcare_operator.values import WITH_DATABASE

DATABASE_KEYS = frozenset({"username", "password", "host", "port", "dbname"})
_FORBIDDEN = (
    "listeners",
    "advertised.",
    "broker.",
    "node.id",
    "process.roles",
    "controller.",
    "log.dir",
    "ssl.",
    "sasl.",
)


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
    return found | _one(spec.auth.existing_secret, "jwt-private-key")


def fault(platform: Platform, secrets: Mapping[str, Manifest]) -> str | None:
    """The first thing that cannot work, as one sentence; None when everything can.

    `secrets` are those of the namespace that `referenced` names and that are there.
    """
    return _missing_secret(platform, secrets) or _contradiction(platform)


def _missing_secret(platform: Platform, secrets: Mapping[str, Manifest]) -> str | None:
    for name, keys in referenced(platform).items():
        if name not in secrets:
            return f"Secret {name} is referenced and does not exist in namespace {platform.namespace}."
        if lacking := sorted(keys - (secrets[name].get("data") or {}).keys()):
            return f"Secret {name} lacks the key {lacking[0]}."
    return None


def _contradiction(platform: Platform) -> str | None:
    spec = platform.spec
    if spec.postgres.mode == "external":
        for service in WITH_DATABASE:
            if spec.services.get(service).enabled and service not in spec.postgres.secrets:
                return f"postgres.secrets has no entry for {service}, which is enabled."
    if spec.profile == "production" and spec.demo_data:
        return "demoData is refused with profile production."
    if int(spec.postgres.version.partition(".")[0]) < 15:
        return "postgres.version has to be 15 or newer."
    for key in spec.kafka.config:
        if key.startswith(_FORBIDDEN):
            return f"kafka.config.{key} is managed by Strimzi and cannot be set."
    for name in SERVICES:
        scaling = spec.services.get(name).autoscaling
        if scaling.enabled and scaling.min_replicas > scaling.max_replicas:
            return f"services.{name}.autoscaling.minReplicas is above maxReplicas."
    return None


def _one(name: str | None, key: str) -> dict[str, frozenset[str]]:
    return {name: frozenset({key})} if name else {}
