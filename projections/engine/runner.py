"""Run one pass over one shard: handle a batch of events and save the checkpoint, in one transaction."""

import logging
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from django.db import connections, transaction

from events.exceptions import NewerEvent
from events.models import Event
from events.routing import database
from events.storage import reader, rows
from projections.base import Mode, Projection
from projections.exceptions import HandlerFailed, PassTooLong, Unavailable
from projections.models import Checkpoint

from . import breaker, checkpoints, failures, parking, repetition
from .handling import handlers_of, reject_unreadable
from .outages import MAX_DEADLOCKS, is_deadlock, is_outage
from .target_tables import tables_of

logger = logging.getLogger(__name__)


class PassOutcome(Enum):
    """How a pass ended."""

    DONE = "done"
    UNAVAILABLE = "unavailable"  # a system that the handler needs is away; the next attempt is saved
    FAILED = "failed"  # the shard waits: for a retry in place, a shorter batch, or an operator
    NOT_LOCKED = "not locked"  # the checkpoint could not be locked
    WAITING = "waiting"  # the next event needs newer code; nothing has changed


@dataclass(frozen=True)
class PassResult:
    """The result of a pass.

    Attributes:
        events: the number of handled events.
        position: the position that the shard has reached.
        retry_at: when the first event that has stepped aside in this pass is retried; None if none is.
    """

    outcome: PassOutcome
    events: int = 0
    position: int = 0
    retry_at: datetime | None = None


def run_pass(projection: Projection, checkpoint_id: int, up_to: int, *, raise_errors: bool = False) -> PassResult:
    """Handle the next batch of a shard's events, and commit the rows and the checkpoint together.

    The transaction is READ COMMITTED and locks the checkpoint first. Each later statement takes its own snapshot, so it
    sees what the previous holder of the lock has committed: the checkpoint, the rows and the parked events.

    Args:
        up_to: the settled position, read before the transaction; later events are not handled.
        raise_errors: raise the error of a handler instead of saving the failure.
    """
    using = database()
    checkpoint = taken = session = None
    events: Sequence[Event] = ()
    position = 0
    try:
        with transaction.atomic(using, durable=True):
            session = connections[using].connection
            checkpoints.commit_without_waiting(using)
            checkpoint = checkpoints.lock_checkpoint(checkpoint_id, projection)
            if checkpoint is None:
                return PassResult(PassOutcome.NOT_LOCKED)
            taken = copy(checkpoint)
            events, position = next_batch(projection, checkpoint, up_to)
            away = handle(projection, checkpoint, events)
            if away is None:
                checkpoints.save_position(checkpoint, position, len(events))
            else:
                events = _save_part(checkpoint, events, away)
            failures.stop_if_broken(projection, checkpoint)
    except NewerEvent as error:
        if raise_errors or taken is None:
            raise
        failures.record_wait(projection, taken, error)
        return PassResult(PassOutcome.WAITING, position=taken.position)
    except PassTooLong:
        return PassResult(PassOutcome.DONE, position=taken.position if taken else 0)
    except BaseException as error:
        if raise_errors and isinstance(error, HandlerFailed) and error.__cause__:
            raise error.__cause__ from None
        if raise_errors or taken is None or not events or not failures.is_of_handler(error):
            raise
        if away := failures.unavailable(error):
            may_go_on = failures.record_unavailable(projection, taken, events, error, away)
            return PassResult(PassOutcome.FAILED if may_go_on else PassOutcome.UNAVAILABLE, position=taken.position)
        return _repeat(projection, taken, events, position, error, session)
    if events:
        logger.debug(
            "projection=%s shard=%s events=%s position=%s", projection, checkpoint.shard, len(events), position
        )
    outcome = PassOutcome.DONE if away is None else PassOutcome.UNAVAILABLE
    return PassResult(outcome, len(events), checkpoint.position)


