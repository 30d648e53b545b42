"""What follows from the failure of an event: it is retried after growing delays, then parked, or the projection stops.

A projection with `on_error = PARK` lets the event step aside, so that only its aggregate waits. All others retry it in
place: the shard waits.
"""

import logging
import traceback
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import Error, connections, transaction
from django.utils import timezone

from events.exceptions import NewerEvent, UnreadableEvent
from events.models import Event
from events.routing import database
from events.summaries import readable, summary
from projections.base import Mode, OnError, Projection
from projections.conf import conf
from projections.exceptions import NOT_OF_HANDLER, HandlerFailed, Unavailable
from projections.models import Build, Checkpoint, ParkedEvent, ProjectionState, Rebuild, Status

from . import breaker, checkpoints, parking

logger = logging.getLogger(__name__)

MAX_TRACEBACK_CHARACTERS = 20_000
# The pauses while a system is away.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 300.0
NEWER_CODE_SECONDS = 5.0  # how long an event that stepped aside waits for a worker with newer code

_LINE = "projection=%s shard=%s position=%s aggregate=%s attempts=%s error=%r "


def is_of_handler(error: BaseException) -> bool:
    """Return whether a handler may have raised `error`; otherwise a user or the worker has ended the process."""
    return not isinstance(error, NOT_OF_HANDLER)


def cause_of(error: BaseException) -> BaseException:
    """Return the exception that a handler raised."""
    return error.__cause__ if isinstance(error, HandlerFailed) and error.__cause__ else error


def steps_aside(projection: Projection) -> bool:
    """Return whether a failing event delays only its own aggregate."""
    return projection.mode is Mode.ASYNC and projection.on_error is OnError.PARK


def record_failure(projection: Projection, seen: Checkpoint, events: Sequence[Event], error: BaseException) -> None:
    """Save that the batch `events` failed with `error`, which took the transaction with it, as a lost connection does.

    If the failing event is unknown, or is not the first of the batch, the next passes handle fewer events, until the
    failing event is the first. Then the failure counts as an attempt at this event.

    Args:
        seen: the checkpoint that the failed pass locked. If it has changed since, another worker has gone further, and
            nothing is saved.
    """
    with transaction.atomic(database(), durable=True):
        checkpoint = lock_unchanged(projection, seen)
        if checkpoint is None:
            return
        if isinstance(error, HandlerFailed) and error.event in events:
            before = list(events).index(error.event)
        else:
            before = len(events) // 2
        if before > 0:
            checkpoint.batch_limit, checkpoint.begun_by = before, None
            checkpoint.save(update_fields=["batch_limit", "begun_by"], using=database())
        else:
            count_attempt(projection, checkpoint, events[0], cause_of(error))


def record_wait(projection: Projection, seen: Checkpoint, error: NewerEvent) -> None:
    """Save that the next event waits for newer code, without an attempt and without a delay for a worker that has it.

    Args:
        seen: the checkpoint that the pass locked. If it has changed since, another worker has gone further, and nothing
            is saved.
    """
    if seen.waiting_since is not None and seen.failing_position == error.position:
        return
    with transaction.atomic(database(), durable=True):
        checkpoint = lock_unchanged(projection, seen)
        if checkpoint is None or checkpoint.attempts:  # newer code has failed at this event
            return
        checkpoint.waiting_since, checkpoint.begun_by = timezone.now(), None
        checkpoint.failing_position, checkpoint.error = error.position, summary(error)
        checkpoint.save(update_fields=checkpoints.FAILURE_FIELDS, using=database())
    logger.warning(
        "projection=%s shard=%s position=%s waiting_for_newer_code=true error=%r",
        *(projection, checkpoint.shard, error.position, summary(error)),
    )


def unavailable(error: BaseException) -> Unavailable | None:
    """Return the error of a handler that needs a system which is away; None if `error` is another one."""
    cause = error.__cause__ if isinstance(error, HandlerFailed) else error
    return cause if isinstance(cause, Unavailable) else None


def record_unavailable(
    projection: Projection, seen: Checkpoint, events: Sequence[Event], error: BaseException, away: Unavailable
) -> bool:
    """Save that a system which the handler needs is away; return whether the events before it can be handled at once.

    The batch was rolled back. Nothing is parked, and no attempt is counted.

    Args:
        seen: the checkpoint that the pass locked. If it has changed since, another worker has gone further, and nothing
            is saved.
    """
    before = list(events).index(error.event) if isinstance(error, HandlerFailed) and error.event in events else 0
    with transaction.atomic(database(), durable=True):
        checkpoint = lock_unchanged(projection, seen)
        if checkpoint is None:
            return False
        if before > 0:
            checkpoint.batch_limit, checkpoint.begun_by = before, None
            checkpoint.save(update_fields=["batch_limit", "begun_by"], using=database())
        else:
            save_unavailable(checkpoint, events[0].position, away)
    return before > 0


