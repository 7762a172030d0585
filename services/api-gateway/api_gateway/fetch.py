"""A whole answer of a service, for the few pages of our own that are made from one."""

import asyncio

from chassis.errors import Refused, Unavailable

from api_gateway.pool import Pool
from api_gateway.responses import Response
from api_gateway.upstream import UpstreamConnection

TIMEOUT_SECONDS = 5.0


class WholeAnswer:
    """Receives one answer (api_gateway.upstream.Receiver) into memory: the status and the body."""

    method = b"GET"
    whole = True

    def __init__(self) -> None:
        self.received: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._status = 0
        self._parts: list[bytes] = []

    def answered(self, response: Response, payload: bytes, done: bool) -> None:
        """The head and the first bytes."""
        self._status = response.status
        self.continued(payload, done)

    def continued(self, payload: bytes, done: bool) -> None:
        """More."""
        self._parts.append(payload)
        if done and not self.received.done():
            self.received.set_result((self._status, b"".join(self._parts)))

    def failed(self, error: Refused | None) -> None:
        """Nothing will come."""
        if not self.received.done():
            self.received.set_exception(error or ConnectionError())

    def hold_body(self) -> None:
        """The request was sent at once."""

    def resume_body(self) -> None:
        """The request was sent at once."""


class Fetch(WholeAnswer):
    """A page of a service, by way of its pool."""

    def __init__(self, pool: Pool, path: str) -> None:
        super().__init__()
        self._pool = pool
        self._request = b"GET %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (path.encode(), pool.authority)
        self._connection: UpstreamConnection | None = None

    async def run(self) -> tuple[int, bytes]:
        """The status and the body. Raises Unavailable (also Rejected)."""
        ticket = self._pool.admit()
        blame: BaseException | None = asyncio.CancelledError()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                self._pool.connect(self._connected)
                answer = await self.received
            blame = None
            return answer
        except (ConnectionError, TimeoutError, Refused) as error:
            blame = error
            raise Unavailable(self._pool.name) from None
        finally:
            self._pool.settle(ticket, blame)
            if self._connection is not None and self._connection.receiver is self:
                self._connection.abandon()

    def _connected(self, connection: UpstreamConnection | None) -> None:
        if connection is None:
            self.failed(None)
        elif self.received.done():
            self._pool.idle_again(connection)
        else:
            self._connection = connection
            connection.send(self, self._request)
