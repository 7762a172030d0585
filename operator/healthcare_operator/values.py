"""A platform → the values of each chart; pure. None means that there is nothing to install."""

from typing import Any

from healthcare_operator.platform import Platform
from healthcare_operator.spec import SERVICES, Kafka

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


def _common(platform: Platform, component: str) -> dict[str, Any]:
    return {"fullnameOverride": platform.named(component), "partOf": platform.name}


def kafka(platform: Platform) -> dict[str, Any] | None:
    """Values of the chart kafka."""
    spec = platform.spec.kafka
    if spec.mode == "external":
        return None
    return _common(platform, "kafka") | {
        "mode": spec.mode,
        "version": spec.version,
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
        "metrics": {"enabled": platform.spec.monitoring.mode in ("prometheus-operator", "external")},
        "networkPolicy": {"enabled": platform.spec.network_policies},
    }


def postgres(platform: Platform) -> dict[str, Any] | None:
    """Values of the chart postgres."""
    spec = platform.spec.postgres
    if spec.mode == "external":
        return None
    databases = [
        {"name": database_of(name), "role": database_of(name), "secret": platform.named(f"{name}-db")}
        for name in WITH_DATABASE
    ]
    return _common(platform, "postgres") | {
        "mode": spec.mode,
        "version": spec.version,
        "image": {"tag": f"{spec.version}-alpine"},
        "instances": spec.instances,
        "storage": {"size": spec.storage.size, "className": spec.storage.class_name},
        "databases": databases,
        "superuserSecret": platform.named("postgres-superuser"),
        "databaseReclaimPolicy": platform.spec.deletion_policy.lower(),
        "podMonitor": {
            "enabled": spec.mode == "cloudnative-pg" and platform.spec.monitoring.mode == "prometheus-operator"
        },
        "networkPolicy": {"enabled": platform.spec.network_policies},
    }


def redis(platform: Platform) -> dict[str, Any] | None:
    """Values of the chart redis."""
    spec = platform.spec.redis
    if spec.mode != "builtin":
        return None
    return _common(platform, "redis") | {
        "existingSecret": platform.named("redis"),
        "storage": {"size": spec.storage.size, "className": spec.storage.class_name},
        "networkPolicy": {"enabled": platform.spec.network_policies},
    }


def monitoring(platform: Platform) -> dict[str, Any] | None:
    """Values of the chart monitoring."""
    spec = platform.spec.monitoring
    if spec.mode == "disabled":
        return None
    running = [name for name in SERVICES if platform.spec.services.get(name).enabled]
    return _common(platform, "monitoring") | {
        "mode": "builtin" if spec.mode == "builtin" else "prometheus-operator",
        "prometheus": {
            "retention": spec.retention,
            "storage": {"size": spec.storage.size, "className": spec.storage.class_name},
        },
        "grafana": {"enabled": spec.grafana and spec.mode != "external", "existingSecret": platform.named("grafana")},
        "targets": {name: f"{platform.named(name)}:{PORTS[name]}" for name in running},
        "networkPolicy": {"enabled": platform.spec.network_policies},
    }


def service(platform: Platform, name: str) -> dict[str, Any] | None:
    """Values of a service's chart."""
    spec = platform.spec.services.get(name)
    if not spec.enabled:
        return None
    image = platform.image(name)
    reference, _, digest = image.partition("@")
    repository, tag = _split(reference)
    scaling = spec.autoscaling
    values: dict[str, Any] = _common(platform, name) | {
        "image": {
            "repository": repository,
            "tag": tag,
            "digest": digest,
            "pullPolicy": platform.spec.images.pull_policy,
        },
        "imagePullSecrets": [{"name": secret} for secret in platform.spec.images.pull_secrets],
        "replicas": spec.replicas,
        "autoscaling": scaling.model_dump(by_alias=True),
        "appEnv": platform.spec.profile,
        "urls": _urls(platform, name),
        "env": dict(spec.env),
        "auth": _auth(platform, name),
        "networkPolicy": {"enabled": platform.spec.network_policies, "external": _external(platform)},
        "serviceMonitor": {
            "enabled": platform.spec.monitoring.mode in ("prometheus-operator", "external"),
            "labels": dict(platform.spec.monitoring.labels),
        },
    }
    if spec.resources is not None:
        values["resources"] = spec.resources.model_dump()
    if name in WITH_DATABASE:
        values["database"] = _database(platform, name)
        values["kafka"] = _kafka(platform, name)
    if name in WITH_REDIS:
        values["redis"] = _redis(platform)
    if name in WITH_DEMO and platform.spec.demo:
        values["env"] = {"SQL_INIT_MODE": "always", **values["env"]}
    if name == "api-gateway":
        values |= _exposure(platform)
    return values


def _split(reference: str) -> tuple[str, str]:
    head, slash, last = reference.rpartition("/")
    name, _, tag = last.partition(":")
    return f"{head}{slash}{name}", tag or "latest"


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
    """What the services reach that no chart of ours runs."""
    spec = platform.spec
    modes = {"database": spec.postgres.mode, "kafka": spec.kafka.mode, "redis": spec.redis.mode}
    return [name for name, mode in modes.items() if mode != "builtin"]


def _database(platform: Platform, name: str) -> dict[str, Any]:
    spec = platform.spec.postgres
    if spec.mode == "external":
        return {"existingSecret": spec.secrets.get(name, ""), "tls": spec.tls, "caSecret": spec.ca_secret or ""}
    return {"existingSecret": platform.named(f"{name}-db")}


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
            "existingSecret": f"{cluster}-{name}",
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
        "existingSecret": spec.password_secret or "",
        "tls": spec.tls,
        "caSecret": spec.ca_secret or "",
    }


def _exposure(platform: Platform) -> dict[str, Any]:
    spec = platform.spec.exposure
    hosts = [spec.host] if spec.host else []
    return {
        "httpRoute": {
            "enabled": spec.mode == "gateway-api",
            "parentRefs": [{"name": gateway} for gateway in spec.gateways],
            "hostnames": hosts,
        },
        "ingress": {
            "enabled": spec.mode == "ingress",
            "className": spec.class_name,
            "host": spec.host or "",
            "tlsSecret": spec.tls_secret or "",
        },
    }
