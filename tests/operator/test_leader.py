"""Two operators: one works, the other one waits, and takes over from one that is killed."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from healthcare_operator import crd

from tests.cluster.components import fetch
from tests.cluster.controlplane import ControlPlane, eventually
from tests.operator.platforms import Platforms, resource
from tests.operator.process import LEASE_SECONDS, Operator

LEADER = "healthcare_operator_leader"


@pytest.fixture
def second(operator: Operator, tmp_path: Path) -> Iterator[Operator]:
    """Another process of the same installation, waiting."""
    other = Operator(operator.cluster, tmp_path / "second")
    other.namespace = operator.namespace
    other.directory.mkdir()
    shutil.copy(operator.directory / "kubeconfig", other.directory / "kubeconfig")
    other.launch()
    try:
        eventually(lambda: '"UP"' in fetch(f"http://127.0.0.1:{other.port}/healthz"), "an operator that waits", 60)
        yield other
    finally:
        other.kill()
        operator.start()


def test_the_second_operator_waits_and_takes_over_from_one_that_is_killed(
    platforms: Platforms, operator: Operator, second: Operator
) -> None:
    platforms.apply()
    platforms.ready()
    assert (operator.metric(LEADER), second.metric(LEADER)) == (1, 0)
    assert second.metric("healthcare_operator_reconciles_total") == 0
    operator.kill()
    platforms.kubectl("scale", "deployment/care-api-gateway", "--replicas=3")
    eventually(lambda: second.metric(LEADER) == 1, "another leader", LEASE_SECONDS * 5)

    def put_back() -> bool:
        return bool(platforms.there("deployment", "care-api-gateway")["spec"]["replicas"] == 1)

    eventually(put_back, "what was changed in between", 20)


MANY = 50
SECONDS = 5.0
ONE_SERVICE: dict[str, Any] = {
    "redis": {"mode": "disabled"},
    "monitoring": {"mode": "disabled"},
    "services": {
        name: {"enabled": False}
        for name in ("auth-service", "patient-service", "appointment-service", "analytics-service", "billing-service")
    },
}
DEFINITION = "healthcareplatforms.healthcareplatform.io"


def many(platforms: Platforms) -> list[str]:
    """Platforms of one service each, on servers that no two of them share."""
    names = [f"care-{number}" for number in range(MANY)]
    keys = ("username", "password", "host", "port", "dbname")
    made = []
    for name in names:
        server = f"{name}.{platforms.namespace}.example"
        about = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
        made.append({**about, "stringData": dict.fromkeys(keys, server)})
        kafka = {"mode": "external", "bootstrapServers": f"{server}:9092"}
        postgres = {"mode": "external", "secrets": {"billing-service": name}}
        made.append(resource({**ONE_SERVICE, "kafka": kafka, "postgres": postgres}, name))
    platforms.cluster.apply(*made, namespace=platforms.namespace)
    return names


def phases(platforms: Platforms) -> list[str]:
    return [each.get("status", {}).get("phase", "") for each in platforms.cluster.list("hcp", platforms.namespace)]


@pytest.mark.contract("Z08")
def test_after_a_fail_over_drift_of_any_of_fifty_platforms_is_taken_back_soon(
    platforms: Platforms, operator: Operator, second: Operator
) -> None:
    names = many(platforms)
    eventually(lambda: phases(platforms) == ["Ready"] * MANY, "fifty platforms", 240, every=1.0)
    eventually(lambda: second.metric("healthcare_operator_rendered_platforms") >= MANY, "an operator that is warm", 60)
    changed = [f"{names[number]}-api-gateway" for number in (0, MANY // 2, MANY - 1)]
    operator.kill()
    killed = time.monotonic()
    for name in changed:
        patch = json.dumps({"spec": {"replicas": 3}})
        platforms.kubectl("patch", "deployment", name, "--type=merge", "--patch", patch)

    def put_back() -> bool:
        return all(platforms.there("deployment", name)["spec"]["replicas"] == 1 for name in changed)

    eventually(put_back, "what was changed in between", 60, every=0.05)
    took = time.monotonic() - killed
    load = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))  # what else is on the machine
    print(f"{took:.1f} s after the leader was killed, at a load of {load:.1f}")
    assert took < SECONDS * load


@pytest.mark.contract("Z08")
def test_a_definition_that_is_deleted_is_one_sentence_and_work_goes_on_when_it_is_back(
    defined: ControlPlane, operator: Operator
) -> None:
    operator.start()
    before = len(operator.log.read_text())
    defined.kubectl("delete", "customresourcedefinition", DEFINITION, "--timeout=120s")
    try:
        gone = "the definition of HealthcarePlatform is gone"
        eventually(lambda: operator.log.read_text()[before:].count(gone) == 1, "a sentence in the log", 60)
    finally:
        defined.apply(crd.definition())
        defined.established([DEFINITION])
    platforms = Platforms(defined, defined.namespace())
    platforms.apply()
    platforms.ready()
    said = operator.log.read_text()[before:]
    assert "not caught" not in said
    assert "Traceback" not in said
    assert operator.metric(LEADER) == 1
    defined.kubectl("delete", "namespace", platforms.namespace, "--wait=false")
