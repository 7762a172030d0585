"""If-Match and If-None-Match (RFC 9110, section 13.1), alone, together, and in several lines."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from chassis.app import create_app
from chassis.conditional import Conditional, Conditions
from chassis.errors import Invalid, PreconditionFailed
from chassis.settings import ServiceSettings
from chassis.testing import serve
from fastapi import APIRouter
from starlette.responses import Response


@pytest.mark.contract("D24")
@pytest.mark.parametrize(
    "header", [None, "*", " * ", '"3"', '"2", "3"', '"3","2"', '\t"3" ,', ', ,"3"', '"3.7"', 'W/"3", "3"']
)
def test_a_write_goes_on_with_the_current_version(header: str | None) -> None:
    Conditions(header).check(3)
    assert Conditions(header).spared(3) is False


@pytest.mark.contract("D24")
@pytest.mark.parametrize("header", ["", '""', '"2"', '"2", "4"', '"33"', '"03"', '"7.3"', 'W/"3"', 'W/"3", "2"'])
def test_a_stale_or_a_weak_tag_stops_it_and_a_read_as_well(header: str) -> None:
    with pytest.raises(PreconditionFailed):
        Conditions(header).check(3)
    with pytest.raises(PreconditionFailed):
        Conditions(header).spared(3)


NONE_MATCH: list[tuple[str | None, int | str, bool, bool]] = [
    (None, 3, False, False),
    ("*", 3, True, True),
    ('"3"', 3, True, True),
    ('W/"3"', 3, True, True),
    ('"1", W/"3"', 3, True, True),
    ('"2"', 3, False, False),
    ('"33"', 3, False, False),
    ("", 3, False, False),
    (", ,", 3, False, False),
    ('"3"', "3.7", False, True),
    ('"3.7"', 3, False, True),
    ('W/"3.7"', "3.7", True, True),
]


@pytest.mark.contract("D24")
@pytest.mark.parametrize(("header", "tag", "spared", "stopped"), NONE_MATCH)
def test_if_none_match_spares_a_read_of_that_answer_and_stops_a_write_on_that_version(
    header: str | None, tag: int | str, spared: bool, stopped: bool
) -> None:
    assert Conditions(none_match=header).spared(tag) is spared
    if stopped:
        with pytest.raises(PreconditionFailed):
            Conditions(none_match=header).check(3)
    else:
        Conditions(none_match=header).check(3)


@pytest.mark.contract("D24")
def test_if_match_comes_first() -> None:
    with pytest.raises(PreconditionFailed, match="has changed since"):
        Conditions('"2"', '"3"').check(3)
    with pytest.raises(PreconditionFailed, match="If-None-Match"):
        Conditions('"3"', '"3"').check(3)
    assert Conditions('"3"', '"3"').spared(3)


@pytest.mark.contract("D24", "D09")
@pytest.mark.parametrize("header", ["3", '"3', '3"', '"3" "4"', 'w/"3"', "3, *", '*, "3"', "W/3", "'3'"])
def test_what_is_no_list_of_tags_is_bad_input_for_a_write_and_names_nothing_for_a_read(header: str) -> None:
    for name, refused in (("If-Match", Conditions(header)), ("If-None-Match", Conditions(none_match=header))):
        with pytest.raises(Invalid) as caught:
            refused.check(3)
        assert caught.value.detail == f"{name} has to be a list of entity tags"
    assert Conditions(none_match=header).spared(3) is False


async def _read(conditions: Conditional) -> Response:
    return Response(status_code=304 if conditions.spared("3.7") else 200)


async def _write(conditions: Conditional) -> Response:
    conditions.check(3)
    return Response(status_code=204)


LINES: list[tuple[str, Sequence[str], int]] = [
    ("GET", (), 200),
    ("GET", ('If-None-Match: "1"', 'If-None-Match: "3.7"'), 304),
    ("GET", ('If-None-Match: "3.7"', 'if-none-match: "1", "2"'), 304),
    ("GET", ('If-None-Match: "1"', "If-None-Match:"), 200),
    ("GET", ('If-None-Match: "3.7"', "If-None-Match: nonsense"), 200),
    ("GET", ("If-None-Match: 3.7",), 200),
    ("GET", ("If-Match: 3.7",), 412),
    ("HEAD", ('If-None-Match: "1"', 'If-None-Match: "3.7"'), 304),
    ("PUT", (), 204),
    ("PUT", ('If-Match: "1"', 'If-Match: "3"'), 204),
    ("PUT", ('If-Match: "3"', 'If-Match: "1"'), 204),
    ("PUT", ('If-Match: "1"', 'If-Match: "2"'), 412),
    ("PUT", ('If-Match: "3"', "If-Match: 3"), 400),
    ("PUT", ('If-None-Match: "3.7"', 'If-None-Match: "1"'), 412),
    ("PUT", ('If-Match: "3"', 'If-None-Match: "1"', 'If-None-Match: "3.7"'), 412),
    ("DELETE", ('If-None-Match: "1"', 'If-None-Match: "2"'), 204),
    ("DELETE", ("If-None-Match: *",), 412),
]


@pytest.mark.contract("D24")
async def test_several_lines_are_one_list_whatever_their_order() -> None:
    router = APIRouter()
    router.add_api_route("/thing", _read, methods=["GET"])
    router.add_api_route("/thing", _write, methods=["PUT", "DELETE"])
    async with serve(create_app(ServiceSettings(), routers=[router])) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        answers: list[Any] = []
        for method, lines, _ in LINES:
            head = "\r\n".join([f"{method} /thing HTTP/1.1", "Host: me", *lines, "", ""])
            writer.write(head.encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            length = dict(line.lower().split(b": ", 1) for line in answer.splitlines() if b": " in line)
            if method != "HEAD" and not answer.startswith(b"HTTP/1.1 304"):
                await reader.readexactly(int(length.get(b"content-length", b"0")))
            answers.append((method, lines, int(answer[9:12])))
        writer.close()
    assert answers == LINES
