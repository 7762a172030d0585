"""What a route takes from the query is the same, called straight or by the framework, and nothing in it is ignored."""

import asyncio
import json
from datetime import date, datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote_from_bytes
from uuid import UUID

import httpx2 as httpx
import pytest
from chassis.app import create_app
from chassis.direct import Call
from chassis.errors import FieldError, Invalid, Unauthenticated
from chassis.http import JsonResponse
from chassis.inputs import Plain
from chassis.paging import PageRequest, Paging
from chassis.settings import ServiceSettings
from chassis.testing import serve
from fastapi import APIRouter, Depends, Query
from fastapi.routing import APIRoute
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from starlette.responses import Response


async def span(
    since: Annotated[datetime | None, Query(alias="from")] = None,
    until: Annotated[date | None, Query(alias="to")] = None,
) -> list[object]:
    if since and until and until < since.date():
        raise Invalid([FieldError("to", "must not be before from")])
    return [since, until]


async def told(
    n: int,
    page: Annotated[PageRequest, Depends(Paging({"name", "size"}))],
    between: Annotated[list[object], Depends(span)],
    search: Annotated[Annotated[str, Plain] | None, Query(min_length=1, max_length=10)] = None,
    ids: Annotated[list[UUID] | None, Query(max_length=2)] = None,
    many: Annotated[tuple[int, ...], Query(max_length=2)] = (7,),
    kind: Literal["a", "b"] = "a",
    open: bool = True,
) -> Response:
    said = {
        "n": n,
        "page": page,
        "between": between,
        "search": search,
        "ids": ids,
        "many": many,
        "kind": kind,
        "open": open,
    }
    return JsonResponse({name: repr(value) for name, value in said.items()})


async def nothing() -> None: ...


ROUTER = APIRouter()
ROUTER.add_api_route("/straight/{n}", told)
ROUTER.add_api_route("/framework/{n}", told, dependencies=[Depends(nothing)])  # of which the short way knows nothing

NAMES = st.sampled_from(
    ["page", "size", "sort", "from", "to", "search", "ids", "many", "kind", "open", "since", "Page", "unknown", ""]
)
NUMBERS = ["0", "1", "-1", "100", "101", "1e3", "1.0", "1.5", "+7", "1_0", "0x1", "٣", " 1 ", "9" * 30, "9" * 5000]
DATES = ["2026-03-01", "2026-03-01T10:00:00", "2026-03-01T10:00:00+02:00", "1760000000", "2026-02-30", "1e400", "nan"]
TEXTS = ["", "name", "size,desc", "name,ASC", "name,up", "a", "b", "true", "no", "null", "a" * 10, "a" * 11, "\x00"]
IDS = [
    "123e4567-e89b-12d3-a456-426614174000",
    "{123e4567-e89b-12d3-a456-426614174000}",
    "123e4567e89b12d3a456426614174000",
]
KNOWN = st.sampled_from([each.encode() for each in (*NUMBERS, *DATES, *TEXTS, *IDS)])
VALUES = st.one_of(KNOWN, KNOWN, st.text(max_size=12).map(str.encode), st.binary(max_size=4))
PAIRS = st.tuples(NAMES, VALUES).map(lambda pair: f"{pair[0]}={quote_from_bytes(pair[1])}")
LOOSE = st.sampled_from(["", "page", "=", "sort=name&sort=name", "%", "%zz=1", "page=%", "size=1;page=2", "search=a+b"])
QUERIES = st.lists(st.one_of(PAIRS, PAIRS, PAIRS, LOOSE), max_size=5).map("&".join)


