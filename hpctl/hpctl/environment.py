"""What each service of the embedded stack finds in its environment, and the broker that they share."""

import re

from hpctl import state
from hpctl.embedded.kafka import Kafka
from hpctl.layout import SERVICES, Layout, Service

# The stack decides these itself; what a shell carries for another database or broker must not leak in.
_OURS = re.compile(
    r"^(SPRING_|DATABASE_|PATIENT_DB_|POSTGRES_|KAFKA_|REDIS_|CACHE_TYPE$|DDL_AUTO$|SQL_INIT_MODE$|PORT_OFFSET$)"
)


def environment(layout: Layout, service: Service) -> dict[str, str]:
    """The variables of one service: where its servers and neighbours are, and everything of the caller's that may pass.

    JWT_SECRET and other settings go through from the caller. The services drain for no time at all: nobody balances
    load in front of them here, and `down` should be quick.
    """
    passed = {name: value for name, value in layout.environ.items() if not _OURS.match(name)}
    return {
        "APP_ENV": "development",
        "SHUTDOWN_DRAIN_SECONDS": "0",
        **passed,
        **_ports(layout),
        **_servers(layout),
        **_neighbours(layout),
        **(_database(layout, service) if service.database_port else {}),
        # The gateway's forwarded headers are believed, so that links lead back through it; it believes nobody's.
        **({} if service.name == "api-gateway" else {"TRUSTED_PROXIES": "127.0.0.1/32"}),
        "HOST": "127.0.0.1",
        "DISK_SPACE_PATH": str(layout.directory),
    }


def embedded_kafka(layout: Layout) -> Kafka:
    """The stack's broker, not started."""
    ports = {
        "external_port": layout.port("KAFKA_EXTERNAL_PORT"),
        "controller_port": layout.port("KAFKA_CONTROLLER_PORT"),
    }
    return Kafka(layout.directory / "kafka", layout.port("KAFKA_PORT"), **ports)


def _ports(layout: Layout) -> dict[str, str]:
    names = [service.port for service in SERVICES] + ["BILLING_SERVICE_GRPC_PORT"]
    return {name: str(layout.port(name)) for name in names}


def _servers(layout: Layout) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{layout.port('KAFKA_PORT')}",
        "KAFKA_CREATE_TOPICS": "true",
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(layout.port("REDIS_PORT")),
        "REDIS_PASSWORD": state.password(layout, "valkey"),
        "CACHE_TYPE": layout.environ.get("CACHE_TYPE", "redis"),
    }


def _neighbours(layout: Layout) -> dict[str, str]:
    urls = {
        f"{service.package.upper()}_URL": f"http://127.0.0.1:{layout.port(service.port)}"
        for service in SERVICES
        if service.name != "api-gateway"
    }
    return urls | {"BILLING_SERVICE_ADDRESS": f"127.0.0.1:{layout.port('BILLING_SERVICE_GRPC_PORT')}"}


def _database(layout: Layout, service: Service) -> dict[str, str]:
    return {
        "DATABASE_URL": f"postgresql://127.0.0.1:{layout.port('PATIENT_DB_PORT')}/{service.database}",
        "DATABASE_USER": service.database,
        "DATABASE_PASSWORD": state.password(layout, service.database),
        # The stack migrates in a step of its own; a service that did it again would keep 8 MiB of Alembic for nothing.
        "DDL_AUTO": layout.environ.get("DDL_AUTO", "none"),
        "SQL_INIT_MODE": layout.environ.get("SQL_INIT_MODE", "always"),
    }
