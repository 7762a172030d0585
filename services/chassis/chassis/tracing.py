"""OpenTelemetry spans over the ids that every request, call and message carries anyway; off unless settings say so.

The trace and span ids are those of `chassis.correlation`, so logs and traces name the same. A span is recorded
when it ends and handed to the SDK's batch processor; while tracing is off nothing of OpenTelemetry is even imported.
Names and attributes follow the semantic conventions (https://opentelemetry.io/docs/specs/semconv/) and never hold a
path, a query, a value or a person's data. An exporter that fails costs spans and no request.
"""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import Token
from random import getrandbits  # names spans, guards nothing
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from chassis import correlation
from chassis.correlation import Ids
from chassis.settings import TracingSettings

if TYPE_CHECKING:
    from chassis.recorder import Recorder

Kind = Literal["server", "client", "producer", "consumer", "internal"]

_NOTHING: AbstractContextManager[None] = nullcontext()
_recorder: "Recorder | None" = None


def on() -> bool:
    """Whether spans are recorded."""
    return _recorder is not None


def configure(settings: TracingSettings, service: str) -> None:
    """Begins to record where OTEL_TRACES_EXPORTER says so; call it once, after a fork."""
    global _recorder  # noqa: PLW0603 - one process, one exporter
    if settings.otel_traces_exporter == "otlp" and not settings.otel_sdk_disabled:
        from chassis.recorder import Recorder

        _recorder = Recorder(settings, service)
        correlation.sample_by(_recorder.samples, heeds_callers=settings.otel_traces_sampler.startswith("parentbased"))


def close() -> None:
    """Sends what is left."""
    global _recorder
    recorder, _recorder = _recorder, None
    correlation.sample_by(None)
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
    return _recorder is not None and not correlation.unsampled()


def child(name: str, attributes: Mapping[str, Any], kind: Kind = "client") -> "AbstractContextManager[None]":
    """A span around a block, below the work in hand; what is called inside it becomes its child."""
    if not wanted():
        return _NOTHING
    return _Child(name, kind, attributes)


def below(ids: Ids) -> Ids:
    """The ids of a span below another."""
    return Ids(ids.request_id, ids.trace_id, f"{getrandbits(64):016x}", ids.flags, ids.span_id)


class _Child(AbstractContextManager[None]):
    __slots__ = ("_attributes", "_began", "_ids", "_kind", "_name", "_token")

    def __init__(self, name: str, kind: Kind, attributes: Mapping[str, Any]) -> None:
        self._name = name
        self._kind = kind
        self._attributes = attributes

    def __enter__(self) -> None:
        self._ids = below(correlation.current())
        self._token: Token[Ids | None] = correlation.bind(self._ids)
        self._began = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        correlation.unbind(self._token)
        attributes = self._attributes if kind is None else {**self._attributes, "error.type": kind.__name__}
        took = time.perf_counter() - self._began
        record(self._name, self._kind, self._ids, took, attributes, failed=kind is not None)
