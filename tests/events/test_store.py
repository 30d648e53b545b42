"""Dispatching and reading in one connection: versions, expectations, batches, transactions."""

from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction
from django.utils import timezone

from events.exceptions import Conflict, InvalidEvent, VersionConflict
from events.models import Aggregate, Event
from events.store import EventStore
from events.types import ANY, EXISTS, ExpectedVersion
from tests.support import aggregates, last_position, new, some, stored

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("expected", [0, ANY])
def test_first_event_of_an_aggregate_gets_version_1(store: EventStore, expected: ExpectedVersion) -> None:
    (event,) = store.dispatch(new(), expected_version=expected)
    assert (event.version, aggregates()) == (1, {"a-1": 1})


@pytest.mark.parametrize("expected", [1, 7, EXISTS])
def test_expecting_an_aggregate_that_does_not_exist_conflicts(store: EventStore, expected: ExpectedVersion) -> None:
    before = last_position()
    with pytest.raises(VersionConflict) as caught:
        store.dispatch(new(), expected_version=expected)
    assert (caught.value.aggregate_id, caught.value.expected, caught.value.actual) == ("a-1", expected, 0)
    assert (stored(), aggregates(), last_position()) == ([], {}, before)


@pytest.mark.parametrize("expected", [1, 3, 2**63 - 1])
def test_expecting_another_version_conflicts(store: EventStore, expected: int) -> None:
    store.dispatch(new(), new())
    before = last_position(), Aggregate.objects.values().get()
    with pytest.raises(VersionConflict) as caught:
        store.dispatch(new(), expected_version=expected)
    assert caught.value.conflicts == (Conflict("a-1", expected, 2),)
    assert stored() == [("a-1", 1), ("a-1", 2)]
    assert (last_position(), Aggregate.objects.values().get()) == before


def test_expecting_none_where_there_is_one_conflicts(store: EventStore) -> None:
    store.dispatch(new())
    before = last_position(), Aggregate.objects.values().get()
    with pytest.raises(VersionConflict) as caught:
        store.dispatch(new(), expected_version=0)
    assert caught.value.conflicts == (Conflict("a-1", 0, 1),)
    assert stored() == [("a-1", 1)]
    assert (last_position(), Aggregate.objects.values().get()) == before


@pytest.mark.parametrize("expected", [3, EXISTS, ANY])
def test_next_event_gets_next_version(store: EventStore, expected: ExpectedVersion) -> None:
    store.dispatch(*some(3))
    (event,) = store.dispatch(new(), expected_version=expected)
    assert (event.version, aggregates()) == (4, {"a-1": 4})


def test_batch_gets_versions_and_rising_positions_in_order(store: EventStore) -> None:
    events = store.dispatch(*some(100))
    assert [event.version for event in events] == list(range(1, 101))
    assert [event.data["n"] for event in events] == list(range(1, 101))
    positions = [event.position for event in events]
    assert positions == sorted(set(positions))
    assert list(Event.objects.order_by("version")) == events


def test_iterator_that_raises_midway_writes_nothing(store: EventStore) -> None:
    def events() -> Any:
        yield new()
        raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        store.dispatch(*events())
    assert (stored(), aggregates()) == ([], {})


def test_no_events_write_nothing_but_expectations_are_checked(store: EventStore) -> None:
    store.dispatch(new("b-1"))
    assert store.dispatch() == []
    assert store.dispatch(expected_version={"a-1": 0, "b-1": 1}) == []
    with pytest.raises(VersionConflict) as caught:
        store.dispatch(expected_version={"a-1": 1})
    assert caught.value.conflicts == (Conflict("a-1", 1, 0),)
    assert aggregates() == {"b-1": 1}


