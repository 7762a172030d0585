"""A child that is started again when it ends or hangs, later and later while it keeps ending."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from hpctl.embedded.process import ServerError
from hpctl.pulse import Pulse

_FIRST_DELAY, _LONGEST_DELAY = 0.2, 3.0
_STEADY_SECONDS = 20.0
_STOP_SECONDS = 10.0


class Child(Protocol):
    """What the supervisor needs of a process; the embedded servers are such children too."""

    @property
    def name(self) -> str:
        """Its name for people."""

    @property
    def log(self) -> Path:
        """The file that it writes to."""

    @property
    def pid(self) -> int:
        """Its process id."""

    @property
    def running(self) -> bool:
        """Whether it exists; a child that ended is reaped."""

    def launch(self) -> None:
        """Start it, without waiting."""

    def terminate(self) -> None:
        """Ask it to end, without waiting."""

    def kill(self) -> None:
        """SIGKILL it."""


class Watched:
    """One child under supervision. Delays double from 0.2 s to 3 s, and start over once it ran for 20 s.

    With a pulse it is also killed, and so started again, when it runs and no longer answers. `on_end` is called each
    time that it has ended.
    """

    def __init__(self, child: Child, pulse: Pulse | None = None, on_end: Callable[[], None] | None = None) -> None:
        self.child = child
        self._pulse = pulse
        self._on_end = on_end
        self.restarts = 0
        self._failures = 0
        self._started = time.monotonic()
        self._due: float | None = None

    def tend(self, now: float) -> bool:
        """Notice its end, or start it again when that is due; whether anything changed."""
        if self._due is not None:
            return self._start_again(now) if now >= self._due else False
        if self.child.running and not self._hangs(now):
            return False
        self._failures = 0 if now - self._started > _STEADY_SECONDS else self._failures
        self._due = now + min(_FIRST_DELAY * 2**self._failures, _LONGEST_DELAY)
        self._failures += 1
        if self._on_end:
            self._on_end()
        return True

    def _hangs(self, now: float) -> bool:
        if self._pulse is None or not self._pulse.lost(now):
            return False
        with suppress(OSError):  # a full disk: the log misses a line
            print(f"{self.child.name} runs but does not answer: it is killed", flush=True)  # noqa: T201 - into the log
        self.child.kill()
        return True

    def _start_again(self, now: float) -> bool:
        self._due = None
        if self._pulse:
            self._pulse.reset()
        self._started = now
        self.restarts += 1
        with suppress(OSError, ServerError):  # it does not run then, and is due again later
            self.child.launch()
        return True

    def due_in(self, now: float) -> float | None:
        """Seconds until the next start; None when none is waiting."""
        return None if self._due is None else max(0.0, self._due - now)


def end(children: Sequence[Child]) -> None:
    """Ask all of them to end, side by side; kill those that do not."""
    for child in children:
        child.terminate()
    deadline = time.monotonic() + _STOP_SECONDS
    while any(child.running for child in children) and time.monotonic() < deadline:
        time.sleep(0.02)
    for child in children:
        if child.running:
            child.kill()
