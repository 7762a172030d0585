"""Random and mutated bytes: the gateway never falls over, and a service only ever reads whole, clear requests."""

import asyncio

from api_gateway.testing import Service, running
from chassis.wire.bodies import BadChunk, Chunked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PARTS = st.sampled_from(
    [
        b"GET /auth/x HTTP/1.1\r\n",
        b"POST /auth/x HTTP/1.1\r\n",
        b"Host: g\r\n",
        *(b"\r\n", b"\n", b"\r", b" ", b"\t", b"\x00", b": ", b"HTTP/1.1", b"/../", b"%2f", b"X: y\r\n"),
        b"Content-Length: 5\r\n",
        b"Content-Length: 0\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"Expect: 100-continue\r\n",
        *(b"5\r\nhello\r\n", b"0\r\n\r\n", b"hello"),
        b"GET /auth/smuggled HTTP/1.1\r\nHost: g\r\n\r\n",
        b"POST /auth/x HTTP/1.1\r\nHost: g\r\nContent-Length: 5\r\n\r\nhello",
    ]
)
STREAMS = st.lists(st.one_of(PARTS, PARTS, PARTS, st.binary(max_size=8)), min_size=1, max_size=12)


async def feed(streams: list[list[bytes]]) -> None:
    service = Service()
    await service.start()
    async with running(service, RATE_LIMITS="auth=100000/100000") as edge:
        for pieces in streams:
            async with edge.connect() as line:
                for piece in pieces:
                    line.send(piece)
                    await asyncio.sleep(0)
                await asyncio.sleep(0.002)
        assert (await edge.ask("GET", "/auth/alive")).status == 200
        assert edge.plane.pools["auth-service"].in_flight <= 1
    await service.stop()
    assert not service.bad
    for seen in service.seen:
        assert seen.target in {"/auth/x", "/auth/smuggled", "/auth/alive"}
        assert seen.one("host") == f"127.0.0.1:{service.port}"
        assert (seen.one("content-length") is None) or (seen.one("transfer-encoding") is None)
        assert (
            seen.body in {b"", b"hello"}
            or seen.one("content-length") == str(len(seen.body))
            or seen.one("transfer-encoding")
        )


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(streams=st.lists(STREAMS, min_size=40, max_size=80))
def test_no_bytes_bring_it_down_or_slip_through(streams: list[list[bytes]]) -> None:
    asyncio.run(feed(streams))


@settings(max_examples=300, deadline=None)
@given(
    chunks=st.lists(st.binary(min_size=1, max_size=50), max_size=8),
    cuts=st.lists(st.integers(0, 400), max_size=12),
    rest=st.binary(max_size=20),
)
def test_a_chunked_body_is_the_same_however_it_is_cut(chunks: list[bytes], cuts: list[int], rest: bytes) -> None:
    coded = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in chunks) + b"0\r\n\r\n" + rest
    body, payload, left, at = Chunked(), b"", b"", 0
    for cut in [*sorted(min(each, len(coded)) for each in cuts), len(coded)]:
        piece, at = coded[at:cut], cut
        if body.done:
            left += piece
        elif piece:
            decoded, over = body.feed(piece)
            payload, left = payload + decoded, left + over
    assert body.done
    assert payload == b"".join(chunks)
    assert left == rest


@settings(max_examples=500, deadline=None)
@given(data=st.binary(max_size=200))
def test_garbage_is_a_bad_chunk_or_unfinished(data: bytes) -> None:
    body = Chunked()
    try:
        payload, rest = body.feed(data)
    except BadChunk:
        return
    assert len(payload) + len(rest) <= len(data)
    assert body.done or not rest
