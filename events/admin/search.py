"""Finding the events next to a position that match, in bounded time however many there are."""

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

# Of aggregates with so many events together, all are looked up; of more, the store is searched from one end on.
FEW_EVENTS = 10_000
# How long a search goes on before it comes back with what it has. Its statements are cut to size for that: the first
# one is small, because an event may be.
SEARCH_SECONDS = 0.15
MIN_STATEMENT_MILLISECONDS = 10
FIRST_STRETCH = 64
GROWTH = 4


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """What a search has come back with.

    Attributes:
        events: those that match, newest first.
        next: the position to go on from, in the same direction; None: there is nothing more.
        is_cut: whether time was up: all between the beginning and `next` was looked at, and there may be more beyond.
    """

    events: Sequence[Event]
    next: int | None
    is_cut: bool


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
    """Return the first matching events between two positions, from the upper one down, or from the lower one up.

    PostgreSQL would plan a single query for the average, and read the whole store where what is rare lies at the far
    end of it. Here a category's or an aggregate's events are looked up when they are few, and else the store is
    searched stretch by stretch, until time is up.

    Args:
        events: the query for the events, unordered.
        aggregates: those that all of them belong to, if that is known: what `events` is narrowed to, said of them.
        text: only events whose data, as JSON text, holds this, in capital or small letters as far as the database knows
            which belong together.
        after, before: the positions, both excluded. `before` None: to the newest.
        newest_first: begin at `before`; False: begin at `after`.
        limit: at most so many.
    """
    deadline = time.monotonic() + SEARCH_SECONDS
    if before is None:
        before = newest_position(events.db) + 1
    stretches: _Stretches = _Range(after, before, newest_first)
    if aggregates is not None:
        among = events.filter(position__gt=after, position__lt=before)
        with _cancelled_at(deadline, events.db):
            if _are_few(aggregates):
                positions = among.order_by().values_list("position", flat=True)
                stretches = _Listed(sorted(positions, reverse=newest_first))
    if text:
        events = events.annotate(data_text=Cast("data", TextField())).filter(data_text__icontains=text)
    found, reached = _search(events.order_by("-position" if newest_first else "position"), stretches, limit, deadline)
    is_cut = reached is not None
    if len(found) > limit:
        found = found[:limit]
        reached = found[-1].position
    return SearchResult(events=found if newest_first else found[::-1], next=reached, is_cut=is_cut)


def _search(
    events: EventQuerySet, stretches: "_Stretches", limit: int, deadline: float
) -> tuple[list[Event], int | None]:
    """Return up to one more event than the limit; and, where time was up before, the position to go on from."""
    found: list[Event] = []
    size, is_first = FIRST_STRETCH, True
    while stretches.left and len(found) <= limit:
        reached, started = stretches.reached, time.monotonic()
        wanted = events.filter(stretches.take(size))[: limit + 1 - len(found)]
        if is_first:  # and small: however long it takes, or a search would never get on
            found += wanted
        elif started >= deadline or not _extend(found, wanted, deadline):
            return found, reached
        seconds, remaining = time.monotonic() - started, deadline - time.monotonic()
        # The next one shall take half of what is left, should it be as slow as this one.
        size = max(FIRST_STRETCH, min(GROWTH * size, int(size / seconds * remaining / 2)))
        is_first = False
    return found, None


def _extend(found: list[Event], wanted: EventQuerySet, deadline: float) -> bool:
    """Add the events that are wanted; False: that was not done in time. What is not in memory yet may take for ever."""
    more: list[Event] | None = None
    with _cancelled_at(deadline, wanted.db):
        more = list(wanted)
    found += more or []
    return more is not None


@contextmanager
def _cancelled_at(deadline: float, using: str) -> Iterator[None]:
    """Have PostgreSQL cancel what is done in the block when the time has come, which then ends there."""
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
            # The transaction may be a larger one, and goes on.
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [before])
    except OperationalError as error:
        if not isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise


def _are_few(aggregates: AggregateQuerySet) -> bool:
    # An aggregate has an event at least: of more aggregates than FEW_EVENTS nothing need be added up.
    some = aggregates.order_by()[: FEW_EVENTS + 1]
    return (some.aggregate(events=Sum("version"))["events"] or 0) <= FEW_EVENTS


class _Stretches(Protocol):
    """What is to be searched, piece by piece."""

    @property
    def reached(self) -> int | None:
        """Return the position to go on from; None: nothing was taken."""

    @property
    def left(self) -> bool:
        """Return whether anything is left to be taken."""

    def take(self, size: int) -> Q:
        """Take the next piece, of `size` positions, and return what its events are found by."""


class _Range:
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


class _Listed:
    """Some positions, in the order given."""

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
