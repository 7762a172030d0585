"""Charts as Helm renders them, from the folder that users get."""

from pathlib import Path
from typing import Any

import helm_python
import yaml

ROOT = Path(__file__).parents[2]
CHARTS = ROOT / "charts"
SERVICES = (
    "patient-service",
    "appointment-service",
    "auth-service",
    "billing-service",
    "analytics-service",
    "api-gateway",
)
INFRASTRUCTURE = ("kafka", "postgres", "redis", "monitoring")

Manifest = dict[str, Any]

EVERYTHING: Manifest = {
    "autoscaling": {"enabled": True},
    "podDisruptionBudget": {"enabled": True},
    "networkPolicy": {"enabled": True},
    "serviceMonitor": {"enabled": True},
    "database": {"existingSecret": "db", "caSecret": "db-ca", "tls": "verify-full"},
    "kafka": {"existingSecret": "kafka", "caSecret": "kafka-ca", "securityProtocol": "SASL_SSL", "username": "me"},
    "redis": {"existingSecret": "redis", "tls": True, "caSecret": "redis-ca"},
    "auth": {"existingSecret": "auth"},
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "priorityClassName": "high",
    "imagePullSecrets": [{"name": "pull"}],
}
EXPOSED: Manifest = {
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "edge"}], "hostnames": ["health.example.com"]},
    "ingress": {"enabled": True, "host": "health.example.com", "className": "nginx", "tlsSecret": "tls"},
}


def render(
    chart: str, values: Manifest | None = None, *, name: str = "demo", namespace: str = "demo"
) -> list[Manifest]:
    """Every object of a chart, its helm test included."""
    rendered = helm_python.Chart.load(CHARTS / chart).render(values or {}, name=name, namespace=namespace)
    texts = [text for path, text in sorted(rendered.items()) if not path.endswith("NOTES.txt")]
    return [each for text in texts for each in yaml.safe_load_all(text) if each]


def combinations() -> list[tuple[str, Manifest]]:
    """Each chart with its defaults and with everything that can be switched on."""
    found: list[tuple[str, Manifest]] = [(service, {}) for service in SERVICES]
    found += [(service, EVERYTHING) for service in SERVICES]
    found += [("api-gateway", EXPOSED)]
    for chart, modes in (("kafka", ("builtin", "strimzi")), ("postgres", ("builtin", "cloudnative-pg"))):
        found += [(chart, {"mode": mode, "networkPolicy": {"enabled": True}}) for mode in modes]
    found += [("redis", {"existingSecret": "redis", "networkPolicy": {"enabled": True}})]
    found += [
        ("monitoring", {"mode": mode, "grafana": {"existingSecret": "g"}})
        for mode in ("builtin", "prometheus-operator")
    ]
    return found


def of(manifests: list[Manifest], kind: str) -> list[Manifest]:
    """Those of a kind."""
    return [each for each in manifests if each["kind"] == kind]
