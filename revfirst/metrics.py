"""`/metrics`: HTTP and process series of every process, and the series that apps registered.

Business numbers are read from rows when they are asked for, so they survive restarts and agree in
any number of processes. With `PROMETHEUS_MULTIPROC_DIR` set, HTTP series come from the files of
all processes; a multi-process registry leaves custom collectors out, so both are joined here.
"""

import os
from collections.abc import Callable, Iterable

from django.conf import settings
from prometheus_client import REGISTRY, CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

# No business number: it is counted where there may be no database, in each process.
failed_open = Counter(
    "revfirst_failed_open",
    "Requests that were let through because the cache did not answer.",
    ["what"],
)
failed_open.labels("throttle")

Source = Callable[[], Iterable[Metric]]
_sources: list[Source] = []


def register(source: Source) -> None:
    """Add `source` to `/metrics`: it is called at every scrape and yields metric families."""
    if source not in _sources:
        _sources.append(source)


class _OwnSeries(Collector):
    def collect(self) -> Iterable[Metric]:
        for source in _sources:
            yield from source()


def exposition() -> bytes:
    """The Prometheus text of this moment."""
    own = CollectorRegistry()
    own.register(_OwnSeries())
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY) + generate_latest(own)
    shared = CollectorRegistry()
    MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
    return generate_latest(shared) + generate_latest(own)


def build_info() -> Iterable[Metric]:
    """`revfirst_build_info`: always 1, with version, commit and environment as labels."""
    labels = {
        "version": settings.VERSION,
        "commit": settings.COMMIT or "unknown",
        "environment": settings.ENVIRONMENT,
    }
    family = GaugeMetricFamily("revfirst_build_info", "What runs here.", labels=list(labels))
    family.add_metric(list(labels.values()), 1)
    yield family
