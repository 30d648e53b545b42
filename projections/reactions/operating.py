"""The operations on timers. Each is recorded, with who did it and why; the reaction may be gone."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from django.db import connections, transaction
from django.utils import timezone

from events.routing import database
from events.storage import autocommit
from events.storage.query_files import read_query
from events.summaries import readable, summary
from projections import registry
from projections.base import Kind
from projections.engine import failures
from projections.engine.outages import is_outage
from projections.exceptions import OperationRejected
from projections.models import Operation, ProjectionState, Timer
from projections.models.timers import TimerQuerySet
from projections.operations.actions import USER_CHARACTERS

from .actions import REACTION
from .firing import DueTimer, store

Action = Operation.Action
MAX_NAMED = 20


def fire(reaction: str, keys: Sequence[str], *, by: str, reason: str = "") -> int:
    """Store the events of timers now, also if they are not due, or their reaction is paused or gone; return how many.

    The timestamp of an event that is not due is the present.

    Raises:
        OperationRejected: the reaction has none of the timers, or an event is rejected; then nothing has changed.
    """
    using, now = database(), timezone.now()
    with recorded(reaction, Action.FIRE_TIMERS, by, reason) as record:
        wanted = _wanted(reaction, keys)
        record.outcome = _named(wanted)
        timers = list(wanted.select_for_update().order_by("due_at", "id"))
        if not timers:
            raise _none(reaction, keys)
        wanted.delete()
        record.save(using=using)
        # Last, because readers of the store wait from here to the commit.
        _store([_due(timer, now) for timer in timers])
    return len(timers)


def cancel(reaction: str, keys: Sequence[str] | None, *, by: str, reason: str = "") -> int:
    """Cancel timers of a reaction, or all of them if `keys` is None; return how many.

    Raises:
        OperationRejected: the reaction has none of the timers.
    """
    with recorded(reaction, Action.CANCEL_TIMERS, by, reason) as record:
        wanted = _wanted(reaction, keys)
        record.outcome = _named(wanted)
        cancelled, _ = wanted.delete()  # waits for those that fire at this moment, and does not count them
        if not cancelled:
            raise _none(reaction, keys)
    return cancelled


def move(old: str, new: str, *, by: str, reason: str = "") -> int:
    """Give the timers of a reaction that is gone, for example renamed, to another one; return how many.

    Raises:
        OperationRejected: `old` is still in the code or has no timers, `new` is a projection, or has timers with the
            same keys.
        UnknownProjection: no reaction is called `new`.
    """
    if registry.get(new).kind is not Kind.REACTION:
        raise OperationRejected(f"{new!r} is a projection; only reactions have timers")
    if registry.has_reaction(old):
        raise OperationRejected(
            f"The reaction {old!r} is still in the code, and its handlers could not cancel timers of {new!r}"
        )
    with recorded(new, Action.MOVE_TIMERS, by, reason) as record:
        timers = _wanted(old, None)
        both = timers.filter(key__in=_wanted(new, None).values("key")).values_list("key", flat=True)
        if names := ", ".join(both[:MAX_NAMED]):
            raise OperationRejected(f"{new!r} has timers with the same keys. Cancel those of one of the two: {names}")
        record.outcome = f"from {old}: {_named(timers)}"
        with connections[database()].cursor() as cursor:
            cursor.execute(read_query(__package__, "move_timers"), {"old": old, "new": new, "key": REACTION})
            moved = int(cursor.rowcount)
        if not moved:
            raise _none(old, None)
    return moved


@contextmanager
def recorded(reaction: str, action: Action, by: str, reason: str) -> Iterator[Operation]:
    """Open a transaction; at the end of the block, save the record of the operation."""
    using = database()
    autocommit.require(using)
    with transaction.atomic(using):
        version = ProjectionState.objects.using(using).filter(pk=reaction).values_list("version", flat=True).first()
        record = Operation(projection=reaction, version=version or 0, action=action)
        record.by, record.reason = readable(by)[:USER_CHARACTERS], readable(reason)
        yield record
        if record._state.adding:
            record.save(using=using)


def _store(timers: Sequence[DueTimer]) -> None:
    session = connections[database()].connection
    try:
        store(timers)
    except Exception as error:
        if is_outage(error, database(), session):
            raise
        cause = summary(failures.cause_of(error))
        raise OperationRejected(f"An event is rejected, and nothing has changed: {cause}") from error


def _due(timer: Timer, now: datetime) -> DueTimer:
    """Return a timer that is due at the latest now."""
    event = timer.event_id, timer.aggregate_id, timer.type, timer.data, timer.metadata
    return DueTimer(timer.pk, timer.key, min(timer.due_at, now), *event, timer.attempts)


def _wanted(reaction: str, keys: Sequence[str] | None) -> TimerQuerySet:
    timers = Timer.objects.using(database()).of(reaction)
    return timers if keys is None else timers.filter(key__in=keys)


def _none(reaction: str, keys: Sequence[str] | None) -> OperationRejected:
    which = "no timers" if keys is None else f"no timer {', '.join(map(repr, keys[:MAX_NAMED]))}"
    return OperationRejected(f"{reaction!r} has {which}; it may have fired or been cancelled. See list_timers")


def _named(timers: TimerQuerySet) -> str:
    """Return the first timers of a query in words, for the record."""
    first = list(timers.values_list("key", "due_at")[: MAX_NAMED + 1])
    named = [f"{key} (due {due_at:%Y-%m-%d %H:%M:%S %Z})" for key, due_at in first[:MAX_NAMED]]
    return readable(", ".join([*named, "…"] if len(first) > MAX_NAMED else named))
