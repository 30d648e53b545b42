"""What the store holds and how it is doing, asked in ways that stay quick however many events there are."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connections

# Up to so many events are counted one by one; of more, so many of them stand for all.
COUNTED_EVENTS = 10_000
SAMPLED_EVENTS = 4_000


def position_at(moment: datetime, using: str) -> int:
    """Return the position of the last event recorded before `moment`; 0 when there is none.

    It halves the range of positions some two dozen times. That takes `recorded_at` to rise with the position, which it
    does as far as the database server's clock does: around a moment when that was set back, the answer is as far off.
    """
    with connections[using].cursor() as cursor:
        cursor.execute(_POSITION_AT, {"moment": moment})
        return int(cursor.fetchone()[0])


@dataclass(frozen=True, kw_only=True)
class Activity:
    """How many events were stored, when, and of what.

    Attributes:
        starts: the beginnings of the periods; each ends where the next one begins, the last one now.
        by_category: for each category, the busiest first, the number of its events in each of the periods.
        by_type: the most frequent event types, with how often.
        is_estimate: whether the numbers are extrapolated from some of the events.
        total: how many events.
    """

    starts: Sequence[datetime]
    by_category: dict[str, list[int]]
    by_type: list[tuple[str, int]]
    is_estimate: bool

    @property
    def total(self) -> int:
        return sum(map(sum, self.by_category.values()))


def activity(starts: Sequence[datetime], categories: Collection[str] | None, using: str, types: int = 8) -> Activity:
    """Return the activity in the periods that begin at `starts`, which rise.

    Args:
        categories: only of these; None is no restriction.
        types: how many event types to tell.
    """
    after, newest = position_at(starts[0], using), newest_position(using)
    is_estimate = _are_many_after(after, using)
    query = _ACTIVITY.format(events=_SAMPLE if is_estimate else _ALL)
    weight = (newest - after) / SAMPLED_EVENTS if is_estimate else 1
    arguments: dict[str, Any] = {
        "after": after,
        "newest": newest,
        "samples": SAMPLED_EVENTS,
        "starts": list(starts),
        "categories": None if categories is None else sorted(categories),
        "types": types,
    }
    by_category: dict[str, list[int]] = {}
    by_type: list[tuple[str, int]] = []
    with connections[using].cursor() as cursor:
        cursor.execute(query, arguments)
        for period, category, event_type, count in cursor.fetchall():
            events = round(count * weight)
            if category is None:
                by_type.append((event_type, events))
            elif period:
                by_category.setdefault(category, [0] * len(starts))[period - 1] = events
    busiest_first = sorted(by_category.items(), key=lambda each: (-sum(each[1]), each[0]))
    return Activity(
        starts=starts,
        by_category=dict(busiest_first),
        by_type=sorted(by_type, key=lambda each: (-each[1], each[0])),
        is_estimate=is_estimate,
    )


def busiest_aggregates(
    since: datetime, categories: Collection[str] | None, using: str, limit: int = 8
) -> list[tuple[str, int]]:
    """Return the aggregates with most events since a moment, and how many: among the newest 10,000 events."""
    arguments: dict[str, Any] = {
        "after": position_at(since, using),
        "newest": COUNTED_EVENTS,
        "categories": None if categories is None else sorted(categories),
        "limit": limit,
    }
    with connections[using].cursor() as cursor:
        cursor.execute(_BUSIEST, arguments)
        found: list[tuple[str, int]] = cursor.fetchall()
        return found


def newest_position(using: str) -> int:
    """Return the highest position that an event is seen at; 0 in an empty store."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT coalesce(max(position), 0) FROM events_event")
        return int(cursor.fetchone()[0])


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much the store holds.

    Attributes:
        events, aggregates: how many; `is_estimate` tells that the database last counted them a while ago.
        bytes: of both tables, with their indexes.
    """

    events: int
    aggregates: int
    bytes: int
    is_estimate: bool


def size(using: str) -> Size:
    """Return how much the store holds: counted up to 10,000, and beyond by what the database remembers of it."""
    with connections[using].cursor() as cursor:
        cursor.execute(_REMEMBERED)
        remembered, aggregates, total, positions = cursor.fetchone()
        # There cannot be more than positions, whatever it remembers.
        events = min(remembered, positions)
        is_estimate = events > COUNTED_EVENTS
        if not is_estimate:  # there are as few, or the database has not looked for long
            cursor.execute(_COUNTED, [COUNTED_EVENTS + 1] * 2)
            events, aggregates = cursor.fetchone()
            is_estimate = events > COUNTED_EVENTS
    return Size(events=events, aggregates=aggregates, bytes=total, is_estimate=is_estimate)


@dataclass(frozen=True, kw_only=True)
class OpenAppend:
    """A transaction that has appended and not ended yet: the settled position stays below what it has taken.

    Attributes:
        pid: the process id of its database session; None: it is prepared, and waits for COMMIT PREPARED `prepared`.
        since: when the transaction began.
        state: what the session does, such as `idle in transaction`.
        waits_for: what it waits for, such as `Lock transactionid`.
        blocked_by: the process ids of the sessions it waits for.
        application, user, client: who it is.
        query: its statement, or its last one; None where the database does not tell.
    """

    pid: int | None
    since: datetime | None
    state: str | None
    waits_for: str | None
    blocked_by: list[int]
    application: str | None
    user: str | None
    client: str | None
    query: str | None
    prepared: str | None


def open_appends(using: str, limit: int = 5) -> list[OpenAppend]:
    """Return the transactions, other than this one, that hold the settled position back, the oldest first."""
    with connections[using].cursor() as cursor:
        cursor.execute(_OPEN_APPENDS, [limit])
        names = [column.name for column in cursor.description]
        return [OpenAppend(**dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def _are_many_after(position: int, using: str) -> bool:
    """Return whether there are more events than are counted; positions do not tell, which may have wide gaps."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM (SELECT FROM events_event WHERE position > %s LIMIT %s) AS first",
            [position, COUNTED_EVENTS + 1],
        )
        return bool(cursor.fetchone()[0] > COUNTED_EVENTS)


