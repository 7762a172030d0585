"""Whether a service that runs still answers: one that hangs is as useless as one that ended."""

from hpctl.probe import fetch

_PAGE = "/actuator/health/liveness"
_INTERVAL_SECONDS = 5.0


class Pulse:
    """Asks one service's liveness every 5 s, or more often when `seconds` is short.

    Failures are counted, not the time: a supervisor that was itself stopped for a while, or a machine that slept,
    must not take everything for dead. A service that has not answered since its start may still be starting.
    """

    def __init__(self, port: int, seconds: float) -> None:
        self._port = port
        self._interval = min(_INTERVAL_SECONDS, seconds / 3)
        self._allowed = round(seconds / self._interval)
        self._due = 0.0
        self.reset()

    def reset(self) -> None:
        """It was started again."""
        self._answered = False
        self._failures = 0

    def lost(self, now: float) -> bool:
        """Whether it has answered once, and then not for too long; asks when it is time."""
        if now >= self._due:
            self._due = now + self._interval
            status, _ = fetch(self._port, _PAGE, timeout=min(1.0, self._interval))
            self._answered |= status == 200
            self._failures = 0 if status == 200 or not self._answered else self._failures + 1
        return self._failures >= self._allowed
