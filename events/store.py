"""The whole public interface of the event store, in one place."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from itertools import chain
from typing import Any, Concatenate, TypedDict, TypeVar, Unpack, overload

from asgiref.sync import sync_to_async
from django.db import transaction

from . import decoding, subscriptions
from .context import current_context
from .exceptions import DuplicateEvent
from .generics import A, B, C
from .models import Event, EventQuerySet
from .routing import database
from .storage import ordering, reader, standby, writer
from .subscriptions import Handler, Subscription
from .types import ANY, ExpectedVersion, NewEvent, Subscribed, expectations
from .validation import (
    ValidatedEvent,
    check_aggregate_id,
    check_count,
    check_moment,
    check_names,
    check_number,
    validate_events,
)

__all__ = ["DispatchResult", "EventStore"]

AnyHandler = TypeVar("AnyHandler", bound=Handler)
Result = TypeVar("Result")

# A selection of event types: names and payload classes, or one class.
Types = Collection[str | type[Any]] | type[Any] | None


class Reading(TypedDict, total=False):
    """The arguments of `read_all` besides the types, of which the types of the payloads follow."""

    after: int
    up_to: int | None
    categories: Collection[str] | None
    reverse: bool
    limit: int | None


class DispatchResult(list[Event]):
    """The stored events of one call of `dispatch`.

    Attributes:
        is_retry: whether an earlier call stored them; then this call wrote nothing.
    """

    def __init__(self, events: Iterable[Event] = (), *, is_retry: bool = False) -> None:
        super().__init__(events)
        self.is_retry = is_retry


def append_and_send(
    rows: Sequence[ValidatedEvent], expected: Mapping[str, int], using: str, *, call_subscribers: bool = True
) -> DispatchResult:
    """Store validated `rows` and call the participants and the subscribers; see `EventStore.dispatch`."""
    participants = subscriptions.PARTICIPANTS.has_subscribers(rows, using)
    if not participants and not (call_subscribers and subscriptions.has_subscribers(rows, using)):
        appended = writer.append(rows, expected, using)  # the usual case needs no transaction around the append
        return DispatchResult(appended.events, is_retry=appended.is_retry)
    # A participant and a subscriber inside the transaction roll the append back with their error.
    inside = participants or (call_subscribers and subscriptions.IN_TRANSACTION.has_subscribers(rows, using))
    with subscriptions.nested_dispatch(), transaction.atomic(using) if inside else nullcontext():
        appended = writer.append(rows, expected, using)
        if not appended.is_retry:
            _send(appended.events, using, call_subscribers=call_subscribers)
    return DispatchResult(appended.events, is_retry=appended.is_retry)


def store_and_send(rows: Sequence[ValidatedEvent], using: str) -> None:
    """Store validated `rows` as `append_and_send` does, for a caller that needs none of the events."""
    is_stored = not _needs_events(rows, using) and writer.append_unread(rows, using) is writer.AppendOutcome.APPENDED
    if not is_stored:  # where ids are in use already, the complete append compares the events
        append_and_send(rows, {}, using)


def store_rows(rows: Sequence[ValidatedEvent], using: str, *, call_subscribers: bool) -> None:
    """Store the validated `rows` of an import, and call the participants; also the subscribers, if asked to.

    Raises:
        DuplicateEvent: one of the event ids is stored already, or all of them are. Nothing was written.
    """
    if _needs_events(rows, using, call_subscribers=call_subscribers):
        is_retry = append_and_send(rows, {}, using, call_subscribers=call_subscribers).is_retry
    else:
        is_retry = writer.append_unread(rows, using) is not writer.AppendOutcome.APPENDED
    if is_retry:
        raise DuplicateEvent(None, None, "event ids of this call are already in use; no other events are stored")


def _needs_events(rows: Sequence[ValidatedEvent], using: str, *, call_subscribers: bool = True) -> bool:
    """Return whether anybody is called with one of the stored events."""
    return subscriptions.PARTICIPANTS.has_subscribers(rows, using) or (
        call_subscribers and subscriptions.has_subscribers(rows, using)
    )


def _send(events: Sequence[Event], using: str, *, call_subscribers: bool) -> None:
    subscriptions.send_to_participants(events, using)
    if call_subscribers:
        subscriptions.send_on_commit(events, using)
        subscriptions.send_in_transaction(events, using)


class EventStore:
    """The events of the database with the alias `using`. An instance has no state: create one wherever you need it."""

    def __init__(self, using: str | None = None, *, read_from: str | None = None) -> None:
        """
        Args:
            using: None stands for the database that the routers name for the model `Event`, each time they are asked.
            read_from: the alias of a physical standby of that database; `read_all` and `export` read events from it.
        """
        self._using = using
        self.read_from = read_from

    @property
    def using(self) -> str:
        """The alias of the database."""
        return self._using or database()

    def dispatch(self, *events: NewEvent, expected_version: ExpectedVersion = ANY) -> DispatchResult:
        """Append `events`, all of them or none, call the subscribers, and return the stored events.

        Repeating a call is always safe. If all its event ids are stored, in this order and each in its aggregate, the
        call returns the stored events, writes nothing and calls no subscriber. Inside `transaction.atomic()` the
        events belong to that transaction and are rolled back with it.

        Args:
            events: of one aggregate or several. Without events, only the expectations are checked.
            expected_version: the version each aggregate must be at: a number (0: it must not exist), EXISTS or ANY;
                or a mapping from aggregate ids to expectations, which may name further aggregates.

        Raises:
            InvalidEvent: an event or an expectation is not valid.
            VersionConflict: an aggregate is at another version.
            DuplicateEvent: an event id is already in use, and the call is not a retry.
            DispatchTooDeep: handlers dispatch inside handlers without end.
        """
        check_count("events", len(events))
        rows = validate_events(events, current_context())
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
        """Return the history of an aggregate by version; an empty list if the aggregate does not exist.

        Args:
            after_version, up_to_version: the versions to return; the first is excluded, the second included.
            as_of: leave out events that were recorded after this moment (timezone-aware).
            reverse: newest first.
            limit: the largest number of events to return, counted in the order of the result.

        Raises:
            UnreadableEvent: Python cannot represent an event, which SQL or an older version stored.
            InvalidEvent: an argument is not valid, such as a negative limit or a moment without a time zone.
        """
        check_aggregate_id("aggregate_id", aggregate_id)
        check_moment("as_of", as_of)
        check_number("after_version", after_version)
        check_number("up_to_version", up_to_version)
        check_number("limit", limit)
        return reader.fetch_history(
            aggregate_id,
            after_version=after_version,
            up_to_version=up_to_version,
            as_of=as_of,
            reverse=reverse,
            limit=limit,
            using=self.using,
        )

    @overload
    def read_all(self, *, types: tuple[type[A], type[B]], **arguments: Unpack[Reading]) -> Iterator[Event[A | B]]: ...

    @overload
    def read_all(
        self, *, types: tuple[type[A], type[B], type[C]], **arguments: Unpack[Reading]
    ) -> Iterator[Event[A | B | C]]: ...

    @overload
    def read_all(self, *, types: type[A], **arguments: Unpack[Reading]) -> Iterator[Event[A]]: ...

    @overload
    def read_all(self, *, types: Collection[type[A]], **arguments: Unpack[Reading]) -> Iterator[Event[A]]: ...

    @overload
    def read_all(self, *, types: Types = None, **arguments: Unpack[Reading]) -> Iterator[Event]: ...

    def read_all(
        self,
        *,
        after: int = 0,
        up_to: int | None = None,
        types: Types = None,
        categories: Collection[str] | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[Event]:
        """Return an iterator over the events of the whole store by position, up to the current settled position.

        To follow the store, call this method again with `after` set to the last position seen. No event is missed,
        however the transactions of its writers overlapped.

        Args:
            after, up_to: the positions to read; the first is excluded, the second included.
            types, categories: only events of these types, in these categories. A type is a name or a payload class; one
                class may stand alone.
            reverse: newest first.
            limit: the largest number of events to return.

        Raises:
            UnsafeRead: the transaction is not READ COMMITTED, or `using` is a standby.
            StandbyBehind: the standby `read_from` did not catch up with the primary in time.
            UnreadableEvent: Python cannot represent an event, which SQL or an older version stored. The iterator has
                returned the events before it; to go on behind it, read again with `after` set to its position.
            InvalidEvent: an argument is not valid, such as a negative limit or a string in place of a list.
        """
        return chain.from_iterable(self._pages(after, up_to, types, categories, reverse, limit))

    def export(
        self, *, after: int = 0, types: Types = None, categories: Collection[str] | None = None
    ) -> Iterator[bytes]:
        """Return an iterator over the events of the whole store as JSON Lines, by position, hundreds at a time.

        It returns the same events as `read_all` and raises the same errors, but is faster: use it for files and pipes.
        """
        selected, settled = self._selection(types, categories, {"after": after})
        return reader.json_pages(selected, after=after, up_to=settled)

    def settled_position(self) -> int:
        """Return the position of the highest event below which no event can appear any longer; 0 in an empty store.

        While another transaction appends, the position may be lower than in an earlier call; it is never too high.

        Raises:
            UnsafeRead: the transaction is not READ COMMITTED, or `using` is a standby.
        """
        return ordering.settled_position(self.using)

    @overload
    def subscribe(
        self, event_type: type[A], handler: Callable[Concatenate[Event[A], ...], Any], *, on_commit: bool = False
    ) -> Subscription: ...

    @overload
    def subscribe(self, event_type: str | Subscribed, handler: Handler, *, on_commit: bool = False) -> Subscription: ...

    @overload
    def subscribe(
        self, event_type: type[A], *, on_commit: bool = False
    ) -> Callable[
        [Callable[Concatenate[Event[A], ...], Result]],
        Callable[Concatenate[Event[A], ...], Result],
    ]: ...

    @overload
    def subscribe(
        self, event_type: str | Subscribed, *, on_commit: bool = False
    ) -> Callable[[AnyHandler], AnyHandler]: ...

    def subscribe(
        self, event_type: str | type[Any] | Subscribed, handler: Handler | None = None, *, on_commit: bool = False
    ) -> Any:
        """Call `handler(event=..., **kwargs)` for each event of a type (or ALL) that this process dispatches there.

        The handler runs inside the transaction, and its exception rolls the dispatch back. With `on_commit` it runs
        after the commit, and its exception is logged. Subscribing a handler twice has no further effect. A subscription
        belongs to the process, and to the database that `using` names now, not to this object. For the events of every
        database, connect the signals in `events.signals`.

        Returns:
            A `Subscription`: call it, or leave its `with` block, to unsubscribe. Without `handler`: a decorator that
            returns the function unchanged.

        Args:
            event_type: a name, or a payload class; its events under earlier names belong to it.

        Raises:
            InvalidEvent: `event_type` is not an event type, or `handler` does not accept `(event, **kwargs)`.
            ConnectionDoesNotExist: there is no database with this alias.
        """
        if handler is not None:
            return subscriptions.subscribe(self.using, event_type, handler, on_commit=on_commit)

        def decorator(function: AnyHandler) -> AnyHandler:
            subscriptions.subscribe(self.using, event_type, function, on_commit=on_commit)
            return function

        return decorator

    def unsubscribe(self, event_type: str | type[Any] | Subscribed, handler: Handler) -> bool:
        """Unsubscribe `handler` from events of this database; return whether it was subscribed."""
        return subscriptions.unsubscribe(self.using, event_type, handler)

    async def adispatch(self, *events: NewEvent, expected_version: ExpectedVersion = ANY) -> DispatchResult:
        """Run `dispatch` from a coroutine."""
        return await sync_to_async(self.dispatch)(*events, expected_version=expected_version)

    async def aget_events_for_aggregate(
        self,
        aggregate_id: str,
        *,
        after_version: int = 0,
        up_to_version: int | None = None,
        as_of: datetime | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> list[Event]:
        """Run `get_events_for_aggregate` from a coroutine."""
        return await sync_to_async(self.get_events_for_aggregate)(
            aggregate_id,
            after_version=after_version,
            up_to_version=up_to_version,
            as_of=as_of,
            reverse=reverse,
            limit=limit,
        )

    @overload
    def aread_all(
        self, *, types: tuple[type[A], type[B]], **arguments: Unpack[Reading]
    ) -> AsyncIterator[Event[A | B]]: ...

    @overload
    def aread_all(
        self, *, types: tuple[type[A], type[B], type[C]], **arguments: Unpack[Reading]
    ) -> AsyncIterator[Event[A | B | C]]: ...

    @overload
    def aread_all(self, *, types: type[A], **arguments: Unpack[Reading]) -> AsyncIterator[Event[A]]: ...

    @overload
    def aread_all(self, *, types: Collection[type[A]], **arguments: Unpack[Reading]) -> AsyncIterator[Event[A]]: ...

    @overload
    def aread_all(self, *, types: Types = None, **arguments: Unpack[Reading]) -> AsyncIterator[Event]: ...

    async def aread_all(
        self,
        *,
        after: int = 0,
        up_to: int | None = None,
        types: Types = None,
        categories: Collection[str] | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[Event]:
        """Run `read_all` from a coroutine; other coroutines run while a page is fetched."""
        pages = await sync_to_async(self._pages)(after, up_to, types, categories, reverse, limit)
        next_page = sync_to_async(lambda: next(pages, None))
        while page := await next_page():
            # Emptied from its beginning, so that its events are gone when the next page is read.
            page.reverse()
            while page:
                yield page.pop()

    async def asettled_position(self) -> int:
        """Run `settled_position` from a coroutine."""
        return await sync_to_async(self.settled_position)()

    @staticmethod
    def _expected(expected_version: ExpectedVersion, rows: Sequence[ValidatedEvent]) -> Mapping[str, int]:
        if expected_version is ANY:
            return {}
        if isinstance(expected_version, Mapping):
            check_count("expected_version", len(expected_version))
        expected = expectations(expected_version, (row.aggregate_id for row in rows))
        for aggregate_id in expected:
            check_aggregate_id("expected_version", aggregate_id)
        return expected

    def _pages(
        self,
        after: int,
        up_to: int | None,
        types: Types,
        categories: Collection[str] | None,
        reverse: bool,
        limit: int | None,
    ) -> Iterator[list[Event]]:
        selected, settled = self._selection(types, categories, {"after": after, "up_to": up_to, "limit": limit})
        up_to = settled if up_to is None else min(up_to, settled)
        return reader.pages(selected, after=after, up_to=up_to, reverse=reverse, limit=limit)

    def _selection(
        self, types: Types, categories: Collection[str] | None, numbers: Mapping[str, int | None]
    ) -> tuple[EventQuerySet, int]:
        """Return a query for events, and the settled position up to which its result is complete."""
        names = decoding.newest_names(types)
        check_names("types", names)
        check_names("categories", categories)
        for name, number in numbers.items():
            check_number(name, number)
        settled = self.settled_position()
        if self.read_from is None:
            return reader.selection(names, categories, self.using), settled
        if settled > (numbers["after"] or 0):
            standby.wait_until_replayed(self.using, self.read_from)
        return reader.selection(names, categories, self.read_from), settled
