"""Port offsets for the stacks of tests, of which several sessions may start some at the same moment."""

import random
import socket

from hpctl.layout import PORTS

STEP = 107
"""No two ports of a stack lie a multiple of this apart, so stacks at two offsets share none."""

OFFSETS = range(10_000, 22_000, STEP)  # below the ports that the system hands out
CLAIM_PORT = 10_000  # with an offset no port of any stack


def free_offset() -> int:
    """An offset at which nobody listens on any of a stack's ports.

    It stays this process's own, also before its servers listen: other sessions may look for one at the same moment.
    """
    offsets = random.sample(OFFSETS, len(OFFSETS))
    return next(each for each in offsets if all(_free(port + each) for port in PORTS.values()) and _claim(each))


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
