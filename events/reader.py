"""Reading: one aggregate's history, and the whole store page by page up to the settled position."""

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from django.core.exceptions import EmptyResultSet
from django.db import DatabaseError, connections, models
from psycopg.types.datetime import TimestamptzLoader

from .conf import conf
from .exceptions import UnsafeRead
from .jsontext import in_one_line, loads
from .models import Event, EventQuerySet
from .prepared import PreparedStatement

_SETTLED_AFTER = PreparedStatement(
    "events_settled_after",
    """
    SELECT CASE WHEN is_called AND last_value > $1 THEN events_settled_position() ELSE $1 END
    FROM events_event_position_seq
    """,
)


def settled_position(using: str) -> int:
    """Return the position of the highest event below which no other can appear; read events in a later statement.

    Raises:
        UnsafeRead: the transaction is not READ COMMITTED, or the server is a standby.
    """
    try:
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT events_settled_position()")
            return int(cursor.fetchone()[0])
    except DatabaseError as error:
        cause = error.__cause__
        if isinstance(cause, psycopg.Error) and cause.sqlstate == "EV003":
            raise UnsafeRead(f"{cause.diag.message_primary}. {cause.diag.message_hint}") from error
        raise


def settled_position_after(position: int, using: str) -> int:
    """Return the settled position; cheaper than that function for who asks again and again while nothing is stored.

    Args:
        position: a settled position seen before. As long as no further position has been taken, it is the answer.
    """
    connection = connections[using]
    connection.ensure_connection()
    session, arguments = connection.connection, [b"%d" % position]
    try:
        rows = _SETTLED_AFTER.rows(session, arguments)
    except psycopg.Error:
        rows = None  # asked again, it comes out as it should
    if rows is None:
        rows = _SETTLED_AFTER.rows_unprepared(session, arguments)
    return rows[0][0] if rows else settled_position(using)


class Query(NamedTuple):
    """A query for events as it is sent, where Django takes longer to write it than to have it answered.

    Attributes:
        text: it asks for all columns, in their order.
        using: the alias of the database.
    """

    text: str
    arguments: list[Any]
    using: str


def history(
    aggregate_id: str,
    *,
    after_version: int = 0,
    up_to_version: int | None = None,
    as_of: datetime | None = None,
    reverse: bool = False,
    limit: int | None = None,
    using: str,
) -> Query:
    """Return the query for events `after_version` < version <= `up_to_version` of one aggregate, by version."""
    conditions: dict[str, Any] = {"aggregate_id = %s": aggregate_id, "version > %s": after_version}
    if up_to_version is not None:
        conditions["version <= %s"] = up_to_version
    if as_of is not None:
        conditions["recorded_at <= %s"] = as_of.astimezone(UTC)
    order = "version DESC" if reverse else "version"
    text = f"SELECT {_COLUMNS} FROM events_event WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT %s"  # noqa: S608
    return Query(text, [*conditions.values(), limit], using)


_COLUMNS = 'position, aggregate_id, version, event_id, type, data, metadata, "timestamp", recorded_at'


def selection(types: Iterable[str] | None, categories: Iterable[str] | None, using: str) -> EventQuerySet:
    """Return the query for the events of any of `types` and any of `categories`; None is no restriction."""
    events = Event.objects.using(using)
    if types is not None:
        events = events.of_types(*types)
    if categories is not None:
        events = events.in_category(*categories)
    return events


class Written(NamedTuple):
    """A stored event as the database wrote it: `data` and `metadata` are JSON text."""

    position: int
    aggregate_id: str
    version: int
    event_id: UUID
    type: str
    data: str
    metadata: str
    timestamp: datetime
    recorded_at: datetime


def homes_of_stored(event_ids: Iterable[UUID], using: str) -> dict[UUID, str]:
    """Return the aggregates that those of the events are in that are stored, by event id."""
    with connections[using].cursor() as cursor:
        # One argument, or Django's cursor would write each of a thousand ids into the statement by itself.
        ids = "{" + ",".join(map(str, event_ids)) + "}"
        cursor.execute("SELECT event_id, aggregate_id FROM events_event WHERE event_id = ANY (%s::uuid[])", [ids])
        return dict(cursor.fetchall())


def fetch(events: EventQuerySet | Query) -> list[Event]:
    """Return the events of a query, as iterating over it would, in half the time."""
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


def fetch_written(events: EventQuerySet | Query) -> list[Written]:
    """Return the events of a query for who writes them out again, in a third of the time of `fetch`."""
    return [Written._make(row) for row in _rows(events)]


def _rows(events: EventQuerySet | Query) -> list[tuple[Any, ...]]:
    """Return the rows of a query, whose values the database driver builds in C.

    Django would have it parse moments in Python, to put in the time zone they are in already, and look at every value
    of a row once more to convert two of them.
    """
    try:
        query, arguments, using = events if isinstance(events, Query) else _written_out(events)
    except EmptyResultSet:
        return []
    connection = connections[using]
    with connection.cursor() as cursor:
        if connection.timezone is UTC:
            cursor.cursor.adapters.register_loader("timestamptz", TimestamptzLoader)
        cursor.execute(query, arguments)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _written_out(events: EventQuerySet) -> Query:
    text, arguments = events.query.get_compiler(connection=connections[events.db]).as_sql()
    return Query(text, list(arguments), events.db)