def save_unavailable(checkpoint: Checkpoint, position: int, away: Unavailable) -> None:
    """Save that the event at `position` waits for a system that is away. The checkpoint is locked.

    Without a pause of its own, each pause is as long as all before it together, from 1 second to 5 minutes.
    """
    now = timezone.now()
    since = checkpoint.unavailable_since or now
    pause = _pause_since(since, away)
    checkpoint.unavailable_since, checkpoint.next_attempt_at = since, now + timedelta(seconds=pause)
    checkpoint.failing_position, checkpoint.error, checkpoint.begun_by = position, summary(away), None
    checkpoint.save(update_fields=checkpoints.FAILURE_FIELDS, using=database())
    logger.warning(
        "projection=%s shard=%s position=%s unavailable_since=%s retry_in_seconds=%.1f error=%r",
        *(checkpoint.projection_id, checkpoint.shard, position, since.isoformat(), pause, checkpoint.error),
    )


def outage_came_back(projection: Projection, seen: Checkpoint, *, allowed: int = 1) -> bool:
    """Return whether outages have ended more than `allowed` passes at a position, although the database answers.

    Then it belongs to an event: its handler may close the connection, or ask for too much memory. The first outage at a
    position is only noted, because any pass can meet a restart of the server. Deadlocks are noted in the same way.
    """
    connections[database()].close_if_unusable_or_obsolete()
    try:
        with transaction.atomic(database(), durable=True):
            checkpoint = lock_unchanged(projection, seen)
            if checkpoint is None:
                return False
            checkpoint.outages += 1
            checkpoint.save(update_fields=["outages"], using=database())
            return checkpoint.outages > allowed
    except Error:
        return False


def lock_unchanged(projection: Projection, seen: Checkpoint) -> Checkpoint | None:
    """Lock the checkpoint of a pass that has failed; None if another worker has gone further since."""
    checkpoint = checkpoints.lock_checkpoint(seen.pk, projection)
    if checkpoint is None or (checkpoint.position, checkpoint.attempts) != (seen.position, seen.attempts):
        return None
    return checkpoint


def full(error: BaseException) -> str:
    """Return the traceback of an exception; a very long one without its middle."""
    try:
        text = "".join(traceback.format_exception(error))
    except Exception as failure:
        text = f"{summary(error)}\nThe traceback cannot be shown: {summary(failure)}"
    if len(text) > MAX_TRACEBACK_CHARACTERS:
        half = MAX_TRACEBACK_CHARACTERS // 2
        text = f"{text[:half]}\n[…]\n{text[-half:]}"
    return readable(text)


def count_attempt(projection: Projection, checkpoint: Checkpoint, event: Event, error: BaseException) -> None:
    """Count an attempt at `event`, which comes next: retry it later, park it, or stop. The checkpoint is locked."""
    if steps_aside(projection):
        set_aside(projection, checkpoint, event, error)
        checkpoints.save_position(checkpoint, event.position, 0)
        stop_if_broken(projection, checkpoint)
        return
    checkpoint.attempts += 1
    checkpoint.failing_position, checkpoint.error, checkpoint.batch_limit = event.position, summary(error), 1
    checkpoint.begun_by, checkpoint.waiting_since, checkpoint.unavailable_since = None, None, None
    facts = (projection, checkpoint.shard, event.position, event.aggregate_id, checkpoint.attempts, summary(error))
    delay = retry_delay(projection, error, checkpoint.attempts)
    if delay is not None:
        checkpoint.next_attempt_at = timezone.now() + timedelta(seconds=delay)
        logger.warning(_LINE + "retry_in_seconds=%s", *facts, delay)
    elif _stops(projection, error):
        checkpoint.next_attempt_at = None
        _stop(checkpoint, f"position {event.position} ({event}): {summary(error)}")
        _log(_LINE + "stopped=true", facts, error)
    else:
        attempts = checkpoint.attempts
        checkpoints.save_position(checkpoint, event.position, 0)
        parking.park(checkpoint, event, attempts, summary(error), full(error), None)
        _log(_LINE + "parked=true", facts, error)
        return
    checkpoint.save(update_fields=[*checkpoints.FAILURE_FIELDS, "batch_limit"], using=database())


def set_aside(projection: Projection, checkpoint: Checkpoint, event: Event, error: BaseException) -> datetime | None:
    """Let `event`, which has failed for the first time, step aside; return when it is retried, None if it is parked."""
    delay = retry_delay(projection, error, 1)
    retry_at = None if delay is None else timezone.now() + timedelta(seconds=delay)
    breaker.note_failed(checkpoint, event.aggregate_id)  # first: the record begins before its first event is parked
    parking.park(checkpoint, event, 1, summary(error), full(error), retry_at)
    _log_attempt(projection, event, 1, error, delay)
    return retry_at


