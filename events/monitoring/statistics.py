"""Statistics of the store, by queries that stay fast however many events there are."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from events import decoding
from events.storage.query_files import fetch_dicts, fetch_tuples, read_query

# Up to COUNTED_EVENTS events are counted exactly; above it, a sample of SAMPLED_EVENTS stands for all.
COUNTED_EVENTS = 10_000
SAMPLED_EVENTS = 4_000


def position_at(moment: datetime, using: str) -> int:
    """Return the position of the last event recorded before `moment`; 0 when there is none.

    A binary search over positions finds it, because `recorded_at` rises with the position. Around a moment when the
    database server's clock was set back, the result is inaccurate by as much as the clock was set back.
    """
    return int(fetch_tuples(using, read_query(__package__, "position_at"), {"moment": moment})[0][0])


@dataclass(frozen=True, kw_only=True)
class Activity:
    """The numbers of stored events by period, category and type.

    Attributes:
        starts: the start of each period; a period ends at the start of the next, the last one now.
        by_category: for each category, the busiest first, the number of its events in each period.
        by_type: the most frequent event types, with their numbers of events.
        is_estimate: whether the numbers are extrapolated from a sample.
        total: the number of events.
    """

    starts: Sequence[datetime]
    by_category: dict[str, list[int]]
    by_type: list[tuple[str, int]]
    is_estimate: bool

    @property
    def total(self) -> int:
        return sum(map(sum, self.by_category.values()))


def activity(starts: Sequence[datetime], categories: Collection[str] | None, using: str, types: int = 8) -> Activity:
    """Return the activity in the periods that begin at `starts`, in ascending order.

    Args:
        categories: count only their events; None is no restriction.
        types: the number of event types to return.
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
        "types": types + len(decoding.types),  # names of one type are added below
    }
    by_category: dict[str, list[int]] = {}
    by_type: Counter[str] = Counter()
    for period, category, event_type, count in fetch_tuples(using, query, arguments):
        events = round(count * weight)
        if category is None:
            by_type[decoding.name_of(event_type)] += events  # a renamed type has events under each of its names
        elif period:
            by_category.setdefault(category, [0] * len(starts))[period - 1] = events
    busiest_first = sorted(by_category.items(), key=lambda each: (-sum(each[1]), each[0]))
    return Activity(
        starts=starts,
        by_category=dict(busiest_first),
        by_type=sorted(by_type.items(), key=lambda each: (-each[1], each[0]))[:types],
        is_estimate=is_estimate,
    )


def busiest_aggregates(
    since: datetime, categories: Collection[str] | None, using: str, limit: int = 8
) -> list[tuple[str, int]]:
    """Return the aggregates with most of the newest 10,000 events since a moment, and their numbers of events."""
    arguments: dict[str, Any] = {
        "after": position_at(since, using),
        "newest": COUNTED_EVENTS,
        "categories": None if categories is None else sorted(categories),
        "limit": limit,
    }
    return fetch_tuples(using, read_query(__package__, "busiest_aggregates"), arguments)


def newest_position(using: str) -> int:
    """Return the highest position of a visible event; 0 in an empty store."""
    return int(fetch_tuples(using, "SELECT coalesce(max(position), 0) FROM events_event")[0][0])


@dataclass(frozen=True, kw_only=True)
class Size:
    """The size of the store.

    Attributes:
        events, aggregates: their numbers; with `is_estimate`, PostgreSQL's estimates.
        bytes: the size of both tables with their indexes.
    """

    events: int
    aggregates: int
    bytes: int
    is_estimate: bool


def size(using: str) -> Size:
    """Return the size of the store: exact numbers up to 10,000, PostgreSQL's estimates above."""
    ((estimate, aggregates, total, positions),) = fetch_tuples(using, read_query(__package__, "estimated_size"))
    events = min(estimate, positions)  # an old estimate can be higher than the number of positions
    is_estimate = events > COUNTED_EVENTS
    if not is_estimate:  # few events, or an old estimate
        query = read_query(__package__, "counted_size")
        ((events, aggregates),) = fetch_tuples(using, query, [COUNTED_EVENTS + 1] * 2)
        is_estimate = events > COUNTED_EVENTS
    return Size(events=events, aggregates=aggregates, bytes=total, is_estimate=is_estimate)


@dataclass(frozen=True, kw_only=True)
class OpenAppend:
    """An open transaction that has appended: the settled position stays below its positions.

    Attributes:
        pid: the process id of its database session; None: it is prepared, and waits for COMMIT PREPARED `prepared`.
        since: when the transaction began.
        state: the state of the session, such as `idle in transaction`.
        waits_for: what the session waits for, such as `Lock transactionid`.
        blocked_by: the process ids of the sessions that block it.
        application, user, client: the owner of the session.
        query: its current or last statement; None if the role may not see it.
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
    """Return the other transactions that hold back the settled position, the oldest first."""
    return [OpenAppend(**row) for row in fetch_dicts(using, read_query(__package__, "open_appends"), [limit])]


def _are_many_after(position: int, using: str) -> bool:
    """Return whether more than COUNTED_EVENTS events follow; positions cannot tell, because they have gaps."""
    query = "SELECT count(*) FROM (SELECT FROM events_event WHERE position > %s LIMIT %s) AS first"
    return bool(fetch_tuples(using, query, [position, COUNTED_EVENTS + 1])[0][0] > COUNTED_EVENTS)
