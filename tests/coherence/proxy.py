"""A TCP relay in front of a server, with the faults that only the way to it can have."""

import asyncio
from typing import Any, cast


class _Side(asyncio.Protocol):
    """One end of a link: what arrives goes to `received`, the end to `lost`."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.received: Any = lambda data: None
        self.lost: Any = lambda: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost()

    def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class _Link:
    """A client's connection, and the one behind it, which is opened to wherever the proxy leads at that moment."""

    def __init__(self, proxy: "Proxy") -> None:
        self._proxy = proxy
        self.client = _Side()
        self.client.received = self._arrived
        self.client.lost = self._hung_up
        self._server: _Side | None = None
        self._port = 0
        self._unanswered = False
        self._requests: asyncio.Queue[bytes] = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._forward())

    def _arrived(self, data: bytes) -> None:
        self._requests.put_nowait(data)

    def _hung_up(self) -> None:
        """What was sent before may still be on its way."""
        if not self._proxy.holding:
            self.close()

    async def _forward(self) -> None:
        while True:
            data = await self._requests.get()
            await self._proxy.passing.wait()
            if self._server is None or self._port != self._proxy.target:
                if self._server is not None:
                    await asyncio.sleep(0.02)
                    if self._unanswered:  # a reply that is lost would shift all later ones, which no proxy does
                        self.close()
                        return
                    self._server.lost = lambda: None
                    self._server.close()
                self._port, server = self._proxy.target, _Side()
                server.received, server.lost = self._answered, self.client.close
                try:
                    await asyncio.get_running_loop().create_connection(lambda s=server: s, "127.0.0.1", self._port)
                except OSError:
                    self.client.close()
                    return
                self._server = server
            if self._server.transport is not None:
                self._unanswered = True
                self._server.transport.write(data)

    def _answered(self, data: bytes) -> None:
        self._unanswered = False
        if not self._proxy.muted and self.client.transport is not None:
            self.client.transport.write(data)

    def close(self) -> None:
        self._task.cancel()
        for side in (self.client, self._server):
            if side is not None:
                side.close()


class Proxy:
    """`target`: the port behind it. `muted`: replies are lost. `holding`: requests are kept until `release`."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.muted = False
        self.passing = asyncio.Event()
        self.passing.set()
        self._links: list[_Link] = []

    async def start(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for link in self._links:
            link.close()
        await asyncio.sleep(0.01)

    def _accept(self) -> _Side:
        link = _Link(self)
        self._links.append(link)
        return link.client

    @property
    def holding(self) -> bool:
        return not self.passing.is_set()

    def hold(self) -> None:
        self.passing.clear()

    def release(self) -> None:
        """What was held arrives now, in whatever order, though its sender may have hung up."""
        self.passing.set()

    def cut(self) -> None:
        """Every connection breaks at once, for the clients."""
        for link in self._links:
            link.client.close()
