"""One request and its answer: from the admitted head to the service, and from the service's answer to the client."""

import asyncio
from random import getrandbits  # names requests, guards nothing
from typing import TYPE_CHECKING

from chassis import tracing
from chassis.breaker import Rejected
from chassis.correlation import flags_of
from chassis.errors import PayloadTooLarge, PlatformError, Refused, Unavailable, help_link
from chassis.wire.bodies import LAST_CHUNK, chunk
from chassis.wire.grammar import Head

from api_gateway.fields import Fields
from api_gateway.headers import problem_head, response_head
from api_gateway.pool import Pool
from api_gateway.problems import render
from api_gateway.responses import Response
from api_gateway.upstream import UpstreamConnection

if TYPE_CHECKING:
    from api_gateway.downstream import Downstream
    from api_gateway.gateway import Gateway

_IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})
_LONGEST_RESENT = 65536
_LONGEST_FORM = 16384
CLIENT_GONE = 499


def _flags(trace_id: bytes, callers: bytes = b"") -> bytes:
    """Whether the trace is recorded."""
    return flags_of(trace_id.decode(), callers.decode()).encode() if tracing.on() else callers or b"01"


class Exchange:
    """Receives the service's answer (api_gateway.upstream.Receiver) and writes the client's."""

    limit_lines = b""
    status = 0  # of the answer, once its head is written
    over = False
    _chunked = False
    _retried = False
    _pool: Pool | None = None
    _ticket = 0
    _connection: UpstreamConnection | None = None
    _resend: list[bytes] | None = None  # the body as far as it was sent
    _form: list[bytes] | None = None  # the body of a form for a page of our own
    _sent = 0

    def __init__(self, gateway: "Gateway", client: "Downstream", head: Head, fields: Fields) -> None:
        self._gateway = gateway
        self.client = client
        self.head = head
        self.fields = fields
        self.method = head.method
        self.route = gateway.routes.find(head.path)
        self.label = "none" if self.route is None else self.route.name
        self.started = gateway.now()
        self.whole = not fields.chunked and not fields.length
        # X-Request-ID and W3C trace context: kept where they are sound, made otherwise
        digits = b"%048x" % getrandbits(192)
        if fields.trace is not None:
            self.trace_id, callers, self.caller = fields.trace
        else:
            self.trace_id, callers, self.caller = digits[16:], b"", b""
        self.request_id = fields.request_id or self.trace_id
        self.parent = b"00-%b-%b-%b" % (self.trace_id, digits[:16], _flags(self.trace_id, callers))

    @classmethod
    def of_nobody(cls, gateway: "Gateway", client: "Downstream") -> "Exchange":
        """For an answer to what was no request."""
        exchange = cls(gateway, client, Head(b"GET", b"/", None, 1), Fields())
        exchange.label = "malformed"
        return exchange

    @property
    def patience(self) -> float:
        """Seconds until the service's answer has to begin."""
        return self._gateway.patience(self.route)

    @property
    def address(self) -> str:
        """The client's address."""
        return self.client.address(self.fields)

    @property
    def ready(self) -> bool:
        """Whether the request's body may flow."""
        return self._connection is not None or self._form is not None

    # from the client to the service

    def forward(self) -> None:
        """Send the request to its service."""
        assert self.route is not None
        pool = self._gateway.pools[self.route.pool]
        try:
            self._ticket = pool.admit()
        except Rejected as error:
            self.refuse(error)
            return
        self._pool = pool
        connection = pool.take(self.started)
        if connection is None:
            pool.connect(self._connected)
        else:
            self._send(connection)

    def _connected(self, connection: UpstreamConnection | None) -> None:
        assert self._pool is not None
        if self.over:
            if connection is not None:
                self._pool.idle_again(connection)
        elif connection is None:
            self._give_up(Unavailable(self._pool.name), ConnectionError())
        else:
            self._send(connection)

    def _send(self, connection: UpstreamConnection) -> None:
        self._connection = connection
        head = self._gateway.request_head(self)
        if self._resend:
            head += b"".join(self._resend)
        connection.send(self, head)
        if not self.whole:
            self.client.body_may_flow()

    def send_body(self, payload: bytes, done: bool) -> None:
        """Pass a part of the body on; only while `ready`."""
        if self._form is not None:
            self._take_form(self._form, payload, done)
            return
        assert self._connection is not None and self._connection.transport is not None
        data = payload
        if self.fields.chunked:
            data = (chunk(payload) if payload else b"") + (LAST_CHUNK if done else b"")
        self.whole = done
        self._sent += len(data)
        if self._sent <= _LONGEST_RESENT:
            self._resend = [*(self._resend or ()), data]
        self._connection.transport.write(data)

    def hold_body(self) -> None:
        """The service reads slowly."""
        self.client.hold_upload()

    def resume_body(self) -> None:
        """It goes on."""
        self.client.resume_upload()

    # from the service to the client

    def answered(self, response: Response, payload: bytes, done: bool) -> None:
        """Write the head and what came with it."""
        self.status = response.status
        if response.length is None or not self.whole:
            bodiless = self.method == b"HEAD" or response.status in {204, 304}
            self._chunked = not bodiless and response.length is None and self.client.minor == 1
            if not self.whole or not (bodiless or self._chunked):
                self.client.close_after = True
            payload = self._framed(payload, done)
        data = response_head(self._gateway, self, response, self._chunked) + payload
        if done:
            self.client.write_raw(data)
            self._finish(None)  # which sets the next deadline
        else:
            self.client.write(data)

    def continued(self, payload: bytes, done: bool) -> None:
        """Write more of the body."""
        self.client.write(self._framed(payload, done))
        if done:
            self._finish(None)

    def _framed(self, payload: bytes, done: bool) -> bytes:
        if not self._chunked:
            return payload
        return (chunk(payload) if payload else b"") + (LAST_CHUNK if done else b"")

    def pause(self) -> None:
        """The client reads slowly."""
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        """It goes on."""
        if self._connection is not None:
            self._connection.resume()

    # ends

    def failed(self, error: Refused | None) -> None:
        """The service's connection ended before its answer did."""
        connection, self._connection = self._connection, None
        assert self._pool is not None
        if self.status:
            self._finish(error or ConnectionError())
            self.client.abort()
        elif error is None and connection is not None and connection.served and self._may_be_resent():
            self._retried = True
            self._pool.retries += 1
            self._pool.connect(self._connected)
        else:
            self._give_up(error or Unavailable(self._pool.name), error or ConnectionError())

    def _may_be_resent(self) -> bool:
        return not self._retried and self._sent <= _LONGEST_RESENT and self.method in _IDEMPOTENT

    def expire(self) -> None:
        """The deadline has passed."""
        if self.status:
            self._finish(asyncio.CancelledError())
            self.client.abort()
        elif not self.whole:
            self._give_up(Refused(408, "the body did not arrive in time"), asyncio.CancelledError())
        else:
            self._give_up(Refused(504, "the service did not answer in time"), TimeoutError())

    def cancel(self) -> None:
        """The client is gone."""
        self.status = CLIENT_GONE
        self._finish(asyncio.CancelledError())

    def stop(self, error: PlatformError) -> None:
        """The request's body is longer than it may be, or broken."""
        self._give_up(error, asyncio.CancelledError())

    def open_page(self) -> None:
        """Leave the answer to the web framework, with the whole body if there is one."""
        if self.whole:
            self.over = True
            self.client.open_page(self, b"")
        else:
            self._form = []
            self.client.body_may_flow()

    def _take_form(self, form: list[bytes], payload: bytes, done: bool) -> None:
        self._sent += len(payload)
        form.append(payload)
        if self._sent > _LONGEST_FORM:
            self.stop(PayloadTooLarge(_LONGEST_FORM))
        elif done:
            self.whole = self.over = True
            self.client.open_page(self, b"".join(form))

    def permit(self, lines: bytes) -> None:
        """Answer a preflight."""
        self.status = 204
        self.client.close_after = self.client.close_after or not self.whole
        self.client.write(problem_head(self._gateway, self, 204, lines))
        self._finish(None)

    def refuse(self, error: PlatformError) -> None:
        """Answer with a problem of ours."""
        self._give_up(error, None)

    def _give_up(self, error: PlatformError, blame: BaseException | None) -> None:
        self.status = error.status
        self.client.close_after = self.client.close_after or not self.whole
        body = render(error, self.head.path.decode(), self.trace_id.decode())
        lines = b""
        for name, value in error.headers.items():
            lines += f"{name}: {value}\r\n".encode("latin-1")
        lines += f"Link: {help_link(error.slug, self._outer_prefix())}\r\n".encode("latin-1")
        lines += b"Content-Type: application/problem+json\r\nContent-Length: %d\r\n" % len(body)
        head = problem_head(self._gateway, self, error.status, lines)
        self.client.write(head if self.method == b"HEAD" else head + body)
        self._finish(blame)

    def _outer_prefix(self) -> str:
        """What trusted proxies cut off the path before us."""
        prefix = self.fields.prefix
        trusted = prefix is not None and self.client.peer in self._gateway.trust
        return prefix.decode("latin-1").rstrip("/") if trusted and prefix else ""

    def _finish(self, blame: BaseException | None) -> None:
        self.over = True
        connection, self._connection = self._connection, None
        if connection is not None and connection.receiver is self:
            connection.abandon()
        upstream = ""
        if self._pool is not None:
            self._pool.settle(self._ticket, blame)
            upstream, self._pool = self._pool.name, None
        now = self._gateway.record(self, upstream)
        self.client.exchange_over(now)
