"""The ids that tie the lines of one request together, over HTTP, gRPC, the outbox and Kafka.

Two travel: the request id (`X-Request-ID`) and the W3C trace context (`traceparent`, https://www.w3.org/TR/trace-context/).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from random import getrandbits  # names requests, guards nothing
from typing import NamedTuple

REQUEST_ID = "x-request-id"
TRACEPARENT = "traceparent"

_VISIBLE = re.compile(r"[\x21-\x7e]{1,128}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")


class Ids(NamedTuple):
    """The ids of the work in hand: trace id 32 hex digits, span ids 16, flags 2; a trace that begins has no parent."""

    request_id: str
    trace_id: str
    span_id: str
    flags: str = "01"
    parent_id: str = ""

    @property
    def traceparent(self) -> str:
        """The header that the next hop gets."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"

    @property
    def sampled(self) -> bool:
        """Whether this trace is recorded (the lowest bit of the flags)."""
        return self.flags[1] in "13579bdf"


_ids: ContextVar[Ids | None] = ContextVar("ids", default=None)
_samples: Callable[[str], bool] | None = None
_heeds_callers = True


def sample_by(decide: Callable[[str], bool] | None, *, heeds_callers: bool = True) -> None:
    """Who decides, by its trace id, whether a trace is recorded: one that begins in this process, or, where callers
    are not heeded, any; None: all may be."""
    global _samples, _heeds_callers
    _samples, _heeds_callers = decide, heeds_callers


def flags_of(trace_id: str, callers: str = "") -> str:
    """The flags of a trace that begins here, or that a caller began with these."""
    if callers and _heeds_callers:
        return callers
    return "01" if _samples is None or _samples(trace_id) else "00"


def ids_from(request_id: str | None, traceparent: str | None) -> Ids:
    """A well-formed request id is kept (1–128 visible ASCII characters), anything else replaced; the trace goes on."""
    parent = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    digits = "%048x" % getrandbits(192)  # noqa: UP031 - an f-string takes three times as long
    trace_id = parent[1] if parent else digits[16:]
    kept = request_id if request_id and _VISIBLE.fullmatch(request_id) else trace_id
    if parent:
        return Ids(kept, trace_id, digits[:16], flags_of(trace_id, parent[3]), parent[2])
    return Ids(kept, trace_id, digits[:16], flags_of(trace_id))


def current() -> Ids:
    """The ids of the work in hand; new ones where nothing began it."""
    return _ids.get() or ids_from(None, None)


def begun() -> Ids | None:
    """The ids of the work in hand, if something began it."""
    return _ids.get()


def unsampled() -> bool:
    """Whether the work in hand belongs to a trace that is not recorded."""
    ids = _ids.get()
    return ids is not None and not ids.sampled


def bind(ids: Ids) -> Token[Ids | None]:
    """Begins work under these ids; give the token to `unbind`."""
    return _ids.set(ids)


def unbind(token: Token[Ids | None]) -> None:
    """Ends what `bind` began."""
    _ids.reset(token)


@contextmanager
def message_context(headers: Mapping[str, str]) -> Iterator[Ids]:
    """Work that a message or a call began: continues the trace of its headers (names in lower case)."""
    ids = ids_from(headers.get(REQUEST_ID) or headers.get("request-id"), headers.get(TRACEPARENT))
    token = bind(ids)
    try:
        yield ids
    finally:
        unbind(token)


def outgoing_headers() -> dict[str, str]:
    """What a call, an outbox row or a message takes along."""
    ids = current()
    return {REQUEST_ID: ids.request_id, TRACEPARENT: ids.traceparent}
