"""Aggregates: the state that follows from the events of one aggregate, and the commands that record further events."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from functools import cached_property, wraps
from itertools import count
from typing import Any, ClassVar, Final, NamedTuple, Self, TypeVar, dataclass_transform, overload

from events import decoding
from events.exceptions import AggregateNotFound, InvalidEvent
from events.generics import A, B, C
from events.types import NewEvent
from events.validation import check_name

AnyApplier = TypeVar("AnyApplier", bound=Callable[..., None])
Owner = TypeVar("Owner")
Taken = TypeVar("Taken")
# Of a method that takes one payload.
Decorator = Callable[[Callable[[Owner, Taken], None]], Callable[[Owner, Taken], None]]
AnyCommand = TypeVar("AnyCommand", bound=Callable[..., Any])


class Recorded(NamedTuple):
    """A recorded event; the order is that of all events that are recorded in this process."""

    order: int
    event: NewEvent


_order = count()


class _Work:
    """What an aggregate has besides its state."""

    def __init__(self, aggregate_id: str) -> None:
        self.aggregate_id = aggregate_id
        self.version = 0
        self.recorded: list[Recorded] = []
        self.may_begin = False
        self.is_applying = False
        self.error: BaseException | None = None
        # Called once the command has ended without an error.
        self.afterwards: Callable[[], None] | None = None


@dataclass_transform(kw_only_default=True, field_specifiers=(field,))
class Aggregate:
    """The base class of aggregates: each subclass is a dataclass of its state, and each field has a default.

    class Order(Aggregate, category="order"):
        paid: bool = False

        @applies(OrderPaid)
        def was_paid(self, event: OrderPaid) -> None:
            self.paid = True

        def pay(self, method: str) -> None:
            if self.paid:
                raise AlreadyPaid(f"{self.aggregate_id} is paid already")
            self.record(OrderPaid(method=method))

    Only methods with `@applies` may change the state: it is computed from the events at each load, and other changes
    are lost.

    Args of a subclass:
        category: the category of the aggregate ids: the part before the first dash.
        abstract: whether the class is only a base of others.

    Raises:
        TypeError: the category is missing, or a field has no default or a name of this class.
        InvalidEvent: the category is not valid, or an applier names a class that is not an event type.
    """

    category: ClassVar[str]
    appliers: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    # Raise it when code that snapshots cannot see computes another state.
    snapshot_version: ClassVar[int] = 1

    def __init_subclass__(cls, *, category: str = "", abstract: bool = False) -> None:
        super().__init_subclass__()
        dataclass(kw_only=True)(cls)
        _check_fields(cls)
        cls.appliers = _appliers_of(cls)
        if abstract:
            return
        if not category:
            raise TypeError(f"{cls.__qualname__} has no category; write class {cls.__name__}(Aggregate, category=…)")
        check_name("category", category)
        if "-" in category:
            raise InvalidEvent(
                "category", f"{category!r} has a dash; the first dash of an aggregate id ends its category"
            )
        cls.category = category
        _defined[place_of(cls)] = cls

    @classmethod
    def blank(cls, aggregate_id: str) -> Self:
        """Return an aggregate before its first event."""
        self = cls()
        self._work.aggregate_id = aggregate_id
        return self

    @cached_property
    def _work(self) -> _Work:
        return _Work("")

    @property
    def aggregate_id(self) -> str:
        """The whole aggregate id, such as `order-17`."""
        return self._work.aggregate_id

    @property
    def id(self) -> str:
        """The aggregate id without its category, such as `17`."""
        return self._work.aggregate_id.partition("-")[2]

    @property
    def version(self) -> int:
        """The version of the last stored event; 0 before the first one."""
        return self._work.version

    @property
    def recorded(self) -> list[Any]:
        """The payloads of the recorded events that are not stored yet."""
        return [each.event.data for each in self._work.recorded]

    def record(
        self, *payloads: object, timestamp: datetime | None = None, metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Apply events to the state, and append them when the command has ended without an error.

        Args:
            payloads: objects of event types.
            timestamp, metadata: of each of the events, as `NewEvent` has them.

        Raises:
            InvalidEvent: a payload is not valid, or not of an event type.
            AggregateNotFound: the aggregate has no events, and no method with `@creates` was called.
            RuntimeError: a method with `@applies` calls this.
        """
        work = self._work
        if work.is_applying:
            raise RuntimeError(
                f"{type(self).__qualname__} records an event while it applies one, which would happen again at each"
                " load; record it in the command"
            )
        if not (work.version or work.recorded or work.may_begin):
            raise AggregateNotFound(work.aggregate_id)
        for payload in payloads:
            event_type = type_of(payload)
            stored = as_stored(event_type, payload)
            self.apply(event_type.name, stored)
            event = NewEvent(work.aggregate_id, stored, timestamp=timestamp, metadata=metadata or {})
            work.recorded.append(Recorded(next(_order), event))

    def apply(self, event_type: str, payload: Any) -> None:
        """Apply a payload of an event type to the state."""
        work = self._work
        work.is_applying = True
        try:
            self.evolve(event_type, payload)
        except BaseException as error:
            work.error = error  # the state may be half changed
            raise
        finally:
            work.is_applying = False

    def follow(self, event: Any) -> None:
        """Apply a stored event.

        Raises:
            UnreadableEvent: the code cannot read the event.
        """
        if self.takes(event.type):
            self.apply(event.type, event.payload)
        self._work.version = event.version

    @classmethod
    def takes(cls, event_type: str) -> bool:
        """Return whether events of a type may change the state."""
        return event_type in cls.appliers

    def evolve(self, event_type: str, payload: Any) -> None:
        """Call the methods with `@applies` for a type."""
        for method in self.appliers.get(event_type, ()):
            getattr(self, method)(payload)


