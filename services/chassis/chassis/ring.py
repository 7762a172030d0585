"""Fifteen minutes of a process's numbers in memory, so that an operator sees them without Prometheus.

Nothing is counted here: the counters that exist anyway are read every 10 s, and a slot is the difference between two
readings. It costs requests nothing, and memory for 91 readings of series that are bounded by the code.
"""

import asyncio
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from prometheus_client import REGISTRY
from prometheus_client.metrics_core import Metric

SLOT_SECONDS = 10.0
SLOTS = 90
SERIES = 200
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
HIDDEN = ("/ops", "/console", "/actuator")
"""Routes that a console asks for itself: what watches must not be what is seen."""

PUT_ASIDE = ("dead-lettered", "passed-over")

Series = tuple[str, str]
"""A kind, and a route template or topic."""
Name = Callable[[Mapping[str, str]], str]


def _route(labels: Mapping[str, str]) -> str:
    return "" if labels["handler"].startswith(HIDDEN) else f"{labels['method']} {labels['handler']}"


COUNTED: dict[str, tuple[str, Name]] = {
    "http_requests": ("requests", _route),
    "gateway_requests": ("requests", lambda labels: labels["route"]),
    "consumer_messages": ("consumed", lambda labels: "" if labels["result"] in PUT_ASIDE else labels["topic"]),
    "consumer_dead_letters": ("dead", lambda labels: labels["topic"]),
    "outbox_published": ("published", lambda labels: labels["topic"]),
}
TIMED: dict[str, tuple[str, Name]] = {
    "http_request_duration_seconds": ("latency", _route),
    "gateway_request_duration_seconds": ("latency", lambda labels: labels["route"]),
    "projection_age_seconds": ("age", lambda labels: labels["topic"]),
}


@dataclass(slots=True)
class Reading:
    """Counters at one moment (Unix time, s). `buckets` are counts up to each bound and with it, as Prometheus's are."""

    at: float
    counts: Counter[Series] = field(default_factory=Counter)
    buckets: dict[Series, dict[float, float]] = field(default_factory=dict)

    def take(self, metric: Metric) -> None:
        """Adds one metric, when it is one of those kept."""
        if metric.name in COUNTED:
            kind, name = COUNTED[metric.name]
            for sample in metric.samples:
                if sample.name.endswith("_total") and (key := name(sample.labels)):
                    self._count(kind, key, sample.labels.get("status", ""), sample.value)
        elif metric.name in TIMED:
            kind, name = TIMED[metric.name]
            for sample in metric.samples:
                if sample.name.endswith("_bucket") and (key := name(sample.labels)):
                    self._time((kind, key), float(sample.labels["le"]), sample.value)

    def share(self, earlier: "Reading") -> None:
        """Keeps the earlier reading's objects where nothing has changed: most series are quiet most of the time."""
        for series, counts in self.buckets.items():
            if earlier.buckets.get(series) == counts:
                self.buckets[series] = earlier.buckets[series]

    def _count(self, kind: str, key: str, status: str, value: float) -> None:
        if len(self.counts) < SERIES * 3 or (kind, key) in self.counts:
            self.counts[kind, key] += value  # type: ignore[assignment]  # a counter's values are floats
            if status.startswith(("4", "5")):
                self.counts["refused" if status[0] == "4" else "failed", key] += value  # type: ignore[assignment]

    def _time(self, series: Series, bound: float, value: float) -> None:
        if series in self.buckets or len(self.buckets) < SERIES:
            counts = self.buckets.setdefault(series, {})
            counts[bound] = counts.get(bound, 0.0) + value


def read() -> Reading:
    """The counters now."""
    reading = Reading(time.time())
    for metric in REGISTRY.collect():
        reading.take(metric)
    return reading


@dataclass(frozen=True, slots=True)
class Span:
    """What happened between two readings."""

    earlier: Reading
    later: Reading

    @property
    def seconds(self) -> float:
        """How long it was."""
        return max(self.later.at - self.earlier.at, 0.001)

    def keys(self, kind: str) -> list[str]:
        """The routes or topics of a kind."""
        return sorted({key for each, key in self.later.counts if each == kind})

    def count(self, kind: str, key: str | None = None) -> int:
        """How many; of one route or topic, or of all."""
        keys = self.keys(kind) if key is None else [key]
        return round(sum(max(0.0, self.later.counts[kind, each] - self.earlier.counts[kind, each]) for each in keys))

    def quantiles(self, kind: str, key: str | None = None) -> dict[str, float | None]:
        """Seconds at each of QUANTILES; None where nothing was measured."""
        grown: dict[float, float] = {}
        for series, counts in self.later.buckets.items():
            if series[0] == kind and key in (None, series[1]):
                before = self.earlier.buckets.get(series, {})
                for bound, value in counts.items():
                    grown[bound] = grown.get(bound, 0.0) + max(0.0, value - before.get(bound, 0.0))
        bounds = sorted(grown)
        return {name: quantile(bounds, [grown[bound] for bound in bounds], share) for name, share in QUANTILES.items()}


def quantile(bounds: Sequence[float], counts: Sequence[float], share: float) -> float | None:
    """The quantile of a cumulative histogram, linear within its bucket; the last finite bound is the highest answer."""
    if not counts or not counts[-1]:
        return None
    rank = counts[-1] * share
    at = bisect_left(counts, rank)
    if at >= len(bounds) - 1:
        return bounds[-2] if len(bounds) > 1 else None
    low, below = (bounds[at - 1], counts[at - 1]) if at else (0.0, 0.0)
    return low + (bounds[at] - low) * (rank - below) / (counts[at] - below)


class Ring:
    """The readings of the last 15 minutes, oldest first."""

    def __init__(self) -> None:
        self.began = time.time()
        self._readings: deque[Reading] = deque(maxlen=SLOTS + 1)

    async def run(self) -> None:
        """Reads every 10 s, until cancelled; `began` says since when (Unix time, s)."""
        self.began = time.time()  # an application may be composed long before it is served
        while True:
            latest = read()
            if self._readings:
                latest.share(self._readings[-1])
            self._readings.append(latest)
            await asyncio.sleep(SLOT_SECONDS)

    def slots(self) -> list[Span]:
        """The spans between readings, the last one up to now: 5 to 15 s, so that it says something."""
        readings, now = list(self._readings), read()
        if len(readings) > 1 and now.at - readings[-1].at < SLOT_SECONDS / 2:
            readings.pop()
        readings.append(now)
        return [Span(earlier, later) for earlier, later in pairwise(readings)]