def _repeat(
    projection: Projection,
    taken: Checkpoint,
    events: Sequence[Event],
    position: int,
    error: BaseException,
    session: Any,
) -> PassResult:
    """Handle a failed batch again, without the events that fail; if that cannot be, save the failure.

    Raises:
        BaseException: an outage that no event has caused, as far as is known yet.
    """
    using = database()
    if _is_excused(projection, taken, error):
        return PassResult(PassOutcome.DONE, position=taken.position)  # the next pass begins at once
    if not is_outage(error, using, session):
        try:
            done = repetition.repeat(projection, taken, events, position, error)
        except PassTooLong:
            return PassResult(PassOutcome.DONE, position=taken.position)
        except BaseException as again:
            if not failures.is_of_handler(again):
                raise
            error = again
        else:
            if done is None:
                return PassResult(PassOutcome.NOT_LOCKED)
            outcome = PassOutcome.DONE if done.goes_on else PassOutcome.FAILED
            return PassResult(outcome, done.events, done.position, done.retry_at)
    if is_outage(error, using, session) and not failures.outage_came_back(projection, taken):
        raise error
    if _is_excused(projection, taken, error):
        return PassResult(PassOutcome.DONE, position=taken.position)
    failures.record_failure(projection, taken, events, error)
    return PassResult(PassOutcome.FAILED, position=taken.position)


def _is_excused(projection: Projection, taken: Checkpoint, error: BaseException) -> bool:
    """Return whether the pass has met a deadlock, and may be tried again without counting an attempt."""
    return is_deadlock(error) and not failures.outage_came_back(projection, taken, allowed=MAX_DEADLOCKS)


def next_batch(projection: Projection, checkpoint: Checkpoint, up_to: int) -> tuple[list[Event], int]:
    """Return the next events of a shard, and the position that the shard has reached after them.

    Raises:
        NewerEvent: the next event is in a schema version that this code does not know. It must wait, because old and
            new workers run side by side while new code is deployed, and an old one would park events that only newer
            code can read.
    """
    limit = min(checkpoint.batch_limit or projection.events_per_pass, projection.events_per_pass)
    wanted = reader.selection(projection.wanted_types(), None, database())
    wanted = checkpoints.of_shard(wanted.after(checkpoint.position).up_to(up_to), checkpoint)
    page = rows.fetch_page(wanted.order_by("position"), limit)
    if checkpoint.batch_limit and not checkpoint.attempts and checkpoint.suspect_until is None:
        # The shortened batch succeeded, so the failing event comes later: double the batch up to its usual size.
        wider = checkpoint.batch_limit * 2
        checkpoint.batch_limit = wider if wider < projection.events_per_pass else None
    if newer := _newer_event(projection, page):
        before = page[: page.index(newer)]
        if not before:
            raise newer.error
        return before, before[-1].position
    # A page without more events holds all events of this shard up to `up_to`.
    return page, page[-1].position if page.has_more else up_to


def _newer_event(projection: Projection, page: rows.Page) -> Event | None:
    """Return the first event that needs newer code; None for a projection that does not read the content."""
    if not page.has_unreadable or not projection._reads_content:
        return None
    return next((event for event in page if isinstance(event.error, NewerEvent)), None)


def handle(projection: Projection, checkpoint: Checkpoint, events: Sequence[Event]) -> Unavailable | None:
    """Pass `events` to the projection; those whose aggregate has parked events wait behind them.

    Returns:
        The error of a `project_batch` that has done a part of the events, because a system is away; usually None.

    Raises:
        HandlerFailed: a method marked with `@handles` failed, or an event cannot be read; a `project_batch` raises its
            own exceptions.
    """
    # Later events of an aggregate do not wait in an INLINE projection, whose writers do not look for parked events.
    events = parking.park_behind(checkpoint, events, waits=projection.mode is not Mode.INLINE)
    if not events:
        return None
    reject_unreadable(projection, events)
    with tables_of(checkpoint), handlers_of(projection) as call:
        try:
            call(events)
        except Unavailable as away:
            if away.done is None:
                raise
            return away
    breaker.note_handled(checkpoint, len(events))
    return None


def _save_part(checkpoint: Checkpoint, events: Sequence[Event], away: Unavailable) -> Sequence[Event]:
    """Save that a part of the events is done, and that the next one waits for a system; return those that are done.

    Raises:
        ValueError: none of the events is at the position that is said to be done.
    """
    positions = [event.position for event in events]
    if away.done not in positions:
        raise ValueError(
            f"Unavailable(done={away.done}): give the position of an event of the batch, {positions[0]} to"
            f" {positions[-1]}, or None"
        )
    number = positions.index(away.done) + 1
    since = checkpoint.unavailable_since
    checkpoints.save_position(checkpoint, away.done, number)
    checkpoint.unavailable_since = since
    failures.save_unavailable(checkpoint, positions[min(number, len(positions) - 1)], away)
    return events[:number]
