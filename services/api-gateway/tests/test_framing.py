"""What is malformed or ambiguous is answered 4xx and closed, and no byte of it reaches a service."""

import asyncio

import pytest
from api_gateway.testing import Edge, Service
from chassis.testing import eventually

HOST = b"Host: gateway\r\n"
GET = b"GET /auth/me HTTP/1.1\r\n"
POST = b"POST /auth/login HTTP/1.1\r\n"
SMUGGLED = b"GET /auth/secret HTTP/1.1\r\nHost: gateway\r\n\r\n"

CORPUS = {
    "length and chunked": POST + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": POST + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": POST + HOST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "the same length twice": POST + HOST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": POST + HOST + b"Content-Length: 5, 5\r\n\r\nhello",
    "a length with a plus": POST + HOST + b"Content-Length: +5\r\n\r\nhello",
    "a negative length": POST + HOST + b"Content-Length: -1\r\n\r\n",
    "a hexadecimal length": POST + HOST + b"Content-Length: 0x5\r\n\r\nhello",
    "a length with a space inside": POST + HOST + b"Content-Length: 1 0\r\n\r\nhello",
    "an empty length": POST + HOST + b"Content-Length: \r\n\r\n",
    "an endless length": POST + HOST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n",
    "chunked twice": POST + HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked in a list": POST + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked and identity": POST + HOST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "an unknown coding": POST + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a coding behind a vertical tab": POST + HOST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"POST /auth/login HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": POST + HOST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "two Hosts": GET + HOST + b"Host: other\r\n\r\n",
    "the same Host twice": GET + HOST + HOST + b"\r\n",
    "no Host": GET + b"Accept: */*\r\n\r\n",
    "an empty Host": GET + b"Host: \r\n\r\n",
    "a Host with a path": GET + b"Host: gateway/x\r\n\r\n",
    "a Host with a user": GET + b"Host: me@gateway\r\n\r\n",
    "a Host with a space": GET + b"Host: gate way\r\n\r\n",
    "bare LF after the request line": b"GET /auth/me HTTP/1.1\nHost: gateway\r\n\r\n",
    "bare LF everywhere": b"GET /auth/me HTTP/1.1\nHost: gateway\n\n",
    "bare LF in a field": GET + b"Host: gateway\nX: y\r\n\r\n",
    "bare LF at the end": GET + b"Host: gateway\r\n\n",
    "bare CR in a field": GET + b"Host: gateway\r\nX: a\rb\r\n\r\n",
    "NUL in a value": GET + HOST + b"X: a\x00b\r\n\r\n",
    "NUL in a name": GET + HOST + b"X\x00: a\r\n\r\n",
    "NUL in the target": b"GET /auth/\x00me HTTP/1.1\r\n" + HOST + b"\r\n",
    "DEL in a value": GET + HOST + b"X: a\x7fb\r\n\r\n",
    "a folded field": GET + HOST + b"X: a\r\n b\r\n\r\n",
    "a folded first field": GET + b" Host: gateway\r\n\r\n",
    "a field without a colon": GET + HOST + b"Nonsense\r\n\r\n",
    "a field without a name": GET + HOST + b": value\r\n\r\n",
    "a name with a bracket": GET + HOST + b"X[1]: y\r\n\r\n",
    "a name with a letter beyond ASCII": GET + HOST + b"X\xe9: y\r\n\r\n",
    "no path": b"GET HTTP/1.1\r\n" + HOST + b"\r\n",
    "no version": b"GET /auth/me\r\n" + HOST + b"\r\n",
    "a version of the future": b"GET /auth/me HTTP/1.2\r\n" + HOST + b"\r\n",
    "a version of two digits": b"GET /auth/me HTTP/1.10\r\n" + HOST + b"\r\n",
    "HTTP/2 with prior knowledge": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /auth/me\r\n\r\n",
    "two spaces in the request line": b"GET  /auth/me HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tab in the request line": b"GET\t/auth/me HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space in the target": b"GET /auth/me x HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space before the method": b" GET /auth/me HTTP/1.1\r\n" + HOST + b"\r\n",
    "two empty lines first": b"\r\n\r\nGET /auth/me HTTP/1.1\r\n" + HOST + b"\r\n",
    "an empty line of LF first": b"\nGET /auth/me HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method in small letters": b"get /auth/me HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method with a quote": b'GE"T /auth/me HTTP/1.1\r\n' + HOST + b"\r\n",
    "an absolute form of another Host": b"GET http://other/auth/me HTTP/1.1\r\n" + HOST + b"\r\n",
    "an absolute form with a user": b"GET http://me@gateway/auth/me HTTP/1.1\r\n" + HOST + b"\r\n",
    "an absolute form of another scheme": b"GET ftp://gateway/auth/me HTTP/1.1\r\n" + HOST + b"\r\n",
    "an authority form": b"CONNECT gateway:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "an asterisk form of another method": b"GET * HTTP/1.1\r\n" + HOST + b"\r\n",
    "an asterisk form with a query": b"OPTIONS *?x HTTP/1.1\r\n" + HOST + b"\r\n",
    "an encoded slash": b"GET /auth%2fme HTTP/1.1\r\n" + HOST + b"\r\n",
    "an encoded backslash": b"GET /auth%5Cme HTTP/1.1\r\n" + HOST + b"\r\n",
    "a backslash": b"GET /auth\\me HTTP/1.1\r\n" + HOST + b"\r\n",
    "an encoded NUL": b"GET /auth/me%00 HTTP/1.1\r\n" + HOST + b"\r\n",
    "an encoded line end": b"GET /auth/me%0d%0aX:y HTTP/1.1\r\n" + HOST + b"\r\n",
    "dot segments": b"GET /auth/../actuator HTTP/1.1\r\n" + HOST + b"\r\n",
    "a dot segment at the end": b"GET /auth/.. HTTP/1.1\r\n" + HOST + b"\r\n",
    "a single dot": b"GET /auth/./me HTTP/1.1\r\n" + HOST + b"\r\n",
    "encoded dot segments": b"GET /auth/%2e%2E/actuator HTTP/1.1\r\n" + HOST + b"\r\n",
    "a dot segment with a parameter": b"GET /auth/..;/actuator HTTP/1.1\r\n" + HOST + b"\r\n",
    "an empty segment": b"GET /auth//me HTTP/1.1\r\n" + HOST + b"\r\n",
    "two slashes first": b"GET //auth/me HTTP/1.1\r\n" + HOST + b"\r\n",
    "half an escape": b"GET /auth/%4 HTTP/1.1\r\n" + HOST + b"\r\n",
    "an escape that is none": b"GET /auth/%zz HTTP/1.1\r\n" + HOST + b"\r\n",
    "an escape that is none in the query": b"GET /auth/me?x=%zz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a fragment": b"GET /auth/me#x HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target beyond ASCII": b"GET /auth/\xe9 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a chunk size with a sign": POST + HOST + b"Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n",
    "a chunk size with 0x": POST + HOST + b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "a chunk size with spaces": POST + HOST + b"Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n",
    "a chunk extension without a name": POST + HOST + b"Transfer-Encoding: chunked\r\n\r\n5;=b\r\nhello\r\n0\r\n\r\n",
    "a chunk extension with LF": POST + HOST + b"Transfer-Encoding: chunked\r\n\r\n5;a\nb\r\nhello\r\n0\r\n\r\n",
    "a chunk extension with an open quote": POST
    + HOST
    + b'Transfer-Encoding: chunked\r\n\r\n5;a="b\r\nhello\r\n0\r\n\r\n',
    "a long chunk extension": POST
    + HOST
    + b"Transfer-Encoding: chunked\r\n\r\n5;a="
    + b"b" * 300
    + b"\r\nhello\r\n0\r\n\r\n",
    "many chunk extensions": POST
    + HOST
    + b"Transfer-Encoding: chunked\r\n\r\n"
    + (b"1;a=" + b"b" * 200 + b"\r\nx\r\n") * 50
    + b"0\r\n\r\n",
    "a chunk that ends with LF": POST + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
    "a chunk that is too long": POST + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n",
    "a chunk of 2^64": POST + HOST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\nhello",
    "a trailer that is none": POST + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nbad line\r\n\r\n",
    "an expectation that nobody has": POST + HOST + b"Expect: 200-ok\r\nContent-Length: 1\r\n\r\nx",
    "two tokens": GET + HOST + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
    "two Origins": GET + HOST + b"Origin: http://a\r\nOrigin: http://b\r\n\r\n",
    "a long request line": b"GET /auth/" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a request line without an end": b"GET /auth/" + b"a" * 9000,
    "a long field": GET + HOST + b"X: " + b"a" * 20000 + b"\r\n\r\n",
    "a field without an end": GET + HOST + b"X: " + b"a" * 20000,
    "a hundred fields": GET + HOST + b"X: y\r\n" * 100 + b"\r\n",
    "TLS on a plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 32,
    "a body too large": POST + HOST + b"Content-Length: 1048577\r\n\r\n",
}


