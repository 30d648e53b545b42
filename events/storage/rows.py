"""The rows of a query for events, read without Django's ORM in half the time."""

from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import connections
from psycopg.types.datetime import TimestamptzLoader

from events.jsonb import loads
from events.models import Event, EventQuerySet


class Query(NamedTuple):
    """A query for events as text, where Django would take longer to compile a query than PostgreSQL to execute it.

    Attributes:
        text: a SELECT of all columns of an event, in the order of the model's fields.
        using: the alias of the database.
    """

    text: str
    arguments: list[Any]
    using: str


class EventRow(NamedTuple):
    """A stored event as the database returns it: `data` and `metadata` are JSON text."""

    position: int
    aggregate_id: str
    version: int
    event_id: UUID
    type: str
    data: str
    metadata: str
    timestamp: datetime
    recorded_at: datetime


def fetch_events(events: EventQuerySet | Query) -> list[Event]:
    """Return the events of a query, in half the time that iteration over a queryset takes."""
    return Event.many_from_db(
        events.using if isinstance(events, Query) else events.db,
        (
            {
                "position": position,
                "aggregate_id": aggregate_id,
                "version": version,
                "event_id": event_id,
                "type": event_type,
                "data": loads(data),
                "metadata": loads(metadata),
                "timestamp": timestamp,
                "recorded_at": recorded_at,
            }
            for position, aggregate_id, version, event_id, event_type, data, metadata, timestamp, recorded_at in _rows(
                events
            )
        ),
    )


def fetch_rows(events: EventQuerySet | Query) -> list[EventRow]:
    """Return the rows of a query with `data` and `metadata` as text, in a third of the time of `fetch_events`."""
    return [EventRow._make(row) for row in _rows(events)]


def as_query(events: EventQuerySet) -> Query:
    """Return the query that Django would send for a queryset.

    Raises:
        EmptyResultSet: Django knows without a query that no row matches.
    """
    text, arguments = events.query.get_compiler(connection=connections[events.db]).as_sql()
    return Query(text, list(arguments), events.db)


def _rows(events: EventQuerySet | Query) -> list[tuple[Any, ...]]:
    """Return the rows of a query with values that psycopg loads in C.

    Django's cursor loads moments in Python, to set a time zone that they already have, and the ORM converts each row
    again. So this function registers psycopg's own loader on `cursor.cursor`, an internal of Django's PostgreSQL
    backend. Checked with Django 5.2 and 6.1, psycopg 3.3.
    """
    try:
        query, arguments, using = events if isinstance(events, Query) else as_query(events)
    except EmptyResultSet:
        return []
    connection = connections[using]
    with connection.cursor() as cursor:
        if connection.timezone is UTC:
            cursor.cursor.adapters.register_loader("timestamptz", TimestamptzLoader)
        cursor.execute(query, arguments)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
