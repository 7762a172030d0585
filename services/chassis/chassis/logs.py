"""Logs as JSON lines, which name the request and the trace that they belong to.

A line never holds a person's data: code logs ids, kinds and numbers.
"""

import asyncio
import contextlib
import logging
import math
import sys
import time
from datetime import UTC, datetime
from typing import Any, TextIO, cast

import orjson
import structlog
from prometheus_client import Counter

from chassis.correlation import begun, current

LOST = Counter("log_lines_lost_total", "Writes of the log that failed, as on a full disk")


def _add_ids(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    ids = begun()
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


_chain: list[structlog.typing.Processor] = []
"""What `configure` made last; always this list, which every logger keeps that was used before."""


class _Output:
    """Standard output, for which a full disk costs lines and never a request."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            return sys.stdout.write(text)
        LOST.inc()
        return 0

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            sys.stdout.flush()


_output = _Output()


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
        _output.write(b"\n".join([*lines, b""]).decode())
        _output.flush()


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
    _chain[:] = [name, *_processors, _to_json]
    structlog.configure(
        processors=_chain,
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _output)),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_output)
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
