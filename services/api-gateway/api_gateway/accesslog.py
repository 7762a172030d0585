"""One JSON line per proxied request, written in batches: route, never the path's ids or the query."""

import sys
from datetime import UTC, datetime

import orjson

FULL = 256


class AccessLog:
    """Collects lines; the owner flushes it several times a second."""

    def __init__(self, service: str, enabled: bool) -> None:
        self._service = service
        self._enabled = enabled
        self._lines: list[bytes] = []

    def write(
        self, *, method: bytes, route: str, status: int, seconds: float, upstream: str, request_id: bytes, trace: bytes
    ) -> None:
        """Note one exchange."""
        if not self._enabled:
            return
        line = {
            "service": self._service,
            "event": "request",
            "method": method.decode(),
            "route": route,
            "status": status,
            "milliseconds": round(seconds * 1000, 2),
            "upstream": upstream,
            "level": "info",
            "requestId": request_id.decode(),
            "traceId": trace.decode(),
            "time": datetime.now(UTC),
        }
        self._lines.append(orjson.dumps(line, option=orjson.OPT_UTC_Z))
        if len(self._lines) >= FULL:
            self.flush()

    def flush(self) -> None:
        """Write what has gathered."""
        if self._lines:
            lines, self._lines = self._lines, []
            sys.stdout.write(b"\n".join(lines).decode() + "\n")
            sys.stdout.flush()
