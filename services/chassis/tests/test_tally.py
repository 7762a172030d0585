"""Our histogram and counter read exactly like the client library's."""

import pytest
from chassis.tally import Counter, Histogram
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client import Counter as ReferenceCounter
from prometheus_client import Histogram as Reference

BUCKETS = (0.001, 0.5, 2, 10)
VALUES = (0.0, 0.001, 0.0011, 0.5, 1.9, 2.0, 7.0, 11.0)


@pytest.mark.contract("O06")
def test_it_is_served_as_the_librarys_own_is() -> None:
    reference = CollectorRegistry()
    theirs = Reference("tally_seconds", "A test", ["kind", "name"], buckets=BUCKETS, registry=reference)
    ours = Histogram("tally_seconds", "A test", ["kind", "name"], buckets=BUCKETS)
    try:
        for histogram in (theirs, ours):
            for value in VALUES:
                histogram.labels("a", 1).observe(value)
            histogram.labels("b", "x").observe(0.2)
        expected = generate_latest(reference).decode()
        assert "\n".join(line for line in _served() if "tally_seconds" in line) + "\n" == expected
        with pytest.raises(ValueError, match="Duplicated"):
            Histogram("tally_seconds", "Another", buckets=BUCKETS)
    finally:
        REGISTRY.unregister(ours)


@pytest.mark.contract("O06")
def test_a_counter_is_served_as_the_librarys_own_is() -> None:
    reference = CollectorRegistry()
    theirs = ReferenceCounter("tally_seen_total", "A test", ["kind", "name"], registry=reference)
    ours = Counter("tally_seen_total", "A test", ["kind", "name"])
    try:
        for counter in (theirs, ours):
            for name in ("x", "y", "x", 'a"\\b'):
                counter.labels("a", name).inc()
        assert (
            "\n".join(line for line in _served() if "tally_seen" in line) + "\n" == generate_latest(reference).decode()
        )
        with pytest.raises(ValueError, match="Duplicated"):
            Counter("tally_seen_total", "Another")
    finally:
        REGISTRY.unregister(ours)


def _served() -> list[str]:
    return generate_latest(REGISTRY).decode().splitlines()
