"""OpenTelemetry spans over the ids that every request, call and message carries anyway; off unless settings say so.

The trace and span ids are those of `chassis.ids`' trace context, so logs and traces name the same. A span is recorded
when it ends and handed to the SDK's batch processor; while tracing is off nothing of OpenTelemetry is even imported.
Names and attributes follow the semantic conventions (https://opentelemetry.io/docs/specs/semconv/) and never hold a
path, a query, a value or a person's data. An exporter that fails costs spans and no request.
"""

import secrets
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import Token
from types import TracebackType
from typing import Any, Literal

from chassis import telemetry
from chassis.settings import TracingSettings
from chassis.telemetry import Ids

Kind = Literal["server", "client", "producer", "consumer", "internal"]

_NOTHING: AbstractContextManager[None] = nullcontext()
_recorder: "_Recorder | None" = None


def on() -> bool:
    """Whether spans are recorded."""
    return _recorder is not None


def configure(settings: TracingSettings, service: str) -> None:
    """Begins to record where OTEL_TRACES_EXPORTER says so; call it once, after a fork."""
    global _recorder  # noqa: PLW0603 - one process, one exporter
    if settings.otel_traces_exporter == "otlp" and not settings.otel_sdk_disabled:
        _recorder = _Recorder(settings, service)
        telemetry.sample_by(_recorder.samples, heeds_callers=settings.otel_traces_sampler.startswith("parentbased"))


def close() -> None:
    """Sends what is left."""
    global _recorder
    recorder, _recorder = _recorder, None
    telemetry.sample_by(None)
    if recorder is not None:
        recorder.close()


def record(
    name: str,
    kind: Kind,
    ids: Ids,
    seconds: float,
    attributes: Mapping[str, Any],
    *,
    failed: bool = False,
) -> None:
    """Notes a span that ends now and took so long."""
    if _recorder is not None and ids.sampled:
        _recorder.record(name, kind, ids, seconds, attributes, failed)


def record_request(method: str, route: str, status: int, ids: Ids, seconds: float) -> None:
    """Notes an HTTP request that was answered now; `route` is its template. What the client did wrong is no error."""
    about = {"http.request.method": method, "http.route": route, "http.response.status_code": status}
    if failed := status >= 500:
        about["error.type"] = str(status)
    record(f"{method} {route}", "server", ids, seconds, about, failed=failed)


def wanted() -> bool:
    """Whether a span that begins now would be recorded."""
    return _recorder is not None and not telemetry.unsampled()


def child(name: str, attributes: Mapping[str, Any], kind: Kind = "client") -> "AbstractContextManager[None]":
    """A span around a block, below the work in hand; what is called inside it becomes its child."""
    if not wanted():
        return _NOTHING
    return _Child(name, kind, attributes)


def below(ids: Ids) -> Ids:
    """The ids of a span below another."""
    return ids._replace(span_id=secrets.token_hex(8), parent_id=ids.span_id)


class _Child(AbstractContextManager[None]):
    __slots__ = ("_attributes", "_began", "_ids", "_kind", "_name", "_token")

    def __init__(self, name: str, kind: Kind, attributes: Mapping[str, Any]) -> None:
        self._name = name
        self._kind = kind
        self._attributes = attributes

    def __enter__(self) -> None:
        self._ids = below(telemetry.current())
        self._token: Token[Ids | None] = telemetry.bind(self._ids)
        self._began = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        telemetry.unbind(self._token)
        attributes = self._attributes if kind is None else {**self._attributes, "error.type": kind.__name__}
        took = time.perf_counter() - self._began
        record(self._name, self._kind, self._ids, took, attributes, failed=kind is not None)


class _Recorder:
    """Our spans in the SDK's form."""

    def __init__(self, settings: TracingSettings, service: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

        self._span, self._context, self._sampled = ReadableSpan, SpanContext, TraceFlags(TraceFlags.SAMPLED)
        self._unset, self._error = Status(StatusCode.UNSET), Status(StatusCode.ERROR)
        every = f"{settings.otel_exporter_otlp_endpoint.rstrip('/')}/v1/traces"
        exporter = OTLPSpanExporter(endpoint=settings.otel_exporter_otlp_traces_endpoint or every)
        self._processor = BatchSpanProcessor(exporter, schedule_delay_millis=1000)

        class Service(Resource):
            """Its hash is made once: the exporter groups by it, span after span, and the library writes JSON for it."""

            def __hash__(self) -> int:
                return digest

        known = Resource.create({"service.name": service})
        digest = hash(known)
        self._resource = Service(known.attributes, known.schema_url)
        self._scope = InstrumentationScope("chassis")
        self._kinds = {each.name.lower(): each for each in SpanKind}
        ratio = settings.otel_traces_sampler_arg if settings.otel_traces_sampler.endswith("ratio") else 1.0
        self._below = 0 if settings.otel_traces_sampler.endswith("off") else round(ratio * 2**64)

    def samples(self, trace_id: str) -> bool:
        """Whether a trace is recorded: by its id, as TraceIdRatioBased does, so that all services agree."""
        return int(trace_id[16:], 16) < self._below

    def record(
        self, name: str, kind: Kind, ids: Ids, seconds: float, attributes: Mapping[str, Any], failed: bool
    ) -> None:
        trace, end = int(ids.trace_id, 16), time.time_ns()
        parent = self._context(trace, int(ids.parent_id, 16), True, self._sampled) if ids.parent_id else None
        span = self._span(
            name=name,
            context=self._context(trace, int(ids.span_id, 16), False, self._sampled),
            parent=parent,
            resource=self._resource,
            attributes=attributes,
            kind=self._kinds[kind],
            status=self._error if failed else self._unset,
            start_time=end - int(seconds * 1e9),
            end_time=end,
            instrumentation_scope=self._scope,
        )
        self._processor.on_end(span)

    def close(self) -> None:
        self._processor.shutdown()  # type: ignore[no-untyped-call]
