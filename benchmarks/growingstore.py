"""A store that grows by the append function, as a real one does: `bench_growth` measures it at several sizes.

Every tenth event begins a new aggregate, which gets ten events, spread over 10,000 events. Aggregate ids are in random
order, because ascending ids (UUIDv7, serial numbers) would be cheaper for the indexes. Event ids are UUIDv7, created in
Python as by `NewEvent`. One event in ten has a correlation id. All other values are derived from an event's number.
"""

from random import Random
from typing import Any

from uuid_utils.compat import uuid7

from benchmarks.common import EVENT_DATA

BATCH = 10_000
SPAN, NEW = 5_000, 500  # of every SPAN events, NEW are the first of their aggregates
_SCATTER, _IDS = 2_654_435_761, 10**10  # coprime, so that every number has a different id

_GROW = f"""
    SELECT count(*) FROM (
        SELECT array_agg('order-' || lpad(((n / {SPAN} * {NEW} + n %% {2 * NEW}) * {_SCATTER} %% {_IDS})::text, 10, '0')
                         ORDER BY n) AS ids,
            array_agg((ARRAY['OrderPlaced', 'OrderPaid', 'OrderPacked', 'OrderShipped', 'OrderRated'])
                      [1 + n / {2 * NEW} %% 5] ORDER BY n) AS types,
            array_agg(CASE n %% 10 WHEN 0 THEN jsonb_build_object('correlation_id', 'flow-' || n) ELSE '{{}}' END
                      ORDER BY n) AS metadata
        FROM generate_series(%(first)s::bigint, %(first)s + {BATCH - 1}) AS n
    ) AS batch,
    events_append(ids, types, array_fill(%(data)s::jsonb, ARRAY[{BATCH}]), metadata,
                  array_fill(NULL::timestamptz, ARRAY[{BATCH}]), %(event_ids)s::uuid[])
"""
_LENGTHEN = """
    SELECT count(*) FROM events_append(
        ARRAY(SELECT (%(ids)s::text[])[1 + n %% cardinality(%(ids)s::text[])] FROM generate_series(1, %(count)s) AS n),
        array_fill('EntryPosted'::text, ARRAY[%(count)s]), array_fill(%(data)s::jsonb, ARRAY[%(count)s]),
        array_fill('{}'::jsonb, ARRAY[%(count)s]), array_fill(NULL::timestamptz, ARRAY[%(count)s]),
        %(event_ids)s::uuid[])
"""


def aggregate_id(number: int) -> str:
    return f"order-{number * _SCATTER % _IDS:010}"


def any_aggregate(events: int, random: Random) -> str:
    """Return a random aggregate with ten events, in a store with `events` events."""
    return aggregate_id(random.randrange(NEW, events // 10))


def grow(size: int, to: int) -> None:
    """Append the events from number `size` up to number `to`, in calls of 10,000."""
    from django.db import connection

    with connection.cursor() as cursor:
        for first in range(size, to, BATCH):
            event_ids = [uuid7() for _ in range(BATCH)]
            arguments: dict[str, Any] = {"first": first, "data": EVENT_DATA, "event_ids": event_ids}
            cursor.execute(_GROW, arguments)


def lengthen(aggregate_ids: list[str], events: int) -> None:
    """Append `events` events to these aggregates in turn, in calls of 10,000."""
    from django.db import connection

    with connection.cursor() as cursor:
        for first in range(0, events, BATCH):
            event_ids = [uuid7() for _ in range(min(BATCH, events - first))]
            arguments: dict[str, Any] = {"ids": aggregate_ids, "count": len(event_ids), "event_ids": event_ids}
            cursor.execute(_LENGTHEN, {**arguments, "data": EVENT_DATA})