# The last one is for names and for more than three classes.
@overload
def applies(event_type: type[A], /) -> Decorator[Owner, A]: ...  # type: ignore[overload-overlap]
@overload
def applies(first: type[A], second: type[B], /) -> Decorator[Owner, A | B]: ...  # type: ignore[overload-overlap]
@overload
def applies(  # type: ignore[overload-overlap]
    first: type[A], second: type[B], third: type[C], /
) -> Decorator[Owner, A | B | C]: ...
@overload
def applies(*event_types: str | type[Any]) -> Callable[[AnyApplier], AnyApplier]: ...
def applies(*event_types: Any) -> Callable[[Any], Any]:
    """Mark the method of an aggregate that changes its state because of events of some types; it gets the payload.

    It must do the same each time, and must not record, read the clock or ask a database: each load calls it again.

    Args:
        event_types: payload classes, or names of types without a class, whose payload is the data.
    """
    if not event_types:
        raise TypeError("applies() has no event type; give at least one")

    def decorator(method: Any) -> Any:
        method.applied_types = event_types
        return method

    return decorator


def creates(command: AnyCommand) -> AnyCommand:
    """Mark a command that an aggregate without events accepts; other commands raise AggregateNotFound there."""

    @wraps(command)
    def creating(self: Aggregate, /, *args: Any, **kwargs: Any) -> Any:
        self._work.may_begin = True
        return command(self, *args, **kwargs)

    creating.creates = True  # type: ignore[attr-defined]
    return creating  # type: ignore[return-value]


def as_stored(event_type: decoding.EventType, payload: object) -> Any:
    """Return a payload as a read will return it, so that the state of now is the state after a load.

    Raises:
        InvalidEvent: the payload is not valid.
    """
    return event_type.to_payload(event_type.to_data(payload))


def check_exists(aggregate: Aggregate, command: Any) -> None:
    """Check that a command may run: that the aggregate has events, or that the command is marked with `@creates`.

    Raises:
        AggregateNotFound: it may not.
    """
    if not aggregate.version and not aggregate.recorded and not getattr(command, "creates", False):
        raise AggregateNotFound(aggregate.aggregate_id)


def take_recorded(aggregates: Iterable[Aggregate]) -> list[NewEvent]:
    """Return the recorded events of some aggregates in the order of recording; they stay recorded.

    Raises:
        RuntimeError: an applier has failed, so what is recorded may rest on a state that is wrong.
    """
    recorded = []
    for aggregate in aggregates:
        work = aggregate._work
        if work.recorded and work.error:
            raise RuntimeError(
                f"{work.aggregate_id}: an applier has failed before, so nothing can be appended; load it again"
            ) from work.error
        recorded += work.recorded
    return [each.event for each in sorted(recorded, key=lambda each: each.order)]


def mark_stored(aggregate: Aggregate) -> None:
    """Make the recorded events of an aggregate stored ones."""
    work = aggregate._work
    work.version += len(work.recorded)
    work.recorded.clear()


def end_command(aggregate: Aggregate) -> None:
    """Do what is left to do once a command has ended without an error."""
    work = aggregate._work
    if work.afterwards:
        work.afterwards()
        work.afterwards = None


def state_of(aggregate: Aggregate) -> dict[str, Any]:
    """Return the state by field."""
    return {each.name: getattr(aggregate, each.name) for each in fields(aggregate)}  # type: ignore[arg-type]


def undeclared(aggregate: Aggregate) -> list[str]:
    """Return the names of attributes that are set but are no fields: they are not part of the state."""
    return sorted(vars(aggregate).keys() - state_of(aggregate).keys() - {"_work"})


# In the order of definition, also those whose category another class has taken, so that the system check finds them.
_defined: dict[str, type[Aggregate]] = {}
REGISTRIES: Final = (_defined,)


def place_of(aggregate_class: type[Aggregate]) -> str:
    """Return where an aggregate class is: its module and its name there."""
    return f"{aggregate_class.__module__}.{aggregate_class.__qualname__}"


def defined() -> list[type[Aggregate]]:
    """Return the aggregate classes in the order of definition."""
    return list(_defined.values())


def _check_fields(cls: type[Aggregate]) -> None:
    for each in fields(cls):  # type: ignore[arg-type]
        if each.name in vars(Aggregate):
            raise TypeError(f"{cls.__qualname__}.{each.name} hides a name of Aggregate; give the field another name")
        if each.default is MISSING and each.default_factory is MISSING:
            raise TypeError(f"{cls.__qualname__}.{each.name} has no default; give it the value before the first event")


def _appliers_of(cls: type[Aggregate]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name in dict.fromkeys(name for base in reversed(cls.__mro__) for name in vars(base)):
        for event_type in getattr(getattr(cls, name, None), "applied_types", ()):
            known = decoding.name_of(event_type)
            found[known] = (*found.get(known, ()), name)
    return found


def type_of(payload: object) -> decoding.EventType:
    """Return the event type of a payload.

    Raises:
        InvalidEvent: it is not an object of an event type.
    """
    event_type = decoding.type_of(type(payload))
    if event_type is None:
        raise InvalidEvent(
            "payload",
            f"is a {type(payload).__name__}, which is not an event type; record an object of a class that is derived"
            " from DomainEvent or marked with @event_type",
        )
    return event_type
