"""Values of each chart that switch on what its other values speak of."""

from tests.charts.rendering import EVERYTHING, EXPORTED, EXPOSED, OPERATOR, Manifest

_ADMIN = {"jwksUrl": "http://auth/keys", "existingSecret": "auth", "adminEmail": "a@b", "adminSecret": "admin"}
_CONTEXTS: dict[str, list[Manifest]] = {
    "auth-service": [{"auth": _ADMIN}],
    "api-gateway": [EXPOSED],
    OPERATOR: [{"serviceMonitor": {"enabled": True}, "replicas": 2}],
    "kafka": [
        {},
        {
            "mode": "strimzi",
            "replicas": 2,
            "cruiseControl": {"enabled": True},
            "metrics": {"enabled": True},
            "users": [{"name": "patient-service", "group": "group"}],
        },
    ],
    "postgres": [EXPORTED, {"mode": "cloudnative-pg", **EXPORTED}],
    "redis": [EXPORTED],
    "monitoring": [{"mode": mode} for mode in ("builtin", "prometheus-operator")],
}


def contexts(chart: str) -> list[Manifest]:
    """Each with other parts of the chart's templates at work."""
    usual = [{"autoscaling": {"enabled": True}}, EVERYTHING | {"image": {}, "auth": {"jwksUrl": "http://auth/keys"}}]
    return _CONTEXTS.get(chart, usual)


_SERVICES = ("auth-service", "billing-service", "patient-service", "appointment-service", "analytics-service")
_SASL = {"securityProtocol": "SASL_SSL", "username": "u", "passwordSecret": "kafka"}


def _with(*services: str) -> Manifest:
    return {name: {"enabled": False} for name in _SERVICES if name not in services}


PLATFORMS: list[Manifest] = [
    {
        "services": _with("auth-service"),
        "exposure": {"mode": "gateway-api", "gateways": [{"name": "edge"}]},
    },
    {
        "services": _with(),
        **{part: {"mode": "builtin"} for part in ("kafka", "postgres", "redis", "monitoring")},
        "exposure": {"mode": "ingress"},
    },
    {
        "services": _with("patient-service"),
        "kafka": {"mode": "external", "bootstrapServers": "kafka:9092", "access": _SASL},
        "postgres": {"mode": "external", "secrets": {"patient-service": "p"}, "tls": "verify-full"},
        "redis": {"mode": "external", "host": "redis", "passwordSecret": "redis"},
        "monitoring": {"mode": "external"},
    },
]
"""Platforms of all modes, each with one or two of the services."""
