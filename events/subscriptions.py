"""Handlers by event type: two Django signals for each type with subscribers, and two for all types.

Participants are a third kind of handlers: parts of the append, such as INLINE projections, which no append leaves out.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, Self

from django.db import connections, transaction
from django.dispatch import Signal
from django.utils.inspect import func_accepts_kwargs
from psycopg.pq import TransactionStatus

from . import handler_errors
from .conf import conf
from .exceptions import DispatchTooDeep, InvalidEvent
from .models import Event
from .signals import event_committed, event_dispatched
from .types import ALL, Subscribed
from .validation import check_name

Handler = Callable[..., Any]


class Subscriptions:
    """The handlers of one kind, by event type.

    Each type has its own signal, so the look-up takes one step however many handlers there are. (The type cannot be
    the signal's `sender`: Django compares senders by identity, and equal strings may be different objects.)
    """

    def __init__(self, to_all: Signal) -> None:
        self._to_all = to_all
        self._by_type: dict[str, Signal] = {}

    def add(self, event_type: str | Subscribed, handler: Handler) -> bool:
        """Connect `handler`; return False if it was already connected."""
        signal = self._to_all if event_type is ALL else self._by_type.setdefault(str(event_type), Signal())
        # A strong reference: lambdas and closures would disappear. Django connects equal handlers only once.
        before = len(signal.receivers)
        signal.connect(handler, weak=False)
        return len(signal.receivers) > before

    def remove(self, event_type: str | Subscribed, handler: Handler) -> bool:
        signal = self._to_all if event_type is ALL else self._by_type.get(str(event_type))
        if signal is None or not signal.disconnect(handler):
            return False
        if event_type is not ALL and not signal.has_listeners():
            self._by_type.pop(str(event_type), None)
        return True

    def has_subscribers(self, events: Sequence[Any]) -> bool:
        """Return whether one of `events`, or other objects with a `type`, has a subscriber."""
        # `has_listeners` is slow even without receivers.
        return (bool(self._to_all.receivers) and self._to_all.has_listeners(Event)) or (
            bool(self._by_type) and any(event.type in self._by_type for event in events)
        )

    def signals_for(self, event: Event) -> Iterator[Signal]:
        yield self._to_all
        if signal := self._by_type.get(event.type):
            yield signal


IN_TRANSACTION: Final = Subscriptions(event_dispatched)
ON_COMMIT: Final = Subscriptions(event_committed)
PARTICIPANTS: Final = Subscriptions(Signal())
_preparations: list[Callable[[Sequence[Event], str], None]] = []  # see `prepare_participants`


class Subscription:
    """A subscription: call it to unsubscribe, or use it as a context manager.

    Leaving the context unsubscribes the handler, unless the handler was subscribed before.
    """

    def __init__(self, subscriptions: Subscriptions, event_type: str | Subscribed, handler: Handler) -> None:
        self._is_new = subscriptions.add(event_type, handler)
        self._unsubscribe = partial(subscriptions.remove, event_type, handler)

    def __call__(self) -> bool:
        """Unsubscribe; return whether the handler was still subscribed."""
        return self._unsubscribe()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._is_new:
            self._unsubscribe()


def subscribe(event_type: str | Subscribed, handler: Handler, *, on_commit: bool) -> Subscription:
    """Connect `handler` to events of one type, or ALL."""
    if event_type is not ALL:
        check_name("event_type", event_type)
    if not callable(handler) or not func_accepts_kwargs(handler):
        raise InvalidEvent("handler", f"is {handler!r}; give a function that takes (event, **kwargs)")
    return Subscription(ON_COMMIT if on_commit else IN_TRANSACTION, event_type, handler)


def unsubscribe(event_type: str | Subscribed, handler: Handler) -> bool:
    """Disconnect `handler` from both signals; return whether it was connected to one."""
    return any([IN_TRANSACTION.remove(event_type, handler), ON_COMMIT.remove(event_type, handler)])


def add_participant(event_type: str | Subscribed, handler: Handler) -> None:
    """Call `handler` inside the transaction of every append of an event type, or ALL, also where subscribers are not.

    Participants get all events of an append before the first subscriber runs. So they get the events by position, also
    when a subscriber appends further events.
    """
    PARTICIPANTS.add(event_type, handler)


def prepare_participants(prepare: Callable[[Sequence[Event], str], None]) -> None:
    """Call `prepare(events, using)` once for each append that has participants, before the first of them."""
    if prepare not in _preparations:
        _preparations.append(prepare)


def remove_participant(event_type: str | Subscribed, handler: Handler) -> None:
    PARTICIPANTS.remove(event_type, handler)


def has_subscribers(events: Sequence[Any]) -> bool:
    """Return whether one of `events` has a subscriber, in the transaction or on commit."""
    return IN_TRANSACTION.has_subscribers(events) or ON_COMMIT.has_subscribers(events)


def send_on_commit(events: Sequence[Event], using: str) -> None:
    """Send `event_committed` for `events` after the current transaction has committed."""
    if ON_COMMIT.has_subscribers(events):
        transaction.on_commit(partial(_send_committed, events, using), using=using)


def send_to_participants(events: Sequence[Event], using: str) -> None:
    """Pass `events`, in order, to the participants; the first exception of a participant is raised."""
    if not PARTICIPANTS.has_subscribers(events):
        return
    for prepare in _preparations:
        prepare(events, using)
    _send(PARTICIPANTS, events, using)


def send_in_transaction(events: Sequence[Event], using: str) -> None:
    """Send `event_dispatched` for `events`, in order; the first exception of a receiver is raised."""
    _send(IN_TRANSACTION, events, using)


def _send(handlers: Subscriptions, events: Sequence[Event], using: str) -> None:
    if not handlers.has_subscribers(events):
        return
    for index, event in enumerate(events):
        try:
            for signal in handlers.signals_for(event):
                signal.send(sender=Event, event=event, using=using)
        except Exception as error:
            handler_errors.mark(error, event, index)
            raise
    _check_transaction(using)


def _check_transaction(using: str) -> None:
    """Check that the transaction can still commit, because Django and PostgreSQL roll back without an error otherwise.

    So the events would be reported as stored, although a handler has closed the connection, has caught an error of the
    database without a savepoint, or has marked the transaction for rollback.
    """
    connection = connections[using]
    lost = connection.connection is None or connection.closed_in_transaction or connection.needs_rollback
    if lost or connection.connection.info.transaction_status is TransactionStatus.INERROR:
        raise transaction.TransactionManagementError(
            "A handler has closed the connection, has caught a database error without a savepoint, or has marked the"
            " transaction for rollback, so the events cannot be stored. Correct the handler"
        )


def _send_committed(events: Sequence[Event], using: str) -> None:
    for event in events:
        for signal in ON_COMMIT.signals_for(event):
            signal.send_robust(sender=Event, event=event, using=using)


_depth: ContextVar[int] = ContextVar("events_dispatch_depth", default=0)


@contextmanager
def nested_dispatch() -> Iterator[None]:
    """Count a dispatch inside handlers during the `with` block.

    Raises:
        DispatchTooDeep: there are more than `EVENTS_MAX_DISPATCH_DEPTH` levels.
    """
    depth = _depth.get() + 1
    if depth > conf.max_dispatch_depth:
        raise DispatchTooDeep(
            f"Handlers dispatched events inside handlers more than {conf.max_dispatch_depth} levels deep. End the"
            " recursion, or raise EVENTS_MAX_DISPATCH_DEPTH"
        )
    token = _depth.set(depth)
    try:
        yield
    finally:
        _depth.reset(token)
