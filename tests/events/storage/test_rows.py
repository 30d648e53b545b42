"""Rows are read past Django's own loaders; the values are those that Django gives.

A failure here after an upgrade of Django or psycopg means that their loaders have changed; mend events/storage/rows.py.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, connections, models
from django.db.models.query import QuerySet
from psycopg.types.datetime import TimestamptzLoader

from events.models import Event
from events.storage import rows
from events.store import EventStore
from events.types import EARLIEST, LATEST
from tests.support import new

pytestmark = pytest.mark.django_db

MOMENTS = [
    EARLIEST,
    LATEST,
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2024, 3, 31, 2, 30, tzinfo=ZoneInfo("Asia/Tokyo")),
    datetime(2024, 10, 27, 1, 30, 0, 1, tzinfo=UTC),
]


@pytest.fixture
def stored(store: EventStore) -> list[Event]:
    return store.dispatch(*[new(data={"n": 2**70, "f": 1.0}, timestamp=moment) for moment in MOMENTS])


def by_django() -> list[tuple[Any, ...]]:
    """All values as Django's own cursor and converters return them."""
    names = [field.attname for field in Event._meta.concrete_fields]
    return list(QuerySet(Event).order_by("position").values_list(*names))


def test_moments_are_those_of_django(stored: list[Event]) -> None:
    found = rows.fetch_events(Event.objects.order_by("position"))
    assert [
        tuple(vars(event)[field.attname] for field in Event._meta.concrete_fields) for event in found
    ] == by_django()
    assert [event.timestamp for event in found] == MOMENTS
    for event in found:
        for moment in (event.timestamp, event.recorded_at):
            assert moment.tzinfo is not None
            assert moment.utcoffset() == timedelta(0)


def test_rows_hold_json_as_text(stored: list[Event]) -> None:
    first, *_ = rows.fetch_page(Event.objects.order_by("position"), 2, as_rows=True)
    assert first.data == '{"f": 1.0, "n": 1180591620717411303424}'
    assert (first.position, first.event_id) == (stored[0].position, stored[0].event_id)


def test_query_of_django_selects_the_columns_of_a_row_in_their_order() -> None:
    text, _, using, order = rows.as_query(Event.objects.all())
    assert (using, order) == ("default", "position")
    selected = text.partition(" FROM ")[0]
    places = [selected.index(f'."{name}"') for name in rows.EventRow._fields]
    assert places == sorted(places)


def test_query_that_matches_nothing_is_not_sent(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert rows.fetch_events(Event.objects.none()) == []


def test_loader_is_registered_on_the_cursor_alone(stored: list[Event]) -> None:
    """Other cursors of the connection, and the connection, load moments as Django wants them loaded."""

    def loader_of(adapters: Any) -> type:
        return adapters.get_loader(adapters.types["timestamptz"].oid, 0)

    connection.ensure_connection()
    before = loader_of(connection.connection.adapters)
    assert before is not TimestamptzLoader
    assert rows.fetch_events(Event.objects.all())
    assert loader_of(connection.connection.adapters) is before
    with connection.cursor() as cursor:
        assert loader_of(cursor.cursor.adapters) is not TimestamptzLoader


def test_loader_is_used(stored: list[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the other tests here would be about nothing."""
    used: list[Any] = []
    make = connections["default"].create_cursor

    def watched(name: Any = None) -> Any:
        cursor = make(name)
        register = cursor.adapters.register_loader
        monkeypatch.setattr(cursor.adapters, "register_loader", lambda *each: (used.append(each), register(*each)))
        return cursor

    monkeypatch.setattr(connections["default"], "create_cursor", watched)
    rows.fetch_events(Event.objects.all())
    assert ("timestamptz", TimestamptzLoader) in used


def test_database_of_another_time_zone_keeps_djangos_loader(
    stored: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokyo = ZoneInfo("Asia/Tokyo")
    wrapper = connections["default"]
    monkeypatch.setitem(wrapper.settings_dict, "TIME_ZONE", "Asia/Tokyo")
    for name in ("timezone", "timezone_name"):
        vars(wrapper).pop(name, None)
    try:
        wrapper.ensure_timezone()
        (event,) = rows.fetch_events(Event.objects.filter(position=stored[3].position))
        assert event.timestamp == MOMENTS[3]
        assert event.timestamp.tzinfo == tokyo
    finally:
        monkeypatch.undo()
        for name in ("timezone", "timezone_name"):
            vars(wrapper).pop(name, None)
        wrapper.ensure_timezone()


def test_model_has_the_fields_of_a_row() -> None:
    assert tuple(field.attname for field in Event._meta.concrete_fields) == rows.EventRow._fields
    assert all(isinstance(field, models.Field) for field in Event._meta.concrete_fields)
