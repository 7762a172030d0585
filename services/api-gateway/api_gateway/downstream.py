"""The protocol that faces a client: one exchange at a time, deadlines and back-pressure.

uvicorn hosts it as its HTTP protocol class. A request for a page of the gateway's own is handed to uvicorn's protocol.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from chassis.errors import PayloadTooLarge, PlatformError, Refused
from chassis.wire.grammar import Head
from chassis.wire.heads import Heads
from uvicorn import Config
from uvicorn.server import ServerState

from api_gateway import metrics
from api_gateway.connection import ANSWER, BODY, HEAD, HIGH_WATER, LINGER, PAGE, Connection
from api_gateway.exchange import Exchange
from api_gateway.fields import LIMITS, Fields, parse_fields, text_of
from api_gateway.headers import CONTINUE, page_head, page_lines
from api_gateway.ownpages import OwnPage
from api_gateway.uploads import Upload

if TYPE_CHECKING:
    from api_gateway.gateway import Gateway


class Downstream(Connection):
    """A client's connection and the requests on it."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        gateway: "Gateway",
    ) -> None:
        super().__init__(gateway, server_state)
        self._hosting = (config, server_state, app_state, _loop)
        self._heads = Heads(parse_fields, LIMITS)
        self._exchange: Exchange | None = None
        self._upload: Upload | None = None
        self._page: OwnPage | None = None
        self._advancing = False
        self._service_full = False
        self._half_closed = False

    def address(self, fields: Fields) -> str:
        """The client's address, as far as proxies are believed."""
        return self.gateway.trust.client(self.peer, text_of(fields.forwarded_for))

    # in

    def data_received(self, data: bytes) -> None:
        """Bytes of the client; after the last word they are thrown away."""
        if self.state is LINGER:
            return
        self.buffer = self.buffer + data if self.buffer else data
        self._advance()
        if self.buffer and len(self.buffer) > HIGH_WATER and self.state is not HEAD:
            self.hold()

    def eof_received(self) -> bool:
        """The client sends no more; what it has asked for as a whole is answered before the connection closes."""
        self._half_closed = True
        if self.state is LINGER:
            return False  # both sides have said their last word
        if self.state is HEAD and not self.client_full:
            self.close()  # of the buffer nothing can become a request any more
        elif self.state is BODY:
            self._advance()
            self._give_up_unfinished()
        return True

    def _give_up_unfinished(self) -> None:
        """The rest of a body that will not come is not waited for."""
        if self.state is BODY and not self.buffer and self._upload is not None and not self._upload.done:
            self.abort()

    def _advance(self) -> None:
        if self._advancing:
            return
        self._advancing = True
        going = True
        while going and self.buffer:
            if self.state is HEAD and not self.client_full:
                going = self._take_head()
            elif self.state is BODY:
                going = self._take_body()
            else:
                going = False
        self._advancing = False

    def _take_head(self) -> bool:
        self.buffer = self._heads.without_empty_line(self.buffer)
        started = self._heads.checked
        try:
            found = self._heads.next(self.buffer)
        except Refused as error:
            self.reject(error)
            return False
        if found is None:
            if self._half_closed:
                self.close()
            elif self.buffer and not started:
                self.deadline = self.gateway.now() + self.gateway.bounds.header
            return False
        head, fields, end = found
        self.buffer = self.buffer[end:]
        self._begin(head, fields)
        return True

    def _begin(self, head: Head, fields: Fields) -> None:
        gateway = self.gateway
        limit = gateway.bounds.body_bytes
        self.minor = head.minor
        self.close_after = fields.close is True or head.minor == 0
        exchange = self._exchange = Exchange(gateway, self, head, fields)
        if exchange.whole:
            self.state = ANSWER
            self.deadline = exchange.started + exchange.patience
        else:
            self.state = BODY
            self.deadline = exchange.started + gateway.bounds.body
            self._upload = Upload(fields, limit)
            if fields.length is not None and fields.length > limit:
                exchange.refuse(PayloadTooLarge(limit))
                return
        gateway.admission.begin(exchange)

    def _take_body(self) -> bool:
        exchange, upload = self._exchange, self._upload
        if exchange is None or upload is None or not exchange.ready or self._service_full:
            return False
        try:
            payload, self.buffer = upload.feed(self.buffer)
        except PlatformError as error:
            exchange.stop(error)
            return False
        if payload or upload.done:
            exchange.send_body(payload, upload.done)
        if upload.done and self.state is BODY:
            self.state = ANSWER
            self.deadline = self.gateway.now() + exchange.patience
        elif self._half_closed:
            self._give_up_unfinished()
        return True

    def body_may_flow(self) -> None:
        """The service is ready for the body."""
        exchange, upload = self._exchange, self._upload
        assert exchange is not None and upload is not None
        if exchange.fields.expect and not self.buffer and not upload.taken and self.minor:
            self.write_raw(CONTINUE)
        self.resume_upload()

    def hold_upload(self) -> None:
        """The service reads more slowly than the client writes."""
        self._service_full = True
        self.hold()

    def resume_upload(self) -> None:
        """It has caught up."""
        self._service_full = False
        self.release()
        self._advance()

    # out

    def pause_writing(self) -> None:
        """The client reads slowly: stop reading the service's answer."""
        self.client_full = True
        if self._page is not None:
            self._page.pause_writing()
        if self._exchange is not None:
            self._exchange.pause()

    def resume_writing(self) -> None:
        """Go on, with the next request if this one is over."""
        self.client_full = False
        self.deadline = self.gateway.now() + self.gateway.bounds.stall
        if self._page is not None:
            self._page.resume_writing()
        if self._exchange is not None:
            self._exchange.resume()
        else:
            self._advance()

    # ends

    def exchange_over(self, now: float) -> None:
        """The answer is complete: the next request, or the end."""
        unfinished = self.state is BODY or bool(self.buffer)
        self._exchange = self._upload = None
        if self.transport is None or self.state is LINGER:
            return
        if not self.closing:
            self._next(now)
        elif unfinished:
            self.linger()
        else:
            self.close()

    def _next(self, now: float) -> None:
        self.await_head(now)
        self._service_full = False
        if self.held:
            self.release()
        if self.buffer:
            self._advance()
        elif self._half_closed:
            self.close()

    def reject(self, error: PlatformError) -> None:
        """Answer what was no request, and close."""
        self.close_after = True
        self.state = BODY  # whatever follows is no request either
        Exchange.of_nobody(self.gateway, self).refuse(error)

    def ended(self, exc: Exception | None) -> None:
        """The client is gone."""
        page, self._page = self._page, None
        if page is not None:
            page.connection_lost(exc)
        if self._exchange is not None:
            self._exchange.cancel()

    def shutdown(self) -> None:
        """uvicorn is ending: idle connections close, the others after their answer."""
        self.close_after = True
        if self.state is PAGE and self._page is not None:
            self._page.shutdown()
        elif self.state is HEAD:
            self.close()

    def expire(self) -> None:
        """The deadline has passed."""
        metrics.CONNECTIONS["timed_out"] += 1
        if self._exchange is not None:
            self._exchange.expire()
        elif self.state is HEAD and self.buffer and not self.client_full:
            self.reject(Refused(408, "the request did not arrive in time"))
        elif self.state is HEAD and not self.client_full:
            self.close()
        else:
            self.abort()

    # pages of our own

    def open_page(self, exchange: Exchange, body: bytes) -> None:
        """Let uvicorn's protocol answer."""
        assert self.transport is not None
        self._exchange = self._upload = None
        self.state = PAGE
        self.deadline = self.gateway.now() + self.gateway.bounds.stall
        if self._page is None:
            self._page = OwnPage(self, *self._hosting)
            self._page.connection_made(self.transport)
        trust = self.gateway.trust
        chain = ", ".join(trust.chain(self.peer, text_of(exchange.fields.forwarded_for)))
        head = page_head(exchange, self.closing, len(body), self.peer in trust, chain)
        self._page.ask(head + body, page_lines(self.gateway, exchange))

    def page_over(self) -> None:
        """It has answered."""
        if self.transport is not None and not self.transport.is_closing():
            self._next(self.gateway.now())
