"""Each line of standard output is one JSON object: ours, kopf's, a library's, a warning, and what ends the process."""

import logging
import sys
import threading
from types import TracebackType
from typing import Any

import structlog

from healthcare_operator.excerpt import excerpt

Event = structlog.typing.EventDict


def configure(level: str = "info") -> None:
    """Lines below `level` are dropped; of the libraries, those below a warning are as well."""
    least = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _placed,
    ]
    as_json = structlog.processors.JSONRenderer(default=str)
    structlog.configure(processors=[*shared, as_json], wrapper_class=structlog.make_filtering_bound_logger(least))
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, as_json],
        )
    )
    logging.basicConfig(level=max(least, logging.WARNING), handlers=[handler], force=True)
    logging.captureWarnings(True)
    sys.excepthook = _ended
    threading.excepthook = lambda told: _ended(told.exc_type, told.exc_value or told.exc_type(), told.exc_traceback)


def _placed(_: Any, __: str, event: Event) -> Event:
    """An exception becomes its class, its text and the places it passed, innermost last, on the same line."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event.update(error=type(error).__name__, said=excerpt(str(error), 4096), at=_places(error))
    return event


def _places(error: BaseException) -> list[str]:
    places, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename.rpartition('site-packages/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return places[-12:]


def _ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    structlog.get_logger().error("not caught", exc_info=(kind, error, trace))
