"""The protocol that faces a service: one request in flight, its answer handed on as it comes."""

import asyncio
from typing import Protocol, cast

from chassis.errors import Refused
from chassis.wire.bodies import BadChunk, Body, UntilClose

from api_gateway.responses import MAX_HEAD, Response, parse_response


class Receiver(Protocol):
    """Whoever waits for an answer. `done` comes once, or `failed` does."""

    method: bytes
    whole: bool  # the request was sent to its end

    def answered(self, response: Response, payload: bytes, done: bool) -> None:
        """The head and the first bytes of the body."""

    def continued(self, payload: bytes, done: bool) -> None:
        """More of the body."""

    def failed(self, error: Refused | None) -> None:
        """The answer was malformed, or None: the connection is gone."""

    def hold_body(self) -> None:
        """The service reads more slowly than we write."""

    def resume_body(self) -> None:
        """It has caught up."""


class Keeper(Protocol):
    """Where connections come back to."""

    def idle_again(self, connection: "UpstreamConnection") -> None:
        """It may carry another request."""

    def gone(self, connection: "UpstreamConnection") -> None:
        """It is closed."""


class UpstreamConnection(asyncio.Protocol):
    """A kept connection; `served` counts the requests it carried to their end."""

    __slots__ = (
        "_body",
        "_kept",
        "_paused",
        "_response",
        "expires",
        "idle_since",
        "keeper",
        "receiver",
        "rested",
        "served",
        "transport",
    )

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.receiver: Receiver | None = None
        self.transport: asyncio.Transport | None = None
        self.served = 0
        self.expires = 0.0
        self.idle_since = 0.0
        self.rested = False  # idle_since says since when
        self._kept = b""
        self._paused = False
        self._response: Response | None = None
        self._body: Body | None = None

    @property
    def usable(self) -> bool:
        """Whether the other side may still be there."""
        return self.transport is not None and not self.transport.is_closing()

    def send(self, receiver: Receiver, data: bytes) -> None:
        """Begin a request."""
        assert self.transport is not None
        self.receiver = receiver
        self.transport.write(data)

    def abandon(self) -> None:
        """Nobody waits for this answer any more."""
        self.receiver = None
        if self.transport is not None:
            self.transport.abort()

    def pause(self) -> None:
        """Stop reading: the client cannot take more."""
        if not self._paused and self.usable:
            assert self.transport is not None
            self._paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._paused and self.transport is not None:
            self._paused = False
            self.transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by birth

    def data_received(self, data: bytes) -> None:
        """A part of the answer; bytes that nobody asked for end the connection."""
        try:
            if self._body is not None:
                self._continue(data)
            elif self.receiver is not None:
                self._begin(self._kept + data if self._kept else data)
            else:
                self.abandon()
        except BadChunk:
            self._fail(Refused(502, "the service's answer is malformed"))
        except Refused as error:
            self._fail(error)

    def _begin(self, data: bytes) -> None:
        receiver = self.receiver
        assert receiver is not None
        while True:
            end = data.find(b"\r\n\r\n") + 4
            if end > MAX_HEAD or len(data) > MAX_HEAD > end == 3:
                raise Refused(502, "the service's answer has too large a head")
            if end == 3:
                self._kept = data
                return
            response = parse_response(data[:end])
            data = data[end:]
            if response.status == 101:
                raise Refused(502, "the service changed the protocol unasked")
            if response.status >= 200:
                break
        self._kept = b""
        if data and response.length == len(data) and receiver.method != b"HEAD" and response.status not in {204, 304}:
            self._finish(response, b"")  # all of it is here
            receiver.answered(response, data, True)
            return
        body = response.body(receiver.method)
        payload, rest = body.feed(data) if data and not body.done else (b"", data)
        if body.done:
            self._finish(response, rest)
        else:
            self._response, self._body = response, body
        receiver.answered(response, payload, body.done)

    def _continue(self, data: bytes) -> None:
        body, receiver, response = self._body, self.receiver, self._response
        assert body is not None and receiver is not None and response is not None
        payload, rest = body.feed(data)
        if body.done:
            self._finish(response, rest)
        receiver.continued(payload, body.done)

    def _finish(self, response: Response, rest: bytes) -> None:
        receiver, self.receiver, self._body, self._response = self.receiver, None, None, None
        assert receiver is not None and self.transport is not None
        self.served += 1
        if self._paused:
            self.resume()
        if response.close or rest or not receiver.whole:
            self.transport.abort()
        else:
            self.keeper.idle_again(self)

    def _fail(self, error: Refused | None) -> None:
        receiver, self.receiver = self.receiver, None
        if self.transport is not None:
            self.transport.abort()
        if receiver is not None:
            receiver.failed(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """The end: of the answer, when it has no other."""
        self.keeper.gone(self)
        receiver, self.receiver = self.receiver, None
        if receiver is None:
            return
        if isinstance(self._body, UntilClose) and exc is None:
            receiver.continued(b"", True)
        else:
            receiver.failed(None)

    def pause_writing(self) -> None:
        """Back-pressure towards the client's upload."""
        if self.receiver is not None:
            self.receiver.hold_body()

    def resume_writing(self) -> None:
        """Go on."""
        if self.receiver is not None:
            self.receiver.resume_body()
