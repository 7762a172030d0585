"""GitHub's workflows: valid by their schemas, on make verbs that exist, for every image that the Dockerfile makes."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.build import CACHE, cached, go
from tests.conftest import ROOT

ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.8"

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def steps(path: Any) -> list[dict[str, Any]]:
    """Every step of a workflow."""
    return [step for job in yaml.safe_load(path.read_text())["jobs"].values() for step in job.get("steps", [])]


@pytest.mark.contract("X15")
def test_workflows_are_valid_by_their_schemas() -> None:
    check = [os.environ.get("UV", "uv"), "tool", "run", "--from", "check-jsonschema==0.39.0", "check-jsonschema"]
    for schema, files in (
        ("vendor.github-workflows", [str(path) for path in WORKFLOWS]),
        ("vendor.dependabot", [str(ROOT / ".github" / "dependabot.yml")]),
    ):
        done = subprocess.run([*check, "--builtin-schema", schema, *files], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.contract("X15")
def test_their_expressions_and_scripts_are_sound() -> None:
    linter = cached(CACHE / ACTIONLINT.rpartition("/")[2].replace("@", "-") / "actionlint", _build_actionlint)
    done = subprocess.run([linter, "-no-color"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _build_actionlint(target: Path) -> None:
    go("install", ACTIONLINT, cwd=target.parent, GOBIN=str(target.parent))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_what_others_wrote_is_pinned_and_learns_no_secret(path: Path) -> None:
    actions = re.findall(r"uses: (\S+)(.*)", path.read_text())
    foreign = [(name, comment) for name, comment in actions if not name.startswith("./")]
    assert foreign
    for name, comment in foreign:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", name), f"{name} may change under us"
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), f"{name}: dependabot reads the version from a comment"
    for step in steps(path):
        if "actions/checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False
    document = yaml.safe_load(path.read_text())
    assert document["permissions"] == {"contents": "read"}
    assert document["concurrency"]


def test_nothing_is_released_that_did_not_pass() -> None:
    release = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())["jobs"]
    assert release["checks"]["uses"] == "./.github/workflows/ci.yml"
    assert "workflow_call" in yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())[True]
    assert (release["images"]["needs"], release["charts"]["needs"]) == ("checks", "images")
    assert release["release"]["needs"] == ["images", "charts"]
    proven = [step for step in release["images"]["steps"] if "attest-build-provenance" in step.get("uses", "")]
    assert [step["with"]["subject-digest"] for step in proven] == ["${{ steps.pushed.outputs.digest }}"]


@pytest.mark.contract("X15")
def test_they_run_the_verbs_that_everybody_runs() -> None:
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = {
        verb
        for path in WORKFLOWS
        for step in steps(path)
        for verb in re.findall(r"\bmake ([a-z-]+)", step.get("run", ""))
    }
    assert {"install", "lint", "types", "test", "test-cluster", "test-compose"} <= used <= verbs


@pytest.mark.contract("X15")
def test_what_needs_root_and_debians_archive_gets_them_on_the_runner() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    for job, verb in (("compose", "test-compose"), ("cluster", "test-cluster CLUSTER_NODE=own")):
        before, run = "\n".join(step.get("run", "") for step in jobs[job]["steps"]).rsplit("\n", 1)
        assert re.fullmatch(rf'sudo env "PATH=\$PATH" HOME=/root DEBIAN_MIRROR="\$DEBIAN_MIRROR" make {verb}', run)
        assert jobs[job]["env"]["DEBIAN_MIRROR"].startswith("https://")
        assert "debian-archive-keyring" in before
    assert jobs["cluster-on-kind"]["steps"][-1] == {"run": "make test-cluster CLUSTER_NODE=kind"}
    kind = "\n".join(step.get("run", "") for step in jobs["kind"]["steps"])
    assert kind.index("make cluster-up") < kind.index("kubectl apply") < kind.index("make demo")
    loaded = set(
        re.findall(r"[a-z]+-(?:service|gateway|operator)\b", kind.split("kind load")[1].split("helm install")[0])
    )
    services = {path.name for path in (ROOT / "services").iterdir() if (path / "pyproject.toml").exists()} - {"chassis"}
    assert loaded == services | {"healthcare-operator"}


def test_a_tag_publishes_every_image_and_every_chart() -> None:
    [release] = [path for path in WORKFLOWS if path.stem == "release"]
    document = yaml.safe_load(release.read_text())
    images = {each["image"] for each in document["jobs"]["images"]["strategy"]["matrix"]["include"]}
    services = {path.name for path in (ROOT / "services").iterdir() if (path / "pyproject.toml").exists()} - {"chassis"}
    assert images == services | {"healthcare-operator", "hpctl"}
    targets = set(re.findall(r"^FROM .* AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert {each["target"] for each in document["jobs"]["images"]["strategy"]["matrix"]["include"]} <= targets
    owner = document["env"]["OWNER"]
    [names] = [step["with"]["images"] for step in document["jobs"]["images"]["steps"] if step.get("id") == "names"]
    assert names == "${{ env.OWNER }}/${{ matrix.image }}"
    charts = [step.get("run", "") for step in document["jobs"]["charts"]["steps"]]
    assert owner == "ghcr.io/${{ github.repository }}"
    assert 'make charts VERSION="${GITHUB_REF_NAME#v}" REGISTRY="$OWNER" SOURCE="$SOURCE"' in charts, (
        "they pull what was pushed"
    )
    assert document[True]["push"]["tags"] == ["v[0-9]+.[0-9]+.[0-9]+"]
