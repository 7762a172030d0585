"""The operator on a control plane of its own: a first apply, a pass without change, drift, and a hundred platforms."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bench.measure import Ratio, Wrong, absolute, compare, percentile
from bench.world import World
from tests.cluster import crds
from tests.cluster.api import Api, Manifest, kind_of
from tests.cluster.controlplane import ControlPlane, eventually
from tests.operator.process import Operator

KIND = "HealthcarePlatform.healthcareplatform.io"
SERVICES = ("auth", "billing", "patient", "appointment", "analytics")
LOGIN = dict.fromkeys(("username", "password", "host", "port", "dbname"), "x")
DRIFTS, IDLE_PASSES, PLATFORMS = 40, 20, 100


class Bench:
    """A cluster, an operator, and a client that is no process per call."""

    def __init__(self, directory: Path) -> None:
        self.cluster = ControlPlane(directory / "cluster")
        self.cluster.start()
        crds.install(self.cluster)
        self.api = Api(self.cluster, "bench")
        self.operator = Operator(self.cluster, directory / "operator")
        self.operator.start()

    def close(self) -> None:
        """Ends every process."""
        self.operator.kill()
        self.api.close()
        self.cluster.stop()

    def namespace(self) -> str:
        """A namespace with the Secrets that its first platform refers to."""
        name = self.cluster.namespace("bench")
        self.logins(name)
        return name

    def logins(self, namespace: str, platform: str = "care") -> None:
        """The Secrets that a platform refers to, each of a database that no other platform has."""
        for service in SERVICES:
            login = {"stringData": {**LOGIN, "dbname": f"{platform}-{service}"}}
            self.api.apply("Secret", _object("v1", "Secret", f"{platform}-{service}", namespace) | login)

    def platform(self, namespace: str, name: str = "care", **spec: Any) -> None:
        """Applies a platform."""
        found = _object("healthcareplatform.io/v1alpha1", "HealthcarePlatform", name, namespace)
        self.api.apply(KIND, found | {"spec": {**_spec(name), **spec}})

    def objects(self, namespace: str, name: str = "care") -> list[Manifest]:
        """What the operator made of a platform, once its inventory is there in full."""
        inventory = (self.api.get(KIND, namespace, name) or {}).get("status", {}).get("inventory", [])
        found = [self.api.get(kind_of(each), namespace, each["name"]) for each in inventory]
        return [each for each in found if each] if all(found) else []

    def first_apply(self) -> float:
        """Seconds from the resource to the status that is written after the last of its objects."""
        namespace = self.namespace()
        started = time.perf_counter()
        self.platform(namespace)
        eventually(lambda: _seen(self, namespace, "care"), "every object of the platform", 60, every=0.02)
        return time.perf_counter() - started

    def by_kubectl(self, objects: list[Manifest]) -> float:
        """Seconds that kubectl takes for the same objects in another namespace."""
        namespace = self.namespace()
        bare = [_bare(each, namespace) for each in objects]
        started = time.perf_counter()
        words = ("apply", "--server-side", "--namespace", namespace, "--filename=-")
        self.cluster.kubectl(*words, given=json.dumps({"apiVersion": "v1", "kind": "List", "items": bare}))
        return time.perf_counter() - started


def operator(_: World) -> Iterator[Ratio]:
    """Section by section, on one cluster."""
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory))
        try:
            yield from _measured(bench)
        finally:
            bench.close()


def _measured(bench: Bench) -> Iterator[Ratio]:
    home = bench.namespace()
    bench.platform(home)
    objects = eventually(lambda: bench.objects(home), "the first platform", 60)
    theirs: Callable[[], float] = lambda: bench.by_kubectl(objects)  # noqa: E731
    name = f"apply of {len(objects)} objects over kubectl"
    yield compare(name, "s", bench.first_apply, theirs, better="lower", floor=1.5, goal=1.0)
    yield absolute("pass without change", "CPU ms", _idle(bench, home), floor=150, goal=50)
    yield absolute("drift corrected, p99", "s", [percentile(_drifts(bench, home), 99)], floor=1, goal=0.3)
    slowest = _many(bench)
    yield absolute("edit picked up, 100 platforms", "s", [slowest], floor=5, goal=1)
    memory = bench.operator.metric("process_resident_memory_bytes") / 2**20
    yield absolute("memory, 100 platforms", "MiB", [memory], floor=250, goal=150)


def _idle(bench: Bench, namespace: str) -> list[float]:
    """CPU milliseconds of passes that find nothing to do; Wrong where one of them wrote."""
    figures = []
    written = bench.operator.metric("healthcare_operator_applies_total")
    for number in range(IDLE_PASSES):
        passes, cpu = _passes(bench), bench.operator.metric("process_cpu_seconds_total")
        note = {"annotations": {"bench": str(number)}}
        bench.cluster.kubectl(
            "patch", "hcp", "care", "-n", namespace, "--type=merge", f"-p={json.dumps({'metadata': note})}"
        )
        eventually(_more(bench, passes), "another pass", 10)
        spent = bench.operator.metric("process_cpu_seconds_total") - cpu
        figures.append(1000 * spent / (_passes(bench) - passes))
    if bench.operator.metric("healthcare_operator_applies_total") != written:
        raise Wrong("a pass without change applied something")
    return figures


def _passes(bench: Bench) -> float:
    return bench.operator.metric("healthcare_operator_reconciles_total")


def _more(bench: Bench, than: float) -> Callable[[], bool]:
    return lambda: _passes(bench) > than


def _drifts(bench: Bench, namespace: str) -> list[float]:
    """Seconds from the deletion of an object to its return, each time another one."""
    figures = []
    for number in range(DRIFTS):
        name = f"care-{SERVICES[number % len(SERVICES)]}-service"
        bench.cluster.kubectl("delete", "configmap", name, "--namespace", namespace, "--wait=false")
        started = time.perf_counter()
        eventually(partial(bench.api.get, "ConfigMap", namespace, name), f"configmap {name}", 10, every=0.01)
        figures.append(time.perf_counter() - started)
    return figures


def _many(bench: Bench) -> float:
    """Seconds until the slowest of five edits is seen, among a hundred platforms."""
    home = bench.namespace()
    names = [f"p{number}" for number in range(PLATFORMS)]
    for name in names:
        bench.logins(home, name)
        bench.platform(home, name)
    eventually(lambda: all(_seen(bench, home, name) for name in names), "a hundred platforms", 300, every=1.0)
    slowest = 0.0
    for name in names[::20]:
        bench.platform(home, name, networkPolicies=False)
        started = time.perf_counter()
        eventually(partial(_seen, bench, home, name, 2), "the edit", 30, every=0.05)
        slowest = max(slowest, time.perf_counter() - started)
    return slowest


def _seen(bench: Bench, namespace: str, name: str, generation: int = 1) -> bool:
    status = (bench.api.get(KIND, namespace, name) or {}).get("status", {})
    return bool(status.get("observedGeneration", 0) >= generation)


def _spec(name: str) -> dict[str, Any]:
    """Servers that are elsewhere: nothing has to be waited for, so that what is measured is the operator alone."""
    return {
        "kafka": {"mode": "external", "bootstrapServers": "kafka:9092", "topicPrefix": f"{name}."},
        "postgres": {"mode": "external", "secrets": {f"{each}-service": f"{name}-{each}" for each in SERVICES}},
        "redis": {"mode": "disabled"},
        "monitoring": {"mode": "disabled"},
    }


def _object(api_version: str, kind: str, name: str, namespace: str) -> Manifest:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}}


def _bare(found: Manifest, namespace: str) -> Manifest:
    meta = {"name": found["metadata"]["name"], "namespace": namespace, "labels": found["metadata"].get("labels", {})}
    kept = {key: value for key, value in found.items() if key not in ("status", "metadata")}
    if kept["kind"] == "Service":
        kept["spec"] = {key: value for key, value in kept["spec"].items() if key not in ("clusterIP", "clusterIPs")}
    return kept | {"metadata": meta}
