"""A service reads HTTP as the gateway does: what one refuses the other refuses, and nothing means two things."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from api_gateway import fields
from api_gateway.testing import Edge, Service, running
from chassis.app import create_app
from chassis.auth import Principal, Requires, TokenVerifier
from chassis.errors import Refused
from chassis.settings import ServiceSettings, TokenSettings
from chassis.testing import JWT_SECRET, serve, token
from chassis.wire import asgi
from chassis.wire.grammar import Limits
from chassis.wire.heads import Heads
from fastapi import APIRouter, Request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.contract("Z04")

HOST = b"Host: me\r\n"
JSON = b"Content-Type: application/json\r\n"
CHUNKED = HOST + JSON + b"Transfer-Encoding: chunked\r\n"
PATH = b"/auth/x"


def get(fields: bytes = HOST, line: bytes = b"GET /auth/x HTTP/1.1") -> bytes:
    return line + b"\r\n" + fields + b"\r\n"


def post(fields: bytes, body: bytes = b"") -> bytes:
    return b"POST /auth/x HTTP/1.1\r\n" + fields + b"\r\n" + body


REFUSED = {
    "no Host": get(b""),
    "two Hosts": get(HOST + HOST),
    "two Hosts that differ": get(HOST + b"Host: you\r\n"),
    "an empty Host": get(b"Host: \r\n"),
    "a Host with a blank": get(b"Host: a b\r\n"),
    "a Host with a user": get(b"Host: a@b\r\n"),
    "two blanks after the method": get(line=b"GET  /auth/x HTTP/1.1"),
    "two blanks before the version": get(line=b"GET /auth/x  HTTP/1.1"),
    "a tab in the line": get(line=b"GET\t/auth/x HTTP/1.1"),
    "a blank at the end of the line": get(line=b"GET /auth/x HTTP/1.1 "),
    "a blank before the method": get(line=b" GET /auth/x HTTP/1.1"),
    "no version": get(line=b"GET /auth/x"),
    "HTTP/0.9": get(line=b"GET /auth/x HTTP/0.9"),
    "HTTP/1.2": get(line=b"GET /auth/x HTTP/1.2"),
    "HTTP/2.0": get(line=b"GET /auth/x HTTP/2.0"),
    "http in small letters": get(line=b"GET /auth/x http/1.1"),
    "a method in small letters": get(line=b"get /auth/x HTTP/1.1"),
    "a relative path": get(line=b"GET auth/x HTTP/1.1"),
    "a fragment": get(line=b"GET /auth/x#y HTTP/1.1"),
    "half an escape": get(line=b"GET /auth/%2 HTTP/1.1"),
    "an escaped slash": get(line=b"GET /auth/%2fx HTTP/1.1"),
    "an escaped NUL": get(line=b"GET /auth/%00 HTTP/1.1"),
    "dots": get(line=b"GET /auth/../auth/x HTTP/1.1"),
    "a path of raw UTF-8": get(line=b"GET /auth/\xc3\xa9 HTTP/1.1"),
    "somebody else's authority": get(line=b"GET http://you/auth/x HTTP/1.1"),
    "a blank before the colon": get(HOST + b"X : y\r\n"),
    "a name with a blank": get(HOST + b"X Y: z\r\n"),
    "no colon": get(HOST + b"X\r\n"),
    "no name": get(HOST + b": y\r\n"),
    "a folded line": get(HOST + b"X: y\r\n z\r\n"),
    "a folded first line": get(b" X: y\r\n" + HOST),
    "a bare LF": get(HOST + b"X: y\nZ: 1\r\n"),
    "a bare CR": get(HOST + b"X: y\rZ: 1\r\n"),
    "a NUL in a value": get(HOST + b"X: y\0\r\n"),
    "a control character in a value": get(HOST + b"X: y\x08\r\n"),
    "two Authorizations": get(HOST + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n"),
    "a length and chunked": post(CHUNKED + b"Content-Length: 2\r\n", b"0\r\n\r\n"),
    "chunked and a length": post(HOST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "two lengths": post(HOST + JSON + b"Content-Length: 2\r\nContent-Length: 2\r\n", b"{}"),
    "two lengths in one": post(HOST + JSON + b"Content-Length: 2, 2\r\n", b"{}"),
    "a length with a sign": post(HOST + JSON + b"Content-Length: +2\r\n", b"{}"),
    "a negative length": post(HOST + JSON + b"Content-Length: -2\r\n", b"{}"),
    "a length in hexadecimals": post(HOST + JSON + b"Content-Length: 0x2\r\n", b"{}"),
    "a length with an underscore": post(HOST + JSON + b"Content-Length: 1_0\r\n", b"{}"),
    "a length of 400 digits": post(HOST + JSON + b"Content-Length: " + b"9" * 400 + b"\r\n"),
    "gzip, chunked": post(HOST + JSON + b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
    "chunked, chunked": post(HOST + JSON + b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n"),
    "chunked twice": post(CHUNKED + b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "identity": post(HOST + JSON + b"Transfer-Encoding: identity\r\n", b"{}"),
    "a coding that ends otherwise": post(HOST + JSON + b"Transfer-Encoding: chunked, identity\r\n", b"{}"),
    "an empty coding": post(HOST + JSON + b"Transfer-Encoding: \r\n", b"{}"),
    "chunked with a vertical tab": post(HOST + JSON + b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"),
    "chunked by HTTP/1.0": b"POST /auth/x HTTP/1.0\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "a chunk without a size": post(CHUNKED, b"\r\n{}\r\n0\r\n\r\n"),
    "a chunk size with a sign": post(CHUNKED, b"+2\r\n{}\r\n0\r\n\r\n"),
    "a chunk size in 0x": post(CHUNKED, b"0x2\r\n{}\r\n0\r\n\r\n"),
    "a chunk size with a bare LF": post(CHUNKED, b"2\n{}\r\n0\r\n\r\n"),
    "a chunk that is too long": post(CHUNKED, b"2\r\n{}x\r\n0\r\n\r\n"),
    "a chunk of 2**64 bytes": post(CHUNKED, b"10000000000000000\r\n{}\r\n0\r\n\r\n"),
    "a trailer without a colon": post(CHUNKED, b"2\r\n{}\r\n0\r\nX\r\n\r\n"),
    "a trailer of 5,000 bytes": post(CHUNKED, b"2\r\n{}\r\n0\r\nX: " + b"y" * 5000 + b"\r\n\r\n"),
    "a trailer that does not end": post(CHUNKED, b"2\r\n{}\r\n0\r\nX: " + b"y" * 70_000),
    "20 trailers": post(CHUNKED, b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * 20 + b"\r\n"),
    "an expectation": post(HOST + JSON + b"Expect: 200-ok\r\nContent-Length: 2\r\n", b"{}"),
    "80 fields": get(HOST + b"X: y\r\n" * 80),
    "20,000 bytes of fields": get(HOST + b"X: " + b"y" * 20_000 + b"\r\n"),
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}
TAKEN = {
    "plain": get(),
    "HTTP/1.0 without a Host": get(b"", b"GET /auth/x HTTP/1.0"),
    "a Host with a port": get(b"Host: [::1]:80\r\n"),
    "its own authority": get(line=b"GET http://me/auth/x HTTP/1.1"),
    "a query": get(line=b"GET /auth/x? HTTP/1.1"),
    "a value with blanks around": get(HOST + b"X: \t y \t\r\n"),
    "no blank after the colon": get(b"Host:me\r\n"),
    "names in capitals": get(b"HOST: me\r\n"),
    "a value of Latin-1": get(HOST + b"X: \xe9\r\n"),
    "a length": post(HOST + JSON + b"Content-Length: 2\r\n", b"{}"),
    "chunks": post(CHUNKED, b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"),
    "a chunk size in capitals": post(CHUNKED, b"A\r\n{        }\r\n0\r\n\r\n"),
    "chunked in capitals": post(HOST + JSON + b"Transfer-Encoding: Chunked\r\n", b"2\r\n{}\r\n0\r\n\r\n"),
    "trailers": post(CHUNKED, b"2\r\n{}\r\n0\r\nX: y\r\nZ: 1\r\n\r\n"),
    "60 fields": get(HOST + b"X: y\r\n" * 60),
}


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A service that answers everything, and says which headers it saw."""

    class Settings(ServiceSettings, TokenSettings):
        service_name = "grammar-test"

    router = APIRouter()

    @router.api_route("/auth/x", methods=["GET", "POST"])
    async def seen(request: Request) -> dict[str, str]:
        await request.body()
        return dict(request.headers)

    @router.post("/auth/mine")
    async def mine(request: Request, who: Annotated[Principal, Requires()]) -> str:
        return who.role

    settings = Settings.from_environ({"JWT_SECRET": JWT_SECRET})
    app = create_app(settings, routers=[router], permissions={}, state={"tokens": TokenVerifier(settings)})
    async with serve(app) as url:
        yield int(url.rpartition(":")[2])


