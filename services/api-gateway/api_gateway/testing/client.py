"""For tests: a client of a running gateway that speaks raw bytes."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any


@dataclass
class Edge:
    """A running gateway."""

    host: str
    port: int
    app: Any

    @property
    def plane(self) -> Any:
        """The data plane."""
        return self.app.state.gateway

    @contextlib.asynccontextmanager
    async def connect(self, source: str = "127.0.0.1") -> AsyncIterator["Line"]:
        """A connection from this address, cut in the end."""
        reader, writer = await asyncio.open_connection(self.host, self.port, limit=1 << 24, local_addr=(source, 0))
        try:
            yield Line(reader, writer)
        finally:
            writer.transport.abort()

    async def ask(self, method: str, path: str, *lines: str, body: bytes = b"") -> "Reply":
        """One request on a connection of its own."""
        async with self.connect() as line:
            return await line.ask(method, path, *lines, body=body)


@dataclass
class Reply:
    """An answer, its header names in lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        """The values of a header."""
        return [value for each, value in self.headers if each == name.lower()]

    def one(self, name: str) -> str:
        """The value of a header that has to stand there once."""
        values = self.all(name)
        assert len(values) == 1, (name, values)
        return values[0]

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass
class Line:
    """A connection to the gateway."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        """Bytes as they are."""
        self.writer.write(data)

    async def ask(self, method: str, path: str, *lines: str, body: bytes = b"") -> Reply:
        """One request and its answer."""
        framing = [f"Content-Length: {len(body)}"] if body else []
        head = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: gateway", *lines, *framing])
        self.send(head.encode("latin-1") + b"\r\n\r\n" + body)
        return await self.reply(method)

    async def reply(self, method: str = "GET") -> Reply:
        """The next answer."""
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *lines = head[:-4].split("\r\n")
            pairs = [(name.lower(), value.strip()) for name, _, value in (each.partition(":") for each in lines)]
            reply = Reply(int(line.split(" ")[1]), pairs, b"")
            if method == "HEAD" or reply.status in {204, 304} or reply.status < 200:
                return reply
            if reply.all("transfer-encoding"):
                while size := int(await self.reader.readuntil(b"\r\n"), 16):
                    reply.body += (await self.reader.readexactly(size + 2))[:-2]
                assert await self.reader.readexactly(2) == b"\r\n"
            elif reply.all("content-length"):
                reply.body = await self.reader.readexactly(int(reply.one("content-length")))
            else:
                reply.body = await self.reader.read()
            return reply

    async def closed(self, within: float = 10.0) -> bool:
        """Whether the gateway ends the connection without another byte."""
        try:
            async with asyncio.timeout(within):
                return await self.reader.read(1) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False
