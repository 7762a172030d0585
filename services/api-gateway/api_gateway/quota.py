"""How often a client may ask."""

from dataclasses import dataclass

EXACT_UP_TO = 20.0


@dataclass(frozen=True)
class Quota:
    """`rate` requests per second, `burst` at once."""

    name: str
    rate: float
    burst: int

    @property
    def exact(self) -> bool:
        """Whether replicas may never overrun it."""
        return self.rate <= EXACT_UP_TO

    @property
    def unreported(self) -> int:
        """Requests that may be decided here before Redis has heard of them."""
        return 0 if self.exact else max(1, self.burst // 100)
