"""Questions to the services, each on a connection of its own and past the data plane's breakers.

A service that answers an operator slowly must not be taken from its users, and a service that its breaker keeps away
from users is the one that an operator wants to see.
"""

import asyncio
from typing import Any
from urllib.parse import quote

import orjson
from chassis import correlation
from chassis.errors import Refused

from api_gateway.fetch import WholeAnswer
from api_gateway.upstream import UpstreamConnection


class Silent(Exception):
    """The service did not answer in time, or not at all."""


class _Call(WholeAnswer):
    """One request; also the keeper of its one connection (api_gateway.upstream.Keeper)."""

    def idle_again(self, connection: UpstreamConnection) -> None:
        """There is no second request."""
        connection.abandon()

    def gone(self, connection: UpstreamConnection) -> None:
        """It was closed."""


class Caller:
    """Asks the service at an address (`http://host:port`) with one person's token."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self._authority = url.removeprefix("http://")
        host, _, port = self._authority.rpartition(":")
        self._address = (host.strip("[]"), int(port)) if host and port.isdigit() else (self._authority, 80)
        self._bearer = [f"Authorization: Bearer {token}"] if token else []

    async def ask(
        self, method: str, path: str, body: Any = None, within: float = 1.5, chain: str = ""
    ) -> tuple[int, dict[str, Any]]:
        """The status and the JSON of the answer; `chain`: X-Forwarded-For. Raises Silent after `within` seconds."""
        sent = b"" if body is None else orjson.dumps(body)
        lines = [f"{method} {quote(path)} HTTP/1.1", f"Host: {self._authority}", *self._bearer]
        lines += [f"{name}: {value}" for name, value in correlation.outgoing_headers().items()]
        if chain:
            lines.append(f"X-Forwarded-For: {chain}")
        if sent:
            lines += ["Content-Type: application/json", f"Content-Length: {len(sent)}"]
        head = "\r\n".join([*lines, "\r\n"]).encode()
        call = _Call()
        call.method = method.encode()
        connection = UpstreamConnection(call)
        try:
            async with asyncio.timeout(within):
                await asyncio.get_running_loop().create_connection(lambda: connection, *self._address)
                connection.send(call, head + sent)
                status, received = await call.received
                return status, orjson.loads(received) if received else {}
        except (OSError, TimeoutError, Refused, orjson.JSONDecodeError) as error:
            raise Silent from error
        finally:
            connection.abandon()
