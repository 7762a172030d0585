"""For tests: a small real upstream that does what it is told and remembers what it saw."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


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
