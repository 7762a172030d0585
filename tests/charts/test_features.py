"""Values that users ask for: what they lead to in the objects."""

from typing import Any

import helm_python
import kubernetes_validate
import pytest

from tests.charts.rendering import INFRASTRUCTURE, OPERATOR, SERVICES, Manifest, loaded, of, render
from tests.charts.test_objects import pods

WORKLOADS = (*SERVICES, *INFRASTRUCTURE, OPERATOR)


def pod(chart: str, values: Manifest) -> dict[str, Any]:
    [deployment] = of(render(chart, values), "Deployment")
    found: dict[str, Any] = deployment["spec"]["template"]
    return found


def test_an_autoscaler_of_others_owns_the_number_of_replicas() -> None:
    manifests = render("patient-service", {"autoscaling": {"external": True}, "replicas": 3})
    assert "replicas" not in of(manifests, "Deployment")[0]["spec"]
    assert not of(manifests, "HorizontalPodAutoscaler")
    with pytest.raises(helm_python.HelmError, match=r"autoscaling\.external"):
        render("patient-service", {"autoscaling": {"external": True, "enabled": True}})


@pytest.mark.parametrize(
    ("values", "left"),
    [
        ({"resources": {"limits": {"cpu": None}}}, {"limits": {"memory": "384Mi"}}),
        ({"resources": {"limits": None}}, {"limits": None}),
        ({"resources": None}, {"limits": None, "requests": None}),
    ],
)
def test_a_null_takes_a_default_away(values: Manifest, left: dict[str, Any]) -> None:
    for chart in ("patient-service", "redis", OPERATOR):
        workload = render(chart, values)
        resources = pods(workload)[0]["containers"][0].get("resources") or {}
        for key, expected in left.items():
            cpu = (resources.get(key) or {}).get("cpu") if expected else resources.get(key)
            assert not cpu, chart


def test_a_null_takes_probes_and_settings_away() -> None:
    container = pod("patient-service", {"probes": {"startup": None, "readiness": {"timeoutSeconds": None}}})["spec"]
    [only] = container["containers"]
    assert "startupProbe" not in only
    assert "timeoutSeconds" not in only["readinessProbe"]
    [config] = of(render("patient-service", {"config": {"CACHE_TTL_SECONDS": None}}), "ConfigMap")
    assert "CACHE_TTL_SECONDS" not in config["data"]


@pytest.mark.parametrize("chart", WORKLOADS)
@pytest.mark.parametrize(
    "key", ["replicas", "image", "partOf", "networkPolicy", "storage", "podDisruptionBudget", "mode"]
)
def test_a_null_elsewhere_is_refused_by_name_or_renders(chart: str, key: str) -> None:
    """Nothing of a value that is missing ever reaches an object."""
    try:
        found = loaded(chart).render({key: None}, name="demo", namespace="demo")
    except helm_python.HelmError as error:
        found = {"refused": "" if key in str(error) else "no value"}
    assert not [text for text in found.values() if "<nil>" in text or "no value" in text]


@pytest.mark.parametrize("chart", WORKLOADS)
def test_a_mirror_serves_every_image(chart: str) -> None:
    values = {"global": {"imageRegistry": "mirror.example:5000/all/", "imagePullSecrets": ["a", {"name": "b"}]}}
    more = {"exporter": {"enabled": True}} if chart in ("postgres", "redis") else {}
    for each in pods(render(chart, {**values, **more, "imagePullSecrets": [{"name": "b"}]})):
        assert each["imagePullSecrets"] == [{"name": "b"}, {"name": "a"}]
        for container in (*each["containers"], *each.get("initContainers", ())):
            assert container["image"].startswith("mirror.example:5000/all/")
            assert container["image"].count(".example") == 1


def test_a_mirror_takes_the_place_of_the_registry_that_is_named() -> None:
    values = {"mode": "cloudnative-pg", "global": {"imageRegistry": "mirror.example"}, "clusterImageDigest": DIGEST}
    [cluster] = of(render("postgres", values), "Cluster")
    assert cluster["spec"]["imageName"] == f"mirror.example/cloudnative-pg/postgresql:17@{DIGEST}"


DIGEST = f"sha256:{'a' * 64}"


def test_a_tag_may_carry_a_digest() -> None:
    manifests = render("patient-service", {"image": {"tag": f"1.2.3@{DIGEST}"}})
    assert pods(manifests)[0]["containers"][0]["image"] == f"patient-service:1.2.3@{DIGEST}"
    [deployment] = of(manifests, "Deployment")
    assert deployment["metadata"]["labels"]["app.kubernetes.io/version"] == "1.2.3"
    [config] = of(manifests, "ConfigMap")
    assert config["data"]["APP_VERSION"] == "1.2.3"


@pytest.mark.parametrize("chart", WORKLOADS)
def test_openshift_gives_the_ids(chart: str) -> None:
    for each in pods(render(chart, {"openshift": True})):
        assert not each["securityContext"].keys() & {"runAsUser", "runAsGroup", "fsGroup"}
        assert each["securityContext"]["runAsNonRoot"] is True
        assert all("runAsUser" not in container["securityContext"] for container in each["containers"])


