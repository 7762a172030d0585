"""A stack from `up` to `reset`: what it serves, and what it survives."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from hpctl.layout import SERVICES, Service
from redis.asyncio import Redis

from hpctl import state


@pytest.mark.contract("A01", "A02", "A03", "A04", "A05", "A07")
@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_each_service_answers_on_its_port(running, service: Service):
    port = running.layout.port(service.port)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/actuator/health", timeout=5) as answer:
        assert answer.status == 200


@pytest.mark.contract("A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A09", "A15")
def test_the_documented_ports_are_the_defaults(running):
    from hpctl.layout import Layout

    expected = {
        "PATIENT_SERVICE_PORT": 4000,
        "APPOINTMENT_SERVICE_PORT": 4006,
        "ANALYTICS_SERVICE_PORT": 4002,
        "API_GATEWAY_PORT": 4004,
        "AUTH_SERVICE_PORT": 4005,
        "BILLING_SERVICE_GRPC_PORT": 9001,
        "BILLING_SERVICE_HTTP_PORT": 4001,
        "REDIS_PORT": 6379,
        "KAFKA_PORT": 9092,
        "KAFKA_EXTERNAL_PORT": 9094,
        "KAFKA_CONTROLLER_PORT": 9093,
        "PATIENT_DB_PORT": 5001,
        "AUTH_DB_PORT": 5002,
        "BILLING_DB_PORT": 5003,
        "APPOINTMENT_DB_PORT": 5004,
        "ANALYTICS_DB_PORT": 5006,
    }
    assert {name: Layout(0, {}).port(name) for name in expected} == expected
    http = {service.port for service in SERVICES}
    assert {name: running.layout.port(name) - running.offset for name in http} == {
        name: expected[name] for name in http
    }


@pytest.mark.contract("A08")
async def test_redis_is_of_level_7(running):
    port, password = running.layout.port("REDIS_PORT"), state.password(running.layout, "valkey")
    async with Redis(host="127.0.0.1", port=port, password=password) as client:
        assert (await client.info("server"))["redis_version"].startswith("7.")


@pytest.mark.contract("A09", "A10")
async def test_kafka_is_one_kraft_node_reached_by_both_listeners(running):
    inside = f"127.0.0.1:{running.layout.port('KAFKA_PORT')}"
    outside = f"127.0.0.1:{running.layout.port('KAFKA_EXTERNAL_PORT')}"
    admin = AIOKafkaAdminClient(bootstrap_servers=inside)
    await admin.start()
    cluster = await admin.describe_cluster()
    await admin.create_topics([NewTopic("listeners", 1, 1)])
    await admin.close()
    assert [broker["node_id"] for broker in cluster["brokers"]] == [0]
    assert cluster["controller_id"] == 0
    settings = (running.layout.directory / "kafka" / "server.properties").read_text()
    assert "process.roles=broker,controller\n" in settings
    assert f"controller.quorum.voters=0@127.0.0.1:{running.layout.port('KAFKA_CONTROLLER_PORT')}\n" in settings
    async with AIOKafkaProducer(bootstrap_servers=inside) as producer:
        await producer.send_and_wait("listeners", b"from inside")
    async with AIOKafkaConsumer(
        "listeners", bootstrap_servers=outside, auto_offset_reset="earliest", group_id="outside"
    ) as consumer:
        assert (await consumer.getone()).value == b"from inside"


@pytest.mark.contract("A14", "A15")
@pytest.mark.parametrize("service", [s for s in SERVICES if s.database_port], ids=lambda service: service.name)
async def test_each_database_has_its_port_its_role_and_nobody_elses(running, service: Service):
    other = next(each for each in SERVICES if each.database_port and each != service)
    where = {"host": "127.0.0.1", "port": running.layout.port(service.database_port), "user": service.database}
    where["password"] = state.password(running.layout, service.database)
    connection = await asyncpg.connect(**where, database=service.database)
    assert await connection.fetchval("SELECT current_setting('server_version_num')::int") >= 150000
    assert await connection.fetchval(
        "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = $1", service.database
    )
    await connection.close()
    with pytest.raises(asyncpg.PostgresError):
        await asyncpg.connect(**where, database=other.database)


def test_a_second_up_is_quick_and_says_what_runs(running):
    began = time.monotonic()
    up = running.hpctl("up")
    assert time.monotonic() - began < 12
    assert up.returncode == 0
    assert "already running" in up.stdout
    for service in SERVICES:
        assert service.name in up.stdout
    assert str(running.layout.port("API_GATEWAY_PORT")) in up.stdout


def test_status_is_readable_by_programs(running):
    done = running.hpctl("status", "--json")
    assert done.returncode == 0
    body = json.loads(done.stdout)
    listed = body.pop("processes")
    assert isinstance(body.pop("otherOffsets"), list)
    expected = {"offset": running.offset, "running": True, "ready": True, "gateway": running.layout.gateway}
    assert body == expected | {"diskFull": False}
    servers = {"postgres", "valkey", "kafka", "database-doors"}
    assert sorted(each["name"] for each in listed) == sorted({service.name for service in SERVICES} | servers)
    for each in listed:
        kinds = {name: type(value) for name, value in each.items()}
        shape = {"name": str, "pid": int, "ports": list, "health": str, "restarts": int, "memory_mib": float}
        assert kinds == shape
        assert each["health"] == "UP"
        assert each["ports"]
        assert all(type(port) is int for port in each["ports"])


def test_logs_are_printed_for_one_process_or_all(running):
    assert "== patient-service" in running.hpctl("logs").stdout
    one = running.hpctl("logs", "patient-service", "-n", "3").stdout
    assert 1 <= len(one.splitlines()) <= 3


def test_logs_are_narrowed_to_a_request_a_level_and_a_time(running):
    request = "narrowed-to-this-request"
    url = f"{running.layout.gateway}/api/patients"
    with contextlib.suppress(urllib.error.HTTPError):
        urllib.request.urlopen(urllib.request.Request(url, headers={"X-Request-ID": request}), timeout=10)
    narrowed = running.eventually(lambda: running.hpctl("logs", "--request-id", request).stdout)
    lines = [json.loads(line) for line in narrowed.splitlines() if not line.startswith("== ")]
    assert {line["requestId"] for line in lines} == {request}
    assert running.hpctl("logs", "--request-id", request, "--since", "2999-01-01").stdout == ""
    assert running.hpctl("logs", "--request-id", request, "--level", "critical").stdout == ""
    assert running.hpctl("logs", "--since", "yesterday").returncode == 2


def test_everything_is_readable_by_its_owner_only(running):
    """Databases, Kafka's log and logs hold people's names."""
    everything = [running.layout.directory, *running.layout.directory.rglob("*")]
    assert [path for path in everything if path.exists() and path.stat().st_mode & 0o077] == []


def test_status_names_the_stacks_at_other_offsets(running):
    other = running.beside()
    assert f"another stack runs: PORT_OFFSET={running.offset} hpctl status" in other.hpctl("status").stdout
    assert running.offset in json.loads(other.hpctl("status", "--json").stdout)["otherOffsets"]


@pytest.mark.parametrize("name", ["patient-service", "kafka", "postgres", "valkey", "database-doors"])
def test_what_is_killed_comes_back(running, name):
    before = running.process(name)
    os.kill(before.pid, signal.SIGKILL)
    after = running.eventually(lambda: (now := running.process(name)).pid not in (None, before.pid) and now)
    assert after.restarts > before.restarts
    running.eventually(running.well)


def test_a_killed_supervisor_takes_everything_along_and_up_starts_again(running):
    found = state.running(running.layout)
    processes = [process.find() for process in found.processes]
    os.kill(found.supervisor.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs([each for each in processes if each], timeout=10)
    assert alive == []
    assert running.hpctl("status").returncode == 1
    up = running.hpctl("up")
    assert up.returncode == 0, up.stdout + up.stderr
    assert running.well()


def test_down_keeps_the_data_and_reset_forgets_it_beside_another_stack(running):
    second = running.beside()
    up = second.hpctl("up")
    assert up.returncode == 0, up.stdout + up.stderr
    assert running.well()
    assert second.well()
    secret = state.password(second.layout, "valkey")
    assert second.hpctl("down").stdout == "stopped\n"
    assert state.password(second.layout, "valkey") == secret
    assert running.well()
    assert second.hpctl("reset").returncode == 0
    assert not second.layout.directory.exists()
    assert running.well()


@pytest.mark.contract("X10")
def test_the_walkthrough_prints_each_step(running):
    demo = running.hpctl("demo")
    assert demo.returncode == 0, demo.stdout + demo.stderr
    told = [line for line in demo.stdout.splitlines() if line.startswith("✓ ")]
    steps = ["log in", "create", "update", "book", "read it enriched", "see the billing account", "count"]
    assert [line.startswith(f"✓ {step}") for step, line in zip(steps, told, strict=True)] == [True] * len(steps)
    assert "Ada Lovelace" in told[4]
    assert "ACTIVE" in told[5]


def test_the_walkthrough_fails_where_the_platform_does(running):
    auth = psutil.Process(running.process("auth-service").pid)
    auth.suspend()
    try:
        demo = running.hpctl("demo")
    finally:
        auth.resume()
    assert demo.returncode == 1
    assert len(demo.stderr.splitlines()) == 1
    assert "/auth/login" in demo.stderr


@pytest.mark.contract("A06")
async def test_billing_speaks_grpc_with_the_standard_health_service(running):
    import grpc

    request = b""  # HealthCheckRequest: the server as a whole
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.layout.port('BILLING_SERVICE_GRPC_PORT')}") as channel:
        answer = await channel.unary_unary("/grpc.health.v1.Health/Check")(request, timeout=20)
    assert answer == b"\x08\x01"  # status: SERVING


@pytest.mark.contract("E11")
async def test_poison_is_put_aside_for_each_group_and_can_be_discarded(running):
    servers, dead = f"127.0.0.1:{running.layout.port('KAFKA_PORT')}", "patient.updated.appointments-cg.dlq"
    running.hpctl("dlq", "discard", dead)  # what other tests put there
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        await producer.send_and_wait("patient.updated", b"\xff not json", key=b"poison")

    def listed() -> int:
        lines = [line.split() for line in running.hpctl("dlq", "list").stdout.splitlines()]
        return next(int(line[1]) for line in lines if line[0] == dead)

    assert running.eventually(listed) == 1
    shown = running.hpctl("dlq", "show", dead).stdout
    assert "dead-letter-group: appointments-cg" in shown
    assert "not json" not in shown.replace("is not JSON", "")
    assert running.hpctl("dlq", "discard", dead).stdout == f"discarded 1 of {dead}\n"


def test_the_services_together_stay_small(running):
    names = {service.name for service in SERVICES}
    assert sum(row.memory_mib or 0 for row in running.rows() if row.name in names) <= 250


async def test_a_token_comes_from_a_login(running):
    done = running.hpctl("token")
    assert done.returncode == 0
    assert done.stdout.count(".") == 2
    assert running.hpctl("token", "--password", "not this one").returncode == 1


@pytest.mark.contract("X14")
def test_a_wrong_setting_is_one_sentence_naming_it_and_leaves_nothing_running(running):
    second = running.beside()
    up = second.hpctl("up", RATE_LIMITS="nonsense")
    assert up.returncode == 1
    assert len(up.stderr.splitlines()) == 1
    assert "api-gateway: RATE_LIMITS" in up.stderr
    assert second.rows() == []
    assert second.hpctl("reset").returncode == 0


def test_in_the_foreground_an_interrupt_stops_the_stack(running):
    second = running.beside()
    environ = os.environ | {"PORT_OFFSET": str(second.offset)}
    command = [sys.executable, "-m", "hpctl", "up", "--foreground"]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job, and its child, would ignore it
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        second.eventually(second.well)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert second.rows() == []
    assert second.hpctl("reset").returncode == 0
