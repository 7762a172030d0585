"""A histogram and a counter for what happens on every request: plain numbers, made into Prometheus's form when somebody
scrapes.

The client library's own take locks and walk over their buckets, several microseconds each time; everything here is
counted by one event loop, which needs no lock.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import REGISTRY
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


class Series:
    """What one combination of labels saw."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """One more; only from the event loop's thread."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value


class Histogram(Collector):
    """Made and used like the client library's; `buckets` are upper bounds in rising order, without infinity."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str] = (), *, buckets: Iterable[float]) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = tuple(labels)
        self._bounds = [float(bound) for bound in buckets]
        self._series: dict[tuple[str, ...], Series] = {}
        REGISTRY.register(self)

    def labels(self, *values: object) -> Series:
        """The series of these values, in the order of the labels' names; keep it where the path is hot."""
        key = tuple(map(str, values))
        return self._series.get(key) or self._series.setdefault(key, Series(self._bounds))

    def describe(self) -> Iterator[Metric]:
        """The name alone, so that a second metric of that name is refused."""
        yield HistogramMetricFamily(self._name, self._documentation, labels=self._labels)

    def collect(self) -> Iterator[Metric]:
        """All series, their buckets summed up as the format wants them."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, series in list(self._series.items()):
            total, buckets = 0, []
            for bound, count in zip((*map(str, self._bounds), "+Inf"), series.counts, strict=True):
                total += count
                buckets.append((bound, float(total)))
            family.add_metric(values, buckets, series.total)
        yield family


class Count:
    """How often one combination of labels was seen."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def inc(self) -> None:
        """One more; only from the event loop's thread."""
        self.value += 1


class Counter(Collector):
    """Made and used like the client library's."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str] = ()) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = tuple(labels)
        self._counts: dict[tuple[str, ...], Count] = {}
        REGISTRY.register(self)

    def labels(self, *values: str) -> Count:
        """The count of these values, in the order of the labels' names."""
        return self._counts.get(values) or self._counts.setdefault(values, Count())

    def describe(self) -> Iterator[Metric]:
        """The name alone, so that a second metric of that name is refused."""
        yield CounterMetricFamily(self._name, self._documentation, labels=self._labels)

    def collect(self) -> Iterator[Metric]:
        """All counts."""
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, count in list(self._counts.items()):
            family.add_metric(values, count.value)
        yield family
