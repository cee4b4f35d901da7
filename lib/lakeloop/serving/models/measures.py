"""What `/metrics` tells of models: plain numbers that requests add to, put into Prometheus' words when it asks."""

import os
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

BOUNDS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)


class Counts:
    """Predictions of one version in one role."""

    __slots__ = ("predictions",)

    def __init__(self) -> None:
        self.predictions = 0


class Seconds:
    """How long requests took, as a histogram; shape of `counts`: one more than `BOUNDS`."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts, self.total = [0] * (len(BOUNDS) + 1), 0.0

    def add(self, seconds: float) -> None:
        """Count one request."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


@dataclass(eq=False)
class ModelMeasures(Collector):
    """The numbers of one process. `gauges` are asked for when Prometheus asks.

    Every series has the label `worker`, the id of the process: with several of them a scrape reaches one.
    """

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    seconds: dict[str, Seconds] = field(default_factory=lambda: {"score": Seconds(), "explain": Seconds()})
    versions: dict[tuple[str, int, str], Counts] = field(default_factory=dict)
    swaps: int = 0
    late_swaps: int = 0
    failed_loads: int = 0
    shadow_dropped: int = 0
    shadow_failed: int = 0
    gauges: dict[str, tuple[str, Callable[[], float]]] = field(default_factory=dict)
    started: float = field(default_factory=time.time)

    def counts(self, model: str, version: int, role: str) -> Counts:
        """The numbers of a version, which go on where it comes back."""
        return self.versions.setdefault((model, version, role), Counts())

    def text(self) -> bytes:
        """All of it in Prometheus' format."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterable[Metric]:
        """All of it as metric families."""
        worker = str(os.getpid())
        requests = CounterMetricFamily(
            "lakeloop_model_requests", "Requests answered", labels=["route", "status", "worker"]
        )
        for (route, status), count in sorted(self.answers.items()):
            requests.add_metric([route, str(status), worker], count)
        yield requests
        seconds = HistogramMetricFamily("lakeloop_model_seconds", "Seconds to an answer", labels=["route", "worker"])
        for route, taken in self.seconds.items():
            seconds.add_metric([route, worker], list(_cumulated(taken)), taken.total)
        yield seconds
        made = CounterMetricFamily(
            "lakeloop_model_predictions", "Predictions", labels=["model", "version", "role", "worker"]
        )
        for (model, version, role), counts in sorted(self.versions.items()):
            made.add_metric([model, str(version), role, worker], counts.predictions)
        yield made
        yield from self._counters(worker)
        for name, (said, value) in self.gauges.items():
            gauge = GaugeMetricFamily(f"lakeloop_model_{name}", said, labels=["worker"])
            gauge.add_metric([worker], value())
            yield gauge

    def _counters(self, worker: str) -> Iterator[Metric]:
        counters: Mapping[str, tuple[str, int]] = {
            "swaps": ("Changes of who holds a role", self.swaps),
            "late_swaps": ("Changes that were loaded after they took effect", self.late_swaps),
            "failed_loads": (
                "Releases that could not be loaded, or answered otherwise than they did",
                self.failed_loads,
            ),
            "shadow_dropped": ("Rows that a challenger was not asked for, since too many waited", self.shadow_dropped),
            "shadow_failed": ("Rows that a challenger could not answer", self.shadow_failed),
        }
        for name, (said, value) in counters.items():
            counter = CounterMetricFamily(f"lakeloop_model_{name}", said, labels=["worker"])
            counter.add_metric([worker], value)
            yield counter


def _cumulated(taken: Seconds) -> Iterator[tuple[str, float]]:
    total = 0
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), taken.counts, strict=True):
        total += count
        yield bound, total
