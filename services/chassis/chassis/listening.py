"""The socket that a server listens on: both families where the machine has both."""

import errno
import socket

from chassis import logs

log = logs.logger(__name__)

EVERYWHERE = "::"
"""Every address of the machine, IPv4's among them."""


def plain(host: str) -> str:
    """A host without the brackets that an IPv6 address has in a URL."""
    return host.removeprefix("[").removesuffix("]")


def bound(host: str, port: int) -> socket.socket:
    """A socket that is bound, not yet listening; asyncio would make one of `::` that takes IPv6 alone.

    Raises:
        OSError: the address is taken, or is none of this machine.
    """
    host = plain(host)
    if host != EVERYWHERE:
        return _socket(socket.AF_INET6 if ":" in host else socket.AF_INET, host, port)
    try:
        return _socket(socket.AF_INET6, host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise
        log.info("this machine has no IPv6", listening_on="0.0.0.0")  # noqa: S104 - as HOST asks
        return _socket(socket.AF_INET, "0.0.0.0", port)  # noqa: S104


def _socket(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    # With the protocol named asyncio switches Nagle's delay off.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != EVERYWHERE))
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made
