"""Save events that step aside: those that failed, and later events of the same aggregates, which stay in order."""

from collections.abc import Collection, Sequence
from datetime import datetime

from django.utils import timezone

from events.models import Event
from events.routing import database
from events.storage.query_files import fetch_tuples, read_query
from projections.models import Build, Checkpoint, Operation, ParkedEvent

from . import breaker, checkpoints


def park(
    checkpoint: Checkpoint, event: Event, attempts: int, error: str, traceback: str, retry_at: datetime | None
) -> None:
    """Save `event` with its error.

    Args:
        retry_at: when it is retried; None to leave it to an operator.
    """
    parked = _parked(checkpoint, event)
    parked.attempts, parked.error, parked.traceback, parked.next_attempt_at = attempts, error, traceback, retry_at
    parked.save(force_insert=True, using=database())


def park_waiting(checkpoint: Checkpoint, events: Sequence[Event]) -> None:
    """Save events that wait behind an earlier event of their aggregate."""
    ParkedEvent.objects.using(database()).bulk_create(
        [_parked(checkpoint, event) for event in events],
        ignore_conflicts=True,  # a reaction that was rewound meets its parked events again
    )


def retry_soon(checkpoint: Checkpoint, since: datetime) -> None:
    """Let the events of a shard that were parked after `since` be retried in the background again."""
    parked = checkpoints.of_shard(ParkedEvent.objects.using(database()).of(checkpoint), checkpoint)
    parked.given_up().filter(parked_at__gte=since).update(next_attempt_at=timezone.now())


def park_behind(checkpoint: Checkpoint, events: Sequence[Event], *, waits: bool = True) -> Sequence[Event]:
    """Save the events whose aggregate already has parked events as waiting, and return the others."""
    events = without_skipped(checkpoint, events)
    blocked = blocked_aggregates(checkpoint, events) if waits else ()
    if blocked:
        waiting = [event for event in events if event.aggregate_id in blocked]
        park_waiting(checkpoint, waiting)
        breaker.note_waiting(checkpoint, [event.aggregate_id for event in waiting])
        events = [event for event in events if event.aggregate_id not in blocked]
    return events


def blocked_aggregates(checkpoint: Checkpoint, events: Sequence[Event]) -> Collection[str]:
    """Return the aggregates of `events` that already have parked events.

    Call it after the checkpoint is locked, in another statement: otherwise the snapshot may lack the events that the
    previous holder of the lock has parked.
    """
    parked = ParkedEvent.objects.using(database()).of(checkpoint)
    if not parked.exists():
        return ()
    ids = list({event.aggregate_id for event in events})
    of = {"ids": ids, "projection": checkpoint.projection_id, "build": checkpoint.build}
    return {each for (each,) in fetch_tuples(database(), read_query(__package__, "blocked_aggregates"), of)}


def without_content(position: int) -> Event:
    """Return the event at `position` without its data and metadata."""
    return Event.objects.using(database()).defer("data", "metadata").get(position=position)


def without_skipped(checkpoint: Checkpoint, events: Sequence[Event]) -> Sequence[Event]:
    """Return the events of a rebuild without those that an operator has skipped in this version of the projection."""
    if checkpoint.build == Build.LIVE:
        return events
    skips = Operation.objects.using(database()).filter(
        projection=checkpoint.projection_id,
        version=checkpoint.version,
        action=Operation.Action.SKIP,
        position__in=[event.position for event in events],
    )
    skipped = set(skips.values_list("position", flat=True))
    return [event for event in events if event.position not in skipped] if skipped else events


def _parked(checkpoint: Checkpoint, event: Event) -> ParkedEvent:
    return ParkedEvent(
        projection_id=checkpoint.projection_id,
        build=checkpoint.build,
        position=event.position,
        aggregate_id=event.aggregate_id,
        type=event.type,
    )