def pages(
    events: EventQuerySet,
    *,
    after: int,
    up_to: int,
    reverse: bool = False,
    limit: int | None = None,
    fetch: Callable[[EventQuerySet], list[Any]] = fetch,
) -> Iterator[list[Any]]:
    """Yield the events `after` < position <= `up_to` in lists, each by a statement of its own.

    `up_to` must not lie above a settled position read before: then every page is complete, however long this takes.
    """
    while limit is None or limit > 0:
        size = conf.read_page_events if limit is None else min(limit, conf.read_page_events)
        page = fetch(events.after(after).up_to(up_to).order_by("-position" if reverse else "position")[:size])
        if page:
            yield page
        if len(page) < size:
            return
        if limit is not None:
            limit -= size
        if reverse:
            up_to = page[-1].position - 1
        else:
            after = page[-1].position


def json_pages(events: EventQuerySet, *, after: int, up_to: int) -> Iterator[bytes]:
    """Yield the events `after` < position <= `up_to` as JSON Lines, in the shape of `interchange.event_as_dict`.

    The database writes the JSON, so this costs a fraction of making `Event` objects. A page has some megabytes at most:
    however many events there are, however large, no more is in memory. `up_to` must not lie above a settled position
    read before.
    """
    size = _JSON_FIRST_PAGE_EVENTS
    while True:
        try:
            page = _written_out(events.after(after).up_to(up_to).order_by("position")[:size])
        except EmptyResultSet:
            return
        with connections[page.using].cursor() as cursor:
            cursor.execute(_JSON_LINES.format(page=page.text), [*page.arguments, _JSON_PAGE_BYTES])
            lines, after, count = cursor.fetchone()
        if lines is None:
            return
        yield in_one_line(lines.encode()) + b"\n"
        # What does not go into a page was written in vain: ask for as many events as went into the last one.
        size = min(2 * size, _JSON_PAGE_EVENTS) if count == size else count + 1


_JSON_FIRST_PAGE_EVENTS, _JSON_PAGE_EVENTS = 100, 4000
_JSON_PAGE_BYTES = 2 * 1024 * 1024
_JSON_LINES = """
    SELECT string_agg(line, E'\\n' ORDER BY position), max(position), count(*)
    FROM (
        SELECT position, line, sum(octet_length(line)) OVER (ORDER BY position ROWS UNBOUNDED PRECEDING)
            - octet_length(line) AS bytes_before
        -- OFFSET 0: or the line would be written anew at each of its mentions.
        FROM (SELECT page.position, row_to_json(page)::text AS line FROM ({page}) AS page OFFSET 0) AS written
    ) AS measured
    WHERE bytes_before < %s
"""


def known_types(categories: Collection[str] | None, using: str) -> list[str]:
    """Return the event types to suggest: all there are, or those of some aggregates of each of some categories."""
    if categories is None:
        return distinct_values(Event, "type", using)
    arguments: list[Any] = [sorted(categories), max(1, _ASKED_AGGREGATES // max(1, len(categories)))]
    with connections[using].cursor() as cursor:
        cursor.execute(_TYPES_OF_CATEGORIES, arguments)
        return [event_type for (event_type,) in cursor.fetchall()]


# Not those of the newest events: of a category that is rare or retired, they may be anywhere in the store.
_ASKED_AGGREGATES = 200
_TYPES_OF_CATEGORIES = """
    SELECT DISTINCT e.type
    FROM unnest(%s::text[]) AS wanted(category)
    CROSS JOIN LATERAL (
        SELECT aggregate_id FROM events_aggregate WHERE category = wanted.category ORDER BY aggregate_id DESC LIMIT %s
    ) AS a
    CROSS JOIN LATERAL (
        SELECT type FROM events_event WHERE aggregate_id = a.aggregate_id ORDER BY version DESC LIMIT 50
    ) AS e
    ORDER BY e.type
"""


def distinct_values(model: type[models.Model], column: str, using: str, limit: int = 200) -> list[str]:
    """Return the different values of an indexed column, in order, at most `limit`.

    It jumps along the index from each value to the next: one look-up a value, where DISTINCT would read every row.
    """
    query = """
        WITH RECURSIVE jumps AS (
            (SELECT {column} FROM {table} ORDER BY {column} LIMIT 1)
            UNION ALL
            SELECT (SELECT t.{column} FROM {table} AS t WHERE t.{column} > jumps.{column} ORDER BY t.{column} LIMIT 1)
            FROM jumps WHERE jumps.{column} IS NOT NULL
        )
        SELECT {column} FROM jumps WHERE {column} IS NOT NULL LIMIT %s
    """
    names = {
        "column": connections[using].ops.quote_name(column),
        "table": connections[using].ops.quote_name(model._meta.db_table),
    }
    with connections[using].cursor() as cursor:
        cursor.execute(query.format(**names), [limit])
        return [value for (value,) in cursor.fetchall()]
