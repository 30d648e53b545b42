"""Changes of several aggregates in one transaction."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any, TypeVar, overload

from asgiref.sync import sync_to_async

from events.exceptions import InvalidEvent
from events.store import EventStore

from .aggregates import Aggregate
from .appending import append_recorded
from .repository import Reference

A = TypeVar("A", bound=Aggregate)
B = TypeVar("B", bound=Aggregate)
C = TypeVar("C", bound=Aggregate)


@overload
def change_together(first: Reference[A], second: Reference[B], /) -> AbstractContextManager[tuple[A, B]]: ...
@overload
def change_together(
    first: Reference[A], second: Reference[B], third: Reference[C], /
) -> AbstractContextManager[tuple[A, B, C]]: ...
@overload
def change_together(*references: Reference[Any]) -> AbstractContextManager[tuple[Any, ...]]: ...
def change_together(*references: Reference[Any]) -> AbstractContextManager[Any]:
    """Load several aggregates for a `with` block, and append in one transaction what the block has recorded.

    with change_together(orders["17"], wallets["ann"]) as (order, wallet): ...

    Nothing is appended if the block raises an error, or if another call has appended to any of the aggregates in the
    meantime, also to one that the block has only read.

    Raises:
        InvalidEvent: the aggregates are in different databases, or one is given twice.
        AggregateNotFound: an aggregate has no events, and the block records some without a method with `@creates`.
        VersionConflict: another call has appended to one of the aggregates. A block cannot run again.
    """
    return _change_together(references, _store_of(references))


@overload
def achange_together(first: Reference[A], second: Reference[B], /) -> AbstractAsyncContextManager[tuple[A, B]]: ...
@overload
def achange_together(
    first: Reference[A], second: Reference[B], third: Reference[C], /
) -> AbstractAsyncContextManager[tuple[A, B, C]]: ...
@overload
def achange_together(*references: Reference[Any]) -> AbstractAsyncContextManager[tuple[Any, ...]]: ...
def achange_together(*references: Reference[Any]) -> AbstractAsyncContextManager[Any]:
    """Do what `change_together` does, in an `async with` block."""
    return _achange_together(references, _store_of(references))


@contextmanager
def _change_together(references: Sequence[Reference[Any]], store: EventStore) -> Iterator[tuple[Any, ...]]:
    aggregates = _load(references)
    yield aggregates
    append_recorded(aggregates, store)


@asynccontextmanager
async def _achange_together(references: Sequence[Reference[Any]], store: EventStore) -> AsyncIterator[tuple[Any, ...]]:
    aggregates = await sync_to_async(_load)(references)
    yield aggregates
    await sync_to_async(append_recorded)(aggregates, store)


def _load(references: Sequence[Reference[Any]]) -> tuple[Any, ...]:
    return tuple(each.load() for each in references)


def _store_of(references: Sequence[Reference[Any]]) -> EventStore:
    """Return the store of all the aggregates."""
    if not references:
        raise InvalidEvent("references", "are missing; give aggregates, such as orders['17']")
    first, *others = (each.repository.store for each in references)
    for other in others:
        if other.using != first.using:
            raise InvalidEvent(
                "references",
                f"are in the databases {first.using!r} and {other.using!r}; one transaction changes one database",
            )
    ids = [each.aggregate_id for each in references]
    for aggregate_id in ids:
        if ids.count(aggregate_id) > 1:
            raise InvalidEvent("references", f"name {aggregate_id!r} twice; give each aggregate once")
    return first
