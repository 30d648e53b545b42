"""Dispatching and reading in one connection: versions, expectations, batches, transactions."""

from datetime import UTC, datetime, timedelta
from datetime import timezone as fixed_zone
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, transaction
from django.utils import timezone

from events.exceptions import Conflict, InvalidEvent, UnsafeRead, VersionConflict
from events.models import Aggregate, Event
from events.store import EventStore
from events.types import ANY, EXISTS, ExpectedVersion, NewEvent
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


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ({"aggregate_id": ""}, "aggregate_id"),
        ({"aggregate_id": "x" * 256}, "aggregate_id"),
        ({"aggregate_id": "a\0b"}, "aggregate_id"),
        ({"aggregate_id": "a\nb"}, "aggregate_id"),
        ({"aggregate_id": "a\ud800"}, "aggregate_id"),
        ({"aggregate_id": None}, "aggregate_id"),
        ({"aggregate_id": 7}, "aggregate_id"),
        ({"type": ""}, "type"),
        ({"type": "x" * 256}, "type"),
        ({"type": None}, "type"),
        ({"data": None}, "data"),
        ({"data": [1]}, "data"),
        ({"data": "text"}, "data"),
        ({"data": {"a": {"b": [0, float("nan")]}}}, "data.a.b[1]"),
        ({"data": {"a": float("inf")}}, "data.a"),
        ({"data": {1: "a"}}, "data"),
        ({"data": {"a": {"b\0": 1}}}, "data.a"),
        ({"data": {"a": "\0"}}, "data.a"),
        ({"data": {"a": "\ud800"}}, "data.a"),
        ({"data": {"when": timezone.now()}}, "data.when"),
        ({"data": {"id": NewEvent("a", "b").event_id}}, "data.id"),
        ({"data": {"a": {1, 2}}}, "data.a"),
        ({"data": {"a": 10**5000}}, "data.a"),
        ({"data": {"a": "x" * (1024 * 1024)}}, "data"),
        ({"metadata": {"a": float("nan")}}, "metadata.a"),
        ({"metadata": None}, "metadata"),
        ({"metadata": {"correlation_id": "x" * 256}}, "metadata.correlation_id"),
        ({"metadata": {"correlation_id": [0] * 200}}, "metadata.correlation_id"),
        ({"timestamp": datetime(1, 1, 1, tzinfo=UTC)}, "timestamp"),
        ({"timestamp": datetime(9999, 12, 31, tzinfo=UTC)}, "timestamp"),
        ({"timestamp": timezone.now().replace(tzinfo=None)}, "timestamp"),
        ({"timestamp": "2020-01-01"}, "timestamp"),
        ({"event_id": "6ba7b810-9dad-11d1-80b4-00c04fd430c8"}, "event_id"),
    ],
)
def test_invalid_event_is_named_by_index_and_field_and_nothing_is_written(
    store: EventStore, fault: dict[str, Any], field: str
) -> None:
    batch = some(100)
    batch[57] = NewEvent(**{"aggregate_id": "a-1", "type": "Happened", **fault})
    with pytest.raises(InvalidEvent) as caught:
        store.dispatch(*batch)
    assert caught.value.index == 57
    assert caught.value.field == field
    assert str(caught.value).startswith(f"event 57: {field}: ")
    assert (stored(), aggregates()) == ([], {})


def test_invalid_event_names_limit_and_remedy(store: EventStore, settings: Any) -> None:
    settings.EVENTS_MAX_EVENT_BYTES = 20
    with pytest.raises(InvalidEvent, match=r"takes 21 bytes .* at most 20 .*EVENTS_MAX_EVENT_BYTES"):
        store.dispatch(new(data={"text": "12345678"}))
    store.dispatch(new(data={"text": "1234567"}))


def test_data_nested_too_deep_is_rejected(store: EventStore) -> None:
    data: dict[str, Any] = {}
    for _ in range(300):
        data = {"a": data}
    with pytest.raises(InvalidEvent, match="nested more than 254 levels"):
        store.dispatch(new(data=data))


def test_what_is_no_new_event_is_rejected(store: EventStore) -> None:
    with pytest.raises(InvalidEvent, match=r"is a list; pass NewEvent objects"):
        store.dispatch([new()])  # type: ignore[arg-type]


@pytest.mark.parametrize("expected", [-1, True, "3", 1.0, 2**63, None, {"a-1": -2}, {"a-1": "any"}, {"": 1}])
def test_what_is_no_expectation_is_rejected(store: EventStore, expected: Any) -> None:
    with pytest.raises(InvalidEvent, match="expected_version"):
        store.dispatch(new(), expected_version=expected)
    assert stored() == []


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
def test_refusals_inside_a_transaction_leave_it_usable(store: EventStore) -> None:
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


