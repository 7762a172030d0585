"""A platform → the values of a service's chart; pure. None means that it is disabled."""

from typing import Any

from healthcare_operator.platform import Platform
from healthcare_operator.spec import SERVICES, Kafka
from healthcare_operator.spec.fields import Placement

PORTS = {
    "auth-service": 4005,
    "billing-service": 4001,
    "patient-service": 4000,
    "appointment-service": 4006,
    "analytics-service": 4002,
    "api-gateway": 4004,
}
WITH_DATABASE = ("auth-service", "billing-service", "patient-service", "appointment-service", "analytics-service")
WITH_REDIS = ("patient-service", "appointment-service", "api-gateway")
WITH_DEMO = ("auth-service", "patient-service", "appointment-service")


def database_of(service: str) -> str:
    """The name of a service's database, and of its role."""
    return service.removesuffix("-service")


def kafka_secrets(platform: Platform) -> dict[str, str]:
    """By service, the Secret whose password Strimzi gives its user; the Secret of the user's name is Strimzi's own."""
    return {name: platform.named(f"{name}-kafka") for name in WITH_DATABASE}


def common(platform: Platform, component: str) -> dict[str, Any]:
    """What the values of every chart begin with: names, placement, and who gives the ids."""
    spec = platform.spec
    part: Placement = spec.services.get(component) if component in SERVICES else getattr(spec, component)
    return {
        "fullnameOverride": platform.named(component),
        "partOf": platform.name,
        "imagePullSecrets": [{"name": secret} for secret in spec.images.pull_secrets],
        "openshift": spec.openshift,
        **part.model_dump(by_alias=True, include=set(Placement.model_fields)),
    }


def watched(platform: Platform) -> dict[str, Any]:
    """Whether a ServiceMonitor or PodMonitor is made, and with which labels."""
    spec = platform.spec.monitoring
    return {"enabled": spec.mode in ("prometheus-operator", "external"), "labels": dict(spec.labels)}


def exporter(platform: Platform) -> dict[str, Any]:
    """Whether a built-in server has an exporter beside it."""
    spec = platform.spec.monitoring
    return {"enabled": spec.exporters and spec.mode != "disabled"}


def service(platform: Platform, name: str) -> dict[str, Any] | None:
    """Values of a service's chart."""
    spec = platform.spec.services.get(name)
    if not spec.enabled:
        return None
    demo = {"SQL_INIT_MODE": "always"} if name in WITH_DEMO and platform.spec.demo else {}
    values: dict[str, Any] = common(platform, name) | {
        "image": _image(platform, name),
        "replicas": spec.replicas,
        "autoscaling": spec.autoscaling.model_dump(by_alias=True),
        "appEnv": platform.spec.profile,
        "urls": _urls(platform, name),
        "env": demo | spec.env,
        "auth": _auth(platform, name),
        "networkPolicy": {"enabled": platform.spec.network_policies, "external": _external(platform)},
        "serviceMonitor": watched(platform),
    }
    if spec.resources is not None:
        values["resources"] = spec.resources.model_dump()
    if name in WITH_DATABASE:
        values |= {"database": _database(platform, name), "kafka": _kafka(platform, name)}
    if name in WITH_REDIS:
        values["redis"] = _redis(platform)
    return values | (_exposure(platform) if name == "api-gateway" else {})


def _image(platform: Platform, name: str) -> dict[str, Any]:
    reference, _, digest = platform.image(name).partition("@")
    head, slash, last = reference.rpartition("/")
    base, _, tag = last.partition(":")
    told = {"repository": f"{head}{slash}{base}", "tag": tag or "latest", "digest": digest}
    return told | {"pullPolicy": platform.spec.images.pull_policy}


