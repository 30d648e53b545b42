"""Calls that are repeated, in whole, in part, or wrongly."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from events.exceptions import DuplicateEvent
from events.models import Event
from events.store import EventStore
from events.types import ALL, ANY, EXISTS, ExpectedVersion, NewEvent
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


def changed(event: NewEvent, **fields: Any) -> NewEvent:
    return replace(event, **fields)


DIFFERENCES: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
    ({"type": "Other"}, ("type",), "of another type"),
    ({"data": {"a": True}}, ("data",), "with other data"),
    ({"data": {"a": "1"}}, ("data",), "with other data"),
    ({"data": {"a": 1, "b": None}}, ("data",), "with other data"),
    ({"data": {}}, ("data",), "with other data"),
    ({"type": "Other", "data": {"a": [1]}}, ("type", "data"), "of another type and with other data"),
]


@pytest.mark.parametrize(("fields", "names", "words"), DIFFERENCES)
@pytest.mark.parametrize("others", [0, 1])
def test_id_of_an_event_with_other_content_is_in_use(
    store: EventStore, fields: dict[str, Any], names: tuple[str, ...], words: str, others: int
) -> None:
    events = [*some(others, "b-1"), new(data={"a": 1})]
    store.dispatch(*events)
    with (
        transaction.atomic(),
        pytest.raises(DuplicateEvent, match=f"in aggregate 'a-1' at version 1, by an event {words}") as it,
    ):
        store.dispatch(*events[:-1], changed(events[-1], **fields))
    assert (it.value.event_id, it.value.aggregate_id, it.value.differences) == (events[-1].event_id, "a-1", names)
    assert stored() == [*[("b-1", 1)] * others, ("a-1", 1)]


@pytest.mark.parametrize("fields", DIFFERENCES)
@pytest.mark.parametrize("function", ["events_append_one", "events_append"])
def test_append_functions_reject_other_content_from_sql(store: EventStore, function: str, fields: Any) -> None:
    event = new(data={"a": 1})
    store.dispatch(event)
    other = changed(event, **fields[0])
    values = "%s, %s, %s::jsonb, '{}', NULL, %s"
    if function == "events_append":
        values = (
            "ARRAY[%s], ARRAY[%s], ARRAY[%s::jsonb], ARRAY['{}'::jsonb], ARRAY[NULL::timestamptz], ARRAY[%s]::uuid[]"
        )
    message = "by an event of another type" if "type" in fields[1] else "by an event with other data"
    with pytest.raises(DatabaseError, match=message), transaction.atomic(), connection.cursor() as cursor:
        arguments = [other.aggregate_id, other.type, json.dumps(other.data), other.event_id]
        cursor.execute(f"SELECT {function}({values})", arguments)


@pytest.mark.parametrize(
    "fields",
    [
        {"data": {"b": [1, {"c": True}], "a": 1.0}},  # JSON has one kind of number
        {"metadata": {"attempt": 2}},
        {"timestamp": datetime(2030, 1, 1, tzinfo=UTC)},
    ],
)
def test_equal_content_is_a_retry(store: EventStore, fields: dict[str, Any]) -> None:
    event = new(data={"a": 1, "b": [1, {"c": True}]}, metadata={"attempt": 1})
    first = store.dispatch(event)
    again = store.dispatch(changed(event, **fields))
    assert (again.is_retry, again, again[0].metadata) == (True, first, {"attempt": 1})
    assert again[0].timestamp == first[0].timestamp
