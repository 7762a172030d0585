"""Where everything of one stack is: its ports, its files, and the services it runs."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STEP, HIGHEST_OFFSET = 100, 20_000  # beyond lie the ports that Linux hands out to clients
HUNG_SECONDS = 60


class UsageError(Exception):
    """The command was used wrongly; one sentence, exit code 2."""


class Failure(Exception):
    """Something did not work; one sentence, exit code 1."""


@dataclass(frozen=True)
class Service:
    """One of the platform's services.

    `database_port` names the variable of its database's own port, `group` the consumer group that it is the member of.
    """

    name: str
    package: str
    port: str
    database_port: str | None = None
    group: str | None = None

    @property
    def database(self) -> str:
        """Its database, and the role that owns it."""
        return self.package


SERVICES = (
    Service("billing-service", "billing_service", "BILLING_SERVICE_HTTP_PORT", "BILLING_DB_PORT", "billing-service"),
    Service("auth-service", "auth_service", "AUTH_SERVICE_PORT", "AUTH_DB_PORT"),
    Service("patient-service", "patient_service", "PATIENT_SERVICE_PORT", "PATIENT_DB_PORT", "patient-service"),
    Service(
        "appointment-service",
        "appointment_service",
        "APPOINTMENT_SERVICE_PORT",
        "APPOINTMENT_DB_PORT",
        "appointments-cg",
    ),
    Service(
        "analytics-service", "analytics_service", "ANALYTICS_SERVICE_PORT", "ANALYTICS_DB_PORT", "analytics-service"
    ),
    Service("api-gateway", "api_gateway", "API_GATEWAY_PORT"),
)

PORTS = {
    "PATIENT_SERVICE_PORT": 4000,
    "BILLING_SERVICE_HTTP_PORT": 4001,
    "ANALYTICS_SERVICE_PORT": 4002,
    "API_GATEWAY_PORT": 4004,
    "AUTH_SERVICE_PORT": 4005,
    "APPOINTMENT_SERVICE_PORT": 4006,
    "BILLING_SERVICE_GRPC_PORT": 9001,
    "REDIS_PORT": 6379,
    "KAFKA_PORT": 9092,
    "KAFKA_CONTROLLER_PORT": 9093,
    "KAFKA_EXTERNAL_PORT": 9094,
    "PATIENT_DB_PORT": 5001,
    "AUTH_DB_PORT": 5002,
    "BILLING_DB_PORT": 5003,
    "APPOINTMENT_DB_PORT": 5004,
    "ANALYTICS_DB_PORT": 5006,
}
"""Every port of a stack by the variable that sets it; PORT_OFFSET is added to each."""

PORTS_AT_AN_OFFSET = PORTS | {
    "BILLING_SERVICE_GRPC_PORT": 4011,
    "REDIS_PORT": 4012,
    "KAFKA_PORT": 4013,
    "KAFKA_CONTROLLER_PORT": 4014,
    "KAFKA_EXTERNAL_PORT": 4015,
    "PATIENT_DB_PORT": 4021,
    "AUTH_DB_PORT": 4022,
    "BILLING_DB_PORT": 4023,
    "APPOINTMENT_DB_PORT": 4024,
    "ANALYTICS_DB_PORT": 4026,
}
"""The same where PORT_OFFSET is not 0: no two ports are alike modulo 100, so that no two offsets share one."""


@dataclass(frozen=True)
class Layout:
    """One stack of this machine, told apart by its port offset.

    `hung_seconds`: a service that has not answered for so long is started again; 0: never.
    """

    offset: int = 0
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    hung_seconds: int = HUNG_SECONDS

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> "Layout":
        """The stack that PORT_OFFSET names; UsageError when that, or HPCTL_HUNG_SECONDS, cannot be used."""
        offset = _offset(environ.get("PORT_OFFSET") or "0")
        hung = _number("HPCTL_HUNG_SECONDS", environ.get("HPCTL_HUNG_SECONDS") or str(HUNG_SECONDS), 0, 86_400)
        return cls(offset, environ, hung)

    @property
    def directory(self) -> Path:
        """Its state: databases, logs, secrets, process ids."""
        return ROOT / ".run" / str(self.offset)

    @property
    def logs(self) -> Path:
        """One log per process."""
        return self.directory / "logs"

    @property
    def gateway(self) -> str:
        """The address that clients use."""
        return f"http://127.0.0.1:{self.port('API_GATEWAY_PORT')}"

    def port(self, variable: str) -> int:
        """The port that a variable of PORTS means in this stack; UsageError when it is set to no usable number."""
        usual = PORTS_AT_AN_OFFSET if self.offset else PORTS
        text = self.environ.get(variable) or str(usual[variable])
        return _number(variable, text, 1, 65_535 - self.offset) + self.offset


def service_named(name: str) -> Service:
    """The service of that name; UsageError lists the names there are."""
    for service in SERVICES:
        if service.name == name:
            return service
    raise UsageError(f"there is no service {name!r}; there are {', '.join(each.name for each in SERVICES)}")


def _offset(text: str) -> int:
    offset = _number("PORT_OFFSET", text, 0, HIGHEST_OFFSET)
    if offset % STEP:
        raise UsageError(
            f"PORT_OFFSET must be a multiple of {STEP}, such as {offset // STEP * STEP + STEP}, not {text}"
        )
    for variable, port in PORTS_AT_AN_OFFSET.items():
        if offset and (taken := next((name for name, usual in PORTS.items() if usual == port + offset), None)):
            raise UsageError(
                f"PORT_OFFSET={offset} would give {variable} the port {port + offset}, which is {taken} of the stack "
                f"without an offset; use PORT_OFFSET={offset + STEP}"
            )
    return offset


def _number(variable: str, text: str, lowest: int, highest: int) -> int:
    if not text.isdecimal() or not lowest <= int(text) <= highest:
        raise UsageError(f"{variable} must be a whole number from {lowest} to {highest}, not {text!r}")
    return int(text)
