"""A relay of its own dies between the send and the delete: everything is sent again, and counts once."""

import asyncio
import os
import subprocess
import sys

import httpx2 as httpx
import pytest
from chassis.testing import eventually, free_port
from hpctl.environment import environment
from hpctl.layout import service_named

from tests.chaos.gate import Gate, closed


@pytest.mark.contract("D02", "D03")
async def test_a_relay_killed_between_send_and_delete(platform) -> None:
    """Both relays, the one within patient-service and one alone, have sent; neither may delete; both are killed."""
    alone = await a_relay(platform)
    try:
        async with closed(platform, "patient_service", "outbox", "DELETE") as gate:
            await asyncio.gather(*(platform.write(10, must=True) for _ in range(4)))
            pids = await eventually(lambda: both(gate), within=30)
            alone.kill()
            platform.kill("patient-service")
            for pid in pids:
                await gate.keeper.execute("SELECT pg_terminate_backend($1)", pid)
            waiting = await gate.keeper.fetchval("SELECT count(*) FROM outbox")
            assert waiting > 0
    finally:
        alone.kill()
        alone.wait(10)
    await platform.up(4000)
    await platform.settled(within=90)
    copies = [record.value for record in await platform.topics.records("patient.created")]
    assert len(copies) > len(set(copies)), "nothing was sent twice: the relays died too early or too late"


async def both(gate: Gate) -> list[int]:
    pids = await gate.waiting()
    return pids if len(pids) == 2 else []


async def a_relay(platform) -> subprocess.Popen[bytes]:
    """patient-service with the one role; returns when it owns its half of the shards."""
    port = free_port()
    process = started(platform, port)

    async def owns_half() -> bool:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            try:
                health = (await client.get("/actuator/health")).json()
            except httpx.HTTPError:
                return False
        return bool(health["components"]["relay"]["details"]["shards"] == 4)

    await eventually(owns_half, within=60, every=0.2)
    return process


def started(platform, port: int) -> subprocess.Popen[bytes]:
    environ = environment(platform.layout, service_named("patient-service"))
    inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "VIRTUAL_ENV")}
    return subprocess.Popen(
        [sys.executable, "-m", "patient_service"],
        env=inherited | environ | {"PATIENT_SERVICE_PORT": str(port), "SERVICE_ROLES": "relay"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
