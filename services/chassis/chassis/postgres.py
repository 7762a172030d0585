"""PostgreSQL as a service reaches it: its settings, one connection, and its driver's errors turned into ours.

`chassis.db` keeps a pool of such connections, `chassis.transaction` works on one of them.
"""

import re
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Literal, Self

import asyncpg
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings

from chassis import tracing
from chassis.classification import LOST_RACES, Verdict, classify, sqlstate
from chassis.codecs import set_codecs
from chassis.environ import ConfigurationError, secret_now, secret_of
from chassis.errors import Busy, Conflict, LostRace, Unavailable
from chassis.security import tls
from chassis.statement import Statement

_HOST = r"([^/:,\s\[\]]*|\[[0-9a-fA-F:.]+\])(:\d{1,5})?"
_DATABASE_URL = re.compile(rf"postgres(ql)?://{_HOST}(,{_HOST})*(/[^/\s]*)?")

SPAN = {"db.system.name": "postgresql"}
"""What every span of a statement says."""


class DatabaseSettings(BaseSettings):
    """Where the service's own database is."""

    database_url: str = Field("", description="postgresql://host:port/name; jdbc:postgresql:// is understood")
    database_user: str = Field("admin_user", description="the role that owns the tables")
    database_password: SecretStr = Field(SecretStr("password"), description="its password")
    database_secret_dir: str = Field(
        "", description="a folder with files username, password, host, port, dbname, as a mounted Secret has them"
    )
    database_tls: Literal["disable", "require", "verify-full"] = Field(
        "disable", description="require encrypts; verify-full also checks the server's certificate and name"
    )
    database_ca_file: str = Field("", description="certificates (PEM) that verify-full trusts; empty: the system's")
    database_pool_size: int = Field(10, ge=1, le=200, description="connections of one process")
    database_timeout_seconds: float = Field(5.0, gt=0, le=600, description="for a statement, and for a free connection")
    database_lock_timeout_seconds: float = Field(2.0, gt=0, le=600, description="for a row that others lock; then 503")
    ddl_auto: Literal["update", "validate", "none"] | None = Field(
        None, description="update migrates on start, validate refuses to start when behind; validate in production"
    )
    sql_init_mode: Literal["always", "never"] = Field("never", description="always seeds demo data once per database")
    _in_folder: tuple[str, str] = ("", "")
    """The name and password that the folder had at the start."""

    @model_validator(mode="before")
    @classmethod
    def _from_secret(cls, values: dict[str, Any]) -> dict[str, Any]:
        """What the Secret says, where no variable says otherwise."""
        folder = values.get("database_secret_dir")
        if not folder:
            return values
        keys = ("username", "password", "host", "port", "dbname")
        needed = ("username", "password")
        found = {key: secret_of("DATABASE_SECRET_DIR", folder, key, optional=key not in needed) for key in keys}
        address = (
            f"postgresql://{found['host']}:{found['port'] or 5432}/{found['dbname'] or 'db'}" if found["host"] else ""
        )
        told = {"database_url": address, "database_user": found["username"], "database_password": found["password"]}
        return {name: value for name, value in told.items() if value} | values

    @model_validator(mode="after")
    def _database_defaults(self) -> Self:
        if not self.database_url:
            self.database_url = f"postgresql://{getattr(self, 'service_name', 'service')}-db:5432/db"
        if not _DATABASE_URL.fullmatch(self.database_url):
            raise ValueError("DATABASE_URL has to look like postgresql://host:port/name")
        if self.database_secret_dir:
            self._in_folder = _pair(self.database_secret_dir)
        production = getattr(self, "app_env", "development") == "production"
        if self.ddl_auto is None:
            self.ddl_auto = "validate" if production else "update"
        if production and self.sql_init_mode == "always":
            raise ValueError("SQL_INIT_MODE=always brings demo data, refused with APP_ENV=production")
        return self

    def credentials(self) -> tuple[str, str]:
        """Name and password as their files have them now; a variable that said otherwise at the start still counts."""
        user, password = self.database_user, secret_now(self.database_password)
        if self.database_secret_dir:
            with suppress(ConfigurationError):  # in the middle of a rotation: what was known is tried
                now = _pair(self.database_secret_dir)
                user, password = (
                    current if known == before else known
                    for known, before, current in zip((user, password), self._in_folder, now, strict=True)
                )
        return user, password


def database_tls(settings: DatabaseSettings) -> ssl.SSLContext | bool:
    """asyncpg's `ssl`."""
    if settings.database_tls == "disable":
        return False
    context = tls("DATABASE_CA_FILE", settings.database_ca_file)
    if settings.database_tls == "require":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


_KEEPALIVES = "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3"


def address(settings: DatabaseSettings) -> dict[str, Any]:
    """What asyncpg needs to connect: dsn, user, password, ssl. Secrets in files are read anew: they may be rotated."""
    user, password = settings.credentials()
    return {"dsn": settings.database_url, "user": user, "password": password, "ssl": database_tls(settings)}


def _pair(folder: str) -> tuple[str, str]:
    name, password = (secret_of("DATABASE_SECRET_DIR", folder, key, optional=False) for key in ("username", "password"))
    return name, password


async def connect(settings: DatabaseSettings, *, command_timeout: float | None = None) -> Any:
    """A connection outside every pool: a pool's reset would drop the advisory locks that it is for.

    A server whose host is gone sends nothing, not even an end: `command_timeout` (seconds) notices on our side, and
    keepalives on the server's, which would otherwise hold the locks of a client that is gone for two hours.

    Raises:
        Unavailable: the server cannot be reached.
    """
    with reaching():
        connection = await session(settings, timeout=settings.database_timeout_seconds, command_timeout=command_timeout)
        await set_codecs(connection)
        await connection.execute(_KEEPALIVES)
        return connection


async def session(settings: DatabaseSettings, **options: Any) -> Any:
    """A new session with what the settings, and the secrets in files, say now; raises the driver's errors."""
    return await asyncpg.connect(**address(settings), **options)


@contextmanager
def reaching() -> Iterator[None]:
    """Around what opens a session, in which no error is a statement's: all of them are Unavailable."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, EOFError) as error:
        raise Unavailable("database") from error


class errors:
    """Turns the driver's errors into ours; a plain context manager, because it stands around every statement."""

    __slots__ = ("_conflicts",)

    def __init__(self, statement: Statement | None = None) -> None:
        self._conflicts = statement.conflicts if statement else {}

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if not isinstance(error, Exception):
            return
        if isinstance(error, asyncpg.UniqueViolationError) and error.constraint_name in self._conflicts:
            field = self._conflicts[error.constraint_name]
            raise Conflict(f"{field} is already taken", field) from None
        if isinstance(error, asyncpg.LockNotAvailableError):
            raise Busy("the resource, which somebody else is changing,") from error
        if classify(error) is Verdict.WORLD:
            raise (LostRace if sqlstate(error) in LOST_RACES else Unavailable)("database") from error


async def run(statement: Statement, method: Callable[..., Awaitable[Any]], values: Mapping[str, Any]) -> Any:
    """One statement by one method of a connection, under its own span."""
    arguments = statement.arguments(values)
    with tracing.child(statement.summary, SPAN), errors(statement):
        return await method(statement.sql, *arguments)


def affected(status: str) -> int:
    """How many rows, from what the server says of a statement."""
    last = status.rpartition(" ")[2]
    return int(last) if last.isdigit() else 0


async def reset(connection: Any) -> None:
    """Gives back a connection as it was lent."""
    if connection.is_in_transaction():
        await connection.execute("ROLLBACK")
