"""Names: the longest that a platform may have works in every mode, and what cannot work is refused by one sentence."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from healthcare_operator import crd, secrets, validation
from healthcare_operator.helm import ChartError, Charts
from healthcare_operator.platform import Platform
from healthcare_operator.render import components
from healthcare_operator.settings import Settings
from healthcare_operator.spec import SERVICES, Spec, naming

from tests.cluster.controlplane import ControlPlane, KubectlError, Manifest, eventually
from tests.operator.platforms import BUILTIN, Platforms, resource

CHARTS = Charts(Settings().charts_dir)
LONGEST = "a-" + "x" * (naming.LONGEST - 2)
MODES: dict[str, dict[str, Any]] = {
    "builtin": {**BUILTIN, "monitoring": {"mode": "builtin"}, "auth": {"adminEmail": "a@b.example"}},
    "operators": {"kafka": {"replicas": 9}, "postgres": {"instances": 9}},
}
NEVER = ["1care", "9", "care.example", "a.b"]


def everything(name: str, mode: str) -> list[Manifest]:
    platform = Platform(name, "here", "uid", 1, Spec.model_validate(MODES[mode]))
    found = [each for part in components(platform, CHARTS).values() for each in part]
    return [*found, *secrets.manifests(platform, {})]


def derived(found: list[Manifest]) -> Iterator[tuple[str, int]]:
    """The names that others make of ours, each with the most characters that it may have."""
    names: dict[str, list[str]] = {}
    for each in found:
        names.setdefault(each["kind"], []).append(each["metadata"]["name"])
    for kind, most in (("Service", 63), ("StatefulSet", 52), ("Deployment", 63), ("Cluster", 50)):
        yield from ((name, most) for name in names.get(kind, []))
    for kind in ("Prometheus", "Alertmanager"):  # whose StatefulSets are made by prometheus-operator
        yield from ((f"{kind.lower()}-{name}", 52) for name in names.get(kind, []))
    for cluster in names.get("Kafka", []):
        yield from ((f"{cluster}-{pool}-99", 63) for pool in names["KafkaNodePool"])
        yield f"{cluster}-entity-operator", 63
        yield f"{cluster}-kafka-bootstrap", 63


def labels(node: Any) -> Iterator[str]:
    """The values of every label and selector anywhere in an object."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("labels", "matchLabels", "selector") and isinstance(value, dict):
                yield from (each for each in value.values() if isinstance(each, str))
            yield from labels(value)
    elif isinstance(node, list):
        for each in node:
            yield from labels(each)


@pytest.mark.parametrize("mode", MODES)
def test_at_the_longest_name_everything_has_a_name_of_its_own_that_fits(mode: str) -> None:
    found = everything(LONGEST, mode)
    doubled = [
        key for key, count in Counter((each["kind"], each["metadata"]["name"]) for each in found).items() if count > 1
    ]
    assert not doubled
    assert {f"{LONGEST}-{service}" for service in SERVICES} <= {each["metadata"]["name"] for each in found}
    assert [(name, most) for name, most in derived(found) if len(name) > most] == []
    assert [each for each in labels(found) if len(each) > 63] == []


def test_the_limit_is_no_tighter_than_it_has_to_be() -> None:
    assert [name for name, most in derived(everything(LONGEST + "x", "operators")) if len(name) > most]


def test_a_chart_whose_pods_could_not_be_made_is_not_rendered() -> None:
    for chart in ("kafka", "postgres", "redis", "monitoring", "auth-service"):
        with pytest.raises(ChartError, match="fullnameOverride"):
            CHARTS.render(chart, {"fullnameOverride": "x" * 53}, name="care", namespace="here")
    with pytest.raises(ChartError, match="longer than 52 characters"):
        CHARTS.render("redis", {}, name="x" * 50, namespace="here")


@pytest.mark.contract("C04")
@pytest.mark.parametrize("mode", MODES)
def test_a_platform_of_the_longest_name_comes_up(platforms: Platforms, mode: str) -> None:
    platforms.apply(MODES[mode], LONGEST)
    platforms.ready(LONGEST)
    deployments = {name for kind, name in platforms.children("deployments", LONGEST)}
    assert {f"{LONGEST}-{service}" for service in SERVICES} <= deployments
    pods = platforms.cluster.list("pods", platforms.namespace)
    told = {each["metadata"]["labels"].get("app.kubernetes.io/component") for each in pods}
    assert set(SERVICES) <= told
    if mode == "builtin":
        assert {"kafka", "postgres", "redis", "prometheus"} <= told


def test_a_name_that_is_one_longer_is_refused_with_the_reason(defined: ControlPlane, namespace: str) -> None:
    defined.apply(resource({}, LONGEST), namespace=namespace)
    with pytest.raises(KubectlError, match=naming.TOO_LONG):
        defined.apply(resource({}, LONGEST + "x"), namespace=namespace)


@pytest.mark.parametrize("name", NEVER)
def test_what_no_service_can_be_called_by_is_refused_with_the_reason(
    defined: ControlPlane, namespace: str, name: str
) -> None:
    with pytest.raises(KubectlError, match=naming.NO_LABEL):
        defined.apply(resource({}, name), namespace=namespace)


@pytest.mark.parametrize("name", ["a", "care-2", LONGEST, LONGEST + "x", *NEVER])
def test_the_loop_judges_names_as_the_definition_does(name: str) -> None:
    platform = Platform(name, "here", "uid", 1, Spec())
    expected = naming.TOO_LONG if len(name) > naming.LONGEST else naming.NO_LABEL if name in NEVER else None
    assert validation.fault(platform, {}) == (expected and f"{expected}.")


def test_a_platform_that_is_older_than_the_rule_is_told_of_and_left_as_it_was(platforms: Platforms) -> None:
    name = LONGEST + "x"
    definition = crd.definition()
    rules = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].pop("x-kubernetes-validations")
    assert rules
    platforms.cluster.apply(definition)
    try:
        eventually(lambda: platforms.apply(BUILTIN, name) or True, "a platform that is too old for the rule", 30)
    finally:
        platforms.cluster.apply(crd.definition())
    told = platforms.holds("Stalled", "True", "InvalidSpec", name)
    assert told["message"] == f"{naming.TOO_LONG}."
    assert not platforms.children("deployments,statefulsets,services,secrets", name)
    owner = {"apiVersion": "healthcareplatform.io/v1alpha1", "kind": "HealthcarePlatform", "name": name}
    owner["uid"] = platforms.cluster.get("hcp", name, platforms.namespace)["metadata"]["uid"]
    mine = {"name": f"{name}-redis", "labels": {"healthcareplatform.io/platform": name}, "ownerReferences": [owner]}
    platforms.cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": mine}, namespace=platforms.namespace)
    before = platforms.there("configmap", mine["name"])
    refused_again = lambda: _refuses(platforms, name + "x")  # noqa: E731
    eventually(refused_again, "the rule again", 30)
    platforms.edit({"redis": {"mode": "disabled"}}, name)
    generation = platforms.cluster.get("hcp", name, platforms.namespace)["metadata"]["generation"]
    eventually(lambda: platforms.status(name)["observedGeneration"] == generation, "a word on the edit", 30)
    assert platforms.condition("Stalled", name)["status"] == "True"
    assert platforms.there("configmap", mine["name"]) == before
    platforms.kubectl("delete", "hcp", name, "--timeout=20s")


def _refuses(platforms: Platforms, name: str) -> bool:
    try:
        platforms.apply(BUILTIN, name)
    except KubectlError as refusal:
        return naming.TOO_LONG in str(refusal)
    platforms.kubectl("delete", "hcp", name)
    return False
