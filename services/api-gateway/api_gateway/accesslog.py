"""One JSON line per exchange, written in batches: the route, never the path or the query."""

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from api_gateway.exchange import Exchange

FULL = 256


class AccessLog:
    """Collects lines; the owner flushes it several times a second."""

    def __init__(self, service: str) -> None:
        self._template = (
            b'{"service":"%b","event":"request","method":"%%b","route":"%%b","status":%%d,"milliseconds":%%.2f,'
            b'"upstream":"%%b","level":"info","requestId":"%%b","traceId":"%%b","time":"%%b.%%03dZ"}\n'
            % service.encode()
        )
        self._lines: list[bytes] = []
        self._second = 0
        self._clock = b""

    def write(self, exchange: "Exchange", seconds: float, upstream: str) -> None:
        """Note one exchange. A request id may hold any visible character, the rest needs no escape."""
        request_id = exchange.request_id
        if b'"' in request_id or b"\\" in request_id:
            request_id = request_id.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second = second
            self._clock = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
        line = self._template % (
            exchange.method,
            exchange.label.encode(),
            exchange.status,
            seconds * 1000,
            upstream.encode(),
            request_id,
            exchange.trace_id,
            self._clock,
            int((now - second) * 1000),
        )
        self._lines.append(line)
        if len(self._lines) >= FULL:
            self.flush()

    def flush(self) -> None:
        """Write what has gathered."""
        if self._lines:
            lines, self._lines = self._lines, []
            sys.stdout.write(b"".join(lines).decode())
            sys.stdout.flush()
