"""The operator's dashboard and its table of metrics: two replicas that look after platforms on a real API server."""

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx2 as httpx
import pytest
import yaml
from hpctl.embedded.process import Server, dying_with_parent

from tests.cluster.controlplane import ControlPlane, eventually
from tests.conftest import ROOT
from tests.monitoring.observatory import MONITORING, Prometheus, Watched
from tests.monitoring.test_metrics import documented

BOARD = json.loads((MONITORING / "grafana" / "dashboards" / "operator.json").read_text())
QUERIES = [
    pytest.param(target["expr"], id=panel["title"]) for panel in BOARD["panels"] for target in panel.get("targets", ())
]
ALONE = {"mode": "builtin"}
PLATFORM = {
    "apiVersion": "healthcareplatform.io/v1alpha1",
    "kind": "HealthcarePlatform",
    "spec": {"kafka": ALONE, "postgres": ALONE, "redis": ALONE, "monitoring": {"mode": "disabled"}},
}


class Operator(Server):
    """One replica, working on one platform at a time."""

    def __init__(self, directory: Path, name: str, environ: Mapping[str, str]) -> None:
        self.name = name
        super().__init__(directory / name)
        settings = {"HOST": "127.0.0.1", "PORT": str(self.port), "POD_NAME": name, "WORKERS": "1"}
        self._environ = {**environ, **settings, "RESYNC_SECONDS": "1", "LEASE_SECONDS": "10"}

    def prepare(self) -> None:
        """Nothing."""

    def command(self) -> list[str]:
        return dying_with_parent([sys.executable, "-m", "healthcare_operator"])

    def environment(self) -> Mapping[str, str]:
        return self._environ

    def answers(self) -> bool:
        try:
            return bool(self.metrics())
        except httpx.TransportError:
            return False

    def metrics(self) -> str:
        return httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=10).text

    def value(self, name: str, labels: str = "") -> float:
        """The sum of the samples of that name whose labels contain `labels`."""
        found = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", self.metrics(), re.MULTILINE)
        return sum(float(value) for said, value in found if labels in said)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Its own: an operator of another suite, on the session's, would do these two's work before them."""
    plane = ControlPlane(tmp_path_factory.mktemp("board"))
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()


@pytest.fixture(scope="module")
def namespace(cluster: ControlPlane) -> str:
    cluster.apply(yaml.safe_load((ROOT / "charts" / "healthcare-operator" / "templates" / "crd.yaml").read_text()))
    cluster.established(["healthcareplatforms.healthcareplatform.io"])
    return cluster.namespace("monitoring")


@pytest.fixture(scope="module")
def replicas(
    cluster: ControlPlane, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Operator]]:
    directory = tmp_path_factory.mktemp("operators")
    environ = cluster.environ() | {"POD_NAMESPACE": namespace, "WATCH_NAMESPACE": namespace}
    replicas = [Operator(directory, name, environ) for name in ("first", "second")]
    try:
        for replica in replicas:
            replica.start()
        yield replicas
    finally:
        for replica in replicas:
            replica.stop()


@pytest.fixture(scope="module")
def watched(
    cluster: ControlPlane, namespace: str, replicas: list[Operator], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    prometheus = Prometheus(tmp_path_factory.mktemp("watching"))
    targets = [f"127.0.0.1:{replica.port}" for replica in replicas]
    job = {"job_name": "healthcare-operator", "static_configs": [{"targets": targets}]}
    prometheus.configuration = {"scrape_configs": [job], "rule_files": ["rules/*.yml"]}
    try:
        prometheus.start()
        prometheus.wait_for_scrapes(len(targets))
        since = time.time()
        a_day(cluster, namespace, replicas)
        time.sleep(3)
        yield Watched(prometheus, since, time.time())
    finally:
        prometheus.stop()


def a_day(cluster: ControlPlane, namespace: str, replicas: list[Operator]) -> None:
    """Platforms come, somebody meddles, a wish changes, the API server refuses what it should not, the leader goes."""
    leader, other = eventually(lambda: _ranked(replicas), "a leader", 30)
    seen, where = _wait_for(leader), ("--namespace", namespace)
    for name in ("main", "other", "third"):
        cluster.apply({**PLATFORM, "metadata": {"name": name}}, namespace=namespace)
    eventually(lambda: cluster.get("service", "main-redis", namespace), "the platform's Redis", 60)
    cluster.kubectl("label", "service", "main-redis", "app.kubernetes.io/component=other", "--overwrite", *where)
    seen("healthcare_operator_drift_corrected_total")
    theirs = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "main-redis"}}
    cluster.apply({**theirs, "spec": {"replicas": 4}}, namespace=namespace, manager="somebody")
    seen("healthcare_operator_conflicts_total")
    cluster.apply({**theirs, "spec": {}}, namespace=namespace, manager="somebody")
    wish = json.dumps({"spec": {"redis": {"mode": "disabled"}}})
    cluster.kubectl("patch", "healthcareplatform", "main", "--type=merge", f"--patch={wish}", *where)
    seen("healthcare_operator_pruned_total")
    cluster.apply({**PLATFORM, "metadata": {"name": "late"}}, namespace=namespace)
    seen("healthcare_operator_component_ready", 'platform="late"', present=True)
    cluster.apply(_out_of_order(namespace))
    wish = json.dumps({"spec": {"redis": {"mode": "builtin"}}})
    cluster.kubectl("patch", "healthcareplatform", "main", "--type=merge", f"--patch={wish}", *where)
    seen("healthcare_operator_reconciles_total", 'result="failed"')
    cluster.kubectl("delete", "validatingwebhookconfiguration", namespace)
    os.kill(leader.pid, signal.SIGTERM)
    _wait_for(other)("healthcare_operator_leader")


def _out_of_order(namespace: str) -> dict[str, object]:
    """An admission webhook that nobody answers: the API server says 500 to whatever it should have judged.

    An object that is refused fails no pass, a status that cannot be written does.
    """
    judged = [
        {"apiGroups": [group], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": [resource]}
        for group, resource in (("", "services"), ("healthcareplatform.io", "healthcareplatforms/status"))
    ]
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": namespace},
        "webhooks": [
            {
                "name": "nobody.example.com",
                "clientConfig": {"url": "https://127.0.0.1:1/"},
                "rules": judged,
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }
        ],
    }


def _ranked(replicas: list[Operator]) -> list[Operator]:
    """The leader first; nothing while nobody leads."""
    ranked = sorted(replicas, key=lambda each: -each.value("healthcare_operator_leader"))
    return ranked if ranked[0].value("healthcare_operator_leader") else []


def _wait_for(replica: Operator) -> Callable[..., None]:
    def seen(metric: str, labels: str = "", *, present: bool = False) -> None:
        look = (lambda: labels in replica.metrics()) if present else (lambda: replica.value(metric, labels) > 0)
        eventually(look, f"{metric}{{{labels}}}", 60)
        time.sleep(2)  # two scrapes

    return seen


@pytest.mark.contract("O10")
@pytest.mark.parametrize("expression", QUERIES)
def test_every_query_moves_with_what_happens(watched: Watched, expression: str) -> None:
    assert watched.moves(expression)


def test_the_rules_about_it_work(watched: Watched) -> None:
    groups = {group["name"]: group["rules"] for group in watched.prometheus.query("rules")["groups"]}
    assert {rule["health"] for rule in groups["operator"]} == {"ok"}


def test_the_table_lists_exactly_what_is_served(watched: Watched, replicas: list[Operator]) -> None:
    text = next(replica for replica in replicas if replica.running).metrics()
    served = dict(re.findall(r"^# TYPE (healthcare_operator_\w+) (\w+)$", text, re.MULTILINE))
    assert {name: kind for name, kind in served.items() if not name.endswith("_created")} == {
        name: kind for name, kind, _ in documented("The operator")
    }
