"""What is printed about a stack: its progress, its processes, its addresses."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from hpctl import state
from hpctl.layout import SERVICES, Layout
from hpctl.probe import fetch, listens
from hpctl.progress import Line

NEXT = ("make demo", "make status", ".venv/bin/hpctl logs patient-service -f", "make down")
DEMO_EMAIL, DEMO_PASSWORD = "testuser@test.com", "password123"

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

WIDEST = 1000

_PORTS = {
    "postgres": ["PATIENT_DB_PORT"],
    "database-doors": ["AUTH_DB_PORT", "BILLING_DB_PORT", "APPOINTMENT_DB_PORT", "ANALYTICS_DB_PORT"],
    "valkey": ["REDIS_PORT"],
    "kafka": ["KAFKA_PORT", "KAFKA_EXTERNAL_PORT", "KAFKA_CONTROLLER_PORT"],
    "billing-service": ["BILLING_SERVICE_HTTP_PORT", "BILLING_SERVICE_GRPC_PORT"],
}


@dataclass(frozen=True)
class Row:
    """One process of a stack.

    `health` is what its health page says, or its ports: UP or DOWN; NO ANSWER when it runs but does not answer, STOPPED
    when it does not run.
    """

    name: str
    pid: int | None
    ports: list[int]
    health: str
    restarts: int
    memory_mib: float | None


def show_table(table: Table) -> None:
    """A table with every word whole, however narrow the terminal or the pipe is: names are there to be copied."""
    needed = Measurement.get(console, console.options.update(width=WIDEST), table).maximum
    Console(highlight=False, soft_wrap=True, width=max(needed, console.width)).print(table)


def show_progress(line: Line) -> None:
    """One line for each step that is done."""
    if line.seconds is not None:
        console.print(f"[green]✓[/] {line.step:<11} {line.text} [dim]{line.seconds:.1f} s[/]")


def rows(layout: Layout, found: state.State) -> list[Row]:
    """Each process of a running stack, asked now."""
    return [_row(layout, process) for process in found.processes]


def show_status(layout: Layout, listed: list[Row]) -> None:
    """A table of the processes."""
    table = Table("process", "health", "port", "pid", "restarts", "MiB", box=None, header_style="dim", pad_edge=False)
    for row in listed:
        style = "green" if row.health == "UP" else "red"
        ports = ", ".join(str(port) for port in row.ports)
        memory = f"{row.memory_mib:.0f}" if row.memory_mib is not None else ""
        table.add_row(row.name, f"[{style}]{row.health}[/]", ports, str(row.pid or ""), str(row.restarts), memory)
    show_table(table)
    total = sum(row.memory_mib or 0 for row in listed if row.name in {service.name for service in SERVICES})
    if total:
        console.print(f"[dim]services' own memory (PSS): {total:.0f} MiB · logs: {layout.logs}[/]")


def show_addresses(layout: Layout) -> None:
    """Where everything is, the demo login, and what to do next."""
    passwords = layout.directory / "secrets.json"
    databases = sorted(layout.port(service.database_port) for service in SERVICES if service.database_port)
    grpc = f", gRPC {layout.port('BILLING_SERVICE_GRPC_PORT')}"
    addresses = {
        service.name: f"http://127.0.0.1:{layout.port(service.port)}{grpc if 'billing' in service.name else ''}"
        for service in reversed(SERVICES)
    }
    addresses |= {
        "console": f"{layout.gateway}/console",
        "PostgreSQL": f"127.0.0.1, ports {', '.join(map(str, databases))}; passwords in {passwords}",
        "Valkey": f"127.0.0.1:{layout.port('REDIS_PORT')}",
        "Kafka": f"127.0.0.1:{layout.port('KAFKA_PORT')} and {layout.port('KAFKA_EXTERNAL_PORT')}",
    }
    for name, address in addresses.items():
        console.print(f"{name:<20} {address}")
    console.print(f"\ndemo login  {DEMO_EMAIL} / {DEMO_PASSWORD}")
    console.print(f"next        {' · '.join(f'{_which(layout)}{word}' for word in NEXT)}")


def _which(layout: Layout) -> str:
    return f"PORT_OFFSET={layout.offset} " if layout.offset else ""


def _row(layout: Layout, process: state.Process) -> Row:
    found = process.find()
    ports = [layout.port(variable) for variable in _variables(process.name)]
    if found is None:
        return Row(process.name, None, ports, "STOPPED", process.restarts, None)
    return Row(process.name, process.pid, ports, _health(layout, process.name), process.restarts, _memory(found))


def _health(layout: Layout, name: str) -> str:
    for service in SERVICES:
        if service.name == name:
            status, body = fetch(layout.port(service.port), "/actuator/health")
            answer: dict[str, Any] = body if isinstance(body, dict) else {}
            return str(answer.get("status", "DOWN")) if status else "NO ANSWER"
    return "UP" if all(listens(layout.port(variable)) for variable in _variables(name)) else "DOWN"


def _memory(process: psutil.Process) -> float:
    total = 0.0
    with suppress(psutil.NoSuchProcess):  # it may end while it is looked at
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                memory = each.memory_full_info()
                total += getattr(memory, "pss", memory.uss)
    return round(total / 1024 / 1024, 1)


def _variables(name: str) -> list[str]:
    return _PORTS.get(name) or [service.port for service in SERVICES if service.name == name]
