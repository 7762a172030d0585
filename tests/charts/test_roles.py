"""The built-in PostgreSQL's roles and databases: the chart's own script on a real server."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from chassis.testing import eventually

from tests.charts.rendering import of, render

PASSWORDS = {"patient": 'it\'s "quoted" \\ $1', "billing": "plain"}
# A server that comes up between two of the script's calls: the first is refused.
LATE = '#!/bin/sh\nif [ ! -e {seen} ]; then touch {seen}; exit 2; fi\nexec {psql} "$@"\n'


@pytest.fixture
def secrets(tmp_path: Path, postgres: Any) -> Path:
    """The folders that the chart mounts."""
    _write(tmp_path / "superuser", {"password": postgres.password})
    for database, password in PASSWORDS.items():
        _write(tmp_path / "roles" / database, {"username": f"{database}-role", "password": password})
    return tmp_path


@pytest.fixture
def sidecar(tmp_path: Path, secrets: Path, postgres: Any) -> Iterator[subprocess.Popen[str]]:
    """The script, with the mounted folders where this test has them."""
    script = next(each["data"]["roles.sh"] for each in of(render("postgres"), "ConfigMap"))
    script = script.replace("/tmp/", f"{tmp_path}/").replace("/etc/healthcare", str(secrets))
    script = script.replace("/var/run/postgresql", "127.0.0.1")  # this server knows nobody by the user
    _write(tmp_path / "late", {"psql": LATE.format(seen=tmp_path / "seen", psql=postgres.programs / "psql")})
    (tmp_path / "late" / "psql").chmod(0o755)
    path = f"{tmp_path / 'late'}:{os.environ['PATH']}"
    environ = {"PATH": path, "PGPORT": str(postgres.port), "PGPASSWORD": postgres.password}
    with (tmp_path / "log").open("w") as log:
        running = subprocess.Popen(["sh", "-c", script], env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        yield running
        running.kill()
        running.wait()


def _write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content)


async def _may_enter(port: int, database: str, password: str) -> bool:
    options = {"host": "127.0.0.1", "port": port, "user": f"{database}-role"}
    try:
        connection = await asyncpg.connect(**options, database=database, password=password)
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidCatalogNameError, asyncpg.InsufficientPrivilegeError):
        return False
    await connection.execute("CREATE TABLE IF NOT EXISTS mine (id int)")
    await connection.close()
    return True


async def test_each_role_gets_its_database_and_a_new_password_is_taken_over(
    sidecar: subprocess.Popen[str], secrets: Path, postgres: Any, tmp_path: Path
) -> None:
    await eventually((tmp_path / "roles-are-there").exists, within=30)
    for database, password in PASSWORDS.items():
        assert await _may_enter(postgres.port, database, password)
        assert not await _may_enter(postgres.port, database, "wrong")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(
            host="127.0.0.1", port=postgres.port, user="billing-role", database="patient", password=PASSWORDS["billing"]
        )
    _write(secrets / "roles" / "billing", {"password": "renewed"})
    await eventually(lambda: _may_enter(postgres.port, "billing", "renewed"), within=30)
    assert not await _may_enter(postgres.port, "billing", "plain")
    assert sidecar.poll() is None
    assert not [password for password in (*PASSWORDS.values(), "renewed") if password in (tmp_path / "log").read_text()]
