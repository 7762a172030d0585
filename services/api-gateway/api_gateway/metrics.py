"""What the data plane counts. Numbers are kept as plain integers, a Prometheus family is made of them when one is read:
a counter of the client library costs more than a route lookup. Labels are routes and statuses of ours, never a
client's words.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

from chassis.connections import EVERY
from prometheus_client import REGISTRY
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from api_gateway.pool import POOLS
from api_gateway.routes import METHODS

COUNTED = frozenset(method.encode() for method in METHODS)
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class RouteStats:
    """Counts of one route."""

    __slots__ = ("allowed", "answers", "buckets", "refused", "seconds")

    def __init__(self) -> None:
        self.allowed = 0
        self.refused = 0
        self.answers: Counter[tuple[bytes, int]] = Counter()
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0

    def count(self, method: bytes, status: int, seconds: float) -> None:
        """One exchange ended; status 499: the client did not wait. A method that a client made up is `other`."""
        self.answers[method if method in COUNTED else b"other", status] += 1
        self.buckets[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds


ROUTES: dict[str, RouteStats] = {}
CONNECTIONS: Counter[str] = Counter()  # accepted | turned_away | timed_out


def stats(route: str) -> RouteStats:
    """The counts of a route."""
    return ROUTES.get(route) or ROUTES.setdefault(route, RouteStats())


class DataPlane(Collector):
    """Hands the numbers to Prometheus."""

    def collect(self) -> Iterator[Metric]:
        """All families."""
        yield from _requests()
        limits = CounterMetricFamily("gateway_limit_decisions", "Rate limit decisions", labels=["route", "decision"])
        for route, counts in ROUTES.items():
            limits.add_metric([route, "allowed"], counts.allowed)
            limits.add_metric([route, "refused"], counts.refused)
        yield limits
        yield GaugeMetricFamily(
            "gateway_client_connections", "Open client connections", sum(len(each.open) for each in EVERY)
        )
        events = CounterMetricFamily("gateway_client_connection_events", "What befell connections", labels=["event"])
        for event in ("accepted", "turned_away", "timed_out"):
            events.add_metric([event], CONNECTIONS[event])
        yield events
        yield from _upstreams()

    def describe(self) -> Iterator[Metric]:
        """Nothing is promised before it is counted."""
        return iter(())


def _requests() -> Iterator[Metric]:
    requests = CounterMetricFamily("gateway_requests", "Requests", labels=["route", "method", "status"])
    seconds = HistogramMetricFamily("gateway_request_duration_seconds", "Head to last byte", labels=["route"])
    for route, counts in ROUTES.items():
        for (method, status), count in counts.answers.items():
            requests.add_metric([route, method.decode(), str(status)], count)
        total, buckets = 0, []
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), counts.buckets, strict=True):
            total += count
            buckets.append((bound, float(total)))
        seconds.add_metric([route], buckets, counts.seconds)
    yield requests
    yield seconds


def _upstreams() -> Iterator[Metric]:
    connections = GaugeMetricFamily("gateway_upstream_connections", "Open", labels=["upstream", "state"])
    numbers: dict[str, GaugeMetricFamily | CounterMetricFamily] = {
        "in_flight": GaugeMetricFamily("gateway_upstream_in_flight", "Requests under way", labels=["upstream"]),
        "failures": CounterMetricFamily("gateway_upstream_failures", "Not answered", labels=["upstream"]),
        "retries": CounterMetricFamily("gateway_upstream_retries", "Sent again", labels=["upstream"]),
        "rejected": CounterMetricFamily("gateway_upstream_rejected", "Bulkhead full", labels=["upstream"]),
    }
    sums: Counter[tuple[str, str]] = Counter()
    for pool in POOLS:
        sums[pool.name, "idle"] += len(pool.idle)
        sums[pool.name, "busy"] += pool.connections - len(pool.idle)
        for name in numbers:
            sums[pool.name, name] += getattr(pool, name)
    for (upstream, name), value in sums.items():
        if name in numbers:
            numbers[name].add_metric([upstream], value)
        else:
            connections.add_metric([upstream, name], value)
    yield connections
    yield from numbers.values()


REGISTRY.register(DataPlane())
