"""The proxies whose word about a client is believed (TRUSTED_PROXIES)."""

import ipaddress
from collections.abc import Iterable


class Networks:
    """The proxies that are believed."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(network, strict=False) for network in networks]
        self._known: dict[str, bool] = {}

    def __contains__(self, address: str) -> bool:
        if not self._networks:
            return False
        if address not in self._known:
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[address] = self._listed(address)
        return self._known[address]

    def _listed(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)
