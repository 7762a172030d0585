"""Dead letters in the console: whatever bytes they are made of, and what may be done with them."""

import json
import re

import pytest
from api_gateway.console.testing import FORM, Platform, proofs, session
from api_gateway.console.words import pretty, visible
from api_gateway.testing import Edge

TOPIC = "/ops/dead-letters/t.dlq"
PAGE = "/console/dead-letters/patient-service/t.dlq"
EVIL = "<script>alert(1)</script>"
LETTER = {
    "partition": 0,
    "offset": 7,
    "at": 1_780_000_000_000,
    "type": EVIL,
    "bytes": 9,
    "facts": {"reason": EVIL, EVIL: "x"},
}


def opened(value: str | None, **more: object) -> dict:
    return LETTER | {"headers": [[EVIL, EVIL]], "key": EVIL, "value": value} | more


@pytest.mark.parametrize(
    "value",
    [EVIL, "[" * 200_000, '"\\ud800"', "9" * 5000, "{}" * 9, "\x00\x1b[31m", None],
    ids=["script", "deep", "surrogate", "digits", "two", "control", "null"],
)
async def test_a_poison_message_is_shown_and_poisons_nothing(gate: Edge, platform: Platform, value):
    platform.answers = {TOPIC: (200, {"content": [LETTER]}), f"{TOPIC}/0/7": (200, opened(value))}
    held = f"Cookie: {await session(gate)}"
    for path in (PAGE, f"{PAGE}/0/7", f"{PAGE}/discard?through=7"):
        reply = await gate.ask("GET", path, held)
        assert reply.status == 200
        assert b"<script>" not in reply.body
        assert b"&lt;script&gt;" in reply.body


async def test_a_message_that_is_no_dead_letter_is_shown_too(gate: Edge, platform: Platform):
    bare = LETTER | {"type": "", "facts": {}}
    platform.answers = {TOPIC: (200, {"content": [bare]}), f"{TOPIC}/0/7": (200, opened("{}") | bare)}
    held = f"Cookie: {await session(gate)}"
    for path in (PAGE, f"{PAGE}/0/7", f"{PAGE}/discard?count=1"):
        assert (await gate.ask("GET", path, held)).status == 200, path


@pytest.mark.contract("Z03")
@pytest.mark.parametrize("at", [2**63 - 1, -(2**63), 253_402_300_800_000, -1, 0])
async def test_no_time_and_no_fact_of_a_message_breaks_a_page(gate: Edge, platform: Platform, at: int):
    told = dict.fromkeys(("topic", "partition", "offset", "group", "time", "reason", "exception"), "not readable")
    forged = LETTER | {"at": at, "facts": told}
    platform.answers = {TOPIC: (200, {"content": [forged, LETTER]}), f"{TOPIC}/0/7": (200, opened("{}") | forged)}
    held = f"Cookie: {await session(gate)}"
    for path in (PAGE, f"{PAGE}/0/7", f"{PAGE}/discard?count=2"):
        reply = await gate.ask("GET", path, held)
        assert reply.status == 200, path
        assert b"not readable" in reply.body


def test_what_is_shown_is_what_was_sent():
    assert pretty('{"a":[1,2.5]}') == '{\n  "a": [\n    1,\n    2.5\n  ]\n}'
    for exact in ('{"a":1,"a":2}', "1e999", "NaN", "0.10000000000000000001", "1.0e2", "not json"):
        assert pretty(exact) == exact
    assert pretty('"\u202edlo"') == '"\\u202edlo"'
    assert visible("a\x00\x1b\u2066\ud800\n\tz") == "a\\u0000\\u001b\\u2066\\ud800\n\tz"
    assert visible(None) == "(null)"


async def test_more_than_are_shown_are_not_passed_over(gate: Edge, platform: Platform):
    platform.answers = {TOPIC: (200, {"content": [LETTER | {"offset": n} for n in range(200)]})}
    page = await gate.ask("GET", PAGE, f"Cookie: {await session(gate)}")
    assert b"The oldest 200; behind them there are more" in page.body


