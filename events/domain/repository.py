"""Repositories: aggregates are loaded from their events, run a command, and append what it has recorded."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from functools import partial
from inspect import iscoroutine, isgenerator
from typing import Concatenate, Generic, NamedTuple, ParamSpec, TypeVar
from uuid import UUID

from asgiref.sync import sync_to_async

from events import models
from events.exceptions import AggregateNotFound, InvalidEvent, VersionConflict
from events.store import EventStore
from events.validation import check_aggregate_id, check_number

from . import aggregates
from .aggregates import Aggregate
from .appending import Prepare, append_recorded, sees_other_commits
from .differences import Difference, differences
from .snapshots import keep, snapshots_of
from .states import codec_of_states

A = TypeVar("A", bound=Aggregate)
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

Id = str | int | UUID

# So many events are in memory at once while an aggregate is loaded.
_PAGE = 1000


class Reference(Generic[A]):
    """An aggregate by its repository and its id, such as `orders["17"]`, for `change_together`."""

    def __init__(self, repository: "Repository[A]", aggregate_id: str) -> None:
        self.repository = repository
        self.aggregate_id = aggregate_id

    def load(self) -> A:
        """Return the aggregate; without events, in its state before the first one."""
        return self.repository.load_to_change(self.aggregate_id)


class Handled(NamedTuple, Generic[Result]):
    """What a command has returned, the version of its aggregate after it, and the events that it has stored."""

    result: Result
    version: int
    events: Sequence[models.Event]


class Repository(Generic[A]):
    """The aggregates of one class in the database with the alias `using`.

    An instance has no state of its own: create one wherever you need it. Wherever an id is taken, "17", 17 and
    "order-17" mean the same aggregate of the category "order".
    """

    def __init__(
        self,
        aggregate_class: type[A],
        *,
        using: str | None = None,
        retries: int = 5,
        snapshot_every: int | None = None,
    ) -> None:
        """
        Args:
            using: None stands for the database that the routers name.
            retries: how often `handle` runs a command again after a VersionConflict, from 0 up.
            snapshot_every: store a snapshot of the state when a command had to apply so many events, from 1 up. None:
                neither store nor read snapshots.

        Raises:
            InvalidEvent: an argument is not valid, or a field of the state has no form in JSON for snapshots.
            TypeError: `aggregate_class` is not an aggregate class with a category.
        """
        if type(retries) is not int or retries < 0:
            raise InvalidEvent("retries", f"is {retries!r}; give a whole number from 0 up")
        if snapshot_every is not None and (type(snapshot_every) is not int or snapshot_every < 1):
            raise InvalidEvent("snapshot_every", f"is {snapshot_every!r}; give a whole number from 1 up, or None")
        if not isinstance(aggregate_class, type) or not issubclass(aggregate_class, Aggregate):
            raise TypeError(f"{aggregate_class!r} is not an aggregate class; derive it from Aggregate")
        if not hasattr(aggregate_class, "category"):
            raise TypeError(f"{aggregate_class.__qualname__} is abstract; give a class with a category")
        self.aggregate_class = aggregate_class
        self.store = EventStore(using)
        self.retries = retries
        self.snapshot_every = snapshot_every
        if snapshot_every:
            with suppress(NameError):  # the class of a field is defined later
                codec_of_states(aggregate_class)

    def __repr__(self) -> str:
        return f"<repository of {self.aggregate_class.__qualname__}>"

    def __getitem__(self, id: Id) -> Reference[A]:  # noqa: A002
        return Reference(self, self.aggregate_id(id))

    def aggregate_id(self, id: Id) -> str:  # noqa: A002
        """Return the whole aggregate id of an id with or without the category.

        Raises:
            InvalidEvent: the id is empty, of another category, or neither text nor a whole number nor a UUID.
        """
        if type(id) is int or isinstance(id, UUID):
            id = str(id)  # noqa: A001
        if not isinstance(id, str) or not id:
            raise InvalidEvent("id", f"is {id!r}; give a text, a whole number or a UUID")
        category = self.aggregate_class.category
        begin, dash, rest = id.partition("-")
        if begin == category and dash:
            if rest:
                return id
            raise InvalidEvent("id", f"is {id!r}, with nothing behind the category")
        if dash and any(begin == each.category for each in aggregates.defined()):
            raise InvalidEvent("id", f"{id!r} is of the category {begin!r}; this is a repository of {category!r}")
        return f"{category}-{id}"

    def get(self, id: Id, *, up_to_version: int | None = None, as_of: datetime | None = None) -> A:  # noqa: A002
        """Return an aggregate as it is now, or as it was.

        Args:
            up_to_version: apply the events up to this version.
            as_of: apply the events that were stored up to this moment (timezone-aware).

        Raises:
            AggregateNotFound: the aggregate has no events, or had none then.
            UnreadableEvent: the code cannot read one of its events.
            InvalidEvent: an argument is not valid.
        """
        aggregate = self.load(self.aggregate_id(id), up_to_version, as_of)
        if not aggregate.version:
            raise AggregateNotFound(aggregate.aggregate_id)
        return aggregate

    def exists(self, id: Id) -> bool:  # noqa: A002
        """Return whether an aggregate has events."""
        return models.Aggregate.objects.using(self.store.using).filter(aggregate_id=self.aggregate_id(id)).exists()

    def ids(self) -> Iterator[str]:
        """Return an iterator over the ids of all aggregates of the class, without the category, in their order."""
        prefix = f"{self.aggregate_class.category}-"
        found = models.Aggregate.objects.using(self.store.using).in_category(self.aggregate_class.category)
        whole_ids = found.filter(aggregate_id__startswith=prefix).order_by("aggregate_id")
        for aggregate_id in whole_ids.values_list("aggregate_id", flat=True).iterator():
            yield aggregate_id.removeprefix(prefix)

    def diff(self, id: Id, from_version: int, to_version: int) -> list[Difference]:  # noqa: A002
        """Return what changed in the state between two versions; version 0 is the state before the first event.

        Raises:
            AggregateNotFound: the aggregate has no events.
            UnreadableEvent: the code cannot read one of its events.
            InvalidEvent: an argument is not valid.
        """
        aggregate_id = self.aggregate_id(id)
        before, after = (self.load(aggregate_id, version, None) for version in (from_version, to_version))
        if not (before.version or after.version) and not self.exists(aggregate_id):
            raise AggregateNotFound(aggregate_id)
        return differences(aggregates.state_of(before), aggregates.state_of(after))

    def handle(
        self,
        id: Id,  # noqa: A002
        command: Callable[Concatenate[A, Arguments], Result],
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result:
        """Load an aggregate, run a command on it, append the recorded events, and return what the command returned.

        When another call has appended to the aggregate in between, the command runs again on the new state, so it
        should do nothing but decide. Nothing is appended if it raises an error or records nothing.

        Args:
            command: a method of the aggregate class, or a function that takes the aggregate first.

        Raises:
            AggregateNotFound: the aggregate has no events, and the command is not marked with `@creates`.
            VersionConflict: the aggregate changed each time, or the transaction cannot see the change.
            UnreadableEvent: the code cannot read one of its events.
            InvalidEvent: an argument is not valid, or a recorded event is not.
        """
        return self.run(id, lambda aggregate: command(aggregate, *args, **kwargs), command).result

    def run(
        self,
        id: Id,  # noqa: A002
        call: Callable[[A], Result],
        command: object,
        *,
        prepare: Prepare | None = None,
    ) -> "Handled[Result]":
        """Do what `handle` does, and return the stored events too.

        Args:
            call: runs the command on an aggregate.
            command: the command, which may be marked with `@creates`.
            prepare: returns the recorded events with ids or metadata of its own, before they are appended.
        """
        aggregate_id = self.aggregate_id(id)
        for left in range(self.retries, -1, -1):
            aggregate = self.load_to_change(aggregate_id)
            aggregates.check_exists(aggregate, command)
            result = call(aggregate)
            if iscoroutine(result) or isgenerator(result):
                result.close()  # it has done nothing yet
                raise TypeError(f"{command!r} is a coroutine function or a generator; write a plain function")
            try:
                events = append_recorded([aggregate], self.store, prepare)
            except VersionConflict:
                if not left or not sees_other_commits(self.store.using):
                    raise
            else:
                return Handled(result, aggregate.version, events)
        raise AssertionError("unreachable")

    @contextmanager
    def change(self, id: Id) -> Iterator[A]:  # noqa: A002
        """Load an aggregate for a `with` block, and append what the block has recorded; nothing if it raises an error.

        A block cannot run again, so a conflict is an error: prefer `handle`.

        Raises:
            AggregateNotFound: the aggregate has no events, and the block records some without a method with `@creates`.
            VersionConflict: another call has appended to the aggregate in the meantime.
        """
        aggregate = self.load_to_change(self.aggregate_id(id))
        yield aggregate
        append_recorded([aggregate], self.store)

    async def aget(self, id: Id, *, up_to_version: int | None = None, as_of: datetime | None = None) -> A:  # noqa: A002
        """Run `get` from a coroutine."""
        return await sync_to_async(self.get)(id, up_to_version=up_to_version, as_of=as_of)

    async def aexists(self, id: Id) -> bool:  # noqa: A002
        """Run `exists` from a coroutine."""
        return await sync_to_async(self.exists)(id)

    async def aids(self) -> AsyncIterator[str]:
        """Run `ids` from a coroutine; other coroutines run while ids are fetched."""
        ids = self.ids()
        next_ids = sync_to_async(lambda: [id for id, _ in zip(ids, range(_PAGE), strict=False)])  # noqa: A001
        while page := await next_ids():
            for id in page:  # noqa: A001
                yield id

    async def adiff(self, id: Id, from_version: int, to_version: int) -> list[Difference]:  # noqa: A002
        """Run `diff` from a coroutine."""
        return await sync_to_async(self.diff)(id, from_version, to_version)

    async def ahandle(
        self,
        id: Id,  # noqa: A002
        command: Callable[Concatenate[A, Arguments], Result],
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result:
        """Run `handle` from a coroutine."""
        return await sync_to_async(self.handle)(id, command, *args, **kwargs)

    @asynccontextmanager
    async def achange(self, id: Id) -> AsyncIterator[A]:  # noqa: A002
        """Do what `change` does, in an `async with` block."""
        aggregate = await sync_to_async(self.load_to_change)(self.aggregate_id(id))
        yield aggregate
        await sync_to_async(append_recorded)([aggregate], self.store)

    def load(self, aggregate_id: str, up_to_version: int | None = None, as_of: datetime | None = None) -> A:
        """Return an aggregate by its whole id as `get` does; without events, in its state before the first one."""
        check_aggregate_id("aggregate_id", aggregate_id)
        check_number("up_to_version", up_to_version)
        aggregate, _ = self._fold(self._begin(aggregate_id, up_to_version, as_of), up_to_version, as_of)
        return aggregate

    def load_to_change(self, aggregate_id: str) -> A:
        """Return an aggregate as `load` does, for a command; a snapshot is stored after it, if one is due."""
        check_aggregate_id("aggregate_id", aggregate_id)
        aggregate = self._begin(aggregate_id, None, None)
        begin = aggregate.version
        aggregate, last = self._fold(aggregate)
        if self.snapshot_every and last and aggregate.version - begin >= self.snapshot_every:
            # The state is read now: it follows from stored events only until the command runs.
            taken = snapshots_of(self.aggregate_class).take(aggregate, last.event_id)
            aggregate._work.afterwards = taken and partial(keep, taken, self.store.using)
        return aggregate

    def _begin(self, aggregate_id: str, up_to_version: int | None, as_of: datetime | None) -> A:
        """Return an aggregate with the state of its snapshot, or before its first event."""
        # The events up to a moment may have gaps, if a clock was set back.
        if self.snapshot_every and as_of is None:
            found = snapshots_of(self.aggregate_class).find(aggregate_id, up_to_version, self.store.using)
            if found is not None:
                return found
        return self.aggregate_class.blank(aggregate_id)

    def _fold(
        self, aggregate: A, up_to_version: int | None = None, as_of: datetime | None = None
    ) -> tuple[A, models.Event | None]:
        """Apply the stored events after the version of an aggregate; return it, and the last of these events."""
        last = None
        while True:
            events = self.store.get_events_for_aggregate(
                aggregate.aggregate_id,
                after_version=aggregate.version,
                up_to_version=up_to_version,
                as_of=as_of,
                limit=_PAGE,
            )
            for event in events:
                aggregate.follow(event)
                last = event
            if len(events) < _PAGE:
                return aggregate, last
