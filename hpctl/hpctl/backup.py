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
from typing import NamedTuple

from hpctl import state
from hpctl.embedded.postgres import SUPERUSER, Postgres
from hpctl.embedded.process import ServerError
from hpctl.environment import embedded_kafka, environment
from hpctl.layout import SERVICES, Failure, Layout, Service, UsageError, service_named

MANIFEST = "manifest.json"


class Versioned(NamedTuple):
    """Rows whose versions clients and events know: how to ask for the highest, and the module that lets them leap."""

    highest: str
    leap: str


VERSIONED = {
    "patient-service": Versioned("SELECT coalesce(max(version), 0) FROM patient", "republish"),
    "appointment-service": Versioned("SELECT coalesce(max(version), 0) FROM appointment", "renumber"),
}


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
    with _server(layout) as postgres, _kafka(layout):
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
    stored = {service.name: service for service in SERVICES if service.database_port}
    for name in names:
        if name not in stored:
            raise UsageError(f"{name!r} has no database to back up; {', '.join(stored)} have one")
    return [stored[name] for name in names] or list(stored.values())


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
    if service.name in VERSIONED:
        _leap(layout, service, beside, _highest(postgres, service))
    postgres.execute(
        f'DROP DATABASE "{name}" WITH (FORCE);\nALTER DATABASE "{beside}" RENAME TO "{name}";\n'
        f'REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC'
    )


@contextlib.contextmanager
def _kafka(layout: Layout) -> Iterator[None]:
    """The stack's Kafka while its topics are read, where it has data; a restore goes on without it."""
    kafka = embedded_kafka(layout)
    try:
        if kafka.data.exists():
            kafka.start()
        yield
    except ServerError as error:
        raise Failure(str(error)) from error
    finally:
        kafka.stop()


def _highest(postgres: Postgres, service: Service) -> int:
    """The highest version in the database that is replaced; 0 where it cannot be read any more."""
    try:
        return int(postgres.execute(VERSIONED[service.name].highest, service.database))
    except ServerError:
        return 0


def _leap(layout: Layout, service: Service, database: str, highest: int) -> None:
    """Clients and Kafka may know newer versions than the backup holds: the service goes beyond them."""
    environ = environment(layout, service)
    url = f"{environ['DATABASE_URL'].rpartition('/')[0]}/{database}"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", f"{service.package}.{VERSIONED[service.name].leap}", "--above", str(highest)],
        env=environ | {"DATABASE_URL": url},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise Failure(f"{service.name}'s versions could not leap: {last}")


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
