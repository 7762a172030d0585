"""One pipelined connection to Redis: the commands of one turn of the loop leave in one write, answers come in order.

A cached read costs one command. A general client's connection pool costs more than the command itself, so the hot path
speaks RESP through hiredis; whoever needs more than this uses redis-py.
"""

import asyncio
import contextlib
import functools
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import hiredis

from chassis import logs
from chassis.errors import Unavailable
from chassis.listening import plain
from chassis.security import redis_tls
from chassis.settings import RedisSettings
from chassis.tally import Histogram, Series

log = logs.logger(__name__)

SECONDS = Histogram(
    "redis_command_seconds",
    "From asking Redis to its reply, the wait for a turn of the loop included",
    ["command"],
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1),
)
PAUSE = 0.5
Word = bytes | str | int


class RedisConnection(asyncio.Protocol):
    """Keeps itself connected from `start` to `stop`; while it is not `up` every command fails at once."""

    def __init__(self, settings: RedisSettings) -> None:
        self._where = (plain(settings.redis_host), settings.redis_port)
        password = settings.redis_password
        name = (settings.redis_username,) if settings.redis_username else ()
        self._greeting: list[tuple[Word, ...]] = [("AUTH", *name, password.get_secret_value())] if password else []
        self._greeting += [("SELECT", settings.redis_database), ("PING",)]
        self._tls = redis_tls(settings)
        self._timeout = settings.redis_timeout_seconds
        self.up = False
        self.connections = 0
        """How many were made: what was sent on one before the current one may have been lost."""
        self.changed: Callable[[], None] = lambda: None
        """Called when a connection is up, and when it is lost."""
        self._answered = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self._reader = hiredis.Reader()
        self._waiting: deque[tuple[float, Series, asyncio.Future[Any]]] = deque()
        self._unsent: list[bytes] = []
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to connect; returns after the first attempt, however it went."""
        self._loop = asyncio.get_running_loop()
        await self._connect()
        self._task = asyncio.create_task(self._stay_connected(), name="redis connection")

    async def stop(self) -> None:
        """Disconnects; what waits fails."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._drop()

    def command(self, *words: Word) -> "asyncio.Future[Any]":
        """The reply, when it comes.

        Raises:
            Unavailable: in the future; not connected, no answer in time, or the connection broke.
            hiredis.ReplyError: in the future; Redis refused the command.
        """
        if not self.up:
            future: asyncio.Future[Any] = self._loop.create_future()
            future.set_exception(Unavailable("redis"))
            return future
        return self._ask(words)

    def _ask(self, words: tuple[Word, ...]) -> "asyncio.Future[Any]":
        future: asyncio.Future[Any] = self._loop.create_future()
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(hiredis.pack_command(words))  # type: ignore[arg-type]  # its stub means one word
        self._waiting.append((self._loop.time() + self._timeout, _series(words[0]), future))
        return future

    def _flush(self) -> None:
        data, self._unsent = b"".join(self._unsent), []
        if self._transport is not None and data:
            self._transport.write(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Introduces itself; `up` once Redis has answered."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by birth
        self._reader = hiredis.Reader()
        for words in self._greeting:
            self._ask(words).add_done_callback(self._greeted)

    def _greeted(self, answered: "asyncio.Future[Any]") -> None:
        if answered.cancelled() or (error := answered.exception()) is None:
            greeted = not answered.cancelled() and answered.result() == b"PONG"
            if greeted and not self.up and self._transport is not None:
                self.up = True
                self.connections += 1
                self._answered.set()
                self.changed()
        elif isinstance(error, hiredis.ReplyError):
            log.error("redis refused the greeting", code=str(error).partition(" ")[0])
            self._drop()

    def data_received(self, data: bytes) -> None:
        """Hands each reply to the command it belongs to."""
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            if not self._waiting:
                self._drop()
                return
            due, seconds, future = self._waiting.popleft()
            seconds.observe(self._loop.time() - due + self._timeout)
            if future.done():
                continue
            if isinstance(reply, hiredis.ReplyError):
                future.set_exception(reply)
            else:
                future.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits is told."""
        self._drop()

    def reconnect(self) -> None:
        """Gives the connection up; another is made after a moment, perhaps to another server of the same name."""
        self._drop()

    def _drop(self) -> None:
        was_up = self.up
        transport, self._transport, self.up = self._transport, None, False
        self._answered.set()
        if was_up:
            self.changed()
        waiting, self._waiting = self._waiting, deque()
        self._unsent = []
        if transport is not None:
            transport.abort()
        for _, _, future in waiting:
            if not future.done():
                future.set_exception(Unavailable("redis"))
                future.exception()  # the greeting's futures have nobody who looks

    async def _connect(self) -> None:
        self._answered.clear()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._timeout):
                await self._loop.create_connection(lambda: self, *self._where, ssl=self._tls)
                await self._answered.wait()

    async def _stay_connected(self) -> None:
        while True:
            await asyncio.sleep(self._timeout / 4)
            if self._waiting and self._waiting[0][0] < self._loop.time():
                log.warning("redis does not answer")
                self._drop()
            if not self.up:
                self._drop()
                await asyncio.sleep(PAUSE)
                await self._connect()


@functools.lru_cache(maxsize=64)
def _series(command: Word) -> Series:
    return SECONDS.labels(command)
