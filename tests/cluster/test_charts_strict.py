"""Every chart, in every mode, is taken by a real API server that refuses each unknown field."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster import charts
from tests.cluster.api import Api
from tests.cluster.controlplane import ControlPlane

Values = dict[str, Any]
PARENT = [{"name": "edge", "sectionName": "http"}]
MODES: dict[str, Values] = {
    "defaults": {},
    "autoscaling": {"autoscaling": {"enabled": True}, "podDisruptionBudget": {"enabled": True}},
    "monitored": {"serviceMonitor": {"enabled": True, "labels": {"release": "ours"}}},
    "fenced": {"networkPolicy": {"enabled": True}},
    "elsewhere": {
        "database": {"existingSecret": "login", "tls": "verify-full", "caSecret": "authority"},
        "kafka": {
            "bootstrapServers": "b-1.msk.example:9096",
            "securityProtocol": "SASL_SSL",
            "username": "user",
            "existingSecret": "kafka",
            "caSecret": "authority",
        },
        "redis": {"host": "cache.example", "existingSecret": "redis", "tls": True, "caSecret": "authority"},
    },
}
PLACED: Values = {
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "imagePullSecrets": [{"name": "pull"}],
}
ROUTED: dict[str, Values] = {
    "gateway-api": {"httpRoute": {"enabled": True, "parentRefs": PARENT, "hostnames": ["care.example"]}},
    "ingress": {"ingress": {"enabled": True, "className": "any", "host": "care.example", "tlsSecret": "tls"}},
}
INFRASTRUCTURE: list[tuple[str, Values, set[str]]] = [
    ("kafka", {"mode": "builtin", "networkPolicy": {"enabled": True}}, {"StatefulSet", "NetworkPolicy"}),
    (
        "kafka",
        {"mode": "strimzi", "metrics": {"enabled": True, "labels": {"release": "ours"}}, **PLACED},
        {"Kafka", "KafkaNodePool", "KafkaTopic", "KafkaUser", "PodMonitor"},
    ),
    ("postgres", {"mode": "builtin", "networkPolicy": {"enabled": True}}, {"StatefulSet", "NetworkPolicy"}),
    (
        "postgres",
        {"mode": "cloudnative-pg", "podMonitor": {"enabled": True}, **PLACED},
        {"Cluster", "Database", "PodMonitor", "NetworkPolicy"},
    ),
    ("redis", {"existingSecret": "redis", "networkPolicy": {"enabled": True}}, {"StatefulSet", "NetworkPolicy"}),
    ("monitoring", {"mode": "builtin"}, {"Deployment", "ConfigMap"}),
    ("monitoring", {"mode": "prometheus-operator", **PLACED}, {"Prometheus", "Alertmanager", "PrometheusRule"}),
    ("monitoring", {"mode": "external", "labels": {"release": "ours"}}, {"ConfigMap", "PrometheusRule"}),
]
KINDS = {  # what a mode must add, or it proves nothing
    "autoscaling": {"HorizontalPodAutoscaler", "PodDisruptionBudget"},
    "monitored": {"ServiceMonitor"},
    "fenced": {"NetworkPolicy"},
    "gateway-api": {"HTTPRoute"},
    "ingress": {"Ingress"},
}
SERVICES = [name for name in charts.names() if name.endswith("-service") or name == "api-gateway"]


@pytest.fixture(scope="module")
def api(third_party: ControlPlane) -> Iterator[Api]:
    api = Api(third_party, "charts")
    yield api
    api.close()


@pytest.fixture(scope="module")
def shared(third_party: ControlPlane) -> str:
    """One namespace for all modes: an API server judges a change as strictly as a new object."""
    return third_party.namespace("modes")


@pytest.fixture(scope="module")
def restricted(third_party: ControlPlane) -> str:
    """A namespace that takes only pods of the restricted profile."""
    name = third_party.namespace("restricted")
    third_party.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    return name


def apply(api: Api, namespace: str, chart: str, values: Values) -> list[Values]:
    """Apply a chart's objects, strict; what the server keeps is what was rendered, by name and kind."""
    objects = charts.render(chart, namespace, values)
    for found in objects:
        found["metadata"].setdefault("namespace", namespace)
        group, slash, _ = found["apiVersion"].partition("/")
        kept = api.apply(f"{found['kind']}.{group}" if slash else found["kind"], found)
        assert kept["metadata"]["uid"]
        assert kept["apiVersion"] == found["apiVersion"]
    return objects


@pytest.mark.contract("C03", "R3")
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_installed_alone(third_party: ControlPlane, api: Api, namespace: str, service: str) -> None:
    objects = apply(api, namespace, service, {})
    assert {"Deployment", "Service", "ServiceAccount", "ConfigMap"} <= {found["kind"] for found in objects}
    served = third_party.list("deployments", namespace)
    assert [found["metadata"]["name"] for found in served] == [service]


@pytest.mark.contract("R3")
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "defaults"])
@pytest.mark.parametrize("service", SERVICES)
def test_every_mode_of_a_service(api: Api, shared: str, service: str, mode: str) -> None:
    objects = apply(api, shared, service, MODES[mode])
    assert KINDS.get(mode, set()) <= {found["kind"] for found in objects}


@pytest.mark.contract("R3")
@pytest.mark.parametrize("mode", ROUTED)
def test_the_ways_to_the_gateway(api: Api, shared: str, mode: str) -> None:
    objects = apply(api, shared, "api-gateway", ROUTED[mode])
    assert KINDS[mode] <= {found["kind"] for found in objects}


@pytest.mark.contract("R3")
@pytest.mark.parametrize(("chart", "values", "kinds"), INFRASTRUCTURE)
def test_every_mode_of_the_infrastructure(api: Api, shared: str, chart: str, values: Values, kinds: set[str]) -> None:
    assert kinds <= {found["kind"] for found in apply(api, shared, chart, values)}


def test_no_chart_is_left_out() -> None:
    assert {*SERVICES, *(chart for chart, _, _ in INFRASTRUCTURE)} >= set(charts.names()) - {"healthcare-operator"}


@pytest.mark.contract("R3")
def test_no_value_is_misspelt_unnoticed() -> None:
    with pytest.raises(Exception, match="replicaz"):
        charts.render("patient-service", "any", {"replicaz": 2})


@pytest.mark.contract("R3")
@pytest.mark.parametrize("service", SERVICES)
def test_pods_pass_restricted_pod_security(api: Api, restricted: str, service: str) -> None:
    """The API server itself is the judge: it refuses a pod that asks for too much."""
    deployment = next(found for found in charts.render(service, restricted) if found["kind"] == "Deployment")
    template = deployment["spec"]["template"]
    template["spec"]["serviceAccountName"] = "default"
    meta = {"name": service, "namespace": restricted, "labels": template["metadata"]["labels"]}
    api.apply("Pod", {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]})
