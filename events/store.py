"""The event store as its users see it."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from itertools import chain
from typing import Any, TypeVar, overload

from asgiref.sync import sync_to_async
from django.db import DEFAULT_DB_ALIAS, transaction

from . import subscriptions
from .models import Event, EventQuerySet
from .storage import ordering, reader, rows, standby, writer
from .subscriptions import Handler, Subscription
from .types import ANY, ExpectedVersion, NewEvent, Subscribed, expectations
from .validation import (
    ValidatedEvent,
    check_count,
    check_moment,
    check_name,
    check_names,
    check_number,
    validate_events,
)

__all__ = ["DispatchResult", "EventStore"]

AnyHandler = TypeVar("AnyHandler", bound=Handler)


class DispatchResult(list[Event]):
    """The events of a call of `dispatch`, as they are stored.

    Attributes:
        is_retry: whether an earlier call stored them, so that this one wrote nothing.
    """

    def __init__(self, events: Iterable[Event] = (), *, is_retry: bool = False) -> None:
        super().__init__(events)
        self.is_retry = is_retry


def append_and_send(rows: Sequence[ValidatedEvent], expected: Mapping[str, int], using: str) -> DispatchResult:
    """Store checked `rows` and hand them to the subscribers, as `EventStore.dispatch` says."""
    if not subscriptions.has_subscribers(rows):  # as most are not: the append is a statement of its own
        appended = writer.append(rows, expected, using)
    else:
        with subscriptions.nested_dispatch(), _transaction_if_needed(rows, using):
            appended = writer.append(rows, expected, using)
            if not appended.is_retry:
                subscriptions.send_on_commit(appended.events, using)
                subscriptions.send_in_transaction(appended.events, using)
    return DispatchResult(appended.events, is_retry=appended.is_retry)


def _transaction_if_needed(rows: Sequence[ValidatedEvent], using: str) -> Any:
    """A subscriber inside the transaction needs one to undo."""
    return transaction.atomic(using) if subscriptions.IN_TRANSACTION.has_subscribers(rows) else nullcontext()


class EventStore:
    """The events of one database, given by its alias. Cheap to make, holds nothing: make one where you need it."""

    def __init__(self, using: str = DEFAULT_DB_ALIAS, *, read_from: str | None = None) -> None:
        """
        Args:
            read_from: the alias of a physical standby of that database, from which `read_all` and `export` read events.
        """
        self.using = using
        self.read_from = read_from

    def dispatch(self, *events: NewEvent, expected_version: ExpectedVersion = ANY) -> DispatchResult:
        """Append `events`, all of them or none, and hand them to the subscribers; return them as stored.

        Repeating a call is safe, for ever: when all its event ids are stored, in this order, each in its aggregate, the
        stored events come back, nothing is written and no subscriber is called. Inside `transaction.atomic()` the
        events belong to that transaction and go with it.

        Args:
            events: of one aggregate or several. None at all: only the expectations are checked.
            expected_version: the version each aggregate must be at: a number (0: it must not exist), EXISTS or ANY;
                or a mapping from aggregate ids to those, which may name further aggregates.

        Raises:
            InvalidEvent: an event, or an expectation, cannot be stored as it is.
            VersionConflict: an aggregate is at another version.
            DuplicateEvent: an event id is in use already, and the call is not a retry.
            DispatchTooDeep: handlers dispatch inside handlers without end.
        """
        check_count("events", len(events))
        rows = validate_events(events)
        expected = self._expected(expected_version, rows)
        if not rows and not expected:
            return DispatchResult()
        return append_and_send(rows, expected, self.using)

    def get_events_for_aggregate(
        self,
        aggregate_id: str,
        *,
        after_version: int = 0,
        up_to_version: int | None = None,
        as_of: datetime | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> list[Event]:
        """Return the history of an aggregate by version; an empty list when it does not exist.

        Args:
            after_version, up_to_version: the versions to return; the first is excluded, the second included.
            as_of: leave out what was recorded after this moment (timezone-aware).
            reverse: newest first.
            limit: at most so many events, counted in the order asked for.

        Raises:
            InvalidEvent: an argument makes no sense: a negative limit, a moment without time zone.
        """
        check_name("aggregate_id", aggregate_id)
        check_moment("as_of", as_of)
        numbers = {"after_version": after_version, "up_to_version": up_to_version, "limit": limit}
        for name, number in numbers.items():
            check_number(name, number)
        query = reader.history(
            aggregate_id,
            after_version=after_version,
            up_to_version=up_to_version,
            as_of=as_of,
            reverse=reverse,
            limit=limit,
            using=self.using,
        )
        return rows.fetch_events(query)

    def read_all(
        self,
        *,
        after: int = 0,
        up_to: int | None = None,
        types: Collection[str] | None = None,
        categories: Collection[str] | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[Event]:
        """Return an iterator over the events of the whole store by position, up to the settled position as of now.

        To follow the store, call it again with `after` set to the last position seen: no event is ever missed,
        however its writers overlapped.

        Args:
            after, up_to: the positions to read; the first is excluded, the second included.
            types, categories: only events of these types, in these categories.
            reverse: newest first.
            limit: at most so many events.

        Raises:
            UnsafeRead: inside a transaction that is not READ COMMITTED, or on a standby.
            StandbyBehind: the standby to read from does not have yet what the primary has.
            InvalidEvent: an argument makes no sense: a negative limit, a string in place of a list.
        """
        return chain.from_iterable(self._pages(after, up_to, types, categories, reverse, limit))

    def export(
        self, *, after: int = 0, types: Collection[str] | None = None, categories: Collection[str] | None = None
    ) -> Iterator[bytes]:
        """Return an iterator over the events of the whole store as JSON Lines, by position, some hundred at a time.

        It covers what `read_all` does with the same arguments, and raises the same; only quicker, for files and pipes.
        """
        selected, settled = self._selection(types, categories, {"after": after})
        return reader.json_pages(selected, after=after, up_to=settled)

    def settled_position(self) -> int:
        """Return the position of the highest event below which no other can appear any more; 0 in an empty store.

        While an append is under way elsewhere it may come out lower than before; it is never too high.

        Raises:
            UnsafeRead: inside a transaction that is not READ COMMITTED, or on a standby.
        """
        return ordering.settled_position(self.using)

    @overload
    def subscribe(self, event_type: str | Subscribed, handler: Handler, *, on_commit: bool = False) -> Subscription: ...

    @overload
    def subscribe(
        self, event_type: str | Subscribed, *, on_commit: bool = False
    ) -> Callable[[AnyHandler], AnyHandler]: ...

    def subscribe(
        self, event_type: str | Subscribed, handler: Handler | None = None, *, on_commit: bool = False
    ) -> Any:
        """Have `handler(event=..., **kwargs)` called for each event of a type (or ALL) dispatched in this process.

        It runs inside the transaction, where an exception undoes the dispatch; or with `on_commit` after it, where one
        is logged. Subscribing twice delivers once. Subscriptions are those of the process, not of this object, and
        cover every database: `using=` tells which.

        Returns:
            A `Subscription`: call it, or use it in a `with`, to unsubscribe. Without `handler`: a decorator, which
            gives the function back as it is.

        Raises:
            InvalidEvent: `event_type` is no event type, or `handler` cannot be called.
        """
        if handler is not None:
            return subscriptions.subscribe(event_type, handler, on_commit=on_commit)

        def decorator(function: AnyHandler) -> AnyHandler:
            subscriptions.subscribe(event_type, function, on_commit=on_commit)
            return function

        return decorator

    def unsubscribe(self, event_type: str | Subscribed, handler: Handler) -> bool:
        """Disconnect `handler`; return False when it was not subscribed."""
        return subscriptions.unsubscribe(event_type, handler)

    async def adispatch(self, *events: NewEvent, expected_version: ExpectedVersion = ANY) -> DispatchResult:
        """Do `dispatch` from a coroutine."""
        return await sync_to_async(self.dispatch)(*events, expected_version=expected_version)

    async def aget_events_for_aggregate(self, aggregate_id: str, **options: Any) -> list[Event]:
        """Do `get_events_for_aggregate` from a coroutine."""
        return await sync_to_async(self.get_events_for_aggregate)(aggregate_id, **options)

    async def aread_all(
        self,
        *,
        after: int = 0,
        up_to: int | None = None,
        types: Collection[str] | None = None,
        categories: Collection[str] | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[Event]:
        """Do `read_all` from a coroutine; each page is fetched while other coroutines run."""
        pages = await sync_to_async(self._pages)(after, up_to, types, categories, reverse, limit)
        next_page = sync_to_async(lambda: next(pages, None))
        while page := await next_page():
            for event in page:
                yield event

    async def asettled_position(self) -> int:
        """Do `settled_position` from a coroutine."""
        return await sync_to_async(self.settled_position)()

    @staticmethod
    def _expected(expected_version: ExpectedVersion, rows: Sequence[ValidatedEvent]) -> Mapping[str, int]:
        if expected_version is ANY:  # as it mostly is
            return {}
        if isinstance(expected_version, Mapping):
            check_count("expected_version", len(expected_version))
        expected = expectations(expected_version, (row.aggregate_id for row in rows))
        for aggregate_id in expected:
            check_name("expected_version", aggregate_id)
        return expected

    def _pages(
        self,
        after: int,
        up_to: int | None,
        types: Collection[str] | None,
        categories: Collection[str] | None,
        reverse: bool,
        limit: int | None,
    ) -> Iterator[list[Event]]:
        selected, settled = self._selection(types, categories, {"after": after, "up_to": up_to, "limit": limit})
        up_to = settled if up_to is None else min(up_to, settled)
        return reader.pages(selected, after=after, up_to=up_to, reverse=reverse, limit=limit)

    def _selection(
        self, types: Collection[str] | None, categories: Collection[str] | None, numbers: Mapping[str, int | None]
    ) -> tuple[EventQuerySet, int]:
        """Return the query for some events and then, so that it is complete up to there, the settled position."""
        check_names("types", types)
        check_names("categories", categories)
        for name, number in numbers.items():
            check_number(name, number)
        settled = self.settled_position()
        if self.read_from is None:
            return reader.selection(types, categories, self.using), settled
        if settled > (numbers["after"] or 0):
            standby.wait_until_replayed(self.using, self.read_from)
        return reader.selection(types, categories, self.read_from), settled
