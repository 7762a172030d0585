"""What a process says of itself: its version, its collections, how late its loop runs, when its certificates end."""

import asyncio
import gc
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from cryptography import x509
from prometheus_client import REGISTRY, Gauge, Histogram, disable_created_metrics
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from chassis.environ import variable
from chassis.settings import ServiceSettings

BUILD = Gauge("build_info", "1, labelled with what runs", ["service", "version", "python"])
LAG = Histogram(
    "event_loop_lag_seconds",
    "How much later than asked the event loop ran a timer",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
PAUSE = Histogram(
    "python_gc_pause_seconds",
    "How long a collection stopped the process",
    ["generation"],
    buckets=(0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5),
)

# A series that says when its neighbour was made doubles what is scraped, and nobody asks for it.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library forgot the arrow


class Pauses:
    """Times the collector; one pair of calls for each collection."""

    def __init__(self) -> None:
        self._began = 0.0
        self._generations = [PAUSE.labels(str(generation)) for generation in range(3)]

    def __call__(self, phase: Literal["start", "stop"], info: dict[str, int]) -> None:
        """What `gc.callbacks` calls."""
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self._generations[info["generation"]].observe(time.perf_counter() - self._began)


class Certificates(Collector):
    """When the certificates that the settings name end; they are read when somebody scrapes, so a new one is seen."""

    def __init__(self) -> None:
        self.files: dict[str, Path] = {}

    def collect(self) -> Iterator[Metric]:
        """One sample for each variable: the first end among the certificates of its file, in seconds since 1970."""
        ends = GaugeMetricFamily(
            "tls_certificate_expiry_timestamp_seconds", "When the first certificate of a file ends", labels=["setting"]
        )
        for setting, path in self.files.items():
            if (end := _first_end(path)) is not None:
                ends.add_metric([setting], end)
        yield ends


PAUSES = Pauses()
CERTIFICATES = Certificates()
REGISTRY.register(CERTIFICATES)


def describe(settings: ServiceSettings) -> None:
    """Called once, by the process that serves: applications may be composed in another one."""
    BUILD.labels(settings.service_name, settings.app_version, platform.python_version()).set(1)
    CERTIFICATES.files = {
        variable(name, field): Path(value)
        for name, field in type(settings).model_fields.items()
        if name.endswith("_ca_file") and (value := getattr(settings, name))
    }
    if PAUSES not in gc.callbacks:
        gc.callbacks.append(PAUSES)


def _first_end(path: Path) -> float | None:
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        return None
    return min(certificate.not_valid_after_utc.timestamp() for certificate in found)


async def watch_loop(every: float = 0.5) -> None:
    """Measures how late timers run, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + every
        await asyncio.sleep(every)
        LAG.observe(max(0.0, loop.time() - due))
