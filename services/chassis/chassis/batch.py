"""Group commit: calls that wait at the same time become one.

While one statement is on its way to the database, the requests that arrive gather, and leave together as the next one:
no timer, no delay for a lone request, and under load one round trip and one flush to disk for many of them (DeWitt et
al., "Implementation Techniques for Main Memory Database Systems", SIGMOD 1984, section 5.2).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from chassis.errors import Busy, Unavailable

Item = TypeVar("Item")
Answer = TypeVar("Answer")

LARGEST = 128
AT_ONCE = 2
ALONE_AT_ONCE = 4
ALONE_SECONDS = 1.0
"""An item whose turn to be tried alone does not come so soon is refused: its client has waited for a lock already."""


class Batches(Generic[Item, Answer]):
    """`run` gets a list of items and gives one answer for each, in order; an answer that is an exception is raised.

    When `run` itself fails, each of its items is tried alone, so that one that cannot be stored fails no other; an
    outage (Unavailable) fails them all at once. A lock that was not had in time (Busy) is one item's: the others do not
    wait behind it, nor do later batches.
    """

    def __init__(self, run: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | Exception]]]) -> None:
        self._run = run
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._alone_slots = asyncio.Semaphore(ALONE_AT_ONCE)
        self._later: set[asyncio.Task[None]] = set()

    async def submit(self, item: Item) -> Answer:
        """The answer for this item, once its batch is done.

        Raises:
            Exception: what `run` answered for it, or what it raised.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if not self._waiting:
            # At the end of this turn: whoever else arrives in it comes along.
            asyncio.get_running_loop().call_soon(self._depart)
        self._waiting.append((item, future))
        return await future

    def _depart(self) -> None:
        while self._waiting and len(self._under_way) < AT_ONCE:
            batch, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
            task = asyncio.create_task(self._carry(batch))
            self._under_way.add(task)
            task.add_done_callback(self._arrived)

    def _arrived(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._depart()

    async def _carry(self, batch: Sequence[tuple[Item, "asyncio.Future[Answer]"]]) -> None:
        items = [item for item, _ in batch]
        try:
            answers: Sequence[Answer | Exception] = await self._run(items)
        except Busy as error:
            if len(items) > 1:
                self._carry_alone(batch, error)
                return
            answers = [error]
        except Unavailable as error:
            answers = [error] * len(items)
        except Exception as error:
            answers = [error] if len(items) == 1 else [await self._alone(item) for item in items]
        for (_, future), answer in zip(batch, answers, strict=True):
            _settle(future, answer)

    def _carry_alone(self, batch: Sequence[tuple[Item, "asyncio.Future[Answer]"]], error: Busy) -> None:
        until = asyncio.get_running_loop().time() + ALONE_SECONDS
        for item, future in batch:
            task = asyncio.create_task(self._settle_alone(item, future, until, error))
            self._later.add(task)
            task.add_done_callback(self._later.discard)

    async def _settle_alone(self, item: Item, future: "asyncio.Future[Answer]", until: float, error: Busy) -> None:
        async with self._alone_slots:
            late = asyncio.get_running_loop().time() > until
            if not future.done():
                _settle(future, error if late else await self._alone(item))

    async def _alone(self, item: Item) -> Answer | Exception:
        try:
            return (await self._run([item]))[0]
        except Exception as error:
            return error


def _settle(future: "asyncio.Future[Answer]", answer: Answer | Exception) -> None:
    if future.done():  # whoever asked has hung up
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
