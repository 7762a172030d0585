"""What an operator asks a service: how it does, and what became of messages that nobody could handle.

`/ops` is for ADMINs and never on a gateway's route table; the console and `hpctl` ask the services themselves. It
answers for one process: of several replicas, for the one that was reached.
"""

import asyncio
import time
from collections.abc import Awaitable, Mapping, Sequence
from typing import Annotated, Any, Protocol, TypeVar, runtime_checkable

from aiokafka.errors import KafkaError
from fastapi import APIRouter, Request
from prometheus_client import REGISTRY
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from chassis import logs, minutes, recent
from chassis.actuator import Actuator, Part
from chassis.auth import Principal, Requires, allows
from chassis.breaker import newly_made
from chassis.deadletterlog import EVERYTHING, DeadLetterLog, Letter
from chassis.deadletters import Origin
from chassis.errors import Unavailable
from chassis.http import JsonResponse
from chassis.inputs import WholeNumber
from chassis.ring import SLOT_SECONDS, Ring
from chassis.security import kafka_client
from chassis.settings import KafkaSettings, ServiceSettings

log = logs.logger(__name__)

READ = "ops:read"
WRITE = "ops:write"
GAUGES = ("consumer_lag", "outbox_messages", "outbox_oldest_seconds")
MOST_SHOWN = 200
HEALTH_SECONDS = 1.0
ASK_SECONDS = 5.0
WORK_SECONDS = 60.0

Answer = TypeVar("Answer")
Reader = Annotated[Principal, Requires(READ)]
Writer = Annotated[Principal, Requires(WRITE)]


@runtime_checkable
class Buries(Protocol):
    """A part that has dead letters."""

    @property
    def dead_letter_topics(self) -> Mapping[str, Origin]:
        """Where it puts them, by name on the wire, and where each of them comes from."""


class Work(BaseModel):
    """How much of a dead-letter topic to work off: the oldest `count`, none behind the offset `through`."""

    model_config = ConfigDict(extra="forbid")

    topic: str = Field(min_length=1, max_length=249)
    count: WholeNumber = Field(EVERYTHING, ge=1, le=EVERYTHING)
    through: WholeNumber | None = Field(None, ge=0)


class Ops:
    """Answers for one process; `ring` has to be kept running."""

    def __init__(self, settings: ServiceSettings, parts: Sequence[Part], actuator: Actuator) -> None:
        self._settings = settings
        self._parts = parts
        self._actuator = actuator
        self._client: dict[str, Any] = kafka_client(settings) if isinstance(settings, KafkaSettings) else {}
        self._breakers = newly_made()
        self.ring = Ring()

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix="/ops", include_in_schema=False)
        router.add_api_route("/summary", self._summary, methods=["GET"])
        router.add_api_route("/dead-letters", self._dead_letters, methods=["GET"])
        router.add_api_route("/dead-letters/{topic}", self._letters, methods=["GET"])
        router.add_api_route("/dead-letters/{topic}/{partition}/{offset}", self._letter, methods=["GET"])
        router.add_api_route("/replay", self._replay, methods=["POST"])
        router.add_api_route("/discard", self._discard, methods=["POST"])
        return router

    async def summary(self) -> dict[str, Any]:
        """Everything at once; see docs/console.md for the fields. Rates are per second, durations in seconds."""
        up, components = await self._actuator.components(HEALTH_SECONDS)
        self._breakers += newly_made()
        slots = self.ring.slots()
        gauges = _gauges()
        return {
            "service": self._settings.service_name,
            "version": self._settings.app_version,
            "at": time.time(),
            "uptime": time.time() - self.ring.began,
            "up": up,
            "roles": self._actuator.roles,
            "components": components,
            "slotSeconds": SLOT_SECONDS,
            "requests": minutes.requests(slots),
            "events": minutes.events(slots),
            "lag": [labels | {"behind": value} for labels, value in gauges["consumer_lag"]],
            "outbox": _outbox(gauges) if self._part("relay") else None,
            "breakers": [{"name": each.name, "state": each.state.value} for each in self._breakers],
            "recent": [event for part in self._parts for event in recent.events(part)],
        }

    async def _summary(self, who: Reader) -> Response:
        return JsonResponse(await self.summary())

    async def _dead_letters(self, who: Reader) -> Response:
        found = await _asked(self._log().counts()) if self._topics() else []
        return JsonResponse({"content": found})

    async def _letters(self, who: Reader, topic: str) -> Response:
        return JsonResponse({"content": await _asked(self._log().letters(topic, MOST_SHOWN, Letter.described))})

    async def _letter(self, request: Request, who: Reader, topic: str, partition: int, offset: int) -> Response:
        letter = await _asked(self._log().letter(topic, partition, offset))
        if not allows(request, who, WRITE):
            return JsonResponse(letter.described())
        log.info("dead letter opened", topic=topic, partition=partition, offset=offset, by=who.token_id)
        return JsonResponse(letter.opened())

    async def _replay(self, who: Writer, work: Work) -> Response:
        done = await _asked(self._log().replay(work.topic, work.count, work.through), WORK_SECONDS)
        log.warning("dead letters replayed", topic=work.topic, count=done, by=who.token_id)
        return JsonResponse({"replayed": done})

    async def _discard(self, who: Writer, work: Work) -> Response:
        done = await _asked(self._log().discard(work.topic, work.count, work.through), WORK_SECONDS)
        log.warning("dead letters discarded", topic=work.topic, count=done, by=who.token_id)
        return JsonResponse({"discarded": done})

    def _log(self) -> DeadLetterLog:
        return DeadLetterLog(self._client, self._topics())

    def _topics(self) -> dict[str, Origin]:
        buries = (part for part in self._parts if isinstance(part, Buries))
        return {topic: origin for part in buries for topic, origin in part.dead_letter_topics.items()}

    def _part(self, name: str) -> Part | None:
        return next((part for part in self._parts if part.name == name), None)


async def _asked(answer: Awaitable[Answer], within: float = ASK_SECONDS) -> Answer:
    try:
        async with asyncio.timeout(within):
            return await answer
    except (KafkaError, TimeoutError) as error:
        raise Unavailable("kafka") from error


def _gauges() -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {name: [] for name in GAUGES}
    for metric in REGISTRY.collect():
        if metric.name in found:
            found[metric.name] = [(dict(sample.labels), sample.value) for sample in metric.samples]
    return found


def _outbox(gauges: dict[str, list[tuple[dict[str, str], float]]]) -> dict[str, float]:
    waiting, oldest = gauges["outbox_messages"], gauges["outbox_oldest_seconds"]
    return {"waiting": waiting[0][1] if waiting else 0, "oldestSeconds": oldest[0][1] if oldest else 0}
