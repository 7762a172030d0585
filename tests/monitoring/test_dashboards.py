"""Every panel of every dashboard shows what goes on: a real Prometheus watches the platform work and suffer."""

import json
import math
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from chassis.testing import deadline

from monitoring.dashboards.generate import DASHBOARDS, FOLDER, files
from tests.conftest import Stack
from tests.monitoring import live, trouble
from tests.monitoring.expressions import of_kafkas_exporter
from tests.monitoring.observatory import Observatory, Watched

BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
OF_THE_ORIGINAL = {
    "overview": {"Average latency by endpoint", "5xx rate", "Requests per second", "Average request time"},
    "cache": {"Redis GET latency", "Redis SET latency", "Cache misses"},
}
DEFAULT = {"Requests per second", "Latency", "Memory", "CPU", "Database connections"}
CUSTOM = {
    "cache": {"Hits and misses by key pattern", "Hit ratio"},
    "events": {"CQRS latency: from event to read model", "Consumer lag by topic"},
}
QUERIES = [
    pytest.param(target["expr"], id=f"{board}: {panel['title']} {target['refId']}")
    for board, content in BOARDS.items()
    if board != "operator"
    for panel in content["panels"]
    for target in panel.get("targets", ())
    if not of_kafkas_exporter(target["expr"])  # tests/compose, for that takes minutes to compile
]


@pytest.fixture(scope="module")
def observatory(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observatory]:
    observatory = Observatory(stack, tmp_path_factory.mktemp("observatory"))
    try:
        observatory.start()
        yield observatory
    finally:
        observatory.stop()


@pytest.fixture(scope="module")
def watched(stack: Stack, observatory: Observatory) -> Watched:
    since = time.time()
    with stack.client() as client:
        live.work(stack, client)
        trouble.all_of_it(stack, client)
        live.work(stack, client, reads=12)  # another share of hits than before
    time.sleep(trouble.SEEN)
    return Watched(observatory.prometheus, since, time.time())


def titles(board: str) -> set[str]:
    return {panel["title"] for panel in BOARDS[board]["panels"]}


def test_the_files_are_what_their_source_generates() -> None:
    assert {path.name: path.read_text() for path in FOLDER.glob("*.json")} == files()


def test_a_line_is_drawn_where_its_alert_fires() -> None:
    rules = [
        rule
        for path in (FOLDER.parents[1] / "rules").glob("*.yml")
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]
    fires = {
        rule["alert"]: {
            math.prod(map(float, found.split(" * ")))
            for found in re.findall(r"(?:[<>]|==) ([\d.]+(?: \* [\d.]+)*)", rule["expr"])
        }
        for rule in rules
        if "alert" in rule
    }
    drawn = [panel.alarm for board in DASHBOARDS for row in board.rows for panel in row.panels if panel.alarm]
    assert len({alarm.alert for alarm in drawn}) >= 10
    for alarm in drawn:
        assert any(math.isclose(alarm.value, value) for value in fires[alarm.alert]), alarm


def test_no_query_invents_data() -> None:
    for case in QUERIES:
        assert "vector(" not in str(case.values[0])
        assert " or " not in str(case.values[0])


@pytest.mark.contract("O09", "O10", "O11")
@pytest.mark.parametrize("expression", QUERIES)
def test_every_query_moves_with_what_happens(watched: Watched, expression: str) -> None:
    assert watched.moves(expression)


def test_what_stands_still_would_be_noticed(watched: Watched) -> None:
    assert not watched.moves("process_max_fds")
    assert not watched.moves("db_pool_connections_max")
    assert not watched.moves("no_such_metric")


@pytest.mark.contract("O09", "O10", "O11")
def test_what_was_asked_for_is_on_a_dashboard() -> None:
    assert titles("overview") >= DEFAULT
    for board, panels in (*OF_THE_ORIGINAL.items(), *CUSTOM.items()):
        assert titles(board) >= panels


@pytest.mark.contract("O08")
def test_every_target_of_the_configuration_answers(watched: Watched) -> None:
    targets: list[dict[str, Any]] = watched.prometheus.query("targets", state="active")["activeTargets"]
    up = {target["labels"]["job"] for target in targets if target["health"] == "up"}
    assert up == {*live.SERVICE_NAMES, "redis", "postgres", "node", "prometheus"}
    for metric in ("redis_up", "pg_up", "node_filesystem_avail_bytes", "node_filesystem_size_bytes"):
        found = watched.prometheus.query("query", query=metric)["result"]
        assert found and all(float(series["value"][1]) > 0 for series in found if metric.endswith("_up"))


@pytest.mark.contract("O12")
def test_rules_work_and_an_alert_reaches_its_receiver(watched: Watched, observatory: Observatory) -> None:
    groups = watched.prometheus.query("rules")["groups"]
    assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}
    until = deadline(20)
    while not (alerts := _received(observatory, "DeadLetters")):
        assert time.monotonic() < until
        time.sleep(0.2)
    assert [receiver["name"] for receiver in alerts[0]["receivers"]] == ["ticket"]
    assert alerts[0]["labels"]["topic"] == "patient.updated"


def _received(observatory: Observatory, name: str) -> list[dict[str, Any]]:
    alerts = observatory.alertmanager.get("/api/v2/alerts").json()
    return [alert for alert in alerts if alert["labels"]["alertname"] == name]