def test_read_all_goes_on_after_a_position(store: EventStore) -> None:
    events = store.dispatch(*some(5))
    assert list(store.read_all(after=events[2].position)) == events[3:]
    assert list(store.read_all(after=events[4].position)) == []
    assert list(store.read_all(up_to=events[2].position)) == events[:3]
    assert list(store.read_all(reverse=True, limit=2)) == [events[4], events[3]]
    assert list(store.read_all(after=events[2].position, reverse=True)) == [events[4], events[3]]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("limit", [None, 0, 1, 3, 4, 6, 7, 100])
def test_read_all_does_not_depend_on_its_page_size(
    store: EventStore, settings: Any, limit: int | None, reverse: bool
) -> None:
    settings.EVENTS_READ_PAGE_EVENTS = 3
    events = store.dispatch(*some(7))
    assert list(store.read_all(limit=limit, reverse=reverse)) == (events[::-1] if reverse else events)[:limit]


def test_read_all_filters_by_type_and_category(store: EventStore) -> None:
    events = store.dispatch(
        new("user-1", "Born"),
        new("username-1", "Born"),
        new("user", "Died"),
        new("user-2-x", "Moved"),
        new("u", "Born"),
    )
    one, two, three, four, five = events
    assert list(store.read_all(categories=["user"])) == [one, three, four]
    assert list(store.read_all(categories=["user", "u"])) == [one, three, four, five]
    assert list(store.read_all(types=["Born", "Moved"])) == [one, two, four, five]
    assert list(store.read_all(types=["Born"], categories=["user"])) == [one]
    assert list(store.read_all(categories=["user-1"])) == []
    assert list(store.read_all(types=[])) == list(store.read_all(categories=[])) == []


@pytest.mark.parametrize(
    "options",
    [
        {"types": "Born"},
        {"types": [7]},
        {"types": ["a\0b"]},
        {"categories": "user"},
        {"after": "x"},
        {"after": -1},
        {"limit": -1},
        {"up_to": 2**63},
    ],
)
def test_read_all_rejects_what_makes_no_sense_at_once(store: EventStore, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent, match=next(iter(options))):
        store.read_all(**options)


def test_read_all_reads_up_to_the_moment_it_was_called(store: EventStore) -> None:
    events = store.dispatch(*some(2))
    reading = store.read_all()
    store.dispatch(new())
    assert list(reading) == events


@pytest.mark.parametrize("aggregate_id", ["100%", "a_b-1", "a\\b-1", "x%y-1"])
def test_categories_with_wildcards_mean_themselves(store: EventStore, aggregate_id: str) -> None:
    events = store.dispatch(new(aggregate_id), new("axb-1"), new("xzzy-1"), new("100"))
    assert Aggregate.objects.get(pk=aggregate_id).category == aggregate_id.partition("-")[0]
    assert list(store.read_all(categories=[aggregate_id.partition("-")[0]])) == events[:1]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_reading_the_store_in_an_older_snapshot_is_rejected(store: EventStore, level: str) -> None:
    store.dispatch(new())
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        assert len(store.get_events_for_aggregate("a-1")) == 1
        with pytest.raises(UnsafeRead, match="READ COMMITTED"):
            list(store.read_all())


@pytest.mark.django_db(transaction=True)
def test_coroutines_have_the_same_methods(store: EventStore) -> None:
    async def use_them() -> None:
        events = await store.adispatch(*some(3), expected_version=0)
        assert await store.aget_events_for_aggregate("a-1", after_version=1) == events[1:]
        assert [event async for event in store.aread_all(types=["Happened"], limit=2)] == events[:2]
        assert await store.asettled_position() == events[-1].position

    async_to_sync(use_them)()


@pytest.mark.parametrize("hours", [-23, 17])
def test_moments_of_any_time_zone_are_taken(store: EventStore, hours: int) -> None:
    """PostgreSQL itself takes offsets of up to 16 hours."""
    moment = datetime(2020, 1, 1, tzinfo=fixed_zone(timedelta(hours=hours)))
    (event,) = store.dispatch(new(timestamp=moment))
    assert event.timestamp == moment
    late = datetime(2100, 1, 1, tzinfo=fixed_zone(timedelta(hours=hours)))
    assert store.get_events_for_aggregate("a-1", as_of=late) == [event]


@pytest.mark.parametrize("value", [1e300, 10**300, {"a": 1e200, "b": [1e100]}, [1] * 90, "x" * 256])
def test_correlation_id_is_as_long_as_the_database_writes_it(store: EventStore, value: Any) -> None:
    with pytest.raises(InvalidEvent, match="correlation_id"):
        store.dispatch(new(metadata={"correlation_id": value}))
    assert stored() == []
    store.dispatch(*[new(metadata={"correlation_id": each}) for each in (None, True, 7, 1e200, [1] * 80, "x" * 255)])
