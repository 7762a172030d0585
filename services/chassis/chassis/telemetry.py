"""Logs as JSON lines, and the ids that tie the lines of one request together over HTTP, gRPC, the outbox and Kafka.

Two ids travel: the request id (`X-Request-ID`) and the W3C trace context (`traceparent`, https://www.w3.org/TR/trace-context/).
A line never holds a person's data: code logs ids, kinds and numbers.
"""

import asyncio
import logging
import math
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from datetime import UTC, datetime
from random import getrandbits  # names requests, guards nothing
from typing import Any, NamedTuple

import orjson
import structlog

REQUEST_ID = "x-request-id"
TRACEPARENT = "traceparent"

_VISIBLE = re.compile(r"[\x21-\x7e]{1,128}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")


class Ids(NamedTuple):
    """The ids of the work in hand: trace id 32 hex digits, span ids 16, flags 2; a trace that begins has no parent."""

    request_id: str
    trace_id: str
    span_id: str
    flags: str = "01"
    parent_id: str = ""

    @property
    def traceparent(self) -> str:
        """The header that the next hop gets."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"

    @property
    def sampled(self) -> bool:
        """Whether this trace is recorded (the lowest bit of the flags)."""
        return self.flags[1] in "13579bdf"


_ids: ContextVar[Ids | None] = ContextVar("ids", default=None)
_samples: Callable[[str], bool] | None = None
_heeds_callers = True


def sample_by(decide: Callable[[str], bool] | None, *, heeds_callers: bool = True) -> None:
    """Who decides, by its trace id, whether a trace is recorded: one that begins in this process, or, where callers
    are not heeded, any; None: all may be."""
    global _samples, _heeds_callers
    _samples, _heeds_callers = decide, heeds_callers


def flags_of(trace_id: str, callers: str = "") -> str:
    """The flags of a trace that begins here, or that a caller began with these."""
    if callers and _heeds_callers:
        return callers
    return "01" if _samples is None or _samples(trace_id) else "00"


def ids_from(request_id: str | None, traceparent: str | None) -> Ids:
    """A well-formed request id is kept (1–128 visible ASCII characters), anything else replaced; the trace goes on."""
    parent = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    digits = "%048x" % getrandbits(192)  # noqa: UP031 - an f-string takes three times as long
    trace_id = parent[1] if parent else digits[16:]
    kept = request_id if request_id and _VISIBLE.fullmatch(request_id) else trace_id
    if parent:
        return Ids(kept, trace_id, digits[:16], flags_of(trace_id, parent[3]), parent[2])
    return Ids(kept, trace_id, digits[:16], flags_of(trace_id))


def current() -> Ids:
    """The ids of the work in hand; new ones where nothing began it."""
    return _ids.get() or ids_from(None, None)


def unsampled() -> bool:
    """Whether the work in hand belongs to a trace that is not recorded."""
    ids = _ids.get()
    return ids is not None and not ids.sampled


def bind(ids: Ids) -> Token[Ids | None]:
    """Begins work under these ids; give the token to `unbind`."""
    return _ids.set(ids)


def unbind(token: Token[Ids | None]) -> None:
    """Ends what `bind` began."""
    _ids.reset(token)


@contextmanager
def message_context(headers: Mapping[str, str]) -> Iterator[Ids]:
    """Work that a message or a call began: continues the trace of its headers (names in lower case)."""
    ids = ids_from(headers.get(REQUEST_ID) or headers.get("request-id"), headers.get(TRACEPARENT))
    token = bind(ids)
    try:
        yield ids
    finally:
        unbind(token)


def outgoing_headers() -> dict[str, str]:
    """What a call, an outbox row or a message takes along."""
    ids = current()
    return {REQUEST_ID: ids.request_id, TRACEPARENT: ids.traceparent}


def _add_ids(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    ids = _ids.get()
    if ids:
        event["requestId"], event["traceId"], event["spanId"] = ids.request_id, ids.trace_id, ids.span_id
    return event


def _add_place(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """An exception becomes its class and the places it passed: its text may quote the data it failed on."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        event["at"] = _places(error)
    return event


def _places(error: BaseException) -> list[str]:
    places, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename.rpartition('site-packages/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return places[-12:]


_processors: list[structlog.typing.Processor] = [
    structlog.stdlib.add_log_level,
    _add_ids,
    _add_place,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
]


def _to_json(_: Any, __: str, event: structlog.typing.EventDict) -> str:
    return orjson.dumps(event, default=str).decode()


class _AccessLog:
    """The one line that every request leaves, without the processors' way: lines of one turn leave in one write."""

    def __init__(self) -> None:
        self.service = "service"
        self.on = True
        self._lines: list[bytes] = []

    def tell(self, method: str, route: str, status: int, seconds: float) -> None:
        if not self.on:
            return
        ids = current()
        line = {
            "service": self.service,
            "module": "chassis.edge",
            "event": "request",
            "method": method,
            "route": route,
            "status": status,
            "milliseconds": round(seconds * 1000, 2),
            "level": "info",
            "requestId": ids.request_id,
            "traceId": ids.trace_id,
            "spanId": ids.span_id,
            "time": datetime.now(UTC),
        }
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._write)
        self._lines.append(orjson.dumps(line, option=orjson.OPT_UTC_Z))

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        sys.stdout.write(b"\n".join([*lines, b""]).decode())
        sys.stdout.flush()


_access = _AccessLog()
access = _access.tell
"""The access line of a request that is answered: method, route template ("none"), status, seconds."""


class Sparing(logging.Filter):
    """Lets a library say the same thing once in ten seconds: a client that retries would fill the disk in an outage."""

    def __init__(self, seconds: float = 10.0) -> None:
        super().__init__()
        self._seconds = seconds
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is due; the same thing means the same logger and the same unformatted text."""
        key, now = (record.name, str(record.msg)), time.monotonic()
        if now - self._said.get(key, -math.inf) < self._seconds:
            return False
        if len(self._said) > 1000:
            self._said.clear()
        self._said[key] = now
        return True


def configure(service: str, level: str = "info") -> None:
    """Sends every log line of this process, the libraries' too, to standard output as JSON."""

    def name(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["service"] = service
        return event

    number = logging.getLevelNamesMapping()[level.upper()]
    _access.service, _access.on = service, number <= logging.INFO
    structlog.configure(
        processors=[name, *_processors, _to_json],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(Sparing())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[name, *_processors],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _to_json],
        )
    )
    root = logging.getLogger()
    root.handlers, root.level = [handler], max(number, logging.WARNING)


def logger(name: str) -> Any:
    """A logger whose lines carry the module's name: `log.info("projection updated", version=3)`."""
    return structlog.get_logger(module=name)
