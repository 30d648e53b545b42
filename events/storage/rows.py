"""The rows of a query for events, read past Django's ORM in half the time."""

from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import connections
from psycopg.types.datetime import TimestamptzLoader

from events.jsonb import loads
from events.models import Event, EventQuerySet


class Query(NamedTuple):
    """A query for events as text, for the case that Django takes longer to write a query than PostgreSQL to answer it.

    Attributes:
        text: selects all columns of an event, in their order.
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
    """Return the events of a query, as iterating over the query would, in half the time."""
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
    """Return the rows of a query for callers that write them out again, in a third of the time of `fetch_events`."""
    return [EventRow._make(row) for row in _rows(events)]


def as_query(events: EventQuerySet) -> Query:
    """Return a queryset as the text that Django would send.

    Raises:
        EmptyResultSet: Django knows without asking that no row matches.
    """
    text, arguments = events.query.get_compiler(connection=connections[events.db]).as_sql()
    return Query(text, list(arguments), events.db)


def _rows(events: EventQuerySet | Query) -> list[tuple[Any, ...]]:
    """Return the rows of a query, whose values psycopg builds in C.

    Django's cursor loads moments in Python, to attach the time zone that they have already, and looks at every value of
    a row again to convert two of them. So this registers psycopg's own loader on the cursor, which is an internal of
    Django's PostgreSQL backend: checked with Django 5.2 and 6.1, psycopg 3.2 and 3.3.
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