@pytest.fixture
async def edge(service: Service) -> AsyncIterator[Edge]:
    async with running(service, RATE_LIMITS="auth=10000/10000,default=10000/10000") as edge:
        yield edge


async def answer(port: int, raw: bytes) -> bytes:
    """All that is answered, until the server closes or waits for more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(raw)
        got = b""
        async with asyncio.timeout(10):
            while b"\r\n\r\n" not in got:
                piece = await reader.read(65_536)
                if not piece:
                    break
                got += piece
        return got
    except ConnectionError:
        return b""
    finally:
        writer.close()


def status(answered: bytes) -> int:
    return int(answered[9:12])


async def test_a_service_refuses_what_the_gateway_refuses(port: int, edge: Edge) -> None:
    wrong = {}
    for name, raw in REFUSED.items():
        for answered in (await answer(port, raw), await answer(edge.port, raw)):
            head = answered.partition(b"\r\n\r\n")[0].lower()
            problem = b"application/problem+json" in head and b"connection: close" in head
            if not problem or status(answered) not in {400, 413, 417, 431}:
                wrong[name] = head
    assert not wrong


async def test_a_service_takes_what_the_gateway_takes(port: int, edge: Edge) -> None:
    taken = {name: [status(await answer(each, raw)) for each in (port, edge.port)] for name, raw in TAKEN.items()}
    assert taken == {name: [200, 200] for name in TAKEN}


LINES = (b"GET", b"POST", b" ", b"  ", b"\t", b"/auth/x", b"/auth/%41", b"*", b"?a=b", b"#", b" HTTP/1.1", b" HTTP/1.0")
FIELDS = (b"Host: me", b"host:me", b"Content-Length: 2", b"Content-Length: 02", b"Transfer-Encoding: chunked", b"X: y")
ODD = (b"\r\n", b"\n", b"\r", b"X : y", b" folded", b"{}", b"2", b";x=y", b"\0", b"\xff", b":")
PIECES = st.sampled_from([*LINES, *FIELDS, *ODD, b"GET /auth/x HTTP/1.1\r\n", b"Host: me\r\n"])


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(pieces=st.lists(PIECES, min_size=3, max_size=14))
def test_any_heap_of_pieces_is_read_alike(pieces: list[bytes]) -> None:
    """By the functions that both use, with the limits of each: no server is needed for that."""
    raw = b"".join(pieces) + b"\r\n\r\n"

    def read(parse: Any, limits: Limits) -> Any:
        try:
            found = Heads(parse, limits).next(raw)
        except Refused as error:
            return error.status
        assert found is not None
        head, seen, end = found
        return head.method, head.path, head.query, head.minor, seen.length, seen.chunked, seen.host, seen.close, end

    assert read(asgi.parse_fields, asgi.LIMITS) == read(fields.parse_fields, fields.LIMITS)


async def test_a_trailer_is_no_header_and_logs_nobody_in(port: int, edge: Edge, service: Service) -> None:
    trailer = b"2\r\n{}\r\n0\r\nAuthorization: Bearer %b\r\nX-Late: 1\r\n\r\n" % token().encode()
    stolen = b"POST /auth/mine HTTP/1.1\r\n" + CHUNKED + b"\r\n" + trailer
    assert status(await answer(port, stolen)) == 401
    _, _, body = (await answer(port, post(CHUNKED, trailer))).partition(b"\r\n\r\n")
    assert not {"authorization", "x-late"} & json.loads(body).keys()
    assert status(await answer(edge.port, post(CHUNKED, trailer))) == 200
    assert service.seen[-1].one("authorization") is None
    assert service.seen[-1].one("x-late") is None


async def test_trailers_without_end_take_no_memory(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send() -> None:
        writer.write(post(CHUNKED, b"2\r\n{}\r\n0\r\n"))
        for _ in range(3200):  # 200 MB
            writer.write(b"X: " + b"y" * 65_000 + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0)

    try:
        with pytest.raises(ConnectionError):
            await send()
    finally:
        writer.close()


async def test_what_follows_a_request_is_the_next_one_and_nothing_else(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(TAKEN["trailers"] + TAKEN["a length"] + get(HOST + b"Connection: close\r\n") + get())
    async with asyncio.timeout(10):
        assert (await reader.read()).count(b"HTTP/1.1 200 OK") == 3
    writer.close()


ODD_TEXT = ("half \ud800", "\udfff half", "a\0b", "a\nb", "\x7f", "\x1b[2J", "", "x" * 256)
ODD_VALUES = (None, 7, 1.5, True, [], ["ADMIN"], {}, {"a": "b"})
ODD_CLAIMS = [
    {name: value}
    for name in ("sub", "role", "jti")
    for value in (*ODD_TEXT, *ODD_VALUES)
    if not (name == "jti" and value is None)
] + [{"exp": "\ud800"}, {"iat": "\0"}, {"nbf": "\ud800"}, {"aud": "\ud800"}, {"\ud800": 1, "exp": None}]


async def test_odd_claims_of_a_signed_token_are_401_at_the_gateway_and_at_a_service(
    port: int, edge: Edge, service: Service
) -> None:
    statuses = {}
    for claims in ODD_CLAIMS:
        bearer = f"Authorization: Bearer {token(**claims)}"
        request = b"POST /auth/mine HTTP/1.1\r\nHost: me\r\n%b\r\n\r\n" % bearer.encode()
        at_gateway = await edge.ask("GET", "/api/patients", bearer)
        statuses[repr(claims)] = (status(await answer(port, request)), at_gateway.status)
    assert statuses == dict.fromkeys(statuses, (401, 401))
    assert not service.seen
    good = await edge.ask("GET", "/api/patients", f"Authorization: Bearer {token(subject='zoë@例え.jp')}")
    assert good.status == 200
