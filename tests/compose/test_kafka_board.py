"""What Kafka's exporter tells on the dashboard: the real one, with the configuration of docker-compose.yml, before the
embedded platform. It is made of Rust and compiled for the stand-ins anyway, so its panels are looked at here."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx2 as httpx
import pytest
from hpctl.embedded.process import Server, dying_with_parent
from hpctl.layout import Layout

from tests.conftest import ROOT, Stack
from tests.engine.programs import kafka_exporter
from tests.monitoring import live, trouble
from tests.monitoring.expressions import of_kafkas_exporter
from tests.monitoring.observatory import Prometheus, Watched

CONFIGURATION = ROOT / "monitoring" / "kafka-exporter.toml"
BOARD = json.loads((ROOT / "monitoring" / "grafana" / "dashboards" / "kafka.json").read_text())
QUERIES = [
    pytest.param(target["expr"], id=panel["title"])
    for panel in BOARD["panels"]
    for target in panel.get("targets", ())
    if of_kafkas_exporter(target["expr"])
]

STANDS_STILL = (
    ("kafka_consumergroup_group_sum_lag", "> 0"),
    ("kafka_consumergroup_group_max_lag_seconds", "> 0"),
    ("kafka_consumergroup_group_state", "!= 3"),
)
PATIENCE = 240


class Exporter(Server):
    """klag-exporter; it asks every other second instead of every fifteen."""

    name = "klag-exporter"

    def __init__(self, directory: Path, brokers: str) -> None:
        super().__init__(directory)
        self._brokers = brokers

    def prepare(self) -> None:
        """Writes the configuration."""
        changes = {r'poll_interval = "\w+"': 'poll_interval = "2s"', r"http_port = \d+": f"http_port = {self.port}"}
        text = CONFIGURATION.read_text()
        for old, new in changes.items():
            text, found = re.subn(old, new, text)
            assert found == 1, old
        (self.directory.parent / "klag.toml").write_text(text)

    def command(self) -> list[str]:
        return dying_with_parent([str(kafka_exporter()), "--config", str(self.directory.parent / "klag.toml")])

    def environment(self) -> Mapping[str, str]:
        return {"KAFKA_BOOTSTRAP_SERVERS": self._brokers}

    def answers(self) -> bool:
        try:
            return self.up() == 1
        except httpx.TransportError:
            return False

    def up(self) -> int:
        """Whether the brokers answer it, as it says."""
        text = httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=10).text
        return int(re.search(r"^kafka_lag_exporter_up (\d)", text, re.MULTILINE)[1]) if "kafka_lag" in text else 0


@pytest.fixture(scope="module")
def watched(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A day in Kafka's life: work, a group whose process hangs while others work, and brokers that hang."""
    directory = tmp_path_factory.mktemp("kafka")
    exporter = Exporter(directory / "exporter", f"127.0.0.1:{Layout(stack.offset).port('KAFKA_PORT')}")
    prometheus = Prometheus(directory)
    targets = [{"targets": [f"127.0.0.1:{exporter.port}"]}]
    prometheus.configuration = {"scrape_configs": [{"job_name": "kafka", "static_configs": targets}]}

    def seen(*conditions: str) -> bool:
        return all(prometheus.query("query", query=each)["result"] for each in conditions)

    try:
        exporter.start()
        prometheus.start()
        trouble.wait_for(lambda: seen("kafka_lag_exporter_up == 1"), PATIENCE)
        since = time.time()
        with stack.client() as client:
            live.work(stack, client)

            def waits() -> bool:
                client.post("/api/patients", json=live.a_patient())
                return seen(*(f'{each[0]}{{group="analytics-service"}} {each[1]}' for each in STANDS_STILL))

            with trouble.stopped(trouble.pid_of(stack, "analytics-service")):
                trouble.wait_for(waits, PATIENCE)
        with trouble.stopped(trouble.pid_of(stack, "kafka")):
            trouble.wait_for(lambda: seen("kafka_lag_exporter_up == 0"), PATIENCE)
        trouble.wait_for(lambda: seen("kafka_lag_exporter_up == 1"), PATIENCE)
        yield Watched(prometheus, since, time.time())
    finally:
        prometheus.stop()
        exporter.stop()


@pytest.mark.contract("O10")
@pytest.mark.parametrize("expression", QUERIES)
def test_every_query_of_the_exporter_moves_with_what_happens(watched: Watched, expression: str) -> None:
    assert watched.moves(expression)


def test_what_stands_still_would_be_noticed(watched: Watched) -> None:
    assert not watched.moves("kafka_lag_exporter_data_loss_partitions_total")
    assert not watched.moves('kafka_consumergroup_group_state{group="nobody"}')
