"""Passes and retries that do not end, because their worker is killed: leave a trace before, and count it as an attempt.

A trace is a transaction of its own, and most passes end. So workers leave traces only after one of them was killed.
"""

import logging
from collections.abc import Callable
from enum import Enum
from uuid import UUID

from django.db import transaction

from events.routing import database
from events.storage import reader
from projections.base import Projection
from projections.models import Checkpoint, ParkedEvent

from . import checkpoints, failures, parking, retries

logger = logging.getLogger(__name__)


_KILLED = "the worker was killed while it handled this event, perhaps because it ran out of memory"


class WorkerKilled(Exception):
    """The worker was killed while it handled this event, perhaps because it ran out of memory."""


class Traced(Enum):
    """What came of the attempt to leave a trace."""

    BEGIN = "begin"  # the trace is left, and the pass or the retry can begin
    BUSY = "busy"  # the shard cannot be locked, or belongs to another worker that is alive
    COUNTED = "counted"  # the pass or retry of a killed worker has been counted as an attempt at its event


def leave_trace(
    projection: Projection, checkpoint_id: int, up_to: int, worker: UUID, is_alive: Callable[[UUID], bool]
) -> Traced:
    """Save that `worker` begins a pass over a shard, and find out about the pass that has begun before and not ended.

    The first such pass makes the next passes handle one event each, up to its last event. Then such a pass counts as an
    attempt at its one event. The pass locks the checkpoint again: between both transactions, another worker
    may find the trace, but it sees that this worker is alive.

    Args:
        is_alive: returns whether a worker is alive.
    """
    with transaction.atomic(database(), durable=True):
        checkpoint = checkpoints.lock_checkpoint(checkpoint_id, projection)
        if checkpoint is None:
            return Traced.BUSY
        # This worker lives, so its own trace is of a pass that ended without a result: another worker held the lock, to
        # look for traces, or the database was away.
        before = None if checkpoint.begun_by == worker else checkpoint.begun_by
        if before is not None and is_alive(before):
            return Traced.BUSY
        if before is not None and checkpoint.suspect_until is not None:
            return _count(projection, checkpoint, up_to)
        if before is not None:
            positions = _next_positions(projection, checkpoint, up_to)
            checkpoint.suspect_until, checkpoint.batch_limit = positions[-1] if positions else None, 1
            logger.warning("projection=%s shard=%s killed=%s", projection, checkpoint.shard, before)
        checkpoint.begun_by = worker
        checkpoint.save(update_fields=["begun_by", "suspect_until", "batch_limit"], using=database())
        return Traced.BEGIN


def leave_retry_trace(
    projection: Projection, checkpoint_id: int, worker: UUID, is_alive: Callable[[UUID], bool]
) -> tuple[Traced, int | None]:
    """Save that `worker` begins the next retry of a shard; return the key of its event, too.

    If the retry was begun before and has not ended, it counts as an attempt.

    Args:
        is_alive: returns whether a worker is alive.
    """
    with transaction.atomic(database(), durable=True):
        checkpoint = checkpoints.lock_checkpoint(checkpoint_id, projection)
        parked = checkpoint and retries.due(checkpoint).first()
        if not parked:
            return Traced.BUSY, None
        before = None if parked.begun_by == worker else parked.begun_by
        if before is not None and is_alive(before):
            return Traced.BUSY, None
        if before is not None:
            failures.count_retry(projection, parked, WorkerKilled(_KILLED))
            return Traced.COUNTED, None
        parked.begun_by = worker
        parked.save(update_fields=["begun_by"], using=database())
        return Traced.BEGIN, parked.pk


def withdraw_traces(worker: UUID) -> None:
    """Remove the traces of a worker that ends, so that nobody takes it for a killed one.

    A trace is left over when the pass could not lock the shard, because another worker was looking for traces at that
    moment. Each update waits for such a worker.
    """
    for model in (Checkpoint, ParkedEvent):
        traces = model.objects.using(database()).filter(begun_by=worker)
        for key in traces.values_list("pk", flat=True):  # one by one: a transaction that locks one row cannot deadlock
            traces.filter(pk=key).update(begun_by=None)


def _count(projection: Projection, checkpoint: Checkpoint, up_to: int) -> Traced:
    positions = _next_positions(projection, checkpoint, up_to)
    if not positions:
        return Traced.BUSY
    failures.count_attempt(projection, checkpoint, parking.without_content(positions[0]), WorkerKilled(_KILLED))
    return Traced.COUNTED


def _next_positions(projection: Projection, checkpoint: Checkpoint, up_to: int) -> list[int]:
    """Return the positions of the next batch, without the events, whose size may be what kills the worker."""
    limit = checkpoint.batch_limit or projection.events_per_pass
    wanted = reader.selection(projection.wanted_types(), None, database())
    wanted = checkpoints.of_shard(wanted.after(checkpoint.position).up_to(up_to), checkpoint)
    return list(wanted.order_by("position").values_list("position", flat=True)[:limit])
