"""Handlers by event type: Django signals, one pair for each type that anybody subscribed to, beside those for all."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, Self

from django.db import transaction
from django.dispatch import Signal
from django.utils.inspect import func_accepts_kwargs

from .conf import conf
from .exceptions import DispatchTooDeep, InvalidEvent
from .models import Event
from .signals import event_committed, event_dispatched
from .types import ALL, Subscribed
from .validation import check_name

Handler = Callable[..., Any]


class Subscriptions:
    """The subscriptions to one moment of an event's life.

    A signal of its own per type makes the look-up one step, however many handlers there are. (Passing the type as the
    signal's `sender` would not do: Django compares senders by identity, and equal strings need not be one object.)
    """

    def __init__(self, to_all: Signal) -> None:
        self._to_all = to_all
        self._by_type: dict[str, Signal] = {}

    def add(self, event_type: str | Subscribed, handler: Handler) -> bool:
        """Connect `handler`; return False when it was connected already."""
        signal = self._to_all if event_type is ALL else self._by_type.setdefault(str(event_type), Signal())
        # Strongly held, or lambdas and closures would vanish. Django connects an equal handler once only.
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
        """Say whether anybody listens to one of `events` (or rows: whatever has a type)."""
        # Django's own look for listeners takes its time, also where there is none.
        return (bool(self._to_all.receivers) and self._to_all.has_listeners(Event)) or (
            bool(self._by_type) and any(event.type in self._by_type for event in events)
        )

    def signals_for(self, event: Event) -> Iterator[Signal]:
        yield self._to_all
        if signal := self._by_type.get(event.type):
            yield signal


IN_TRANSACTION: Final = Subscriptions(event_dispatched)
ON_COMMIT: Final = Subscriptions(event_committed)


class Subscription:
    """What `subscribe` returns: call it to unsubscribe, or use it as a context manager.

    Leaving the context ends what it began: a handler that was subscribed before stays so.
    """

    def __init__(self, subscriptions: Subscriptions, event_type: str | Subscribed, handler: Handler) -> None:
        self._is_new = subscriptions.add(event_type, handler)
        self._unsubscribe = partial(subscriptions.remove, event_type, handler)

    def __call__(self) -> bool:
        """Unsubscribe; return False when the handler was not subscribed any more."""
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
    """Disconnect `handler` from both moments; return whether it was connected to one."""
    return any([IN_TRANSACTION.remove(event_type, handler), ON_COMMIT.remove(event_type, handler)])


def has_subscribers(events: Sequence[Any]) -> bool:
    """Say whether anybody listens to one of `events`, at either moment."""
    return IN_TRANSACTION.has_subscribers(events) or ON_COMMIT.has_subscribers(events)


def send_on_commit(events: Sequence[Event], using: str) -> None:
    """Have `event_committed` sent for `events` when the transaction that holds them has committed."""
    if ON_COMMIT.has_subscribers(events):
        transaction.on_commit(partial(_send_committed, events, using), using=using)


def send_in_transaction(events: Sequence[Event], using: str) -> None:
    """Send `event_dispatched` for `events`, in order; what a receiver raises is raised."""
    if not IN_TRANSACTION.has_subscribers(events):
        return
    for event in events:
        for signal in IN_TRANSACTION.signals_for(event):
            signal.send(sender=Event, event=event, using=using)


def _send_committed(events: Sequence[Event], using: str) -> None:
    for event in events:
        for signal in ON_COMMIT.signals_for(event):
            signal.send_robust(sender=Event, event=event, using=using)


_depth: ContextVar[int] = ContextVar("events_dispatch_depth", default=0)


@contextmanager
def nested_dispatch() -> Iterator[None]:
    """Count how deep handlers dispatch inside handlers.

    Raises:
        DispatchTooDeep: deeper than `EVENTS_MAX_DISPATCH_DEPTH`.
    """
    depth = _depth.get() + 1
    if depth > conf.max_dispatch_depth:
        raise DispatchTooDeep(
            f"Handlers dispatched events inside handlers more than {conf.max_dispatch_depth} levels deep: an endless"
            " recursion, or raise EVENTS_MAX_DISPATCH_DEPTH"
        )
    token = _depth.set(depth)
    try:
        yield
    finally:
        _depth.reset(token)
