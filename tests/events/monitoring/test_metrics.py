"""The metrics of the store, and those that apps add."""

from datetime import UTC, datetime, timedelta

import pytest

from events.monitoring import metrics
from events.monitoring.metrics import MetricKind
from events.store import EventStore
from tests.support import some

pytestmark = pytest.mark.django_db


def test_names_follow_the_rules_of_prometheus(store: EventStore) -> None:
    store.dispatch(*some(2))
    found = list(metrics.read("default"))
    assert len({each.name for each in found}) == len(found)
    for each in found:
        assert each.name.endswith("_total") is (each.kind is MetricKind.COUNTER), each.name
        assert each.help
        assert not each.help.endswith(".")
        labels = {tuple(labels) for labels, _ in each.samples}
        assert len(labels) <= 1, "each sample has the same labels"


def test_apps_add_theirs_once() -> None:
    before = list(metrics._modules)
    assert "projections.operations.metrics" in before
    metrics.register_module("projections.operations.metrics")
    assert metrics._modules == before


def test_seconds_are_never_negative() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert metrics.seconds_since(now + timedelta(hours=1), now) == 0
    assert metrics.seconds_since(now - timedelta(hours=1), now) == 3600
    assert metrics.seconds_since(None, now) == 0
