"""How long one pass may wait for objects that are refused: a webhook takes up to 30 s to say nothing at all."""

from collections import defaultdict

OF_A_KIND_SECONDS = 10.0
OF_A_PASS_SECONDS = 45.0


class Patience:
    """Counts the seconds that failures took; `postponed` objects are tried first in the next pass."""

    def __init__(self) -> None:
        self._spent: defaultdict[str, float] = defaultdict(float)
        self.postponed = 0

    def spend(self, kind: str, seconds: float) -> None:
        """A request about an object of this kind failed after so long."""
        self._spent[kind] += seconds

    def left(self, kind: str) -> bool:
        """Whether another one is to be tried; one that is not is counted."""
        good = self._spent[kind] < OF_A_KIND_SECONDS and sum(self._spent.values()) < OF_A_PASS_SECONDS
        self.postponed += not good
        return good
