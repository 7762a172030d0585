"""`make charts`: the packages of a release pull the images of that release, whatever is said or not said."""

import subprocess
import sys
from pathlib import Path

import helm_python
import pytest
import yaml

from tests.charts.rendering import CHARTS, INFRASTRUCTURE, OPERATOR, SERVICES, Manifest

REGISTRY = "ghcr.io/someone/healthcare"
SOURCE = "https://github.com/someone/healthcare/blob/v1.2.3"


def packaged(
    destination: Path, version: str, registry: str = "ghcr.io/SomeOne/healthcare/"
) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        CHARTS / "publish.py",
        destination,
        "--version",
        version,
        "--registry",
        registry,
        "--source",
        SOURCE,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def objects(package: Path, values: Manifest | None = None) -> list[Manifest]:
    rendered = helm_python.Chart.load(str(package)).render(values or {}, name="demo", namespace="demo")
    return [
        each for path, text in rendered.items() if path.endswith(".yaml") for each in yaml.safe_load_all(text) if each
    ]


def images(manifests: list[Manifest]) -> set[str]:
    pods = [each["spec"]["template"]["spec"] for each in manifests if each["kind"] == "Deployment"]
    return {part["image"] for pod in pods for part in [*pod["containers"], *pod.get("initContainers", ())]}


@pytest.mark.contract("X15")
def test_every_package_pulls_what_the_release_pushed(tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in CHARTS.rglob("*.yaml")}
    done = packaged(tmp_path, "1.2.3")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}-1.2.3.tgz" for name in (*SERVICES, *INFRASTRUCTURE, OPERATOR)
    }
    for name in (*SERVICES, OPERATOR):
        package = tmp_path / f"{name}-1.2.3.tgz"
        assert images(objects(package)) == {f"{REGISTRY}/{name}:1.2.3"}
        digest = f"sha256:{'a' * 64}"
        assert images(objects(package, {"image": {"digest": digest}})) == {f"{REGISTRY}/{name}@{digest}"}
        chart = helm_python.Chart.load(str(package))
        assert (chart.metadata["version"], chart.metadata["appVersion"]) == ("1.2.3", "1.2.3")
    [definition] = [
        each for each in objects(tmp_path / f"{OPERATOR}-1.2.3.tgz") if each["kind"] == "CustomResourceDefinition"
    ]
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    told = schema["images"]["properties"]
    assert (schema["images"]["default"], told["registry"]["default"], told["tag"]["default"]) == ({}, REGISTRY, "1.2.3")
    assert {path: path.read_bytes() for path in before} == before, "the repository's own charts stay as they are"


def test_a_platform_of_a_release_is_told_where_its_runbooks_are(tmp_path: Path) -> None:
    assert packaged(tmp_path, "1.2.3").returncode == 0
    [definition] = [
        each for each in objects(tmp_path / f"{OPERATOR}-1.2.3.tgz") if each["kind"] == "CustomResourceDefinition"
    ]
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    told = schema["monitoring"]
    assert told["default"]["runbookBaseUrl"] == told["properties"]["runbookBaseUrl"]["default"] == SOURCE


def test_alerts_of_a_release_lead_to_its_runbooks(tmp_path: Path) -> None:
    assert packaged(tmp_path, "1.2.3").returncode == 0
    told = objects(tmp_path / "monitoring-1.2.3.tgz", {"mode": "external"})
    rules = [
        rule
        for each in told
        if each["kind"] == "PrometheusRule"
        for group in each["spec"]["groups"]
        for rule in group["rules"]
    ]
    links = {rule["annotations"]["runbook_url"] for rule in rules if "alert" in rule}
    assert len(links) > 15
    assert all((CHARTS.parent / link.removeprefix(f"{SOURCE}/")).is_file() for link in links), links
    assert all(link.startswith(f"{SOURCE}/docs/runbooks/") for link in links)


@pytest.mark.parametrize("version", ["", "v1.2.3", "latest"])
def test_a_version_that_is_none_is_refused(tmp_path: Path, version: str) -> None:
    done = packaged(tmp_path, version)
    assert done.returncode == 2
    assert "is no version" in done.stderr
