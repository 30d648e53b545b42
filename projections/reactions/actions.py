"""What the handlers of a reaction may do: each action commits with the checkpoint of the pass, or not at all."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from django.db import transaction

from events.conf import conf
from events.context import caused_by, current_context
from events.models import Event
from events.routing import database
from events.store import store_and_send
from events.types import NewEvent
from events.validation import ValidatedEvent, check_count, validate_events
from projections.engine.handling import on_commit_allowed
from projections.exceptions import PassTooLong, Unavailable

from .keys import Keys
from .scheduling import PendingTimers, check_key, timer_for

if TYPE_CHECKING:
    from events.domain import Aggregate, Repository

    A = TypeVar("A", bound=Aggregate)
Arguments = ParamSpec("Arguments")

# The key of the metadata that names the reaction which has caused an event.
REACTION = "reaction"
# A pass that appends before its end holds back all readers of the store until it commits.
MAX_EVENTS_BESIDE_COMMANDS = 50


class Actions:
    """The actions of one pass of a reaction.

    Events that handlers cause inherit the correlation id of the handled event, and have its id as their causation id.
    """

    def __init__(self, reaction: str) -> None:
        self._reaction = reaction
        self._keys = Keys(reaction)
        self._source: Event | None = None
        self._counted: dict[tuple[str, ...], int] = {}  # the events and calls of the handled event
        self._collected: list[tuple[int, ValidatedEvent]] = []  # each with the position of its source
        self._timers = PendingTimers(reaction)
        self._is_long = False
        self.has_run_commands = False

    @property
    def idempotency_key(self) -> str:
        """The idempotency key of the handled event: a UUID as text, the same at each attempt, and after a crash.

        Raises:
            RuntimeError: a `project_batch` asks for it; see `idempotency_key_of`.
        """
        return self.idempotency_key_of(self._handled("idempotency_key"))

    def idempotency_key_of(self, event: Event) -> str:
        """Return the idempotency key of an event of the batch, for a `project_batch`."""
        return self._keys.key(event)

    def dispatch(self, *events: NewEvent, key: str = "") -> None:
        """Store events because of the handled event, at the end of the pass and in the order of the calls.

        Their ids are derived from the reaction, the handled event and the number of the event among those that its
        handlers dispatch. So they are stored once, however often the event is handled.

        Args:
            key: derive the ids from this name and the number within its calls instead, for handlers whose order or
                number of calls may change.

        Raises:
            InvalidEvent: an event is not valid.
            RuntimeError: a `project_batch` calls this outside of `because_of`.
        """
        source = self._handled("dispatch")
        check_count("events", len(events))
        context = {REACTION: self._reaction, **current_context()}
        for event in events:
            (row,) = validate_events([event], context)
            event_id = self._keys.event_id(source, "dispatch", key, self._count("dispatch", key))
            self._collected.append((source.position, row.with_id(event_id)))

    def handle(
        self,
        repository: "Repository[A]",
        id: Any,  # noqa: A002
        command: "Callable[Concatenate[A, Arguments], object]",
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> None:
        """Run a command of an aggregate because of the handled event, as `Repository.handle` does.

        Its events are stored at once, and commit with the pass. After a rewind, a command whose events are stored
        already does not run again.

        Raises:
            Rejected: the command rejects it. The handler may catch it: what the command has done is rolled back alone.
            AggregateNotFound, VersionConflict, InvalidEvent, UnreadableEvent: as `Repository.handle` raises them.
            RuntimeError: a `project_batch` calls this outside of `because_of`.
            ValueError: the repository is of another database than the reactions.
        """
        source = self._handled("handle")
        using = database()
        if repository.store.using != using:
            raise ValueError(
                f"the repository is of the database {repository.store.using!r}; a pass can commit only what is in"
                f" {using!r}"
            )
        if self._is_long and not self.has_run_commands:
            self.has_run_commands = True
            raise PassTooLong
        self.has_run_commands = True
        self.flush()  # what was dispatched before comes before
        whole_id = repository.aggregate_id(id)
        name = ("handle", whole_id, self._count("handle", whole_id))
        if self._keys.are_rewound and self._stored([self._keys.event_id(source, *name, 0)]):
            return
        with on_commit_allowed(), transaction.atomic(using):
            repository.run(
                id,
                lambda aggregate: command(aggregate, *args, **kwargs),
                command,
                prepare=lambda recorded: self._named(recorded, source, *name),
            )

    def schedule(
        self, event: NewEvent, *, key: str, after: timedelta | None = None, at: datetime | None = None
    ) -> None:
        """Store an event later because of the handled event, once, with the time at which it is due as `timestamp`.

        A timer of the reaction with the same key is replaced. The timer commits with the pass.

        Args:
            key: names the timer among those of the reaction, to replace or to cancel it; 1 to 255 characters.
            after: when it is due, counted from the `timestamp` of the handled event, whenever that is handled.
            at: when it is due, timezone-aware; a moment that is over is due at once.

        Raises:
            InvalidEvent: an argument or the event is not valid.
            RuntimeError: a `project_batch` calls this outside of `because_of`.
        """
        source = self._handled("schedule")
        check_key(key)
        (named,) = self._named([event], source, "timer", key)
        timer = timer_for(self._reaction, key, source, named, after=after, at=at)
        if self._keys.are_rewound and self._stored([timer.event_id]):
            self._timers.cancel(key)  # it has fired before the rewind, and it had replaced an earlier one
            return
        self._timers.add(timer)

    def cancel(self, key: str) -> bool:
        """Cancel the timer with this key; return whether there was one that had not fired.

        If it is due at this moment, either it fires and this returns False, or this returns True and it never fires.

        Raises:
            InvalidEvent: the key is not valid.
        """
        check_key(key)
        return self._timers.cancel(key)

    def because_of(self, event: Event) -> AbstractContextManager[None]:
        """Name, in a `project_batch`, the event because of which the actions of the `with` block are done."""
        return _BecauseOf(self, event)

    @contextmanager
    def undone_on_error(self, events: Sequence[Event]) -> Iterator[None]:
        """Forget what the `with` block has collected while it handles `events`, if it ends with an error.

        If the error says that a part of the events is done, only what follows from the others is forgotten.
        """
        before, self._is_long = len(self._collected), len(events) > MAX_EVENTS_BESIDE_COMMANDS
        timers = self._timers.snapshot()
        try:
            yield
        except BaseException as error:
            done = error.done if isinstance(error, Unavailable) else None
            if done is None:
                del self._collected[before:]
                self._timers.restore(timers)
            else:  # what follows from the events that are done commits with them
                self._collected[before:] = [each for each in self._collected[before:] if each[0] <= done]
                self._timers.keep_up_to(done)
            raise

    def finish(self) -> None:
        """Save the timers, and then store what was dispatched: readers of the store wait from there to the commit."""
        self._timers.save()
        self.flush()

    def flush(self) -> None:
        """Store what was dispatched, in as few calls as possible."""
        collected, self._collected = [row for _, row in self._collected], []
        if collected and self._keys.are_rewound:
            stored = self._stored([each.event_id for each in collected])
            collected = [each for each in collected if each.event_id not in stored]
        for start in range(0, len(collected), conf.max_dispatch_events):
            store_and_send(collected[start : start + conf.max_dispatch_events], database())

    def _handled(self, action: str) -> Event:
        if self._source is None:
            raise RuntimeError(
                f"{action} needs the event that is handled; a project_batch writes: with do.because_of(event): …"
            )
        return self._source

    def _count(self, *action: str) -> int:
        """Return how often an action has been done before because of the handled event."""
        before = self._counted.get(action, 0)
        self._counted[action] = before + 1
        return before

    def _named(self, events: Iterable[NewEvent], source: Event, *name: str | int) -> list[NewEvent]:
        """Return events with the ids of an action, and with the name of the reaction."""
        events = list(events)
        if not all(isinstance(event, NewEvent) for event in events):
            validate_events(events)  # rejects them
        return [
            replace(
                event,
                event_id=self._keys.event_id(source, *name, number),
                metadata={REACTION: self._reaction, **event.metadata},
            )
            for number, event in enumerate(events)
        ]

    def _stored(self, event_ids: Sequence[Any]) -> set[Any]:
        stored = Event.objects.using(database()).filter(event_id__in=event_ids)
        return set(stored.values_list("event_id", flat=True))


class _BecauseOf:
    """The `with` block in which an event is handled; a context manager of contextlib takes twice as long."""

    __slots__ = ("_before", "_context", "_do", "_event")

    def __init__(self, do: Actions, event: Event) -> None:
        self._do, self._event = do, event

    def __enter__(self) -> None:
        do = self._do
        self._before = do._source, do._counted
        do._source, do._counted = self._event, {}
        self._context = caused_by(self._event)
        self._context.__enter__()

    def __exit__(self, *raised: object) -> None:
        self._context.__exit__(None, None, None)
        self._do._source, self._do._counted = self._before
