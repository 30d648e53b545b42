"""The text format of Prometheus, written by its own client library, which is the extra `metrics`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from events.monitoring import metrics
from events.monitoring.metrics import Metric, MetricKind
from events.monitoring.session import diagnosis

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family


class StoreCollector(Collector):
    """Reads the metrics of a store each time it is asked.

    A project with an endpoint of its own, such as that of django-prometheus, registers it there:
    `prometheus_client.REGISTRY.register(StoreCollector("default"))`.
    """

    def __init__(self, using: str) -> None:
        self._using = using

    def describe(self) -> "list[Family]":
        """Return nothing: registering must not read the database."""
        return []

    def collect(self) -> "Iterator[Family]":
        with diagnosis(self._using):
            yield from map(_family, metrics.read(self._using))


def text(using: str) -> bytes:
    """Return the metrics of a store in the text format.

    Raises:
        DatabaseError: the database does not answer, or has no store.
    """
    registry = CollectorRegistry()
    registry.register(StoreCollector(using))
    return generate_latest(registry)


def _family(metric: Metric) -> "Family":
    kind: Any = CounterMetricFamily if metric.kind is MetricKind.COUNTER else GaugeMetricFamily
    labels = list(metric.samples[0][0]) if metric.samples else []
    family: Family = kind(metric.name, metric.help, labels=labels)
    for values, number in metric.samples:
        family.add_metric([values[name] for name in labels], number)  # type: ignore[attr-defined]
    return family
