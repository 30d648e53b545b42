"""Handlers by database and event type: two Django signals for each type with subscribers, and two for all events.

Participants are a third kind of handlers: parts of the append, such as INLINE projections, which no append leaves out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, Self

from django.db import connections, transaction
from django.dispatch import Signal
from django.utils.inspect import func_accepts_kwargs
from psycopg.pq import TransactionStatus

from . import context, decoding, handler_errors
from .conf import conf
from .exceptions import DispatchTooDeep, InvalidEvent
from .models import Event
from .routing import database
from .signals import event_committed, event_dispatched
from .types import ALL, Subscribed
from .validation import check_name

Handler = Callable[..., Any]


class Subscriptions:
    """The handlers of one kind, by database and event type.

    Each type has its own signal, so the look-up takes one step however many handlers there are. (The type cannot be
    the signal's `sender`: Django compares senders by identity, and equal strings may be different objects.)
    """

    def __init__(self, every_event: Signal) -> None:
        """
        Args:
            every_event: is sent for the events of all types in all databases.
        """
        self._every_event = every_event
        self._by_database: dict[str, dict[str | Subscribed, Signal]] = {}

    def add(self, using: str, event_type: str | Subscribed, handler: Handler) -> bool:
        """Connect `handler`; return False if it was already connected."""
        signals = self._by_database.setdefault(using, {})
        signal = signals.setdefault(_keys(event_type)[0], Signal())
        # A strong reference: lambdas and closures would disappear. Django connects equal handlers only once.
        before = len(signal.receivers)
        signal.connect(handler, weak=False)
        return len(signal.receivers) > before

    def remove(self, using: str, event_type: str | Subscribed, handler: Handler) -> bool:
        signals = self._by_database.get(using, {})
        removed = False
        for key in _keys(event_type):
            if (signal := signals.get(key)) and signal.disconnect(handler):
                removed = True
                if not signal.has_listeners():
                    signals.pop(key, None)  # another thread may have removed the other handler meanwhile
        return removed

    def has_subscribers(self, events: Sequence[Any], using: str) -> bool:
        """Return whether one of `events`, or other objects with a `type`, has a subscriber."""
        # `has_listeners` is slow even without receivers.
        if self._every_event.receivers and self._every_event.has_listeners(Event):
            return True
        signals = self._signals(using)
        if not signals:
            return False
        if ALL in signals or any(event.type in signals for event in events):
            return True
        # A handler may have been subscribed under an earlier name of a type, before the type was registered.
        return bool(decoding.types) and any(key in signals for event in events for key in _keys(event.type))

    def signals_for(self, event: Event, using: str) -> Iterator[Signal]:
        signals = self._signals(using)
        yield self._every_event
        for key in (ALL, *_keys(event.type)):
            if signal := signals.get(key):
                yield signal

    def handlers_of(self, event_type: str, using: str) -> Iterator[tuple[str | Subscribed, Handler]]:
        """Yield the handlers of a type, each with the key of its subscription: a name of the type, or ALL."""
        signals = self._signals(using)
        for key in (ALL, *_keys(event_type)):
            if signal := signals.get(key):
                for _, handler, *_ in signal.receivers:
                    yield key, handler

    def _signals(self, using: str) -> Mapping[str | Subscribed, Signal]:
        return self._by_database.get(using, {})


class Participants(Subscriptions):
    """Handlers in the database that the routers name at each append; it is not known when handlers are added."""

    ROUTED: Final = ""  # in place of an alias

    def _signals(self, using: str) -> Mapping[str | Subscribed, Signal]:
        return super()._signals(self.ROUTED) if using == database() else {}


def _keys(event_type: str | Subscribed) -> tuple[str | Subscribed, ...]:
    """Return the keys under which handlers of a type may be found; new ones are added under the first."""
    return (ALL,) if event_type is ALL else decoding.names_of(str(event_type))


IN_TRANSACTION: Final = Subscriptions(event_dispatched)
ON_COMMIT: Final = Subscriptions(event_committed)
PARTICIPANTS: Final = Participants(Signal())
_preparations: list[Callable[[Sequence[Event], str], None]] = []  # see `prepare_participants`


class Subscription:
    """A subscription: call it to unsubscribe, or use it as a context manager.

    Leaving the context unsubscribes the handler, unless the handler was subscribed before.
    """

    def __init__(
        self, subscriptions: Subscriptions, using: str, event_type: str | Subscribed, handler: Handler
    ) -> None:
        self._is_new = subscriptions.add(using, event_type, handler)
        self._unsubscribe = partial(subscriptions.remove, using, event_type, handler)

    def __call__(self) -> bool:
        """Unsubscribe; return whether the handler was still subscribed."""
        return self._unsubscribe()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._is_new:
            self._unsubscribe()


def subscribe(using: str, event_type: Any, handler: Handler, *, on_commit: bool) -> Subscription:
    """Connect `handler` to events of one type, or ALL, in one database.

    Raises:
        ConnectionDoesNotExist: there is no database with the alias `using`, so the handler would never be called.
        InvalidEvent: `using` is not an alias, the event type is not valid, or `handler` does not take
            `(event, **kwargs)`.
    """
    if not isinstance(using, str):
        reason = "give the alias of a database; events.signals sends the events of every database"
        raise InvalidEvent("using", f"is {using!r}; {reason}")
    connections[using]
    event_type = decoding.name_of(event_type)
    if event_type is not ALL:
        check_name("event_type", event_type)
    if not callable(handler) or not func_accepts_kwargs(handler):
        raise InvalidEvent("handler", f"is {handler!r}; give a function that takes (event, **kwargs)")
    return Subscription(ON_COMMIT if on_commit else IN_TRANSACTION, using, event_type, handler)


def unsubscribe(using: str, event_type: Any, handler: Handler) -> bool:
    """Disconnect `handler` from both signals; return whether it was connected to one."""
    event_type = decoding.name_of(event_type)
    return any([IN_TRANSACTION.remove(using, event_type, handler), ON_COMMIT.remove(using, event_type, handler)])


def add_participant(event_type: str | Subscribed, handler: Handler) -> None:
    """Call `handler` inside the transaction of every append of an event type, or ALL, also where subscribers are not.

    Participants get all events of an append before the first subscriber runs. So they get the events by position, also
    when a subscriber appends further events.
    """
    PARTICIPANTS.add(Participants.ROUTED, event_type, handler)


def prepare_participants(prepare: Callable[[Sequence[Event], str], None]) -> None:
    """Call `prepare(events, using)` once for each append that has participants, before the first of them."""
    if prepare not in _preparations:
        _preparations.append(prepare)


def remove_participant(event_type: str | Subscribed, handler: Handler) -> None:
    PARTICIPANTS.remove(Participants.ROUTED, event_type, handler)


def has_subscribers(events: Sequence[Any], using: str) -> bool:
    """Return whether one of `events` has a subscriber, in the transaction or on commit."""
    return IN_TRANSACTION.has_subscribers(events, using) or ON_COMMIT.has_subscribers(events, using)


def handlers_of(event_type: str, using: str) -> list[tuple[str | Subscribed, Handler]]:
    """Return the subscribers of a type, in the transaction and on commit, each with a name of the type, or ALL."""
    return [*IN_TRANSACTION.handlers_of(event_type, using), *ON_COMMIT.handlers_of(event_type, using)]


def send_on_commit(events: Sequence[Event], using: str) -> None:
    """Send `event_committed` for `events` after the current transaction has committed."""
    if ON_COMMIT.has_subscribers(events, using):
        # The transaction may commit in another context, or in none.
        transaction.on_commit(partial(_send_committed, events, using, context.captured()), using=using)


def send_to_participants(events: Sequence[Event], using: str) -> None:
    """Pass `events`, in order, to the participants; the first exception of a participant is raised."""
    if not PARTICIPANTS.has_subscribers(events, using):
        return
    for prepare in _preparations:
        prepare(events, using)
    _send(PARTICIPANTS, events, using)


def send_in_transaction(events: Sequence[Event], using: str) -> None:
    """Send `event_dispatched` for `events`, in order; the first exception of a receiver is raised."""
    _send(IN_TRANSACTION, events, using)


def _send(handlers: Subscriptions, events: Sequence[Event], using: str) -> None:
    if not handlers.has_subscribers(events, using):
        return
    for index, event in enumerate(events):
        try:
            with context.of_handlers(event):
                for signal in handlers.signals_for(event, using):
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


def _send_committed(events: Sequence[Event], using: str, dispatched_in: context.Values | None) -> None:
    for event in events:
        with context.activated(dispatched_in), context.of_handlers(event):
            for signal in ON_COMMIT.signals_for(event, using):
                _send_one_committed(signal, sender=Event, event=event, using=using)


_send_one_committed: Callable[..., Any] = Signal.send_robust  # logs errors; see `replace_sender_of_committed`


def replace_sender_of_committed(send: Callable[..., Any]) -> Callable[..., Any]:
    """Call `send(signal, **arguments)` for each event and signal after a commit; return what was called before.

    Tests want the errors of on-commit handlers raised: see `events.testing`.
    """
    global _send_one_committed
    before, _send_one_committed = _send_one_committed, send
    return before


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
