"""Retry the events that have stepped aside, in the background, each aggregate's in order."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import Error, connections, transaction
from django.utils import timezone

from events.models import Event
from events.routing import database
from events.storage import rows
from projections.base import Projection
from projections.models import Checkpoint, ParkedEvent
from projections.models.state import ParkedEventQuerySet

from . import checkpoints, failures
from .handling import handlers_of
from .outages import MAX_DEADLOCKS, is_deadlock, is_outage
from .target_tables import tables_of

# The most aggregates, and the most events of one, that are read at a time.
MAX_AGGREGATES: Final = 50
MAX_EVENTS: Final = 100


@dataclass(frozen=True)
class Retried:
    """What has come of retries.

    Attributes:
        is_locked: whether the shard was locked; otherwise another worker works on it, or it may not be worked on.
        events: the number of events that are handled now.
        next_at: when the next retry of the shard is due; None if none is pending.
    """

    is_locked: bool
    events: int = 0
    next_at: datetime | None = None


class RetryInterrupted(Exception):
    """An outage or a deadlock (`__cause__`) has ended a retry, at the event `parked`."""

    def __init__(self, parked: ParkedEvent) -> None:
        self.parked = parked
        super().__init__(f"interrupted at {parked}")


def retry_due(projection: Projection, checkpoint_id: int, *, seconds: float, only: int | None = None) -> Retried:
    """Retry events of a shard that are due, for about `seconds`, in one transaction that locks the checkpoint.

    Args:
        only: the key of a parked event; nothing else is retried, not even the events that wait behind it.

    Raises:
        Exception: an outage, as far as is known yet.
    """
    using = database()
    current = None
    try:
        with transaction.atomic(using, durable=True):
            checkpoints.commit_without_waiting(using)
            checkpoint = checkpoints.lock_checkpoint(checkpoint_id, projection)
            if checkpoint is None:
                return Retried(is_locked=False)
            events, deadline = 0, time.monotonic() + seconds
            for current in due(checkpoint, only)[:MAX_AGGREGATES]:
                # After an outage, the event is retried alone, so that another one is known to belong to it.
                events += _retry(projection, current, 1 if only or current.outages else MAX_EVENTS, deadline)
                if time.monotonic() > deadline:
                    break
            return Retried(is_locked=True, events=events, next_at=_next_at(checkpoint))
    except RetryInterrupted as interrupted:
        outage = interrupted.__cause__ or interrupted
        if current is None or not _came_back(projection, checkpoint_id, current, outage):
            if not is_deadlock(outage):
                raise outage from None
        else:
            _count(projection, checkpoint_id, current, outage)
    except Exception as error:
        if current is None or is_outage(error, using):
            raise
        _count(projection, checkpoint_id, current, error)
    return Retried(is_locked=True, next_at=timezone.now())


def due(checkpoint: Checkpoint, only: int | None = None) -> ParkedEventQuerySet:
    """Return the events of a shard whose retry is due, the one that has waited longest first."""
    found = _pending(checkpoint).filter(next_attempt_at__lte=timezone.now()).order_by("next_attempt_at", "position")
    return found if only is None else found.filter(pk=only)


def _pending(checkpoint: Checkpoint) -> ParkedEventQuerySet:
    return checkpoints.of_shard(ParkedEvent.objects.using(database()).of(checkpoint).retried(), checkpoint)


def _next_at(checkpoint: Checkpoint) -> datetime | None:
    pending = _pending(checkpoint).order_by("next_attempt_at")
    return pending.values_list("next_attempt_at", flat=True).first()


def _retry(projection: Projection, first: ParkedEvent, max_events: int, deadline: float) -> int:
    """Retry the first event of an aggregate, and then the events behind it; return how many were handled."""
    of_aggregate = ParkedEvent.objects.using(database()).of(first).filter(aggregate_id=first.aggregate_id)
    waiting = list(of_aggregate.filter(position__gte=first.position).order_by("position")[:max_events])
    handled = replay(projection, waiting, deadline)
    if handled and (handled == max_events or handled < len(waiting)):
        # The time is over, or more events wait; one that has failed has its own time.
        next_one = of_aggregate.order_by("position").first()
        if next_one and not next_one.error:
            next_one.next_attempt_at = timezone.now()
            next_one.save(update_fields=["next_attempt_at"], using=database())
    return handled


def replay(projection: Projection, parked: Sequence[ParkedEvent], deadline: float = float("inf")) -> int:
    """Handle parked events of one aggregate in order, and remove them; return how many were handled.

    The first failure ends it, and is counted. The shard is locked.

    Args:
        deadline: the moment, on the monotonic clock, after which no further event is begun.

    Raises:
        RetryInterrupted: the connection is lost, the server is short of resources, or a deadlock was ended.
    """
    using = database()
    session = connections[using].connection
    for handled, each in enumerate(parked):
        if handled and time.monotonic() > deadline:
            return handled
        try:
            with transaction.atomic(using):
                with tables_of(each), handlers_of(projection) as call:
                    call(rows.fetch_events(Event.objects.using(using).filter(position=each.position)))
                connections[using].check_constraints()  # per event: at the commit, one violation would roll back all
                each.delete(using=using)
        except BaseException as error:
            if not failures.is_of_handler(error):
                raise
            if is_outage(error, using, session) or is_deadlock(error):
                raise RetryInterrupted(each) from failures.cause_of(error)
            failures.count_retry(projection, each, failures.cause_of(error))
            return handled
    return len(parked)


def _came_back(projection: Projection, checkpoint_id: int, current: ParkedEvent, outage: BaseException) -> bool:
    """Return whether an outage has ended the retry of an event twice, or a deadlock more often than is allowed."""
    using = database()
    connections[using].close_if_unusable_or_obsolete()
    try:
        with transaction.atomic(using, durable=True):
            checkpoint = checkpoints.lock_checkpoint(checkpoint_id, projection)
            parked = checkpoint and due(checkpoint, current.pk).first()
            if not parked:
                return False
            parked.outages += 1
            parked.save(update_fields=["outages"], using=using)
            return parked.outages > (MAX_DEADLOCKS if is_deadlock(outage) else 1)
    except Error:
        return False


def _count(projection: Projection, checkpoint_id: int, current: ParkedEvent, error: BaseException) -> None:
    """Count an attempt that has taken its transaction with it."""
    with transaction.atomic(database(), durable=True):
        checkpoint = checkpoints.lock_checkpoint(checkpoint_id, projection)
        parked = checkpoint and due(checkpoint, current.pk).first()
        if parked:
            failures.count_retry(projection, parked, error)