async def test_a_number_that_is_none_never_means_all(gate: Edge, platform: Platform):
    platform.answers = {TOPIC: (200, {"content": [LETTER]})}
    held = f"Cookie: {await session(gate)}"
    proof = proofs(await gate.ask("GET", f"{PAGE}/discard?count=1", held))[f"{PAGE}/discard"]
    for fields in ("", "&count=", "&count=all", "&count=-1", "&count=1&through=x", "&through=", "&count=" + "9" * 5000,
                   "&count=%D9%A3"):  # fmt: skip
        reply = await gate.ask("POST", f"{PAGE}/discard", FORM, held, body=f"csrf={proof}{fields}".encode())
        assert reply.status == 400, fields
        assert b"Nothing was done" in reply.body
        assert (await gate.ask("GET", f"{PAGE}/discard?more=1{fields}", held)).status == 400, fields
    assert not platform.asked("/ops/discard")
    for fields, work in (("&count=2", {"count": 2}), ("&through=7", {"count": 100, "through": 7}),
                         ("&count=900", {"count": 100})):  # fmt: skip
        reply = await gate.ask("POST", f"{PAGE}/discard", FORM, held, body=f"csrf={proof}{fields}".encode())
        assert (reply.status, reply.one("location")) == (303, f"{PAGE}?discarded=3")
        assert json.loads(platform.asked("/ops/discard")[-1].body) == {"topic": "t.dlq"} | work


async def test_what_is_asked_about_is_what_goes(gate: Edge, platform: Platform):
    waiting = [LETTER | {"offset": offset, "type": "t"} for offset in range(7, 207)]
    platform.answers = {TOPIC: (200, {"content": waiting})}
    held = f"Cookie: {await session(gate)}"
    for asked, count, through in (("count=2", 2, 8), ("through=9", 3, 9), ("count=9&through=8", 2, 8),
                                  ("count=900", 100, 106), ("through=300", 100, 106)):  # fmt: skip
        page = (await gate.ask("GET", f"{PAGE}/discard?{asked}", held)).body.decode()
        named = re.findall(r'href="[^"]*/t.dlq/0/(\d+)">partition 0, offset \1</a>', page)
        assert named == [str(offset) for offset in range(7, through + 1)], asked
        assert re.findall(r'name="(count|through)" value="(\d+)"', page) == [
            ("count", str(count)),
            ("through", str(through)),
        ]
    assert not platform.asked("/ops/discard")  # to be asked deletes nothing
    assert (await gate.ask("GET", f"{PAGE}/discard?through=6", held)).status == 404
    platform.answers = {TOPIC: (200, {"content": []})}
    assert (await gate.ask("GET", f"{PAGE}/discard?count=1", held)).status == 404


async def test_only_the_question_carries_the_proof_that_discards(gate: Edge, platform: Platform):
    platform.answers = {TOPIC: (200, {"content": [LETTER]}), f"{TOPIC}/0/7": (200, opened("{}"))}
    held = f"Cookie: {await session(gate)}"
    for page in (PAGE, f"{PAGE}/0/7"):
        given = proofs(await gate.ask("GET", page, held))
        assert f"{PAGE}/discard" not in given
        stolen = f"csrf={given[f'{PAGE}/replay']}&count=1".encode()
        assert (await gate.ask("POST", f"{PAGE}/discard", FORM, held, body=stolen)).status == 403
    assert not platform.asked("/ops/discard")
    asked = await gate.ask("GET", f"{PAGE}/discard", held)  # as after a login in between, which forgets the numbers
    assert (asked.status, asked.one("location")) == (303, PAGE)
    stranger = await gate.ask("GET", f"{PAGE}/discard?count=1")
    assert (stranger.status, stranger.one("location")) == (303, f"/console/login?next={PAGE}/discard")


async def test_why_a_message_cannot_be_replayed_is_said(gate: Edge, platform: Platform):
    why = "message 7 of t.dlq has no headers of a dead letter"
    platform.answers = {TOPIC: (200, {"content": [LETTER]}), "/ops/replay": (409, {"detail": why})}
    held = f"Cookie: {await session(gate)}"
    proof = proofs(await gate.ask("GET", PAGE, held))[f"{PAGE}/replay"]
    reply = await gate.ask("POST", f"{PAGE}/replay", FORM, held, body=f"csrf={proof}&count=1".encode())
    assert reply.status == 409
    assert why.encode() in reply.body


async def test_a_senseless_address_is_a_page_too(gate: Edge):
    held = f"Cookie: {await session(gate)}"
    for path in (f"{PAGE}/0/last", f"{PAGE}?replayed=-1"):
        reply = await gate.ask("GET", path, held)
        assert (reply.status, reply.one("content-type")) == (400, "text/html; charset=utf-8")


async def test_an_address_cannot_add_to_what_a_service_is_asked(gate: Edge, platform: Platform):
    held = f"Cookie: {await session(gate)}"
    for topic in ("a%0d%0aX-Evil:%201", "a%20HTTP/1.1%0aX-Evil:1", "a?x-evil=1", "a%3fx-evil=1"):
        await gate.ask("GET", f"/console/dead-letters/patient-service/{topic}", held)
    asked = [seen for seen in platform.seen if seen.target.startswith("/ops/")]
    assert not any("?" in seen.target or " " in seen.target for seen in asked)
    assert asked
    assert not platform.bad
    assert not any(seen.all("x-evil") for seen in platform.seen)
