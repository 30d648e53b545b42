"""An append outside a transaction goes past Django's cursor; it must do whatever one by the cursor does."""

import time
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from events.exceptions import DuplicateEvent, UnreadableEvent, VersionConflict
from events.models import Event
from events.storage import reader
from events.storage.prepared_statements import Call
from events.store import EventStore
from events.types import EXISTS
from tests.support import in_threads, new, open_append, raise_first, some

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_subscribers")]


@pytest.fixture(params=["prepared", "by cursor"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make sure that appends go this way and no other; return what to put around them."""
    found: list[Any] = []
    call_prepared = Call.rows

    def watched(call: Call, *arguments: Any) -> Any:
        rows = call_prepared(call, *arguments)
        if call is not reader._HISTORY:
            found.append(rows)
        return rows

    monkeypatch.setattr(Call, "rows", watched)
    yield nullcontext if request.param == "prepared" else transaction.atomic
    assert {answers is None for answers in found} == {request.param == "by cursor"}


NAMES = [
    "NULL",
    "null",
    "{}",
    '{"a","b"}',
    "a,b",
    'a"b',
    "a\\b",
    '\\"',
    " a ",
    "ä-ö",
    "🎈",
    "a'b",
    "%s",
    "$1",
    "\u2028",
]


MOMENTS = [
    None,
    datetime(1, 1, 2, tzinfo=UTC),
    datetime(9999, 12, 29, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    datetime(2000, 1, 1, tzinfo=UTC),
]


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_every_name_and_value_is_stored_as_given(store: EventStore, way: Any, name: str, number: int) -> None:
    events = [
        new(name, name, data={name: [name, {"a": name}]}, metadata={"correlation_id": name}, timestamp=moment)
        for moment in MOMENTS[:number]
    ]
    with way():
        returned = store.dispatch(*events)
    stored = store.get_events_for_aggregate(name)
    assert [(e.aggregate_id, e.type, e.data, e.metadata, e.event_id) for e in stored] == [
        (e.aggregate_id, e.type, e.data, e.metadata, e.event_id) for e in events
    ]
    assert [vars_of(event) for event in returned] == [vars_of(event) for event in stored]


@pytest.mark.parametrize("moment", MOMENTS)
def test_moments_come_back_as_they_are(store: EventStore, way: Any, moment: datetime | None) -> None:
    with way():
        (event,) = store.dispatch(new(timestamp=moment))
    assert vars_of(event) == vars_of(Event.objects.get())
    assert event.timestamp == (moment or event.recorded_at)
    assert event.recorded_at.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - event.recorded_at) < timedelta(minutes=5)


def test_rejections_say_the_same(store: EventStore, way: Any) -> None:
    with way():
        stored = store.dispatch(*some(2))
        with pytest.raises(VersionConflict) as conflict:
            store.dispatch(new(), new("b-1"), expected_version={"a-1": 7, "b-1": EXISTS, "c-1": 1})
        assert [(each.aggregate_id, each.expected, each.actual) for each in conflict.value.conflicts] == [
            ("a-1", 7, 2),
            ("b-1", EXISTS, 0),
            ("c-1", 1, 0),
        ]
        with pytest.raises(DuplicateEvent) as duplicate:
            store.dispatch(new("b-1", event_id=stored[1].event_id))
        assert (duplicate.value.event_id, duplicate.value.aggregate_id) == (stored[1].event_id, "a-1")
        again = store.dispatch(*[new(e.aggregate_id, e.type, data=e.data, event_id=e.event_id) for e in stored])
        assert (again.is_retry, [event.position for event in again]) == (True, [event.position for event in stored])
        assert store.dispatch(expected_version={"a-1": 2}) == []
    assert Event.objects.count() == 2


def test_ids_stored_under_two_aggregates_at_once_are_duplicates(store: EventStore) -> None:
    """The one error that the append function cannot answer for: it comes out of the database."""
    for _ in range(20):
        event_id = uuid4()
        results = in_threads(
            *[lambda home=home, event_id=event_id: store.dispatch(new(home, event_id=event_id)) for home in ("a", "b")]
        )
        assert sorted(type(each).__name__ for each in results) == ["DispatchResult", "DuplicateEvent"]


def test_code_that_counts_or_wraps_statements_sees_the_append(store: EventStore) -> None:
    with CaptureQueriesContext(connection) as queries:
        store.dispatch(new())
    assert [query["sql"].count("events_append") for query in queries] == [1]
    seen: list[str] = []

    def wrapper(execute: Any, sql: str, *rest: Any) -> Any:
        seen.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(wrapper):
        store.dispatch(new())
    assert ["events_append" in sql for sql in seen] == [True]


def test_lock_timeout_is_an_operational_error_after_one_wait(store: EventStore) -> None:
    store.dispatch(new())
    with open_append(store, new()):
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '400ms'")
        began = time.monotonic()
        with pytest.raises(OperationalError, match="lock timeout"):
            store.dispatch(new())
        assert time.monotonic() - began < 0.8
    with connection.cursor() as cursor:
        cursor.execute("RESET lock_timeout")
    assert store.dispatch(new())[0].version == 3


def test_many_threads_append_at_once(store: EventStore) -> None:
    def append(home: str) -> None:
        for _ in range(30):
            store.dispatch(new(home), new("shared"))

    raise_first(in_threads(*[lambda home=home: append(home) for home in "abcd"]))
    assert [event.version for event in store.get_events_for_aggregate("shared")] == list(range(1, 121))


@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_without_autocommit_the_append_belongs_to_the_open_transaction(store: EventStore, ends: str) -> None:
    transaction.set_autocommit(False)
    try:
        store.dispatch(new())
        getattr(transaction, ends)()
    finally:
        transaction.set_autocommit(True)
    assert Event.objects.count() == (1 if ends == "commit" else 0)


def vars_of(event: Event) -> dict[str, Any]:
    return {name: value for name, value in vars(event).items() if name != "_state"}


def test_history_is_the_same_in_both_ways(store: EventStore) -> None:
    store.dispatch(*[new("a-1", name, data={name: 1.0}, timestamp=MOMENTS[1]) for name in NAMES], *some(3))
    for arguments in ({}, {"limit": 2}, {"limit": 0}, {"after_version": 3}, {"after_version": 2, "up_to_version": 4}):
        prepared = store.get_events_for_aggregate("a-1", **arguments)
        with transaction.atomic():
            by_cursor = store.get_events_for_aggregate("a-1", **arguments)
        assert list(map(values, prepared)) == list(map(values, by_cursor)), arguments
    assert store.get_events_for_aggregate("a-2") == []


def values(event: Event) -> dict[str, Any]:
    return {name: repr(value) for name, value in vars(event).items() if name != "_state"}


def test_history_with_a_moment_that_python_cannot_represent_says_so_in_both_ways(store: EventStore) -> None:
    store.dispatch(new("a-1", "Happened"), new("a-1", "Happened"))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE events_event DISABLE TRIGGER USER")
        cursor.execute("UPDATE events_event SET \"timestamp\" = '20000-01-01Z' WHERE version = 2")
        cursor.execute("ALTER TABLE events_event ENABLE TRIGGER USER")
    for way in (nullcontext, transaction.atomic):
        with pytest.raises(UnreadableEvent, match="timestamp"), way():
            store.get_events_for_aggregate("a-1")
    assert len(store.get_events_for_aggregate("a-1", limit=1)) == 1