@pytest.mark.contract("D09")
@pytest.mark.parametrize("name", CORPUS)
async def test_what_is_ambiguous_is_refused_and_closed(edge: Edge, service: Service, name: str) -> None:
    async with edge.connect() as line:
        line.send(CORPUS[name])
        reply = await line.reply()
        assert 400 <= reply.status < 500
        assert reply.one("content-type") == "application/problem+json"
        assert reply.one("connection") == "close"
        assert reply.json["status"] == reply.status
        line.send(SMUGGLED)
        assert await line.closed()
    assert not service.bad
    assert not [seen for seen in service.seen if "secret" in seen.target]
    assert all(seen.method == "POST" and "chunk" in name for seen in service.seen) or "trailer" in name


@pytest.mark.parametrize(
    "name", ["length and chunked", "two Hosts", "bare LF in a field", "a folded field", "an encoded slash"]
)
async def test_byte_by_byte_it_is_refused_as_well(edge: Edge, service: Service, name: str) -> None:
    async with edge.connect() as line:
        for byte in CORPUS[name]:
            line.send(bytes([byte]))
            await line.writer.drain()
            await asyncio.sleep(0)
        assert 400 <= (await line.reply()).status < 500
        assert await line.closed()
    assert not service.seen


async def test_what_is_unusual_but_clear_passes(edge: Edge, service: Service) -> None:
    fine = {
        "/auth/a%20b": b"GET /auth/a%20b HTTP/1.1\r\n" + HOST + b"\r\n",
        "/auth/x?q=%2F..%2F&r=[1]|{}": b"GET /auth/x?q=%2F..%2F&r=[1]|{} HTTP/1.1\r\n" + HOST + b"\r\n",
        "/auth/x?": b"GET /auth/x? HTTP/1.1\r\n" + HOST + b"\r\n",
        "/auth/abs": b"GET http://gateway/auth/abs HTTP/1.1\r\n" + HOST + b"\r\n",
        "/auth/.hidden": b"GET /auth/.hidden HTTP/1.1\r\n" + HOST + b"\r\n",
        "/auth/..a": b"GET /auth/..a HTTP/1.1\r\n" + HOST + b"\r\n",
        "/auth/tab": b"GET /auth/tab HTTP/1.1\r\nHost:\tgateway \r\nX:\r\n\r\n",
    }
    for target, data in fine.items():
        async with edge.connect() as line:
            line.send(data)
            assert (await line.reply()).status == 200, target
        assert service.seen[-1].target == target


