"""docker-compose.yml on a real engine: it comes up, works, keeps its data, and forgets it when told to."""

import asyncio
import json
import os
import time

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from hpctl.layout import ROOT, SERVICES
from hpctl.walkthrough import walk
from redis import Redis

from tests.compose.platform import Compose

ODD = 'p@s"s\\w/o:r d%'
PATIENT = {
    "name": "Compose Patient",
    "email": "compose.patient@example.com",
    "address": "1 Volume Street",
    "dateOfBirth": "1990-01-01",
}


@pytest.mark.contract("X01", "X02", "X03", "X04", "C08", "D11", "A08", "A09", "A10", "A11", "A14", "A15")
async def test_it_comes_up_works_restarts_and_resets(compose: Compose, measured: dict[str, str]) -> None:
    await _comes_up(compose, measured)
    walk(compose.layout())
    await _databases(compose)
    _cache(compose)
    await _broker(compose)
    _rights(compose)
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


def _created(compose: Compose) -> str:
    with compose.client() as http:
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
    with compose.client() as http:
        assert http.get(f"/api/patients/{patient}").json()["email"] == PATIENT["email"]
    walk(compose.layout())


def _is_restored(compose: Compose, patient: str) -> None:
    """docs/backup.md's lines as they stand; between the first and the others the patient is deleted."""
    page = (ROOT / "docs" / "backup.md").read_text().partition("## Compose")[2]
    dump, *restore = page.partition("```bash\n")[2].partition("```")[0].splitlines()
    compose.shell(dump)
    with compose.client() as http:
        assert http.delete(f"/api/patients/{patient}").status_code == 204
        assert http.get(f"/api/patients/{patient}").status_code == 404
    for line in restore:
        compose.shell(line)
    compose.up("patient-service")
    with compose.client() as http:
        assert http.get(f"/api/patients/{patient}").json()["email"] == PATIENT["email"]


async def _resets(compose: Compose, patient: str) -> None:
    compose.run("--profile", "*", "down", "-v")
    left = compose.engine.docker("volume", "ls", "-q", "--filter", "name=healthcare_").stdout.split()
    assert left == []
    compose.set("REDIS_PASSWORD", ODD)
    compose.up("patient-service", "auth-service", "api-gateway")
    with Redis(port=compose.port("REDIS_PORT"), password=ODD) as redis:
        assert redis.ping()
    with compose.client() as http:
        assert http.get(f"/api/patients/{patient}").status_code == 404
