"""docker-compose.yml on a real engine: it comes up, works, keeps its data, and forgets it when told to."""

import asyncio
import json
import os
import re
import time
from typing import Any

import asyncpg
import httpx2 as httpx
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from chassis.testing import eventually
from hpctl.layout import ROOT, SERVICES
from hpctl.walkthrough import login, walk
from redis import Redis

from tests.compose.platform import Compose
from tests.engine.standins import UNPROVEN

MONITORING = ("prometheus", "alertmanager", "redis-exporter", "postgres-exporter", "node-exporter")
ODD = 'p@s"s\\w/o:r d%'
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
    _the_command_line(compose)
    await _restarts(compose, created, measured)
    _is_restored(compose, created)
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


def _the_command_line(compose: Compose) -> None:
    """The image `hpctl`, beside the gateway."""
    rights = ["--read-only", "--cap-drop=ALL", "--network=container:api-gateway"]
    assert compose.engine.docker("run", "--rm", *rights, "hpctl:latest", "demo").returncode == 0


async def _restarts(compose: Compose, patient: str, measured: dict[str, str]) -> None:
    names = [service.name for service in SERVICES]
    compose.run("stop", *names)
    ends = compose.engine.docker("inspect", "--format", "{{.State.ExitCode}}", *names).stdout.split()
    assert ends == ["0"] * len(names)  # each heard SIGTERM, and none had to be killed
    compose.run("--profile", "*", "down")
    began = time.monotonic()
    compose.up()
    measured["up -d --wait, again"] = f"{time.monotonic() - began:.0f} s"
    with client(compose) as http:
        assert http.get(f"/api/patients/{patient}").json()["email"] == PATIENT["email"]
    walk(compose.layout())


def _is_restored(compose: Compose, patient: str) -> None:
    """docs/backup.md's lines as they stand; between the first and the others the patient is deleted."""
    page = (ROOT / "docs" / "backup.md").read_text().partition("## Compose")[2]
    dump, *restore = page.partition("```bash\n")[2].partition("```")[0].splitlines()
    compose.shell(dump)
    with client(compose) as http:
        assert http.delete(f"/api/patients/{patient}").status_code == 204
        assert http.get(f"/api/patients/{patient}").status_code == 404
    for line in restore:
        compose.shell(line)
    compose.up("patient-service")
    with client(compose) as http:
        assert http.get(f"/api/patients/{patient}").json()["email"] == PATIENT["email"]


async def _resets(compose: Compose, patient: str) -> None:
    compose.run("--profile", "*", "down", "-v")
    left = compose.engine.docker("volume", "ls", "-q", "--filter", "name=healthcare_").stdout.split()
    assert left == []
    compose.set("REDIS_PASSWORD", ODD)
    compose.up("patient-service", "auth-service", "api-gateway")
    with Redis(port=compose.port("REDIS_PORT"), password=ODD) as redis:
        assert redis.ping()
    with client(compose) as http:
        assert http.get(f"/api/patients/{patient}").status_code == 404
