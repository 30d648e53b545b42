"""The metrics of projections say what the board says."""

import pytest

from events.store import EventStore
from projections.engine.registration import register_all
from projections.operations import metrics, status
from tests.projections.support import catch_up
from tests.support import new

pytestmark = pytest.mark.django_db(transaction=True)


def test_each_projection_has_each_metric(store: EventStore) -> None:
    register_all()
    store.dispatch(new("a-1", "Counted"))
    catch_up("tally")
    reports = {each.name: each for each in status.reports()}
    found = {
        each.name: {labels["name"]: value for labels, value in each.samples}
        for each in metrics.metrics("default")
        if all("name" in labels for labels, _ in each.samples)
    }
    assert found["projections_position"] == {name: report.position for name, report in reports.items()}
    assert found["projections_lag_events"] == {name: report.lag_events for name, report in reports.items()}
    assert found["projections_rebuild_ratio"] == {}


def test_each_projection_has_one_status() -> None:
    register_all()
    (statuses,) = [each for each in metrics.metrics("default") if each.name == "projections_status"]
    names = [labels["name"] for labels, value in statuses.samples if value]
    assert sorted(names) == sorted(each.name for each in status.reports())


def test_another_database_has_no_projections() -> None:
    assert list(metrics.metrics("other")) == []
