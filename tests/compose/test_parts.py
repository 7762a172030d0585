"""docker-compose.yml on a real engine, in part: one service, other files, moved ports."""

import json
import re
from pathlib import Path

import pytest
from hpctl.layout import PORTS, ROOT, SERVICES

from tests.compose.platform import Compose


@pytest.mark.contract("A18")
def test_one_service_brings_what_it_needs_and_nothing_else(compose: Compose) -> None:
    compose.up("billing-service")
    running = set(compose.engine.docker("ps", "-a", "--format", "{{.Names}}").stdout.split())
    migrations = "healthcare-billing-service-migrations-1"
    assert running == {"billing-service", "billing-service-db", "kafka", migrations}


@pytest.mark.contract("X04", "D11")
def test_directories_outlive_down_with_volumes(compose: Compose, tmp_path: Path) -> None:
    text = (ROOT / "docker-compose.bind.yml").read_text()
    assert sorted(re.findall(r"\./databases/([a-z-]+):", text)) == sorted(
        f"{service.name}-db" for service in SERVICES if service.database_port
    )
    moved = tmp_path / "docker-compose.bind.yml"
    moved.write_text(text.replace("./databases", f"{tmp_path}/databases"))
    compose.files = ("docker-compose.yml", str(moved))
    psql = ["exec", "-T", "patient-service-db", "psql", "-U", "admin_user", "-d", "db", "-Atc"]
    compose.up("patient-service-db")
    compose.run(*psql, "CREATE TABLE kept AS SELECT 42 AS answer")
    compose.run("down", "-v")
    assert (tmp_path / "databases" / "patient-service-db" / "PG_VERSION").exists()
    compose.up("patient-service-db")
    assert compose.run(*psql, "SELECT answer FROM kept").stdout.strip() == "42"


def test_the_offset_moved_every_port(compose: Compose) -> None:
    published = json.loads(compose.run("config", "--format", "json").stdout)["services"]
    hosts = {int(port["published"]) for service in published.values() for port in service.get("ports", [])}
    assert hosts == {PORTS[name] + compose.offset for name in PORTS if name != "KAFKA_CONTROLLER_PORT"}
