"""What a route takes from the query is the same whether it is called straight or by the framework."""

import asyncio
import json
from datetime import date, datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote_from_bytes
from uuid import UUID

from chassis.app import create_app
from chassis.direct import Call
from chassis.errors import FieldError, Invalid
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
    """The status and the JSON of each, over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found = []
    try:
        for target in targets:
            writer.write(f"GET {target} HTTP/1.1\r\nHost: me\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            body = json.loads(await reader.readexactly(int(length)))
            found.append((head[9:12], {name: body[name] for name in body.keys() - {"traceId", "instance"}}))
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
    wrong, right = await both_ways([EVERY_ERROR, ("1", "sort=size&sort=name,desc")])
    fields = [error["field"] for error in wrong[1]["errors"]]
    assert (wrong[0], fields) == (b"400", ["page", "size", "from", "n", "search", "ids.0", "kind", "open"])
    assert (right[0], right[1]["page"].count("Sort(")) == (b"200", 2)
    assert right[1]["page"].index("'size'") < right[1]["page"].index("'name'")