def test_postgres_says_who_it_is_where_the_platform_gives_the_id() -> None:
    """initdb and the socket's peer authentication ask for the name of the user, which no file can know before."""
    [postgres] = of(render("postgres", {"openshift": True}), "StatefulSet")
    kubernetes_validate.validate(postgres, "1.31", strict=True)
    pod = postgres["spec"]["template"]["spec"]
    [identity] = pod["initContainers"]
    assert "$(id -u)" in identity["command"][-1]
    [passwd] = [each for each in pod["containers"][0]["volumeMounts"] if each["mountPath"] == "/etc/passwd"]
    assert passwd["name"] == identity["volumeMounts"][0]["name"]
    with pytest.raises(helm_python.HelmError, match=r"exporter\.enabled"):
        render("postgres", {"openshift": True, "exporter": {"enabled": True}})


def test_what_a_pod_has_besides() -> None:
    spread = [{"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}]
    secret = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "b", "key": "c"}}}
    values = {
        "extraEnv": [secret],
        "envFrom": [{"secretRef": {"name": "more"}}],
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca"}],
        "podLabels": {"team": "a", "app.kubernetes.io/name": "other"},
        "topologySpreadConstraints": spread,
        "podSecurityContext": {"fsGroup": 5, "runAsGroup": None},
        "securityContext": {"readOnlyRootFilesystem": False},
    }
    [deployment] = of(render("patient-service", values), "Deployment")
    kubernetes_validate.validate(deployment, "1.31", strict=True)
    template = deployment["spec"]["template"]
    for container in (*template["spec"]["containers"], *template["spec"]["initContainers"]):
        assert secret in container["env"]
        assert {"secretRef": {"name": "more"}} in container["envFrom"]
        assert {"name": "ca", "mountPath": "/ca"} in container["volumeMounts"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is False
    assert template["spec"]["topologySpreadConstraints"] == spread
    assert template["spec"]["securityContext"]["fsGroup"] == 5
    assert "runAsGroup" not in template["spec"]["securityContext"]
    assert template["metadata"]["labels"]["team"] == "a"
    assert template["metadata"]["labels"]["app.kubernetes.io/name"] == "patient-service", "selectors read it"
    with pytest.raises(helm_python.HelmError, match="/extraEnv/0"):
        render("patient-service", {"extraEnv": [{"name": "JWT_SECRET", "value": "plain"}]})


AFFINITY = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{}]}}}
PLACED = {"affinity": AFFINITY, "priorityClassName": "high", "nodeSelector": {"disk": "fast"}}


@pytest.mark.parametrize("chart", WORKLOADS)
def test_every_pod_has_affinity_and_priority(chart: str) -> None:
    for each in pods(render(chart, PLACED)):
        assert each["affinity"] == AFFINITY
        assert each["priorityClassName"] == "high"
        assert each["nodeSelector"] == {"disk": "fast"}


def test_operators_are_told_affinity_and_priority_in_their_own_words() -> None:
    [kafka] = of(render("kafka", {"mode": "strimzi", **PLACED}), "Kafka")
    told = kafka["spec"]["kafka"]["template"]["pod"]
    [term] = told["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": "disk", "operator": "In", "values": ["fast"]}]
    assert told["priorityClassName"] == "high"
    [cluster] = of(render("postgres", {"mode": "cloudnative-pg", **PLACED}), "Cluster")
    assert cluster["spec"]["affinity"]["nodeAffinity"] == AFFINITY["nodeAffinity"]
    assert cluster["spec"]["priorityClassName"] == "high"
    [prometheus] = of(render("monitoring", {"mode": "prometheus-operator", **PLACED}), "Prometheus")
    assert (prometheus["spec"]["affinity"], prometheus["spec"]["priorityClassName"]) == (AFFINITY, "high")


def test_an_ingress_answers_to_several_names() -> None:
    hosts = ["a.example", "*.b.example"]
    values = {"ingress": {"enabled": True, "host": "c.example", "hosts": hosts, "tlsSecret": "tls"}}
    [ingress] = of(render("api-gateway", values), "Ingress")
    assert [rule["host"] for rule in ingress["spec"]["rules"]] == ["c.example", *hosts]
    assert ingress["spec"]["tls"] == [{"secretName": "tls", "hosts": ["c.example", *hosts]}]
    kinds = {path["path"]: path["pathType"] for path in ingress["spec"]["rules"][0]["http"]["paths"]}
    assert kinds.pop("/.well-known") == "ImplementationSpecific"
    assert set(kinds.values()) == {"Prefix"}


@pytest.mark.parametrize("chart", WORKLOADS)
@pytest.mark.parametrize("values", [{"service": {"type": "LoadBalancer"}}, {"global": {"storageClass": "fast"}}])
def test_what_a_chart_would_ignore_is_refused(chart: str, values: Manifest) -> None:
    [word] = next(iter(values.values()))
    with pytest.raises(helm_python.HelmError, match=word):
        render(chart, values)


@pytest.mark.parametrize("quantity", ["1e9", "1Pi", "0.5", ".5", "100m", "1E", "5u", 2, 0.5])
def test_quantities_are_those_of_kubernetes(quantity: object) -> None:
    for chart in ("patient-service", "kafka", OPERATOR):
        container = pods(render(chart, {"resources": {"limits": {"cpu": quantity}}}))[0]["containers"][0]
        assert container["resources"]["limits"]["cpu"] == quantity
    if isinstance(quantity, str):
        [kafka] = of(render("kafka", {"storage": {"size": quantity}}), "StatefulSet")
        [claim] = kafka["spec"]["volumeClaimTemplates"]
        assert claim["spec"]["resources"]["requests"]["storage"] == quantity