def _urls(platform: Platform, name: str) -> dict[str, str]:
    if name == "patient-service":
        return {"BILLING_SERVICE_ADDRESS": f"{platform.named('billing-service')}-grpc:9001"}
    if name == "api-gateway":
        return {
            f"{service.replace('-', '_').upper()}_URL": f"http://{platform.named(service)}:{PORTS[service]}"
            for service in WITH_DATABASE
        }
    return {}


def _auth(platform: Platform, name: str) -> dict[str, Any]:
    keys = f"http://{platform.named('auth-service')}:{PORTS['auth-service']}/.well-known/jwks.json"
    if name != "auth-service":
        return {"jwksUrl": keys}
    spec = platform.spec.auth
    told = {"jwksUrl": keys, "existingSecret": spec.existing_secret or platform.named("auth")}
    admin = {"adminEmail": spec.admin_email, "adminSecret": platform.named("admin")} if spec.admin_email else {}
    return told | admin


def _external(platform: Platform) -> list[str]:
    """Whom the services talk to that is none of the platform's pods; those of other operators carry its labels too."""
    spec = platform.spec
    modes: dict[str, str] = {"database": spec.postgres.mode, "kafka": spec.kafka.mode, "redis": spec.redis.mode}
    modes["prometheus"] = spec.monitoring.mode
    return [name for name, mode in modes.items() if mode == "external"]


def _database(platform: Platform, name: str) -> dict[str, Any]:
    spec = platform.spec.postgres
    if spec.mode == "external":
        return {"existingSecret": spec.secrets.get(name, ""), "tls": spec.tls, "caSecret": spec.ca_secret or ""}
    made = {"existingSecret": platform.named(f"{name}-db")}
    if spec.mode == "builtin":
        return made
    return made | {"tls": "verify-full", "caSecret": f"{platform.named('postgres')}-ca"}


def _kafka(platform: Platform, name: str) -> dict[str, Any]:
    spec: Kafka = platform.spec.kafka
    common = {"topicPrefix": spec.topic_prefix, "partitions": spec.topic_partitions}
    if spec.mode == "strimzi":
        cluster = platform.named("kafka")
        return common | {
            "bootstrapServers": f"{cluster}-kafka-bootstrap:9093",
            "createTopics": False,
            "securityProtocol": "SASL_SSL",
            "username": f"{cluster}-{name}",
            "existingSecret": kafka_secrets(platform)[name],
            "caSecret": f"{cluster}-cluster-ca-cert",
        }
    if spec.mode == "builtin":
        return common | {"bootstrapServers": f"{platform.named('kafka')}:9092"}
    access = spec.access
    return common | {
        "bootstrapServers": spec.bootstrap_servers or "",
        "replicationFactor": min(3, spec.replicas),
        "securityProtocol": access.security_protocol,
        "saslMechanism": access.sasl_mechanism,
        "username": access.username,
        "existingSecret": access.password_secret or "",
        "caSecret": access.ca_secret or "",
    }


def _redis(platform: Platform) -> dict[str, Any]:
    spec = platform.spec.redis
    if spec.mode == "disabled":
        return {"enabled": False}
    if spec.mode == "builtin":
        return {"host": platform.named("redis"), "existingSecret": platform.named("redis")}
    return {
        "host": spec.host or "",
        "port": spec.port,
        "username": spec.username,
        "existingSecret": spec.password_secret or "",
        "tls": spec.tls,
        "caSecret": spec.ca_secret or "",
    }


def _exposure(platform: Platform) -> dict[str, Any]:
    spec = platform.spec.exposure
    hosts = [*([spec.host] if spec.host else []), *spec.hosts]
    return {
        "httpRoute": {
            "enabled": spec.mode == "gateway-api",
            "parentRefs": [each.model_dump(by_alias=True, exclude_none=True) for each in spec.gateways],
            "hostnames": hosts,
        },
        "ingress": {
            "enabled": spec.mode == "ingress",
            "className": spec.class_name,
            "hosts": hosts,
            "tlsSecret": spec.tls_secret or "",
            "annotations": dict(spec.annotations),
        },
    }
