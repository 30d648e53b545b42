"""Reads: the history of one aggregate, and the pages of the whole store up to the settled position."""

import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import starmap
from typing import Any, NamedTuple
from uuid import UUID

from django.core.exceptions import EmptyResultSet

from events.conf import conf
from events.jsonb import in_one_line
from events.models import Event, EventQuerySet
from events.types import MAX_BIGINT

from .prepared_statements import Call
from .query_files import fetch_tuples, read_query
from .rows import Query, as_query, fetch_called, fetch_events, fetch_page

_COLUMNS = 'position, aggregate_id, version, event_id, type, data, metadata, "timestamp", recorded_at'
_JSON_FIRST_PAGE_EVENTS, _JSON_PAGE_EVENTS = 100, 4000
# The copies of its text that a page of JSON takes on its way to the client.
_TEXT_COPIES = 8


# The usual history, which commands read each time.
_HISTORY = Call(
    "events_history",
    """
    SELECT position, aggregate_id, version, event_id, type, data::text, metadata::text, "timestamp", recorded_at
    FROM events_event
    WHERE aggregate_id = {}::text AND version > {}::bigint AND version <= {}::bigint
    ORDER BY version LIMIT {}::bigint
    """,
    places=4,
)


def fetch_history(
    aggregate_id: str,
    *,
    after_version: int = 0,
    up_to_version: int | None = None,
    as_of: datetime | None = None,
    reverse: bool = False,
    limit: int | None = None,
    using: str,
) -> list[Event]:
    """Return the events of `history`; a prepared statement reads the usual history sooner.

    Raises:
        UnreadableEvent: Python cannot represent an event.
    """
    query = history(
        aggregate_id,
        after_version=after_version,
        up_to_version=up_to_version,
        as_of=as_of,
        reverse=reverse,
        using=using,
    ).limited(limit)
    if as_of is not None or reverse:
        return fetch_events(query)
    arguments = [
        aggregate_id.encode(),
        b"%d" % after_version,
        b"%d" % (MAX_BIGINT if up_to_version is None else up_to_version),
        None if limit is None else b"%d" % limit,
    ]
    return fetch_called(_HISTORY, arguments, query)


def history(
    aggregate_id: str,
    *,
    after_version: int = 0,
    up_to_version: int | None = None,
    as_of: datetime | None = None,
    reverse: bool = False,
    using: str,
) -> Query:
    """Return the query for events `after_version` < version <= `up_to_version` of one aggregate, by version."""
    conditions: dict[str, Any] = {"aggregate_id = %s": aggregate_id, "version > %s": after_version}
    if up_to_version is not None:
        conditions["version <= %s"] = up_to_version
    if as_of is not None:
        conditions["recorded_at <= %s"] = as_of.astimezone(UTC)
    order = "version DESC" if reverse else "version"
    text = f"SELECT {_COLUMNS} FROM events_event WHERE {' AND '.join(conditions)} ORDER BY {order}"  # noqa: S608
    return Query(text, [*conditions.values()], using, order)


def selection(types: Iterable[str] | None, categories: Iterable[str] | None, using: str) -> EventQuerySet:
    """Return the query for the events of any of `types` and any of `categories`; None is no restriction."""
    events = Event.objects.using(using)
    if types is not None:
        events = events.of_types(*types)
    if categories is not None:
        events = events.in_category(*categories)
    return events


class StoredId(NamedTuple):
    """An event id that is stored, its aggregate, and the approximate length of the event's data."""

    event_id: UUID
    aggregate_id: str
    characters: int


def stored_ids(event_ids: Iterable[UUID], using: str) -> list[StoredId]:
    """Return those of `event_ids` that are stored."""
    # One argument: Django's cursor would write each id of a list into the statement.
    ids = "{" + ",".join(map(str, event_ids)) + "}"
    query = (
        "SELECT event_id, aggregate_id, octet_length(data::text) FROM events_event WHERE event_id = ANY (%s::uuid[])"
    )
    return list(starmap(StoredId, fetch_tuples(using, query, [ids])))


def pages(
    events: EventQuerySet,
    *,
    after: int,
    up_to: int,
    reverse: bool = False,
    limit: int | None = None,
) -> Iterator[list[Event]]:
    """Yield the events `after` < position <= `up_to` in lists; each list is read by a separate statement.

    `up_to` must not be above a settled position that was read before. Then every page is complete, however long the
    iteration takes.

    Raises:
        UnreadableEvent: Python cannot represent an event. The events before it were yielded.
    """
    events = events.order_by("-position" if reverse else "position")
    left = limit if limit is not None else sys.maxsize
    size = conf.read_page_events
    while left > 0:
        page = fetch_page(events.after(after).up_to(up_to), min(size, left))
        # Nothing here refers to the page while the caller has it, or two pages would be in memory at once.
        count, has_more, last = len(page), page.has_more, page[-1].position if page else 0
        readable, error = page.readable(), page.error
        del page
        if readable:
            yield readable
        del readable
        if error:
            raise error
        if not has_more:
            return
        left -= count
        # Events that do not fit on a page are weighed for nothing: ask for about as many as fitted on the last page.
        size = min(2 * count, conf.read_page_events)
        if reverse:
            up_to = last - 1
        else:
            after = last


def json_pages(events: EventQuerySet, *, after: int, up_to: int) -> Iterator[bytes]:
    """Yield the events `after` < position <= `up_to` as JSON Lines, in the shape of `serialization.event_as_dict`.

    The database writes the JSON, which is much cheaper than building `Event` objects, and can write events that Python
    cannot represent. `up_to` must not be above a settled position that was read before.
    """
    budget = conf.read_page_bytes // _TEXT_COPIES
    size = _JSON_FIRST_PAGE_EVENTS
    while True:
        try:
            page = as_query(events.after(after).up_to(up_to).order_by("position")[:size])
        except EmptyResultSet:
            return
        query = read_query(__package__, "json_lines").format(page=page.text)
        ((lines, after, count),) = fetch_tuples(page.using, query, [*page.arguments, budget])
        if lines is None:
            return
        yield in_one_line(lines.encode()) + b"\n"
        # Lines that do not fit on a page are written for nothing: ask for as many as fitted on the last page.
        size = min(2 * size, _JSON_PAGE_EVENTS) if count == size else count + 1
