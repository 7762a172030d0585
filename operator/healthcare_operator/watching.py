"""kopf, which watches and does nothing else."""

import asyncio

import kopf
import structlog

from healthcare_operator.api import Api
from healthcare_operator.crd import GROUP, KIND, PLURAL
from healthcare_operator.errors import ApiError
from healthcare_operator.platform import API_VERSION
from healthcare_operator.settings import Settings

log = structlog.get_logger()

LOOK_SECONDS = 1.0


class Definition:
    """The definition of the resource: that it is gone is said once, by whoever notices first, the watch or the lack."""

    def __init__(self) -> None:
        self._gone = False

    def seen(self, name: str | None, event: str | None) -> None:
        """An event about a definition of this name."""
        if name == f"{PLURAL}.{GROUP}":
            self.note(served=event != "DELETED")

    def note(self, *, served: bool) -> None:
        """Whether it is served now."""
        if not served and not self._gone:
            log.error(f"the definition of {KIND} is gone: nothing is worked on until it is there again")
        self._gone = not served


async def watch(
    settings: Settings, registry: kopf.OperatorRegistry, api: Api, definition: Definition, stop: asyncio.Event
) -> None:
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
        await _until_served(api, definition)


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


async def _until_served(api: Api, definition: Definition) -> None:
    """Waits for the definition of the resource, should it be gone."""
    served = False
    while not served:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            served = await api.still_served(API_VERSION, KIND)
        except ApiError:
            continue
        definition.note(served=served)


def quiet(settings: kopf.OperatorSettings) -> None:
    """kopf only watches: it writes no annotation, no event and no finalizer, and none under another's name."""
    settings.posting.enabled = False
    settings.persistence.finalizer = f"{GROUP}/unused"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    settings.scanning.disabled = False
