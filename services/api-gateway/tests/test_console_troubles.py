"""What is wrong, since when, what to do: what the console says of services that are ill."""

import html
import math
import re
import time
from contextlib import suppress
from pathlib import Path

import pytest
from api_gateway.console.fleet import GATEWAY, Fleet, Member
from api_gateway.console.testing import LIMITS, Platform, log_in, session
from api_gateway.console.troubles import ADVICE, FAR_BEHIND, STALE_SECONDS, TOO_MANY_FAIL, troubles
from api_gateway.console.watch import WHOLE, Watch, ills
from api_gateway.console.words import partitions
from api_gateway.testing import Edge, running
from chassis.testing import eventually

HEALTH = "/actuator/health"
RULES = Path(__file__).resolve().parents[3] / "monitoring" / "rules"


def sentences(page: bytes) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", page.decode())).split())


async def test_a_service_that_is_away_is_named_with_its_hour_and_a_remedy(gate: Edge, platform: Platform):
    held = f"Cookie: {await session(gate)}"
    await platform.stop()
    said = sentences((await gate.ask("GET", "/console", held)).body)
    assert "5 dead" not in said
    today = time.strftime("%Y-%m-%d", time.gmtime())
    found = re.search(rf"billing-service does not answer since ({today} \S+) UTC \([\d.]+ m?s\) See whether", said)
    assert found, said
    assert "docs/runbooks/ServiceDown.md" in said
    page = sentences((await gate.ask("GET", "/console/services/billing-service", held)).body)
    assert f"billing-service does not answer since {found[1]} UTC" in page


async def test_a_part_that_several_miss_is_one_line(gate: Edge, platform: Platform):
    held = f"Cookie: {await session(gate)}"
    summary = await gate.app.state.ops.summary()
    parts = {"db": {"status": "UP"}, "redis": {"status": "DOWN"}, "new": {"status": "DOWN"}}
    platform.answers = {"/ops/summary": (200, summary | {"components": parts})}
    said = sentences((await gate.ask("GET", "/console", held)).body)
    assert "All 6 services answer, 6 with a part missing" in said
    names = "auth-service, patient-service, appointment-service, analytics-service, billing-service"
    assert f"redis is missing at api-gateway, {names} since" in said  # the gateway of this test has none either
    assert f"new is missing at {names} since" in said
    assert ADVICE["redis"][1] in said
    platform.answers = {"/ops/summary": (200, summary | {"up": False, "components": {"db": {"status": "DOWN"}}})}
    said = sentences((await gate.ask("GET", "/console", held)).body)
    assert "billing-service is down: db since" in said
    platform.answers = {"/ops/summary": (401, {})}
    assert "same JWT_SECRET" in sentences((await gate.ask("GET", "/console", held)).body)


@pytest.mark.contract("Z01")
async def test_a_database_that_refuses_writes_is_one_line(gate: Edge, platform: Platform):
    held = f"Cookie: {await session(gate)}"
    summary = await gate.app.state.ops.summary()
    parts = {"db": {"status": "UP", "details": {"database": "PostgreSQL", "writable": False}}}
    platform.answers = {"/ops/summary": (200, summary | {"components": parts})}
    said = sentences((await gate.ask("GET", "/console", held)).body)
    names = "auth-service, patient-service, appointment-service, analytics-service, billing-service"
    assert f"the database refuses writes of {names}" in said
    assert "docs/runbooks/DatabaseRefusesWrites.md" in said
    parts["db"]["details"]["writable"] = True
    assert "refuses writes" not in sentences((await gate.ask("GET", "/console", held)).body)


async def test_what_does_not_keep_up_is_said_as_the_alerts_would(gate: Edge, platform: Platform):
    held = f"Cookie: {await session(gate)}"
    summary = await gate.app.state.ops.summary()
    total = summary["requests"]["total"] | {"count": 1000, "failed": 15}
    slow = {
        "components": {},
        "outbox": {"waiting": 1234, "oldestSeconds": 61.0},
        "lag": [{"topic": "t", "partition": "0", "behind": 600.0}, {"topic": "t", "partition": "1", "behind": 401.0}],
        "requests": summary["requests"] | {"total": total},
    }
    platform.answers = {"/ops/summary": (200, summary | slow)}
    said = sentences((await gate.ask("GET", "/console", held)).body)
    assert re.search(r"1,234 events of billing-service wait for Kafka since \d{4}-\S+ \S+ UTC \(61 s\)", said), said
    assert "billing-service is 1,001 messages behind" in said
    assert "of the requests failed" not in said  # those of the gateway count, where all come together
    fleet = Fleet([Member(GATEWAY, summary | slow)])
    [grave] = [each for each in troubles(fleet, Watch({})) if each.grave]
    assert grave.what == "1.5 % of the requests failed in 15 minutes"
    calm = {"outbox": {"waiting": 9, "oldestSeconds": 59.0}, "lag": [], "components": {}}
    assert not troubles(Fleet([Member(GATEWAY, summary | calm)]), Watch({}))


