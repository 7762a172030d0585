"""One line of a log: whether somebody wants to see it, and how it reads for people."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hpctl.layout import UsageError

LEVELS = ("debug", "info", "warning", "error", "critical")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_NEVER = datetime(1, 1, 2, tzinfo=UTC)
_HEAD = {"time", "level", "service", "event", "module", "requestId", "traceId", "spanId"}


@dataclass(frozen=True)
class Wanted:
    """What is printed: lines of at least this level, not before this moment, of this request. None: whatever it is.

    A line that is no JSON (PostgreSQL's, Kafka's) tells none of this and is printed only where nothing is asked for.
    """

    level: str | None = None
    since: datetime | None = None
    request_id: str | None = None
    readable: bool = False

    def print(self, line: str) -> str:
        """The line as it is to be printed, with its end; empty where it is not wanted."""
        fields = _fields(line)
        if fields is None:
            return "" if self.level or self.since or self.request_id else line
        if not self._wants(fields):
            return ""
        return f"{readable(fields)}\n" if self.readable else line

    def _wants(self, fields: dict[str, Any]) -> bool:
        level = str(fields.get("level", "info"))
        if self.level and (level not in LEVELS or LEVELS.index(level) < LEVELS.index(self.level)):
            return False
        if self.request_id and fields.get("requestId") != self.request_id:
            return False
        return self.since is None or _moment(str(fields.get("time", ""))) >= self.since


def wanted(level: str | None, since: str | None, request_id: str | None, *, readable: bool) -> Wanted:
    """From the words of the command line; UsageError says what a level or a time looks like."""
    if level is not None and level not in LEVELS:
        raise UsageError(f"--level must be one of {', '.join(LEVELS)}, not {level!r}")
    return Wanted(level, _since(since) if since else None, request_id, readable)


def readable(fields: dict[str, Any]) -> str:
    """`11:20:31.123 INFO    patient-service  patient updated version=3 [request id]`, in local time."""
    moment = _moment(str(fields.get("time", ""))).astimezone()
    rest = {name: value for name, value in fields.items() if name not in _HEAD}
    if fields.get("event") == "request":
        said = " ".join(str(rest.pop(name, "")) for name in ("method", "route", "status", "milliseconds")) + " ms"
    else:
        said = str(fields.get("event", ""))
    words = [said, *(f"{name}={_word(value)}" for name, value in rest.items())]
    request = f" [{fields['requestId']}]" if fields.get("requestId") else ""
    level = str(fields.get("level", "")).upper()
    return f"{moment:%H:%M:%S.%f}"[:-3] + f" {level:<8}{fields.get('service', ''):<20} {' '.join(words)}{request}"


def _fields(line: str) -> dict[str, Any] | None:
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None


def _word(value: object) -> str:
    return value if isinstance(value, str) and value and " " not in value else json.dumps(value, ensure_ascii=False)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _NEVER
    return moment if moment.tzinfo else moment.astimezone()


def _since(text: str) -> datetime:
    if match := re.fullmatch(r"(\d{1,6})([smhd])", text):
        return datetime.now(UTC) - timedelta(**{_UNITS[match[2]]: int(match[1])})
    moment = _moment(text)
    if moment == _NEVER:
        raise UsageError(f"--since must be like 90s, 10m, 2h, 1d or 2026-05-20T08:00:00, not {text!r}")
    return moment
