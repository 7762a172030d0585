"""The whole platform, started by its own command, once for these tests."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx2 as httpx
import pytest
from hpctl.layout import Layout

from hpctl import state
from tests.ports import free_offset

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Stack:
    """A running platform: where its gateway is, and how to call its command line."""

    offset: int

    @property
    def gateway(self) -> str:
        return f"http://127.0.0.1:{4004 + self.offset}"

    def hpctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        environ = os.environ | {"PORT_OFFSET": str(self.offset)}
        command = [sys.executable, "-m", "hpctl", *words]
        return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=240, check=False)

    @asynccontextmanager
    async def database(self, role: str) -> AsyncIterator[asyncpg.Connection]:
        """A connection to a service's own database, as its role; both have one name."""
        layout = Layout(self.offset)
        connection = await asyncpg.connect(
            host="127.0.0.1",
            port=layout.port("PATIENT_DB_PORT"),
            user=role,
            password=state.password(layout, role),
            database=role,
        )
        try:
            yield connection
        finally:
            await connection.close()

    def client(self, email: str = "testuser@test.com", password: str = "password123") -> httpx.Client:
        """A client that is logged in."""
        body = {"email": email, "password": password}
        token = httpx.post(f"{self.gateway}/auth/login", json=body, timeout=10).json()["token"]
        return httpx.Client(base_url=self.gateway, timeout=10, headers={"Authorization": f"Bearer {token}"})


def running() -> Iterator[Stack]:
    """A platform from its start to its reset."""
    stack = Stack(free_offset())
    up = stack.hpctl("up")
    assert up.returncode == 0, up.stdout + up.stderr
    yield stack
    down = stack.hpctl("reset", "--yes")
    assert down.returncode == 0, down.stdout + down.stderr


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """What suites share that leave nothing behind which others would trip over."""
    yield from running()
