"""Who really opens connections to whom: read from the kernel's tables while the platform works."""

import os
from contextlib import suppress

import psutil
from hpctl.layout import PORTS, SERVICES, Layout

from hpctl import state

Connection = tuple[str, str, int]
"""From whom, to whom, and at which of the platform's ports (without a stack's offset)."""

SERVERS = {
    "BILLING_SERVICE_GRPC_PORT": ("billing-service", 9001),
    "REDIS_PORT": ("redis", 6379),
    "KAFKA_PORT": ("kafka", 9092),
    "KAFKA_EXTERNAL_PORT": ("kafka", 9092),
    "KAFKA_CONTROLLER_PORT": ("kafka", 9093),
}


def of_services(offset: int) -> set[Connection]:
    """What is connected at this moment, seen from the pid of each service."""
    layout = Layout(offset, os.environ | {"PORT_OFFSET": str(offset)})
    doors = {layout.port(name): _server(name) for name in PORTS}
    found = set()
    for process in state.read(layout).processes:
        if process.name in {service.name for service in SERVICES}:
            found |= {(process.name, *doors[port]) for port in _remote_ports(process.pid, set(doors))}
    return found


def _server(variable: str) -> tuple[str, int]:
    for service in SERVICES:
        if service.port == variable:
            return service.name, PORTS[variable]
    return SERVERS.get(variable, ("postgres", 5432))


def _remote_ports(pid: int, doors: set[int]) -> set[int]:
    """Ports that this process is a client of: its own end of an accepted connection is one of our doors."""
    with suppress(psutil.NoSuchProcess):
        return {
            each.raddr.port
            for each in psutil.Process(pid).net_connections("tcp")
            if each.raddr and each.laddr.port not in doors and each.raddr.port in doors
        }
    return set()
