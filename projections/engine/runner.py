"""One pass over one shard: a batch of events and the checkpoint behind it, in one transaction."""

import logging
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from enum import Enum

from django.db import connections, transaction

from events.models import Event
from events.routing import database
from events.storage import reader, rows
from projections.base import Projection
from projections.exceptions import HandlerFailed
from projections.models import Checkpoint

from . import checkpoints, failures, parking
from .outages import is_outage
from .target_tables import tables_of

logger = logging.getLogger(__name__)


class PassOutcome(Enum):
    """What became of a pass."""

    DONE = "done"
    FAILED = "failed"  # nothing of it was kept, but the failure is written down
    NOT_OURS = "not ours"  # the checkpoint could not be taken


@dataclass(frozen=True)
class Pass:
    """The result of a pass: what became of it, how many events were handled, and the position it came to."""

    outcome: PassOutcome
    events: int = 0
    position: int = 0


def run_pass(projection: Projection, checkpoint_id: int, up_to: int, *, raise_errors: bool = False) -> Pass:
    """Handle the next batch of a shard's events; the checkpoint moves with them, or nothing at all has happened.

    The transaction is READ COMMITTED, and `up_to` was settled before it began. The lock on the checkpoint comes first;
    every later statement takes a snapshot of its own, and so sees what the last holder of the lock has committed: its
    checkpoint, its rows, and the events it has parked.

    Args:
        up_to: a settled position, read before; events beyond it are left for later.
        raise_errors: let a handler's error out, instead of writing the failure down.
    """
    using = database()
    checkpoint = taken = session = None
    events: Sequence[Event] = ()
    try:
        with transaction.atomic(using, durable=True):
            session = connections[using].connection
            _commit_without_waiting(using)
            checkpoint = checkpoints.take(checkpoint_id, projection)
            if checkpoint is None:
                return Pass(PassOutcome.NOT_OURS)
            taken = copy(checkpoint)
            events, position = next_batch(projection, checkpoint, up_to)
            handle(projection, checkpoint, events)
            checkpoints.move(checkpoint, position, len(events))
    except Exception as error:
        if raise_errors and isinstance(error, HandlerFailed) and error.__cause__:
            raise error.__cause__ from None
        if raise_errors or is_outage(error, using, session) or taken is None or not events:
            raise
        failures.record(projection, taken, events, error)
        return Pass(PassOutcome.FAILED, position=taken.position)
    if events:
        logger.debug(
            "projection=%s shard=%s events=%s position=%s", projection, checkpoint.shard, len(events), position
        )
    return Pass(PassOutcome.DONE, len(events), checkpoint.position)


def next_batch(projection: Projection, checkpoint: Checkpoint, up_to: int) -> tuple[list[Event], int]:
    """Return the next events of a shard, and the position up to which all are then done."""
    limit = checkpoint.batch_limit or projection.batch_events
    wanted = reader.selection(projection.wanted_types(), None, database())
    wanted = checkpoints.of_shard(wanted.after(checkpoint.position).up_to(up_to), checkpoint)
    events = rows.fetch_events(wanted.order_by("position")[:limit])
    if checkpoint.batch_limit and not checkpoint.attempts:
        # It went well, so the failure lies further on: widen, until it is met again or all is as before.
        wider = checkpoint.batch_limit * 2
        checkpoint.batch_limit = wider if wider < projection.batch_events else None
    # Fewer than asked for: there is no other up to the end, whatever lies between is of no interest here.
    return events, events[-1].position if len(events) == limit else up_to


def handle(projection: Projection, checkpoint: Checkpoint, events: Sequence[Event]) -> None:
    """Hand `events` to the projection, writing to the tables the checkpoint is for.

    Events of an aggregate that has parked ones wait behind those.

    Raises:
        HandlerFailed: naming the event, where it is known. What `project_batch` raises comes as it is.
    """
    events = parking.hold_back(checkpoint, events)
    if not events:
        return
    with tables_of(checkpoint):
        projection.project_batch(events)


def _commit_without_waiting(using: str) -> None:
    """Let the commit of this transaction not wait for the disk.

    Rows and checkpoint commit together; when the server crashes before both are on disk, both are gone, and the pass is
    repeated. (The write-ahead log keeps their order against everything else.)
    """
    with connections[using].cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
