"""Aggregates whose oldest event could not be sent: they wait their time and hold up nobody else."""

import time
from collections.abc import Callable, Set
from uuid import UUID

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 3.0


class HeldBack:
    """All of them are tried again together, after a pause that doubles with every time that helped none of them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause = FIRST_SECONDS
        self._until = 0.0
        self._trying = True
        self.aggregates: Set[UUID] = frozenset()

    def begin(self) -> list[UUID]:
        """A pass begins: whose events are not even to be read, for it is too early."""
        self._trying = self._clock() >= self._until
        return [] if self._trying else list(self.aggregates)

    def end(self, failed: Set[UUID]) -> None:
        """The pass is over, and these failed."""
        if not self._trying:
            self.aggregates |= failed
        elif failed:
            stuck = self.aggregates and self.aggregates <= failed
            self._pause = min(LONGEST_SECONDS, self._pause * 2) if stuck else FIRST_SECONDS
            self._until = self._clock() + self._pause
            self.aggregates = failed
        else:
            self.aggregates = failed
