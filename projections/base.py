"""What a projection is: a class that says which events it wants, and what it makes of them."""

from collections.abc import Callable, Collection, Iterator, Sequence
from enum import StrEnum
from typing import Any, ClassVar, Final, TypeVar

from django.db.models import Model

from events.models import Event
from events.types import ALL, Subscribed

from .exceptions import HandlerFailed

__all__ = ["ASYNC", "FIRST_EVENT", "INLINE", "NOW", "PARK", "STOP", "Mode", "OnError", "Projection", "Start", "handles"]

Method = TypeVar("Method", bound=Callable[..., Any])


class Mode(StrEnum):
    """Where a projection runs."""

    INLINE = "inline"  # in the writer's transaction: right at once, and paid for by the writer
    ASYNC = "async"  # in workers: a moment later, at no cost to the writer


class OnError(StrEnum):
    """What becomes of an event that cannot be handled, once it has been retried in vain."""

    PARK = "park"  # it waits, and with it later events of its aggregate; everything else goes on
    STOP = "stop"  # the projection waits for somebody to mend it


class Start(StrEnum):
    """Where a new projection begins."""

    FIRST_EVENT = "first event"
    NOW = "now"


INLINE: Final = Mode.INLINE
ASYNC: Final = Mode.ASYNC
PARK: Final = OnError.PARK
STOP: Final = OnError.STOP
FIRST_EVENT: Final = Start.FIRST_EVENT
NOW: Final = Start.NOW


def handles(*event_types: str | Subscribed) -> Callable[[Method], Method]:
    """Mark a method `(self, event)` as the handler of these event types, or of ALL."""

    def decorator(method: Method) -> Method:
        method.handled_types = (*getattr(method, "handled_types", ()), *event_types)  # type: ignore[attr-defined]
        return method

    return decorator


class Projection:
    """A durable consumer of events that keeps read models up to date.

    Give it either methods marked with `@handles("OrderPlaced", …)`, called with one event each, or a `project_batch`
    of your own, called with a list of them, for work on sets. Events of one aggregate come in order. All a handler
    writes to the database counts exactly once, because it commits together with the checkpoint; so write to `models`
    and nothing else, without `using()` or schema names, for a rebuild runs the same handlers on other tables.

    Attributes:
        name: its name for good, up to 40 of the characters a-z, 0-9 and _; the checkpoint is kept under it.
        version: raise it when the handlers mean something new. The old rows are served until it has been rebuilt.
        mode: INLINE or ASYNC.
        shards: how many parts of an ASYNC projection can be worked on at the same time; events are dealt out by
            aggregate. 1 to 64.
        models: the Django models whose tables it alone fills; parents before those that refer to them.
        types: with `project_batch`: the event types wanted; None for all.
        on_error: PARK or STOP.
        start: FIRST_EVENT, or NOW to leave out what was stored before it was registered.
        batch_events: the most events handled in one transaction.
        retry_delays_seconds: how long to wait before each further attempt at an event; None for the setting
            PROJECTIONS_RETRY_DELAYS_SECONDS.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    mode: ClassVar[Mode] = ASYNC
    shards: ClassVar[int] = 1
    models: ClassVar[Sequence[type[Model]]] = ()
    types: ClassVar[Collection[str] | None] = None
    on_error: ClassVar[OnError] = PARK
    start: ClassVar[Start] = FIRST_EVENT
    batch_events: ClassVar[int] = 1000
    retry_delays_seconds: ClassVar[Sequence[float] | None] = None

    def __init__(self) -> None:
        self._handlers: dict[str, list[Callable[[Event], Any]]] = {}
        self._handlers_of_all: list[Callable[[Event], Any]] = []
        for event_type, method in self.marked_handlers():
            bound = getattr(self, method)
            if event_type is ALL:
                self._handlers_of_all.append(bound)
            else:
                self._handlers.setdefault(str(event_type), []).append(bound)

    @classmethod
    def marked_handlers(cls) -> Iterator[tuple[str | Subscribed, str]]:
        """Yield (event type, name of the method) for each mark, in the order of definition."""
        names = dict.fromkeys(name for base in reversed(cls.__mro__) for name in vars(base))
        for name in names:
            for event_type in dict.fromkeys(getattr(getattr(cls, name, None), "handled_types", ())):
                yield event_type, name

    @classmethod
    def works_on_sets(cls) -> bool:
        return cls.project_batch is not Projection.project_batch

    def wanted_types(self) -> list[str] | None:
        """Return the event types it handles; None for all."""
        if self.works_on_sets():
            return None if self.types is None else sorted(self.types)
        return None if self._handlers_of_all else sorted(self._handlers)

    def project_batch(self, events: Sequence[Event]) -> None:
        """Take `events`, in the order of their positions, into the read models.

        Raises:
            HandlerFailed: a handler raised an exception, which is its cause.
        """
        for event in events:
            try:
                for handler in (*self._handlers_of_all, *self._handlers.get(event.type, ())):
                    handler(event)
            except Exception as error:
                raise HandlerFailed(event) from error

    def __str__(self) -> str:
        return self.name
