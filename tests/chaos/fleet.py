"""The five services as processes of their own, on one PostgreSQL that a test may treat as it likes."""

import asyncio
import contextlib
import os
import secrets
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc.aio
import httpx2 as httpx
import orjson
from chassis.testing import JWT_SECRET, eventually, free_port, token
from healthcare_contracts.billing_service_pb2 import CreateAccountRequest
from healthcare_contracts.billing_service_pb2_grpc import BillingServiceStub
from hpctl.embedded.process import dying_with_parent

from tests.chaos.fullwal import SmallWal
from tests.chaos.topics import Topics

PORTS = {
    "auth": "AUTH_SERVICE_PORT",
    "patient": "PATIENT_SERVICE_PORT",
    "appointment": "APPOINTMENT_SERVICE_PORT",
    "billing": "BILLING_SERVICE_HTTP_PORT",
    "analytics": "ANALYTICS_SERVICE_PORT",
}
LOGIN = {"email": "admin@example.com", "password": "correct horse battery"}
DURING = 12
"""Events of each kind that are sent while a fault lasts."""


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


class Fleet:
    """Start with `launch` and `up`; the address of a service is `urls[name]`."""

    def __init__(self, folder: Path, server: SmallWal, environ: dict[str, str]) -> None:
        self.server = server
        self.passwords = {f"{name}_service": secrets.token_hex(8) for name in PORTS}
        server.create_databases(self.passwords)
        self._folder = folder
        self.prefix = environ["KAFKA_TOPIC_PREFIX"]
        self.topics = Topics(environ["KAFKA_BOOTSTRAP_SERVERS"])
        self._ports = {variable: str(free_port()) for variable in (*PORTS.values(), "BILLING_SERVICE_GRPC_PORT")}
        self.urls = {name: f"http://127.0.0.1:{self._ports[variable]}" for name, variable in PORTS.items()}
        self.grpc = f"127.0.0.1:{self._ports['BILLING_SERVICE_GRPC_PORT']}"
        self._environ = environ | self._ports | self._settings()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def _settings(self) -> dict[str, str]:
        return {
            "APP_ENV": "development",
            "HOST": "127.0.0.1",
            "JWT_SECRET": JWT_SECRET,
            "SHUTDOWN_DRAIN_SECONDS": "0",
            "BILLING_SERVICE_ADDRESS": self.grpc,
            "DATABASE_TIMEOUT_SECONDS": "2",
            "DATABASE_POOL_SIZE": "5",
            "DDL_AUTO": "update",
            "ADMIN_EMAIL": LOGIN["email"],
            "ADMIN_PASSWORD": LOGIN["password"],
            "PATH": os.environ["PATH"],
        }

    def launch(self) -> None:
        for name in PORTS:
            role = f"{name}_service"
            own = {
                "DATABASE_URL": f"postgresql://127.0.0.1:{self.server.port}/{role}",
                "DATABASE_USER": role,
                "DATABASE_PASSWORD": self.passwords[role],
            }
            with (self._folder / f"{name}.log").open("wb") as log:
                self.processes[name] = subprocess.Popen(
                    dying_with_parent([sys.executable, "-m", role]),
                    env=self._environ | own,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(30)

    def each_role(self, sql: str) -> str:
        """The statement for each role or database, which share a name; `{}` and `{password}` are filled in."""
        return "".join(sql.format(role, password=password) + ";" for role, password in self.passwords.items())

    def log(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text()

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator["Client"]:
        headers = {"Authorization": f"Bearer {token('ADMIN')}"}
        async with (
            httpx.AsyncClient(headers=headers, timeout=20, verify=False) as http,
            grpc.aio.insecure_channel(self.grpc) as channel,
            self.topics.producer() as producer,
        ):
            yield Client(self, http, BillingServiceStub(channel), producer)  # type: ignore[no-untyped-call]


class Client:
    """What a test does with a fleet."""

    def __init__(self, fleet: Fleet, http: httpx.AsyncClient, billing: Any, producer: Any) -> None:
        self.fleet, self.http, self.billing, self.producer = fleet, http, billing, producer

    async def ask(self, method: str, service: str, path: str, body: Any = None) -> httpx.Response:
        return await self.http.request(method, self.fleet.urls[service] + path, json=body)

    async def ready(self) -> bool:
        for service in PORTS:
            try:
                assert (await self.ask("GET", service, "/actuator/health/readiness")).status_code == 200
            except httpx.TransportError:
                return False
        return True

    async def register(self) -> httpx.Response:
        body = {"name": "Before", "address": "1 Road", "dateOfBirth": "1990-01-01"}
        return await self.ask("POST", "patient", "/patients", body | {"email": f"{uuid.uuid4().hex}@example.com"})

    async def book(self, patient: str) -> httpx.Response:
        times = {"startTime": "2031-05-20T09:00:00", "endTime": "2031-05-20T09:30:00"}
        return await self.ask("POST", "appointment", "/appointments", {"patientId": patient, **times})

    async def name_at(self, appointment: str) -> str | None:
        answer = await self.ask("GET", "appointment", f"/appointments/{appointment}")
        return (answer.json().get("patient") or {}).get("name") if answer.status_code == 200 else None

    async def open_account(self) -> int:
        """The HTTP status that stands for the answer of gRPC."""
        request = CreateAccountRequest(patientId=str(uuid.uuid4()), name="Jane", email="jane@example.com")
        try:
            await self.billing.CreateAccount(request, timeout=10)
        except grpc.aio.AioRpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise
            return 503
        return 200

    async def writes(self, patient: str) -> dict[str, int]:
        """One write of each kind, at once; what each was answered. No 5xx but 503, and that with Retry-After."""
        asked = {
            "register": self.register(),
            "book": self.book(patient),
            "log in": self.ask("POST", "auth", "/auth/login", LOGIN),
            "enrol": self.ask("POST", "auth", "/auth/register", LOGIN | {"email": f"{uuid.uuid4().hex}@example.com"}),
            "delete": self.ask("DELETE", "patient", f"/patients/{uuid.uuid4()}"),
        }
        answers = dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))
        for what, answer in answers.items():
            assert answer.status_code < 500 or answer.status_code == 503, (what, answer.status_code, answer.text)
            assert "retry-after" in answer.headers or answer.status_code != 503, what
        statuses = {what: answer.status_code for what, answer in answers.items() if what != "delete"}
        return statuses | {"open account": await self.open_account()}

    async def tell(self, topic: str, patient: str, **data: Any) -> None:
        """An event as the services send them, by a producer that no fault concerns."""
        kind = data.pop("type", topic)
        event = {
            "eventId": str(uuid.uuid4()),
            "type": kind,
            "occurredAt": _now(),
            "data": {"patientId": patient, **data},
        }
        await self.producer.send(self.fleet.prefix + topic, orjson.dumps(event), key=patient.encode())

    async def tell_much(self, patient: str, name: str, version: int) -> list[str]:
        """A new name of the patient, and many other events for all who listen; the patients that want accounts."""
        person = {"email": "jane@example.com", "address": "1 Road", "dateOfBirth": "1990-01-01"}
        await self.tell("patient.updated", patient, **person, name=name, version=version)
        strangers = [str(uuid.uuid4()) for _ in range(DURING)]
        for stranger in strangers:
            await self.tell("patient.created", stranger, **person, name="Stranger", version=1)
            asks = {"type": "billing.account.requested", "name": "Stranger", "email": "jane@example.com"}
            await self.tell("billing-account", stranger, **asks)
        await self.producer.flush()
        return strangers

    async def counted(self, kind: str) -> int:
        answer = await self.ask("GET", "analytics", "/analytics/summary")
        assert answer.status_code == 200, answer.text
        return int(answer.json()["byType"].get(kind, 0))

    async def dead_letters(self) -> dict[str, list[bytes]]:
        async with self.fleet.topics.producer() as producer:
            known = await producer.client.fetch_all_metadata()
            ours = [name for name in known.topics() if name.startswith(self.fleet.prefix) and name.endswith(".dlq")]
            assert ours, "the consumers of this fleet have made no dead-letter topic"
            return await self.fleet.topics.filled(ours)


async def settle(check: Any, until: float) -> None:
    """`eventually`, with the time at which it has to be so."""
    await eventually(check, within=max(0.1, until - time.monotonic()), every=0.1)
