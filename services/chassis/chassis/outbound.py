"""HTTP_PROXY is for what lies outside: calls to the platform's own servers never go through it."""

import ipaddress
import urllib.request
from urllib.parse import urlsplit

_INSIDE = (".svc", ".local", ".localhost", ".internal")

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Opens a URL without a proxy, whatever the environment says."""


def inside(url: str) -> bool:
    """Whether a URL leads to a server beside this one: a Service's name, or an address that is not routed publicly.

    A proxy resolves names in its own network, where a Service of the cluster has none.
    """
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_INSIDE) or ".svc." in host
