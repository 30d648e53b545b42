"""The collector that a project registers at an endpoint of its own."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from events.api.prometheus import StoreCollector
from events.monitoring import metrics
from events.monitoring.metrics import Metric, MetricKind
from events.store import EventStore
from tests.support import new


@pytest.mark.django_db
def test_collector_reads_when_it_is_asked(store: EventStore) -> None:
    registry = CollectorRegistry()
    registry.register(StoreCollector("default"))
    (event,) = store.dispatch(new("a-1"))
    assert f"events_positions_total {float(event.position)}" in generate_latest(registry).decode()


def test_registering_reads_nothing() -> None:
    CollectorRegistry().register(StoreCollector("default"))  # without access to the database


@pytest.mark.django_db
def test_metric_of_another_app_with_strange_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    strange = Metric("shop_orders_total", "Orders", [({"sku": 'a"b\\c\nd'}, 5), ({"sku": "é"}, 0)], MetricKind.COUNTER)
    monkeypatch.setattr(metrics, "_modules", [])
    monkeypatch.setattr(metrics, "metrics", lambda using: iter([strange, Metric("shop_empty", "Nothing", [])]))
    registry = CollectorRegistry()
    registry.register(StoreCollector("default"))
    text = generate_latest(registry).decode()
    assert 'shop_orders_total{sku="a\\"b\\\\c\\nd"} 5.0' in text
    assert 'shop_orders_total{sku="é"} 0.0' in text
    assert "# TYPE shop_empty gauge" in text
