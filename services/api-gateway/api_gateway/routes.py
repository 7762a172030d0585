"""The route table, as data: what the gateway lets through, where to, for whom, how often and for how long.

Paths are prefixes of whole segments; a service's `/actuator` is behind none of them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
READING = ("GET", "HEAD", "OPTIONS")
WRITING = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")
CONSOLE = "/console"
FORMS = f"{CONSOLE}/"  # the pages under it take forms
OWN_PAGES = ("/", "/actuator", "/api-docs", CONSOLE, "/docs", "/openapi.json")

Upstream = Literal["patient-service", "appointment-service", "auth-service", "billing-service", "analytics-service"]


def _reads(permission: str) -> dict[str, str]:
    return dict.fromkeys(("GET", "HEAD", "OPTIONS"), permission)


def _writes(permission: str) -> dict[str, str]:
    return dict.fromkeys(("POST", "PUT", "PATCH", "DELETE"), permission)


@dataclass(frozen=True, eq=False)
class Route:
    """`prefix` is the part of the path that the service does not see; `timeout` (s) runs until its answer begins.

    Routes of one `group` share the breaker, the bulkhead and the connections of their upstream; the others of that
    upstream do not feel what befalls them. `quota_of`: the route whose allowance is spent, where it is not its own.
    """

    name: str
    path: str
    upstream: Upstream
    prefix: str = ""
    auth: bool = True
    scopes: Mapping[str, str] = field(default_factory=dict)  # method → permission; none: any valid token
    methods: tuple[str, ...] = READING  # those that exist behind it, for a browser's preflight
    quota: str = "default"
    timeout: float = 10.0
    exact: bool = False
    group: str = ""
    crowd: int = 1  # its bulkhead in UPSTREAM_CONCURRENCY; more where the service refuses early by itself
    quota_of: str = ""

    @property
    def pool(self) -> str:
        """The name of its breaker and its connections."""
        return f"{self.upstream}-{self.group}" if self.group else self.upstream

    @property
    def limited_as(self) -> str:
        """The name under which its requests are counted for the limit."""
        return self.quota_of or self.name


def _hashing(name: str) -> Route:
    return Route(
        name,
        f"/auth/{name}",
        "auth-service",
        auth=False,
        methods=("POST", "OPTIONS"),
        quota="auth",
        quota_of="auth",
        crowd=4,
        group="hashing",
    )


ROUTES = (
    Route(
        "patients",
        "/api/patients",
        "patient-service",
        "/api",
        scopes=_reads("patients:read") | _writes("patients:write") | {"DELETE": "patients:delete"},
        methods=WRITING,
    ),
    Route(
        "appointments",
        "/api/appointments",
        "appointment-service",
        "/api",
        scopes=_reads("appointments:read") | _writes("appointments:write"),
        methods=WRITING,
    ),
    Route("analytics", "/api/analytics", "analytics-service", "/api", scopes=_reads("analytics:read")),
    Route("billing", "/api/billing", "billing-service", "/api", scopes=_reads("billing:read")),
    Route("auth", "/auth", "auth-service", auth=False, quota="auth"),
    # These two hash passwords, and a flood of them is a queue: what checks tokens does not stand in it.
    _hashing("login"),
    _hashing("register"),
    Route("jwks", "/.well-known/jwks.json", "auth-service", auth=False, exact=True),
)


class RouteTable:
    """Finds the route of a path."""

    def __init__(self, routes: tuple[Route, ...] = ROUTES) -> None:
        self._routes = {route.path.encode(): route for route in routes}
        self._own = frozenset(page.encode() for page in OWN_PAGES)
        paths = b"|".join(re.escape(path) for path in sorted(self._routes, key=len, reverse=True))
        self._pattern = re.compile(rb"(%b)(?:/|$)" % paths)

    def find(self, path: bytes) -> Route | None:
        """The route, or None."""
        matched = self._pattern.match(path)
        if matched is None:
            return None
        route = self._routes[matched[1]]
        return None if route.exact and len(path) != len(route.path) else route

    def is_own(self, path: bytes) -> bool:
        """Whether the gateway answers this page itself."""
        return _first(path) in self._own

    def is_shared(self, path: bytes) -> bool:
        """Whether scripts of allowed origins may read this page of ours: not the console, which goes by a cookie."""
        return self.is_own(path) and _first(path) != CONSOLE.encode()


def _first(path: bytes) -> bytes:
    end = path.find(b"/", 1)
    return path if end < 0 else path[:end]
