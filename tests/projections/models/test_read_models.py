"""The inline projection: right at every moment, gone with its transaction, and in nobody's way."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from events.store import EventStore
from events.types import ALL
from projections import registry
from projections.base import Projection
from projections.engine import inline
from projections.models import AggregateActivity, ProjectionState
from projections.operations import status
from tests.projections.support import catch_up
from tests.support import Background, in_threads, new, raise_first, some

pytestmark = pytest.mark.django_db


def projection() -> Projection:
    return registry.get("aggregate_activity")


def counts() -> dict[str, int]:
    return dict(AggregateActivity.objects.values_list("aggregate_id", "event_count"))


def test_row_tells_of_the_first_and_the_last_event(store: EventStore) -> None:
    long_ago = timezone.now() - timedelta(days=900)
    first, _, last = store.dispatch(
        new(type="Opened", timestamp=long_ago), new(type="Changed"), new(type="Closed"), expected_version=0
    )
    row = AggregateActivity.objects.values().get()
    assert row == {
        "aggregate_id": "a-1",
        "event_count": 3,
        "first_type": "Opened",
        "first_timestamp": long_ago,
        "first_recorded_at": first.recorded_at,
        "last_type": "Closed",
        "last_timestamp": last.timestamp,
        "last_recorded_at": last.recorded_at,
    }


def test_row_is_right_inside_the_transaction_and_rolls_back_with_it(store: EventStore) -> None:
    store.dispatch(new())
    with transaction.atomic():
        store.dispatch(new(), new("b-1"))
        assert counts() == {"a-1": 2, "b-1": 1}
        transaction.set_rollback(True)
    assert counts() == {"a-1": 1}


def test_retry_and_rejection_change_nothing(store: EventStore) -> None:
    event = new()
    store.dispatch(event)
    store.dispatch(event)
    with pytest.raises(Exception, match="expected"):
        store.dispatch(new(), expected_version=0)
    assert counts() == {"a-1": 1}


def test_handler_that_appends_to_the_same_aggregate_does_not_confuse_it(
    store: EventStore, no_subscribers: None
) -> None:
    def follow_up(event: Any, **kwargs: Any) -> None:
        if event.version == 1:
            store.dispatch(new(type="Followed"))

    store.subscribe(ALL, follow_up)
    inline.subscribe(projection())
    store.dispatch(new(type="Opened"), new(type="Paid"))
    row = AggregateActivity.objects.get()
    assert (row.event_count, row.first_type, row.last_type) == (3, "Opened", "Followed")


@pytest.mark.django_db(transaction=True)
def test_switched_on_later_it_catches_up_before_it_goes_live(store: EventStore) -> None:
    inline.unsubscribe(projection())
    ProjectionState.objects.all().delete()
    store.dispatch(new(type="Opened"), new(type="Changed"))
    inline.subscribe(projection())
    store.dispatch(new(type="Closed"))
    assert counts() == {}, "rows made from half a history would be wrong"
    assert status.report("aggregate_activity").status == "building"
    catch_up("aggregate_activity")
    row = AggregateActivity.objects.get()
    assert (row.event_count, row.first_type, row.last_type) == (3, "Opened", "Closed")
    store.dispatch(new(type="Opened"))
    assert counts() == {"a-1": 4}
    assert status.report("aggregate_activity").status == "running"


@pytest.mark.django_db(transaction=True)
def test_counts_hold_under_concurrent_writers(store: EventStore) -> None:
    def write(seed: int) -> Any:
        for number in range(60):
            store.dispatch(new(f"a-{(seed + number) % 7}"), new("b-1"))

    raise_first(in_threads(*[lambda seed=seed: write(seed) for seed in range(6)]))
    assert counts()["b-1"] == 360
    assert sum(counts().values()) == 720


@pytest.mark.django_db(transaction=True)
def test_writers_of_different_aggregates_never_wait_for_each_other(store: EventStore) -> None:
    store.dispatch(new("a-1"), new("b-1"))
    dispatched, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            store.dispatch(*some(2, "a-1"))
            dispatched.set()
            may_end.wait(20)

    with Background(hold):
        assert dispatched.wait(20)
        (event,) = store.dispatch(new("b-1"))
        assert counts() == {"a-1": 1, "b-1": 2}
        assert event.version == 2
        may_end.set()
    assert counts() == {"a-1": 3, "b-1": 2}


def test_read_model_is_served_over_http(api: Any, store: EventStore) -> None:
    store.dispatch(*[new(f"user-{n}", "Born") for n in range(5)], new("x-1", "Other"))
    body = api.get("/api/read-models/aggregate-activity/", {"limit": 2}).json()
    assert [row["aggregate_id"] for row in body["activity"]] == ["user-0", "user-1"]
    body = api.get(body["next"]).json()
    assert [row["aggregate_id"] for row in body["activity"]] == ["user-2", "user-3"]
    assert len(api.get("/api/read-models/aggregate-activity/", {"starts_with": "user-"}).json()["activity"]) == 5
    assert len(api.get("/api/read-models/aggregate-activity/", {"last_type": "Other"}).json()["activity"]) == 1
