"""The numbers of the last minutes."""

import asyncio

import pytest
from chassis.ring import SERIES, SLOTS, Reading, Ring, Span, quantile, read
from prometheus_client import CollectorRegistry, Counter, Histogram


def reading(*requests: tuple[str, str, str, float], at: float = 0.0) -> Reading:
    registry, found = CollectorRegistry(), Reading(at)
    counter = Counter("http_requests_total", "", ["method", "handler", "status"], registry=registry)
    durations = Histogram("http_request_duration_seconds", "", ["method", "handler"], registry=registry,
                          buckets=(0.1, 0.2, 1.0))  # fmt: skip
    for method, route, status, seconds in requests:
        counter.labels(method, route, status).inc()
        durations.labels(method, route).observe(seconds)
    for metric in registry.collect():
        found.take(metric)
    return found


def test_a_span_is_the_difference_of_two_readings():
    one = [("GET", "/a", "200", 0.05)]
    more = [*one, ("GET", "/a", "500", 0.15), ("GET", "/b", "404", 0.5), ("GET", "/ops/summary", "200", 9.0)]
    span = Span(reading(*one, at=100.0), reading(*more, at=110.0))
    assert span.seconds == 10
    assert span.keys("requests") == ["GET /a", "GET /b"]
    assert (span.count("requests"), span.count("failed"), span.count("refused")) == (2, 1, 1)
    assert (span.count("requests", "GET /a"), span.count("failed", "GET /b")) == (1, 0)
    assert span.quantiles("latency", "GET /a")["p50"] == pytest.approx(0.15)
    assert span.quantiles("latency", "GET /c")["p50"] is None


def test_quantiles_lie_within_their_bucket_and_below_the_last_bound():
    bounds = [0.1, 0.2, 1.0, float("inf")]
    assert quantile(bounds, [0, 10, 10, 10], 0.5) == pytest.approx(0.15)
    assert quantile(bounds, [10, 10, 10, 10], 0.95) == pytest.approx(0.095)
    assert quantile(bounds, [0, 0, 0, 10], 0.5) == 1.0
    assert quantile(bounds, [0, 0, 0, 0], 0.5) is None
    assert quantile([], [], 0.5) is None


def test_what_has_not_changed_is_kept_once_and_the_series_are_bounded():
    first, second = reading(("GET", "/a", "200", 0.1)), reading(("GET", "/a", "200", 0.1))
    second.share(first)
    assert second.buckets["latency", "GET /a"] is first.buckets["latency", "GET /a"]
    many = reading(*(("GET", f"/{number}", "200", 0.1) for number in range(SERIES * 4)))
    assert len(many.buckets) == SERIES
    assert len(many.counts) <= SERIES * 3


async def test_the_ring_holds_fifteen_minutes_and_ends_now():
    ring = Ring()
    composed = ring.began
    task = asyncio.create_task(ring.run())
    await asyncio.sleep(0)
    ring._readings.extend([read()] * SLOTS * 2)
    task.cancel()
    assert ring.began > composed
    slots = ring.slots()
    assert len(slots) == SLOTS
    assert slots[-1].later.at >= slots[-1].earlier.at
