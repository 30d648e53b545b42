"""The projection behind `AggregateActivity`: inline, so each row is right the moment its event is stored."""

from typing import Any

from events.models import Event

from .models import AggregateActivity


def project(event: Event, using: str, **kwargs: Any) -> None:
    """Take `event` into its aggregate's row, inside the transaction that stores it.

    The writer holds the aggregate's lock, so nobody else works on this row; and versions have no gaps, so the event's
    version is the number of events. Both stay true for events that this projection has not seen.
    """
    rows = AggregateActivity.objects.using(using)
    last = {
        "event_count": event.version,
        "last_type": event.type,
        "last_timestamp": event.timestamp,
        "last_recorded_at": event.recorded_at,
    }
    newer = rows.filter(aggregate_id=event.aggregate_id, event_count__lt=event.version)
    if event.version > 1 and newer.update(**last):
        return
    # The aggregate's first event, or the first one since this projection was switched on. Or a handler has dispatched a
    # later one meanwhile: then the row is there, and further on already.
    first = Event.objects.using(using).of_aggregate(event.aggregate_id).get(version=1)
    row = AggregateActivity(
        aggregate_id=event.aggregate_id,
        first_type=first.type,
        first_timestamp=first.timestamp,
        first_recorded_at=first.recorded_at,
        **last,
    )
    rows.bulk_create([row], ignore_conflicts=True)
