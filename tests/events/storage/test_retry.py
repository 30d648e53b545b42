"""Calls that are repeated, in whole, in part, or wrongly."""

import pytest
from django.db import transaction

from events.exceptions import DuplicateEvent
from events.models import Event
from events.store import EventStore
from events.types import ALL, ANY, EXISTS, ExpectedVersion
from tests.support import aggregates, new, some, stored

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("expected", [0, ANY, EXISTS, 99])
def test_repeated_call_returns_the_stored_events_and_writes_nothing(
    store: EventStore, expected: ExpectedVersion
) -> None:
    seen = []
    store.subscribe(ALL, lambda event, **kwargs: seen.append(event))
    events = some(3)
    first = store.dispatch(*events, expected_version=0)
    store.dispatch(*some(5), *some(5, "b-1"))
    seen.clear()
    again = store.dispatch(*events, expected_version=expected)
    assert again == first
    for name in ("version", "position", "timestamp", "recorded_at", "data", "metadata", "type", "aggregate_id"):
        assert [getattr(event, name) for event in again] == [getattr(event, name) for event in first]
    assert (Event.objects.count(), aggregates(), seen) == (13, {"a-1": 8, "b-1": 5}, [])


def test_part_of_an_earlier_call_is_a_retry_too(store: EventStore) -> None:
    events = some(6)
    first = store.dispatch(*events)
    assert store.dispatch(events[0], expected_version=0) == first[:1]
    assert store.dispatch(*events[2:4], expected_version=2) == first[2:4]
    assert aggregates() == {"a-1": 6}


def test_retry_over_several_aggregates(store: EventStore) -> None:
    events = [new("b-1"), new("a-1"), new("b-1")]
    first = store.dispatch(*events, expected_version={"a-1": 0, "b-1": 0, "c-1": 0})
    store.dispatch(new("c-1"))
    assert store.dispatch(*events, expected_version={"a-1": 0, "b-1": 0, "c-1": 0}) == first
    assert aggregates() == {"a-1": 1, "b-1": 2, "c-1": 1}


def test_stored_and_new_events_in_one_call_are_rejected(store: EventStore) -> None:
    first, second, third = some(3)
    store.dispatch(first, second)
    with pytest.raises(DuplicateEvent) as caught:
        store.dispatch(first, second, third)
    assert (caught.value.event_id, caught.value.aggregate_id) == (first.event_id, "a-1")
    with pytest.raises(DuplicateEvent):
        store.dispatch(second, first)
    with pytest.raises(DuplicateEvent):
        store.dispatch(new(), second, expected_version=2)
    assert stored() == [("a-1", 1), ("a-1", 2)]
    assert aggregates() == {"a-1": 2}


def test_id_stored_under_another_aggregate_is_rejected_and_the_aggregate_named(store: EventStore) -> None:
    event = new("a-1")
    store.dispatch(event)
    with pytest.raises(DuplicateEvent, match="in aggregate 'a-1'") as caught:
        store.dispatch(new("b-1", event_id=event.event_id))
    assert (caught.value.event_id, caught.value.aggregate_id) == (event.event_id, "a-1")
    with pytest.raises(DuplicateEvent):
        store.dispatch(event, new("b-1"))
    assert aggregates() == {"a-1": 1}


def test_one_id_twice_in_a_call_is_rejected(store: EventStore) -> None:
    event = new()
    with pytest.raises(DuplicateEvent, match="twice"):
        store.dispatch(event, event)
    assert stored() == []


def test_duplicate_inside_a_transaction_leaves_it_usable(store: EventStore) -> None:
    event = new()
    with transaction.atomic():
        store.dispatch(event)
        with pytest.raises(DuplicateEvent):
            store.dispatch(event, new())
        store.dispatch(new())
    assert aggregates() == {"a-1": 2}
