"""How the parts of a process start: in order, and however long the servers that they need are away.

A process that ended because its database is away would be restarted with growing pauses, and come back late. So it
stays up: alive, not ready, every request answered by 503 until all parts run.
"""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Sequence

from starlette.types import Receive, Scope, Send

from chassis import logs
from chassis.actuator import Part
from chassis.classification import Verdict, classify
from chassis.errors import Unavailable
from chassis.http import problem_response
from chassis.recovery import delay, recovery

log = logs.logger(__name__)

PATIENCE_SECONDS = 5.0
"""So long a process that misses a server is silent; afterwards it answers that it is not ready."""


@contextlib.asynccontextmanager
async def running(parts: Sequence[Part], waits: Callable[[bool], None]) -> AsyncIterator[None]:
    """Start the parts in order and stop them in reverse; `waits` is told whether some of them still wait to start.

    Raises:
        Exception: what a part raised at its start that is not the world's fault, while nothing was served yet.
    """
    async with contextlib.AsyncExitStack() as stack:
        away = asyncio.Event()
        starting = asyncio.create_task(_start(parts, stack, away), name="start of the parts")
        try:
            await _long_enough(starting, away)
            if starting.done():
                await starting
                waits(False)
            else:
                waits(True)
                log.warning("serving before all parts have started: the servers that they need are away")
                starting.add_done_callback(lambda task: _ended(task, waits))
            yield
        finally:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)


async def _long_enough(starting: asyncio.Task[None], away: asyncio.Event) -> None:
    """Return once all parts have started, or some time after a server was found to be away."""
    found = asyncio.create_task(away.wait())
    await asyncio.wait({starting, found}, return_when=asyncio.FIRST_COMPLETED)
    found.cancel()
    if not starting.done():
        await asyncio.wait({starting}, timeout=PATIENCE_SECONDS)


async def _start(parts: Sequence[Part], stack: contextlib.AsyncExitStack, away: asyncio.Event) -> None:
    for part in parts:
        failures = 0
        while not await _started(part):
            failures += 1
            away.set()
            recovery.failed(id(part))
            await recovery.sleep(delay(failures))
        recovery.succeeded(id(part))
        stack.push_async_callback(part.stop)


async def _started(part: Part) -> bool:
    try:
        await part.start()
    except Exception as error:
        if classify(error) is not Verdict.WORLD:
            raise
        log.warning("a part cannot start yet", part=part.name, error=type(error).__name__)
        return False
    return True


def _ended(task: asyncio.Task[None], waits: Callable[[bool], None]) -> None:
    if task.cancelled():
        return
    if error := task.exception():
        log.error("a part cannot start: the process ends", exc_info=error)
        signal.raise_signal(signal.SIGTERM)
    else:
        log.info("all parts have started")
        waits(False)


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request while parts wait to start."""
    await problem_response(Unavailable("the service"), scope["path"])(scope, receive, send)