def test_failed_expectations_of_several_aggregates_are_reported_together(store: EventStore) -> None:
    store.dispatch(new("a-1"), new("b-1"), new("b-1"))
    before = list(Aggregate.objects.order_by("pk").values())
    with pytest.raises(VersionConflict) as caught:
        store.dispatch(new("a-1"), new("b-1"), expected_version={"a-1": 1, "b-1": 0})
    assert caught.value.conflicts == (Conflict("b-1", 0, 2),)
    with pytest.raises(VersionConflict) as caught:
        store.dispatch(new("b-1"), new("a-1"), new("c-1"), expected_version={"b-1": 0, "a-1": 5, "c-1": EXISTS})
    assert caught.value.conflicts == (Conflict("a-1", 5, 1), Conflict("b-1", 0, 2), Conflict("c-1", EXISTS, 0))
    assert list(Aggregate.objects.order_by("pk").values()) == before
    assert len(stored()) == 3


def test_single_expectation_holds_for_each_aggregate_of_a_call(store: EventStore) -> None:
    store.dispatch(new("a-1"), new("b-1"), expected_version=0)
    with pytest.raises(VersionConflict) as caught:
        store.dispatch(new("b-1"), new("c-1"), expected_version=0)
    assert caught.value.conflicts == (Conflict("b-1", 0, 1),)


def test_interleaved_aggregates_keep_the_order_of_the_call(store: EventStore) -> None:
    events = store.dispatch(new("b-1"), new("a-1"), new("b-1"))
    assert [(event.aggregate_id, event.version) for event in events] == [("b-1", 1), ("a-1", 1), ("b-1", 2)]
    assert stored() == [("b-1", 1), ("a-1", 1), ("b-1", 2)]


def test_aggregate_that_is_only_checked_stays_untouched(store: EventStore) -> None:
    store.dispatch(new("c-1"))
    before = Aggregate.objects.values().get(pk="c-1")
    store.dispatch(new("a-1"), expected_version={"c-1": 1, "d-1": 0})
    store.dispatch(new("a-1"), expected_version={"c-1": EXISTS, "a-1": 1})
    with pytest.raises(VersionConflict):
        store.dispatch(new("a-1"), expected_version={"c-1": 2})
    assert Aggregate.objects.values().get(pk="c-1") == before
    assert aggregates() == {"a-1": 2, "c-1": 1}
    assert [event.version for event in Event.objects.filter(aggregate_id="a-1")] == [1, 2]


def test_rejected_call_leaves_times_of_its_aggregates_as_they_were(store: EventStore) -> None:
    first = new("a-1")
    store.dispatch(first, new("b-1"))
    before = list(Aggregate.objects.order_by("pk").values())
    store.dispatch(first)
    with pytest.raises(VersionConflict):
        store.dispatch(new("a-1"), new("b-1"), expected_version={"b-1": 9})
    assert list(Aggregate.objects.order_by("pk").values()) == before


@pytest.mark.django_db(transaction=True)
def test_dispatch_in_a_transaction_that_rolls_back_leaves_nothing(store: EventStore) -> None:
    committed = []
    store.subscribe("Happened", lambda event, **kwargs: committed.append(event), on_commit=True)
    with pytest.raises(RuntimeError), transaction.atomic():
        store.dispatch(*some(3))
        raise RuntimeError
    (later,) = store.dispatch(new())
    assert committed == [later]
    assert list(store.read_all()) == [later]
    assert later.version == 1


@pytest.mark.django_db(transaction=True)
def test_rejections_inside_a_transaction_leave_it_usable(store: EventStore) -> None:
    with transaction.atomic():
        store.dispatch(new())
        for call in (
            lambda: store.dispatch(new(), expected_version=0),
            lambda: store.dispatch(new("b-1"), expected_version=4),
            lambda: store.dispatch(new("b-1"), new("c-1"), expected_version={"b-1": 0, "c-1": 4}),
        ):
            with pytest.raises(VersionConflict):
                call()
        store.dispatch(new())
    assert stored() == [("a-1", 1), ("a-1", 2)]
    assert aggregates() == {"a-1": 2}


