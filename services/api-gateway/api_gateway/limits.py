"""Rate limits: the generic cell rate algorithm, decided here where it can be, by Redis where it has to be.

A client's state is one number, the theoretical arrival time (TAT): how long its allowance is spent. Requests move it
by 1/rate; it may run `burst / rate` ahead of now. Redis holds the number for all replicas; here is a view of it.

- An exact quota (≤ 20/s) asks Redis for each request that the view would allow.
- A larger one is decided on the view and reported after; the unreported part never exceeds 1 % of the burst, or the
  request waits for Redis. So two replicas together overrun by no more than 2 %.
- A refusal by the view is always right: the others can only have used up more.
- Without Redis the view is the limit.
"""

import math
import time
from collections.abc import Callable

from api_gateway.generations import Generations
from api_gateway.quota import Decision, Quota
from api_gateway.redis_link import RedisLink, Verdict

_REMEMBERED = 50_000


class View:
    """What is known here of one client's TAT, in this process's clock."""

    __slots__ = ("reported", "tat", "unreported")

    def __init__(self) -> None:
        self.tat = 0.0
        self.unreported = 0  # decided here, not yet sent
        self.reported = 0  # sent, not yet answered


Then = Callable[[Decision], None]


class Limiter:
    """The limits of this replica; `link` is None where there is no Redis at all."""

    def __init__(self, link: RedisLink | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._link = link
        self._clock = clock
        self._views: Generations[tuple[str, str], View] = Generations(_REMEMBERED)

    def take(self, name: str, quota: Quota, client: str) -> Decision | None:
        """Count one request of this client against `name`; None: only Redis can tell, `ask` it."""
        key = (name, client)
        view = self._views.get(key) or self._views.put(key, View())
        now = self._clock()
        decision = _peek(view, quota, now)
        link = self._link
        if decision.allowed:
            if link is not None and link.up:
                if view.unreported + view.reported >= quota.unreported:
                    return None
                view.unreported += 1
                if view.unreported * 2 >= quota.unreported:
                    self._report(view, link, name, quota, client)
            view.tat = now + decision.reset
        return decision

    def ask(self, name: str, quota: Quota, client: str, then: Then) -> None:
        """Let Redis count one request; `then` is called once, later."""
        view = self._views.get((name, client)) or self._views.put((name, client), View())
        link = self._link
        if link is None or not link.up:
            then(self._locally(view, quota))
            return

        def answered(verdict: Verdict | None) -> None:
            then(self._locally(view, quota) if verdict is None else self._learned(view, quota, verdict))

        link.consume(_key(name, client), quota.rate, quota.burst, 1, force=False, then=answered)

    def _locally(self, view: View, quota: Quota) -> Decision:
        now = self._clock()
        decision = _peek(view, quota, now)
        if decision.allowed:
            view.tat = now + decision.reset
        return decision

    def _report(self, view: View, link: RedisLink, name: str, quota: Quota, client: str) -> None:
        count, view.unreported = view.unreported, 0
        view.reported += count

        def answered(verdict: Verdict | None) -> None:
            view.reported -= count
            if verdict is not None:
                self._learned(view, quota, verdict)

        link.consume(_key(name, client), quota.rate, quota.burst, count, force=True, then=answered)

    def _learned(self, view: View, quota: Quota, verdict: Verdict) -> Decision:
        now = self._clock()
        view.tat = now + verdict.backlog + (view.unreported + view.reported) / quota.rate
        seen = _peek(view, quota, now)
        if verdict.granted:
            return Decision(True, math.floor(quota.burst - verdict.backlog * quota.rate + 1e-6), verdict.backlog, 0.0)
        return Decision(False, 0, verdict.backlog, max(seen.retry_after, 0.001))


def _peek(view: View, quota: Quota, now: float) -> Decision:
    """What one more request now would be answered, without counting it."""
    backlog = (view.tat - now if view.tat > now else 0.0) + quota.interval
    if backlog > quota.span:
        return Decision(False, 0, backlog - quota.interval, backlog - quota.span)
    return Decision(True, int((quota.span - backlog) * quota.rate), backlog, 0.0)


def _key(name: str, client: str) -> str:
    return f"{name}:{client}"
