"""The protocol that faces a client: strict framing, one exchange at a time, deadlines and back-pressure.

uvicorn hosts it as its HTTP protocol class. A request for a page of the gateway's own is handed to uvicorn's protocol.
"""

import asyncio
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, cast

from chassis.errors import PayloadTooLarge, PlatformError
from uvicorn import Config
from uvicorn.server import ServerState

from api_gateway import metrics
from api_gateway.bodies import BadChunk, Body, Chunked, Length
from api_gateway.exchange import Exchange
from api_gateway.fields import Fields, parse_fields
from api_gateway.grammar import Head, check_unfinished, parse_head
from api_gateway.headers import CONTINUE, page_head
from api_gateway.ownpages import OwnPage
from api_gateway.problems import Refused

if TYPE_CHECKING:
    from api_gateway.gateway import Gateway

HIGH_WATER = 65536
LINGER_SECONDS = 2.0
_NEVER = float("inf")


class State(Enum):
    """HEAD: between or inside heads. BODY, ANSWER: an exchange runs. PAGE: uvicorn answers. LINGER: all is said."""

    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    PAGE = auto()
    LINGER = auto()


class Downstream(asyncio.Protocol):
    """A client's connection. `close_after`: the answer under way is the last one."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        gateway: "Gateway",
    ) -> None:
        self._gateway = gateway
        self._hosting = (config, server_state, app_state, _loop)
        self._hosted: set[Any] = server_state.connections
        self.transport: asyncio.Transport | None = None
        self.peer = ""
        self.minor = 1
        self.close_after = False
        self.deadline = _NEVER
        self._state = State.HEAD
        self._buffer = b""
        self._checked = 0  # bytes of an unfinished head that have been looked at
        self._block: tuple[bytes, int] | None = None
        self._fields: Fields | None = None
        self._exchange: Exchange | None = None
        self._body: Body | None = None
        self._taken = 0  # bytes of the body
        self._page: OwnPage | None = None
        self._advancing = False
        self._held = False
        self._upload_held = False
        self._full = False

    # the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepted, or turned away."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by birth
        peer = transport.get_extra_info("peername")
        self.peer = str(peer[0]) if peer else ""
        self.transport.set_write_buffer_limits(HIGH_WATER)
        self._hosted.add(self)
        if self._gateway.enter(self):
            self.deadline = self._gateway.now() + self._gateway.settings.header_timeout_seconds
        else:
            self._reject(Refused(503, "there are too many connections"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Whatever was under way is cancelled."""
        self._hosted.discard(self)
        self._gateway.leave(self)
        self.transport = None
        page, self._page = self._page, None
        if page is not None:
            page.connection_lost(exc)
        if self._exchange is not None:
            self._exchange.cancel()

    def shutdown(self) -> None:
        """uvicorn is ending: idle connections close, the others after their answer."""
        self.close_after = True
        if self._page is not None:
            self._page.shutdown()
        elif self._state is State.HEAD:
            self._close()

    @property
    def closing(self) -> bool:
        """Whether the answer says `Connection: close`."""
        return self.close_after or self._gateway.draining

    def address(self, fields: Fields) -> str:
        """The client's address, as far as proxies are believed."""
        return self._gateway.trust.client(self.peer, fields.forwarded_for)

    # in

    def data_received(self, data: bytes) -> None:
        """Bytes of the client; after the last word they are thrown away."""
        if self._state is State.LINGER:
            return
        self._buffer = self._buffer + data if self._buffer else data
        self._advance()
        if len(self._buffer) > HIGH_WATER and self._state is not State.HEAD:
            self.hold()

    def _advance(self) -> None:
        if self._advancing:
            return
        self._advancing = True
        going = True
        while going and self._buffer:
            if self._state is State.HEAD and not self._full:
                going = self._take_head()
            elif self._state is State.BODY:
                going = self._take_body()
            else:
                going = False
        self._advancing = False

    def _take_head(self) -> bool:
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n", max(0, self._checked - 3)) + 4
        try:
            if end == 3:
                check_unfinished(buffer, self._checked)
                if not self._checked:
                    self.deadline = self._gateway.now() + self._gateway.settings.header_timeout_seconds
                self._checked = len(buffer)
                return False
            self._buffer, self._checked = buffer[end:], 0
            head = parse_head(buffer[:end])
            fields = self._read_fields(head)
        except Refused as error:
            self._reject(error)
            return False
        self._begin(head, fields)
        return True

    def _read_fields(self, head: Head) -> Fields:
        if self._fields is None or self._block != (head.fields, head.minor):
            self._fields = parse_fields(head.fields, head.minor)
            self._block = (head.fields, head.minor)
        fields = self._fields
        if head.authority is not None and (fields.host is None or head.authority.lower() != fields.host.lower()):
            raise Refused(400, "the target's authority is not the Host")
        return fields

    def _begin(self, head: Head, fields: Fields) -> None:
        gateway = self._gateway
        self.minor = head.minor
        self.close_after = fields.close is True or head.minor == 0
        exchange = self._exchange = Exchange(gateway, self, head, fields)
        self._body = Chunked() if fields.chunked else Length(fields.length or 0)
        self._taken = 0
        self._state = State.ANSWER if exchange.whole else State.BODY
        self.deadline = exchange.started + (
            exchange.patience if exchange.whole else gateway.settings.body_timeout_seconds
        )
        if fields.length is not None and fields.length > gateway.settings.max_body_bytes:
            exchange.refuse(PayloadTooLarge(gateway.settings.max_body_bytes))
        else:
            gateway.admission.begin(exchange)

    def _take_body(self) -> bool:
        exchange, body = self._exchange, self._body
        assert exchange is not None and body is not None
        if not exchange.ready or self._upload_held:
            return False
        limit = self._gateway.settings.max_body_bytes
        try:
            payload, self._buffer = body.feed(self._buffer)
        except BadChunk:
            exchange.stop(Refused(400, "the chunked coding is malformed"))
            return False
        self._taken += len(payload)
        if self._taken > limit:
            exchange.stop(PayloadTooLarge(limit))
            return False
        if payload or body.done:
            exchange.send_body(payload, body.done)
        if body.done:
            self._state = State.ANSWER
            self.deadline = self._gateway.now() + exchange.patience
        return True

    def body_may_flow(self) -> None:
        """The service is ready for the body."""
        assert self._exchange is not None
        if self._exchange.fields.expect and not self._buffer and not self._taken and self.minor:
            self._write(CONTINUE)
        self.release()
        self._advance()

    def hold(self) -> None:
        """Stop reading."""
        self._upload_held = True
        if not self._held and self.transport is not None:
            self._held = True
            self.transport.pause_reading()

    def release(self) -> None:
        """Read on."""
        self._upload_held = False
        if self._held and self.transport is not None:
            self._held = False
            self.transport.resume_reading()
        if self._state is State.BODY:
            self._advance()

    # out

    def write(self, data: bytes) -> None:
        """A part of the answer."""
        self.deadline = self._gateway.now() + self._gateway.settings.stall_timeout_seconds
        self._write(data)

    def _write(self, data: bytes) -> None:
        if data and self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def pause_writing(self) -> None:
        """The client reads slowly: stop reading the service's answer."""
        self._full = True
        if self._page is not None:
            self._page.pause_writing()
        elif self._exchange is not None:
            self._exchange.pause()

    def resume_writing(self) -> None:
        """Go on, with the next request if this one is over."""
        self._full = False
        self.deadline = self._gateway.now() + self._gateway.settings.stall_timeout_seconds
        if self._page is not None:
            self._page.resume_writing()
        elif self._exchange is not None:
            self._exchange.resume()
        else:
            self._advance()

    # ends

    def exchange_over(self) -> None:
        """The answer is complete: the next request, or the end."""
        unfinished = self._state is State.BODY or bool(self._buffer)
        self._exchange = self._body = None
        if self.transport is None or self._state is State.LINGER:
            return
        if not self.closing:
            self._next()
        elif unfinished:
            self._linger()
        else:
            self._close()

    def _next(self) -> None:
        settings = self._gateway.settings
        self._state = State.HEAD
        wait = settings.header_timeout_seconds if self._buffer else settings.idle_timeout_seconds
        self.deadline = self._gateway.now() + wait
        self.release()
        self._advance()

    def _reject(self, error: PlatformError) -> None:
        self.close_after = True
        self._state = State.BODY  # whatever follows is not a request
        Exchange.of_nobody(self._gateway, self).refuse(error)

    def _linger(self) -> None:
        """Say no more, read and discard for a while: closing at once would reset the connection under our answer."""
        assert self.transport is not None
        self._state = State.LINGER
        self._buffer = b""
        self.deadline = self._gateway.now() + LINGER_SECONDS
        self.release()
        if not self.transport.is_closing():
            self.transport.write_eof()

    def _close(self) -> None:
        self._state = State.LINGER
        self.deadline = self._gateway.now() + LINGER_SECONDS
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Cut the connection: the answer cannot be completed."""
        if self.transport is not None:
            self.transport.abort()

    def expire(self) -> None:
        """The deadline has passed."""
        metrics.CONNECTIONS["timed_out"] += 1
        if self._exchange is not None:
            self._exchange.expire()
        elif self._state is State.HEAD and self._buffer:
            self._reject(Refused(408, "the request did not arrive in time"))
        elif self._state is State.HEAD and not self._full:
            self._close()
        else:
            self.abort()

    # pages of our own

    def open_page(self, exchange: Exchange) -> None:
        """Let uvicorn's protocol answer."""
        self._exchange = self._body = None
        self._state = State.PAGE
        self.deadline = self._gateway.now() + self._gateway.settings.stall_timeout_seconds
        if self._page is None:
            assert self.transport is not None
            self._page = OwnPage(self, *self._hosting)
            self._page.connection_made(self.transport)
        self._page.data_received(page_head(exchange, self.closing))

    def page_over(self) -> None:
        """It has answered."""
        if self.transport is not None and not self.transport.is_closing():
            self._next()
