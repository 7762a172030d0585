"""The process: ports, probes, reflection, migrations, and life without its neighbours."""

import asyncio
import os
import signal
import sys
import uuid
from typing import Any

import asyncpg
import grpc.aio
import orjson
import pytest
from billing_service.main import create_app
from billing_service.models import TABLES
from billing_service.settings import Settings
from chassis import rpc
from chassis.migrations import Migrations
from chassis.testing import eventually, free_port
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub
from healthcare_contracts.billing_service_pb2 import CreateAccountRequest
from healthcare_contracts.billing_service_pb2_grpc import BillingServiceStub


@pytest.mark.contract("A06", "A07")
def test_the_ports_are_4001_and_9001_unless_told_otherwise() -> None:
    assert Settings.from_environ({}).port == 4001
    assert Settings.from_environ({}).billing_service_grpc_port == 9001
    moved = Settings.from_environ({"BILLING_SERVICE_HTTP_PORT": "5001", "BILLING_SERVICE_GRPC_PORT": "5002"})
    assert (moved.port, moved.billing_service_grpc_port) == (5001, 5002)


@pytest.mark.contract("A06")
@pytest.mark.parametrize("service", ["", "billing.BillingService"])
async def test_grpc_answers_the_standard_health_check(billing: Any, service: str) -> None:
    answer = await HealthStub(billing.channel).Check(HealthCheckRequest(service=service), timeout=5)
    assert answer.status == HealthCheckResponse.SERVING


@pytest.mark.contract("A07", "O01")
async def test_http_tells_health_with_its_components(billing: Any) -> None:
    async def all_up() -> bool:
        answer = await billing.http.get("/actuator/health")
        assert answer.status_code == 200
        body = answer.json()
        assert body["status"] == "UP"
        assert {"db", "kafka", "consumer", "relay", "grpc"} <= body["components"].keys()
        return all(component["status"] == "UP" for component in body["components"].values())

    await eventually(all_up, within=30)


@pytest.mark.contract("O02", "O03", "O04")
@pytest.mark.parametrize("page", ["metrics", "prometheus", "info"])
async def test_the_operators_pages_are_there(billing: Any, page: str) -> None:
    assert (await billing.http.get(f"/actuator/{page}")).status_code == 200


async def asked(channel: Any, request: ServerReflectionRequest) -> Any:
    call = ServerReflectionStub(channel).ServerReflectionInfo(timeout=5)
    await call.write(request)
    await call.done_writing()
    return await call.read()


@pytest.mark.contract("B01", "B02")
async def test_the_served_descriptor_is_the_promised_one(billing: Any) -> None:
    answer = await asked(billing.channel, ServerReflectionRequest(file_containing_symbol="billing.BillingService"))
    [raw] = answer.file_descriptor_response.file_descriptor_proto
    file = FileDescriptorProto.FromString(raw)
    assert (file.syntax, file.package) == ("proto3", "billing")
    messages = {m.name: [(f.name, f.number, f.type) for f in m.field] for m in file.message_type}
    text = 9  # FieldDescriptorProto.TYPE_STRING
    assert messages == {
        "CreateAccountRequest": [("patientId", 1, text), ("email", 2, text), ("name", 3, text)],
        "CreateAccountResponse": [("accountId", 1, text), ("status", 2, text)],
    }
    [service] = file.service
    [method] = service.method
    assert (service.name, method.name) == ("BillingService", "CreateAccount")
    assert (method.input_type, method.output_type) == (
        ".billing.CreateAccountRequest",
        ".billing.CreateAccountResponse",
    )
    assert not method.client_streaming
    assert not method.server_streaming


async def test_reflection_can_be_switched_off(start: Any) -> None:
    async with start(GRPC_REFLECTION_ENABLED="false") as billing:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asked(billing.channel, ServerReflectionRequest(list_services=""))
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.contract("A18")
async def test_it_serves_without_kafka_and_says_so(start: Any) -> None:
    async with start(KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}") as billing:
        patient = uuid.uuid4()
        assert (await billing.create(patient)).status == "CREATED"
        assert (await billing.account(patient))["status"] == "ACTIVE"
        answer = await billing.http.get("/actuator/health")
        assert answer.status_code == 200
        assert answer.json()["components"]["kafka"]["status"] == "DOWN"
        assert (await billing.http.get("/actuator/health/liveness")).status_code == 200


@pytest.mark.contract("O01")
async def test_without_its_database_it_is_down_and_says_unavailable(billing: Any, postgres: Any) -> None:
    patient = uuid.uuid4()
    postgres.kill()
    try:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await billing.create(patient)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert (await billing.http.get("/actuator/health")).status_code == 503
        assert (await billing.http.get("/actuator/health/liveness")).status_code == 200
    finally:
        postgres.start()

    async def back() -> bool:
        return (await billing.http.get("/actuator/health")).status_code == 200

    await eventually(back, within=20)
    assert (await billing.create(patient)).status == "CREATED"


async def test_accounts_survive_a_restart(start: Any) -> None:
    patient = uuid.uuid4()
    async with start() as billing:
        created = await billing.create(patient)
    async with start() as billing:
        assert (await billing.account(patient))["accountId"] == created.accountId


@pytest.mark.contract("A18")
async def test_sigterm_ends_the_process_in_order_and_every_answer_was_true(
    environ: dict[str, str], database_url: str
) -> None:
    http_port, grpc_port = free_port(), free_port()
    ports = {"BILLING_SERVICE_HTTP_PORT": str(http_port), "BILLING_SERVICE_GRPC_PORT": str(grpc_port)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "billing_service", env=os.environ | environ | ports, stdout=asyncio.subprocess.PIPE
    )
    created: list[str] = []
    try:
        async with rpc.channel(f"127.0.0.1:{grpc_port}") as channel:
            stub = BillingServiceStub(channel)

            async def create() -> bool:
                request = CreateAccountRequest(patientId=str(uuid.uuid4()), email="jane@example.com", name="Jane")
                try:
                    created.append((await stub.CreateAccount(request, timeout=5)).accountId)
                except grpc.aio.AioRpcError as error:
                    if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                        raise
                    return False
                return True

            await eventually(create, within=60, every=0.1)
            process.send_signal(signal.SIGTERM)
            while await create():
                pass
        lines, _ = await asyncio.wait_for(process.communicate(), 20)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0
    assert [orjson.loads(line)["service"] for line in lines.splitlines()], "no log line"
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch("SELECT id::text FROM billing_account WHERE id = ANY($1::uuid[])", created)
    finally:
        await connection.close()
    assert {row["id"] for row in rows} == set(created)


@pytest.mark.contract("X13")
async def test_the_migrations_make_what_the_models_say_and_go_back(database_environ: dict[str, str]) -> None:
    migrations = Migrations(Settings.from_environ(database_environ), "billing_service")
    await migrations.migrate()
    assert await migrations.differences(TABLES) == []
    await migrations.downgrade("base")
    await migrations.migrate()
    assert await migrations.differences(TABLES) == []


@pytest.mark.contract("S11")
async def test_the_openapi_document_names_the_read(billing: Any) -> None:
    document = (await billing.http.get("/openapi.json")).json()
    assert "/billing/accounts/{patientId}" in document["paths"]
    assert create_app(Settings.from_environ(billing.environ)).title == "billing-service"
