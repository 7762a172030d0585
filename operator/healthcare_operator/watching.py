"""kopf, which watches and does nothing else."""

import asyncio

import kopf
import structlog

from healthcare_operator.api import Api
from healthcare_operator.crd import GROUP, KIND
from healthcare_operator.errors import ApiError
from healthcare_operator.platform import API_VERSION
from healthcare_operator.settings import Settings

log = structlog.get_logger()

LOOK_SECONDS = 1.0


async def watch(settings: Settings, registry: kopf.OperatorRegistry, api: Api, stop: asyncio.Event) -> None:
    """Watches until SIGTERM, which kopf takes for itself: its end has to be ours too, or the lease would be kept."""
    while not stop.is_set():
        try:
            await _once(settings, registry, stop)
            return
        except* Exception as failures:
            first = failures.exceptions[0]
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            log.warning("the watch ended and begins again", error=type(first).__name__, said=str(first))
        await _until_served(api)


async def _once(settings: Settings, registry: kopf.OperatorRegistry, stop: asyncio.Event) -> None:
    configured = kopf.OperatorSettings()
    quiet(configured)
    await kopf.operator(
        registry=registry,
        settings=configured,
        standalone=True,
        clusterwide=not settings.watch_namespace,
        namespaces=[settings.watch_namespace] if settings.watch_namespace else [],
        stop_flag=stop,
    )


async def _until_served(api: Api) -> None:
    """Waits for the definition of the resource, should it be gone."""
    told = False
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            if await api.still_served(API_VERSION, KIND):
                return
        except ApiError:
            continue
        if not told:
            log.error(f"the definition of {KIND} is gone: nothing is worked on until it is there again")
        told = True


def quiet(settings: kopf.OperatorSettings) -> None:
    """kopf only watches: it writes no annotation, no event and no finalizer, and none under another's name."""
    settings.posting.enabled = False
    settings.persistence.finalizer = f"{GROUP}/unused"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    settings.scanning.disabled = False
