"""Repeat a pass that has failed: its failing events step aside, and all others are handled, in one transaction."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connections, transaction

from events.models import Event
from events.routing import database
from projections.base import Mode, Projection
from projections.models import Checkpoint

from . import breaker, checkpoints, failures, parking
from .handling import handlers_of, reject_unreadable
from .outages import is_deadlock, is_outage
from .separation import separate
from .target_tables import tables_of

# After this time a repeated pass commits what it has done, and the next pass continues.
MAX_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Repeated:
    """What a repeated pass has done.

    Attributes:
        events: the number of events that it has decided on.
        position: the position that the shard has reached.
        retry_at: when the first event that has stepped aside is retried; None if none is.
        goes_on: whether the next pass may begin at once: nothing is retried in place, and nothing has stopped.
    """

    events: int
    position: int
    retry_at: datetime | None = None
    goes_on: bool = True


class _Away(Exception):
    """A system that an event of a part needs is away, which no event has caused."""


def repeat(
    projection: Projection, seen: Checkpoint, events: Sequence[Event], position: int, error: BaseException
) -> Repeated | None:
    """Handle `events` again, after their pass has failed with `error` and was rolled back, up to its `position`.

    Each part of the batch is handled in a savepoint. Deferred constraints are checked there too, so that an error that
    would appear at the commit belongs to an event. If the projection does not let failing events step aside, the first
    of them ends the repetition, and is retried in place. A system that is away ends it too, and the next pass meets it.

    Args:
        seen: the checkpoint that the failed pass locked. If it has changed since, another worker has gone further, and
            the result is None.

    Raises:
        Exception: an error that belongs to no single event: an outage, a deadlock, or an error at the commit.
    """
    using = database()
    with transaction.atomic(using, durable=True):
        checkpoints.commit_without_waiting(using)
        checkpoint = failures.lock_unchanged(projection, seen)
        if checkpoint is None:
            return None
        deadline = time.monotonic() + MAX_SECONDS
        # A rebuild's skipped events leave the batch, as in the pass that has failed.
        trying = parking.without_skipped(checkpoint, events)
        blocked = parking.blocked_aggregates(checkpoint, trying) if projection.mode is not Mode.INLINE else ()
        done, retry_at, reached, failed_in_place = 0, None, checkpoint.position, None
        with tables_of(checkpoint), handlers_of(projection) as call, suppress(_Away):
            for step in separate(trying, error, _attempts(projection, call), blocked):
                parking.park_waiting(checkpoint, step.waiting)
                breaker.note_handled(checkpoint, len(step.handled))
                breaker.note_waiting(checkpoint, [event.aggregate_id for event in step.waiting])
                done += len(step.handled)
                if step.error is not None and not failures.steps_aside(projection):
                    failed_in_place = step
                    break
                reached = step.last.position
                if step.error is not None:
                    due = failures.set_aside(projection, checkpoint, step.last, failures.cause_of(step.error))
                    retry_at = min(filter(None, (retry_at, due)), default=None)
                if breaker.is_broken(checkpoint) or (time.monotonic() > deadline and step.last != trying[-1]):
                    break
            else:
                reached = position
        if reached > checkpoint.position:
            checkpoints.save_position(checkpoint, reached, done)
        if failed_in_place and failed_in_place.error:
            cause = failures.cause_of(failed_in_place.error)
            failures.count_attempt(projection, checkpoint, failed_in_place.last, cause)
            return Repeated(done, checkpoint.position, goes_on=False)
        is_stopped = failures.stop_if_broken(projection, checkpoint)
    return Repeated(done, checkpoint.position, retry_at, goes_on=not is_stopped)


def _attempts(projection: Projection, call: Callable[..., None]) -> Callable[[Sequence[Event]], BaseException | None]:
    """Return the function that handles events in a savepoint, and returns the error if it was undone."""
    using = database()
    session = connections[using].connection

    def attempt(events: Sequence[Event]) -> BaseException | None:
        try:
            with transaction.atomic(using):
                reject_unreadable(projection, events)
                call(events, connections[using].check_constraints)
        except BaseException as error:
            if not failures.is_of_handler(error) or is_outage(error, using, session) or is_deadlock(error):
                raise
            if failures.unavailable(error):
                raise _Away from error
            return error
        return None

    return attempt
