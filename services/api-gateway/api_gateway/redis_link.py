"""One pipelined connection to Redis that counts requests: callbacks in the order of the questions, one write per turn
of the loop.

A client's name never reaches Redis: keys hold its hash. Redis's own clock counts, so that replicas need not agree
on one.
"""

import asyncio
import contextlib
import hashlib
import math
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import hiredis
from chassis import logs
from chassis.actuator import Health
from chassis.security import redis_tls

from api_gateway.settings import Settings

log = logs.logger(__name__)

# KEYS[1] the client; ARGV: µs per request, burst, requests, 1 to count them in any case.
# Answers whether they were counted and how many µs the client is ahead (the GCRA's TAT less now).
SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst, count = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local moved = tat + count * interval
if ARGV[4] == '0' and moved - now > burst * interval + 0.5 then
  return {0, math.floor(tat - now)}
end
redis.call('SET', KEYS[1], string.format('%.2f', moved), 'PX', math.ceil((moved - now) / 1000) + 1)
return {1, math.floor(moved - now)}
"""
_SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest().encode()
_PAUSE = 1.0


class Verdict(NamedTuple):
    """`backlog`: seconds that the client's allowance is spent ahead."""

    granted: bool
    backlog: float


Then = Callable[[Verdict | None], None]


class RedisLink(asyncio.Protocol):
    """Keeps itself connected from `start` to `stop`; `up` tells whether asking makes sense now."""

    name = "redis"
    role: str | None = None
    critical = False

    def __init__(self, settings: Settings) -> None:
        self._where = (settings.redis_host, settings.redis_port)
        secret = settings.redis_password
        name = [settings.redis_username.encode()] if settings.redis_username else []
        self._greeting = [[b"AUTH", *name, secret.get_secret_value().encode()]] if secret is not None else []
        self._greeting += [[b"SELECT", b"%d" % settings.redis_database], [b"SCRIPT", b"LOAD", SCRIPT.encode()]]
        self._tls = redis_tls(settings)
        self._timeout = settings.redis_timeout_seconds
        self.up = False
        self._transport: asyncio.Transport | None = None
        self._reader = hiredis.Reader()
        self._waiting: deque[tuple[float, Callable[[Any], None]]] = deque()
        self._unsent: list[bytes] = []
        self._lost = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to connect; returns after the first attempt."""
        self._loop = asyncio.get_running_loop()
        await self._connect()
        self._task = asyncio.create_task(self._stay_connected())

    async def stop(self) -> None:
        """Disconnect; what waits is answered None."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._drop()

    async def health(self) -> Health:
        """Up while Redis answers; without it the local limits hold."""
        return Health(self.up)

    def consume(self, key: str, rate: float, burst: int, count: int, *, force: bool, then: Then) -> None:
        """Count `count` requests, with `force` even beyond the burst; `then` gets None when Redis does not answer."""
        name = b"gateway:limit:" + hashlib.blake2s(key.encode(), digest_size=16).hexdigest().encode()
        interval = b"%.3f" % (1e6 / rate)

        def answered(reply: Any) -> None:
            told = isinstance(reply, list) and len(reply) == 2
            then(Verdict(reply[0] == 1, reply[1] / 1e6) if told else None)

        self._send([b"EVALSHA", _SHA, b"1", name, interval, b"%d" % burst, b"%d" % count, b"%d" % force], answered)

    def _send(self, words: list[bytes], answered: Callable[[Any], None]) -> None:
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words))
        self._waiting.append((self._loop.time() + self._timeout, answered))

    def _flush(self) -> None:
        data, self._unsent = b"".join(self._unsent), []
        if self._transport is not None and data:
            self._transport.write(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Introduce ourselves; `up` only after Redis has taken the script."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by birth
        self._reader = hiredis.Reader()
        for words in self._greeting:
            self._send(words, self._greeted)

    def _greeted(self, reply: Any) -> None:
        if isinstance(reply, hiredis.ReplyError):
            log.error("Redis refused the greeting", code=str(reply).partition(" ")[0])
            self._drop()
        elif reply == _SHA:
            self.up = True

    def data_received(self, data: bytes) -> None:
        """Hand each reply to the question it belongs to."""
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False and self._waiting:
            if isinstance(reply, hiredis.ReplyError) and self.up:
                self._drop()  # the script is gone, or Redis is loading or read-only: begin anew
                return
            self._waiting.popleft()[1](reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits is told."""
        self._drop()

    def _drop(self) -> None:
        transport, self._transport, self.up = self._transport, None, False
        waiting, self._waiting = self._waiting, deque()
        self._unsent = []
        if transport is not None:
            transport.abort()
        self._lost.set()
        for _, answered in waiting:
            answered(None)

    async def _connect(self) -> None:
        self._lost.clear()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_PAUSE):
                await self._loop.create_connection(lambda: self, *self._where, ssl=self._tls)
        if self._transport is None:
            self._lost.set()

    async def _stay_connected(self) -> None:
        while True:
            await asyncio.sleep(self._timeout / 4)
            if self._waiting and self._waiting[0][0] < math.floor(self._loop.time() * 1e6) / 1e6:
                log.warning("Redis does not answer; the local limit holds")
                self._drop()
            if self._lost.is_set():
                await asyncio.sleep(_PAUSE)
                await self._connect()
