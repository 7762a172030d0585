"""Our spans in OpenTelemetry's form (https://opentelemetry.io/docs/specs/otlp/); imported only while tracing is on.

The SDK makes an object of some twenty fields for each span and encodes it field by field. Most of a span is what it
shares with others, its name and attributes: that is encoded once. Of each span the queue keeps only the ids and times,
which join the rest in the exporter's thread.
"""

import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import requests  # noqa: TID251 - the exporter sends in a thread of its own, by this library
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, SpanFlags, Status
from opentelemetry.sdk.resources import Resource as ResourceFound
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import SpanContext, TraceFlags

from chassis.correlation import Ids
from chassis.outbound import inside
from chassis.settings import TracingSettings

_SCOPE = InstrumentationScope(name="chassis")
_BELOW_ANOTHER = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK | SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
_RECORDED = SpanContext(1, 1, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


class _Ended(NamedTuple):
    """A span that has ended; times in nanoseconds since 1970."""

    shared: Span
    ids: Ids
    start: int
    end: int

    @property
    def context(self) -> SpanContext:
        """What the queue asks whether it is sampled: everything that comes here is."""
        return _RECORDED

    def write(self, span: Span) -> None:
        """Fills an empty span."""
        shared, ids, start, end = self
        span.CopyFrom(shared)
        span.trace_id = bytes.fromhex(ids.trace_id)
        span.span_id = bytes.fromhex(ids.span_id)
        span.start_time_unix_nano = start
        span.end_time_unix_nano = end
        if ids.parent_id:
            span.parent_span_id = bytes.fromhex(ids.parent_id)
            span.flags = _BELOW_ANOTHER


class _Exporter(OTLPSpanExporter):
    """Encodes what has ended, and sends it the library's way: its variables, retries and certificates."""

    def __init__(self, service: str, endpoint: str) -> None:
        super().__init__(endpoint=endpoint, session=_direct() if inside(endpoint) else None)
        known = ResourceFound.create({"service.name": service}).attributes
        self._resource = Resource(attributes=_attributes(known.items()))

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """One batch, of `_Ended`."""
        request = ExportTraceServiceRequest()
        scope = request.resource_spans.add(resource=self._resource).scope_spans.add(scope=_SCOPE)
        for each in spans:
            each.write(scope.spans.add())  # type: ignore[attr-defined]
        sent = self._client.export(request.SerializeToString())
        return SpanExportResult.SUCCESS if sent.success else SpanExportResult.FAILURE


def _direct() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    return session


class Recorder:
    """Takes spans that have ended, and says which traces are recorded."""

    def __init__(self, settings: TracingSettings, service: str) -> None:
        every = f"{settings.otel_exporter_otlp_endpoint.rstrip('/')}/v1/traces"
        exporter = _Exporter(service, settings.otel_exporter_otlp_traces_endpoint or every)
        self._processor = BatchSpanProcessor(exporter, schedule_delay_millis=1000)
        ratio = settings.otel_traces_sampler_arg if settings.otel_traces_sampler.endswith("ratio") else 1.0
        below = 0 if settings.otel_traces_sampler.endswith("off") else round(ratio * 2**64)
        # Compared as text, which it is anyway: digits of equal length sort as their numbers do, and "g" is behind all.
        self._below = f"{below:016x}" if below < 2**64 else "g"

    def samples(self, trace_id: str) -> bool:
        """Whether a trace is recorded: by its id, as TraceIdRatioBased does, so that all services agree."""
        return trace_id[16:] < self._below

    def record(
        self, name: str, kind: str, ids: Ids, seconds: float, attributes: Mapping[str, Any], failed: bool
    ) -> None:
        """Notes a span that ends now and took so long."""
        end = time.time_ns()
        shared = _shared(name, kind, failed, tuple(attributes.items()))
        self._processor.on_end(_Ended(shared, ids, end - int(seconds * 1e9), end))  # type: ignore[arg-type]

    def close(self) -> None:
        """Sends what is left."""
        self._processor.shutdown()  # type: ignore[no-untyped-call]


@lru_cache(maxsize=1024)
def _shared(name: str, kind: str, failed: bool, attributes: tuple[tuple[str, Any], ...]) -> Span:
    """What spans have in common; never changed, for many of them are being read."""
    return Span(
        name=name,
        kind=Span.SpanKind.Value(f"SPAN_KIND_{kind.upper()}"),
        attributes=_attributes(attributes),
        status=Status(code=Status.STATUS_CODE_ERROR) if failed else Status(),
        flags=SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK,
    )


def _attributes(pairs: Any) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in pairs]


def _value(value: object) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
    return AnyValue(string_value=str(value))
