"""skaffold.yaml says what exists: images, charts, values, files, ports. Skaffold itself need not be here."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hpctl.layout import ROOT

from tests.cluster import charts

Manifest = dict[str, Any]
SKAFFOLD: Manifest = yaml.safe_load((ROOT / "skaffold.yaml").read_text())
PROFILES = ["", *(profile["name"] for profile in SKAFFOLD["profiles"])]
TARGETS = re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
ALLOWED = {  # skaffold/v4beta13, as far as the file uses it
    "": {"apiVersion", "kind", "metadata", "build", "manifests", "deploy", "portForward", "profiles"},
    "artifact": {"image", "docker", "sync"},
    "docker": {"dockerfile", "target", "buildArgs"},
    "release": {"name", "chartPath", "skipBuildDependencies", "setValues", "setValueTemplates"},
    "forward": {"resourceType", "resourceName", "port", "localPort"},
    "sync": {"src", "dest", "strip"},
}


def activated(profile: str) -> Manifest:
    """The configuration as `skaffold -p profile` sees it: JSON patches, applied in order."""
    config = copy.deepcopy(SKAFFOLD)
    patches = next((found["patches"] for found in config["profiles"] if found["name"] == profile), [])
    for patch in patches:
        *way, last = patch["path"].strip("/").split("/")
        place: Any = config
        for step in way:
            place = place[int(step)] if isinstance(place, list) else place[step]
        if isinstance(place, list):
            place.append(patch["value"]) if last == "-" else place.__setitem__(int(last), patch["value"])
        else:
            assert patch["op"] == "add" or last in place, patch
            place[last] = patch["value"]
    return config


def rendered(release: Manifest) -> list[Manifest]:
    chosen = release.get("setValues", {}) | {
        key: "tag" if key.endswith("tag") else release["name"] for key in release.get("setValueTemplates", {})
    }
    return charts.render(Path(release["chartPath"]).name, "dev", charts.nested(chosen), release["name"])


@pytest.mark.contract("C07")
@pytest.mark.parametrize("profile", PROFILES)
def test_skaffold_names_only_fields_that_it_knows(profile: str) -> None:
    config = activated(profile)
    assert (config["apiVersion"], config["kind"]) == ("skaffold/v4beta13", "Config")
    assert set(config) <= ALLOWED[""]
    for artifact in config["build"]["artifacts"]:
        assert set(artifact) <= ALLOWED["artifact"]
        assert set(artifact["docker"]) <= ALLOWED["docker"]
    assert all(set(release) <= ALLOWED["release"] for release in config["deploy"]["helm"]["releases"])
    assert all(set(forward) <= ALLOWED["forward"] for forward in config["portForward"])


@pytest.mark.contract("C07")
@pytest.mark.parametrize("profile", PROFILES)
def test_skaffold_deploys_the_charts_with_the_images_that_it_builds(profile: str) -> None:
    config = activated(profile)
    built = {artifact["image"]: artifact["docker"] for artifact in config["build"]["artifacts"]}
    assert set(built) == {name for name in charts.names() if name.endswith("-service")} | {"api-gateway"}
    assert all(docker["target"] in TARGETS for docker in built.values())
    run: set[str] = set()
    for release in config["deploy"]["helm"]["releases"]:
        for found in rendered(release):
            template = found.get("spec", {}).get("template", {}).get("spec", {})
            run |= {container["image"] for container in template.get("containers", [])}
        templates = release.get("setValueTemplates", {})
        if templates:
            name = release["name"].replace("-", "_")
            assert templates == {f"image.{part}": f"{{{{.IMAGE_{env}_{name}}}}}" for part, env in PARTS.items()}
    assert {f"{image}:tag" for image in built} <= run


PARTS = {"repository": "REPO", "tag": "TAG"}


@pytest.mark.contract("C07")
@pytest.mark.parametrize("profile", PROFILES)
def test_skaffold_forwards_ports_of_what_it_deploys(profile: str) -> None:
    config = activated(profile)
    objects = [found for release in config["deploy"]["helm"]["releases"] for found in rendered(release)]
    there = {(found["kind"].lower(), found["metadata"]["name"]): found for found in objects}
    local = [forward["localPort"] for forward in config["portForward"]]
    assert len(set(local)) == len(local)
    for forward in config["portForward"]:
        found = there[forward["resourceType"], forward["resourceName"]]
        if forward["resourceType"] == "service":
            assert forward["port"] in {port["port"] for port in found["spec"]["ports"]}
        else:
            own = next(one for one in config["deploy"]["helm"]["releases"] if one["name"] == forward["resourceName"])
            assert own["setValues"]["env.DEBUG_PORT"] == str(forward["port"])
            built = {artifact["image"]: artifact["docker"] for artifact in config["build"]["artifacts"]}
            assert built[own["name"]]["target"] == "dev"  # the only one that has debugpy


@pytest.mark.contract("C07")
def test_skaffold_copies_files_that_exist_to_where_they_are_imported_from() -> None:
    for artifact in activated("dev")["build"]["artifacts"]:
        assert artifact["docker"]["target"] == "dev"
        for rule in artifact["sync"]["manual"]:
            assert set(rule) == ALLOWED["sync"]
            assert list(ROOT.glob(rule["src"])), rule
            assert rule["src"].startswith(rule["strip"])
            assert (
                ROOT / rule["strip"] / rule["src"].removeprefix(rule["strip"]).split("/")[0] / "__init__.py"
            ).exists()
            assert rule["dest"] == "/tmp/live"


def test_the_secrets_are_those_that_the_charts_ask_for() -> None:
    secrets = list(yaml.safe_load_all((ROOT / "k8s/kind/secrets.yaml").read_text()))
    there = {secret["metadata"]["name"] for secret in secrets}
    asked: set[str] = set()
    for release in SKAFFOLD["deploy"]["helm"]["releases"]:
        for found in rendered(release):
            volumes = found.get("spec", {}).get("template", {}).get("spec", {}).get("volumes", [])
            asked |= {volume["secret"]["secretName"] for volume in volumes if "secret" in volume}
    assert asked == there


@pytest.mark.parametrize("path", sorted((ROOT / "k8s/kind").glob("*.yaml")), ids=lambda path: path.name)
def test_what_lies_in_the_kind_folder_is_for_kind_or_for_kubernetes(path: Path) -> None:
    for found in yaml.safe_load_all(path.read_text()):
        if found["kind"] == "Cluster":
            assert found["apiVersion"] == "kind.x-k8s.io/v1alpha4"
            assert found["nodes"][0]["role"] == "control-plane"
            assert {node["role"] for node in found["nodes"]} <= {"control-plane", "worker"}
        else:
            assert (found["apiVersion"], found["kind"]) == ("v1", "Secret")


@pytest.mark.contract("C02")
def test_the_top_level_holds_what_was_agreed() -> None:
    folders = ("services", "charts", "operator", "protos", "k8s", "monitoring", "tilt")
    files = ("skaffold.yaml", "tilt/Tiltfile", "Makefile", ".env.example", "README.md")
    assert [name for name in folders if not (ROOT / name).is_dir()] == []
    assert [name for name in files if not (ROOT / name).is_file()] == []