# low: recorded before the moment, or 0; high: not before it, or the end. Positions have gaps: what is looked at is the
# first event from the middle on, and where there is none, nothing lies there.
_POSITION_AT = """
    WITH RECURSIVE search(low, high) AS (
        SELECT 0::bigint, coalesce(max(position), 0) + 1 FROM events_event
        UNION ALL
        SELECT CASE WHEN e.recorded_at < %(moment)s THEN e.position ELSE s.low END,
               CASE WHEN e.recorded_at < %(moment)s THEN s.high ELSE (s.low + s.high) / 2 END
        FROM search AS s LEFT JOIN LATERAL (
            SELECT position, recorded_at FROM events_event
            WHERE position >= (s.low + s.high) / 2 AND position < s.high ORDER BY position LIMIT 1
        ) AS e ON true
        WHERE s.high - s.low > 1
    )
    SELECT max(low) FROM search
"""

_ALL = """
    SELECT aggregate_id, type, recorded_at FROM events_event WHERE position > %(after)s AND position <= %(newest)s
"""

# The positions are cut into as many stretches of one length, and out of each comes an event: the first one from a place
# on that differs from stretch to stretch, or a pattern in what is stored could meet the one of the places. It is the
# same at every call, so that the picture does not change while the store does not.
_SAMPLE = """
    SELECT e.aggregate_id, e.type, e.recorded_at
    FROM (
        SELECT first + floor((hashint4(n) & 65535) / 65536.0 * (beyond - first))::bigint AS place, beyond
        FROM generate_series(0, %(samples)s - 1) AS n,
             (SELECT (%(newest)s - %(after)s)::float / %(samples)s AS length) AS stretch,
             LATERAL (SELECT %(after)s + 1 + floor(n * length)::bigint AS first,
                             %(after)s + 1 + floor((n + 1) * length)::bigint AS beyond) AS stretches
    ) AS places
    CROSS JOIN LATERAL (
        SELECT aggregate_id, type, recorded_at FROM events_event
        WHERE position >= place AND position < beyond ORDER BY position LIMIT 1
    ) AS e
"""

_ACTIVITY = """
    WITH seen AS MATERIALIZED (
        SELECT width_bucket(recorded_at, %(starts)s::timestamptz[]) AS period, type,
               split_part(aggregate_id, '-', 1) AS category
        FROM ({events}) AS events
        WHERE %(categories)s::text[] IS NULL OR split_part(aggregate_id, '-', 1) = ANY (%(categories)s::text[])
    )
    SELECT period, category, NULL, count(*) FROM seen GROUP BY period, category
    UNION ALL
    (SELECT NULL, NULL, type, count(*) FROM seen GROUP BY type ORDER BY count(*) DESC, type LIMIT %(types)s)
"""

_BUSIEST = """
    SELECT aggregate_id, count(*)
    FROM (SELECT aggregate_id FROM events_event WHERE position > %(after)s ORDER BY position DESC LIMIT %(newest)s) AS e
    WHERE %(categories)s::text[] IS NULL OR split_part(aggregate_id, '-', 1) = ANY (%(categories)s::text[])
    GROUP BY aggregate_id ORDER BY count(*) DESC, aggregate_id LIMIT %(limit)s
"""

_REMEMBERED = """
    SELECT (SELECT reltuples::bigint FROM pg_class WHERE oid = 'events_event'::regclass),
           (SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'events_aggregate'::regclass),
           pg_total_relation_size('events_event') + pg_total_relation_size('events_aggregate'),
           (SELECT coalesce(max(position) - min(position) + 1, 0) FROM events_event)
"""

_COUNTED = """
    SELECT (SELECT count(*) FROM (SELECT FROM events_event LIMIT %s) AS e),
           (SELECT count(*) FROM (SELECT FROM events_aggregate LIMIT %s) AS a)
"""

_OPEN_APPENDS = """
    SELECT l.pid, coalesce(a.xact_start, p.prepared) AS since, a.state,
           nullif(concat_ws(' ', a.wait_event_type, a.wait_event), '') AS waits_for,
           coalesce(pg_blocking_pids(l.pid), '{}') AS blocked_by, nullif(a.application_name, '') AS application,
           coalesce(a.usename, p.owner)::text AS user, host(a.client_addr) AS client, a.query, p.gid AS prepared
    FROM pg_locks AS l
    LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
    -- A prepared transaction has no session. What its locks have in common is a virtual transaction; one is on its id.
    LEFT JOIN pg_prepared_xacts AS p ON l.pid IS NULL AND EXISTS (
        SELECT FROM pg_locks AS same
        WHERE same.pid IS NULL AND same.virtualtransaction = l.virtualtransaction
          AND same.locktype = 'transactionid' AND same.transactionid = p.transaction
    )
    WHERE l.locktype = 'advisory' AND l.objsubid = 2
      AND l.classid = 'events_event_position_seq'::regclass
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND l.pid IS DISTINCT FROM pg_backend_pid()
    ORDER BY since LIMIT %s
"""
