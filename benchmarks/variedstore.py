"""A large store with varied events, filled by SQL without the append function, so that millions of events take minutes.

There are five categories. `order` has about half of the events; `archive` has one in twenty and `legacy` one in five
hundred, all among the oldest. One aggregate has every fiftieth event. The events of one correlation id are adjacent,
and each names the previous one as its cause. All values are derived from an event's number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

DAYS = 90
NUMBERS = 600_000  # the range of the aggregates' numbers in each category
ARCHIVE_PART, LEGACY_PART = 20, 125  # all events of the category are in the first 1/20 and 1/125 of the store
LONG_AGGREGATE = "order-longest"
LONG_STEP = 50  # every 50th event belongs to the long aggregate
NEEDLE = "needle"  # in the data of one event only


@dataclass(frozen=True, kw_only=True)
class Landmarks:
    """Events and aggregates for the requests of a benchmark.

    Attributes:
        events: the number of events, which is the position of the last one.
        position, aggregate_id, event_id, correlation_id: those of an order's event in the middle of the store.
        long_version: the version of the aggregate with the longest history.
    """

    events: int
    position: int
    aggregate_id: str
    event_id: UUID
    correlation_id: str
    long_version: int


def fill_varied(events: int) -> Landmarks:
    """Fill an empty store; return its landmarks."""
    from django.db import transaction

    with transaction.atomic():
        _run("SET LOCAL events.maintenance = 'on'")
        _run("SET LOCAL synchronous_commit = off")
        _run("SET LOCAL work_mem = '256MB'")
        _run(_EVENTS, {"events": events, "days": timedelta(days=DAYS)})
        _run(_AGGREGATES)
        _run("SELECT setval('events_event_position_seq', %s)", [events])
    _run("VACUUM ANALYZE events_event")
    _run("VACUUM ANALYZE events_aggregate")
    return _landmarks(events)


def fill_projections(events: int, parked: int, operations: int, workers: int) -> None:
    """Fill the read models that come with the app, and add parked events, operations and workers."""
    from django.db import transaction

    from projections.models import Checkpoint

    with transaction.atomic():
        _run("SET LOCAL work_mem = '256MB'")
        for statement in (_AGGREGATE_ACTIVITY, _TYPE_ACTIVITY, _DAILY_ACTIVITY):
            _run(statement)
        Checkpoint.objects.update(position=events, rate=250)
        _run(_PARKED, {"parked": parked, "events": events})
        _run(_OPERATIONS, [operations])
        _run(_HEARTBEATS, [workers])
    _run("VACUUM ANALYZE")


def _run(statement: str, arguments: Sequence[Any] | dict[str, Any] = ()) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement, arguments or None)


def _landmarks(events: int) -> Landmarks:
    from events.models import Aggregate, Event

    orders = Event.objects.after(events // 2).in_category("order").exclude(aggregate_id=LONG_AGGREGATE)
    middle = orders.order_by("position")[0]
    return Landmarks(
        events=events,
        position=middle.position,
        aggregate_id=middle.aggregate_id,
        event_id=middle.event_id,
        correlation_id=middle.metadata["correlation_id"],
        long_version=Aggregate.objects.get(pk=LONG_AGGREGATE).version,
    )


# The inner queries number the events within their aggregates and sort them by position again. They sort narrow rows;
# the outer query adds the other columns.
_EVENTS = f"""
    INSERT INTO events_event
        (position, aggregate_id, version, event_id, type, data, metadata, timestamp, recorded_at)
    SELECT n, aggregate_id, version, md5(n::text)::uuid,
        initcap(split_part(aggregate_id, '-', 1))
            || (ARRAY['Opened', 'Added', 'Changed', 'Paid', 'Shipped', 'Closed'])[1 + n %% 6],
        jsonb_build_object(
            'sku', 'MUG-' || n %% 97, 'quantity', n %% 5, 'price', 12.5, 'customer', 'customer-' || n %% 50000,
            'note', CASE n WHEN %(events)s / 3 THEN '{NEEDLE}' ELSE repeat('x', 40) END),
        jsonb_build_object('correlation_id', 'flow-' || n / 7, 'actor', 'customer-' || n %% 50000)
            || CASE n %% 7 WHEN 0 THEN '{{}}' ELSE jsonb_build_object('causation_id', md5((n - 1)::text)::uuid) END,
        moment, moment
    FROM (
        SELECT n, aggregate_id, row_number() OVER (PARTITION BY aggregate_id ORDER BY n) AS version,
            now() - %(days)s * (1 - n::float / %(events)s) AS moment
        FROM (
            SELECT n, CASE
                WHEN n %% {LONG_STEP} = 0 THEN '{LONG_AGGREGATE}'
                ELSE CASE
                    WHEN n < %(events)s / {LEGACY_PART} AND n %% 4 = 0 THEN 'legacy'
                    WHEN n < %(events)s / {ARCHIVE_PART} THEN 'archive'
                    WHEN n %% 10 < 5 THEN 'order'
                    WHEN n %% 10 < 8 THEN 'cart'
                    ELSE 'invoice'
                END || '-' || (hashint8(n / 11) & 2147483647) %% {NUMBERS}
            END AS aggregate_id
            FROM generate_series(1, %(events)s::bigint) AS n
        ) AS numbered
    ) AS versioned
    ORDER BY n
