"""kopf, which watches and does nothing else."""

import asyncio
import signal

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
        self.went = asyncio.Event()

    def seen(self, name: str | None, event: str | None) -> None:
        """An event about a definition of this name; None is what the watch found when it began."""
        if name == f"{PLURAL}.{GROUP}":
            self.note(served=event != "DELETED")
            if event == "ADDED":  # it came after the watch had looked for what is served
                self.went.set()

    def note(self, *, served: bool) -> None:
        """Whether it is served now."""
        if not served and not self._gone:
            log.error(f"the definition of {KIND} is gone: nothing is worked on until it is there again")
        if not served:
            self.went.set()
        self._gone = not served


def heed_signals(stop: asyncio.Event) -> None:
    """SIGTERM and SIGINT set `stop`. kopf takes them for itself and does not give them back."""
    for sig in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sig, stop.set)


async def watch(
    settings: Settings, registry: kopf.OperatorRegistry, api: Api, definition: Definition, stop: asyncio.Event
) -> None:
    """Watches until SIGTERM, which kopf takes for itself: its end has to be ours too, or the lease would be kept.

    It begins anew when the definition was gone: kopf looks for what is served at each event of a definition, and at
    the last of them the API server may not list the group yet.
    """
    again = True
    while again and not stop.is_set():
        heed_signals(stop)
        await _until_served(api, definition)
        definition.went.clear()
        try:
            again = await _once(settings, registry, definition, stop)
        except* Exception as failures:
            first = failures.exceptions[0]
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            log.warning("the watch ended and begins again", error=type(first).__name__, said=str(first))
            await asyncio.sleep(LOOK_SECONDS)


async def _once(
    settings: Settings, registry: kopf.OperatorRegistry, definition: Definition, stop: asyncio.Event
) -> bool:
    """Whether to begin anew: it ended because the definition was gone."""
    end = asyncio.Event()
    watching = asyncio.create_task(_kopf(settings, registry, end))
    others = [asyncio.create_task(event.wait()) for event in (definition.went, stop)]
    try:
        await asyncio.wait([watching, *others], return_when=asyncio.FIRST_COMPLETED)
        again = not watching.done() and not stop.is_set()
        end.set()
        await watching
        return again
    finally:
        for task in (watching, *others):
            task.cancel()
        await asyncio.gather(watching, *others, return_exceptions=True)


async def _kopf(settings: Settings, registry: kopf.OperatorRegistry, end: asyncio.Event) -> None:
    configured = kopf.OperatorSettings()
    quiet(configured)
    await kopf.operator(
        registry=registry,
        settings=configured,
        standalone=True,
        clusterwide=not settings.watch_namespace,
        namespaces=[settings.watch_namespace] if settings.watch_namespace else [],
        stop_flag=end,
    )


async def _until_served(api: Api, definition: Definition) -> None:
    """Waits for the definition of the resource, should it be gone, until kopf finds it as well."""
    served = False
    while not served:
        try:
            served = await api.listed(GROUP) and await api.still_served(API_VERSION, KIND)
        except ApiError:
            pass
        else:
            definition.note(served=served)
        if not served:
            await asyncio.sleep(LOOK_SECONDS)


def quiet(settings: kopf.OperatorSettings) -> None:
    """kopf only watches: it writes no annotation, no event and no finalizer, and none under another's name."""
    settings.posting.enabled = False
    settings.persistence.finalizer = f"{GROUP}/unused"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    settings.scanning.disabled = False
