"""Lock the checkpoint of a shard, and save its new position. Only the holder of the row lock works on the shard."""

import math
from datetime import datetime
from typing import Any, TypeVar

from django.db import connections
from django.db.models import Func, IntegerField, Q, QuerySet, Value
from django.db.models.lookups import Exact
from django.utils import timezone

from events.routing import database
from projections.base import Projection
from projections.models import Build, Checkpoint, Status

Rows = TypeVar("Rows", bound=QuerySet[Any])

# The time constant of the rate: after it, the weight of the past has fallen to 1/e.
RATE_SECONDS = 15.0


def lock_checkpoint(checkpoint_id: int, projection: Projection) -> Checkpoint | None:
    """Lock a checkpoint until the transaction ends, and return it; None if this worker may not run a pass now.

    The result is None if another worker holds the lock, if the projection is paused or stopped, if the next attempt at
    a failed event is not due, or if the checkpoint is gone or belongs to another version of the code. PostgreSQL checks
    the conditions on the row itself again after locking it, so they hold even if the row has changed. The projection's
    status is read when the statement begins, so one more pass may begin at the moment of a pause.
    """
    rows = Checkpoint.objects.using(database()).filter(
        Q(build=Build.REBUILD) | Q(projection__status=Status.RUNNING), pk=checkpoint_id, version=projection.version
    )
    checkpoint = rows.select_for_update(skip_locked=True, of=("self",)).first()
    if checkpoint and checkpoint.next_attempt_at and checkpoint.next_attempt_at > timezone.now():
        return None
    return checkpoint


def commit_without_waiting(using: str) -> None:
    """Commit this transaction without waiting for the disk.

    Rows and checkpoint commit together. If the server crashes before they are on disk, both are lost, and the pass is
    repeated. The write-ahead log keeps their order against all other commits.
    """
    with connections[using].cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")


def save_position(checkpoint: Checkpoint, position: int, events: int) -> None:
    """Save that all events up to `position` are handled, `events` of them in this pass, and clear the failure."""
    now = timezone.now()
    checkpoint.rate = rate_at(now, checkpoint) + events / RATE_SECONDS
    checkpoint.position, checkpoint.moved_at = max(position, checkpoint.position), now
    checkpoint.attempts, checkpoint.next_attempt_at = 0, None
    checkpoint.failing_position, checkpoint.error = None, ""
    checkpoint.waiting_since, checkpoint.unavailable_since = None, None
    checkpoint.outages, checkpoint.begun_by = 0, None
    if checkpoint.suspect_until is not None and checkpoint.position >= checkpoint.suspect_until:
        checkpoint.suspect_until = None
    checkpoint.save(
        update_fields=[*_POSITION_FIELDS, *FAILURE_FIELDS],
        using=checkpoint._state.db,
    )


_POSITION_FIELDS = (
    *("position", "moved_at", "rate", "batch_limit", "outages", "suspect_until"),
    *("recent", "failing_since"),
)
FAILURE_FIELDS = (
    *("attempts", "next_attempt_at", "failing_position", "error"),
    *("waiting_since", "unavailable_since", "begun_by"),
)


def rate_at(now: datetime, checkpoint: Checkpoint) -> float:
    """Return the events per second at `now`, as an exponentially decaying average."""
    return checkpoint.rate * math.exp(-max(0.0, (now - checkpoint.moved_at).total_seconds()) / RATE_SECONDS)


def of_shard(events: Rows, checkpoint: Checkpoint) -> Rows:
    """Narrow to the events, or parked events, of a shard. All of an aggregate belong to one, so they stay in order."""
    if checkpoint.shards == 1:
        return events
    return events.filter(Exact(shard_of(checkpoint.shards), Value(checkpoint.shard)))


def shard_of(shards: int) -> Func:
    """Return the shard of a row with an `aggregate_id`.

    The results of the hash function are stable: PostgreSQL assigns rows to hash partitions with it.
    """
    template = f"mod(hashtextextended(%(expressions)s, 0) & 2147483647, {shards:d})"
    return Func("aggregate_id", template=template, output_field=IntegerField())
