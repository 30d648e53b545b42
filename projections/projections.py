"""The projections that come with the app. A setting turns on each of them."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connections

from events.integrity import seals
from events.models import Event
from events.routing import database
from events.storage.query_files import read_query
from events.types import ALL

from .base import ASYNC, INLINE, Projection, handles
from .conf import conf
from .models import AggregateActivity, DailyActivity, EventTypeActivity
from .models.read_models import MAX_DAILY_CATEGORIES, OTHER_CATEGORIES
from .registry import register


class AggregateActivityProjection(Projection):
    """A row per aggregate. It is INLINE: writers of different aggregates never wait for each other's rows."""

    name = "aggregate_activity"
    mode = INLINE
    models = [AggregateActivity]

    @handles(ALL)
    def take(self, event: Event) -> None:
        """Update the aggregate's row. Versions have no gaps, so the event's version is the number of events."""
        last = {
            "event_count": event.version,
            "last_type": event.type,
            "last_timestamp": event.timestamp,
            "last_recorded_at": event.recorded_at,
        }
        rows = AggregateActivity.objects.filter(aggregate_id=event.aggregate_id)
        if event.version > 1 and rows.filter(event_count__lt=event.version).update(**last):
            return
        # A subscriber that runs before this projection may dispatch another event of the aggregate. The projection then
        # sees the later event first, inserts the row, and must not set it back for the earlier event.
        first: tuple[str, datetime, datetime] = (event.type, event.timestamp, event.recorded_at)
        if event.version > 1:
            found: Any = Event.objects.of_aggregate(event.aggregate_id).headings().get(version=1)
            first = (found.type, found.happened or event.timestamp, found.stored or event.recorded_at)
        row = AggregateActivity(
            aggregate_id=event.aggregate_id,
            first_type=first[0],
            first_timestamp=first[1],
            first_recorded_at=first[2],
            **last,
        )
        AggregateActivity.objects.bulk_create([row], ignore_conflicts=True)


class EventTypeActivityProjection(Projection):
    """A row per event type. It is ASYNC: all writers of a type would wait for the same row."""

    name = "event_type_activity"
    mode = ASYNC
    models = [EventTypeActivity]

    def project_batch(self, events: Sequence[Event]) -> None:
        """Count the batch by type in memory, and add all counts with one statement."""
        by_type: dict[str, list[Event]] = {}
        for event in events:
            by_type.setdefault(event.type, []).append(event)
        columns = zip(
            *(
                (name, len(same), same[0].position, same[-1].position, same[0].recorded_at, same[-1].recorded_at)
                for name, same in by_type.items()
            ),
            strict=True,
        )
        with connections[database()].cursor() as cursor:
            cursor.execute(read_query(__package__, "add_by_type"), [list(column) for column in columns])


class SealsProjection(Projection):
    """The store's seals (`events.integrity.seals`), written by the workers. A rebuild keeps them."""

    name = "seals"
    mode = ASYNC
    # Otherwise the later events of an aggregate with an unreadable event would be parked, and not sealed.
    _reads_content = False

    def project_batch(self, events: Sequence[Event]) -> None:
        """Seal the events up to the last event of the batch, which is settled."""
        while seals.seal(database(), up_to=events[-1].position):
            pass


class DailyActivityProjection(Projection):
    """A row per day and category, for charts. It is ASYNC: all writers of a category would wait for the same row.

    A day has rows for the `MAX_DAILY_CATEGORIES` categories that occur first in it, whatever the batches. The others
    share a row.
    """

    name = "daily_activity"
    mode = ASYNC
    models = [DailyActivity]

    def project_batch(self, events: Sequence[Event]) -> None:
        """Count the batch by day and category in memory, and add the counts with one statement."""
        counts = Counter(
            (event.timestamp.astimezone(UTC).date(), event.aggregate_id.partition("-")[0]) for event in events
        )
        days, categories = zip(*counts, strict=True)
        with connections[database()].cursor() as cursor:
            arguments: dict[str, Any] = {
                "days": list(days),
                "categories": list(categories),
                "counts": list(counts.values()),
                "limit": MAX_DAILY_CATEGORIES,
                "others": OTHER_CATEGORIES,
            }
            cursor.execute(read_query(__package__, "add_by_day"), arguments)


if conf.at_start("aggregate_activity"):
    register(AggregateActivityProjection)
if conf.at_start("event_type_activity"):
    register(EventTypeActivityProjection)
if conf.at_start("daily_activity"):
    register(DailyActivityProjection)
if conf.at_start("seals"):
    register(SealsProjection)
