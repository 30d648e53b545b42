"""Taking a shard's checkpoint, and moving it: whoever holds the row's lock is the only one at work on that shard."""

import math
from datetime import datetime

from django.db.models import Func, IntegerField, Q, Value
from django.db.models.lookups import Exact
from django.utils import timezone

from events.models import EventQuerySet
from events.routing import database
from projections.base import Projection
from projections.models import Build, Checkpoint, Status

# Time after which an old rate counts for a third of what it was.
RATE_SECONDS = 15.0


def take(checkpoint_id: int, projection: Projection) -> Checkpoint | None:
    """Lock a checkpoint until the transaction ends; None when it is not ours to work on just now.

    That is: another worker has it, the projection is paused or stopped, the next attempt at a failed event is not due,
    or the checkpoint is gone, or is one of other code. PostgreSQL looks at the row again as it is once it is locked, so
    what is asked of the row itself holds even if it has changed since the statement began. The projection's status is
    read as of the statement's beginning: a pass may still begin in the moment that somebody pauses it.
    """
    rows = Checkpoint.objects.using(database()).filter(
        Q(build=Build.REBUILD) | Q(projection__status=Status.RUNNING), pk=checkpoint_id, version=projection.version
    )
    checkpoint = rows.select_for_update(skip_locked=True, of=("self",)).first()
    if checkpoint and checkpoint.next_attempt_at and checkpoint.next_attempt_at > timezone.now():
        return None
    return checkpoint


def move(checkpoint: Checkpoint, position: int, events: int) -> None:
    """Write down that all up to `position` is done, `events` of them just now; a failure at hand is thereby past."""
    now = timezone.now()
    checkpoint.rate = rate_at(now, checkpoint) + events / RATE_SECONDS
    checkpoint.position, checkpoint.moved_at = max(position, checkpoint.position), now
    checkpoint.attempts, checkpoint.next_attempt_at = 0, None
    checkpoint.failing_position, checkpoint.error = None, ""
    checkpoint.save(
        update_fields=["position", "moved_at", "rate", "batch_limit", *FAILURE_FIELDS], using=checkpoint._state.db
    )


FAILURE_FIELDS = ("attempts", "next_attempt_at", "failing_position", "error")


def rate_at(now: datetime, checkpoint: Checkpoint) -> float:
    """Return the events per second, lately, as of `now`: an average in which the past counts less and less."""
    return checkpoint.rate * math.exp(-max(0.0, (now - checkpoint.moved_at).total_seconds()) / RATE_SECONDS)


def of_shard(events: EventQuerySet, checkpoint: Checkpoint) -> EventQuerySet:
    """Narrow to the events of a shard. All of an aggregate are in the same one, so their order is kept.

    PostgreSQL deals out rows to hash partitions by the same function, and so keeps its results as they are.
    """
    if checkpoint.shards == 1:
        return events
    shard = Func(
        "aggregate_id",
        template=f"mod(hashtextextended(%(expressions)s, 0) & 2147483647, {int(checkpoint.shards)})",
        output_field=IntegerField(),
    )
    return events.filter(Exact(shard, Value(checkpoint.shard)))
