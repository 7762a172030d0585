"""What is remembered of logins that failed, by account and by address, and what follows (NIST SP 800-63B, 5.2.2).

It lives in this process: each replica counts for itself and a restart forgets. Everything is bounded. An account is
known by a hash of its address with a key of the process, and nothing here is logged or leaves the process.
"""

import hashlib
import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from chassis.errors import TooManyRequests
from chassis.generations import Generations
from chassis.proxies import bucket

ALLOWED_FAILURES = 100
"""Of one account within WINDOW_SECONDS, before guesses at it have to pause."""
WINDOW_SECONDS = 3600.0
FIRST_PAUSE_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 3600.0
RECENT_SECONDS = 30 * 86_400.0
"""For so long an address that logged in is known to its account."""
FORGIVEN_FAILURES = 20
"""So many failures in a row make a known address a strange one again."""
HALF_LIFE_SECONDS = 120.0
"""In so long half of what an account or an address failed lately is forgotten."""
REMEMBERED = 20_000
"""Accounts, addresses and pairs of both at least; twice as many at most."""

_KEY = secrets.token_bytes(32)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who wants a password hashed: `account` is opaque, `address` the part of it that is limited together."""

    account: bytes
    address: str

    @classmethod
    def of(cls, email_key: str, address: str) -> "Caller":
        """The caller behind an email's key and a client's address."""
        hashed = hashlib.blake2b(email_key.encode("utf-8", "replace"), key=_KEY, digest_size=16)
        return cls(hashed.digest(), bucket(address))


class _Lately:
    """A number that halves with time."""

    __slots__ = ("_at", "_value")

    def __init__(self) -> None:
        self._value = self._at = 0.0

    def at(self, now: float) -> float:
        return self._value * math.exp2((self._at - now) / HALF_LIFE_SECONDS)

    def add(self, amount: float, now: float) -> None:
        self._value, self._at = max(0.0, self.at(now) + amount), now


class _Record:
    """`tried`: attempts that did not succeed, those under way included; `failed`: wrong passwords."""

    __slots__ = ("failed", "tried")

    def __init__(self) -> None:
        self.tried, self.failed = _Lately(), _Lately()


class _Failures:
    """An account's failures within a sliding window (two fixed ones, weighted), and its pause.

    The pause doubles with each failure until nobody has guessed for a whole window.
    """

    __slots__ = ("_before", "_now", "_pauses", "_since", "paused_until")

    def __init__(self) -> None:
        self._before = self._now = self._pauses = 0
        self._since = self.paused_until = 0.0

    def count(self, now: float) -> float:
        windows = (now - self._since) // WINDOW_SECONDS
        if windows >= 1:
            self._before, self._now = (self._now if windows < 2 else 0), 0
            self._since = now if windows >= 2 else self._since + WINDOW_SECONDS
        return self._now + self._before * (1 - (now - self._since) / WINDOW_SECONDS)

    def add(self, now: float) -> None:
        failures = self.count(now) + 1
        self._now += 1
        if now - self.paused_until > WINDOW_SECONDS:
            self._pauses = 0
        if failures >= ALLOWED_FAILURES or self._pauses:
            pause = FIRST_PAUSE_SECONDS * 2 ** min(self._pauses, 20)
            self._pauses += 1
            self.paused_until = now + min(LONGEST_PAUSE_SECONDS, pause)


class _Known:
    """When an address last logged in to an account, and how often it failed to since."""

    __slots__ = ("failures", "since")

    def __init__(self, now: float) -> None:
        self.since, self.failures = now, 0

    def holds(self, now: float) -> bool:
        return now - self.since < RECENT_SECONDS and self.failures < FORGIVEN_FAILURES


class Throttle:
    """Knows who has failed lately, and who has to pause."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._records: Generations[bytes | str, _Record] = Generations(REMEMBERED)
        self._failures: Generations[bytes, _Failures] = Generations(REMEMBERED)
        self._known: Generations[Caller, _Known] = Generations(REMEMBERED)

    def check(self, caller: Caller) -> None:
        """Whether the account may be guessed at from this address now, whether or not there is such an account.

        Raises:
            TooManyRequests: the account pauses, and the address has not logged in recently.
        """
        failures, now = self._failures.get(caller.account), self._clock()
        if failures is not None and failures.paused_until > now and not self._knows(caller, now):
            raise TooManyRequests(failures.paused_until - now, "too many failed logins of this account")

    def began(self, caller: Caller) -> None:
        """An attempt begins; until it succeeds it counts against its account and its address."""
        for key in (caller.account, caller.address):
            self._record(key).tried.add(1, self._clock())

    def tell(self, caller: Caller, *, good: bool) -> None:
        """The attempt is over: whether it was the right password."""
        (self._succeeded if good else self._failed)(caller)

    def _succeeded(self, caller: Caller) -> None:
        now = self._clock()
        self._known.put(caller, _Known(now))
        self._record(caller.account).tried.add(-1, now)
        address = self._record(caller.address)
        address.tried.add(-1, now)
        address.failed.add(-1, now)  # behind one address there may be a whole clinic

    def _failed(self, caller: Caller) -> None:
        now = self._clock()
        for key in (caller.account, caller.address):
            self._record(key).failed.add(1, now)
        known = self._known.get(caller)
        if known is not None and known.holds(now):
            known.failures += 1
        else:
            (self._failures.get(caller.account) or self._failures.put(caller.account, _Failures())).add(now)

    def registered(self, caller: Caller) -> None:
        """The attempt made the account: it is not held against that, only against the address."""
        self._record(caller.account).tried.add(-1, self._clock())

    def rank(self, caller: Caller) -> tuple[bool, float]:
        """Who goes first, the least of all: whether the account or the address failed lately, and what both tried.

        What others did to an account is not held against an address that it knows.
        """
        now = self._clock()
        keys = (caller.address,) if self._knows(caller, now) else (caller.address, caller.account)
        records = [self._record(key) for key in keys]
        return any(each.failed.at(now) >= 0.5 for each in records), max(each.tried.at(now) for each in records)

    def _knows(self, caller: Caller, now: float) -> bool:
        known = self._known.get(caller)
        return known is not None and known.holds(now)

    def _record(self, key: bytes | str) -> _Record:
        return self._records.get(key) or self._records.put(key, _Record())
