"""docker-compose.yml on a real engine: it comes up, works, keeps its data, and forgets it when told to."""

import asyncio
import json
import os
import re
import time
from pathlib import Path
from typing import Any

import asyncpg
import httpx2 as httpx
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from chassis.testing import eventually
from hpctl.layout import PORTS, ROOT, SERVICES
from hpctl.walkthrough import login, walk
from redis import Redis

from tests.compose.platform import Compose
from tests.engine.standins import UNPROVEN

MONITORING = ("prometheus", "alertmanager", "redis-exporter", "postgres-exporter", "node-exporter")
PATIENT = {
    "name": "Compose Patient",
    "email": "compose.patient@example.com",
    "address": "1 Volume Street",
    "dateOfBirth": "1990-01-01",
}


def client(compose: Compose) -> httpx.Client:
    token = login(compose.layout(), "testuser@test.com", "password123")
    base = f"http://127.0.0.1:{compose.port('API_GATEWAY_PORT')}"
    return httpx.Client(base_url=base, timeout=15, headers={"Authorization": f"Bearer {token}"})


@pytest.mark.contract("X01", "X02", "X03", "X04", "C08", "D11", "A08", "A09", "A10", "A11", "A14", "A15")
async def test_it_comes_up_works_restarts_and_resets(compose: Compose, measured: dict[str, str]) -> None:
    await _comes_up(compose, measured)
    walk(compose.layout())
    await _databases(compose)
    _cache(compose)
    await _broker(compose)
    _rights(compose)
    await _monitoring(compose, measured)
    created = _created(compose)
    await _restarts(compose, created, measured)
    await _resets(compose, created)


async def _comes_up(compose: Compose, measured: dict[str, str]) -> None:
    load = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    began = time.monotonic()
    compose.up()
    seconds = time.monotonic() - began
    measured["up -d --wait"] = f"{seconds:.0f} s, at {load:.1f} times the load that this machine can carry"
    assert seconds <= 90 * load
    for variable in ("PATIENT_SERVICE_PORT", "APPOINTMENT_SERVICE_PORT", "AUTH_SERVICE_PORT"):
        curl = await asyncio.create_subprocess_exec(
            "curl", "-fsS", f"http://localhost:{compose.port(variable)}/actuator/health", stdout=asyncio.subprocess.PIPE
        )
        output, _ = await curl.communicate()
        assert curl.returncode == 0 and json.loads(output)["status"] == "UP"


async def _databases(compose: Compose) -> None:
    for service in SERVICES:
        if service.database_port:
            where = {"host": "127.0.0.1", "port": compose.port(service.database_port), "database": "db"}
            connection = await asyncpg.connect(**where, user="admin_user", password="password")
            assert await connection.fetchval("SHOW server_version_num") >= "150000"
            assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") > 0
            await connection.close()
            with pytest.raises(asyncpg.InvalidPasswordError):
                await asyncpg.connect(**where, user="admin_user", password="wrong")


def _cache(compose: Compose) -> None:
    port = compose.port("REDIS_PORT")
    with Redis(port=port, password="replace-me-secret") as redis:
        assert str(redis.info("server")["redis_version"]).startswith("7.")
    with Redis(port=port) as stranger, pytest.raises(Exception, match=r"(?i)auth"):
        stranger.ping()


async def _broker(compose: Compose) -> None:
    where = f"localhost:{compose.port('KAFKA_EXTERNAL_PORT')}"
    admin = AIOKafkaAdminClient(bootstrap_servers=where)
    try:
        await admin.start()
        await admin.create_topics([NewTopic("from.the.host", 1, 1)])
    finally:
        await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=where, acks="all") as producer:
        assert (await producer.send_and_wait("from.the.host", b"{}")).offset == 0
    written = compose.run("exec", "-T", "kafka", "cat", "/opt/kafka/config/server.properties").stdout
    properties = dict(line.split("=", 1) for line in written.splitlines() if "=" in line)
    assert properties["node.id"] == "0"
    assert set(properties["process.roles"].split(",")) == {"controller", "broker"}


def _rights(compose: Compose) -> None:
    names = [service.name for service in SERVICES]
    for container in json.loads(compose.engine.docker("inspect", *names).stdout):
        host = container["HostConfig"]
        assert container["Config"]["User"] == "10001:10001"
        assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and host["Memory"] > 0
        bound = [binding["HostIp"] for each in host["PortBindings"].values() for binding in each]
        assert set(bound) == {"127.0.0.1"}


async def _monitoring(compose: Compose, measured: dict[str, str]) -> None:
    """Beside the images that cannot be had; every other target of Prometheus is up."""
    compose.up(*MONITORING)
    prometheus = f"http://127.0.0.1:{compose.port('PROMETHEUS_PORT')}"
    assert httpx.get(f"{prometheus}/-/ready").status_code == 200

    def down() -> set[str]:
        targets: list[dict[str, Any]] = httpx.get(f"{prometheus}/api/v1/targets").json()["data"]["activeTargets"]
        assert {service.name for service in SERVICES} <= {target["labels"]["job"] for target in targets}
        return {target["labels"]["job"] for target in targets if target["health"] != "up"}

    allowed = {name.removesuffix("-exporter") for name in UNPROVEN}
    await eventually(lambda: down() <= allowed, within=60, every=1)
    stats = compose.engine.docker("stats", "--no-stream", "--format", "{{.MemUsage}}").stdout
    used = sum(_mebibytes(line.split(" / ")[0]) for line in stats.splitlines())
    measured["memory with monitoring, without the unproven"] = f"{used:.0f} MiB"
    assert used <= 2300


def _mebibytes(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)([A-Za-z]+)", text.strip()).groups()  # type: ignore[union-attr]
    return float(number) * {"B": 1 / 2**20, "KiB": 1 / 2**10, "MiB": 1, "GiB": 2**10}[unit]


def _created(compose: Compose) -> str:
    with client(compose) as http:
        answer = http.post("/api/patients", json=PATIENT)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])


async def _restarts(compose: Compose, patient: str, measured: dict[str, str]) -> None:
    compose.run("--profile", "*", "down")
    began = time.monotonic()
    compose.up()
    measured["up -d --wait, again"] = f"{time.monotonic() - began:.0f} s"
    with client(compose) as http:
        assert http.get(f"/api/patients/{patient}").json()["email"] == PATIENT["email"]
    walk(compose.layout())


async def _resets(compose: Compose, patient: str) -> None:
    compose.run("--profile", "*", "down", "-v")
    left = compose.engine.docker("volume", "ls", "-q", "--filter", "name=healthcare_").stdout.split()
    assert left == []
    compose.up("patient-service", "auth-service", "api-gateway")
    with client(compose) as http:
        assert http.get(f"/api/patients/{patient}").status_code == 404


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
