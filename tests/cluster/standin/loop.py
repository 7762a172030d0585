"""A stand-in for the operators of Kafka, PostgreSQL, monitoring and gateways: it plays their status, and no pod runs.

Every resource is `ready` unless a test says otherwise with `behave`: `failing` reports trouble, `slow` says nothing,
`clinging` keeps its finalizer as long as its server is there to take it away, and for ever when that goes first.
What the real ones refuse, this one refuses too (standin/{strimzi,postgres,monitoring,gateway}.py).
"""

import threading
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import httpx2 as httpx

from tests.cluster.api import Api, Refused, Unavailable
from tests.cluster.controlplane import ControlPlane
from tests.cluster.mirror import Mirror
from tests.cluster.standin import gateway, monitoring, postgres, strimzi
from tests.cluster.standin.world import Invalid, Manifest, Report

OPERATORS: tuple[ModuleType, ...] = (strimzi, postgres, monitoring, gateway)
EVERY_SECONDS = 1.0
TOGETHER_SECONDS = 0.05
"""Changes that come in a burst are one pass; what no watch tells of (other kinds, the time) waits a second."""
GONE = ('"reason":"NotFound"', "NamespaceTerminating")
WITHOUT_GENERATION = {"Cluster", "Prometheus", "Alertmanager", "ServiceMonitor", "PodMonitor", "PrometheusRule"}
WITHOUT_GENERATION |= {"Gateway", "HTTPRoute"}


class StandIn:
    """All four operators in one thread. `problems` are answers of the API server that no test should leave behind."""

    def __init__(self, cluster: ControlPlane) -> None:
        self.api = Api(cluster, "stand-in")
        self.problems: list[str] = []
        self._behaviour: dict[tuple[str, str], str] = {}
        self._seen: dict[str, list[Manifest]] = {}
        self._mirror = Mirror(cluster, self.api, [kind for operator in OPERATORS for kind in operator.JUDGES])
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stand-in", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._mirror.start()
        self._thread.start()

    def stop(self) -> None:
        """Fall silent."""
        self._ended.set()
        self._mirror.changed.set()
        self._thread.join(30)
        self._mirror.stop()
        self.api.close()

    def behave(self, kind: str, how: str, namespace: str = "") -> None:
        """From now on resources of a kind (in a namespace, or everywhere) are `ready`, `failing`, `slow` or so."""
        assert how in {"ready", "failing", "slow", "clinging"}, how
        self._behaviour[kind, namespace] = how
        self._mirror.changed.set()

    def all(self, kind: str, namespace: str) -> list[Manifest]:
        return [found for found in self._seen.get(kind, []) if found["metadata"]["namespace"] == namespace]

    def find(self, kind: str, namespace: str, name: str) -> Manifest | None:
        if kind in self._seen:
            return next((found for found in self.all(kind, namespace) if found["metadata"]["name"] == name), None)
        return self.api.get(kind, namespace, name)

    def _run(self) -> None:
        while not self._ended.wait(TOGETHER_SECONDS):
            self._mirror.changed.wait(EVERY_SECONDS)
            self._mirror.changed.clear()
            try:
                self._pass()
            except (httpx.TransportError, Unavailable):
                continue  # the API server is away or busy; the real ones would wait as well

    def _pass(self) -> None:
        self._seen = {kind: self._mirror.all(kind) for operator in OPERATORS for kind in operator.JUDGES}
        for operator in OPERATORS:
            for kind in operator.JUDGES:
                for resource in self._seen[kind]:
                    self._answer(operator, kind, resource)

    def _answer(self, operator: ModuleType, kind: str, resource: Manifest) -> None:
        how = self._how(resource)
        if how == "slow":
            return
        try:
            self._finalize(operator, kind, resource, how)
            if "deletionTimestamp" in resource["metadata"]:
                return
            self._write(kind, resource, self._judge(operator, kind, resource, how))
        except Unavailable:
            raise
        except Refused as refusal:
            if not any(gone in str(refusal) for gone in GONE):
                self.problems.append(f"{kind} {resource['metadata']['name']}: {refusal}")

    def _judge(self, operator: ModuleType, kind: str, resource: Manifest, how: str) -> Report:
        try:
            if how == "failing":
                raise Invalid("the test wants it to fail")
            report: Report = operator.JUDGES[kind](resource, self)
        except Invalid as reason:
            report = Report(operator.failed(resource["kind"], str(reason)))
        if report.status and resource["kind"] not in WITHOUT_GENERATION:
            report.status["observedGeneration"] = resource["metadata"]["generation"]
        return report

    def _write(self, kind: str, resource: Manifest, report: Report) -> None:
        meta = resource["metadata"]
        for made, manifest in report.children:
            name = manifest["metadata"]["name"]
            if self.api.get(made, meta["namespace"], name) is None:
                self.api.apply(made, manifest)
        now = resource.get("status", {})
        if not report.status or _timeless(now) == _timeless(report.status):
            return
        body = {key: resource[key] for key in ("apiVersion", "kind")}
        body |= {"metadata": {"name": meta["name"], "namespace": meta["namespace"]}, "status": _timed(report.status)}
        self.api.apply(kind, body, "status")

    def _finalize(self, operator: ModuleType, kind: str, resource: Manifest, how: str) -> None:
        meta = resource["metadata"]
        asked = operator.finalizer(resource, self, clinging=how == "clinging")
        if asked is None:
            return
        (name, wanted), held = asked, meta.get("finalizers", [])
        if (name in held) != wanted:
            now = [*held, name] if wanted else [each for each in held if each != name]
            self.api.merge(kind, meta["namespace"], meta["name"], {"metadata": {"finalizers": now}})

    def _how(self, resource: Manifest) -> str:
        kind, namespace = resource["kind"], resource["metadata"]["namespace"]
        return self._behaviour.get((kind, namespace)) or self._behaviour.get((kind, ""), "ready")


def _timeless(value: Any) -> Any:
    """The same without times and empty texts, to tell whether anything was said anew."""
    if isinstance(value, dict):
        return {key: _timeless(found) for key, found in value.items() if key != "lastTransitionTime" and found != ""}
    return [_timeless(found) for found in value] if isinstance(value, list) else value


def _timed(value: Any) -> Any:
    """The same with a time on every condition."""
    if isinstance(value, dict):
        timed = {key: _timed(found) for key, found in value.items()}
        is_condition = {"type", "status"} <= timed.keys()
        return timed | ({"lastTransitionTime": _now()} if is_condition else {})
    return [_timed(found) for found in value] if isinstance(value, list) else value


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
