"""What the charts render: valid, restricted, whole, and the only description of a Deployment."""

import re
import subprocess
from itertools import chain
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

from tests.charts.rendering import (
    CHARTS,
    INFRASTRUCTURE,
    OPERATOR,
    ROOT,
    SERVICES,
    combinations,
    loaded,
    of,
    render,
)

CASES = [pytest.param(chart, values, id=f"{chart}-{number}") for number, (chart, values) in enumerate(combinations())]
WORKLOADS = ("Deployment", "StatefulSet", "Job")
OLDEST = "1.31"  # of Kubernetes; the API server of the strict tests is a new one
THEIRS = ("kafka.strimzi.io", "postgresql.cnpg.io", "monitoring.coreos.com", "gateway.networking.k8s.io")


def pods(manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every pod specification."""
    return [each["spec"]["template"]["spec"] for kind in WORKLOADS for each in of(manifests, kind)]


@pytest.mark.contract("C03", "R3")
@pytest.mark.parametrize("chart", [*SERVICES, *INFRASTRUCTURE, OPERATOR])
def test_helm_finds_nothing_to_say_about_a_chart(chart: str) -> None:
    found = helm_python.lint(CHARTS / chart, strict=True)
    assert found["errors"] == []
    assert {each["error"] for each in found["messages"]} <= {"icon is recommended"}


@pytest.mark.contract("R3")
@pytest.mark.parametrize("chart", [*SERVICES, *INFRASTRUCTURE, OPERATOR])
def test_a_packaged_chart_stands_alone(chart: str, tmp_path: Path) -> None:
    """The library and the monitoring files are links in the repository; a package carries copies."""
    package = Path(helm_python.package(CHARTS / chart, destination=tmp_path))
    packed = helm_python.Chart.load(package).render({}, name="demo", namespace="demo")
    assert packed == loaded(chart).render({}, name="demo", namespace="demo")


@pytest.mark.parametrize(("chart", "values"), CASES)
def test_every_object_is_what_kubernetes_knows(chart: str, values: dict[str, Any]) -> None:
    manifests = render(chart, values)
    assert manifests
    for each in manifests:
        if not each["kind"].startswith(("ClusterRole", "CustomResourceDefinition")):
            assert each["metadata"]["namespace"] == "demo"
        if each["apiVersion"].partition("/")[0] not in THEIRS:
            kubernetes_validate.validate(each, OLDEST, strict=True)


def test_charts_and_documentation_ask_for_the_same_kubernetes() -> None:
    charts = [yaml.safe_load(path.read_text()) for path in CHARTS.glob("*/Chart.yaml")]
    assert {chart["kubeVersion"] for chart in charts} == {f">={OLDEST}.0-0"}
    assert f"needs Kubernetes {OLDEST} or newer" in (ROOT / "docs/kubernetes.md").read_text()


@pytest.mark.parametrize(("chart", "values"), CASES)
def test_every_pod_is_restricted(chart: str, values: dict[str, Any]) -> None:
    for pod in pods(render(chart, values)):
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in chain(pod["containers"], pod.get("initContainers", [])):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
            assert container["resources"]["requests"]["memory"]
            secrets = [each for each in container.get("env", []) if "secretKeyRef" in str(each)]
            assert not secrets, "secrets are files"


def test_the_operator_may_do_what_the_charts_need_and_no_more() -> None:
    """The kinds that it keeps are those that the charts render; no wildcard stands anywhere."""
    [role] = of(render(OPERATOR), "ClusterRole")
    rules = role["rules"]
    assert not [each for each in rules if "*" in each["verbs"] + each["resources"] + each["apiGroups"]]
    kept = {
        (group, resource)
        for each in rules
        if {"patch", "create"} <= set(each["verbs"])  # what holds data is never deleted
        for group in each["apiGroups"]
        for resource in each["resources"]
    }
    rendered = {
        (each["apiVersion"].rpartition("/")[0], f"{each['kind'].lower()}s".replace("policys", "policies"))
        for chart, values in combinations()
        if chart != OPERATOR
        for each in render(chart, values)
        if each["kind"] != "Job"
    }
    rendered = {
        (group, name.replace("prometheuss", "prometheuses").replace("ingresss", "ingresses"))
        for group, name in rendered
    }
    assert kept == rendered | {("", "secrets")}


def test_nothing_but_the_charts_describes_a_deployment() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "*.yaml", "*.yml", "*.tpl", "*.json"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    offenders = []
    for path in listed.stdout.split():
        if not path.startswith(("charts/", "tests/")) and re.search(
            r"^\s*kind:\s*(Deployment|StatefulSet)\b", (ROOT / path).read_text(errors="replace"), re.MULTILINE
        ):
            offenders.append(path)
    assert not offenders


def test_templates_ask_the_cluster_nothing_and_draw_no_lots() -> None:
    for path in CHARTS.rglob("templates/*"):
        if path.is_file():
            for word in ("lookup ", "rand", ".Capabilities", "genSelfSigned", "now "):
                assert not re.search(r"\{\{[^}]*\b" + re.escape(word), path.read_text()), f"{path}: {word}"


@pytest.mark.contract("C03")
@pytest.mark.parametrize("chart", [*SERVICES, *INFRASTRUCTURE, OPERATOR])
def test_each_chart_has_a_helm_test_that_asks_the_door_of_its_own_release(chart: str) -> None:
    manifests = render(chart, {}, name="blue")
    services = {each["metadata"]["name"]: each["spec"]["ports"] for each in of(manifests, "Service")}
    [job] = of(manifests, "Job")
    command = " ".join(job["spec"]["template"]["spec"]["containers"][0]["command"])
    asked = [name for name in services if re.search(rf"\b{name}\b", command)]
    assert asked
    given = {each["image"] for pod in pods(manifests) for each in pod["containers"]}
    assert {each["image"] for each in job["spec"]["template"]["spec"]["containers"]} <= given


def test_hooks_are_tests() -> None:
    for chart, values in combinations():
        for each in render(chart, values):
            hook = (each["metadata"].get("annotations") or {}).get("helm.sh/hook")
            assert hook in (None, "test")


def test_values_files_stay_short() -> None:
    for service in SERVICES:
        lines = (CHARTS / service / "values.yaml").read_text().splitlines()
        assert len(lines) <= 40
        assert (CHARTS / service / "templates" / "all.yaml").read_text().count("\n") == 1
        assert yaml.safe_load((CHARTS / service / "Chart.yaml").read_text())["name"] == service
