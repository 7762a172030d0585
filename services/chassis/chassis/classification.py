"""Error classification: who caused an error, the message, the world or our own code. One table for everybody.

    MESSAGE  only what the message itself can cause: it does not parse, a rule of the domain, SQLSTATE classes 22, 23.
             It is the request's own fault (4xx), and counts against a message.
    WORLD    what says nothing about the message: servers, networks, credentials, disks. 503 with Retry-After; a message
             is retried for ever.
    BUG      everything else: our code. 500; a message waits for a repair, then becomes a dead letter (chassis.retries).

PostgreSQL's codes: https://www.postgresql.org/docs/current/errcodes-appendix.html. Drivers are known by their packages,
so that this module imports none of them.
"""

from enum import Enum, StrEnum

import pydantic

from chassis.errors import Conflict, Invalid, PlatformError, Poison, Unavailable


class Verdict(StrEnum):
    """The cause of an error, and the label of it in metrics."""

    MESSAGE = "message"
    WORLD = "world"
    BUG = "bug"


class Session(Enum):
    """What becomes of the connection to PostgreSQL on which an error was raised."""

    KEEP = "keep"
    """It is in order after a ROLLBACK: closing it would make a storm of reconnects of one locked row."""

    DROP = "drop"
    """Its state is not known."""

    RENEW = "renew"
    """Every session of the process may be of no use: the server, its role or our credentials have changed."""


# SQL that was written wrongly, and features that are not used here.
_OF_SQL = ["00", "01", "02", "03", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "10", "20", "21", "24", "26", "27", "2B"]
_OF_SQL += ["2D", "2F", "34", "38", "39", "3B", "3F", "42", "44", "54", "HV", "P0"]

CLASSES: dict[str, Verdict] = (
    dict.fromkeys(("22", "23"), Verdict.MESSAGE)
    # Connections, transaction states (a read-only server), credentials, catalogs, lost races, resources, objects in
    # use, interventions, disks, snapshots, the server's configuration, and its own internal errors.
    | dict.fromkeys(("08", "25", "28", "3D", "40", "53", "55", "57", "58", "72", "F0", "XX"), Verdict.WORLD)
    | dict.fromkeys(_OF_SQL, Verdict.BUG)
)
"""The verdict on each class of SQLSTATE. A class that PostgreSQL does not have is raised by our own SQL: a BUG."""

CODES = {"42501": Verdict.WORLD}
"""Single codes that differ from their class: a missing privilege is the role's, not the statement's."""

RENEWING = frozenset({"08", "28", "25006", "57P01", "57P02", "57P03", "57P04", "57P05"})
"""Codes and classes after which all sessions are renewed."""

READ_ONLY = "25006"
DISK_FULL = "53100"
LOST_RACES = frozenset({"40001", "40P01"})
"""A serialization failure or a deadlock: another try of the same transaction usually succeeds at once."""

_GRPC_MESSAGE = frozenset({"INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION", "OUT_OF_RANGE"})
_DRIVERS = frozenset({"asyncpg", "aiokafka", "redis", "hiredis", "grpc"})
_WORLD = (
    OSError,  # refused and reset connections, full disks, and TimeoutError
    EOFError,  # the server died in the middle of a message
    MemoryError,
)
_STALE_PLANS = frozenset({"InvalidCachedStatementError", "OutdatedSchemaCacheError"})
"""asyncpg's own: a migration has changed what a prepared statement was planned for; the next try plans anew."""


def classify(error: BaseException) -> Verdict:
    """The verdict on any error that a handler, or the reading of its message, raised."""
    if isinstance(error, BaseExceptionGroup):
        return _of_group(error)
    if isinstance(error, PlatformError):
        return _of_status(error.status)
    if isinstance(error, (Poison, pydantic.ValidationError)):
        return Verdict.MESSAGE
    if isinstance(error, _WORLD) or _closed_transport(error):
        return Verdict.WORLD
    wrapped = getattr(error, "orig", None)  # by SQLAlchemy, under the migrations
    return classify(wrapped.__cause__ or wrapped) if isinstance(wrapped, Exception) else _of_driver(error)


def of_sqlstate(code: str) -> Verdict:
    """The verdict on one SQLSTATE."""
    return CODES.get(code) or CLASSES.get(code[:2], Verdict.BUG)


def of_grpc(name: str) -> Verdict:
    """The verdict on a status of gRPC, by its name; another replica or another minute may answer all others."""
    return Verdict.MESSAGE if name in _GRPC_MESSAGE else Verdict.WORLD


def permanent(error: BaseException) -> bool:
    """Whether a message that cannot be read raised this: no later event makes it readable."""
    return isinstance(error, (Poison, pydantic.ValidationError))


def session_after(error: BaseException) -> Session:
    """What becomes of the connection that raised this."""
    code = sqlstate(error)
    if not code:
        return Session.DROP
    return Session.RENEW if RENEWING & {code, code[:2]} else Session.KEEP


def sqlstate(error: BaseException | None) -> str:
    """The code that a server gave, also of an error that was raised from it; empty where there is none."""
    found = getattr(error, "sqlstate", None) or (sqlstate(error.__cause__) if error and error.__cause__ else "")
    return found if isinstance(found, str) else ""


def answer_to(error: Exception) -> PlatformError:
    """The answer to a request that ended with this error: its own, 400, 409, 503 or 500, without a driver's text."""
    if isinstance(error, PlatformError):
        return error
    verdict = classify(error)
    if verdict is Verdict.WORLD:
        return Unavailable("a dependency")
    code = sqlstate(error)
    if verdict is Verdict.MESSAGE and code.startswith("22"):
        return Invalid("a value cannot be stored")
    if verdict is Verdict.MESSAGE and code:
        return Conflict("it contradicts what is stored")
    return PlatformError(500, "internal", "Internal Server Error", "something went wrong")


def _of_status(status: int) -> Verdict:
    if status in (429, 502, 503, 504):
        return Verdict.WORLD
    return Verdict.MESSAGE if status < 500 else Verdict.BUG


def _of_group(group: BaseExceptionGroup[BaseException]) -> Verdict:
    """The world's fault before a bug before the message's: what is left shows at the next try."""
    verdicts = {classify(error) for error in group.exceptions}
    return next(verdict for verdict in (Verdict.WORLD, Verdict.BUG, Verdict.MESSAGE) if verdict in verdicts)


def _of_driver(error: BaseException) -> Verdict:
    if _DRIVERS.isdisjoint(base.__module__.partition(".")[0] for base in type(error).__mro__):
        return Verdict.BUG
    if type(error).__name__ in _STALE_PLANS:
        return Verdict.WORLD
    if code := sqlstate(error):
        return of_sqlstate(code)
    status = getattr(error, "code", None)  # of a gRPC call that failed
    return of_grpc(status().name) if callable(status) else Verdict.WORLD


def _closed_transport(error: BaseException) -> bool:
    """What uvloop says of a connection that the server closed before it was written to."""
    return isinstance(error, RuntimeError) and any("the handler is closed" in str(each) for each in error.args)
