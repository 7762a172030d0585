"""Who a client is: its own address, or what trusted proxies in front of us say (X-Forwarded-For, from the right)."""

import ipaddress
from collections.abc import Iterable

from api_gateway.generations import Generations

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Trust:
    """Knows the networks of trusted proxies."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = tuple(ipaddress.ip_network(network, strict=False) for network in networks)
        self._known: Generations[str, bool] = Generations(4096)

    def trusts(self, address: str) -> bool:
        """Whether this peer is a proxy of ours."""
        if not self._networks:
            return False
        known = self._known.get(address)
        if known is None:
            known = self._known.put(address, self._is_inside(address))
        return known

    def client(self, peer: str, forwarded_for: bytes | None) -> str:
        """The client's address: the first one from the right that is no proxy of ours."""
        address = peer
        if forwarded_for is not None and self.trusts(peer):
            for word in reversed(forwarded_for.decode("latin-1").split(",")):
                parsed = _parse(word.strip())
                if parsed is None:
                    break
                address = str(parsed)
                if not self.trusts(address):
                    break
        return address

    def _is_inside(self, address: str) -> bool:
        parsed = _parse(address)
        return parsed is not None and any(parsed in network for network in self._networks)


def bucket(address: str) -> str:
    """What is limited together: an IPv4 address, or the /64 that one IPv6 client has."""
    parsed = _parse(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address


def _parse(address: str) -> Address | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed
