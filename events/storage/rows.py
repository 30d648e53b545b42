"""The rows of a query for events, read without Django's ORM in half the time."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import takewhile
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import DataError, connections
from psycopg.types.datetime import TimestamptzLoader

from events import decoding
from events.conf import conf
from events.exceptions import UnreadableEvent
from events.jsonb import dumps, loads, may_be_unreadable
from events.models import Event, EventQuerySet

from .prepared_statements import Call
from .query_files import read_query
from .unreadable import LenientTimestamptzLoader, values_of

# The objects of Python, their text and the buffers of the connection take up to this many times the stored size.
MEMORY_OF_STORED_BYTE = 8
# The least weight of an event in `queries/page.sql`.
MIN_WEIGHT = 100


class Query(NamedTuple):
    """A query for events as text, where Django would take longer to compile a query than PostgreSQL to execute it.

    Attributes:
        text: a SELECT of all columns of an event, in the order of the model's fields.
        using: the alias of the database.
        order: the ORDER BY of `text`.
    """

    text: str
    arguments: list[Any]
    using: str
    order: str = "position"

    def limited(self, limit: int | None) -> "Query":
        """Return the query for the first `limit` events."""
        return (
            self if limit is None else self._replace(text=f"{self.text} LIMIT %s", arguments=[*self.arguments, limit])
        )


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

    @property
    def unreadable(self) -> str:
        """Nothing: an event that cannot be read is no row, but an `Event` that says why."""
        return ""


class Page(list[Any]):
    """One page of events, in the order of its query.

    Attributes:
        has_more: whether further events may follow, because the page has reached its number of events or bytes.
        has_unreadable: whether one of the events cannot be read; its attribute `unreadable` says why.
    """

    has_more = False
    has_unreadable = False

    @property
    def error(self) -> UnreadableEvent | None:
        """The error of the first event that cannot be read; None without such an event."""
        if not self.has_unreadable:
            return None
        event = next(filter(is_marked, self))
        error: UnreadableEvent = event.error
        return error

    def readable(self) -> list[Any]:
        """Return the events before the first one that cannot be read."""
        return list(takewhile(lambda event: not is_marked(event), self)) if self.has_unreadable else self


def fetch_events(events: EventQuerySet | Query) -> list[Event]:
    """Return all events of a query, in half the time that iteration over a queryset takes.

    Raises:
        UnreadableEvent: Python cannot represent an event; the error names the first one.
    """
    page = fetch_marked(events)
    if page.error:
        raise page.error
    return page


def fetch_called(call: Call, arguments: Sequence[bytes | None], otherwise: Query) -> list[Event]:
    """Return the events that `fetch_events` returns for a query, by a prepared statement for the same rows if possible.

    Raises:
        UnreadableEvent: Python cannot represent an event; the error names the first one.
    """
    connection = connections[otherwise.using]
    rows = None
    if connection.timezone is UTC:  # of the moments that prepared statements return
        with _without_odd_moments():
            rows = call.rows(connection, arguments)
    if rows is None:
        return fetch_events(otherwise)
    page = _page(rows, False, otherwise.using)
    if page.error:
        raise page.error
    return page


@contextmanager
def _without_odd_moments() -> Iterator[None]:
    """Suppress the error of psycopg for a moment that Python cannot represent."""
    try:
        yield
    except DataError as error:
        if getattr(error.__cause__, "sqlstate", None):  # the server's error
            raise


def fetch_marked(events: EventQuerySet | Query) -> Page:
    """Return all events of a query, as `fetch_page` does, however many bytes they take."""
    try:
        query = as_query(events)
    except EmptyResultSet:
        return Page()
    return _page(*_fetch(query), query.using)


def fetch_page(events: EventQuerySet | Query, limit: int, *, as_rows: bool = False, as_stored: bool = False) -> Page:
    """Return the first events of a query: at most `limit`, and no more than fit into `EVENTS_READ_PAGE_BYTES`.

    A single event is a page, however large it is. An event that Python cannot represent is on the page too, marked: its
    attribute `unreadable` is the reason, and its fields that cannot be read are None. Callers show it as it is, or
    raise the `error` of the page.

    Args:
        events: a query with an order and without a limit.
        as_rows: return an `EventRow` for each event that is not marked, in a third of the time.
        as_stored: return the rows as they are in the table, and not in the newest form of their types.
    """
    try:
        query = as_query(events)
    except EmptyResultSet:
        return Page()
    budget = conf.read_page_bytes // MEMORY_OF_STORED_BYTE
    limit = max(1, min(limit, budget // MIN_WEIGHT))
    # Most events are small. A query that weighs each event takes a sixth longer, so it comes second.
    small = budget // (2 * limit)
    rows, has_odd_moments = _fetch(_from_file("page_of_small_events", [small, small], query.limited(limit)))
    is_cut = False
    if not all(map(_has_json, rows)):
        rows, has_odd_moments = _fetch(_from_file("page", [budget], query.limited(limit)))
        is_cut = not _has_json(rows[-1])
    decode = decoding.types and not as_stored
    page = _page(rows[:-1] if is_cut else rows, has_odd_moments, query.using, as_rows=as_rows, decode=bool(decode))
    page.has_more = is_cut or len(rows) == limit
    return page


def is_marked(event: Event | EventRow) -> bool:
    """Return whether an event cannot be read."""
    return bool(event.unreadable)


def as_query(events: EventQuerySet | Query) -> Query:
    """Return the query that Django would send for a queryset.

    Raises:
        EmptyResultSet: Django knows without a query that no row matches.
    """
    if isinstance(events, Query):
        return events
    text, arguments = events.query.get_compiler(connection=connections[events.db]).as_sql()
    names: Any = events.query.order_by or Event._meta.ordering
    order = [f"{name[1:]} DESC" if name.startswith("-") else name for name in names]
    return Query(text, list(arguments), events.db, ", ".join(order))


def _fetch(query: Query) -> tuple[list[tuple[Any, ...]], bool]:
    """Return the rows of a query, and whether a moment may be text because Python cannot represent it."""
    with _without_odd_moments():
        return _fetch_with(TimestamptzLoader, query), False
    return _fetch_with(LenientTimestamptzLoader, query), True


def _fetch_with(loader: type[TimestamptzLoader], query: Query) -> list[tuple[Any, ...]]:
    """Return the rows of a query with values that psycopg loads in C.

    Django's cursor loads moments in Python, to set a time zone that they already have, and the ORM converts each row
    again. So this function registers psycopg's own loader on `cursor.cursor`, an internal of Django's PostgreSQL
    backend. Checked with Django 5.2 and 6.1, psycopg 3.3.
    """
    connection = connections[query.using]
    with connection.cursor() as cursor:
        if connection.timezone is UTC or loader is LenientTimestamptzLoader:
            cursor.cursor.adapters.register_loader("timestamptz", loader)
        cursor.execute(query.text, query.arguments)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _from_file(name: str, arguments: list[Any], page: Query) -> Query:
    text = read_query(__package__, name).format(page=page.text, order=page.order)
    return page._replace(text=text, arguments=[*arguments, *page.arguments])


def _has_json(row: tuple[Any, ...]) -> bool:
    return row[5] is not None and row[6] is not None


def _page(
    rows: list[tuple[Any, ...]], has_odd_moments: bool, using: str, *, as_rows: bool = False, decode: bool = True
) -> Page:
    if not has_odd_moments:
        if not as_rows:
            with suppress(ValueError):  # JSON that cannot be read
                events = _events(rows, using)
                return _marked_page(events) if decoding.types else Page(events)
        elif not any(may_be_unreadable(row[5]) or may_be_unreadable(row[6]) for row in rows):
            stored = map(EventRow._make, rows)
            return _marked_page(_decoded(row, using) for row in stored) if decode else Page(stored)
    return _marked_page(_event_or_row(row, using, as_row=as_rows, decode=decode) for row in map(EventRow._make, rows))


def _marked_page(events: Iterable[Event | EventRow]) -> Page:
    page = Page(events)
    page.has_unreadable = any(map(attrgetter("unreadable"), page))
    return page


def _events(rows: list[tuple[Any, ...]], using: str) -> list[Event]:
    return Event.many_from_db(
        using,
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
            for position, aggregate_id, version, event_id, event_type, data, metadata, timestamp, recorded_at in rows
        ),
    )


def _event_or_row(row: EventRow, using: str, *, as_row: bool, decode: bool) -> Event | EventRow:
    values, reasons = values_of(row._asdict())
    if as_row and not reasons:
        return _decoded(row, using) if decode else row
    (event,) = Event.many_from_db(using, [values])
    if reasons:
        event.unreadable = "; ".join(reasons)
    return event


def _decoded(row: EventRow, using: str) -> Event | EventRow:
    """Return a row in its newest form, as text again; an event, marked, if its type cannot decode it."""
    if not decoding.may_change(row.type, row.metadata):
        return row
    (event,) = Event.many_from_db(using, [values_of(row._asdict())[0]])
    if event.unreadable:
        return event
    data, metadata = dumps(event.data, "data")[0].decode(), dumps(event.metadata, "metadata")[0].decode()
    return row._replace(type=event.type, data=data, metadata=metadata)
