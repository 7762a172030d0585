"""Pytest fixtures on real servers, and the few verbs that every suite shares.

Session fixtures `postgres`, `valkey`, `kafka` are servers with host, port, pid, start(), stop(), kill() (SIGKILL),
pause() and resume() (SIGSTOP, SIGCONT) and restart(); the port stays, and so does the data of PostgreSQL and Kafka.
Each starts when it is first asked for and dies with pytest, however pytest ends. A test that stops one starts it again.

Module fixtures are mappings for `Settings.from_environ`: `database_environ` (a fresh database and role),
`redis_environ` (a Redis database of its own), `kafka_environ` (a fresh topic prefix), and `environ`, which is all of
them with the tokens' secret.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import inspect
import itertools
import json
import os
import secrets
import socket
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeVar

import pytest
import uvicorn
from hpctl.embedded.kafka import Kafka
from hpctl.embedded.postgres import Postgres
from hpctl.embedded.process import free_port
from hpctl.embedded.valkey import Valkey

__all__ = ["JWT_SECRET", "deadline", "eventually", "free_port", "serve", "token"]

Environ = dict[str, str]
Found = TypeVar("Found")

JWT_SECRET = "the-tests-own-secret-of-more-than-32-bytes"  # noqa: S105
PATIENCE = 3.0 if "PYTEST_XDIST_WORKER" in os.environ else 1.0
"""Workers share the machine's cores: what is only waited for may take so much longer there."""
PROMISED_SECONDS = 15.0
"""A deadline up to this is what the test is about, and is kept as it is."""

_redis_databases = itertools.count(1)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL server without fsync; `execute(sql, database)` runs statements as the superuser."""
    server = Postgres(tmp_path_factory.mktemp("postgres"), durable=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A Valkey server with a password and many databases."""
    server = Valkey(tmp_path_factory.mktemp("valkey"), password=secrets.token_hex(8), databases=2048)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """An Apache Kafka broker; `bootstrap_servers` is its address."""
    server = Kafka(tmp_path_factory.mktemp("kafka"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def database_environ(postgres: Postgres) -> Environ:
    """A fresh database owned by a fresh role; migrations run when the service starts."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    password = secrets.token_hex(8)
    postgres.create_database(name, password)
    return {
        "DATABASE_URL": f"postgresql://{postgres.host}:{postgres.port}/{name}",
        "DATABASE_USER": name,
        "DATABASE_PASSWORD": password,
        "DDL_AUTO": "update",
        "SQL_INIT_MODE": "never",
    }


@pytest.fixture(scope="module")
def redis_environ(valkey: Valkey) -> Environ:
    """A Redis database of the module's own."""
    return {
        "REDIS_HOST": valkey.host,
        "REDIS_PORT": str(valkey.port),
        "REDIS_PASSWORD": valkey.password,
        "REDIS_DATABASE": str(next(_redis_databases)),
        "CACHE_TYPE": "redis",
    }


@pytest.fixture(scope="module")
def kafka_environ(kafka: Kafka) -> Environ:
    """A topic prefix of the module's own; topics are created when a service starts."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "KAFKA_TOPIC_PREFIX": f"t{uuid.uuid4().hex[:8]}.",
        "KAFKA_CREATE_TOPICS": "true",
    }


@pytest.fixture(scope="module")
def environ(database_environ: Environ, redis_environ: Environ, kafka_environ: Environ) -> Environ:
    """What a service reads from its environment: all three servers, development, the tests' JWT_SECRET."""
    return {
        "APP_ENV": "development",
        "HOST": "127.0.0.1",
        "JWT_SECRET": JWT_SECRET,
        "SHUTDOWN_DRAIN_SECONDS": "0",
        **database_environ,
        **redis_environ,
        **kafka_environ,
    }


@pytest.fixture(scope="module")
def database_url(database_environ: Environ) -> str:
    """`postgresql://user:password@host:port/name` of the module's database, for asyncpg and psql."""
    user, password = database_environ["DATABASE_USER"], database_environ["DATABASE_PASSWORD"]
    return database_environ["DATABASE_URL"].replace("://", f"://{user}:{password}@")


@contextlib.asynccontextmanager
async def serve(app: Any, **options: Any) -> AsyncIterator[str]:
    """Run the application under a real uvicorn in this loop, lifespan included; yields its address, `http://127.0.0.1:port`.

    The application's own `state.http_protocol` serves it, if there is one; `options` go to `uvicorn.Config`.
    RuntimeError when the application does not start; uvicorn's log has the reason.
    """
    defaults: dict[str, Any] = {
        "log_config": None,
        "access_log": False,
        "lifespan": "on",
        "timeout_graceful_shutdown": 5,
        "http": getattr(getattr(app, "state", None), "http_protocol", "httptools"),
    }
    # asyncio switches Nagle's delay off only where the protocol is named: 40 ms for each answer of two writes otherwise
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        server = _Server(uvicorn.Config(app, **(defaults | options)))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started:
                await asyncio.wait({running}, timeout=0.005)
                if running.done():
                    await running
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            if not running.done():
                await running


def deadline(within: float) -> float:
    """The time, by `time.monotonic`, until which something may be waited for that takes `within` seconds at most."""
    return time.monotonic() + (within if within <= PROMISED_SECONDS else within * PATIENCE)


async def eventually(check: Callable[[], Found | Awaitable[Found]], within: float = 30.0, every: float = 0.02) -> Found:
    """Call `check` (plain or async) until the result is true and return it; at the deadline its last failure is raised.

    Only an AssertionError means "not yet"; any other exception ends the wait.
    """
    until = deadline(within)
    while True:
        failure = AssertionError(f"still not so after {within:g} s")
        try:
            result = check()
            found: Found = await result if inspect.isawaitable(result) else result
            if found:
                return found
        except AssertionError as error:
            failure = error
        if time.monotonic() > until:
            raise failure
        await asyncio.sleep(every)


def token(role: str = "ADMIN", subject: str = "someone@example.com", *, secret: str = JWT_SECRET, **claims: Any) -> str:
    """A signed HS256 token, made without the chassis so that a mistake there shows; `claims` add or replace."""
    now = int(time.time())
    body = {"sub": subject, "role": role, "iat": now, "exp": now + 36_000, "jti": uuid.uuid4().hex} | claims
    signed = ".".join(_base64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, body))
    return f"{signed}.{_base64(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))}"


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # Ctrl-C stays pytest's

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit:  # would end pytest
            raise RuntimeError("the application did not start; see uvicorn's log") from None