def test_the_console_and_the_alerts_agree():
    rules = "".join(path.read_text() for path in RULES.glob("*.yml"))
    assert f"(outbox_oldest_seconds) > {STALE_SECONDS}" in rules
    assert f"group_topic:consumer_lag:sum > {FAR_BEHIND}" in rules
    assert "job:gateway_errors:ratio_rate5m > 14.4 * 0.001" in rules
    assert math.isclose(TOO_MANY_FAIL, 14.4 * 0.001)
    runbooks = {runbook for runbook, _ in ADVICE.values()} | {"ServiceDown", "DeadLetters", "OutboxStale"}
    assert runbooks <= {path.stem for path in (RULES.parents[1] / "docs" / "runbooks").iterdir()}


async def test_dead_letters_that_wait_are_said_first_of_all(gate: Edge, platform: Platform):
    held = f"Cookie: {await session(gate)}"
    letter = {"topic": "t.dlq", "source": "t", "group": "g", "count": 2}
    platform.answers = {"/ops/dead-letters": (200, {"content": [letter]})}
    page = (await gate.ask("GET", "/console", held)).body
    assert "10 dead letters to be looked at" in sentences(page)
    assert b'<a href="/console/dead-letters">To the dead letters</a>' in page


async def test_when_it_began_is_known_to_whoever_comes_late():
    platform = Platform()
    platform.answers = {
        HEALTH: (200, {"status": "UP", "components": {"redis": {"status": "DOWN"}, "db": {"status": "UP"}}})
    }
    await platform.start()
    watch = Watch({"billing-service": platform.url}, every=0.01)
    await watch.start()
    try:
        await eventually(lambda: watch.since("billing-service", "redis"))
        began = watch.since("billing-service", "redis")
        assert watch.since("billing-service", "db") is None
        assert watch.since("billing-service") is None
        seen = len(platform.seen)
        await eventually(lambda: len(platform.seen) > seen + 3)
        assert watch.since("billing-service", "redis") == began
        platform.answers = {HEALTH: (503, {"status": "DOWN", "components": {"db": {"status": "DOWN"}}})}
        await eventually(lambda: watch.since("billing-service"))
        platform.answers = {HEALTH: (200, {"status": "UP", "components": {}})}
        await eventually(lambda: watch.since("billing-service") is None)
        for strange in ([1], {"components": {}}, {"status": "UP", "components": {"db": {}}}):
            platform.answers = {HEALTH: (200, strange)}
            await eventually(lambda: watch.since("billing-service"))
            platform.answers = {HEALTH: (200, {"status": "UP"})}
            await eventually(lambda: watch.since("billing-service") is None)
        await platform.stop()
        await eventually(lambda: watch.since("billing-service"))
        assert (await watch.health()).up
    finally:
        with suppress(Exception):
            await platform.stop()
        await watch.stop()


async def test_a_gateway_watches_only_for_a_console(platform: Platform):
    async with running(platform, **LIMITS) as gate:
        assert "watch" in (await gate.ask("GET", HEALTH)).json["components"]
    async with running(platform, CONSOLE_ENABLED="false", **LIMITS) as gate:
        assert "watch" not in (await gate.ask("GET", HEALTH)).json["components"]


def test_partitions_are_told_in_spans():
    assert partitions(["a.b-0", "a.b-1", "a.b-2", "billing-account-1"]) == "a.b 0–2, billing-account 1"
    assert partitions(["t-10", "t-2", "t-0"]) == "t 0 2 10"
    assert partitions([]) == ""
    assert partitions(["a-0", "strange"]) == "a-0, strange"


def test_what_is_ill():
    parts = {"db": {"status": "UP"}, "kafka": {"status": "DOWN"}}
    assert ills(True, parts) == {"kafka"}
    assert ills(False, parts) == {"kafka", WHOLE}
    assert ills(True, {}) == set()


async def test_every_address_under_the_console_answers_people_and_no_other(gate: Edge):
    page = await gate.ask("GET", "/console/nothing")
    assert (page.status, b"<h1>Not found</h1>" in page.body) == (404, True)
    typed = await gate.ask("GET", "/console/")
    assert (typed.status, typed.one("location")) == (308, "/console")
    for method, path, status in (("GET", "/consoles", 404), ("GET", "/console/logout", 405)):
        reply = await gate.ask(method, path)
        assert (reply.status, reply.one("content-type")) == (status, "application/problem+json"), path


async def test_an_address_that_was_typed_need_not_be_typed_again(gate: Edge):
    wrong = await log_in(gate, "stranger@x%22%3E%3Cb%3E")
    assert b'value="stranger@x&#34;&gt;&lt;b&gt;"' in wrong.body
    assert b"ada@example.com" not in (await gate.ask("GET", "/console/login?email=ada@example.com")).body