async def answers(port: int, targets: list[str]) -> list[tuple[bytes, dict[str, Any]]]:
    """The status and the JSON of each, over as few connections as the server allows."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found = []
    try:
        for target in targets:
            writer.write(f"GET {target} HTTP/1.1\r\nHost: me\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            body = json.loads(await reader.readexactly(int(length)))
            found.append((head[9:12], {name: body[name] for name in body.keys() - {"traceId", "instance"}}))
            if b"connection: close" in head.lower():  # it was no HTTP
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
    finally:
        writer.close()
    return found


async def both_ways(numbers: list[tuple[str, str]]) -> list[tuple[bytes, dict[str, Any]]]:
    """What both ways answer, once it is seen to be the same."""
    app = create_app(ServiceSettings(), routers=[ROUTER])
    ways = {route.path: Call.can(route) for route in app.routes if isinstance(route, APIRoute)}
    assert (ways["/straight/{n}"], ways["/framework/{n}"]) == (True, False)
    async with serve(app) as url, asyncio.timeout(240):
        port = int(url.rpartition(":")[2])
        straight = await answers(port, [f"/straight/{n}?{query}" for n, query in numbers])
        framework = await answers(port, [f"/framework/{n}?{query}" for n, query in numbers])
    for question, short, long in zip(numbers, straight, framework, strict=True):
        assert short == long, question
    return straight


ASKED = st.tuples(st.sampled_from(["1", "1", "1", "x"]), QUERIES)
EVERY_ERROR = ("x", "page=-1&size=0&sort=a&from=x&search=&ids=1&kind=c&open=2")


# What fails names its query: nothing is won by minutes of shrinking.
@settings(max_examples=10, deadline=None, phases=[Phase.explicit, Phase.generate])
@example(asked=[EVERY_ERROR, ("1", "sort=name,desc&sort=size&size=100&page=3&from=2026-03-01T10:00:00&search=%C3%A9")])
@given(asked=st.lists(ASKED, min_size=40, max_size=80))
def test_both_ways_say_the_same_of_any_query(asked: list[tuple[str, str]]) -> None:
    asyncio.run(both_ways(asked))


async def test_all_that_is_wrong_is_said_at_once_and_a_list_keeps_its_order() -> None:
    wrong, right, strange = await both_ways(
        [EVERY_ERROR, ("1", "sort=size&sort=name,desc"), ("x", "page=1&colour=blue&size=&size=2&to=")]
    )
    fields = [error["field"] for error in wrong[1]["errors"]]
    assert (wrong[0], fields) == (b"400", ["page", "size", "from", "n", "search", "ids.0", "kind", "open"])
    assert (right[0], right[1]["page"].count("Sort(")) == (b"200", 2)
    assert right[1]["page"].index("'size'") < right[1]["page"].index("'name'")
    assert [(error["field"], error["message"]) for error in strange[1]["errors"]] == [
        ("size", "must be given once"),
        ("to", "must not be empty"),
        ("n", "must be a whole number"),
        ("query", f"has an unknown parameter; known are {KNOWN_NAMES}"),
    ]


@pytest.mark.contract("G01", "D20")
def test_the_document_has_the_limits_of_a_page() -> None:
    parameters = create_app(ServiceSettings(), routers=[ROUTER]).openapi()["paths"]["/straight/{n}"]["get"][
        "parameters"
    ]
    schemas = {each["name"]: each["schema"] for each in parameters}
    assert schemas["page"].items() >= {"type": "integer", "minimum": 0, "default": 0}.items()
    assert schemas["size"].items() >= {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}.items()


KNOWN_NAMES = "from, ids, kind, many, open, page, search, size, sort, to"
UNKNOWN = f"query has an unknown parameter; known are {KNOWN_NAMES}"
SENTENCES = {
    "colour=blue": UNKNOWN,
    "Jane%20Doe": UNKNOWN,
    "=": UNKNOWN,
    "Page=1": UNKNOWN,
    "page%00=1": UNKNOWN,
    "%ff=1": UNKNOWN,
    "page=1&page=1": "page must be given once",
    "page=1&%70age=2": "page must be given once",
    "page=1&page=": "page must be given once",
    "search=": "search must not be empty",
    "search": "search must not be empty",
    "sort=name&sort=": "sort must not be empty",
    "search=%ff": "search must be UTF-8",
    "search=%ed%a0%80": "search must be UTF-8",
    "search=a%C3": "search must be UTF-8",
    "sort=%ff": "sort must be UTF-8",
    "page=1_0": "page must be a whole number",
    "page=1.0": "page must be a whole number",
    "page=%201": "page must be a whole number",
    "size=+7": "size must be a whole number",
    "page=true": "page must be a whole number",
    "page=-1": "page must be greater than or equal to 0",
    "kind=c": "kind must be 'a' or 'b'",
}


@pytest.mark.contract("D08", "Z05")
async def test_a_query_that_is_not_understood_is_refused_and_never_quoted() -> None:
    for (_, query), (status, body) in zip(
        [("1", query) for query in SENTENCES], await both_ways([("1", query) for query in SENTENCES]), strict=True
    ):
        assert (status, body.get("detail")) == (b"400", SENTENCES[query]), query
        assert "blue" not in json.dumps(body)
        assert "Jane" not in json.dumps(body)


async def _refuse() -> None:
    raise Unauthenticated


async def _answer(n: int) -> Response:
    return Response(status_code=204)


async def _answer_model(n: int) -> dict[str, int]:
    return {"n": n}


@pytest.mark.contract("D08", "D07")
async def test_every_route_and_method_is_strict_but_for_probes_and_who_may_not_is_told_so_first() -> None:
    router = APIRouter()
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    router.add_api_route("/straight/{n}", _answer, methods=methods)
    router.add_api_route("/framework/{n}", _answer_model, methods=methods)
    for name, endpoint in (("straight", _answer), ("framework", _answer_model)):
        router.add_api_route(f"/{name}-shut/{{n}}", endpoint, methods=methods, dependencies=[Depends(_refuse)])
    app = create_app(ServiceSettings(), routers=[router])
    async with serve(app) as url, httpx.AsyncClient(base_url=url) as client:
        for method in (*methods, "HEAD"):
            for way in ("straight", "framework"):
                assert (await client.request(method, f"/{way}/1")).status_code < 300
                answer = await client.request(method, f"/{way}/1?colour=blue")
                assert answer.status_code == 400
                if method != "HEAD":
                    assert answer.json()["detail"] == "query has an unknown parameter; none is known here"
                assert (await client.request(method, f"/{way}-shut/1?colour=blue")).status_code == 401
        assert (await client.get("/ops/summary?colour=blue")).status_code in (401, 403)
        for path in ("health", "health/liveness", "health/readiness", "info", "metrics", "prometheus"):
            assert (await client.get(f"/actuator/{path}?colour=blue")).status_code == 200
        assert (await client.get("/nowhere?colour=blue")).status_code == 404


@pytest.mark.contract("D08")
async def test_bytes_that_are_no_text_are_refused_in_every_path_and_query() -> None:
    router = APIRouter()
    router.add_api_route("/straight/{name}", _answer_name, methods=["GET"])
    app = create_app(ServiceSettings(), routers=[router])
    async with serve(app) as url, httpx.AsyncClient(base_url=url) as client:
        assert (await client.get("/straight/%C3%A9")).json() == "\u00e9"
        for path in ("straight", "actuator", "nowhere"):
            for raw in ("%ff", "a%C3", "%ed%a0%80", "%c0%af"):
                answer = await client.get(f"/{path}/{raw}")
                assert (answer.status_code, answer.json()["detail"]) == (400, "path must be UTF-8")
        answer = await client.get("/actuator/health?x=%ff")
        assert (answer.status_code, answer.json()["detail"]) == (400, "query must be UTF-8")


async def _answer_name(name: str) -> Response:
    return JsonResponse(name)