def count_retry(projection: Projection, parked: ParkedEvent, error: BaseException) -> None:
    """Save that an event which has stepped aside has failed again, and retry it later, or park it.

    An event that was parked already stays so. If an event needs newer code, or a system that is away, no attempt is
    counted, and it is retried later.
    """
    was_parked = bool(parked.error) and parked.next_attempt_at is None
    pause = _pause(parked, error)
    parked.attempts += pause is None
    parked.error, parked.traceback = summary(error), full(error)
    parked.begun_by, parked.outages = None, 0
    delay = pause
    if pause is None and not was_parked:
        delay = retry_delay(projection, error, parked.attempts)
    parked.next_attempt_at = None if delay is None else timezone.now() + timedelta(seconds=delay)
    parked.save(using=database())
    _log_attempt(projection, parked, parked.attempts, error, delay)


def _pause(parked: ParkedEvent, error: BaseException) -> float | None:
    """Return how many seconds to wait for what is away; None if the event itself has failed."""
    if isinstance(error, NewerEvent):
        return NEWER_CODE_SECONDS
    if not isinstance(error, Unavailable):
        return None
    return _pause_since(parked.parked_at, error)


def _pause_since(since: datetime, away: Unavailable) -> float:
    """Return the pause before the next attempt; without one of its own, as long as all pauses before it together."""
    if away.retry_after_seconds is not None:
        return away.retry_after_seconds
    return min(max((timezone.now() - since).total_seconds(), FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)


def retry_delay(projection: Projection, error: BaseException, attempts: int) -> float | None:
    """Return how many seconds to wait after so many failed attempts at an event; None if it is not retried again."""
    delays = projection.retry_delays_seconds
    delays = conf.retry_delays_seconds if delays is None else delays
    if isinstance(error, UnreadableEvent):
        delays = ()
    elif isinstance(error, projection.deterministic_errors) and not isinstance(error, OSError):
        delays = delays[:1]
    return delays[attempts - 1] if attempts <= len(delays) else None


def stop_if_broken(projection: Projection, checkpoint: Checkpoint) -> bool:
    """Stop the projection, or its rebuild, if its code or a dependency is broken; return whether it is.

    The events that were parked because of it are retried when an operator resumes the projection.
    """
    if not breaker.is_broken(checkpoint) or checkpoint.failing_since is None:
        return False
    parked = ParkedEvent.objects.using(database()).of(checkpoint).failed()
    newest = parked.order_by("-parked_at").values_list("error", flat=True).first() or ""
    reason = breaker.reason(checkpoint, projection.name, newest)
    _stop(checkpoint, f"position {checkpoint.position}: {reason}")
    parking.retry_soon(checkpoint, checkpoint.failing_since)
    logger.error("projection=%s shard=%s stopped=true error=%r", projection, checkpoint.shard, reason)
    return True


def _stops(projection: Projection, error: BaseException) -> bool:
    """Return whether an event that still fails stops the projection.

    INLINE projections park nothing while they run in the writers' transactions, so their rebuilds stop too. But an
    event that cannot be read would stop each rebuild for good.
    """
    if projection.mode is Mode.INLINE:
        return not isinstance(error, UnreadableEvent)
    return projection.on_error is OnError.STOP


def _log_attempt(
    projection: Projection, event: Event | ParkedEvent, attempts: int, error: BaseException, delay: float | None
) -> None:
    line = "projection=%s position=%s aggregate=%s attempts=%s error=%r "
    facts = (projection, event.position, event.aggregate_id, attempts, summary(error))
    if delay is None:
        _log(line + "parked=true", facts, error)
    else:
        logger.warning(line + "retry_in_seconds=%s", *facts, delay)


def _log(line: str, facts: tuple[Any, ...], error: BaseException) -> None:
    """Log an error with its traceback, which a log in UTF-8 must be able to hold."""
    try:
        "".join(traceback.format_exception(error)).encode()
    except Exception:  # half of a surrogate pair, or a `__str__` that raises
        logger.error(line + "\n%s", *facts, full(error))
    else:
        logger.error(line, *facts, exc_info=error)


def _stop(checkpoint: Checkpoint, reason: str) -> None:
    """Stop the projection, or only its rebuild if that failed, until an operator resumes it."""
    if checkpoint.build == Build.REBUILD:
        Rebuild.objects.using(database()).filter(pk=checkpoint.projection_id).update(error=reason)
        return
    ProjectionState.objects.using(database()).filter(pk=checkpoint.projection_id).update(
        status=Status.STOPPED, status_reason=reason, status_since=timezone.now()
    )
