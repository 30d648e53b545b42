"""Projections that only the tests use. They want event types of their own, so other tests do not meet them."""

from django.db.models import F

from events.models import Event
from projections.base import ASYNC, Projection, handles
from projections.registry import register

from .models import ShardedTotal, Total


@register
class Tally(Projection):
    """Counts `Counted` events, all of them and by the number they carry: two rows that must agree."""

    name = "tally"
    mode = ASYNC
    models = [Total]

    @handles("Counted")
    def count(self, event: Event) -> None:
        for key in ("all", event.aggregate_id):
            if not Total.objects.filter(key=key).update(count=F("count") + 1):
                Total.objects.create(key=key, count=1)


@register
class ShardedTally(Projection):
    """Notes the order in which each aggregate's `Counted` events come, in four shards."""

    name = "sharded_tally"
    mode = ASYNC
    shards = 4
    models = [ShardedTotal]
    batch_events = 50

    @handles("Counted")
    def note(self, event: Event) -> None:
        row, _ = ShardedTotal.objects.get_or_create(aggregate_id=event.aggregate_id)
        row.versions.append(event.version)
        row.save()
