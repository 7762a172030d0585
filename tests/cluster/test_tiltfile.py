"""The Tiltfile says what exists: images, charts, values, files, ports. Tilt itself need not be here."""

import re
from typing import Any

import pytest
import yaml
from hpctl.layout import ROOT

from tests.cluster import charts

Manifest = dict[str, Any]
TARGETS = re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)


class Tilt:
    """Runs a Tiltfile, whose language is a part of Python's, and keeps what it asked for."""

    def __init__(self, **flags: bool) -> None:
        self.images: dict[str, Manifest] = {}
        self.objects: list[Manifest] = []
        self.resources: dict[str, Manifest] = {}
        self.synced: list[tuple[str, str]] = []
        self.define_bool = lambda name, usage="": None
        self.parse = lambda: flags
        words = ("docker_build", "k8s_yaml", "helm", "k8s_resource", "sync")
        place = {word: getattr(self, word) for word in words}
        place |= {"config": self, "allow_k8s_contexts": list, "k8s_kind": lambda kind, **_: None}
        exec(compile((ROOT / "tilt/Tiltfile").read_text(), "Tiltfile", "exec"), place)

    def docker_build(self, name: str, context: str, **options: Any) -> None:
        assert (ROOT / "tilt" / context / "Dockerfile").exists()
        assert options["target"] in TARGETS
        self.images[name] = options

    def helm(self, path: str, name: str, set: list[str]) -> list[Manifest]:
        chart = (ROOT / "tilt" / path).resolve()
        assert chart.parent == charts.CHARTS
        return charts.render(chart.name, "dev", charts.nested(dict(pair.split("=", 1) for pair in set)), name)

    def k8s_yaml(self, given: str | list[Manifest]) -> None:
        if isinstance(given, str):
            given = list(yaml.safe_load_all((ROOT / "tilt" / given).read_text()))
        self.objects += given

    def k8s_resource(self, name: str, **options: Any) -> None:
        workloads = {"Deployment", "StatefulSet"}
        assert name in {found["metadata"]["name"] for found in self.objects if found["kind"] in workloads}
        assert set(options.get("resource_deps", [])) <= set(self.resources)
        self.resources[name] = options

    def sync(self, source: str, target: str) -> tuple[str, str]:
        assert (ROOT / "tilt" / source / "__init__.py").exists()
        assert target.startswith("/tmp/live/")
        self.synced.append((source, target))
        return source, target


@pytest.mark.contract("C07")
def test_tilt_runs_every_service_by_its_chart_and_updates_it_in_place() -> None:
    tilt = Tilt()
    assert {"kafka", "postgres", "redis", *tilt.images} == set(tilt.resources)
    assert len(tilt.images) == 6
    for image, options in tilt.images.items():
        assert len(options["live_update"]) == 3
        service = next(o for o in tilt.objects if o["kind"] == "Service" and o["metadata"]["name"] == image)
        assert tilt.resources[image]["port_forwards"][0] in {port["port"] for port in service["spec"]["ports"]}


@pytest.mark.contract("C07")
def test_tilt_hands_the_laptop_sample_to_the_operator() -> None:
    tilt = Tilt(operator=True)
    assert set(tilt.images) == {"healthcare-operator"}
    assert "HealthcarePlatform" in {found["kind"] for found in tilt.objects}
    assert "Deployment" in {found["kind"] for found in tilt.objects}
