"""The process: kopf watches and hands every event to our own queue; one leader works.

No daemon, timer or deletion handler is registered: kopf adds a finalizer for those, and a finalizer wedges a deletion
once the operator is gone. Deletion is the garbage collector's, by owner references.
"""

import asyncio
import contextlib
import secrets
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import kopf
import structlog

from healthcare_operator import health, logs, metrics
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


def register(registry: kopf.OperatorRegistry, queue: WorkQueue, refers: Refers) -> None:
    """What is watched, and to which platform an event belongs."""
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
    async def definition(name: str | None, **_: Any) -> None:
        if (name or "").endswith(DEFINITIONS):
            for key in known:
                queue.add(key)


def quiet(settings: kopf.OperatorSettings) -> None:
    """kopf only watches: it writes no annotation, no event and no finalizer, and none under another's name."""
    settings.posting.enabled = False
    settings.persistence.finalizer = f"{GROUP}/unused"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    settings.scanning.disabled = False


async def run(settings: Settings) -> None:
    """Leads and works until SIGTERM, or until the lease is lost."""
    api = await Api.connect()
    within = settings.watch_namespace or None
    reconciler = Reconciler(api, Charts(settings.charts_dir), settings.resync_seconds, within=within)
    queue = WorkQueue(reconciler.reconcile, settings.workers)
    holder = f"{settings.pod_name}-{secrets.token_hex(4)}"
    lease = Lease(api, settings.pod_namespace, holder, settings.lease_seconds)
    server = await health.serve(settings.host, settings.port, queue, settings.stall_seconds)
    stop = asyncio.Event()
    for sig in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sig, stop.set)
    stopping = asyncio.create_task(stop.wait())
    working = asyncio.create_task(_lead(settings, queue, reconciler.refers, lease, stop))
    try:
        await asyncio.wait([stopping, working], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)
        with contextlib.suppress(Exception):
            async with asyncio.timeout(RELEASE_SECONDS):
                await lease.release()
        await server.cleanup()
        await api.close()


async def _lead(settings: Settings, queue: WorkQueue, refers: Refers, lease: Lease, stop: asyncio.Event) -> None:
    await lease.acquire()
    registry = kopf.OperatorRegistry()
    register(registry, queue, refers)
    configured = kopf.OperatorSettings()
    quiet(configured)
    watching = kopf.operator(
        registry=registry,
        settings=configured,
        standalone=True,
        clusterwide=not settings.watch_namespace,
        namespaces=[settings.watch_namespace] if settings.watch_namespace else [],
        stop_flag=stop,
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(lease.keep())
        group.create_task(queue.run())
        group.create_task(_until_the_end(watching, stop))


async def _until_the_end(watching: Coroutine[Any, Any, None], stop: asyncio.Event) -> None:
    """kopf takes SIGTERM for itself: its end has to be ours too, or the lease would be kept and no other could lead."""
    await watching
    stop.set()


def main() -> None:
    """`python -m healthcare_operator`; exit code 1 when the lease is lost, so that the pod starts again and waits."""
    logs.configure()
    settings = Settings()
    logs.configure(settings.log_level)
    metrics.BUILD.info({"version": settings.app_version})
    try:
        asyncio.run(run(settings))
    except* Lost:
        log.error("the lease is lost")
        raise SystemExit(1) from None
