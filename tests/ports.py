"""Port offsets for the stacks of tests, of which several sessions may start some at the same moment."""

import random
import socket
from collections.abc import Callable

from hpctl.layout import PORTS, Layout

OFFSETS = range(10_000, 20_000, 100)
BESIDE = 50  # with it, the ports of docker-compose.yml are nobody's of an embedded stack at any offset
CLAIM_PORT = 4099  # with an offset no port of any stack


def free_offset() -> int:
    """An offset at which nobody listens on any port of an embedded stack.

    It stays this process's own, also before its servers listen: other sessions may look for one at the same moment.
    """
    return _free_offset(0, lambda offset: [Layout(offset).port(variable) for variable in PORTS])


def free_compose_offset() -> int:
    """The same for docker-compose.yml and `docker run`, where every port is moved by the number alone."""
    return _free_offset(BESIDE, lambda offset: [port + offset for port in PORTS.values()])


def _free_offset(beside: int, ports: Callable[[int], list[int]]) -> int:
    offsets = [each + beside for each in random.sample(OFFSETS, len(OFFSETS))]
    return next(each for each in offsets if all(map(_free, ports(each))) and _claim(each))


def _claim(offset: int) -> bool:
    """Bind, until this process ends, a port that no server of a stack at this offset has."""
    claim = socket.socket()
    try:
        claim.bind(("127.0.0.1", CLAIM_PORT + offset))
    except OSError:
        claim.close()
        return False
    claim.detach()
    return True


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
