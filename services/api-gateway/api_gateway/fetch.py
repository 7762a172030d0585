"""A whole answer of a service, for the few pages of our own that are made from one."""

import asyncio

from chassis.errors import Unavailable

from api_gateway.pool import Pool
from api_gateway.problems import Refused
from api_gateway.responses import Response
from api_gateway.upstream import UpstreamConnection

TIMEOUT_SECONDS = 5.0


class Fetch:
    """Receives one answer (api_gateway.upstream.Receiver) into memory."""

    method = b"GET"
    whole = True

    def __init__(self, pool: Pool, path: str) -> None:
        self._pool = pool
        self._request = b"GET %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (path.encode(), pool.authority)
        self._answer: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._connection: UpstreamConnection | None = None
        self._status = 0
        self._parts: list[bytes] = []

    async def run(self) -> tuple[int, bytes]:
        """The status and the body. Raises Unavailable (also Rejected)."""
        ticket = self._pool.admit()
        blame: BaseException | None = asyncio.CancelledError()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                self._pool.connect(self._connected)
                answer = await self._answer
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
        elif self._answer.done():
            self._pool.idle_again(connection)
        else:
            self._connection = connection
            connection.send(self, self._request)

    def answered(self, response: Response, payload: bytes, done: bool) -> None:
        """The head and the first bytes."""
        self._status = response.status
        self.continued(payload, done)

    def continued(self, payload: bytes, done: bool) -> None:
        """More."""
        self._parts.append(payload)
        if done and not self._answer.done():
            self._answer.set_result((self._status, b"".join(self._parts)))

    def failed(self, error: Refused | None) -> None:
        """Nothing will come."""
        if not self._answer.done():
            self._answer.set_exception(error or ConnectionError())

    def hold_body(self) -> None:
        """There is no body."""

    def resume_body(self) -> None:
        """There is no body."""
