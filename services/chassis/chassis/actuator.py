"""The pages that operators and probes read: /actuator/health, info and metrics; chassis.app adds prometheus."""

import asyncio
import platform
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from fastapi import APIRouter
from prometheus_client import REGISTRY
from starlette.responses import Response

from chassis.edge import Draining
from chassis.errors import NotFound
from chassis.http import JsonResponse
from chassis.settings import ServiceSettings

HEALTH_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a part works, and what an operator would ask next."""

    up: bool
    details: dict[str, Any] = field(default_factory=dict)


@runtime_checkable
class Part(Protocol):
    """Something with a life of its own inside a process.

    `role` None means always started; "api", "consumer" or "relay" only when SERVICE_ROLES has it. Only a `critical`
    part (the service's own database) takes readiness and the overall health down. A part may also say
    `alive() -> bool`: False asks for the process to be restarted.
    """

    @property
    def name(self) -> str:
        """Its name among the components of /actuator/health."""

    @property
    def role(self) -> str | None:
        """When it runs."""

    @property
    def critical(self) -> bool:
        """Whether the service is of no use without it."""

    async def start(self) -> None:
        """Begin; what cannot be reached yet is not waited for unless the part is critical."""

    async def stop(self) -> None:
        """Finish what is in hand and let go."""

    async def health(self) -> Health:
        """How it is, within a moment."""


class Actuator:
    """Answers for the parts of one process."""

    def __init__(self, settings: ServiceSettings, parts: Sequence[Part], draining: Draining) -> None:
        self._settings = settings
        self._parts = parts
        self._draining = draining
        self.started = False

    def router(self) -> APIRouter:
        """The routes that the settings expose; the others do not exist."""
        router = APIRouter(prefix="/actuator", include_in_schema=False)
        pages: dict[str, list[tuple[str, Callable[..., Awaitable[Response]]]]] = {
            "health": [("/health", self.health), ("/health/liveness", self.live), ("/health/readiness", self.ready)],
            "info": [("/info", self.info)],
            "metrics": [("/metrics", self.names), ("/metrics/{name}", self.metric)],
        }
        exposed = self._settings.management_endpoints_web_exposure_include
        for name, routes in pages.items():
            for path, endpoint in routes if name in exposed or "*" in exposed else ():
                router.add_api_route(path, endpoint, methods=["GET"])
        return router

    async def health(self) -> Response:
        """`{status, components: {name: {status, details}}}`; 503 only when a critical part is down."""
        up, components = await self.components()
        return JsonResponse({"status": _word(up), "components": components}, 200 if up else 503)

    async def components(self, within: float = HEALTH_SECONDS) -> tuple[bool, dict[str, dict[str, Any]]]:
        """Whether all critical parts are up, and `{name: {status, details}}` of every part, after that many seconds."""
        found = await asyncio.gather(*(_ask(part, within) for part in self._parts))
        pairs = list(zip(self._parts, found, strict=True))
        up = all(health.up for part, health in pairs if part.critical)
        components = {
            part.name: {"status": _word(health.up), **({"details": health.details} if health.details else {})}
            for part, health in pairs
        }
        return up, components

    @property
    def roles(self) -> list[str]:
        """What this process really is: `api` if it was asked to be, and the roles of the parts that it has."""
        api = {"api"} & self._settings.service_roles
        return sorted(api | {part.role for part in self._parts if part.role is not None})

    async def live(self) -> Response:
        """DOWN only when the process itself is stuck; nothing outside it counts."""
        up = all(getattr(part, "alive", lambda: True)() for part in self._parts)
        return JsonResponse({"status": _word(up)}, 200 if up else 503)

    async def ready(self) -> Response:
        """DOWN while starting, draining, or without what it cannot answer without."""
        critical = await asyncio.gather(*(_ask(part) for part in self._parts if part.critical))
        up = self.started and not self._draining.now and all(health.up for health in critical)
        return JsonResponse({"status": _word(up)}, 200 if up else 503)

    async def info(self) -> Response:
        """What runs here."""
        app = {"name": self._settings.service_name, "version": self._settings.app_version}
        return JsonResponse({"app": app, "python": {"version": platform.python_version()}, "roles": self.roles})

    async def names(self) -> Response:
        """The names of all metrics."""
        return JsonResponse({"names": sorted({metric.name for metric in REGISTRY.collect()})})

    async def metric(self, name: str) -> Response:
        """One metric: its samples summed by statistic, and the tags they come with."""
        found = [metric for metric in REGISTRY.collect() if metric.name == name]
        if not found:
            raise NotFound("metric")
        sums: dict[str, float] = {}
        tags: dict[str, set[str]] = {}
        for sample in found[0].samples:
            statistic = sample.name.removeprefix(name).lstrip("_").upper() or "VALUE"
            if statistic != "BUCKET":
                sums[statistic] = sums.get(statistic, 0.0) + sample.value
            for tag, value in sample.labels.items():
                tags.setdefault(tag, set()).add(value)
        return JsonResponse(
            {
                "name": name,
                "description": found[0].documentation,
                "measurements": [{"statistic": statistic, "value": value} for statistic, value in sums.items()],
                "availableTags": [{"tag": tag, "values": sorted(values)} for tag, values in sorted(tags.items())],
            }
        )


async def _ask(part: Part, within: float = HEALTH_SECONDS) -> Health:
    try:
        async with asyncio.timeout(within):
            return await part.health()
    except Exception as error:
        return Health(up=False, details={"error": type(error).__name__})


def _word(up: bool) -> str:
    return "UP" if up else "DOWN"
