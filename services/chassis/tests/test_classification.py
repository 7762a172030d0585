"""Every error of PostgreSQL and of all drivers has one verdict: message, world or bug, none by default."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import aiokafka.errors
import asyncpg
import asyncpg.exceptions
import grpc
import hiredis
import orjson
import pydantic
import pytest
import redis.exceptions
from chassis.classification import CLASSES, Session, Verdict, answer_to, classify, of_grpc, of_sqlstate, session_after
from chassis.errors import (
    Conflict,
    Forbidden,
    Invalid,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    PlatformError,
    Poison,
    PreconditionFailed,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
)
from hpctl.embedded.postgres import find_programs

pytestmark = pytest.mark.contract("Z01")

_LINES = (Path(__file__).parent / "sqlstates.txt").read_text()
LISTED = {code: Verdict(verdict) for code, verdict in re.findall(r"^(\w{5}) (\w+)$", _LINES, re.MULTILINE)}
"""The whole of appendix A, by hand."""

DRIVERS_OWN = {  # what says nothing of a server's code
    "InterfaceError",
    "ClientConfigurationError",
    "UnsupportedClientFeatureError",
    "UnsupportedServerFeatureError",
    "InternalClientError",
    "ProtocolError",
    "OutdatedSchemaCacheError",
    "TargetServerAttributeNotMatched",
    "PostgresError",
    "FatalPostgresError",
    "UnknownPostgresError",
}


def errors_of(module: ModuleType) -> Iterator[type[Exception]]:
    for found in vars(module).values():
        if inspect.isclass(found) and issubclass(found, Exception) and not issubclass(found, Warning):
            yield found


def made(kind: type[Exception]) -> Exception:
    """One error of a class, whatever its constructor asks for."""
    return kind.__new__(kind)


def test_each_code_of_the_appendix_has_its_verdict() -> None:
    assert {code: of_sqlstate(code) for code in LISTED} == LISTED
    assert {code[:2] for code in LISTED} == CLASSES.keys(), "a class has its verdict by default"


def test_the_list_is_complete() -> None:
    """Against what the embedded server was built from, and against what the driver knows."""
    codes = re.findall(r"^(\w{5})\s+[EWS]\s", (find_programs().parent / "share/errcodes.txt").read_text(), re.MULTILINE)
    assert len(set(codes)) > 250
    assert set(codes) <= LISTED.keys()
    assert {kind.sqlstate for kind in errors_of(asyncpg.exceptions) if getattr(kind, "sqlstate", None)} <= LISTED.keys()


@pytest.mark.parametrize("kind", list(errors_of(asyncpg.exceptions)), ids=lambda kind: kind.__name__)
def test_each_error_of_the_postgresql_driver(kind: type[Exception]) -> None:
    error, code = made(kind), getattr(kind, "sqlstate", None)
    if kind is asyncpg.exceptions.InvalidCachedStatementError:
        assert classify(error) is Verdict.WORLD, "a migration has made a plan stale"
    elif code:
        assert classify(error) is LISTED[code]
    else:
        assert kind.__name__ in DRIVERS_OWN
        assert classify(error) is Verdict.WORLD


def test_a_code_that_only_a_later_server_knows() -> None:
    class Later(asyncpg.UnknownPostgresError):
        sqlstate = "57P99"

    assert classify(made(Later)) is Verdict.WORLD
    assert session_after(made(Later)) is Session.KEEP


@pytest.mark.parametrize(
    "kind",
    [*errors_of(aiokafka.errors), *errors_of(redis.exceptions), *errors_of(hiredis)],
    ids=lambda kind: f"{kind.__module__}.{kind.__name__}",
)
def test_each_error_of_kafka_and_redis_is_the_worlds(kind: type[Exception]) -> None:
    assert classify(made(kind)) is Verdict.WORLD


@pytest.mark.parametrize("status", grpc.StatusCode, ids=lambda status: status.name)
def test_each_status_of_grpc(status: grpc.StatusCode) -> None:
    message = {"INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION", "OUT_OF_RANGE"}
    expected = Verdict.MESSAGE if status.name in message else Verdict.WORLD
    error = grpc.aio.AioRpcError(status, grpc.aio.Metadata(), grpc.aio.Metadata())
    assert (of_grpc(status.name), classify(error)) == (expected, expected)


@pytest.mark.parametrize(
    ("error", "verdict", "status"),
    [
        (Invalid("no"), Verdict.MESSAGE, 400),
        (Unauthenticated(), Verdict.MESSAGE, 401),
        (Forbidden(), Verdict.MESSAGE, 403),
        (NotFound(), Verdict.MESSAGE, 404),
        (MethodNotAllowed(["GET"]), Verdict.MESSAGE, 405),
        (Conflict("no"), Verdict.MESSAGE, 409),
        (PreconditionFailed(), Verdict.MESSAGE, 412),
        (PayloadTooLarge(1), Verdict.MESSAGE, 413),
        (UnsupportedMediaType(), Verdict.MESSAGE, 415),
        (TooManyRequests(1), Verdict.WORLD, 429),
        (Unavailable("x"), Verdict.WORLD, 503),
        (PlatformError(502, "bad-gateway", "", ""), Verdict.WORLD, 502),
        (PlatformError(500, "internal", "", ""), Verdict.BUG, 500),
        (Poison("no"), Verdict.MESSAGE, 500),  # no request is one
        (asyncpg.StringDataRightTruncationError("x"), Verdict.MESSAGE, 400),
        (asyncpg.ForeignKeyViolationError("x"), Verdict.MESSAGE, 409),
        (asyncpg.ReadOnlySQLTransactionError("x"), Verdict.WORLD, 503),
        (asyncpg.InvalidPasswordError("x"), Verdict.WORLD, 503),
        (asyncpg.ObjectNotInPrerequisiteStateError("x"), Verdict.WORLD, 503),
        (asyncpg.InsufficientPrivilegeError("x"), Verdict.WORLD, 503),
        (asyncpg.UndefinedTableError("x"), Verdict.BUG, 500),
        (asyncpg.RaiseError("x"), Verdict.BUG, 500),
        (ConnectionResetError(), Verdict.WORLD, 503),
        (TimeoutError(), Verdict.WORLD, 503),
        (EOFError(), Verdict.WORLD, 503),
        (MemoryError(), Verdict.WORLD, 503),
        (RuntimeError("unable to perform operation on <TCPTransport>; the handler is closed"), Verdict.WORLD, 503),
        (RuntimeError("anything else"), Verdict.BUG, 500),
        (KeyError("x"), Verdict.BUG, 500),
        (ZeroDivisionError(), Verdict.BUG, 500),
        (orjson.JSONDecodeError("x", "", 0), Verdict.BUG, 500),
        (ExceptionGroup("x", [Conflict("no"), KeyError()]), Verdict.BUG, 500),
        (ExceptionGroup("x", [KeyError(), ExceptionGroup("y", [OSError()])]), Verdict.WORLD, 503),
    ],
    ids=repr,
)  # fmt: skip
def test_errors_of_ours_and_of_python(error: Exception, verdict: Verdict, status: int) -> None:
    answer = answer_to(error)
    assert (classify(error), answer.status) == (verdict, status)
    assert ("Retry-After" in answer.headers) == (status in (429, 503))
    assert "x" not in (answer.detail, *answer.body("/", "").get("errors", ())), "the driver's text was told"


def test_what_does_not_validate_is_the_messages() -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        pydantic.TypeAdapter(int).validate_python("no number")
    assert classify(caught.value) is Verdict.MESSAGE


def test_what_becomes_of_the_session() -> None:
    for code in LISTED:
        error = asyncpg.PostgresError("x")
        error.sqlstate = code
        unavailable = Unavailable("database")
        unavailable.__cause__ = error
        renewed = code[:2] in ("08", "28") or code in ("25006", *(f"57P0{number}" for number in range(1, 6)))
        assert session_after(unavailable) is (Session.RENEW if renewed else Session.KEEP), code


def test_a_session_that_fell_silent_is_dropped() -> None:
    assert session_after(TimeoutError()) is Session.DROP
    assert session_after(asyncpg.InterfaceError("x")) is Session.DROP
