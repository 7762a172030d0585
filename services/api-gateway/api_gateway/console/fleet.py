"""All services at one moment, as far as they answer."""

import asyncio
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chassis.ops import Ops

from api_gateway.console.calls import Caller, Silent
from api_gateway.console.watch import WHOLE, Watch, ills

GATEWAY = "api-gateway"
AUTH = "auth-service"
WAITING_SECONDS = 30.0
REFUSES = "refuses this login: JWT_SECRET is not the same everywhere"
REMEDY = "Give every service the same JWT_SECRET, then start it again."
LATELY = 6
"""Slots that are spoken of as the last minute."""


@dataclass(frozen=True, slots=True)
class Member:
    """One service: its summary (chassis.ops), or None and why there is none."""

    name: str
    summary: dict[str, Any] | None
    silence: str = "does not answer"
    remedy: str = ""

    @property
    def ills(self) -> set[str]:
        """The parts that it misses; all of it, if it does not work."""
        return {WHOLE} if self.summary is None else ills(self.summary["up"], self.summary["components"])

    @property
    def state(self) -> str:
        """UP, DEGRADED (it works without a part that it can do without) or DOWN."""
        if self.summary is None or not self.summary["up"]:
            return "DOWN"
        degraded = any(part["status"] != "UP" for part in self.summary["components"].values())
        return "DEGRADED" if degraded or self.open_breakers else "UP"

    @property
    def total(self) -> Mapping[str, Any]:
        """Its traffic of the last minutes."""
        return (self.summary or {}).get("requests", {}).get("total") or {}

    @property
    def breakers(self) -> list[dict[str, str]]:
        """`[{name,state}]`."""
        return list(self.summary["breakers"]) if self.summary else []

    @property
    def open_breakers(self) -> list[dict[str, str]]:
        """Those that are not closed."""
        return [breaker for breaker in self.breakers if breaker["state"] != "closed"]

    @property
    def behind(self) -> float:
        """Messages that its consumer group has not read."""
        return float(sum(each["behind"] for each in self.summary["lag"])) if self.summary else 0.0

    def values(self, group: str, name: str) -> list[float | None]:
        """A number of each slot, oldest first; `group` is `requests` or `events`."""
        return [slot[name] for slot in self.summary[group]["slots"]] if self.summary else []

    def rates(self, group: str, name: str) -> list[float]:
        """How many there were in each slot, per second."""
        slots = self.summary[group]["slots"] if self.summary else []
        return [slot[name] / slot["seconds"] for slot in slots]

    def per_second(self) -> float | None:
        """Requests of the last minute, per second."""
        rates = self.rates("requests", "count")[-LATELY:]
        return sum(rates) / len(rates) if rates else None


@dataclass(frozen=True, slots=True)
class Fleet:
    """The services in the order of the settings, the gateway first."""

    members: list[Member] = field(default_factory=list)

    def of(self, name: str) -> Member:
        """The service of that name."""
        return next(member for member in self.members if member.name == name)

    @property
    def troubled(self) -> list[Member]:
        """Those that are not UP."""
        return [member for member in self.members if member.state != "UP"]

    def events(self, name: str) -> list[float]:
        """Events of all services together in each slot, per second; the newest slots lie over one another."""
        all_rates = [rates for member in self.members if (rates := member.rates("events", name))]
        longest = max(map(len, all_rates), default=0)
        padded = [[0.0] * (longest - len(rates)) + rates for rates in all_rates]
        return [sum(column) for column in zip(*padded, strict=True)]

    def per_minute(self, name: str) -> float:
        """Events in the last minute."""
        rates = self.events(name)[-LATELY:]
        return 60 * sum(rates) / len(rates) if rates else 0.0

    def counted(self, name: str) -> float:
        """Events in the last 15 minutes."""
        return sum(value or 0.0 for member in self.members for value in member.values("events", name))


class Services:
    """Where the services are; the gateway's own summary is asked for in-process."""

    def __init__(self, urls: Mapping[str, str], ops: Ops, watch: Watch) -> None:
        self._urls = urls
        self._ops = ops
        self.watch = watch
        self._waiting: tuple[float, int] = (-math.inf, 0)

    @property
    def names(self) -> list[str]:
        """All services."""
        return [GATEWAY, *self._urls]

    @property
    def remote(self) -> list[str]:
        """All but the gateway."""
        return list(self._urls)

    def caller(self, name: str, token: str | None = None) -> Caller:
        """A line to a service, with one person's token. KeyError for a name that is none."""
        return Caller(self._urls[name], token)

    async def fleet(self, token: str) -> Fleet:
        """Every service's summary."""
        return Fleet(list(await asyncio.gather(*(self.member(name, token) for name in self.names))))

    async def member(self, name: str, token: str) -> Member:
        """One service's summary."""
        member = await self._asked(name, token)
        self.watch.note(name, member.ills)
        return member

    async def _asked(self, name: str, token: str) -> Member:
        if name == GATEWAY:
            return Member(name, await self._ops.summary())
        try:
            status, summary = await self.caller(name, token).ask("GET", "/ops/summary")
        except Silent:
            return Member(name, None)
        if status == 200:
            return Member(name, summary)
        if status in {401, 403}:
            return Member(name, None, REFUSES, REMEDY)
        return Member(name, None, f"answers {status}")

    async def dead_letters(self, token: str) -> tuple[list[dict[str, Any]], list[str]]:
        """`[{service,topic,source,group,count}]`, and the services that did not answer."""
        answers = await asyncio.gather(*(self._dead_letters_of(name, token) for name in self.remote))
        silent = [name for name, found in zip(self.remote, answers, strict=True) if found is None]
        letters = [each for found in answers for each in found or ()]
        self._waiting = (time.monotonic(), sum(each["count"] for each in letters))
        return letters, silent

    async def waiting(self, token: str) -> int:
        """How many dead letters there are, or were half a minute ago: every look costs Kafka a few connections."""
        if time.monotonic() - self._waiting[0] > WAITING_SECONDS:
            await self.dead_letters(token)
        return self._waiting[1]

    async def _dead_letters_of(self, name: str, token: str) -> list[dict[str, Any]] | None:
        try:
            status, answer = await self.caller(name, token).ask("GET", "/ops/dead-letters")
        except Silent:
            return None
        return [{"service": name, **each} for each in answer["content"]] if status == 200 else None
