"""Rate limits: the generic cell rate algorithm, decided here where it can be, by Redis where it has to be.

A client's state is one number, the theoretical arrival time (TAT): how long its allowance is spent. Requests move it
by 1/rate; it may run `burst / rate` ahead of now. Redis holds the number for all replicas; here is a view of it.

- An exact quota (≤ 20/s) asks Redis for each request that the view would allow.
- A larger one is decided on the view and reported after; the unreported part never exceeds 1 % of the burst, or the
  request waits for Redis. So two replicas together overrun by no more than 2 %.
- A refusal by the view is always right: the others can only have used up more.
- Without Redis the view is the limit.
"""

import time
from collections.abc import Callable

from chassis.generations import Generations

from api_gateway.quota import Decision, Quota
from api_gateway.redis_link import RedisLink, Verdict

_REMEMBERED = 50_000

Then = Callable[[Decision], None]


class Account:
    """What is known here of one client under one quota; `tat` in this process's clock."""

    __slots__ = ("key", "quota", "reported", "tat", "unreported")

    def __init__(self, key: str, quota: Quota) -> None:
        self.key = key
        self.quota = quota
        self.tat = 0.0
        self.unreported = 0  # requests decided here, not yet sent
        self.reported = 0  # sent, not yet answered


class Limiter:
    """The limits of this replica; `link` is None where there is no Redis at all. Times are the loop's, in seconds."""

    def __init__(self, link: RedisLink | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._link = link
        self._clock = clock
        self._accounts: Generations[tuple[str, str], Account] = Generations(_REMEMBERED)

    def account(self, name: str, quota: Quota, client: str) -> Account:
        """The account of a client under `name`."""
        key = (name, client)
        return self._accounts.get(key) or self._accounts.put(key, Account(f"{name}:{client}", quota))

    def spend(self, account: Account, now: float) -> bytes | None:
        """Count one request and answer the limit's header lines; None: it is not certain here, `take` it."""
        quota = account.quota
        backlog = (account.tat - now if account.tat > now else 0.0) + quota.interval
        if backlog > quota.span or not self._count(account):
            return None
        account.tat = now + backlog
        remaining, reset = int((quota.span - backlog) * quota.rate), int(backlog) + 1
        return quota.template % (remaining, reset, remaining, reset)

    def take(self, account: Account) -> Decision | None:
        """Count one request; None: only Redis can tell, `ask` it."""
        now = self._clock()
        decision = _peek(account, now)
        if decision.allowed:
            if not self._count(account):
                return None
            account.tat = now + decision.reset
        return decision

    def ask(self, account: Account, then: Then) -> None:
        """Let Redis count one request; `then` is called once, later."""
        link, quota = self._link, account.quota
        if link is None or not link.up:
            then(self._locally(account))
            return

        def answered(verdict: Verdict | None) -> None:
            then(self._locally(account) if verdict is None else self._learned(account, verdict))

        link.consume(account.key, quota.rate, quota.burst, 1, force=False, then=answered)

    def _count(self, account: Account) -> bool:
        """Note a request that is decided here; False when that has to wait for Redis."""
        link = self._link
        if link is None or not link.up:
            return True
        most = account.quota.unreported
        if account.unreported + account.reported >= most:
            return False
        account.unreported += 1
        if account.unreported * 2 >= most:
            self._report(account, link)
        return True

    def _locally(self, account: Account) -> Decision:
        now = self._clock()
        decision = _peek(account, now)
        if decision.allowed:
            account.tat = now + decision.reset
        return decision

    def _report(self, account: Account, link: RedisLink) -> None:
        count, account.unreported = account.unreported, 0
        account.reported += count

        def answered(verdict: Verdict | None) -> None:
            account.reported -= count
            if verdict is not None:
                self._learned(account, verdict)

        link.consume(account.key, account.quota.rate, account.quota.burst, count, force=True, then=answered)

    def _learned(self, account: Account, verdict: Verdict) -> Decision:
        now = self._clock()
        quota = account.quota
        account.tat = now + verdict.backlog + (account.unreported + account.reported) * quota.interval
        if verdict.granted:
            remaining = max(0, int((quota.span - verdict.backlog) * quota.rate))
            return Decision(True, remaining, verdict.backlog, 0.0)
        return Decision(False, 0, verdict.backlog, max(_peek(account, now).retry_after, 0.001))


def _peek(account: Account, now: float) -> Decision:
    """What one more request now would be answered, without counting it."""
    quota = account.quota
    backlog = (account.tat - now if account.tat > now else 0.0) + quota.interval
    if backlog > quota.span:
        return Decision(False, 0, backlog - quota.interval, backlog - quota.span)
    return Decision(True, int((quota.span - backlog) * quota.rate), backlog, 0.0)
