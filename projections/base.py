"""The base class of projections: a subclass names the events that it handles and the rows that it fills."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, ClassVar, Concatenate, Final, ParamSpec, TypeVar, overload

from django.db import DataError, IntegrityError
from django.db.models import Model

from events import decoding
from events.generics import A, B, C
from events.models import Event
from events.types import ALL, Subscribed

from .exceptions import NOT_OF_HANDLER, HandlerFailed

__all__ = [
    "ASYNC",
    "DETERMINISTIC_ERRORS",
    "FIRST_EVENT",
    "INLINE",
    "NOW",
    "PARK",
    "STOP",
    "Kind",
    "Mode",
    "OnError",
    "Projection",
    "Start",
    "handles",
]

Method = TypeVar("Method", bound=Callable[..., Any])
Owner = TypeVar("Owner")
Taken = TypeVar("Taken")
Result = TypeVar("Result")
Rest = ParamSpec("Rest")
# Of a method that takes one thing, and in a reaction its actions too.
Decorator = Callable[
    [Callable[Concatenate[Owner, Taken, Rest], Result]], Callable[Concatenate[Owner, Taken, Rest], Result]
]


class Kind(StrEnum):
    """What a durable consumer of events does."""

    PROJECTION = "projection"  # it writes read models, which a rebuild makes again
    REACTION = "reaction"  # it causes effects, and is never rebuilt


class Mode(StrEnum):
    """Where a projection runs."""

    INLINE = "inline"  # in the writer's transaction: up to date at once, and each append takes longer
    ASYNC = "async"  # in workers: up to date a moment later, and appends take no longer


class OnError(StrEnum):
    """What happens to an event that still fails after all its retries."""

    PARK = "park"  # it waits for an operator, and later events of its aggregate behind it; all others are handled
    STOP = "stop"  # the projection stops until an operator resumes it; it has retried the event in place


class Start(StrEnum):
    """Which events a new projection begins with."""

    FIRST_EVENT = "first event"
    NOW = "now"


INLINE: Final = Mode.INLINE
ASYNC: Final = Mode.ASYNC
PARK: Final = OnError.PARK
STOP: Final = OnError.STOP
FIRST_EVENT: Final = Start.FIRST_EVENT
NOW: Final = Start.NOW

DETERMINISTIC_ERRORS: Final[tuple[type[BaseException], ...]] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    DataError,
    ImportError,
    IntegrityError,
    LookupError,  # KeyError, IndexError
    NameError,
    NotImplementedError,
    TypeError,
    ValueError,
)
"""Errors that the same event and the same code nearly always raise again."""


def with_links(models: Iterable[type[Model]]) -> list[type[Model]]:
    """Return `models`, each once and followed by the models that Django makes for its many-to-many fields."""
    found: list[type[Model]] = []
    for model in models:
        found.append(model)
        through = [field.remote_field.through for field in model._meta.local_many_to_many]
        found += [link for link in through if link and link._meta.auto_created]
    return list(dict.fromkeys(found))


# The last one is for names and for more than three classes.
@overload
def handles(event_type: type[A], /) -> Decorator[Owner, Event[A], Rest, Result]: ...  # type: ignore[overload-overlap]
@overload
def handles(  # type: ignore[overload-overlap]
    first: type[A], second: type[B], /
) -> Decorator[Owner, Event[A | B], Rest, Result]: ...
@overload
def handles(  # type: ignore[overload-overlap]
    first: type[A], second: type[B], third: type[C], /
) -> Decorator[Owner, Event[A | B | C], Rest, Result]: ...
@overload
def handles(*event_types: str | type[Any] | Subscribed) -> Callable[[Method], Method]: ...
def handles(*event_types: str | type[Any] | Subscribed) -> Callable[[Any], Any]:
    """Mark a method `(self, event)` as the handler of these event types, or of ALL.

    Args:
        event_types: names, or payload classes.

    Raises:
        InvalidEvent: a class is not registered as an event type.
    """
    names = [decoding.name_of(event_type) for event_type in event_types]

    def decorator(method: Any) -> Any:
        method.handled_types = (*getattr(method, "handled_types", ()), *names)
        return method

    return decorator


class Projection:
    """A durable consumer of events that keeps read models up to date.

    Either mark methods with `@handles("OrderPlaced", …)`; each is called with one event. Or override `project_batch`,
    which is called with a list of events. Events of one aggregate arrive in order. Rows and checkpoint commit together,
    so each event takes effect exactly once. Write only to `models`, without `using()` or schema names: a rebuild runs
    the same handlers on other tables.

    Attributes:
        name: up to 40 of the characters a-z, 0-9 and _. The checkpoint is stored under this name, so never change it.
        version: raise it when the handlers produce different rows. The old rows are served until the rebuild is done.
        mode: INLINE or ASYNC.
        shards: how many workers can run an ASYNC projection at the same time, from 1 to 64. All events of an aggregate
            belong to the same shard.
        models: the Django models whose rows only this projection writes; referenced models first.
        types: the event types that `project_batch` handles, as names or payload classes; one class may stand
            alone. None for all.
        on_error: PARK or STOP.
        start: FIRST_EVENT, or NOW to skip the events that were stored before it was registered.
        batch_events: the maximum number of events handled in one transaction.
        retry_delays_seconds: the delay before each retry of an event; None for the setting
            PROJECTIONS_RETRY_DELAYS_SECONDS.
        deterministic_errors: the exceptions after which an event is retried only once, after the first delay. An
            exception that is an OSError as well, such as a broken answer of a server, gets all retries.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    mode: ClassVar[Mode] = ASYNC
    shards: ClassVar[int] = 1
    models: ClassVar[Sequence[type[Model]]] = ()
    types: ClassVar[Collection[str | type[Any]] | type[Any] | None] = None
    on_error: ClassVar[OnError] = PARK
    start: ClassVar[Start] = FIRST_EVENT
    batch_events: ClassVar[int] = 1000
    retry_delays_seconds: ClassVar[Sequence[float] | None] = None
    deterministic_errors: ClassVar[tuple[type[BaseException], ...]] = DETERMINISTIC_ERRORS
    kind: ClassVar[Kind] = Kind.PROJECTION
    # What handlers and `project_batch` take besides the event or the events.
    _further_arguments: ClassVar[tuple[str, ...]] = ()
    # Whether it needs the content of events. If not, it also gets the events that cannot be read.
    _reads_content: ClassVar[bool] = True

    def __init__(self) -> None:
        self._handlers: dict[str, list[Callable[..., Any]]] = {}
        self._handlers_of_all: list[Callable[..., Any]] = []
        for event_type, method in self.marked_handlers():
            bound = getattr(self, method)
            if event_type is ALL:
                self._handlers_of_all.append(bound)
            else:
                self._handlers.setdefault(str(event_type), []).append(bound)

    @classmethod
    def marked_handlers(cls) -> Iterator[tuple[str | Subscribed, str]]:
        """Yield (event type, method name) for each `@handles`, in the order of definition."""
        names = dict.fromkeys(name for base in reversed(cls.__mro__) for name in vars(base))
        for name in names:
            for event_type in dict.fromkeys(getattr(getattr(cls, name, None), "handled_types", ())):
                yield event_type, name

    @classmethod
    def works_on_sets(cls) -> bool:
        return cls.project_batch is not Projection.project_batch

    @classmethod
    def given_types(cls) -> Collection[str | type[Any]] | None:
        """Return the attribute `types` as a collection, also if it is one class; None for all events."""
        return [cls.types] if isinstance(cls.types, type) else cls.types

    def wanted_types(self) -> list[str] | None:
        """Return the event types it handles, each with its newest name; None for all."""
        if self.works_on_sets():
            types = self.given_types()
            return None if types is None else _newest_names(types)
        return None if self._handlers_of_all else _newest_names(self._handlers)

    def stored_types(self) -> list[str] | None:
        """Return all names under which the events that it handles may be stored; None for all events."""
        wanted = self.wanted_types()
        return None if wanted is None else sorted(decoding.stored_names(wanted))

    @property
    def events_per_pass(self) -> int:
        """The largest number of events that a pass handles."""
        return self.batch_events

    @contextmanager
    def open_pass(self) -> Iterator[Callable[..., None]]:
        """Yield the function that handles events, for the `with` block of one transaction.

        The block calls it with all events of the transaction, or with parts of them, each in a savepoint. What is done
        after the block commits with them. The function may get a check as well, whose exception undoes the part.
        """

        def handle(events: Sequence[Event], check: Callable[[], Any] = lambda: None) -> None:
            self.project_batch(events)
            check()

        yield handle

    def fire_due_timers(self) -> int:
        """Store events whose timers are due, oldest first; return how many. A projection has no timers."""
        return 0

    # Type checkers let `(self, events)` override this signature, and that of a reaction, which takes the actions, too.
    def project_batch(self, events: Sequence[Event], *further: Any, **named: Any) -> None:
        """Update the read models with `events`, which are ordered by position.

        Raises:
            HandlerFailed: a handler raised an exception, which is its cause.
        """
        for event in events:
            self._call_handlers(event, *further)

    def _call_handlers(self, event: Event, *arguments: Any) -> None:
        try:
            for handler in self._handlers_of(event.type):
                handler(event, *arguments)
        except NOT_OF_HANDLER:
            raise
        except BaseException as error:  # a handler may raise SystemExit, and would end worker after worker
            raise HandlerFailed(event) from error

    def _handlers_of(self, event_type: str) -> Iterator[Callable[..., Any]]:
        yield from self._handlers_of_all
        # A method may be marked with an earlier name of the type.
        for name in decoding.names_of(event_type):
            yield from self._handlers.get(name, ())

    def __str__(self) -> str:
        return self.name


def _newest_names(event_types: Iterable[str | type[Any]]) -> list[str]:
    return sorted({decoding.name_of(each) for each in event_types})