"""

_AGGREGATES = """
    INSERT INTO events_aggregate (aggregate_id, category, version, created_at, updated_at)
    SELECT aggregate_id, split_part(aggregate_id, '-', 1), count(*), min(recorded_at), max(recorded_at)
    FROM events_event GROUP BY aggregate_id
"""

_AGGREGATE_ACTIVITY = """
    INSERT INTO projections_aggregateactivity
        (aggregate_id, event_count, first_type, first_timestamp, first_recorded_at,
         last_type, last_timestamp, last_recorded_at)
    SELECT a.aggregate_id, a.version, f.type, f.timestamp, f.recorded_at, l.type, l.timestamp, l.recorded_at
    FROM events_aggregate AS a
    JOIN events_event AS f ON f.aggregate_id = a.aggregate_id AND f.version = 1
    JOIN events_event AS l ON l.aggregate_id = a.aggregate_id AND l.version = a.version
"""

_TYPE_ACTIVITY = """
    INSERT INTO projections_eventtypeactivity
        (type, event_count, first_position, last_position, first_recorded_at, last_recorded_at)
    SELECT type, count(*), min(position), max(position), min(recorded_at), max(recorded_at)
    FROM events_event GROUP BY type
"""

_DAILY_ACTIVITY = """
    INSERT INTO projections_dailyactivity (day, category, event_count)
    SELECT (timestamp AT TIME ZONE 'UTC')::date, split_part(aggregate_id, '-', 1), count(*)
    FROM events_event GROUP BY 1, 2
"""

# A third of the events failed; the others wait behind them in the same aggregates.
_PARKED = """
    INSERT INTO projections_parkedevent
        (projection_id, build, position, aggregate_id, type, parked_at, attempts, error, traceback)
    SELECT 'daily_activity', 'live', %(events)s - n, 'order-' || n / 3, 'OrderPaid', now(), 5,
        CASE n %% 3 WHEN 2 THEN 'ValueError: no such currency' ELSE '' END,
        CASE n %% 3 WHEN 2 THEN repeat('  File "projections.py", line 1, in count' || chr(10), 30) ELSE '' END
    FROM generate_series(0, %(parked)s - 1) AS n
"""

_OPERATIONS = """
    INSERT INTO projections_operation
        (projection, version, action, at, by, reason, aggregate_id, position, outcome)
    SELECT 'daily_activity', 1, (ARRAY['pause', 'resume', 'retry'])[1 + n %% 3], now() - n * interval '1 hour', 'admin',
        'maintenance of the currencies', '', NULL, ''
    FROM generate_series(1, %s) AS n
"""

_HEARTBEATS = """
    INSERT INTO projections_heartbeat (id, host, pid, started_at, seen_at, projections, doing, events)
    SELECT gen_random_uuid(), 'worker-' || n, 1000 + n, now() - interval '1 day', now(),
        'daily_activity, event_type_activity', '', 100000 * n
    FROM generate_series(1, %s) AS n
"""
