"""The protocol that serves an application: uvicorn hosts it, `chassis.wire` reads for it, `chassis.cycle` answers.

uvicorn's own has no deadline for a head, takes heads and trailers of any length, merges trailers into the headers, and
reads differently from the gateway.
"""

import asyncio
import logging
from typing import Any, cast

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from chassis.cycle import Cycle
from chassis.errors import Refused
from chassis.hosting import ANSWER, BODY, HEAD, Hosted
from chassis.wire import asgi
from chassis.wire.bodies import BadChunk, Body, Chunked, Length
from chassis.wire.grammar import Head
from chassis.wire.heads import Heads

_LOGGER = logging.getLogger("uvicorn.error")


class LimitedProtocol(Hosted):
    """Reads one request at a time, and nothing leniently; it knows no WebSocket."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._heads = Heads(asgi.parse_fields, asgi.LIMITS)
        self._body: Body | None = None

    def data_received(self, data: bytes) -> None:
        """Some bytes of the client; after the last word they are thrown away."""
        if self.transport.is_closing():
            return
        self.buffer = self.buffer + data if self.buffer else data
        self._advance()
        if len(self.buffer) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()

    def _advance(self) -> None:
        try:
            while self.buffer and not self.transport.is_closing():
                if self.state is ANSWER:
                    break  # a pipeline waits for the answer before it
                if not (self._take_head() if self.state is HEAD else self._take_body()):
                    break
        except Refused as error:
            self.refuse(error)

    def _take_head(self) -> bool:
        started = self._heads.checked
        found = self._heads.next(self.buffer)
        if found is None:
            if not started:
                self.deadline.within(self.settings.header_timeout_seconds)
            return False
        head, fields, end = found
        asgi.check_size(head, end)
        self.buffer = self.buffer[end:]
        self._begin(head, fields)
        return True

    def _begin(self, head: Head, fields: asgi.Fields) -> None:
        cycle = self.cycle = self._make_cycle(head, fields)
        if fields.bodiless:
            cycle.more_body = False
            cycle.message_event.set()
            self.state = ANSWER
        else:
            self.state = BODY
            self._body = Chunked() if fields.chunked else Length(fields.length or 0)
        self.await_next()
        task = self.loop.create_task(cycle.run_asgi(self.config.loaded_app))
        task.add_done_callback(self.server_state.tasks.discard)
        self.server_state.tasks.add(task)

    def _make_cycle(self, head: Head, fields: asgi.Fields) -> Cycle:
        return Cycle(
            scope=cast(Any, asgi.scope(head, fields, self.constant, self.app_state)),
            transport=self.transport,
            flow=self.flow,
            logger=_LOGGER,
            access_logger=_LOGGER,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=fields.expect and bool(head.minor),
            keep_alive=bool(head.minor) and fields.close is not True,
            on_response=self._answered,
        )

    def _take_body(self) -> bool:
        body, cycle = self._body, self.cycle
        assert body is not None and cycle is not None  # noqa: S101, PT018 - a body is under way
        try:
            payload, self.buffer = body.feed(self.buffer)
        except BadChunk:
            raise Refused(400, "the chunked coding is malformed") from None
        if not cycle.response_complete:  # else it is read past
            cycle.body += payload
            cycle.more_body = not body.done
            if len(cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            cycle.message_event.set()
        if body.done:
            self.state = ANSWER
            self.await_next()
            if cycle.response_complete:
                self._next()
        return True

    def _answered(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.state is ANSWER:
            self._next()
        else:  # the rest of the body is read past, within its deadline
            self.flow.resume_reading()

    def _next(self) -> None:
        self.state = HEAD
        self.await_next()
        self.flow.resume_reading()
        if self.buffer:
            self._advance()
