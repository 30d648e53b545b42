"""Park events that could not be handled, and later events of the same aggregates, which have to stay in order."""

from collections.abc import Sequence

from events.models import Event
from events.routing import database
from projections.models import Build, Checkpoint, Operation, ParkedEvent


def park(checkpoint: Checkpoint, event: Event, attempts: int, error: str, traceback: str) -> None:
    """Save `event` as parked, with its error."""
    parked = _parked(checkpoint, event)
    parked.attempts, parked.error, parked.traceback = attempts, error, traceback
    parked.save(force_insert=True, using=database())


def park_behind(checkpoint: Checkpoint, events: Sequence[Event], *, waits: bool = True) -> Sequence[Event]:
    """Park the events whose aggregate already has parked events, and return the others.

    Call it after the checkpoint is locked, in another statement: otherwise the snapshot may lack the events that the
    previous holder of the lock has parked.
    """
    if checkpoint.build == Build.REBUILD:
        events = _without_skipped(checkpoint, events)
    parked = ParkedEvent.objects.using(database()).of(checkpoint)
    if waits and parked.exists():
        ids = {event.aggregate_id for event in events}
        blocked = set(parked.filter(aggregate_id__in=ids).values_list("aggregate_id", flat=True).distinct())
        waiting = [_parked(checkpoint, event) for event in events if event.aggregate_id in blocked]
        ParkedEvent.objects.using(database()).bulk_create(waiting, ignore_conflicts=True)
        events = [event for event in events if event.aggregate_id not in blocked]
    return events


def without_content(position: int) -> Event:
    """Return the event at `position` without its data and metadata."""
    return Event.objects.using(database()).defer("data", "metadata").get(position=position)


def _without_skipped(checkpoint: Checkpoint, events: Sequence[Event]) -> Sequence[Event]:
    """Return `events` without those that an operator has skipped in this version of the projection."""
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
