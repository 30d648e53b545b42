"""What the store holds and how it is doing, asked in ways that stay quick however many events there are."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connections

from events.storage.query_files import fetch_dicts, read_query

# Up to so many events are counted one by one; of more, so many of them stand for all.
COUNTED_EVENTS = 10_000
SAMPLED_EVENTS = 4_000


def position_at(moment: datetime, using: str) -> int:
    """Return the position of the last event recorded before `moment`; 0 when there is none.

    It halves the range of positions some two dozen times. That takes `recorded_at` to rise with the position, which it
    does as far as the database server's clock does: around a moment when that was set back, the answer is as far off.
    """
    with connections[using].cursor() as cursor:
        cursor.execute(read_query(__package__, "position_at"), {"moment": moment})
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
    events = read_query(__package__, "sampled_events" if is_estimate else "events_between")
    query = read_query(__package__, "activity").format(events=events)
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
        cursor.execute(read_query(__package__, "busiest_aggregates"), arguments)
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
        cursor.execute(read_query(__package__, "estimated_size"))
        remembered, aggregates, total, positions = cursor.fetchone()
        # There cannot be more than positions, whatever it remembers.
        events = min(remembered, positions)
        is_estimate = events > COUNTED_EVENTS
        if not is_estimate:  # there are as few, or the database has not looked for long
            cursor.execute(read_query(__package__, "counted_size"), [COUNTED_EVENTS + 1] * 2)
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
    return [OpenAppend(**row) for row in fetch_dicts(using, read_query(__package__, "open_appends"), [limit])]


def _are_many_after(position: int, using: str) -> bool:
    """Return whether there are more events than are counted; positions do not tell, which may have wide gaps."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM (SELECT FROM events_event WHERE position > %s LIMIT %s) AS first",
            [position, COUNTED_EVENTS + 1],
        )
        return bool(cursor.fetchone()[0] > COUNTED_EVENTS)
