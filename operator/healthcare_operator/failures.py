"""What the API server said, in the log: once when it begins or changes, then once a minute."""

import time

import structlog

from healthcare_operator.errors import ApiError

log = structlog.get_logger()

AGAIN_SECONDS = 60.0
MOST = 4096
"""Requests that are remembered; a cluster where more fail at once may log some of them more often."""


class Failures:
    """The requests that fail at present, each with what was logged of it."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], tuple[str, float]] = {}

    def note(self, method: str, path: str, error: ApiError, *, expected: bool) -> None:
        """A request failed; one whose failure was expected is worth a line for debugging only."""
        about = {"method": method, "path": path, "status": error.status, "said": str(error)}
        if expected:
            log.debug("the API server refuses", **about)
            return
        text, now = f"{error.status} {error}", time.monotonic()
        before, at = self._said.get((method, path), ("", 0.0))
        if text != before or now - at >= AGAIN_SECONDS:
            if len(self._said) >= MOST:
                self._said.clear()
            self._said[method, path] = (text, now)
            log.warning("the API server refuses", **about)

    def over(self, method: str, path: str) -> None:
        """A request succeeded."""
        self._said.pop((method, path), None)
