"""The request's header fields: what decides framing and identity is read here, the rest is passed on as it came.

The policy (RFC 9112 sections 3.2, 6 and 7; RFC 9110 section 7.6.1): one Host, one length, never length and chunked
together, hop-by-hop fields and those that Connection names stay behind, and nobody but a trusted proxy says who a
client is.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from chassis.errors import Refused
from chassis.wire import framing
from chassis.wire.framing import Framing, once
from chassis.wire.grammar import Limits, check_block

from api_gateway.routes import Route

if TYPE_CHECKING:
    from api_gateway.admission import Standing

LIMITS = Limits(line=8192, head=16384, unfinished=16384, fields=64)
_REQUEST_ID = re.compile(rb"[!-~]{1,128}")
_TRACEPARENT = re.compile(rb"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")

HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding"
    b" upgrade http2-settings expect".split()
)
_IDENTITY = re.compile(
    rb"forwarded|x-forwarded-.+|x-real-ip|x-client-ip|true-client-ip|x-original-.+|x-rewrite-url|x-http-method.*"
    rb"|x-(?:auth|authenticated|remote|user|principal|role|subject|scope)s?(?:-.+)?|remote-user"
)


class Fields(Framing):
    """A block of header fields, read once; equal blocks of one connection share it."""

    __slots__ = (
        "acrm", "forwarded_for", "identity", "onward", "origin", "passed", "prefix", "proto", "request_id",
        "standings", "trace",
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.origin: bytes | None = None
        self.acrm: bytes | None = None
        self.request_id: bytes | None = None
        self.trace: tuple[bytes, bytes, bytes] | None = None  # trace id, flags, and the span of the caller
        self.forwarded_for: bytes | None = None  # the three below mean something from a trusted proxy only
        self.proto: bytes | None = None
        self.prefix: bytes | None = None
        self.identity: list[bytes] = []
        self.passed: bytes = b""
        self.onward: dict[Route, bytes] = {}  # what follows the target in the head for a service, once it is made
        self.standings: dict[Route, Standing] = {}  # what api_gateway.admission found out about the client


def parse_fields(block: bytes, minor: int) -> Fields:
    """Read a block of field lines. Raises Refused (400, 413, 417, 431)."""
    check_block(block, LIMITS)
    fields = Fields()
    lines = block.split(b"\r\n")
    if len(lines) - 1 > LIMITS.fields:
        raise Refused(431, "there are too many header fields")
    passed = []
    for line in lines:
        name, _, value = line.partition(b":")
        name = name.lower()
        read = _READERS.get(name)
        if read is not None:
            read(fields, value.strip(b" \t"))
        elif name in HOP_BY_HOP or not name:
            continue
        elif _IDENTITY.fullmatch(name.replace(b"_", b"-")):
            fields.identity.append(line + b"\r\n")
        elif b"_" not in name:  # a service may read an underscore as a hyphen
            passed.append((name, line))
    fields.passed = b"".join(line + b"\r\n" for name, line in passed if name not in fields.named)
    fields.check(minor)
    return fields


def text_of(value: bytes | None) -> str | None:
    """A field's value as text."""
    return None if value is None else value.decode("latin-1")


def _origin(fields: Fields, value: bytes) -> None:
    once(fields, b"Origin")
    fields.origin = value


def _request_id(fields: Fields, value: bytes) -> None:
    doubtful = b"x-request-id" in fields.seen or _REQUEST_ID.fullmatch(value) is None
    fields.seen.add(b"x-request-id")
    fields.request_id = None if doubtful else value


def _traceparent(fields: Fields, value: bytes) -> None:
    matched = None if b"traceparent" in fields.seen else _TRACEPARENT.fullmatch(value)
    fields.seen.add(b"traceparent")
    fields.trace = (matched[1], matched[3], matched[2]) if matched else None


def _forwarded_for(fields: Fields, value: bytes) -> None:
    fields.forwarded_for = value if fields.forwarded_for is None else fields.forwarded_for + b", " + value


def _keep(attribute: str) -> Callable[[Fields, bytes], None]:
    return lambda fields, value: setattr(fields, attribute, value)


_READERS: dict[bytes, Callable[[Fields, bytes], None]] = {
    **framing.READERS,
    b"origin": _origin,
    b"x-request-id": _request_id,
    b"traceparent": _traceparent,
    b"x-forwarded-for": _forwarded_for,
    b"x-forwarded-proto": _keep("proto"),
    b"x-forwarded-prefix": _keep("prefix"),
    b"access-control-request-method": _keep("acrm"),
}
