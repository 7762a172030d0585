"""One service and a receiver: what counts as an error, who decides what is recorded, and where it is sent."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx2 as httpx
import pytest
from chassis import tracing
from chassis.app import create_app
from chassis.errors import Conflict, Unavailable
from chassis.settings import ServiceSettings
from chassis.testing import serve
from fastapi import APIRouter
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from tests.traces.receiver import Receiver, receiving

PERSON = "ada.byron@example.com"
routes = APIRouter()


class Settings(ServiceSettings):
    service_name = "traced"


@routes.get("/people/{name}")
async def person(name: str, how: str, email: str = "", search: str = "") -> dict[str, str]:
    with tracing.child("look up", {}):
        if how == "crash":
            raise LookupError(f"{name} broke it")
        if how == "away":
            raise Unavailable("the database")
        if how == "conflict":
            raise Conflict(f"{name} is there already")
    return {"name": name}


async def asked(receiver: Receiver, environ: Mapping[str, Any], requests: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Trace → status of these requests (traceparent flags or "", query) to a service whose spans go to the receiver."""
    given = {"otel_traces_exporter": "otlp", "otel_exporter_otlp_endpoint": receiver.url} | environ
    settings = Settings(port=0, shutdown_drain_seconds=0, **given)
    statuses = {}
    tracing.configure(settings, settings.service_name)
    try:
        async with (
            serve(create_app(settings, routers=[routes])) as url,
            httpx.AsyncClient(base_url=url, timeout=20) as client,
        ):
            for flags, query in requests:
                headers = {"traceparent": f"00-{uuid4().hex}-{uuid4().hex[:16]}-{flags}"} if flags else {}
                answer = await client.get(f"/people/{PERSON}?{query}", headers=headers)
                trace = headers["traceparent"][3:35] if flags else answer.headers["x-request-id"]
                statuses[trace] = answer.status_code
    finally:
        tracing.close()  # sends what is left
    return statuses


async def test_a_failure_is_an_error_and_a_refusal_is_none_and_neither_holds_what_was_asked() -> None:
    hows = ["crash", "away", "conflict", "fine"]
    with receiving() as receiver:
        asks = [("01", f"how={how}&email={quote(PERSON)}&search={PERSON}") for how in hows]
        statuses = await asked(receiver, {}, asks)
    assert list(statuses.values()) == [500, 503, 409, 200]
    named = dict(zip(hows, statuses, strict=True))
    failed = {how: {each.name: each.failed for each in receiver.of(trace)} for how, trace in named.items()}
    request = "GET /people/{name}"
    assert failed == {
        "crash": {request: True, "look up": True},
        "away": {request: True, "look up": True},
        "conflict": {request: False, "look up": True},
        "fine": {request: False, "look up": False},
    }
    texts = {(each.name, each.trace): each.text for each in receiver.spans}
    assert '"500"' in texts[request, named["crash"]]
    assert '"503"' in texts[request, named["away"]]
    assert "LookupError" in texts["look up", named["crash"]]
    for text in texts.values():
        for secret in ("ada", "byron", "how=", "search", "is there already", "broke it"):
            assert secret not in text.lower()


def tenth(trace: str) -> bool:
    """What the SDK's own sampler says of a trace."""
    return TraceIdRatioBased(0.1).should_sample(None, int(trace, 16), "").decision.is_sampled()


@pytest.mark.parametrize(
    ("sampler", "recorded"),
    [
        ("parentbased_traceidratio", lambda trace, flags: flags == "01" or (not flags and tenth(trace))),
        ("traceidratio", lambda trace, _: tenth(trace)),
        ("parentbased_always_off", lambda _, flags: flags == "01"),
        ("always_off", lambda *_: False),
        ("parentbased_always_on", lambda _, flags: flags != "00"),
        ("always_on", lambda *_: True),
    ],
)
async def test_the_sampler_decides_and_heeds_the_caller_where_it_is_parent_based(
    sampler: str, recorded: Callable[[str, str], bool]
) -> None:
    flags = ["", "00", "01"] * 50
    environ = {"otel_traces_sampler": sampler, "otel_traces_sampler_arg": 0.1}
    with receiving() as receiver:
        statuses = await asked(receiver, environ, [(each, "how=fine") for each in flags])
    wanted = {trace for trace, each in zip(statuses, flags, strict=True) if recorded(trace, each)}
    assert len(statuses) == len(flags)
    assert {each.trace for each in receiver.spans} == wanted


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [({}, "/v1/traces"), ({"otel_exporter_otlp_traces_endpoint": "{url}/tenant/spans"}, "/tenant/spans")],
)
async def test_the_endpoint_for_traces_is_taken_as_it_stands(endpoint: dict[str, str], path: str) -> None:
    with receiving() as receiver:
        environ = {name: value.format(url=receiver.url) for name, value in endpoint.items()}
        await asked(receiver, environ, [("01", "how=fine")])
    assert receiver.paths == {path}
    assert receiver.spans
