"""One more try for what lost a race: a deadlock or a serialization failure, after which nothing of it was committed.

The loser of a race is the database's choice and says nothing about the request; the same work once more usually
succeeds. A second loss is answered by 503.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.errors import LostRace
from chassis.http import problem

REPEATED = Counter("db_transactions_repeated_total", "Transactions tried once more after a deadlock or the like")

Answer = TypeVar("Answer")
_REPEATED = "chassis.repeated"


async def once_more(work: Callable[[], Awaitable[Answer]]) -> Answer:
    """What `work` answers, the second time if the first one lost a race. It must do nothing but its transaction."""
    try:
        return await work()
    except LostRace:
        REPEATED.inc()
        return await work()


def repeatable(route: ASGIApp) -> ASGIApp:
    """A route of the framework that is called once more when its transaction lost a race.

    A transaction commits before the answer leaves, so nothing was sent by then.
    """

    async def twice(scope: Scope, receive: Receive, send: Send) -> None:
        heard: list[Message] = []

        async def hear() -> Message:
            heard.append(await receive())
            return heard[-1]

        try:
            await route(scope, hear, send)
        except LostRace:
            REPEATED.inc()
            again = iter(heard)

            async def repeat() -> Message:
                return next(again, None) or await receive()

            await route({**scope, _REPEATED: True}, repeat, send)

    return twice


async def on_lost_race(request: Request, error: Exception) -> Response:
    """Renders the second loss; the first one goes on to `repeatable`."""
    assert isinstance(error, LostRace)  # noqa: S101 - registered for nothing else
    if _REPEATED not in request.scope:
        raise error
    return problem(request, error)
