"""Backups of the services' databases with pg_dump, and the way back.

A backup is a directory: one archive per service in pg_dump's custom format, and `manifest.json` with sizes and SHA-256
digests. It holds personal data, so only its owner can read it. A restore fills a new database beside the old one and
takes its place when it is complete: one that fails leaves everything as it was.
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from hpctl import state
from hpctl.embedded.postgres import SUPERUSER, Postgres
from hpctl.embedded.process import ServerError
from hpctl.environment import environment
from hpctl.layout import SERVICES, Failure, Layout, Service, service_named

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Archive:
    """One service's archive: its file's name, its length in bytes, and the SHA-256 of its content."""

    service: str
    file: str
    size: int
    sha256: str


def back_up(layout: Layout, directory: Path | None = None, names: Sequence[str] = ()) -> Path:
    """Dump the databases of these services, of all without names; the stack may run or not.

    Each archive is one consistent snapshot. Without a directory the backup goes to the stack's own `backups/`, named
    by the time in UTC. Raises Failure when the directory exists, or with pg_dump's own words.
    """
    chosen = _chosen(names)
    made = datetime.now(UTC)
    target = directory or layout.directory / "backups" / made.strftime("%Y%m%dT%H%M%SZ")
    if target.exists():
        raise Failure(f"{target} exists already: a backup is never overwritten")
    making = target.with_name(f"{target.name}.making")
    if making.exists():
        raise Failure(f"{making} is of a backup that was killed or still runs: delete it, or name another directory")
    making.mkdir(parents=True, mode=0o700)
    try:
        with _server(layout) as postgres:
            version = postgres.execute("SHOW server_version")
            archives = [_dump(postgres, service, making) for service in chosen]
        manifest = {"made": made.isoformat(), "postgresql": version, "archives": [asdict(each) for each in archives]}
        (making / MANIFEST).write_text(json.dumps(manifest, indent=1))
        making.rename(target)
    except BaseException:
        shutil.rmtree(making)  # it holds personal data, and would be in the way of the next try
        raise
    return target


def restore(layout: Layout, directory: Path, names: Sequence[str] = ()) -> list[Archive]:
    """Put these services' databases back to what the backup holds, all of it without names; what was restored.

    Raises Failure when the stack runs, when the backup is not what its manifest says, or with pg_restore's own words.
    """
    archives = verified(directory)
    if state.running(layout) is not None:
        raise Failure("the stack runs: stop it with `hpctl down`, so that no service writes meanwhile")
    if names:
        chosen = {service.name for service in _chosen(names)}
        if missing := chosen - {each.service for each in archives}:
            raise Failure(f"{directory} holds no archive of {', '.join(sorted(missing))}")
        archives = [each for each in archives if each.service in chosen]
    with _server(layout) as postgres:
        for archive in archives:
            _put_back(layout, postgres, service_named(archive.service), directory / archive.file)
    return archives


def verified(directory: Path) -> list[Archive]:
    """The archives of a backup, each compared with its digest; Failure names what is missing or damaged."""
    try:
        manifest = json.loads((directory / MANIFEST).read_text())
        archives = [Archive(**each) for each in manifest["archives"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise Failure(f"{directory} is no backup: it has no readable {MANIFEST}") from None
    for archive in archives:
        file = directory / archive.file
        if not file.is_file() or _digest(file) != archive.sha256:
            raise Failure(f"{file} is missing or damaged: nothing was restored")
    return archives


def _chosen(names: Sequence[str]) -> list[Service]:
    chosen = [service_named(name) for name in names] or [each for each in SERVICES if each.database_port]
    for service in chosen:
        if not service.database_port:
            raise Failure(f"{service.name} has no database")
    return chosen


@contextlib.contextmanager
def _server(layout: Layout) -> Iterator[Postgres]:
    """The stack's PostgreSQL, started for this alone where the stack does not run."""
    postgres = Postgres(layout.directory / "postgres", layout.port("PATIENT_DB_PORT"))
    if state.running(layout) is not None:
        yield postgres
        return
    state.clear_leftovers(layout)
    try:
        postgres.start()
        yield postgres
    except ServerError as error:
        raise Failure(str(error)) from error
    finally:
        postgres.stop()


def _dump(postgres: Postgres, service: Service, directory: Path) -> Archive:
    file = directory / f"{service.name}.dump"
    file.touch(mode=0o600)
    _run(postgres, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={file}", service.database)
    return Archive(service.name, file.name, file.stat().st_size, _digest(file))


def _put_back(layout: Layout, postgres: Postgres, service: Service, file: Path) -> None:
    name, beside = service.database, f"{service.database}_restoring"
    postgres.create_database(name, state.password(layout, name))
    postgres.execute(f'DROP DATABASE IF EXISTS "{beside}" WITH (FORCE);\nCREATE DATABASE "{beside}" OWNER "{name}"')
    _run(postgres, "pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges",
         "--no-comments", f"--role={name}", f"--dbname={beside}", str(file))  # fmt: skip
    if service.name == "patient-service":
        _republish(layout, service, beside)
    postgres.execute(
        f'DROP DATABASE "{name}" WITH (FORCE);\nALTER DATABASE "{beside}" RENAME TO "{name}";\n'
        f'REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC'
    )


def _republish(layout: Layout, service: Service, database: str) -> None:
    """Kafka may hold newer events of a patient than the backup: the service goes ahead of them."""
    environ = environment(layout, service)
    url = f"{environ['DATABASE_URL'].rpartition('/')[0]}/{database}"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", f"{service.package}.republish"],
        env=environ | {"DATABASE_URL": url},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Failure(f"the restored patients could not be told anew: {done.stderr.strip()}")


def _run(postgres: Postgres, program: str, *words: str) -> None:
    where = ["--host", postgres.host, "--port", str(postgres.port), "--username", SUPERUSER]
    done = subprocess.run(  # noqa: S603
        [str(postgres.programs / program), *where, *words],
        env=os.environ | {"PGPASSWORD": postgres.password},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Failure(f"{program} failed: {done.stderr.strip()}")


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