@pytest.mark.parametrize(
    "body",
    [
        b"5;a=b\r\nhello\r\n0\r\n\r\n",
        b"5 ; a = b;c\r\nhello\r\n0;last\r\n\r\n",
        b'5;a="b; \\"c\\""\r\nhello\r\n0\r\n\r\n',
        b"000000000005\r\nhello\r\n0000\r\n\r\n",
    ],
    ids=["extension", "spaces and several", "quoted", "leading zeros"],
)
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "byte by byte"])
async def test_chunk_extensions_and_leading_zeros_are_ignored(
    edge: Edge, service: Service, body: bytes, at_once: bool
) -> None:
    """RFC 9112, section 7.1.1: a recipient ignores the extensions that it does not know."""
    async with edge.connect() as line:
        request = POST + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + body
        for piece in [request] if at_once else [bytes([byte]) for byte in request]:
            line.send(piece)
            await line.writer.drain()
        assert (await line.reply()).status == 200
    assert service.seen[-1].body == b"hello"


async def test_an_empty_line_before_a_request_is_ignored(edge: Edge, service: Service) -> None:
    """RFC 9112, section 2.2: some clients send one behind a body."""
    async with edge.connect() as line:
        for _ in range(2):
            line.send(b"\r\n" + GET + HOST + b"\r\n")
            assert (await line.reply()).status == 200
        line.send(b"\r")
        await line.writer.drain()
        line.send(b"\n" + GET + HOST + b"\r\n")
        assert (await line.reply()).status == 200
    assert len(service.seen) == 3


async def test_options_of_the_whole_server_are_answered(edge: Edge, service: Service) -> None:
    async with edge.connect() as line:
        line.send(b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n")
        reply = await line.reply()
        assert reply.status == 204
        assert "GET" in reply.one("allow")
        line.send(GET + HOST + b"\r\n")
        assert (await line.reply()).status == 200
    assert len(service.seen) == 1


@pytest.mark.parametrize(
    "request_",
    [GET + HOST + b"\r\n", POST + HOST + b"Content-Length: 5\r\n\r\nhello", b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"],
    ids=["without a body", "with a body", "a page of the gateway"],
)
async def test_a_client_that_has_sent_a_whole_request_and_closes_its_half_gets_the_answer(
    edge: Edge, service: Service, request_: bytes
) -> None:
    async with edge.connect() as line:
        line.send(request_)
        line.writer.write_eof()
        assert (await line.reply()).status == 200
        assert await line.closed()


@pytest.mark.parametrize(
    "unfinished", [GET + b"Ho", POST + HOST + b"Content-Length: 5\r\n\r\nhe", b""], ids=["head", "body", "nothing"]
)
async def test_half_a_request_with_a_closed_half_is_not_waited_for(edge: Edge, unfinished: bytes) -> None:
    async with edge.connect() as line:
        line.send(unfinished)
        line.writer.write_eof()
        assert await line.closed()


async def test_a_client_that_was_refused_and_leaves_holds_no_connection(edge: Edge) -> None:
    """The gateway lingers for those that still send (RFC 9112, section 9.6), not for those that have closed."""
    async with edge.connect() as line:
        line.send(CORPUS["no Host"])
        assert (await line.reply()).status == 400
        assert await line.closed()
        assert len(edge.plane.connections.open) == 1
    await eventually(lambda: not edge.plane.connections.open, within=1)
