"""The data plane as one part of the process: what its connections share, and the watch over their deadlines."""

import asyncio
from collections.abc import Mapping
from email.utils import formatdate

from chassis import tracing
from chassis.actuator import Health
from chassis.auth import TokenVerifier
from chassis.breaker import State
from chassis.connections import Connections
from chassis.correlation import Ids
from chassis.edge import Draining
from chassis.proxies import Networks

from api_gateway.accesslog import AccessLog
from api_gateway.admission import Admission
from api_gateway.bounds import Bounds
from api_gateway.connection import Connection
from api_gateway.cors import Cors
from api_gateway.exchange import Exchange
from api_gateway.fields import Fields, text_of
from api_gateway.headers import Security, forwarded, framing, onward
from api_gateway.limits import Limiter
from api_gateway.metrics import CONNECTIONS, COUNTED, stats
from api_gateway.pool import Pool
from api_gateway.redis_link import RedisLink
from api_gateway.routes import ROUTES, Route, RouteTable
from api_gateway.settings import Settings

OWN_PAGE_SECONDS = 10.0


class Gateway:
    """Starts and stops with the application; health shows the breakers."""

    name = "upstreams"
    role: str | None = None
    critical = False

    def __init__(
        self, settings: Settings, link: RedisLink, tokens: TokenVerifier, permissions: Mapping[str, frozenset[str]]
    ) -> None:
        self.settings = settings
        self.bounds = Bounds(settings)
        self.routes = RouteTable()
        self.trust = Networks(settings.trusted_proxies)
        self.cors = Cors(settings.cors_allowed_origins, loopback=settings.cors_loopback)
        self.security = Security(settings.hsts, settings.x_xss_protection)
        self.admission = Admission(settings, Limiter(link), tokens, self.cors, self.routes, permissions)
        self.pools = {
            route.pool: Pool(
                route.pool,
                settings.upstream_urls[route.upstream],
                concurrency=settings.upstream_concurrency * route.crowd,
                connect_seconds=settings.upstream_connect_seconds,
            )
            for route in ROUTES
        }
        self.drain = Draining()
        self.date = b""
        self._log = AccessLog(settings.service_name) if settings.log_level in {"debug", "info"} else None
        self.connections: Connections[Connection] = Connections(settings, self.trust)
        self._watch: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Begin to watch."""
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        timeouts = (self.settings.header_timeout_seconds, self.settings.body_timeout_seconds)
        self._every = min(0.25, *(each / 4 for each in timeouts))
        self._sweep()

    async def stop(self) -> None:
        """Let go of all connections."""
        if self._watch is not None:
            self._watch.cancel()
        for pool in self.pools.values():
            pool.close()
        if self._log is not None:
            self._log.flush()

    async def health(self) -> Health:
        """Up while no breaker is open."""
        states = {name: pool.breaker.state for name, pool in self.pools.items()}
        return Health(State.OPEN not in states.values(), {name: state.value for name, state in states.items()})

    def enter(self, client: Connection) -> bool:
        """Count a connection in; False when there are too many."""
        welcome = self.connections.enter(client)
        CONNECTIONS["accepted" if welcome else "turned_away"] += 1
        return welcome

    def leave(self, client: Connection) -> None:
        """Count it out."""
        self.connections.leave(client)

    def patience(self, route: Route | None) -> float:
        """Seconds until an answer has to begin."""
        if route is None:
            return OWN_PAGE_SECONDS
        return self.bounds.upstream or route.timeout

    def request_head(self, exchange: Exchange) -> bytes:
        """The head of a request for its service."""
        fields, route, head = exchange.fields, exchange.route, exchange.head
        assert route is not None
        constant = fields.onward.get(route) or self._onward(fields, route, exchange.client.peer)
        target = head.path[len(route.prefix) :]
        if head.query is not None:
            target = b"%b?%b" % (target, head.query)
        about_body = framing(head.method, fields)
        parts = (
            head.method, b" ", target, constant, exchange.request_id, b"\r\n", about_body, b"traceparent: ",
            exchange.parent, b"\r\n\r\n",
        )  # fmt: skip
        return b"".join(parts)

    def _onward(self, fields: Fields, route: Route, peer: str) -> bytes:
        trusted = peer in self.trust
        chain = self.trust.chain(peer, text_of(fields.forwarded_for))
        about = forwarded(fields, ", ".join(chain).encode(), b"http", trusted)
        prefix = fields.prefix.rstrip(b"/") if trusted and fields.prefix else b""
        made = fields.onward[route] = onward(fields, route, self.pools[route.pool].authority, about, prefix)
        return made

    def record(self, exchange: Exchange, upstream: str) -> float:
        """Count and log an exchange that is over; answers what time it is."""
        now = self.now()
        seconds = now - exchange.started
        stats(exchange.label).count(exchange.method, exchange.status, seconds)
        if self._log is not None:
            self._log.write(exchange, seconds, upstream)
        if tracing.on():
            _trace(exchange, seconds)
        return now

    def _sweep(self) -> None:
        now = self.now()
        self._watch = self._loop.call_later(self._every, self._sweep)
        self.date = f"Date: {formatdate(usegmt=True)}\r\n".encode()
        for client in [client for client in self.connections.open if client.deadline <= now]:
            client.expire()
        for pool in self.pools.values():
            pool.sweep(now)
        if self._log is not None:
            self._log.flush()


def _trace(exchange: Exchange, seconds: float) -> None:
    _, trace_id, span_id, flags = exchange.parent.decode().split("-")
    ids = Ids(exchange.request_id.decode("latin-1"), trace_id, span_id, flags, exchange.caller.decode())
    if not ids.sampled:
        return
    method = exchange.method.decode() if exchange.method in COUNTED else "other"
    tracing.record_request(method, exchange.label, exchange.status, ids, seconds)
