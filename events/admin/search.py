"""The search for events from a position on, in bounded time however many events there are."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg
from django.db import OperationalError, connections, transaction
from django.db.models import Q, Sum, TextField
from django.db.models.functions import Cast

from events.models import AggregateQuerySet, Event, EventQuerySet
from events.monitoring.statistics import newest_position

# If aggregates have at most this many events in total, all their events are looked up.
FEW_EVENTS = 10_000
# A search returns after this time with what it has found. The size of its statements adapts to the time that is left.
SEARCH_SECONDS = 0.15
MIN_STATEMENT_MILLISECONDS = 10
FIRST_BATCH_POSITIONS = 64
GROWTH = 4


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """The result of a search.

    Attributes:
        events: the matching events, newest first.
        next: the position to continue from, in the same direction; None: there are no further events.
        has_timed_out: whether time ran out: the search is complete up to `next`, and has not looked further.
    """

    events: Sequence[Event]
    next: int | None
    has_timed_out: bool


def search(
    events: EventQuerySet,
    aggregates: AggregateQuerySet | None = None,
    *,
    text: str = "",
    after: int = 0,
    before: int | None = None,
    newest_first: bool = True,
    limit: int,
) -> SearchResult:
    """Return the first matching events between two positions, from the upper one down or from the lower one up.

    PostgreSQL plans a single query for the average case, and would read the whole store if rare events are at its far
    end. So if a category or an aggregate has few events, they are looked up. Otherwise the store is searched in batches
    of positions until time runs out.

    Args:
        events: the query for the events, unordered.
        aggregates: the aggregates to which `events` is restricted, if any.
        text: only events whose data contains this as JSON text; upper and lower case match by the database's rules.
        after, before: the positions, both excluded. `before` None: up to the newest event.
        newest_first: begin at `before`; False: begin at `after`.
        limit: the largest number of events to return.
    """
    deadline = time.monotonic() + SEARCH_SECONDS
    if before is None:
        before = newest_position(events.db) + 1
    positions: _Positions = _AllPositions(after, before, newest_first)
    if aggregates is not None:
        candidates = events.filter(position__gt=after, position__lt=before).order_by()
        with _cancelled_at(deadline, events.db):
            if _have_few_events(aggregates):
                known = candidates.values_list("position", flat=True)
                positions = _KnownPositions(sorted(known, reverse=newest_first))
    if text:
        events = containing(events, text)
    found, reached = _search(events.order_by("-position" if newest_first else "position"), positions, limit, deadline)
    has_timed_out = reached is not None
    if len(found) > limit:
        found = found[:limit]
        reached = found[-1].position
    return SearchResult(events=found if newest_first else found[::-1], next=reached, has_timed_out=has_timed_out)


def containing(events: EventQuerySet, text: str) -> EventQuerySet:
    """Return the events whose data contains `text` as JSON text."""
    return events.alias(data_text=Cast("data", TextField())).filter(data_text__icontains=text)


def _search(
    events: EventQuerySet, positions: "_Positions", limit: int, deadline: float
) -> tuple[list[Event], int | None]:
    """Return up to `limit` + 1 events; and, if time ran out before, the position to continue from."""
    found: list[Event] = []
    size, is_first = FIRST_BATCH_POSITIONS, True
    while positions.left and len(found) <= limit:
        reached, started = positions.reached, time.monotonic()
        batch = events.filter(positions.take(size))[: limit + 1 - len(found)]
        if is_first:  # without a time limit, so that each search makes progress
            found += batch
        elif started >= deadline or not _extend(found, batch, deadline):
            return found, reached
        seconds, remaining = time.monotonic() - started, deadline - time.monotonic()
        # The next batch takes half of the remaining time, if it is as slow as this one.
        size = max(FIRST_BATCH_POSITIONS, min(GROWTH * size, int(size / seconds * remaining / 2)))
        is_first = False
    return found, None


def _extend(found: list[Event], batch: EventQuerySet, deadline: float) -> bool:
    """Add the events of `batch` to `found`; return whether the query ended before the deadline."""
    more: list[Event] | None = None
    with _cancelled_at(deadline, batch.db):
        more = list(batch)
    found += more or []
    return more is not None


@contextmanager
def _cancelled_at(deadline: float, using: str) -> Iterator[None]:
    """Cancel the block's statements at the deadline by `statement_timeout`; the block then ends without an error."""
    connection = connections[using]
    milliseconds = max(MIN_STATEMENT_MILLISECONDS, round((deadline - time.monotonic()) * 1000))
    try:
        with transaction.atomic(using), connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('statement_timeout'), set_config('statement_timeout', %s, true)",
                [str(milliseconds)],
            )
            (before, _) = cursor.fetchone()
            yield
            # An outer transaction may continue.
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [before])
    except OperationalError as error:
        if not isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise


def _have_few_events(aggregates: AggregateQuerySet) -> bool:
    # Each aggregate has at least one event, so the sum needs FEW_EVENTS + 1 aggregates at most.
    some = aggregates.order_by()[: FEW_EVENTS + 1]
    return (some.aggregate(events=Sum("version"))["events"] or 0) <= FEW_EVENTS


class _Positions(Protocol):
    """The positions to search, taken in batches."""

    @property
    def reached(self) -> int | None:
        """The position to continue from; None before the first batch."""

    @property
    def left(self) -> bool:
        """Whether positions are left."""

    def take(self, size: int) -> Q:
        """Take the next `size` positions; return the condition on their events."""


class _AllPositions:
    """All positions between two, both excluded."""

    def __init__(self, after: int, before: int, newest_first: bool) -> None:
        self._after, self._before, self._newest_first = after, before, newest_first

    @property
    def reached(self) -> int:
        return self._before if self._newest_first else self._after

    @property
    def left(self) -> bool:
        return self._before - self._after > 1

    def take(self, size: int) -> Q:
        after, before = self._after, self._before
        if self._newest_first:
            after = max(after, before - 1 - size)
            self._before = after + 1
        else:
            self._after = min(before - 1, after + size)
            before = self._after + 1
        return Q(position__gt=after, position__lt=before)


class _KnownPositions:
    """Given positions, in the given order."""

    def __init__(self, positions: Sequence[int]) -> None:
        self._positions = positions
        self.reached: Any = None

    @property
    def left(self) -> bool:
        return bool(self._positions)

    def take(self, size: int) -> Q:
        taken, self._positions = self._positions[:size], self._positions[size:]
        self.reached = taken[-1]
        return Q(position__in=taken)