@pytest.mark.django_db(transaction=True)
def test_inner_rollback_takes_its_events_only(store: EventStore) -> None:
    with transaction.atomic():
        with pytest.raises(RuntimeError), transaction.atomic():
            store.dispatch(*some(2))
            raise RuntimeError
        (second,) = store.dispatch(new())
    assert list(store.read_all()) == [second]
    assert second.version == 1


def test_unknown_aggregate_has_an_empty_history(store: EventStore) -> None:
    assert store.get_events_for_aggregate("nobody") == []
    with pytest.raises(InvalidEvent, match="aggregate_id"):
        store.get_events_for_aggregate("a\0b")


@pytest.mark.parametrize(
    ("options", "versions"),
    [
        ({}, [1, 2, 3, 4, 5]),
        ({"after_version": 2}, [3, 4, 5]),
        ({"up_to_version": 4}, [1, 2, 3, 4]),
        ({"after_version": 2, "up_to_version": 4}, [3, 4]),
        ({"reverse": True, "limit": 2}, [5, 4]),
        ({"limit": 0}, []),
        ({"after_version": 9}, []),
    ],
)
def test_history_can_be_narrowed(store: EventStore, options: dict[str, Any], versions: list[int]) -> None:
    store.dispatch(*some(5), *some(5, "other-1"))
    assert [event.version for event in store.get_events_for_aggregate("a-1", **options)] == versions


@pytest.mark.parametrize(
    "options",
    [
        {"limit": -1},
        {"limit": "5"},
        {"after_version": 1.5},
        {"up_to_version": -2},
        {"as_of": timezone.now().replace(tzinfo=None)},
        {"as_of": "2020-01-01"},
    ],
)
def test_history_rejects_what_makes_no_sense(store: EventStore, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent, match=next(iter(options))):
        store.get_events_for_aggregate("a-1", **options)


def test_history_as_of_a_moment_holds_what_was_recorded_by_then(store: EventStore) -> None:
    long_ago = timezone.now() - timedelta(days=3650)
    (first,) = store.dispatch(new())
    (second,) = store.dispatch(new(timestamp=long_ago))
    (third,) = store.dispatch(new())
    assert first.recorded_at < second.recorded_at < third.recorded_at
    assert store.get_events_for_aggregate("a-1", as_of=second.recorded_at) == [first, second]
    assert store.get_events_for_aggregate("a-1", as_of=first.recorded_at - timedelta(microseconds=1)) == []


def test_timestamp_is_the_callers_and_recorded_at_the_databases(store: EventStore) -> None:
    happened = timezone.now() - timedelta(days=400)
    before = timezone.now()
    told, untold = store.dispatch(new(timestamp=happened), new())
    assert told.timestamp == happened
    assert before - timedelta(seconds=5) < told.recorded_at < timezone.now() + timedelta(seconds=5)
    assert untold.timestamp == untold.recorded_at
    aggregate = Aggregate.objects.get()
    assert (aggregate.created_at, aggregate.updated_at) == (told.recorded_at, untold.recorded_at)


def test_aggregate_begins_at_the_very_moment_of_its_first_event(store: EventStore) -> None:
    for number in range(200):
        store.dispatch(new(f"a-{number}"), *([new(f"b-{number}")] if number % 2 else []))
    for aggregate in Aggregate.objects.all():
        (event,) = store.get_events_for_aggregate(aggregate.aggregate_id)
        assert aggregate.created_at == aggregate.updated_at == event.recorded_at == event.timestamp


@pytest.mark.django_db(transaction=True)
def test_coroutines_have_the_same_methods(store: EventStore) -> None:
    async def use_them() -> None:
        events = await store.adispatch(*some(3), expected_version=0)
        assert await store.aget_events_for_aggregate("a-1", after_version=1) == events[1:]
        assert [event async for event in store.aread_all(types=["Happened"], limit=2)] == events[:2]
        assert await store.asettled_position() == events[-1].position

    async_to_sync(use_them)()
