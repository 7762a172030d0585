"""Who may pass: limit by address → token → limit by client → scope. An unknown path is 404 before it is 401."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from chassis.errors import Forbidden, MethodNotAllowed, NotFound, TooManyRequests, Unauthenticated

from api_gateway import metrics
from api_gateway.cors import Cors, is_preflight
from api_gateway.limits import Limiter
from api_gateway.problems import Refused
from api_gateway.quota import Decision, Quota
from api_gateway.routes import METHODS, ROUTES, RouteTable
from api_gateway.settings import Settings
from api_gateway.trust import bucket

if TYPE_CHECKING:
    from chassis.auth import Principal

    from api_gateway.exchange import Exchange

_KNOWN_METHODS = frozenset(method.encode() for method in METHODS)
_READING = frozenset({b"GET", b"HEAD"})
_UNVERIFIED = "unverified"
_SCHEME = b"bearer "


class Tokens(Protocol):
    """What is needed of chassis.auth.TokenVerifier."""

    def cached(self, token: str) -> "Principal | None":
        """Whom the token names, when it has been verified before and still counts."""

    def verify(self, token: str) -> "Principal":
        """Whom it names. Raises Unauthenticated."""


Then = Callable[["Exchange"], None]


class Admission:
    """Decides for each exchange once, now or later: `forward`, `permit` (a preflight), `open_page` or `refuse`."""

    def __init__(
        self,
        settings: Settings,
        limiter: Limiter,
        tokens: Tokens,
        cors: Cors,
        routes: RouteTable,
        permissions: Mapping[str, frozenset[str]],
    ) -> None:
        self._limiter = limiter
        self._tokens = tokens
        self._cors = cors
        self._routes = routes
        self._permissions = permissions
        self._quotas = {route.name: settings.quota(route.name, route.quota) for route in ROUTES}
        self._default = settings.rate_limits["default"]

    def begin(self, exchange: "Exchange") -> None:
        """Take a request in whose head is sound."""
        route = exchange.route
        if route is None:
            self._without_route(exchange)
        elif is_preflight(exchange.method, exchange.fields):
            self._preflight(exchange)
        elif exchange.method not in _KNOWN_METHODS:
            exchange.refuse(MethodNotAllowed(METHODS))
        elif route.auth:
            self._authenticate(exchange)
        else:
            client = bucket(exchange.address)
            self._limit(exchange, route.name, self._quotas[route.name], client, _forward)

    def _without_route(self, exchange: "Exchange") -> None:
        path = exchange.head.path
        if not self._routes.is_own(path):
            self._limit_address(exchange, _not_found)
        elif exchange.method not in _READING:
            exchange.refuse(MethodNotAllowed(("GET", "HEAD")))
        elif not exchange.whole:
            exchange.refuse(Refused(400, "this page takes no body"))
        elif path.startswith(b"/actuator"):
            exchange.open_page()
        else:
            self._limit_address(exchange, _open_page)

    def _preflight(self, exchange: "Exchange") -> None:
        lines = self._cors.preflight(exchange.fields)
        if lines is None:
            exchange.refuse(Forbidden("this origin may not call from a browser"))
        else:
            exchange.permit(lines)

    def _authenticate(self, exchange: "Exchange") -> None:
        value = exchange.fields.authorization
        token = value[7:].decode("latin-1") if value is not None and value[:7].lower() == _SCHEME else None
        if token is None:
            self._limit_address(exchange, _no_token)
            return
        principal = self._tokens.cached(token)
        if principal is None:
            self._limit_address(exchange, lambda exchange: self._verify(exchange, token))
        else:
            self._limit_client(exchange, principal)

    def _verify(self, exchange: "Exchange", token: str) -> None:
        try:
            principal = self._tokens.verify(token)
        except Unauthenticated as error:
            exchange.refuse(error)
        else:
            self._limit_client(exchange, principal)

    def _limit_client(self, exchange: "Exchange", principal: "Principal") -> None:
        route = exchange.route
        assert route is not None
        scope = route.scopes.get(exchange.method_name)
        allowed = scope is None or scope in self._permissions.get(principal.role, ())
        then = _forward if allowed else _forbidden
        self._limit(exchange, route.name, self._quotas[route.name], "subject " + principal.subject, then)

    def _limit_address(self, exchange: "Exchange", then: Then) -> None:
        self._limit(exchange, _UNVERIFIED, self._default, bucket(exchange.address), then)

    def _limit(self, exchange: "Exchange", name: str, quota: Quota, client: str, then: Then) -> None:
        decision = self._limiter.take(name, quota, client)
        if decision is None:
            self._limiter.ask(name, quota, client, lambda late: _decided(exchange, name, quota, late, then))
        else:
            _decided(exchange, name, quota, decision, then)


def _decided(exchange: "Exchange", name: str, quota: Quota, decision: Decision, then: Then) -> None:
    if exchange.over:
        return
    exchange.limit_lines = quota.lines(decision)
    if decision.allowed:
        metrics.stats(name).allowed += 1
        then(exchange)
    else:
        metrics.stats(name).refused += 1
        exchange.refuse(TooManyRequests(decision.retry_after))


def _forward(exchange: "Exchange") -> None:
    exchange.forward()


def _open_page(exchange: "Exchange") -> None:
    exchange.open_page()


def _not_found(exchange: "Exchange") -> None:
    exchange.refuse(NotFound("path"))


def _no_token(exchange: "Exchange") -> None:
    exchange.refuse(Unauthenticated())


def _forbidden(exchange: "Exchange") -> None:
    exchange.refuse(Forbidden())
