"""Who a client is: its own address, or what the proxies that are believed say (TRUSTED_PROXIES, X-Forwarded-For)."""

import ipaddress
from collections.abc import Iterable

from starlette.requests import Request

from chassis.generations import Generations

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_REMEMBERED = 4096


class Networks:
    """The networks of the proxies that are believed."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = tuple(ipaddress.ip_network(network, strict=False) for network in networks)
        self._known: Generations[str, bool] = Generations(_REMEMBERED)

    def __contains__(self, address: str) -> bool:
        if not self._networks:
            return False
        known = self._known.get(address)
        if known is None:
            known = self._known.put(address, self._is_inside(address))
        return known

    def chain(self, peer: str, forwarded_for: str | None) -> list[str]:
        """The client's address, and after it those of the proxies that it came through; the last one is the peer.

        X-Forwarded-For is read from the right, as far as each address is a believed proxy's. What stands further left
        nobody who is believed has said.
        """
        found = [peer]
        for word in reversed(forwarded_for.split(",") if forwarded_for and peer in self else ()):
            parsed = parse(word.strip())
            if parsed is None:
                break
            found.append(str(parsed))
            if found[-1] not in self:
                break
        return found[::-1]

    def client(self, peer: str, forwarded_for: str | None) -> str:
        """The client's address."""
        return self.chain(peer, forwarded_for)[0]

    def _is_inside(self, address: str) -> bool:
        parsed = parse(address)
        return parsed is not None and any(parsed in network for network in self._networks)


def client_of(request: Request) -> str:
    """The address of the client that sent a request to a service."""
    proxies: Networks = request.app.state.proxies
    peer = request.client.host if request.client else ""
    return proxies.client(unmapped(peer), ",".join(request.headers.getlist("x-forwarded-for")))


def bucket(address: str) -> str:
    """What is limited together: an IPv4 address, or the /64 that one IPv6 client has."""
    parsed = parse(address)
    if parsed is None:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)


def unmapped(address: str) -> str:
    """An IPv4 address that arrived on an IPv6 socket (`::ffff:192.0.2.1`), as IPv4; anything else as it is."""
    return str(parse(address) or address) if ":" in address else address


def parse(address: str) -> Address | None:
    """The address, unmapped; None for what is none."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed
