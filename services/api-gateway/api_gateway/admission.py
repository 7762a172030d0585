"""Who may pass: limit by address → token → limit by client → scope. An unknown path is 404 before it is 401."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from chassis.auth import Principal, TokenVerifier, UnknownKey
from chassis.errors import Forbidden, MethodNotAllowed, NotFound, Refused, TooManyRequests, Unauthenticated
from chassis.proxies import bucket
from chassis.wire.grammar import WHOLE_SERVER

from api_gateway import metrics
from api_gateway.cors import Cors, is_preflight
from api_gateway.limits import Account, Limiter
from api_gateway.quota import Decision
from api_gateway.routes import FORMS, METHODS, READING, ROUTES, Route, RouteTable
from api_gateway.settings import Settings

if TYPE_CHECKING:
    from api_gateway.exchange import Exchange

_KNOWN_METHODS = frozenset(method.encode() for method in METHODS)
_READING = frozenset({b"GET", b"HEAD"})
_FORMS = FORMS.encode()
_UNVERIFIED = "unverified"
_SCHEME = b"bearer "
_STANDING_SECONDS = 1.0


Then = Callable[["Exchange"], None]


class Standing:
    """What is known of a client on a route; it holds for a second, then its token is looked at again."""

    __slots__ = ("account", "methods", "stats", "until")

    def __init__(self, account: Account, methods: frozenset[bytes], until: float) -> None:
        self.account = account
        self.methods = methods
        self.until = until
        self.stats = metrics.stats(account.key.partition(":")[0])


class Admission:
    """Decides for each exchange once, now or later: `forward`, `permit` (a preflight), `open_page` or `refuse`."""

    def __init__(
        self,
        settings: Settings,
        limiter: Limiter,
        tokens: TokenVerifier,
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
        own = settings.rate_limits
        self._names = {route.name: route.name if route.name in own else route.limited_as for route in ROUTES}
        self._default = settings.rate_limits["default"]
        self._logins = settings.rate_limits["auth"]
        self._waiting: set[asyncio.Task[None]] = set()

    def begin(self, exchange: "Exchange") -> None:
        """Take a request in whose head is sound."""
        route = exchange.route
        if route is None:
            self._without_route(exchange)
            return
        standing = exchange.fields.standings.get(route)
        if standing is not None and exchange.started < standing.until and exchange.method in standing.methods:
            lines = self._limiter.spend(standing.account, exchange.started)
            if lines is not None:
                standing.stats.allowed += 1
                exchange.limit_lines = lines
                exchange.forward()
                return
        self._look_closely(exchange, route)

    def _look_closely(self, exchange: "Exchange", route: Route) -> None:
        if is_preflight(exchange.method, exchange.fields):
            self._preflight(exchange, route.methods)
        elif exchange.method not in _KNOWN_METHODS:
            exchange.refuse(MethodNotAllowed(METHODS))
        elif route.auth:
            self._authenticate(exchange, route)
        else:
            self._limit(exchange, self._account(route, bucket(exchange.address)), _forward)

    def _without_route(self, exchange: "Exchange") -> None:
        path = exchange.head.path
        if path == WHOLE_SERVER:
            self._limit_address(exchange, _allow_methods)
        elif not self._routes.is_own(path):
            self._limit_address(exchange, _not_found)
        elif exchange.method == b"POST" and path.startswith(_FORMS):
            self._limit(exchange, self._form_account(exchange), _open_page)
        elif is_preflight(exchange.method, exchange.fields) and self._routes.is_shared(path):
            self._preflight(exchange, READING)
        elif exchange.method not in _READING:
            exchange.refuse(MethodNotAllowed(("GET", "HEAD")))
        elif not exchange.whole:
            exchange.refuse(Refused(400, "this page takes no body"))
        elif path.startswith(b"/actuator"):
            exchange.open_page()
        else:
            self._limit_address(exchange, _open_page)

    def _form_account(self, exchange: "Exchange") -> Account:
        """Forms are where passwords are tried, so they are limited as logins are."""
        return self._limiter.account("forms", self._logins, bucket(exchange.address))

    def _preflight(self, exchange: "Exchange", methods: Sequence[str]) -> None:
        lines = self._cors.preflight(exchange.fields, methods)
        if lines is None:
            exchange.refuse(Forbidden("this origin may not call from a browser"))
        else:
            exchange.permit(lines)

    def _authenticate(self, exchange: "Exchange", route: Route) -> None:
        value = exchange.fields.authorization
        token = value[7:].decode("latin-1") if value is not None and value[:7].lower() == _SCHEME else None
        if token is None:
            self._limit_address(exchange, _no_token)
            return
        principal = self._tokens.cached(token)
        if principal is None:
            self._limit_address(exchange, lambda exchange: self._verify(exchange, route, token))
        else:
            self._limit_client(exchange, route, principal)

    def _verify(self, exchange: "Exchange", route: Route, token: str) -> None:
        try:
            principal = self._tokens.verify(token)
        except UnknownKey:
            waiting = asyncio.get_running_loop().create_task(self._verify_late(exchange, route, token))
            self._waiting.add(waiting)
            waiting.add_done_callback(self._waiting.discard)
        except Unauthenticated as error:
            exchange.refuse(error)
        else:
            self._limit_client(exchange, route, principal)

    async def _verify_late(self, exchange: "Exchange", route: Route, token: str) -> None:
        """Once the token's key has been asked for; the client may be gone by then."""
        try:
            principal = await self._tokens.verified(token)
        except Unauthenticated as error:
            if not exchange.over:
                exchange.refuse(error)
        else:
            if not exchange.over:
                self._limit_client(exchange, route, principal)

    def _limit_client(self, exchange: "Exchange", route: Route, principal: Principal) -> None:
        account = self._account(route, "subject " + principal.subject)
        granted = self._permissions.get(principal.role, frozenset())
        methods = frozenset(name.encode() for name in METHODS if route.scopes.get(name) in {None, *granted})
        allowed = exchange.method in methods
        until = exchange.started + _STANDING_SECONDS
        exchange.fields.standings[route] = Standing(account, methods - {b"OPTIONS"}, until)
        self._limit(exchange, account, _forward if allowed else _forbidden)

    def _account(self, route: Route, client: str) -> Account:
        return self._limiter.account(self._names[route.name], self._quotas[route.name], client)

    def _limit_address(self, exchange: "Exchange", then: Then) -> None:
        account = self._limiter.account(_UNVERIFIED, self._default, bucket(exchange.address))
        self._limit(exchange, account, then)

    def _limit(self, exchange: "Exchange", account: Account, then: Then) -> None:
        decision = self._limiter.take(account)
        if decision is None:
            self._limiter.ask(account, lambda late: _decided(exchange, account, late, then))
        else:
            _decided(exchange, account, decision, then)


def _allow_methods(exchange: "Exchange") -> None:
    exchange.permit(b"Allow: %b\r\n" % ", ".join(METHODS).encode())


def _decided(exchange: "Exchange", account: Account, decision: Decision, then: Then) -> None:
    if exchange.over:
        return
    stats = metrics.stats(account.key.partition(":")[0])
    exchange.limit_lines = account.quota.lines(decision)
    if decision.allowed:
        stats.allowed += 1
        then(exchange)
    else:
        stats.refused += 1
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
