"""Schema migrations by Alembic, one history per service.

A service's `migrations/env.py` is three lines that call `run`. Several replicas may start at once: they queue at an
advisory lock. Each migration works with the release before it, so a database that is ahead of the image is nothing
to do, never an error.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib import resources
from typing import Any

import sqlalchemy as sa
from alembic import command, context
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

from chassis import logs
from chassis.actuator import Health
from chassis.classification import Verdict, classify
from chassis.environ import ConfigurationError
from chassis.postgres import DatabaseSettings, connect, database_tls
from chassis.seeding import Seed, sow

log = logs.logger(__name__)

LOCK = 0x5C4E3A
WAIT_SECONDS = 60.0

Tables = Sequence[type[SQLModel]]


def metadata_of(tables: Tables) -> sa.MetaData:
    """The tables of one service alone: all services' models may be imported in one process."""
    metadata = sa.MetaData()
    for model in tables:
        model.__table__.to_metadata(metadata)  # type: ignore[attr-defined]  # every table class has one
    return metadata


def run(tables: Tables) -> None:
    """What an env.py calls: migrates the connection that `upgrade` or `downgrade` put into the configuration."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=metadata_of(tables), transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


class Migrations:
    """A part that runs first: DDL_AUTO=update migrates, validate refuses to start when behind, none looks away.

    `package` holds `migrations/`; `seed` writes demo data, once per database, when SQL_INIT_MODE=always.
    """

    name = "schema"
    role = None
    critical = False

    def __init__(self, settings: DatabaseSettings, package: str, seed: Seed | None = None) -> None:
        self._settings = settings
        self._package = package
        self._seed = seed
        self._revision: str | None = None

    async def start(self) -> None:
        """Does what DDL_AUTO and SQL_INIT_MODE say; may be called again after a failure.

        Raises:
            ConfigurationError: validate found the database behind.
            Unavailable and what the drivers raise: the database does not answer, or refuses to be written.
        """
        if self._settings.ddl_auto == "update":
            await self._migrate()
        elif self._settings.ddl_auto == "validate":
            await self._validate()
        if self._settings.sql_init_mode == "always" and self._seed:
            await self._sow(self._seed)

    async def stop(self) -> None:
        """Nothing is open."""

    async def health(self) -> Health:
        """The revision that was found or made."""
        return Health(up=True, details={"revision": self._revision} if self._revision else {})

    async def migrate(self) -> None:
        """Brings the schema to the newest revision that this image knows; waits for a database that is still starting.

        Raises:
            ConfigurationError: the database does not answer.
        """
        deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
        while True:
            try:
                return await self._migrate()
            except Exception as error:
                if classify(error) is not Verdict.WORLD:
                    raise
                if asyncio.get_running_loop().time() > deadline:
                    raise ConfigurationError("the database of DATABASE_URL does not answer") from None
            await asyncio.sleep(0.5)

    async def _migrate(self) -> None:
        lock = await self._lock()
        try:
            await self.upgrade("head")
        finally:
            await lock.close()

    async def upgrade(self, revision: str) -> None:
        """Migrates up to a revision; nothing when the database is ahead."""
        await self._alembic(lambda config: command.upgrade(config, revision))

    async def downgrade(self, revision: str) -> None:
        """Migrates down to a revision; "base" removes everything."""
        await self._alembic(lambda config: command.downgrade(config, revision))

    async def differences(self, tables: Tables) -> list[Any]:
        """What Alembic would change to make the database like the models; empty when both agree."""
        metadata = metadata_of(tables)

        def compare(connection: sa.Connection) -> list[Any]:
            options = {"include_name": lambda name, kind, _: kind != "table" or name in metadata.tables}
            return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

        async with self._connected() as connection:
            return await connection.run_sync(compare)

    async def _alembic(self, act: Callable[[Config], None]) -> None:
        config = self._config()
        async with self._connected() as connection:
            self._revision = await connection.run_sync(_current)
            if _known(config, self._revision):
                await connection.run_sync(_act, config, act)
                await connection.commit()
                self._revision = await connection.run_sync(_current)
            else:
                log.info("the database is ahead of this image", revision=self._revision)

    async def _validate(self) -> None:
        (await self._lock()).terminate()
        config = self._config()
        async with self._connected() as connection:
            self._revision = await connection.run_sync(_current)
        head = ScriptDirectory.from_config(config).get_current_head()
        if _known(config, self._revision) and self._revision != head:
            raise ConfigurationError(
                "the database of DATABASE_URL is behind this image: run `migrate`, or set DDL_AUTO=update"
            )

    async def _sow(self, seed: Seed) -> None:
        lock = await self._lock()
        try:
            await sow(self._settings, lock, self._package, seed)
        finally:
            await lock.close()

    async def _lock(self) -> Any:
        """A connection of its own that holds the lock."""
        connection = await connect(self._settings)
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", LOCK, timeout=WAIT_SECONDS)
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _config(self) -> Config:
        config = Config()
        config.set_main_option("script_location", str(resources.files(self._package) / "migrations").replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        return config

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        user, password = self._settings.credentials()
        url = sa.make_url(self._settings.database_url).set(
            drivername="postgresql+asyncpg", username=user, password=password
        )
        engine = create_async_engine(url, poolclass=NullPool, connect_args={"ssl": database_tls(self._settings)})
        try:
            async with engine.connect() as connection:
                yield connection
        finally:
            await engine.dispose()


def _current(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _known(config: Config, revision: str | None) -> bool:
    if revision is None:
        return True
    try:
        return ScriptDirectory.from_config(config).get_revision(revision) is not None
    except CommandError:
        return False


def _act(connection: sa.Connection, config: Config, act: Callable[[Config], None]) -> None:
    config.attributes["connection"] = connection
    act(config)
