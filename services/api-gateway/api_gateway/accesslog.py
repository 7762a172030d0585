"""One JSON line per exchange, written in batches: the route, never the path or the query."""

import sys
import time

FULL = 256


class AccessLog:
    """Collects lines; the owner flushes it several times a second."""

    def __init__(self, service: str, enabled: bool) -> None:
        self._template = (
            b'{"service":"%b","event":"request","method":"%%b","route":"%%b","status":%%d,"milliseconds":%%.2f,'
            b'"upstream":"%%b","level":"info","requestId":"%%b","traceId":"%%b","time":"%%b.%%03dZ"}\n'
            % service.encode()
        )
        self._enabled = enabled
        self._lines: list[bytes] = []
        self._second = 0
        self._clock = b""

    def write(
        self, method: bytes, route: str, status: int, seconds: float, upstream: str, request_id: bytes, trace: bytes
    ) -> None:
        """Note one exchange. A request id may hold any visible character, the rest needs no escape."""
        if not self._enabled:
            return
        if b'"' in request_id or b"\\" in request_id:
            request_id = request_id.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second = second
            self._clock = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
        millisecond = int((now - second) * 1000)
        values = (method, route.encode(), status, seconds * 1000, upstream.encode(), request_id, trace)
        self._lines.append(self._template % (*values, self._clock, millisecond))
        if len(self._lines) >= FULL:
            self.flush()

    def flush(self) -> None:
        """Write what has gathered."""
        if self._lines:
            lines, self._lines = self._lines, []
            sys.stdout.write(b"".join(lines).decode())
            sys.stdout.flush()
