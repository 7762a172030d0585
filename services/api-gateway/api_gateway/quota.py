"""How often a client may ask, and the header lines that say so."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

EXACT_UP_TO = 20.0


class Decision(NamedTuple):
    """`reset` and `retry_after` in seconds."""

    allowed: bool
    remaining: int
    reset: float
    retry_after: float


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

    @cached_property
    def interval(self) -> float:
        """Seconds that one request costs."""
        return 1 / self.rate

    @cached_property
    def span(self) -> float:
        """Seconds that a client may be ahead, a rounding error included."""
        return self.burst / self.rate + 1e-9

    @cached_property
    def unreported(self) -> int:
        """Requests that may be decided here before Redis has heard of them."""
        return 0 if self.exact else max(1, self.burst // 100)

    @cached_property
    def template(self) -> bytes:
        """X-RateLimit-* and draft-ietf-httpapi-ratelimit-headers-10, for (remaining, reset, remaining, reset).

        The window is how long a spent burst takes to come back.
        """
        window = max(1, math.ceil(self.burst / self.rate))
        return (
            b"X-RateLimit-Limit: %d\r\nX-RateLimit-Remaining: %%d\r\nX-RateLimit-Reset: %%d\r\n"
            b'RateLimit-Policy: "%b";q=%d;w=%d\r\nRateLimit: "%b";r=%%d;t=%%d\r\n'
        ) % (self.burst, self.name.encode(), self.burst, window, self.name.encode())

    def lines(self, decision: Decision) -> bytes:
        """The header lines that go with a decision."""
        remaining, reset = decision.remaining, math.ceil(decision.reset)
        return self.template % (remaining, reset, remaining, reset)
