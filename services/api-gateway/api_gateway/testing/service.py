"""For tests: a real gateway before a small real upstream, and a client that speaks raw bytes."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from chassis.testing import JWT_SECRET, serve

from api_gateway.main import create_app
from api_gateway.settings import Settings

NAMES = ("PATIENT", "APPOINTMENT", "AUTH", "BILLING", "ANALYTICS")


@dataclass
class Seen:
    """A request as the upstream read it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        """The values of a header."""
        return [value for each, value in self.headers if each == name.lower()]

    def one(self, name: str) -> str | None:
        """The value of a header that may stand there once."""
        values = self.all(name)
        assert len(values) <= 1, (name, values)
        return values[0] if values else None


Answer = Callable[[Seen, asyncio.StreamWriter], Awaitable[None]]


def plain(
    body: bytes = b'{"ok":true}', status: str = "200 OK", *headers: str
) -> Callable[[Seen, asyncio.StreamWriter], Awaitable[None]]:
    """An ordinary answer."""

    async def answer(seen: Seen, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if seen.method == "HEAD" else body))

    return answer


def raw(data: bytes, *, close: bool = False) -> Answer:
    """These bytes."""

    async def answer(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        if close:
            await writer.drain()
            writer.close()

    return answer


@dataclass
class Service:
    """An upstream: a plain HTTP/1.1 server that does what `answer` says and remembers what it saw."""

    answer: Answer = field(default_factory=plain)
    seen: list[Seen] = field(default_factory=list)
    bad: list[bytes] = field(default_factory=list)
    connections: int = 0
    early: bool = False  # answer before the body is read
    port: int = 0
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self) -> None:
        """Listen, on the same port again after a stop."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Closes the door and every connection at once."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while True:
                seen = await self._read(reader, writer)
                await self.answer(seen, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            with contextlib.suppress(Exception):
                writer.close()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Seen:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *lines = head[:-4].split("\r\n")
        words = line.split(" ")
        if len(words) != 3 or words[2] != "HTTP/1.1":
            self.bad.append(head.encode("latin-1"))
            raise ConnectionError
        pairs = [(name.lower(), value.strip()) for name, _, value in (each.partition(":") for each in lines)]
        seen = Seen(words[0], words[1], pairs, b"")
        self.seen.append(seen)
        if self.early:
            await self.answer(seen, writer)
            await asyncio.Event().wait()
        seen.body = await _body(reader, seen)
        return seen


async def _body(reader: asyncio.StreamReader, seen: Seen) -> bytes:
    if seen.one("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
        return body
    return await reader.readexactly(int(seen.one("content-length") or 0))


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
    async def connect(self) -> AsyncIterator["Line"]:
        """A connection, cut in the end."""
        reader, writer = await asyncio.open_connection(self.host, self.port, limit=1 << 24)
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


def settings(service: Service | None = None, **environ: str) -> Settings:
    """The settings of a test: every upstream is `service`, Redis is away unless it is given."""
    urls = {f"{name}_SERVICE_URL": service.url for name in NAMES} if service else {}
    redis = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": "1"}
    return Settings.from_environ({"JWT_SECRET": JWT_SECRET, "LOG_LEVEL": "warning"} | urls | redis | environ)


@contextlib.asynccontextmanager
async def running(service: Service | None, **environ: str) -> AsyncIterator[Edge]:
    """A gateway under a real uvicorn."""
    app = create_app(settings(service, **environ))
    async with serve(app, http=app.state.http_protocol) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        yield Edge(host, int(port), app)
