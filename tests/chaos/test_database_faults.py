"""Whatever PostgreSQL does, no service blames a message or a request for it, and all heals by itself within 10 s."""

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from chassis.testing import deadline
from prometheus_client.parser import text_string_to_metric_families

from tests.chaos.fleet import DURING, PORTS, Client, Fleet, settle
from tests.chaos.fullwal import SmallWal

pytestmark = pytest.mark.contract("Z01")

LASTS_SECONDS, HEALS_SECONDS = 4.0, 10.0
READ_ONLY = ("role is read-only", "server is read-only")
END_SESSIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> 'postgres' AND pid <> pg_backend_pid();"
)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, kafka_environ, redis_environ) -> Iterator[Fleet]:
    folder: Path = tmp_path_factory.mktemp("fleet")
    server = SmallWal(folder / "postgres")
    try:
        server.start()
        fleet = Fleet(folder, server, kafka_environ | redis_environ)
        fleet.launch()
        try:
            yield fleet
        finally:
            fleet.stop()
    finally:
        server.stop()


def by_sql(begin: str, end: str) -> Callable[[Fleet], contextlib.AbstractContextManager[None]]:
    """A fault of every role or database that the superuser makes, and takes back."""

    @contextlib.contextmanager
    def fault(fleet: Fleet) -> Iterator[None]:
        fleet.server.execute(fleet.each_role(begin) + END_SESSIONS)
        try:
            yield
        finally:
            fleet.server.execute(fleet.each_role(end))

    return fault


@contextlib.contextmanager
def read_only_server(fleet: Fleet) -> Iterator[None]:
    mine = "SET default_transaction_read_only = off;"
    fleet.server.execute(f"{mine} ALTER SYSTEM SET default_transaction_read_only = on; SELECT pg_reload_conf();")
    try:
        yield
    finally:
        fleet.server.execute(f"{mine} ALTER SYSTEM RESET default_transaction_read_only; SELECT pg_reload_conf();")


@contextlib.contextmanager
def full_log(fleet: Fleet) -> Iterator[None]:
    fleet.server.fill()
    try:
        yield
    finally:
        fleet.server.make_room()


@contextlib.contextmanager
def ended_sessions(fleet: Fleet) -> Iterator[None]:
    over = threading.Event()

    def again_and_again() -> None:
        while not over.wait(0.1):
            fleet.server.execute(END_SESSIONS)

    killer = threading.Thread(target=again_and_again)
    killer.start()
    try:
        yield
    finally:
        over.set()
        killer.join()


@contextlib.contextmanager
def frozen_server(fleet: Fleet) -> Iterator[None]:
    main = psutil.Process(fleet.server.pid)
    frozen = [main, *main.children(recursive=True)]
    for process in frozen:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in frozen:
            os.kill(process.pid, signal.SIGCONT)


FAULTS = {
    "role is read-only": by_sql("ALTER ROLE {} SET default_transaction_read_only = on", "ALTER ROLE {} RESET ALL"),
    "server is read-only": read_only_server,
    "password is rotated": by_sql("ALTER ROLE {} PASSWORD 'another'", "ALTER ROLE {} PASSWORD '{password}'"),
    "role may not log in": by_sql("ALTER ROLE {} NOLOGIN", "ALTER ROLE {} LOGIN"),
    "connections are refused": by_sql(
        "ALTER DATABASE {} ALLOW_CONNECTIONS false", "ALTER DATABASE {} ALLOW_CONNECTIONS true"
    ),
    "too many connections": by_sql("ALTER ROLE {} CONNECTION LIMIT 0", "ALTER ROLE {} CONNECTION LIMIT -1"),
    "sessions are ended": ended_sessions,
    "server is frozen": frozen_server,
    "log is full": full_log,
}


async def gauge(client: Client, service: str) -> float:
    page = (await client.ask("GET", service, "/actuator/prometheus")).text
    families = [each for each in text_string_to_metric_families(page) if each.name == "db_writable"]
    return families[0].samples[0].value


async def check_reads(client: Client, patient: str) -> None:
    """A database that only refuses writes is still read, and every service says so."""
    assert (await client.ask("GET", "patient", f"/patients/{patient}")).status_code == 200
    assert (await client.ask("GET", "appointment", "/appointments")).status_code == 200
    assert (await client.ask("GET", "analytics", "/analytics/summary")).status_code == 200
    assert (await client.ask("GET", "billing", f"/billing/accounts/{patient}")).status_code in (200, 404)
    for service in PORTS:
        assert (await client.ask("GET", service, "/actuator/health/liveness")).status_code == 200
        assert (await client.ask("GET", service, "/actuator/health/readiness")).status_code == 200
        health = await client.ask("GET", service, "/actuator/health")
        assert (health.status_code, health.json()["status"]) == (200, "UP")
        assert health.json()["components"]["db"]["details"]["writable"] is False, service
        assert await gauge(client, service) == 0


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_of_the_database_is_waited_for_by_all_services(fleet: Fleet, name: str) -> None:
    async with fleet.client() as client:
        await settle(client.ready, deadline(120))
        patient = (await client.register()).json()["id"]
        appointment = (await client.book(patient)).json()["id"]
        await settle(lambda: shows(client, appointment, "Before"), deadline(20))
        counted = await client.counted("patient.created")

        with FAULTS[name](fleet):
            until = time.monotonic() + LASTS_SECONDS
            strangers = await client.tell_much(patient, "After", 2)
            while time.monotonic() < until:
                statuses = await client.writes(patient)
                if name != "sessions are ended":
                    assert set(statuses.values()) == {503}, statuses
            if name in READ_ONLY:
                await check_reads(client, patient)

        mended = time.monotonic()
        until = mended + HEALS_SECONDS

        async def writes() -> bool:
            return set((await client.writes(patient)).values()) <= {200, 201}

        async def accounts() -> bool:
            asked = (client.ask("GET", "billing", f"/billing/accounts/{each}") for each in strangers)
            found = await asyncio.gather(*asked)
            return {answer.status_code for answer in found} == {200}

        async def all_counted() -> bool:
            return await client.counted("patient.created") >= counted + DURING

        checks = (writes, lambda: shows(client, appointment, "After"), all_counted, accounts)
        await asyncio.gather(*(settle(check, until) for check in checks))
        print(f"{name}: healed {time.monotonic() - mended:.1f} s after the mend")
        assert await client.dead_letters() == {}


async def shows(client: Client, appointment: str, name: str) -> bool:
    return await client.name_at(appointment) == name
