"""The process: it watches and hands every event to our own queue; one leader works, the others keep ready.

No daemon, timer or deletion handler is registered: kopf adds a finalizer for those, and a finalizer wedges a deletion
once the operator is gone. Deletion is the garbage collector's, by owner references.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from typing import Any

import kopf
import structlog

from healthcare_operator import health, logs, metrics, watching
from healthcare_operator.api import Api
from healthcare_operator.crd import GROUP, PLURAL, VERSION
from healthcare_operator.helm import Charts
from healthcare_operator.lease import Lease, Lost
from healthcare_operator.platform import PLATFORM
from healthcare_operator.reconcile import Reconciler
from healthcare_operator.settings import Settings
from healthcare_operator.workqueue import Key, WorkQueue

log = structlog.get_logger()

RELEASE_SECONDS = 5.0  # an API server that does not answer may not hold up the end of the process

CHILDREN = (
    ("", "v1", "configmaps"),
    ("", "v1", "secrets"),
    ("", "v1", "services"),
    ("", "v1", "serviceaccounts"),
    ("apps", "v1", "deployments"),
    ("apps", "v1", "statefulsets"),
    ("autoscaling", "v2", "horizontalpodautoscalers"),
    ("policy", "v1", "poddisruptionbudgets"),
    ("networking.k8s.io", "v1", "networkpolicies"),
    ("networking.k8s.io", "v1", "ingresses"),
    ("rbac.authorization.k8s.io", "v1", "roles"),
    ("rbac.authorization.k8s.io", "v1", "rolebindings"),
    ("gateway.networking.k8s.io", "v1", "httproutes"),
    ("kafka.strimzi.io", "v1", "kafkas"),
    ("kafka.strimzi.io", "v1", "kafkanodepools"),
    ("kafka.strimzi.io", "v1", "kafkatopics"),
    ("kafka.strimzi.io", "v1", "kafkausers"),
    ("postgresql.cnpg.io", "v1", "clusters"),
    ("postgresql.cnpg.io", "v1", "databases"),
    ("monitoring.coreos.com", "v1", "prometheuses"),
    ("monitoring.coreos.com", "v1", "alertmanagers"),
    ("monitoring.coreos.com", "v1", "servicemonitors"),
    ("monitoring.coreos.com", "v1", "podmonitors"),
    ("monitoring.coreos.com", "v1", "prometheusrules"),
)
DEFINITIONS = ("kafka.strimzi.io", "postgresql.cnpg.io", "monitoring.coreos.com", "gateway.networking.k8s.io")


Refers = Callable[[str, str], list[Key]]
"""The platforms that a Secret is given to, by its namespace and name."""


def register(
    registry: kopf.OperatorRegistry,
    queue: WorkQueue,
    warming: WorkQueue,
    refers: Refers,
    definition: watching.Definition,
) -> None:
    """What is watched, and to which platform an event belongs; `warming` hears of platforms alone."""
    known: dict[Key, int] = {}

    @kopf.on.login(registry=registry)
    async def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def platform(
        namespace: str | None, name: str | None, meta: kopf.Meta, event: kopf.RawEvent, **_: Any
    ) -> None:
        key, generation = (namespace or "", name or ""), meta.get("generation", 0)
        queue.add(key, urgent=known.get(key) != generation)  # an edit; the rest is mostly our own writing of the status
        warming.add(key)
        known.pop(key, None) if event["type"] == "DELETED" else known.update({key: generation})

    async def child(labels: kopf.Labels, namespace: str | None, **_: Any) -> None:
        queue.add((namespace or "", labels[PLATFORM]))

    for group, version, plural in CHILDREN:
        kopf.on.event(group, version, plural, labels={PLATFORM: kopf.PRESENT}, registry=registry)(child)

    @kopf.on.event("", "v1", "secrets", registry=registry)
    async def secret(namespace: str | None, name: str | None, **_: Any) -> None:
        for key in refers(namespace or "", name or ""):
            queue.add(key)

    @kopf.on.event("apiextensions.k8s.io", "v1", "customresourcedefinitions", registry=registry)
    async def defined(name: str | None, event: kopf.RawEvent, **_: Any) -> None:
        definition.seen(name, event["type"])
        if (name or "").endswith(DEFINITIONS):
            for key in known:
                queue.add(key)


async def run(settings: Settings) -> None:
    """Watches from the start, works while it leads, and ends with SIGTERM."""
    api = await Api.connect()
    within = settings.watch_namespace or None
    reconciler = Reconciler(api, Charts(settings.charts_dir), settings.resync_seconds, within=within)
    queue = WorkQueue(reconciler.reconcile, settings.workers)
    warming = WorkQueue(reconciler.warm, 1)
    holder = f"{settings.pod_name}-{secrets.token_hex(4)}"
    lease = Lease(api, settings.pod_namespace, holder, settings.lease_seconds)
    api.writes_while(lease.valid)
    server = await health.serve(settings.host, settings.port, queue, settings.stall_seconds)
    stop = asyncio.Event()
    watching.heed_signals(stop)
    registry = kopf.OperatorRegistry()
    definition = watching.Definition()
    register(registry, queue, warming, reconciler.refers, definition)
    watch = watching.watch(settings, registry, api, definition, stop)
    parts = [stop.wait(), watch, _lead(queue, warming, reconciler, lease)]
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(Exception):
            async with asyncio.timeout(RELEASE_SECONDS):
                await lease.release()
        await server.cleanup()
        await api.close()


async def _lead(queue: WorkQueue, warming: WorkQueue, reconciler: Reconciler, lease: Lease) -> None:
    """Waits for the lease, works as long as it holds, and waits again."""
    while True:
        preparing = asyncio.create_task(warming.run())
        try:
            await lease.acquire()
        finally:
            preparing.cancel()
            await asyncio.gather(preparing, return_exceptions=True)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(lease.keep())
                group.create_task(queue.run())
        except* Lost:
            log.error("the lease is lost, so the work stops until it is ours again")
        reconciler.step_down()


def main() -> None:
    """`python -m healthcare_operator`."""
    logs.configure()
    settings = Settings()
    logs.configure(settings.log_level)
    metrics.BUILD.info({"version": settings.app_version})
    asyncio.run(run(settings))
