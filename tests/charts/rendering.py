"""Charts as Helm renders them, from the folder that users get."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import yaml

from hpctl import layout

ROOT = Path(__file__).parents[2]
CHARTS = ROOT / "charts"
SERVICES = tuple(service.name for service in layout.SERVICES)
INFRASTRUCTURE = ("kafka", "postgres", "redis", "monitoring")
OPERATOR = "healthcare-operator"

Manifest = dict[str, Any]

EVERYTHING: Manifest = {
    "image": {"digest": f"sha256:{'a' * 64}", "pullPolicy": "Always"},
    "autoscaling": {"enabled": True},
    "podDisruptionBudget": {"enabled": True},
    "networkPolicy": {"enabled": True},
    "serviceMonitor": {"enabled": True},
    "database": {"existingSecret": "db", "caSecret": "db-ca", "tls": "verify-full"},
    "kafka": {"existingSecret": "kafka", "caSecret": "kafka-ca", "securityProtocol": "SASL_SSL", "username": "me"},
    "redis": {"existingSecret": "redis", "username": "us", "tls": True, "caSecret": "redis-ca"},
    "auth": {"existingSecret": "auth"},
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "priorityClassName": "high",
    "imagePullSecrets": [{"name": "pull"}],
}
RS256: Manifest = {
    "appEnv": "production",
    "replicas": 3,
    "auth": {"existingSecret": "auth", "jwksUrl": "http://auth-service:4005/.well-known/jwks.json"},
    "networkPolicy": {"external": []},
}
EXPORTED: Manifest = {"exporter": {"enabled": True}, "podMonitor": {"enabled": True}}
WATCHED: dict[str, Manifest] = {"kafka": {"metrics": {"enabled": True}}, "postgres": EXPORTED}
EXPOSED: Manifest = {
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "edge"}], "hostnames": ["health.example.com"]},
    "ingress": {"enabled": True, "host": "health.example.com", "className": "nginx", "tlsSecret": "tls"},
}


def render(
    chart: str, values: Manifest | None = None, *, name: str = "demo", namespace: str = "demo"
) -> list[Manifest]:
    """Every object of a chart, its helm test included; not to be changed, since the next test may get the same ones."""
    return _rendered(chart, json.dumps(values or {}, sort_keys=True), name, namespace)


@cache
def _rendered(chart: str, values: str, name: str, namespace: str) -> list[Manifest]:
    rendered = loaded(chart).render(json.loads(values), name=name, namespace=namespace)
    texts = [text for path, text in sorted(rendered.items()) if not path.endswith("NOTES.txt")]
    return [each for text in texts for each in yaml.load_all(text, yaml.CSafeLoader) if each]


@cache
def loaded(chart: str) -> helm_python.Chart:
    """The chart as Helm reads it, links followed."""
    return helm_python.Chart.load(CHARTS / chart)


def combinations() -> list[tuple[str, Manifest]]:
    """Each chart with its defaults and with everything that can be switched on."""
    found: list[tuple[str, Manifest]] = [(service, {}) for service in SERVICES]
    found += [(service, EVERYTHING) for service in SERVICES]
    found += [("api-gateway", EXPOSED)]
    found += [(service, RS256) for service in SERVICES]
    found += [(OPERATOR, {}), (OPERATOR, {"replicas": 2, "serviceMonitor": {"enabled": True}})]
    placed = {
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"operator": "Exists"}],
        "imagePullSecrets": [{"name": "p"}],
    }
    for chart, modes in (("kafka", ("builtin", "strimzi")), ("postgres", ("builtin", "cloudnative-pg"))):
        found += [(chart, {"mode": mode, **WATCHED[chart], **more}) for mode in modes for more in ({}, placed)]
    found += [("redis", {}), ("redis", {"existingSecret": "redis"}), ("redis", EXPORTED)]
    found += [("redis", {**EXPORTED, "existingSecret": "redis", **placed})]
    found += [("monitoring", {"exporters": {"redis": "redis:9121"}})]
    found += [
        ("monitoring", {"mode": mode, "grafana": {"existingSecret": "g"}})
        for mode in ("builtin", "prometheus-operator", "external")
    ]
    return found


def of(manifests: list[Manifest], kind: str) -> list[Manifest]:
    """Those of a kind."""
    return [each for each in manifests if each["kind"] == kind]
