"""What tracing costs: one service that records a tenth of its traces against one that records none."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from bench.cache import static
from bench.creates import CONNECTIONS
from bench.load import wrk
from bench.measure import Ratio, Wrong, compare
from bench.world import World, call, headers

PERSON = {"name": "John Doe", "address": "123 Main St", "dateOfBirth": "1990-01-01"}
ALONE: dict[str, Any] = {"SERVICE_ROLES": "api", "BILLING_SERVICE_ADDRESS": "127.0.0.1:1"}
TENTH: dict[str, Any] = {
    "OTEL_SDK_DISABLED": "false",
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
    "OTEL_TRACES_SAMPLER_ARG": "0.1",
}


def tracing(world: World) -> Iterator[Ratio]:
    """The shortest request (a cached read) and a write, each with tracing at 10 % over without; both services are
    pinned to one processor and answer in turn; what is recorded is sent to a receiver that takes everything, on the
    load's processor, for no collector runs on its service's."""
    world.database("patient_service")
    with (
        static(world, b"{}", cpu=1) as receiver,
        world.service("patient_service", **ALONE) as without,
        world.service("patient_service", **ALONE, **TENTH, OTEL_EXPORTER_OTLP_ENDPOINT=receiver) as traced,
    ):
        path = f"/patients/{call(f'{without}/patients', PERSON | {'email': 'john@example.com'})['id']}"
        if call(traced + path) != call(without + path):
            raise Wrong("the two services answer differently")
        yield _over("cached GET /patients/{id}", lambda url: _read(world, url + path), traced, without)
        yield _over("POST /patients", lambda url: _write(world, url), traced, without)


def _over(name: str, rate: Callable[[str], float], traced: str, without: str) -> Ratio:
    return compare(
        f"{name} with tracing at 10 % over without",
        "requests/s",
        lambda: rate(traced),
        lambda: rate(without),
        better="higher",
        floor=0.9,
        goal=0.95,
    )


def _read(world: World, url: str) -> float:
    return wrk(url, workdir=world.directory, headers=headers()).rate


def _write(world: World, url: str) -> float:
    body = json.dumps(PERSON | {"email": f"{uuid.uuid4().hex}COUNTER@example.com"})
    sent = wrk(
        f"{url}/patients",
        workdir=world.directory,
        connections=CONNECTIONS,
        method="POST",
        headers={"Content-Type": "application/json", **headers()},
        body=body,
    )
    return sent.rate
